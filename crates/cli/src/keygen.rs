//! `sanswarm keygen`.

use crate::{
    args::Options,
    failure::{Failure, KeyError},
    json::Object,
    key, output,
};

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let (keypair, made) = key::load_or_make(options.key.as_deref())?;
    let peer = keypair.public().to_peer_id();
    let Some(file) = &options.key else {
        let bytes = keypair.to_protobuf_encoding();
        let private = base64(&bytes.map_err(|_| Failure::Key { file: "-".into(), cause: KeyError::Malformed })?);
        if options.json {
            let object = Object::new().flag("ok", true).text("peer", peer).flag("made", true);
            return output::line(object.text("private_key", private).end());
        }
        return output::line(format_args!("{peer} {private}"));
    };
    if !options.json {
        return output::line(peer);
    }
    let object = Object::new().flag("ok", true).text("peer", peer).flag("made", made);
    output::line(object.text("file", file.display()).end())
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let n = three.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let letter = LETTERS[n >> (18 - 6 * i) & 63];
            out.push(if i <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        // RFC 4648, section 10.
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
