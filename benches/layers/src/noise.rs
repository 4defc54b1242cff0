//! Noise: whole handshakes of both ends, and messages sealed at one end and opened at the other.
//!
//! - A handshake begins with what a node makes once (its keys, its signature) and ends when both ends can seal. Identities
//!   are Ed25519 and their signatures are checked, but for the case that says so: snow knows none.
//! - Each message is one frame, sealed alone. Ours is appended to a `SendBuf`, fed from there to a `RecvBuf` and read where it
//!   is; minip2p hands over vectors; snow works in buffers of its caller; libp2p-noise wants an asynchronous pipe.
//! - OpenSSL is among ours with the feature `openssl`.
//! - The floors are each library's seal and open in place, with nothing around them, and the two copies of ours alone.

use sanswarm_noise::Aead;

use crate::Bench;

mod floor;
mod ours;
mod peers;

/// The sizes of messages: the largest is what fits a frame.
const SIZES: [(&str, usize); 4] = [("64 B", 64), ("1 KiB", 1024), ("16 KiB", 16 * 1024), ("64 KiB", MESSAGE_MAX)];

/// The most plaintext of one frame.
const MESSAGE_MAX: usize = 65_519;

/// The bytes of messages of one round, about.
const ROUND_BYTES: usize = 64 * 1024;

/// Both ends of a channel, on one thread.
trait Channel: 'static {
    /// Seals `message`, carries and opens it, and returns how many bytes came out.
    fn carry(&mut self, message: &[u8]) -> usize;
}

/// Makes what belongs to no single round, and gives the round.
type Prepare = fn() -> Box<dyn FnMut()>;

/// Makes a channel.
type Make = fn() -> Box<dyn Channel>;

/// Whose handshakes authenticate identities.
const HANDSHAKES: [(&str, Prepare); 6] = [
    ("sanswarm aws-lc", || ours::handshake(ours::AWS_LC, true)),
    ("sanswarm ring, aws-lc keys", || ours::handshake(ours::RING, true)),
    ("sanswarm openssl, aws-lc keys", || ours::handshake(ours::OPENSSL, true)),
    ("sanswarm pure Rust", || ours::handshake(ours::PURE_RUST, true)),
    ("libp2p-noise", peers::libp2p_handshake),
    ("minip2p", peers::minip2p_handshake),
];

/// The same without identities.
const BARE_HANDSHAKES: [(&str, Prepare); 4] = [
    ("sanswarm aws-lc", || ours::handshake(ours::AWS_LC, false)),
    ("sanswarm pure Rust", || ours::handshake(ours::PURE_RUST, false)),
    ("snow", || peers::snow_handshake(false)),
    ("snow, ring", || peers::snow_handshake(true)),
];

/// Who seals and opens.
const CHANNELS: [(&str, Make); 13] = [
    ("sanswarm aws-lc", || Box::new(ours::Ours::new(ours::AWS_LC))),
    ("sanswarm ring", || Box::new(ours::Ours::new(ours::RING))),
    ("sanswarm openssl", || Box::new(ours::Ours::new(ours::OPENSSL))),
    ("sanswarm rustcrypto", || Box::new(ours::Ours::new(ours::PURE_RUST))),
    ("snow", || Box::new(peers::Snow::new(false))),
    ("snow, ring", || Box::new(peers::Snow::new(true))),
    ("libp2p-noise", || Box::new(peers::Libp2p::new())),
    ("minip2p", || Box::new(peers::Minip2p::new())),
    ("floor aws-lc", || Box::new(floor::AwsLc::new())),
    ("floor ring", || Box::new(floor::Ring::new())),
    ("floor openssl", || Box::new(floor::OpenSsl::new())),
    ("floor rustcrypto", || Box::new(floor::RustCrypto::new())),
    ("floor copies", || Box::new(floor::Copies::new())),
];

const PAGE: usize = 4096;

/// Where the middle of a page is in `block`. A copy to a place that is a few bytes further on in its page takes ten times as
/// long on some processors, and large blocks begin where pages do: chance would decide whom it hits.
fn half_a_page_in(block: &[u8]) -> usize {
    (PAGE + PAGE / 2 - block.as_ptr().addr() % PAGE) % PAGE
}

/// Every case for every stack.
pub fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    let is_built_in = |who: &str| who.starts_with("floor") || !who.contains("openssl") || Aead::OpenSsl.is_available();
    for (who, prepare) in HANDSHAKES.into_iter().filter(|(who, _)| is_built_in(who)) {
        benches.push(Bench::new("noise/handshake", who, 50, prepare));
    }
    for (who, prepare) in BARE_HANDSHAKES {
        benches.push(Bench::new("noise/handshake without identities", who, 50, prepare));
    }
    for (size, bytes) in SIZES {
        let messages = (ROUND_BYTES / bytes).max(1);
        for (who, make) in CHANNELS.into_iter().filter(|(who, _)| is_built_in(who)) {
            let round = move || {
                let (mut channel, block) = (make(), vec![7; bytes + 2 * PAGE]);
                move || {
                    let message = &block[half_a_page_in(&block)..][..bytes];
                    for _ in 0..messages {
                        assert_eq!(channel.carry(message), bytes);
                    }
                }
            };
            benches.push(Bench::new(format!("noise/{size}"), who, 8, round).moving(messages * bytes));
        }
    }
    benches
}
