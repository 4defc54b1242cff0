//! What lies between hosts: links, and the sockets at their ends.

use core::time::Duration;

/// One direction between two hosts. What a TCP connection makes of it: bytes come late, in order and whole, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The least time that bytes take one way. Default 20 ms.
    pub latency: Duration,
    /// Up to how much longer they take, drawn for each segment. Default 5 ms.
    pub jitter: Duration,
    /// Bytes a second of one connection in one direction; `None` is no bound. Default 12,500,000, which is 100 Mbit/s.
    pub bytes_per_second: Option<u64>,
    /// How many segments of a million are lost and sent again, after 200 ms, then 400 ms and so on; those behind them
    /// wait. Default 0.
    pub lost_per_million: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(5),
            bytes_per_second: Some(12_500_000),
            lost_per_million: 0,
        }
    }
}

impl Link {
    /// The default with this latency.
    pub fn of_latency(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// Whether it is so bad that deadlines pass without any other cause: it loses more than a twentieth, takes more than a
    /// second, or lets less than 10 kB a second through.
    pub(crate) fn is_bad(&self) -> bool {
        let slow = self.latency + self.jitter > Duration::from_secs(1);
        slow || self.lost_per_million > 50_000 || self.bytes_per_second.is_some_and(|rate| rate < 10_000)
    }
}

/// What the hosts' systems do with sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// Bytes that one direction of a connection holds, on their way or unread, before a writer has to wait. Default
    /// 128 KiB; at least 1.
    pub buffer_bytes: usize,
    /// Of how many reads and writes one is cut at a random place: 1 cuts all, 0 none. Default 8.
    pub cut_one_of: u32,
    /// How long sent bytes may stay without an answer before a system breaks the connection. Default 60 s.
    pub give_up: Duration,
    /// How long a system tries to connect. Default 63 s: first tries at 0, 1, 3, 7, 15 and 31 s.
    pub connect: Duration,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            buffer_bytes: 128 * 1024,
            cut_one_of: 8,
            give_up: Duration::from_secs(60),
            connect: Duration::from_secs(63),
        }
    }
}
