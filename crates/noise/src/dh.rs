//! X25519 by one of two libraries.

use zeroize::Zeroizing;

#[cfg(all(feature = "aws-lc", not(any(target_arch = "wasm32", target_os = "none"))))]
mod aws_lc;
#[cfg(not(all(feature = "aws-lc", not(any(target_arch = "wasm32", target_os = "none")))))]
use missing as aws_lc;

mod dalek;

/// A library that does X25519. All make the same bytes, and none takes a peer's key that gives an all-zero secret.
///
/// `ring` cannot be one: a key of its agrees once only, and a handshake's agree up to twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dh {
    /// `aws-lc-rs`: twice as fast. Feature `aws-lc`, which is on by default; never on wasm32 or without an OS.
    AwsLc,
    /// `x25519-dalek`: pure Rust, always there.
    Dalek,
}

impl Dh {
    /// All of them, the fastest first.
    pub const ALL: [Self; 2] = [Self::AwsLc, Self::Dalek];

    /// The fastest that is built in.
    pub const fn fastest() -> Self {
        if aws_lc::AVAILABLE { Self::AwsLc } else { Self::Dalek }
    }

    /// Whether it is built in.
    pub const fn is_available(self) -> bool {
        match self {
            Self::AwsLc => aws_lc::AVAILABLE,
            Self::Dalek => true,
        }
    }
}

/// A secret key, prepared for agreements. Clones share it, or are as cheap.
#[derive(Clone)]
pub(crate) enum Secret {
    AwsLc(aws_lc::Secret),
    Dalek(dalek::Secret),
}

impl Secret {
    /// Prepares `secret`, and makes its public key. `None` if `dh` is not built in.
    pub(crate) fn new(dh: Dh, secret: &[u8; 32]) -> Option<(Self, [u8; 32])> {
        match dh {
            Dh::AwsLc => aws_lc::Secret::new(secret).map(|(secret, public)| (Self::AwsLc(secret), public)),
            Dh::Dalek => Some(Self::by_dalek(secret)),
        }
    }

    /// The same with the library that is always there.
    pub(crate) fn by_dalek(secret: &[u8; 32]) -> (Self, [u8; 32]) {
        let (secret, public) = dalek::Secret::new(*secret);
        (Self::Dalek(secret), public)
    }

    pub(crate) fn dh(&self) -> Dh {
        match self {
            Self::AwsLc(_) => Dh::AwsLc,
            Self::Dalek(_) => Dh::Dalek,
        }
    }

    /// The shared secret with `public`, or `None` if it is all zeros.
    pub(crate) fn agree(&self, public: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        match self {
            Self::AwsLc(secret) => secret.agree(public),
            Self::Dalek(secret) => secret.agree(public),
        }
    }
}

/// What stands where a library is not built in: a key that nobody can have.
#[allow(dead_code, reason = "unused if all libraries are built in")]
mod missing {
    use super::Zeroizing;

    pub(super) const AVAILABLE: bool = false;

    #[derive(Clone)]
    pub(crate) enum Secret {}

    impl Secret {
        pub(super) fn new(_: &[u8; 32]) -> Option<(Self, [u8; 32])> {
            None
        }

        pub(super) fn agree(&self, _: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn secrets(secret: [u8; 32]) -> Vec<(Dh, Secret, [u8; 32])> {
        let of = |dh| Secret::new(dh, &secret).map(|(secret, public)| (dh, secret, public));
        Dh::ALL.into_iter().filter_map(of).collect()
    }

    fn bytes(hex: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        }
        bytes
    }

    #[test]
    fn a_key_exists_where_the_library_does() {
        for dh in Dh::ALL {
            assert_eq!(Secret::new(dh, &[1; 32]).is_some(), dh.is_available());
        }
        assert_eq!(Dh::AwsLc.is_available(), cfg!(feature = "aws-lc"));
        assert!(Dh::fastest().is_available());
        for (dh, secret, _) in secrets([1; 32]) {
            assert_eq!(secret.dh(), dh);
        }
    }

    /// RFC 7748, 6.1.
    #[test]
    fn all_agree_as_the_rfc_does() {
        let alice = bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let shared = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        for (dh, alice, public_of_alice) in secrets(alice) {
            assert_eq!(public_of_alice, bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
            for (other, bob, public_of_bob) in secrets(bob) {
                assert_eq!(public_of_bob, bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
                assert_eq!(alice.agree(public_of_bob).as_deref(), Some(&shared), "{dh:?}");
                assert_eq!(bob.agree(public_of_alice).as_deref(), Some(&shared), "{other:?}");
            }
        }
    }

    /// The public keys of low order: 0, 1, two of order 8, and p - 1, p, p + 1.
    #[test]
    fn an_all_zero_shared_secret_is_refused_by_all() {
        for (dh, secret, _) in secrets([0x5a; 32]) {
            for weak in [
                "0000000000000000000000000000000000000000000000000000000000000000",
                "0100000000000000000000000000000000000000000000000000000000000000",
                "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            ] {
                assert!(secret.agree(bytes(weak)).is_none(), "{dh:?}, {weak}");
            }
            assert!(secret.agree([9; 32]).is_some(), "{dh:?}");
        }
    }
}
