//! Randomness and the time of day.

use sanswarm::TransportError;

/// 32 bytes that nobody can guess, for one handshake or one identity.
///
/// # Errors
/// The system has no randomness to give.
pub fn secret() -> Result<[u8; 32], TransportError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| TransportError::Other(0))?;
    Ok(secret)
}

/// The Unix time in seconds, as far as the system knows it.
#[expect(clippy::disallowed_methods, reason = "an adapter reads the clock")]
pub fn unix_seconds() -> Option<u64> {
    Some(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}
