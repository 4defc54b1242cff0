//! Identities: made, kept in a file, read back.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use sanswarm::Keypair;

use crate::failure::{Failure, KeyError};

/// The largest key there is: RSA with 8,192 bits.
const FILE_MAX: u64 = 16 * 1024;

/// 32 random bytes.
pub(crate) fn secret() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Failure::Randomness)?;
    Ok(bytes)
}

/// A new Ed25519 identity.
pub(crate) fn generate() -> Result<Keypair, Failure> {
    Keypair::ed25519_from_bytes(secret()?).map_err(|_| Failure::Randomness)
}

/// The identity in `file`, which is made if it is missing; without a file a new one. Returns whether a file was made.
///
/// The file holds the private key in libp2p's protobuf encoding, as go-libp2p and rust-libp2p write it.
pub(crate) fn load_or_make(file: Option<&Path>) -> Result<(Keypair, bool), Failure> {
    let Some(file) = file else { return Ok((generate()?, false)) };
    let fail = |cause| Failure::Key { file: file.to_owned(), cause };
    match load(file) {
        Err(KeyError::Io(cause)) if cause.kind() == io::ErrorKind::NotFound => {
            let keypair = generate()?;
            save(file, &keypair).map_err(fail)?;
            Ok((keypair, true))
        }
        loaded => Ok((loaded.map_err(fail)?, false)),
    }
}

fn load(file: &Path) -> Result<Keypair, KeyError> {
    let mut bytes = Vec::new();
    fs::File::open(file).and_then(|f| f.take(FILE_MAX).read_to_end(&mut bytes)).map_err(KeyError::Io)?;
    Keypair::from_protobuf_encoding(&bytes).map_err(|_| KeyError::Malformed)
}

/// Never writes over a file, and lets nobody else read it.
fn save(file: &Path, keypair: &Keypair) -> Result<(), KeyError> {
    let bytes = keypair.to_protobuf_encoding().map_err(|_| KeyError::Malformed)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(file).map_err(KeyError::Io)?;
    let written = open.write_all(&bytes).and_then(|()| open.sync_all());
    if written.is_err() {
        // Half a key is worse than none.
        let _ = fs::remove_file(file);
    }
    written.map_err(KeyError::Io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_made() {
        let file = std::env::temp_dir().join(format!("sanswarm-key-{}", std::process::id()));
        let _ = fs::remove_file(&file);
        let (made, new) = load_or_make(Some(&file)).unwrap();
        let (kept, again) = load_or_make(Some(&file)).unwrap();
        assert!(new && !again);
        assert_eq!(made.public(), kept.public());
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap()) & 0o777, 0o600);
        fs::write(&file, b"no key").unwrap();
        assert!(matches!(load_or_make(Some(&file)), Err(Failure::Key { cause: KeyError::Malformed, .. })));
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_new_identity_each_time() {
        assert_ne!(generate().unwrap().public(), generate().unwrap().public());
    }
}
