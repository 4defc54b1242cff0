//! Randomness and the time of day.

use sanswarm::{Config, Keypair, TransportError};

/// 32 bytes that nobody can guess, for one handshake or one identity.
///
/// # Errors
/// The system has no randomness to give.
pub fn secret() -> Result<[u8; 32], TransportError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| TransportError::Other(0))?;
    Ok(secret)
}

/// A new Ed25519 identity.
///
/// # Errors
/// As [`secret`].
pub fn identity() -> Result<Keypair, TransportError> {
    Keypair::ed25519_from_bytes(secret()?).map_err(|_| TransportError::Other(0))
}

/// The default configuration for an identity, with a Noise key and a seed that nobody can guess.
///
/// # Errors
/// As [`secret`].
pub fn config(keypair: Keypair) -> Result<Config, TransportError> {
    let seed = secret()?.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    Ok(Config { seed, ..Config::new(keypair, secret()?) })
}

/// The Unix time in seconds, as far as the system knows it.
#[expect(clippy::disallowed_methods, reason = "an adapter reads the clock")]
pub fn unix_seconds() -> Option<u64> {
    Some(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}
