//! One whole negotiation: both ends are made, agree, and are dropped.
//!
//! The pipe between them belongs to the connection and is there before. Ours is a `SendBuf` each way, and what is ready
//! in it is given to the other end as it is; minip2p's machines give out vectors, which are given to the other end as
//! they are; `multistream-select` wants an asynchronous pipe, and polls. What a user of a stack makes anew for each
//! negotiation is made in each round: clones of shared lists for ours, a set of names for minip2p's listener, the
//! iterators of `multistream-select`.

use std::{hint::black_box, ops::Range, rc::Rc, sync::Arc};

use futures::{executor::block_on, future::join};
use minip2p_multistream_select::{MultistreamOutput, MultistreamSelect};
use multistream_select::{Version, dialer_select_proto, listener_select_proto};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Greeting, Mode, Names, Negotiator, Offer, Outcome};
use sanswarm_wire::SendBuf;

use crate::{Bench, pipe::Duplex};

/// What the dialer offers and the listener knows.
struct Case {
    label: &'static str,
    offered: Vec<String>,
    known: Vec<String>,
}

impl Case {
    /// The name that both have: by construction the last that is offered.
    fn agreed(&self) -> &str {
        self.offered.last().expect("something is offered")
    }
}

fn names(range: Range<usize>) -> Vec<String> {
    range.map(|i| format!("/bench/protocol-{i:03}/1.0.0")).collect()
}

/// The first proposal is in the middle of what the listener knows; refused names are not known at all.
fn cases() -> Vec<Case> {
    let first = |label, known: usize| Case { label, offered: names(known / 2..known / 2 + 1), known: names(0..known) };
    vec![
        first("first, 1 known", 1),
        first("first, 8 known", 8),
        first("first, 1000 known", 1000),
        Case { label: "third of 3", offered: names(0..3), known: names(2..3) },
        Case { label: "last of 20", offered: names(0..20), known: names(19..20) },
    ]
}

/// Every case for every stack.
pub fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    for case in cases().into_iter().map(Rc::new) {
        let mut add = |who, prepare: fn(Rc<Case>) -> Box<dyn FnMut()>| {
            let (label, case) = (format!("negotiation/{}", case.label), case.clone());
            benches.push(Bench::new(label, who, 200, move || prepare(case.clone())));
        };
        add("sanswarm", |case| ours(&case, Mode::Wait));
        add("sanswarm lazy", |case| ours(&case, Mode::Lazy));
        add("multistream-select V1", |case| rust_libp2p(case, Version::V1));
        add("multistream-select V1Lazy", |case| rust_libp2p(case, Version::V1Lazy));
        add("minip2p", minip2p);
    }
    benches
}

fn ours(case: &Case, mode: Mode) -> Box<dyn FnMut()> {
    let name = |text: &str| ProtocolName::try_from(text).expect("a name");
    let offered: Offer = case.offered.iter().map(|text| name(text)).collect::<Vec<_>>().into();
    let known: Arc<Names> = Arc::new(case.known.iter().map(|text| name(text)).collect());
    let (mut there, mut back) = (SendBuf::default(), SendBuf::default());
    let mut round = move |tell: &mut dyn FnMut(&[u8])| {
        let mut dialer = Negotiator::dialer(black_box(&offered).clone(), mode);
        let mut listener = Negotiator::listener(black_box(&known).clone(), Greeting::WithReply);
        loop {
            dialer.poll_transmit(&mut there);
            let (used, outcome) = listener.handle_input(there.ready()).expect("no fault");
            there.sent(used);
            if let Some(Outcome::Agreed(name)) = &outcome {
                tell(name.as_bytes());
            }
            listener.poll_transmit(&mut back);
            let (used, outcome) = dialer.handle_input(back.ready()).expect("no fault");
            back.sent(used);
            if let Some(Outcome::Agreed(name)) = &outcome {
                return tell(name.as_bytes());
            }
        }
    };
    let mut told = Vec::new();
    round(&mut |name| told.push(name.to_vec()));
    check(&told, case);
    Box::new(move || round(&mut ignore))
}

fn rust_libp2p(case: Rc<Case>, version: Version) -> Box<dyn FnMut()> {
    let (checked, (mut near, mut far)) = (case.clone(), Duplex::pair());
    let mut round = move |tell: &mut dyn FnMut(&[u8])| {
        let (case, near, far) = (black_box(&case), &mut near, &mut far);
        let dialer = async {
            let (name, stream) = dialer_select_proto(near, case.offered.iter(), version).await.expect("agreed");
            // A lazy dialer has heard nothing yet; only this makes it an agreement.
            stream.complete().await.expect("agreed");
            name
        };
        let listener = async { listener_select_proto(far, case.known.iter()).await.expect("agreed").0 };
        let (name, heard) = block_on(join(dialer, listener));
        tell(heard.as_bytes());
        tell(name.as_bytes());
    };
    let mut told = Vec::new();
    round(&mut |name| told.push(name.to_vec()));
    check(&told, &checked);
    Box::new(move || round(&mut ignore))
}

/// It dials one protocol at a time, so a refusal costs a whole pair.
fn minip2p(case: Rc<Case>) -> Box<dyn FnMut()> {
    fn negotiate(offered: &str, known: &[String], tell: &mut dyn FnMut(&[u8])) -> bool {
        let mut dialer = MultistreamSelect::dialer(offered);
        let mut listener = MultistreamSelect::listener(known.iter().cloned());
        dialer.start();
        listener.start();
        loop {
            while let Some(output) = dialer.poll_output() {
                match output {
                    MultistreamOutput::OutboundData(bytes) => listener.on_data(&bytes),
                    MultistreamOutput::Negotiated { protocol } => {
                        tell(protocol.as_bytes());
                        return true;
                    }
                    MultistreamOutput::NotAvailable => return false,
                    MultistreamOutput::ProtocolError { reason } => panic!("{reason}"),
                }
            }
            while let Some(output) = listener.poll_output() {
                match output {
                    MultistreamOutput::OutboundData(bytes) => dialer.on_data(&bytes),
                    MultistreamOutput::Negotiated { protocol } => tell(protocol.as_bytes()),
                    MultistreamOutput::NotAvailable => {}
                    MultistreamOutput::ProtocolError { reason } => panic!("{reason}"),
                }
            }
        }
    }
    let checked = case.clone();
    let round = move |tell: &mut dyn FnMut(&[u8])| {
        let case = black_box(&case);
        assert!(case.offered.iter().any(|offered| negotiate(offered, &case.known, tell)));
    };
    let mut told = Vec::new();
    round(&mut |name| told.push(name.to_vec()));
    check(&told, &checked);
    Box::new(move || round(&mut ignore))
}

/// Both ends were told of the name that both have.
fn check(told: &[Vec<u8>], case: &Case) {
    assert_eq!(told, [case.agreed().as_bytes(); 2]);
}

/// What the user of an end does with the name, when it is time that counts.
fn ignore(name: &[u8]) {
    black_box(name);
}
