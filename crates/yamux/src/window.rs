//! Flow control: what each end may still send.

use core::time::Duration;

use sanswarm_wire::Instant;

use crate::{config::Limits, error::Error, ping::Pings};

/// The window that every stream starts with in both directions, in bytes (spec, "Flow control").
pub const INITIAL_WINDOW_BYTES: u32 = 256 * 1024;

/// The largest receive window that can be configured, in bytes.
pub(crate) const MAX_WINDOW_BYTES: u32 = 1024 * 1024 * 1024;

/// What we may still send on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendWindow(u32);

impl SendWindow {
    pub(crate) const INITIAL: Self = Self(INITIAL_WINDOW_BYTES);

    pub(crate) fn left(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn add(&mut self, credit: u32) -> Result<(), Error> {
        self.0 = self.0.checked_add(credit).ok_or(Error::CreditOverflow)?;
        Ok(())
    }

    pub(crate) fn spend(&mut self, n: usize) {
        self.0 = self.0.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
    }
}

/// A time in 32 bits: units of 16 µs. It wraps after 19 hours; a window may then grow once too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticks(u32);

impl Ticks {
    fn at(now: Instant) -> Self {
        Self((now.as_micros() >> 4) as u32)
    }

    fn of(time: Duration) -> Self {
        Self(u32::try_from(time.as_micros() >> 4).unwrap_or(u32::MAX))
    }

    fn until(self, now: Instant) -> Self {
        Self(Self::at(now).0.wrapping_sub(self.0))
    }
}

/// What the peer may still send on a stream. The size of the window is always
/// what is open + what has arrived and was not read + what was read and not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecvWindow {
    size: u32,
    open: u32,
    read: u32,
    /// When credit was first given, or a whole window of it has been since.
    since: Option<Ticks>,
    /// What has been given since then.
    credited: u32,
}

impl RecvWindow {
    /// A window of `size` bytes, of which the peer knows the initial ones.
    pub(crate) fn new(size: u32) -> Self {
        let read = size.saturating_sub(INITIAL_WINDOW_BYTES);
        Self { size, open: INITIAL_WINDOW_BYTES, read, since: None, credited: 0 }
    }

    pub(crate) fn size(self) -> u32 {
        self.size
    }

    /// The peer sends `length` bytes.
    pub(crate) fn receive(&mut self, length: u32) -> Result<(), Error> {
        self.open = self.open.checked_sub(length).ok_or(Error::WindowExceeded { length, window: self.open })?;
        Ok(())
    }

    /// The application has read `n` bytes more; never more than arrived.
    pub(crate) fn consume(&mut self, n: usize) {
        let unread = self.size - self.open - self.read;
        self.read += u32::try_from(n).unwrap_or(u32::MAX).min(unread);
    }

    /// Whether so much could be given back that it is worth a frame.
    pub(crate) fn is_due(self) -> bool {
        self.read >= self.size / 2
    }

    /// Whether so much was read that it is worth a frame. The first credit of a window that starts large does not
    /// count.
    pub(crate) fn was_read(self) -> bool {
        self.is_due() && (self.since.is_some() || self.size == INITIAL_WINDOW_BYTES)
    }

    /// Doubles the window, up to `max`, before credit is given for what was read, if it holds the peer back. Returns by
    /// how much it grew.
    ///
    /// A window that holds the peer back is read once in a round trip; once in two where the credit for one half always
    /// waits for the other. So it grows as long as it is read in less than three round trips.
    pub(crate) fn tune(&mut self, now: Instant, round_trip: Option<Duration>, max: u32) -> u32 {
        let Some(since) = self.since else { return 0 };
        self.credited = self.credited.saturating_add(self.read);
        if self.credited < self.size {
            return 0;
        }
        let time = since.until(now);
        (self.since, self.credited) = (Some(Ticks::at(now)), 0);
        if round_trip.is_none_or(|round_trip| time >= Ticks::of(round_trip.saturating_mul(3))) {
            return 0;
        }
        let growth = self.size.min(max.saturating_sub(self.size));
        self.size += growth;
        self.read += growth;
        growth
    }

    /// Gives all that was read back, and says how much that is.
    pub(crate) fn grant(&mut self, now: Instant) -> u32 {
        let credit = core::mem::take(&mut self.read);
        self.open += credit;
        if credit > 0 {
            self.since.get_or_insert(Ticks::at(now));
        }
        credit
    }
}

/// What the receive windows of a session may grow, all together.
#[derive(Debug)]
pub(crate) struct Growth {
    left: usize,
    max: u32,
    /// The largest window that there has been.
    largest: u32,
}

impl Growth {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { left: limits.session_window_bytes, max: limits.window_bytes_max, largest: limits.window_bytes }
    }

    /// Enlarges `window`, to which credit will be given now, if it and nothing else holds the peer back. To know, the
    /// time of a round trip is measured, by a ping behind the credit.
    pub(crate) fn tune(&mut self, now: Instant, window: &mut RecvWindow, pings: &mut Pings) {
        let left = u32::try_from(self.left).unwrap_or(u32::MAX);
        let max = window.size.saturating_add(left).min(self.max);
        if max > window.size {
            pings.measure(now);
            self.left -= window.tune(now, pings.round_trip(), max) as usize;
            self.largest = self.largest.max(window.size);
        }
    }

    /// A stream has ended whose window had grown by so much.
    pub(crate) fn give_back(&mut self, bytes: u32) {
        self.left += bytes as usize;
    }

    /// The largest window that any stream has had, in bytes.
    pub(crate) fn largest(&self) -> u32 {
        self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = INITIAL_WINDOW_BYTES;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn credit_follows_consumption_at_half_the_window() {
        let mut window = RecvWindow::new(SIZE);
        window.receive(SIZE).unwrap();
        assert_eq!(window.receive(1), Err(Error::WindowExceeded { length: 1, window: 0 }));
        window.consume(SIZE as usize / 2 - 1);
        assert!(!window.is_due());
        window.consume(1);
        assert!(window.is_due());
        window.grant(at(0));
        assert_eq!((window.open, window.read), (SIZE / 2, 0));
    }

    #[test]
    fn no_more_is_given_back_than_arrived() {
        let mut window = RecvWindow::new(SIZE);
        window.receive(10).unwrap();
        window.consume(usize::MAX);
        window.consume(1);
        assert_eq!(window.grant(at(0)), 10);
        assert_eq!((window.open, window.grant(at(0))), (SIZE, 0));
    }

    #[test]
    fn credit_never_wraps() {
        let mut window = SendWindow::INITIAL;
        window.add(u32::MAX - SIZE).unwrap();
        assert_eq!(window.left(), u32::MAX as usize);
        assert_eq!(window.add(1), Err(Error::CreditOverflow));
        assert_eq!(window.left(), u32::MAX as usize);
        window.spend(usize::MAX);
        assert_eq!(window.left(), 0);
    }

    const ROUND_TRIP: Option<Duration> = Some(Duration::from_millis(10));

    /// A window of the initial size that has given credit at 0, and can receive.
    fn started() -> RecvWindow {
        let mut window = RecvWindow::new(SIZE);
        window.receive(SIZE).unwrap();
        window.consume(SIZE as usize / 2);
        assert_eq!(window.tune(at(0), ROUND_TRIP, u32::MAX), 0, "nobody knows how long the first half took");
        window.grant(at(0));
        window
    }

    /// The peer sends what it may and all is read at `millis`; by how much the window grows.
    fn read_all(window: &mut RecvWindow, micros: u64, round_trip: Option<Duration>, max: u32) -> u32 {
        window.receive(window.open).unwrap();
        window.consume(usize::MAX);
        let growth = window.tune(at(micros), round_trip, max);
        window.grant(at(micros));
        growth
    }

    #[test]
    fn a_window_grows_that_is_read_in_less_than_three_round_trips() {
        let mut window = started();
        assert_eq!(read_all(&mut window, 29_900, ROUND_TRIP, u32::MAX), SIZE);
        assert_eq!((window.size(), window.open, window.read), (2 * SIZE, 2 * SIZE, 0));
        assert_eq!(read_all(&mut window, 30_000, ROUND_TRIP, u32::MAX), 2 * SIZE);
        let mut window = started();
        assert_eq!(read_all(&mut window, 30_000, ROUND_TRIP, u32::MAX), 0, "too slow to be held back");
        assert_eq!(read_all(&mut window, 59_900, ROUND_TRIP, u32::MAX), SIZE, "not any more");
        let mut window = started();
        assert_eq!(read_all(&mut window, 100, None, u32::MAX), 0, "nothing to compare with");
        let mut window = started();
        assert_eq!(read_all(&mut window, 0, Some(Duration::ZERO), u32::MAX), 0);
    }

    #[test]
    fn it_takes_a_whole_window_to_tell() {
        let mut window = started();
        window.receive(SIZE / 2).unwrap();
        window.consume(SIZE as usize / 2);
        assert_eq!(window.tune(at(1000), ROUND_TRIP, u32::MAX), 0, "half of it since the start");
        window.grant(at(1000));
        assert_eq!(window.tune(at(1000), ROUND_TRIP, u32::MAX), 0, "nothing was read since");
        window.consume(SIZE as usize / 2);
        assert_eq!(window.tune(at(2000), ROUND_TRIP, u32::MAX), SIZE);
    }

    #[test]
    fn credit_of_nothing_starts_nothing() {
        let mut window = RecvWindow::new(SIZE);
        window.grant(at(0));
        window.receive(SIZE).unwrap();
        window.consume(SIZE as usize / 2);
        assert_eq!(window.tune(at(1), ROUND_TRIP, u32::MAX), 0);
        window.grant(at(1));
        window.consume(SIZE as usize / 2);
        assert_eq!(window.tune(at(2), ROUND_TRIP, u32::MAX), 0, "only half since the first credit");
    }

    #[test]
    fn it_grows_up_to_the_limit() {
        for (max, growth) in [(SIZE + 5, 5), (SIZE, 0), (1, 0), (2 * SIZE, SIZE), (3 * SIZE, SIZE)] {
            let mut window = started();
            assert_eq!(read_all(&mut window, 1000, ROUND_TRIP, max), growth);
            assert_eq!(window.size(), SIZE + growth);
        }
    }

    #[test]
    fn the_credit_that_a_large_window_starts_with_was_not_read() {
        let mut window = RecvWindow::new(4 * SIZE);
        assert!(window.is_due() && !window.was_read());
        window.grant(at(0));
        assert!(!window.is_due());
        window.receive(4 * SIZE).unwrap();
        window.consume(2 * SIZE as usize);
        assert!(window.was_read());
        window.consume(2 * SIZE as usize);
        assert_eq!(window.tune(at(100), ROUND_TRIP, u32::MAX), 4 * SIZE);
        let mut window = RecvWindow::new(SIZE);
        window.receive(SIZE).unwrap();
        window.consume(SIZE as usize / 2);
        assert!(window.was_read());
    }

    #[test]
    fn ticks_wrap_and_saturate() {
        for micros in [0, 16, 1 << 36, u64::MAX - (1 << 20)] {
            assert_eq!(Ticks::at(at(micros)).until(at(micros + (1 << 20))), Ticks(1 << 16), "{micros}");
        }
        assert_eq!(Ticks::of(Duration::MAX), Ticks(u32::MAX));
        assert_eq!(Ticks::of(Duration::from_micros(160)), Ticks(10));
    }
}
