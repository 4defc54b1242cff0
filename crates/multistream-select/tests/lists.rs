//! `ls`, predicates, nesting, and the bound over all proposals.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use sanswarm_multistream::{HEADER_LINE, ProtocolName};
use sanswarm_multistream_select::{Error, Greeting, Limits, Mode, Names, Negotiator, Outcome, State};

const NOISE: ProtocolName = ProtocolName::from_static("/noise");
const TLS: ProtocolName = ProtocolName::from_static("/tls/1.0.0");

fn listener(names: Names) -> Negotiator {
    Negotiator::listener(Arc::new(names), Greeting::WithReply)
}

fn known() -> Names {
    Names::new([TLS, NOISE])
}

fn after_header(rest: &[u8]) -> Vec<u8> {
    [HEADER_LINE, rest].concat()
}

fn sent(negotiator: &mut Negotiator) -> Vec<u8> {
    let mut out = Vec::new();
    negotiator.encode(usize::MAX, &mut out);
    out
}

#[test]
fn a_query_asks_in_one_flight_and_reads_the_three_answers() {
    let mut query = Negotiator::query();
    assert_eq!(sent(&mut query), after_header(b"\x03ls\n"));
    assert!(!query.is_due() && query.offered().is_empty() && query.lazy().is_none() && query.refused().is_none());
    let answers: [(&[u8], Outcome); 5] = [
        (b"\x03na\n", Outcome::Refused),                                            // go
        (b"\x15\x07/noise\n\x0b/tls/1.0.0\n\n", Outcome::Listed(vec![NOISE, TLS])), // js, rust
        (b"\x13/noise\n/tls/1.0.0\n\n", Outcome::Listed(vec![NOISE, TLS])),         // py
        (b"\x01\n", Outcome::Listed(vec![])),
        (b"\x15\x13/multistream/1.0.0\n\n", Outcome::Listed(vec![])), // what is no protocol is left out
    ];
    for (answer, outcome) in answers {
        let mut query = query.clone();
        let input = after_header(answer);
        for cut in 0..input.len() {
            let mut query = query.clone();
            let (used, none) = query.handle_input(&input[..cut]).unwrap();
            assert_eq!(none, None);
            assert_eq!(query.handle_input(&input[used..]), Ok((input.len() - used, Some(outcome.clone()))));
        }
        assert_eq!(query.handle_input(&[&input[..], b"more"].concat()), Ok((input.len(), Some(outcome))));
        assert_eq!(query.handle_input(b"more"), Ok((0, None)), "over");
    }
}

#[test]
fn what_is_no_list_names_itself() {
    for answer in [&b"\x07/noise\n"[..], b"\x03ls\n", HEADER_LINE, b"\x08\x07/noise\n"] {
        let mut query = Negotiator::query();
        let error = query.handle_input(&after_header(answer)).unwrap_err();
        assert!(matches!(error, Error::NoList { seen } if seen.as_bytes() == &answer[1..answer.len() - 1]), "{error}");
        assert_eq!(query.handle_eof(), error);
        assert!(!query.is_due(), "nothing more to ask");
    }
    let mut query = Negotiator::query().with_limits(Limits { list_bytes: 100, ..Limits::default() });
    assert!(matches!(query.handle_input(&after_header(&[101])), Err(Error::Line(_))));
    let mut query = Negotiator::query();
    assert_eq!(query.handle_input(&after_header(&[0xff, 0x7f])), Ok((20, None)), "longer than any other message");
    assert_eq!(query.handle_eof(), Error::EofInMessage);
}

#[test]
fn a_list_is_told_once_and_in_its_place() {
    let mut listener = listener(known().with_list());
    let flight = after_header(b"\x03/a\n\x03ls\n\x03/b\n\x03ls\n\x03/c\n\x07/noise\n");
    assert_eq!(listener.handle_input(&flight), Ok((flight.len(), Some(Outcome::Agreed(NOISE)))));
    let list = b"\x15\x07/noise\n\x0b/tls/1.0.0\n\n";
    let answers = [HEADER_LINE, b"\x03na\n", list, b"\x03na\n\x03na\n\x03na\n", b"\x07/noise\n"].concat();
    assert_eq!(sent(&mut listener), answers);
}

#[test]
fn a_list_alone_refuses_nothing() {
    let mut listener = listener(known().with_list());
    assert_eq!(listener.handle_input(&after_header(b"\x03ls\n")).unwrap(), (24, None));
    assert_eq!((listener.refused(), listener.state()), (None, State::WantsProposal));
    assert_eq!(listener.handle_eof(), Error::Eof);
    let mut out = Vec::new();
    assert_eq!(listener.encode(41, &mut out), 20);
    assert!(listener.is_due(), "the list alone");
    assert_eq!(sent(&mut listener).len(), 22, "still told");
    assert!(!listener.is_due());
}

#[test]
fn no_list_by_default_nor_one_that_is_too_long() {
    let long = (0..20).map(|i| ProtocolName::try_from(format!("/{i:01000}")).unwrap());
    for names in [known(), Names::new(long).with_list()] {
        let mut listener = listener(names);
        assert_eq!(listener.handle_input(&after_header(b"\x03ls\n")).unwrap(), (24, None));
        assert_eq!(sent(&mut listener), after_header(b"\x03na\n"));
    }
}

#[test]
fn a_predicate_accepts_a_range_of_versions() {
    let names = known().with_predicate(|name| name.as_str().starts_with("/chat/1."));
    let mut accepted = listener(names.clone());
    let flight = after_header(b"\x0c/chat/2.0.0\n\x0c/chat/1.7.0\n");
    let chat = ProtocolName::from_static("/chat/1.7.0");
    assert_eq!(accepted.handle_input(&flight), Ok((flight.len(), Some(Outcome::Agreed(chat)))));
    assert_eq!(sent(&mut accepted), after_header(b"\x03na\n\x0c/chat/1.7.0\n"));
    assert_eq!(accepted.refused().map(|seen| seen.as_bytes()), Some(&b"/chat/2.0.0"[..]));

    let mut exact = listener(names);
    assert_eq!(exact.handle_input(&after_header(b"\x07/noise\n")), Ok((28, Some(Outcome::Agreed(NOISE)))));
}

#[test]
fn negotiations_nest() {
    let mut dialer = Negotiator::dialer(Arc::new([ProtocolName::NESTED]), Mode::Wait);
    let flight = sent(&mut dialer);
    assert_eq!(flight, [HEADER_LINE, HEADER_LINE].concat());
    let mut outer = listener(Names::new([NOISE, ProtocolName::NESTED]));
    assert_eq!(outer.handle_input(&flight), Ok((40, Some(Outcome::Agreed(ProtocolName::NESTED)))));
    let reply = sent(&mut outer);
    assert_eq!(reply, flight);
    assert_eq!(dialer.handle_input(&reply), Ok((40, Some(Outcome::Agreed(ProtocolName::NESTED)))));

    let mut dialer = Negotiator::dialer(Arc::new([NOISE]), Mode::Wait);
    let mut inner = listener(known());
    let flight = sent(&mut dialer);
    assert_eq!(inner.handle_input(&flight), Ok((28, Some(Outcome::Agreed(NOISE)))), "from the header on");
    assert_eq!(dialer.handle_input(&sent(&mut inner)), Ok((28, Some(Outcome::Agreed(NOISE)))));

    let mut flat = listener(known());
    assert_eq!(flat.handle_input(&[HEADER_LINE, HEADER_LINE].concat()), Ok((40, None)));
    assert_eq!(sent(&mut flat), after_header(b"\x03na\n"), "who does not nest refuses");
}

#[test]
fn all_proposals_together_are_bounded() {
    let limits = Limits { total_bytes: 16, ..Limits::default() };
    let mut exact = listener(known()).with_limits(limits);
    assert_eq!(exact.handle_input(&after_header(b"\x03/a\n\x03/b\n\x07/noise\n")).unwrap().0, 36);
    let mut over = listener(known()).with_limits(limits);
    let flight = after_header(b"\x04/ab\n\x03/c\n\x07/noise\n");
    for cut in [flight.len(), 30, 36] {
        let mut over = over.clone();
        let (mut used, mut result) = (0, over.handle_input(&flight[..cut]));
        if let Ok((n, None)) = result {
            used += n;
            result = over.handle_input(&flight[used..]);
        }
        assert_eq!(result, Err(Error::TooManyBytes { limit: 16 }), "cut at {cut}");
    }
    assert_eq!(over.handle_input(&flight), Err(Error::TooManyBytes { limit: 16 }));
    assert_eq!(sent(&mut over), after_header(b"\x03na\n\x03na\n"), "what came before is answered");

    let mut flood = listener(known());
    let name = [&[0x80, 0x08][..], &[b'/'; 1023], b"\n"].concat();
    let flood_bytes = after_header(&name.repeat(128));
    assert_eq!(flood.handle_input(&flood_bytes), Err(Error::TooManyBytes { limit: 131_072 }), "few and long");
}

#[test]
fn the_state_tells_what_it_waits_for() {
    let mut dialer = Negotiator::dialer(Arc::new([NOISE]), Mode::Wait);
    assert_eq!(dialer.state(), State::WantsHeader);
    dialer.handle_input(HEADER_LINE).unwrap();
    assert_eq!(dialer.state(), State::WantsAnswer);
    dialer.handle_input(b"\x03na\n").unwrap();
    assert_eq!(dialer.state(), State::Refused);
}
