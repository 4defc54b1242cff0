//! The frame decoder and encoder.
//!
//! Input: two bytes, the limit (`limit` below), then any bytes. They are read as a line, as the text of one, and as a
//! name.
//!
//! - Reading gives what the plain reference gives, uses no more than is given, and lends the text from the input.
//! - A verdict on a front of the input never changes with more bytes, whatever they are.
//! - What is read is written as the same bytes; `encode`, `encoded_len`, `append` and `append_behind` agree, and the
//!   last two write all or nothing, into a frame or not.
//! - A limit is exact: one less refuses, any higher gives the same.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{Input, reference};
use sanswarm_multistream::{Error, HEADER_LINE, ProtocolName, append, append_behind, decode, encode, encoded_len};
use sanswarm_wire::{Framing, SendBuf};

fn limit(input: &mut Input<'_>) -> usize {
    let low = usize::from(input.byte());
    match input.byte() {
        0 => 1024,
        high @ 1..0x40 => usize::from(high - 1) << 8 | low,
        // Around every power of two: where a length takes a byte more.
        high @ 0x40..0xc0 => (1usize << (high % 64)).wrapping_add(low).wrapping_sub(128),
        _ => usize::MAX - low,
    }
}

fn read(input: &[u8], limit: usize) {
    let whole = decode(input, limit);
    let expected = reference::line(input, limit);
    assert_eq!(whole.map(|line| line.map(|line| (line.text, line.used))), expected);
    // Fronts: all while they are short, then those around the places that matter.
    let used = whole.ok().flatten().map_or(input.len(), |line| line.used);
    for cut in (0..input.len()).filter(|&cut| cut < 300 || cut.abs_diff(used) < 4) {
        let part = decode(&input[..cut], limit);
        assert!(part == Ok(None) || part == whole, "{part:?} at {cut}, then {whole:?}");
    }
    let Ok(Some(line)) = whole else {
        if whole.is_err() {
            for tail in [&b"\n"[..], b"\x00", &[0xff; 20], b"\x13/multistream/1.0.0\n"] {
                assert_eq!(decode(&[input, tail].concat(), limit), whole, "a fault that more bytes mend");
            }
        }
        return;
    };
    assert!(line.used <= input.len(), "used more than was given");
    assert!(core::ptr::eq(line.text, &input[line.used - 1 - line.text.len()..line.used - 1]), "not lent");
    let mut again = Vec::new();
    encode(line.text, &mut again);
    assert_eq!(again, &input[..line.used], "one form only");
    for tail in [&b""[..], b"\n", &[0xff; 20]] {
        assert_eq!(decode(&[&input[..line.used], tail].concat(), limit), Ok(Some(line)), "the rest matters");
    }
    let len = line.text.len() + 1;
    assert_eq!(decode(input, len), Ok(Some(line)), "a limit that it just meets");
    assert_eq!(decode(input, usize::MAX), Ok(Some(line)));
    assert_eq!(decode(input, len - 1), Err(Error::TooLong { limit: len - 1 }));
}

fn write(text: &[u8], limit: usize, room: usize) {
    let mut out = Vec::new();
    encode(text, &mut out);
    assert_eq!(out.len(), encoded_len(text));
    let back = decode(&out, limit).map(|line| line.map(|line| (line.text, line.used)));
    let fits = text.len() < limit;
    assert_eq!(back, if fits { Ok(Some((text, out.len()))) } else { Err(Error::TooLong { limit }) });
    let behind = [HEADER_LINE, &out].concat();
    let framed = limit.is_multiple_of(2);
    for room in [room % (2 * out.len()), out.len() - 1, out.len(), behind.len() - 1, behind.len()] {
        assert_eq!(appended(room, framed, |send| append(text, send)), fit(&out, room), "room for {room}");
        let both = appended(room, framed, |send| append_behind(HEADER_LINE, text, send));
        assert_eq!(both, fit(&behind, room), "room for {room}");
    }
}

/// All of it, or nothing.
fn fit(bytes: &[u8], room: usize) -> Vec<u8> {
    if bytes.len() <= room { bytes.to_vec() } else { Vec::new() }
}

/// What `append` appends where there is so much room, in a frame that is open or to what is ready at once.
fn appended(room: usize, framed: bool, append: impl Fn(&mut SendBuf) -> bool) -> Vec<u8> {
    const FRAMING: Framing = Framing { prefix: 2, suffix: 16, plain_max: 60_000 };
    let mut send = SendBuf::new(16 * 1024);
    if framed {
        send.set_framing(FRAMING);
    }
    let filled = send.control_room().saturating_sub(room);
    assert!(send.append(&[0; 16 * 1024][..filled]));
    let all = append(&mut send);
    let bytes = if framed { send.open_frame().unwrap_or_default() } else { send.ready() };
    assert_eq!(all, bytes.len() > filled, "it says whether it did");
    bytes[filled..].to_vec()
}

fn name(text: &[u8]) {
    let of_bytes = ProtocolName::try_from(text);
    let Ok(text) = core::str::from_utf8(text) else {
        assert_eq!(of_bytes, Err(Error::NameNotUtf8));
        return;
    };
    let verdict = ProtocolName::try_from(text);
    let word = ["na", "ls", "/multistream/1.0.0"].contains(&text);
    let sound = !text.is_empty() && text.len() <= 1023 && !text.contains('\n') && !word;
    assert_eq!(verdict.is_ok(), sound, "{verdict:?}");
    // In place, shared, or as they come: one name.
    let shared = ProtocolName::try_from(Arc::<str>::from(text));
    assert_eq!((&of_bytes, &shared), (&verdict, &verdict));
    if let Ok(name) = verdict {
        assert_eq!((name.as_str(), name.as_bytes(), name.to_string()), (text, text.as_bytes(), text.to_string()));
        assert_eq!(name.clone(), name);
        assert_eq!(ProtocolName::try_from(text.to_string()), Ok(name));
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let limit = limit(&mut input);
    let bytes = input.rest();
    read(bytes, limit);
    write(bytes, limit, limit ^ bytes.len());
    name(bytes);
});
