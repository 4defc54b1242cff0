//! The reader of a peer's certificate.
//!
//! Input: a byte, then a certificate (0), or the inside of a `TBSCertificate` that is signed here (else).
//!
//! - No prefix and no longer form of a certificate that is accepted is accepted.
//! - What it says lies in the certificate: identity and signature, and the key in the message to verify.
//! - Dates count: nothing is accepted at the end of time.
//! - Where `x509-parser` reads it too, both find the same key and the same extension, once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::certificate::signed;
use sanswarm_tls::{CertificateError, Claim, Error, Provider};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A day in 2023.
const NOW: u64 = 1_700_000_000;
const ID: &str = "1.3.6.1.4.1.53594.1.1";

fn read(der: &[u8], now: u64) -> Result<Claim, CertificateError> {
    match Claim::from_certificate(der, now, Provider::Ring) {
        Ok(claim) => Ok(claim),
        Err(Error::Certificate(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|one| one == part)
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    let der = if *mode == 0 { rest.to_vec() } else { signed(rest) };
    let Ok(claim) = read(&der, NOW) else { return };
    for cut in 0..der.len() {
        assert_eq!(read(&der[..cut], NOW), Err(CertificateError::Der));
    }
    assert_eq!(read(&[&der[..], &[0]].concat(), NOW), Err(CertificateError::Der));
    assert_eq!(read(&der, u64::MAX - 1), Err(CertificateError::Expired));
    assert!(!claim.identity_key.is_empty() && contains(&der, &claim.identity_key));
    assert!(!claim.signature.is_empty() && contains(&der, &claim.signature));
    let key = claim.message.strip_prefix(b"libp2p-tls-handshake:").expect("the prefix");
    assert!(contains(&der, key));
    let Ok((behind, certificate)) = X509Certificate::from_der(&der) else { return };
    assert!(behind.is_empty());
    assert_eq!(certificate.public_key().raw, key);
    let mut values = certificate.extensions().iter().filter(|one| one.oid.to_id_string() == ID).map(|one| one.value);
    let value = values.next().expect("the extension");
    assert!(contains(value, &claim.identity_key) && contains(value, &claim.signature));
    assert!(values.next().is_none());
});
