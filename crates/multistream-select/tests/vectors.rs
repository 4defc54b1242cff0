//! The rows of the conformance table, by bytes, and the states.

use std::sync::Arc;

use sanswarm_multistream as multistream;
use sanswarm_multistream::{HEADER_LINE, ProtocolName};
use sanswarm_multistream_select::{Error, Greeting, Limits, Mode, Names, Negotiator, Outcome};
use sanswarm_wire::SendBuf;

const NOISE: ProtocolName = ProtocolName::from_static("/noise");
const TLS: ProtocolName = ProtocolName::from_static("/tls/1.0.0");
const BARE: ProtocolName = ProtocolName::from_static("bare");

fn listener() -> Negotiator {
    Negotiator::listener(Arc::new(Names::new([NOISE, TLS, BARE])), Greeting::WithReply)
}

fn dialer() -> Negotiator {
    Negotiator::dialer(Arc::new([TLS, NOISE]), Mode::Wait)
}

fn after_header(rest: &[u8]) -> Vec<u8> {
    [HEADER_LINE, rest].concat()
}

fn sent(negotiator: &mut Negotiator) -> Vec<u8> {
    let mut send = SendBuf::default();
    let n = negotiator.poll_transmit(&mut send);
    assert_eq!(n, send.ready().len());
    assert!(!negotiator.is_due());
    send.ready().to_vec()
}

fn agreed(name: ProtocolName) -> Option<Outcome> {
    Some(Outcome::Agreed(name))
}

fn malformed() -> Vec<(&'static [u8], multistream::Error)> {
    vec![
        (b"\x00", multistream::Error::ZeroLength),
        (b"\x07/noise!", multistream::Error::NoNewline),
        (b"\x87\x00/noise\n", multistream::Error::NotMinimal),
        (b"\x81\x08", multistream::Error::TooLong { limit: 1024 }),
        (b"\xff\xff", multistream::Error::TooLong { limit: 1024 }),
    ]
}

#[test]
fn malformed_messages_are_errors_for_both_ends_before_and_after_the_header() {
    for (bytes, error) in malformed() {
        for mut negotiator in [listener(), dialer()] {
            let mut second = negotiator.clone();
            assert_eq!(negotiator.handle_input(bytes), Err(Error::Line(error)));
            assert_eq!(negotiator.handle_input(HEADER_LINE), Err(Error::Line(error)), "it stays");
            assert_eq!(negotiator.handle_eof(), Error::Line(error), "it stays");
            assert_eq!(second.handle_input(&after_header(bytes)), Err(Error::Line(error)));
        }
    }
}

#[test]
fn a_listener_answers_na_to_whatever_it_does_not_know() {
    let proposals: [&[u8]; 13] = [
        b"\x01\n",                                               // an empty name
        b"\x06noise\n",                                          // no slash
        b"\x03\xff\xfe\n",                                       // not UTF-8
        b"\x0e/noise\n/noise\n",                                 // a newline inside
        b"\x08/noise \n",                                        // a trailing space
        b"\x08/noise\r\n",                                       // a trailing CR
        b"\x09/noise/2\n",                                       // a longer name
        b"\x13/multistream/1.0.0\n",                             // a second header, as go and py answer it
        b"\x03na\n",                                             // `na` proposed
        b"\x03ls\n",                                             // a list is asked for, as go answers it
        b"\x1d/libp2p/simultaneous-connect\n",                   // retired
        b"\x09\x07/noise\n\n",                                   // a list proposed
        b"\x2f/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", // 47 bytes: the length looks like a slash
    ];
    for proposal in proposals {
        let mut listener = listener();
        let input = after_header(proposal);
        assert_eq!(listener.handle_input(&input), Ok((input.len(), None)), "{}", proposal.escape_ascii());
        assert_eq!(sent(&mut listener), after_header(b"\x03na\n"));
        let text = &proposal[1..proposal.len() - 1];
        assert_eq!(listener.refused().map(|seen| seen.as_bytes()), Some(&text[..text.len().min(40)]));
        assert_eq!(listener.handle_input(b"\x07/noise\n\x00"), Ok((8, agreed(NOISE))));
        assert_eq!(sent(&mut listener), b"\x07/noise\n");
    }
}

#[test]
fn a_name_without_a_slash_is_ordinary() {
    let mut listener = listener();
    assert_eq!(listener.handle_input(&after_header(b"\x05bare\n")), Ok((26, agreed(BARE))));
}

#[test]
fn the_header_comes_first() {
    for mut negotiator in [listener(), dialer()] {
        let Err(Error::NoHeader { seen }) = negotiator.handle_input(b"\x07/noise\n") else { panic!("no header") };
        assert_eq!((seen.as_bytes(), seen.is_cut()), (&b"/noise"[..], false));
    }
    let mut dialer = dialer();
    assert!(matches!(dialer.handle_input(b"\x03na\n"), Err(Error::NoHeader { .. })));
    let mut listener = listener();
    assert!(matches!(listener.handle_input(b"\x13/multistream/1.0.1\n"), Err(Error::NoHeader { .. })));
    assert!(!listener.is_due(), "nothing is owed to who does not speak multistream");
}

#[test]
fn a_dialer_takes_the_name_in_turn_or_na_and_nothing_else() {
    let header_twice = after_header(HEADER_LINE);
    assert_eq!(dialer().handle_input(&header_twice), Err(Error::SecondHeader));
    let answers: [(&[u8], &[u8]); 7] = [
        (b"\x07/noise\n", b"/noise"), // not its turn yet
        (b"\x05/foo\n", b"/foo"),
        (b"\x0c/tls/1.0.0 \n", b"/tls/1.0.0 "),
        (b"\x01\n", b""),
        (b"\x03ls\n", b"ls"),
        (b"\x0d\x0b/tls/1.0.0\n\n", b"\x0b/tls/1.0.0\n"), // a list, as js and rust write it
        (b"\x0c/tls/1.0.0\n\n", b"/tls/1.0.0\n"),         // a list, as py writes it
    ];
    for (bytes, text) in answers {
        let mut dialer = dialer();
        let Err(Error::Unexpected { seen }) = dialer.handle_input(&after_header(bytes)) else { panic!("unexpected") };
        assert_eq!(seen.as_bytes(), text);
        assert!(!dialer.is_due());
    }
}

#[test]
fn a_dialer_goes_through_its_names() {
    let mut dialer = dialer();
    assert_eq!(sent(&mut dialer), after_header(b"\x0b/tls/1.0.0\n"));
    assert_eq!(dialer.offered(), [TLS]);
    assert_eq!(dialer.handle_input(&after_header(b"\x03na\n")), Ok((24, None)));
    assert_eq!(sent(&mut dialer), b"\x07/noise\n");
    assert_eq!(dialer.offered(), [TLS, NOISE]);
    let mut refused = dialer.clone();
    assert_eq!(dialer.handle_input(b"\x07/noise\nrest"), Ok((8, agreed(NOISE))));
    assert_eq!(dialer.handle_input(b"rest"), Ok((0, None)), "over");
    assert_eq!(dialer.handle_eof(), Error::Agreed);
    assert_eq!(refused.handle_input(b"\x03na\n\x03na\n"), Ok((4, Some(Outcome::Refused))));
    assert_eq!(refused.handle_input(b"\x03na\n"), Ok((0, None)), "over");
    assert_eq!(refused.handle_eof(), Error::Refused);
}

#[test]
fn an_early_answer_does_not_swallow_a_proposal() {
    let mut dialer = dialer();
    let input = after_header(b"\x03na\n\x07/noise\n");
    assert_eq!(dialer.handle_input(&input), Ok((input.len(), agreed(NOISE))));
    assert_eq!(sent(&mut dialer), after_header(b"\x0b/tls/1.0.0\n\x07/noise\n"));
}

#[test]
fn an_empty_list_is_refused_without_a_word() {
    let mut dialer = Negotiator::dialer(Arc::new([]), Mode::Lazy);
    assert!(!dialer.is_due() && dialer.lazy().is_none());
    assert_eq!(dialer.handle_input(b""), Ok((0, Some(Outcome::Refused))));
}

#[test]
fn lazy_is_for_one_name_that_has_been_written() {
    let mut dialer = Negotiator::dialer(Arc::new([NOISE]), Mode::Lazy);
    assert_eq!(dialer.lazy(), None);
    let mut out = Vec::new();
    assert_eq!(dialer.encode(27, &mut out), 20, "whole messages only");
    assert_eq!(dialer.lazy(), None);
    assert_eq!(dialer.encode(8, &mut out), 8);
    assert_eq!(out, after_header(b"\x07/noise\n"));
    assert_eq!(dialer.lazy(), Some(&NOISE));
    let mut refused = dialer.clone();
    assert_eq!(dialer.handle_input(&after_header(b"\x07/noise\n")), Ok((28, agreed(NOISE))));
    assert_eq!(refused.handle_input(&after_header(b"\x03na\n")), Ok((24, Some(Outcome::Refused))));
    assert_eq!(refused.lazy(), None);

    let mut several = Negotiator::dialer(Arc::new([TLS, NOISE]), Mode::Lazy);
    sent(&mut several);
    assert_eq!(several.lazy(), None);
}

#[test]
fn go_0_24_pipelines_three_messages() {
    let flight = after_header(b"\x1d/libp2p/simultaneous-connect\n\x07/noise\n");
    let mut listener = listener();
    assert_eq!(listener.handle_input(&flight), Ok((flight.len(), agreed(NOISE))));
    assert_eq!(sent(&mut listener), after_header(b"\x03na\n\x07/noise\n"));
}

#[test]
fn rust_is_lazy_and_its_noise_message_is_left() {
    let mut flight = after_header(b"\x07/noise\n\x00\x20");
    flight.extend([7; 32]);
    assert_eq!(flight.len(), 62);
    let mut listener = listener();
    assert_eq!(listener.handle_input(&flight), Ok((28, agreed(NOISE))));
    assert_eq!(sent(&mut listener), after_header(b"\x07/noise\n"));
}

#[test]
fn payload_behind_a_refusal_is_no_fault_of_the_peer() {
    let payloads: [&[u8]; 3] = [b"\x00\x20", b"\x16\x03\x01\x00\xf4aaaaaaaaaaaaaaaaaaaaaaaaaaa", b"\xff\xff"];
    for payload in payloads {
        let mut listener = listener();
        let flight = [&after_header(b"\x05/foo\n"), payload].concat();
        assert_eq!(listener.handle_input(&flight), Err(Error::Refused));
        assert_eq!(sent(&mut listener), after_header(b"\x03na\n"), "the dialer still learns it");
    }
}

#[test]
fn a_greeting_comes_at_once_or_with_the_reply() {
    let names = Arc::new(Names::new([NOISE]));
    let mut at_once = Negotiator::listener(names.clone(), Greeting::AtOnce);
    assert_eq!(sent(&mut at_once), HEADER_LINE);
    assert_eq!(at_once.handle_input(HEADER_LINE), Ok((20, None)));
    assert!(!at_once.is_due(), "one header only");

    let mut with_reply = Negotiator::listener(names, Greeting::WithReply);
    assert!(!with_reply.is_due());
    assert_eq!(with_reply.handle_input(HEADER_LINE), Ok((20, None)));
    assert_eq!(sent(&mut with_reply), HEADER_LINE, "py waits for it");
    assert_eq!(with_reply.handle_input(b"\x07/noise\n"), Ok((8, agreed(NOISE))));
    assert_eq!(sent(&mut with_reply), b"\x07/noise\n");
}

#[test]
fn the_end_of_the_input_means_something_in_every_state() {
    let foo = &after_header(b"\x05/foo\n")[..];
    let table: [(Negotiator, &[u8], Error); 12] = [
        (listener(), b"", Error::Eof),
        (listener(), b"\x13/multi", Error::EofInMessage),
        (listener(), HEADER_LINE, Error::Eof),
        (listener(), b"\x13/multistream/1.0.0\n\x07/no", Error::EofInMessage),
        (listener(), foo, Error::Refused),
        (listener(), b"\x13/multistream/1.0.0\n\x05/foo\n\x22pay", Error::Refused),
        (listener(), b"\x13/multistream/1.0.0\n\x07/noise\n", Error::Agreed),
        (dialer(), b"", Error::Eof),
        (dialer(), b"\x13", Error::EofInMessage),
        (dialer(), HEADER_LINE, Error::Eof),
        (dialer(), b"\x13/multistream/1.0.0\n\x03na\n", Error::Refused),
        (dialer(), b"\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n", Error::Agreed),
    ];
    for (mut negotiator, input, error) in table {
        assert!(negotiator.handle_input(input).is_ok());
        assert_eq!(negotiator.handle_eof(), error, "{}", input.escape_ascii());
        assert_eq!(negotiator.handle_eof(), error);
        let after = if error == Error::Agreed { Ok((0, None)) } else { Err(error) };
        assert_eq!(negotiator.handle_input(b"\x03na\n"), after);
    }
}

#[test]
fn a_limit_is_exact_and_named() {
    let limits = Limits { proposals: 3, message_bytes: 30, ..Limits::default() };
    let mut listener = listener().with_limits(limits);
    let three = after_header(&b"\x05/foo\n".repeat(3));
    assert_eq!(listener.handle_input(&three), Ok((three.len(), None)));
    assert_eq!(listener.handle_input(b"\x07/noise\n"), Err(Error::TooManyProposals { limit: 3 }));
    assert_eq!(sent(&mut listener), after_header(&b"\x03na\n".repeat(3)));

    let mut dialer = dialer().with_limits(limits);
    let limit = Error::Line(multistream::Error::TooLong { limit: 30 });
    assert_eq!(dialer.handle_input(&after_header(b"\x1f")), Err(limit));
}

#[test]
fn no_limit_is_below_the_header() {
    let mut listener = listener().with_limits(Limits { message_bytes: 0, ..Limits::default() });
    assert_eq!(listener.handle_input(&HEADER_LINE[..5]), Ok((0, None)));
    let exact = multistream::Error::TooLong { limit: HEADER_LINE.len() - 1 };
    assert_eq!(listener.clone().handle_input(&after_header(b"\x14")), Err(Error::Line(exact)));
    assert_eq!(listener.handle_input(&after_header(b"\x07/noise\n")), Ok((28, agreed(NOISE))));
}

#[test]
fn a_thousand_refusals_are_a_counter() {
    let mut listener = listener();
    let flight = after_header(&[&b"\x05/foo\n".repeat(999)[..], b"\x07/noise\n"].concat());
    assert_eq!(listener.handle_input(&flight), Ok((flight.len(), agreed(NOISE))));
    let mut out = Vec::new();
    while listener.encode(25, &mut out) > 0 {}
    assert_eq!(out, after_header(&[&b"\x03na\n".repeat(999)[..], b"\x07/noise\n"].concat()));
}

#[test]
fn a_small_buffer_takes_whole_messages() {
    let mut store = [0; 31];
    let mut negotiator = dialer();
    assert_eq!(negotiator.encode(usize::MAX, &mut &mut store[..]), 20);
    assert_eq!(negotiator.encode(usize::MAX, &mut &mut store[..11]), 0);
    assert_eq!(negotiator.encode(usize::MAX, &mut &mut store[..12]), 12);
    assert_eq!(negotiator.encode(usize::MAX, &mut &mut store[..]), 0);
}

#[test]
fn a_dialer_is_due_while_it_owes_something() {
    let mut dialer = dialer();
    assert!(dialer.is_due(), "header and proposal");
    let mut out = Vec::new();
    assert_eq!(dialer.encode(20, &mut out), 20);
    assert!(dialer.is_due(), "the proposal");
    assert_eq!(dialer.encode(usize::MAX, &mut out), 12, "the header goes once");
    assert!(!dialer.is_due(), "it has to hear an answer");
    assert_eq!(dialer.handle_input(&after_header(b"\x03na\n")).unwrap(), (24, None));
    assert!(dialer.is_due(), "the next proposal");
    assert_eq!(dialer.encode(usize::MAX, &mut out), 8);
    assert!(!dialer.is_due());
    assert_eq!(dialer.handle_input(b"\x03na\n").unwrap(), (4, Some(Outcome::Refused)));
    assert!(!dialer.is_due());
    assert_eq!(dialer.encode(usize::MAX, &mut out), 0);
}

#[test]
fn a_query_and_a_listener_are_due_while_they_owe_something() {
    let mut query = Negotiator::query();
    let mut out = Vec::new();
    assert!(query.is_due());
    assert_eq!(query.encode(20, &mut out), 20);
    assert!(query.is_due(), "the question");
    assert_eq!(query.encode(3, &mut out), 0);
    assert_eq!(query.encode(4, &mut out), 4);
    assert!(!query.is_due());
    assert_eq!(out, after_header(b"\x03ls\n"));

    for (input, owed) in [(&b""[..], &b""[..]), (b"\x03/a\n", b"\x03na\n")] {
        let mut listener = listener();
        assert!(!listener.is_due());
        assert!(listener.handle_input(HEADER_LINE).is_ok());
        assert!(listener.is_due(), "the header");
        assert_eq!(sent(&mut listener), HEADER_LINE);
        assert!(listener.handle_input(input).is_ok());
        assert_eq!(listener.is_due(), !owed.is_empty(), "a refusal alone");
        assert_eq!(sent(&mut listener), owed);
    }

    let mut listener = listener();
    assert!(!listener.is_due());
    assert!(listener.handle_input(&after_header(b"\x03/a\n\x07/noise\n")).is_ok());
    let mut out = Vec::new();
    for (room, written) in [(19, 0), (20, 20), (3, 0), (4, 4), (7, 0), (8, 8)] {
        assert!(listener.is_due());
        assert_eq!(listener.encode(room, &mut out), written, "room for {room}");
    }
    assert!(!listener.is_due());
    assert_eq!(out, after_header(b"\x03na\n\x07/noise\n"));
}
