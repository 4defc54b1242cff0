//! Handshakes and ciphers against whole connections of rustls, with any certificate and any behaviour.

#![cfg(any(feature = "ring", feature = "aws-lc"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    end, end_with,
    foreign::{Foreign, Peer},
    goodbye, muxers, open, provider,
    recipe::{ECDSA_SHA1, OTHER, Recipe, extension},
    seal, sent, try_open,
};
use rustls::{CipherSuite, server::Acceptor, version::TLS12};
use sanswarm_tls::{Alert, CertificateError, Cipher, Claim, Error, Handshake};
use sanswarm_wire::{Role, SendBuf};

/// Runs both until none has anything to send. Says yes to the claim.
fn talk(ours: &mut Handshake, theirs: &mut Foreign) -> Result<Option<Claim>, Error> {
    let mut claimed = None;
    while !ours.is_done() {
        theirs.take(&sent(ours)).unwrap();
        if ours.is_done() {
            break;
        }
        let back = theirs.sent();
        assert!(!back.is_empty());
        let (used, claim) = ours.handle_input(&back)?;
        if let Some(claim) = claim {
            ours.handle_verdict(true)?;
            claimed = Some(claim);
        }
        assert_eq!(used, back.len());
    }
    Ok(claimed)
}

/// A cipher of ours, of the role given, with its peer.
fn connected(role: Role, peer: Peer) -> (Cipher, Foreign) {
    let mut ours = end(role);
    let mut theirs = if role.is_dialer() { peer.server() } else { peer.client() };
    // A server's tickets come behind its handshake, to the cipher.
    let claim = if role.is_dialer() {
        theirs.take(&sent(&mut ours)).unwrap();
        let (_, claim) = ours.handle_input(&theirs.sent()).unwrap();
        ours.handle_verdict(true).unwrap();
        theirs.take(&sent(&mut ours)).unwrap();
        claim
    } else {
        talk(&mut ours, &mut theirs).unwrap()
    };
    assert_eq!(claim.unwrap().identity_key, "identity");
    (ours.finish().unwrap().0, theirs)
}

#[test]
fn each_cipher_suite_works_in_both_roles() {
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        for role in [Role::Dialer, Role::Listener] {
            let (mut ours, mut theirs) = connected(role, Peer { suite: Some(suite), ..Peer::default() });
            for text in ["one", "two", &"three".repeat(3000)] {
                theirs.take(&seal(&mut ours, text.as_bytes())).unwrap();
                assert_eq!(theirs.read(), text.as_bytes(), "{suite:?}");
                assert_eq!(open(&mut ours, &theirs.write(text.as_bytes())), text.as_bytes(), "{suite:?}");
            }
        }
    }
}

#[test]
fn without_anything_in_the_way_aes_128_is_chosen() {
    let mut theirs = Peer::default().server();
    talk(&mut end(Role::Dialer), &mut theirs).unwrap();
    assert_eq!(theirs.0.negotiated_cipher_suite().unwrap().suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
}

#[test]
fn tickets_of_a_server_are_skipped() {
    let (mut ours, mut theirs) = connected(Role::Dialer, Peer::default());
    let tickets = theirs.sent();
    assert!(tickets.len() > 100, "a server of rustls gives some");
    assert_eq!(open(&mut ours, &[tickets, theirs.write(b"payload")].concat()), b"payload");
}

#[test]
fn a_key_update_is_followed_and_answered() {
    for role in [Role::Dialer, Role::Listener] {
        let (mut ours, mut theirs) = connected(role, Peer::default());
        open(&mut ours, &theirs.sent());
        for text in [&b"one"[..], b"two", b"three"] {
            theirs.0.refresh_traffic_keys().unwrap();
            assert_eq!(open(&mut ours, &theirs.write(text)), text);
            // What was open goes before the answer.
            let mut send = SendBuf::default();
            send.set_framing(Cipher::framing());
            assert!(send.append(text));
            assert_eq!(ours.seal(&mut send), Ok(true));
            assert_eq!(send.ready().len(), 5 + text.len() + 17 + 5 + 5 + 17);
            theirs.take(send.ready()).unwrap();
            assert_eq!(theirs.read(), text);
            assert_eq!(ours.seal(&mut send), Ok(false), "once");
            theirs.take(&seal(&mut ours, b"with new keys")).unwrap();
            assert_eq!(theirs.read(), b"with new keys");
        }
        theirs.0.refresh_traffic_keys().unwrap();
        open(&mut ours, &theirs.sent());
        let mut send = SendBuf::default();
        assert_eq!(ours.seal(&mut send), Ok(true), "without an open frame the answer goes alone");
        theirs.take(send.ready()).unwrap();
        theirs.take(&goodbye(&mut ours)).unwrap();
    }
}

#[test]
fn too_many_key_updates_are_refused() {
    let (mut ours, mut theirs) = connected(Role::Listener, Peer::default());
    let mut updates = 0;
    let mut update = |theirs: &mut Foreign, ours: &mut Cipher| {
        theirs.0.refresh_traffic_keys().unwrap();
        updates += 1;
        try_open(ours, &theirs.sent()).map(|_| ())
    };
    for _ in 0..32 {
        assert_eq!(update(&mut theirs, &mut ours), Ok(()));
    }
    assert_eq!(open(&mut ours, &theirs.write(b"payload")), b"payload", "counts anew from here");
    for _ in 0..32 {
        assert_eq!(update(&mut theirs, &mut ours), Ok(()));
    }
    assert_eq!(update(&mut theirs, &mut ours), Err(Error::KeyUpdates { limit: 32 }));
    assert_eq!(updates, 65);
}

#[test]
fn goodbyes_are_understood() {
    for role in [Role::Dialer, Role::Listener] {
        let (mut ours, mut theirs) = connected(role, Peer::default());
        open(&mut ours, &theirs.sent());
        let last = seal(&mut ours, b"last");
        theirs.take(&[last, goodbye(&mut ours)].concat()).unwrap();
        assert_eq!(theirs.read(), b"last");
        assert!(theirs.0.process_new_packets().unwrap().peer_has_closed());
        assert!(!ours.is_closed());
        theirs.0.send_close_notify();
        assert_eq!(open(&mut ours, &theirs.sent()), b"");
        assert!(ours.is_closed());
    }
}

#[test]
fn protocols_decide_as_the_spec_says() {
    let (yamux, mplex) = ("/yamux/1.0.0", "/mplex/6.7.0");
    for (offered, agreed) in [
        (vec!["h2", mplex, yamux, "libp2p"], Ok(Some(mplex))),
        (vec!["libp2p", yamux], Ok(None)),
        (vec!["libp2p"], Ok(None)),
        (vec![], Ok(None)),
        (vec!["h2"], Err(Error::NoProtocol)),
    ] {
        let mut ours = end_with(Role::Listener, |c| c.muxers = muxers(&[yamux, mplex]));
        let mut theirs = Peer { protocols: offered.clone(), ..Peer::default() }.client();
        match talk(&mut ours, &mut theirs) {
            Ok(_) => {
                let muxer = ours.finish().unwrap().1.muxer;
                assert_eq!(Ok(muxer.as_deref()), agreed.map(|name| name.map(str::as_bytes)));
            }
            Err(error) => {
                assert_eq!(Err(error), agreed, "{offered:?}");
                let alert = theirs.take(&sent(&mut ours)).unwrap_err();
                assert_eq!(alert.to_string(), "received fatal alert: NoApplicationProtocol");
            }
        }
    }
    // A server that knows no protocols, and one that knows only others.
    let mut ours = end(Role::Dialer);
    talk(&mut ours, &mut Peer { protocols: vec![], ..Peer::default() }.server()).unwrap();
    assert_eq!(ours.finish().unwrap().1.muxer, None);
    let mut theirs = Peer { protocols: vec!["h2"], ..Peer::default() }.server();
    let mut ours = end(Role::Dialer);
    theirs.take(&sent(&mut ours)).unwrap_err();
    assert_eq!(ours.handle_input(&theirs.sent()), Err(Error::Alert(Alert(120))));
}

#[test]
fn our_hello_has_no_server_name_and_offers_muxers_before_libp2p() {
    let mut ours = end_with(Role::Dialer, |c| c.muxers = muxers(&["/yamux/1.0.0", "/mplex/6.7.0"]));
    let (mut acceptor, hello) = (Acceptor::default(), sent(&mut ours));
    acceptor.read_tls(&mut &hello[..]).unwrap();
    let Ok(Some(accepted)) = acceptor.accept() else { panic!("no hello") };
    assert_eq!(accepted.client_hello().server_name(), None);
    let protocols: Vec<_> = accepted.client_hello().alpn().unwrap().collect();
    assert_eq!(protocols, [&b"/yamux/1.0.0"[..], b"/mplex/6.7.0", b"libp2p"]);
}

#[test]
fn a_server_name_is_ignored() {
    let mut theirs = Peer { server_name: "example.org", ..Peer::default() }.client();
    assert!(talk(&mut end(Role::Listener), &mut theirs).unwrap().is_some());
}

#[test]
fn a_server_may_want_no_certificate() {
    let mut ours = end(Role::Dialer);
    assert!(talk(&mut ours, &mut Peer { asks: false, ..Peer::default() }.server()).unwrap().is_some());
    assert!(ours.finish().is_ok());
}

#[test]
fn tls_1_2_is_refused_on_either_side() {
    let mut ours = end(Role::Listener);
    let mut theirs = Peer { versions: vec![&TLS12], ..Peer::default() }.client();
    assert_eq!(talk(&mut ours, &mut theirs), Err(Error::Version));
    assert_eq!(theirs.take(&sent(&mut ours)).unwrap_err().to_string(), "received fatal alert: ProtocolVersion");
    let mut theirs = Peer { versions: vec![&TLS12], ..Peer::default() }.server();
    let mut ours = end(Role::Dialer);
    theirs.take(&sent(&mut ours)).unwrap_err();
    assert_eq!(ours.handle_input(&theirs.sent()), Err(Error::Alert(Alert(70))));
}

/// A hello of a server that takes TLS 1.2, which no rustls sends to ours.
#[test]
fn a_server_that_chooses_tls_1_2_is_refused() {
    let body = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2b, 0]].concat();
    let hello = [&[0x16, 3, 3, 0, 42, 2, 0, 0, 38][..], &body].concat();
    let mut ours = end(Role::Dialer);
    sent(&mut ours);
    assert_eq!(ours.handle_input(&hello), Err(Error::Version));
    assert_eq!(sent(&mut ours), [0x15, 3, 3, 0, 2, 2, 70], "protocol_version");
}

#[test]
fn alerts_in_the_clear_are_believed_if_they_are_fatal() {
    for role in [Role::Dialer, Role::Listener] {
        let mut ours = end(role);
        sent(&mut ours);
        assert_eq!(ours.handle_input(&[0x15, 3, 3, 0, 2, 2, 42]), Err(Error::Alert(Alert(42))), "{role:?}");
        assert!(sent(&mut ours).is_empty(), "no alert for an alert");
        // A goodbye that nobody can have signed means nothing, but there may not be many.
        let mut ours = end(role);
        let mut results = (0..20).map(|_| ours.handle_input(&[0x15, 3, 3, 0, 2, 1, 0]));
        assert_eq!(results.next(), Some(Ok((7, None))));
        assert_eq!(results.last(), Some(Err(Error::Misbehaved)));
    }
}

#[test]
fn bad_certificates_end_it_on_either_side_with_an_alert() {
    use CertificateError as E;
    let dates = |from: &[u8], to: &[u8]| Recipe {
        not_before: common::recipe::tlv(0x17, &[from]),
        not_after: common::recipe::tlv(0x17, &[to]),
        ..Recipe::default()
    };
    for (recipe, error, alert) in [
        (Recipe { forged: true, ..Recipe::default() }, E::SelfSignature, "CertificateUnknown"),
        (Recipe { extensions: None, ..Recipe::default() }, E::NoExtension, "CertificateUnknown"),
        (Recipe::extensions(&[extension(OTHER, &[1, 1, 0xff], b"")]), E::Critical, "BadCertificate"),
        (Recipe { behind: vec![0], ..Recipe::default() }, E::Der, "BadCertificate"),
        (Recipe { algorithm: ECDSA_SHA1.to_vec(), ..Recipe::default() }, E::Algorithm, "CertificateUnknown"),
        (dates(b"230101000000Z", b"230102000000Z"), E::Expired, "CertificateExpired"),
        (dates(b"240101000000Z", b"250102000000Z"), E::NotYetValid, "CertificateExpired"),
    ] {
        for role in [Role::Dialer, Role::Listener] {
            let (mut ours, peer) = (end(role), Peer::new(recipe.make()));
            let mut theirs = if role.is_dialer() { peer.server() } else { peer.client() };
            let refused = talk(&mut ours, &mut theirs);
            assert_eq!(refused, Err(Error::Certificate(error)), "{role:?}");
            let heard = theirs.take(&sent(&mut ours)).unwrap_err().to_string();
            assert_eq!(heard, format!("received fatal alert: {alert}"), "{error}");
            assert!(matches!(ours.finish(), Err(Error::Certificate(e)) if e == error));
        }
    }
}

#[test]
fn just_one_certificate_is_accepted() {
    for role in [Role::Dialer, Role::Listener] {
        let mut peer = Peer::default();
        peer.certificates.push(Recipe::default().make().der);
        let mut theirs = if role.is_dialer() { peer.server() } else { peer.client() };
        let refused = talk(&mut end(role), &mut theirs);
        assert_eq!(refused, Err(Error::Certificate(CertificateError::Several)), "{role:?}");
    }
    let mut theirs = Peer { shows: false, ..Peer::default() }.client();
    let mut ours = end(Role::Listener);
    assert_eq!(talk(&mut ours, &mut theirs), Err(Error::Certificate(CertificateError::Missing)));
    let heard = theirs.take(&sent(&mut ours)).unwrap_err().to_string();
    assert!(heard.contains("CertificateRequired"), "{heard}");
}

/// Somebody else's certificate is of no use without its key.
#[test]
fn a_stolen_certificate_is_refused() {
    for role in [Role::Dialer, Role::Listener] {
        let peer = Peer { certificates: vec![Recipe::default().make().der], ..Peer::default() };
        let mut theirs = if role.is_dialer() { peer.server() } else { peer.client() };
        assert_eq!(talk(&mut end(role), &mut theirs), Err(Error::Authentication), "{role:?}");
    }
}

#[test]
fn certificates_with_ed25519_keys_work() {
    for role in [Role::Dialer, Role::Listener] {
        let peer = Peer::new(Recipe { ed25519: true, ..Recipe::default() }.make());
        let mut theirs = if role.is_dialer() { peer.server() } else { peer.client() };
        assert_eq!(talk(&mut end(role), &mut theirs).unwrap().unwrap().identity_key, "identity", "{role:?}");
    }
    assert!(provider().is_available());
}
