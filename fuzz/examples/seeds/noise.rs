//! The seeds of the targets of noise.

use super::put;

/// Operations of an edit, as `noise::edit_once` reads them.
const CHANGE: u8 = 0;
const DROP: u8 = 1;
const PUT: u8 = 2;
const CUT: u8 = 3;
const REPEAT: u8 = 4;
const MOVE: u8 = 5;

fn edit(kind: u8, at: u16, byte: u8) -> Vec<u8> {
    [&[kind], &at.to_be_bytes()[..], &[byte]].concat()
}

fn handshakes() {
    // The dialer reads message 2: length 2, key 32, static key 48, payload. The listener message 1 (34 bytes) and 3.
    for (role, name) in [(0, "dialer"), (1, "listener")] {
        let one = |what: &str, libraries: u8, edits: &[u8]| {
            put("noise_handshake", &format!("{name}_{what}"), &[&[role, libraries, 3], edits]);
        };
        for (libraries, what) in [(0, "ring"), (4, "rustcrypto"), (8, "openssl"), (3, "two_libraries")] {
            one(&format!("honest_{what}"), libraries, &[]);
        }
        for (what, at) in [("length", 1), ("key", 10), ("static_key", 50), ("payload", 90), ("static_key_of_3", 40)] {
            one(&format!("changed_{what}"), 4, &edit(CHANGE, at, 1));
        }
        one("cut", 0, &edit(CUT, 60, 0));
        one("cut_in_the_length", 0, &edit(CUT, 1, 0));
        one("byte_dropped", 0, &edit(DROP, 20, 1));
        one("bytes_put_in", 0, &edit(PUT, 40, 9));
        one("twice", 0, &edit(REPEAT, 0, 255));
        one("swapped", 0, &edit(MOVE, 0, 34));
        one("more_behind", 0, &[edit(REPEAT, 90, 50), edit(MOVE, 90, 50)].concat());
        one("all_zero_key", 0, &[edit(DROP, 2, 32), edit(PUT, 2, 0), edit(PUT, 2, 32)].concat());
        let raw = |what: &str, bytes: &[u8]| {
            put("noise_handshake", &format!("{name}_raw_{what}"), &[&[role | 2, 4, 3], bytes])
        };
        raw("all_zero_key", &[&[0, 96][..], &[0; 96]].concat());
        raw("key_of_one", &[&[0, 32, 1][..], &[0; 31]].concat());
        raw("too_short", &[0, 31]);
        raw("too_long", &[0x40, 1]);
        raw("longest", &[&[0x40, 0][..], &[7; 300]].concat());
        raw("payload_in_message_1", &[&[0, 40][..], &[9; 40]].concat());
        raw("http", b"GET / HTTP/1.1\r\n\r\n");
    }
}

fn payloads() {
    let identity = b"\x0a\x01k\x12\x01s";
    let muxers = b"\x22\x1c\x12\x0c/yamux/1.0.0\x12\x0c/mplex/6.7.0";
    for role in [0, 1] {
        let one =
            |name: &str, parts: &[&[u8]]| put("noise_payload", &format!("{name}_{role}"), &[&[role], &parts.concat()]);
        one("empty", &[]);
        one("rust_identity_alone", &[identity]);
        one("go_and_js_muxers", &[identity, muxers]);
        one("webtransport_certhashes", &[identity, b"\x22\x06\x0a\x04hash"]);
        one("extensions_twice", &[identity, b"\x22\x03\x12\x01a\x22\x03\x12\x01b"]);
        one("empty_extensions", &[identity, b"\x22\x00"]);
        one("old_data_field", &[identity, b"\x1a\x03abc"]);
        one("key_twice", &[identity, b"\x0a\x01K"]);
        one("no_key", &[b"\x12\x01s"]);
        one("no_signature", &[b"\x0a\x01k"]);
        one(
            "unknown_of_all_wire_types",
            &[identity, b"\x28\x01\x31\x01\x02\x03\x04\x05\x06\x07\x08\x3d\x01\x02\x03\x04\x42\x01x"],
        );
        one("key_as_varint", &[identity, b"\x08\x05"]);
        one("extensions_as_varint", &[identity, b"\x20\x05"]);
        one("group", &[identity, b"\x2b\x08\x01\x2c"]);
        one("group_without_end", &[identity, b"\x2b"]);
        one("wire_type_7", &[identity, b"\x2f"]);
        one("field_zero", &[identity, b"\x02\x00"]);
        one("field_too_large", &[identity, b"\x82\x80\x80\x80\x10\x00"]);
        one("length_in_ten_bytes", &[identity, b"\x0a\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00k"]);
        one("length_of_65_bits", &[identity, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"]);
        one("length_beyond_the_end", &[identity, b"\x0a\x7f"]);
        one("extensions_beyond_their_end", &[identity, b"\x22\x02\x12\x01"]);
        one("many_muxers", &[identity, b"\x22\xbb\x02", &b"\x12\x01m".repeat(105)]);
        one("long_muxers", &[identity, b"\x22\x87\x04\x12\x81\x02", &[b'x'; 257], b"\x12\x80\x02", &[b'y'; 256]]);
    }
}

/// Operations, as the target reads them: write so many bytes as the argument squared, seal, deliver alike, edit.
fn frames() {
    let (write, seal, deliver) = (|arg| vec![0, arg], [1, 0], |arg| vec![2, arg]);
    let change = |kind: u8, at: u16, byte: u8| [&[6 + 7 * kind], &at.to_be_bytes()[..], &[byte]].concat();
    let one = |name: &str, libraries: [u8; 2], ops: &[&[u8]]| put("noise_frame", name, &[&libraries, &ops.concat()]);
    for (from, to) in [(0, 1), (1, 2), (2, 0), (2, 2)] {
        let small = [write(5), seal.to_vec(), write(2), seal.to_vec(), deliver(255)].concat();
        let large = [write(255), seal.to_vec(), deliver(255), write(60), seal.to_vec(), deliver(255)].concat();
        one(&format!("small_{from}_{to}"), [from, to], &[&small]);
        one(&format!("large_{from}_{to}"), [from, to], &[&large]);
    }
    let two = [write(4), seal.to_vec(), write(10), seal.to_vec()].concat();
    one("byte_by_byte", [0, 1], &[&two, &deliver(0).repeat(60)]);
    one("gathered", [0, 0], &[&write(9).repeat(8), &seal, &deliver(5), &deliver(200)]);
    for (name, at) in [("length", 1u16), ("text", 5), ("tag", 25), ("second_frame", 60)] {
        one(&format!("changed_{name}"), [0, 2], &[&two, &change(0, at, 1), &deliver(255)]);
    }
    one("dropped_frame", [0, 1], &[&two, &change(1, 0, 35), &deliver(255)]);
    one("repeated_frame", [0, 1], &[&two, &change(4, 0, 35), &deliver(255)]);
    one("swapped_frames", [0, 1], &[&two, &change(5, 0, 35), &deliver(255)]);
    one("cut", [0, 1], &[&two, &change(3, 50, 0), &deliver(255)]);
    one("frame_too_short", [0, 1], &[&two, &change(2, 0, 15), &deliver(255)]);
    one("longest_without_bytes", [0, 1], &[&two, &change(2, 0, 255), &deliver(255)]);
    one(
        "edited_behind_what_was_opened",
        [1, 0],
        &[&two, &deliver(6), &change(0, 3, 9), &deliver(255), &two, &deliver(255)],
    );
}

pub(crate) fn seeds() {
    handshakes();
    payloads();
    frames();
}
