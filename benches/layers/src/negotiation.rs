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
        add("sanswarm", |case| ours(&case, Mode::Wait, fixed));
        add("sanswarm lazy", |case| ours(&case, Mode::Lazy, fixed));
        add("sanswarm, names of run time", |case| ours(&case, Mode::Wait, made));
        add("multistream-select V1", |case| rust_libp2p(case, Version::V1));
        add("multistream-select V1Lazy", |case| rust_libp2p(case, Version::V1Lazy));
        add("minip2p", minip2p);
    }
    benches
}

/// A name as most programs have it: known when it is built.
fn fixed(text: &str) -> ProtocolName {
    ProtocolName::from_static(text.to_owned().leak())
}

/// A name that is made at run time.
fn made(text: &str) -> ProtocolName {
    ProtocolName::try_from(text).expect("a name")
}

fn ours(case: &Case, mode: Mode, name: fn(&str) -> ProtocolName) -> Box<dyn FnMut()> {
    let offered: Offer = case.offered.iter().map(|text| name(text)).collect::<Vec<_>>().into();
    let known: Arc<Names> = Arc::new(case.known.iter().map(|text| name(text)).collect());
    let agreed = Outcome::Agreed(name(case.agreed()));
    let (mut there, mut back) = (SendBuf::default(), SendBuf::default());
    let mut round = move || {
        let mut dialer = Negotiator::dialer(black_box(&offered).clone(), mode);
        let mut listener = Negotiator::listener(black_box(&known).clone(), Greeting::WithReply);
        let mut heard = None;
        loop {
            dialer.poll_transmit(&mut there);
            let (used, outcome) = listener.handle_input(there.ready()).expect("no fault");
            there.sent(used);
            heard = heard.or(outcome);
            listener.poll_transmit(&mut back);
            let (used, outcome) = dialer.handle_input(back.ready()).expect("no fault");
            back.sent(used);
            if let Some(outcome) = outcome {
                return (outcome, heard);
            }
        }
    };
    assert_eq!(round(), (agreed.clone(), Some(agreed)));
    Box::new(move || drop(black_box(round())))
}

fn rust_libp2p(case: Rc<Case>, version: Version) -> Box<dyn FnMut()> {
    fn negotiate<'a>(
        case: &'a Case,
        version: Version,
        near: &mut Duplex,
        far: &mut Duplex,
    ) -> (&'a String, &'a String) {
        let dialer = async {
            let (name, stream) = dialer_select_proto(near, case.offered.iter(), version).await.expect("agreed");
            // A lazy dialer has heard nothing yet; only this makes it an agreement.
            stream.complete().await.expect("agreed");
            name
        };
        let listener = async { listener_select_proto(far, case.known.iter()).await.expect("agreed").0 };
        block_on(join(dialer, listener))
    }
    let (mut near, mut far) = Duplex::pair();
    let (name, heard) = negotiate(&case, version, &mut near, &mut far);
    assert_eq!((name.as_str(), heard.as_str()), (case.agreed(), case.agreed()));
    Box::new(move || {
        black_box(negotiate(black_box(&case), version, &mut near, &mut far));
    })
}

/// It dials one protocol at a time, so a refusal costs a whole pair.
fn minip2p(case: Rc<Case>) -> Box<dyn FnMut()> {
    fn negotiate(offered: &str, known: &[String]) -> Option<(String, String)> {
        let mut dialer = MultistreamSelect::dialer(offered);
        let mut listener = MultistreamSelect::listener(known.iter().cloned());
        dialer.start();
        listener.start();
        let mut heard = None;
        loop {
            while let Some(output) = dialer.poll_output() {
                match output {
                    MultistreamOutput::OutboundData(bytes) => listener.on_data(&bytes),
                    MultistreamOutput::Negotiated { protocol } => return Some((protocol, heard?)),
                    MultistreamOutput::NotAvailable => return None,
                    MultistreamOutput::ProtocolError { reason } => panic!("{reason}"),
                }
            }
            while let Some(output) = listener.poll_output() {
                match output {
                    MultistreamOutput::OutboundData(bytes) => dialer.on_data(&bytes),
                    MultistreamOutput::Negotiated { protocol } => heard = Some(protocol),
                    MultistreamOutput::NotAvailable => {}
                    MultistreamOutput::ProtocolError { reason } => panic!("{reason}"),
                }
            }
        }
    }
    let round = |case: &Case| case.offered.iter().find_map(|offered| negotiate(offered, &case.known)).expect("agreed");
    assert_eq!(round(&case), (case.agreed().to_owned(), case.agreed().to_owned()));
    Box::new(move || drop(black_box(round(black_box(&case)))))
}
