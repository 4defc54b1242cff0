//! Writes the committed seeds of the targets of negotiation, of Noise, TLS and plaintext, of three of yamux's, of perf's, of WebSocket's, of
//! the swarm's and of `connection_sealed`: `cargo run --example seeds` in `fuzz`.
//!
//! They are conversations that real peers have (go, js, py, rust), and malformed ones, each as the target's header
//! says. Where a format changes, this changes with it, and the seeds are written anew. Files that it does not know it
//! leaves.

use std::fs;

use sanswarm_fuzz::{
    KNOWN,
    certificate::{body, libp2p, tlv},
};

#[path = "seeds/noise.rs"]
mod noise;

const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";
const NA: &[u8] = b"\x03na\n";
const LS: &[u8] = b"\x03ls\n";
const NOISE: &[u8] = b"\x07/noise\n";
const TLS: &[u8] = b"\x0b/tls/1.0.0\n";
const SIMULTANEOUS: &[u8] = b"\x1d/libp2p/simultaneous-connect\n";
/// The default of every field of the limits.
const LIMITS: &[u8] = &[0; 4];
/// Bytes as they are, up to the end.
const RAW: u8 = 15;

fn put(target: &str, name: &str, parts: &[&[u8]]) {
    let directory = format!("seeds/{target}");
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(format!("{directory}/{name}"), parts.concat()).expect("a file");
}

/// A list of known names as the targets read it.
fn names(list: &[&str]) -> Vec<u8> {
    let place = |name: &&str| {
        if *name == "/multistream/1.0.0" {
            return 0x7f;
        }
        KNOWN.iter().position(|known| known == name).expect("a known name") as u8
    };
    [vec![list.len() as u8], list.iter().map(place).collect()].concat()
}

fn line(text: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    sanswarm_fuzz::transcript::line(text, &mut line);
    line
}

/// Steps of the model of a swarm. In each step the first byte says what is done, the others with what.
fn swarm_scenarios() -> Vec<(&'static str, Vec<[u8; 3]>)> {
    let (dial, cancel, dialed, refused, accept, ready) = ([0, 1, 1], [2, 0, 0], [3, 0, 0], [4, 0, 0], 5, 6);
    let wait = |i: u8| [12, i, 0];
    let inbound = |host: u8, id: u8| [[accept, host, 0], [ready, 0, id]];
    let flood: Vec<_> = (0..6).flat_map(|i| inbound(i, i)).collect();
    vec![
        ("dialled_and_ready", vec![dial, dialed, [ready, 0, 1], [14, 0, 1], wait(7), [14, 0, 0], wait(7)]),
        ("every_address_fails", vec![dial, refused, refused, refused, refused, wait(7), dial, refused]),
        ("staggered_and_cancelled", vec![dial, wait(2), wait(2), wait(2), cancel]),
        (
            "both_dial",
            [vec![dial, dialed], inbound(1, 1).to_vec(), vec![[ready, 1, 1], wait(5), wait(5), wait(7)]].concat(),
        ),
        ("names_lead_to_names", vec![[0, 1, 3], [17, 0, 3], [17, 0, 3], [17, 0, 4], [17, 1, 1], wait(4), wait(5)]),
        ("too_many_are_trimmed", [flood.clone(), vec![wait(6), wait(6), wait(7)]].concat()),
        (
            "kept_and_protected",
            [vec![[15, 1, 0], [16, 2, 0]], flood.clone(), vec![wait(7), [15, 1, 1], wait(7)]].concat(),
        ),
        ("blocked_and_let_in", [flood.clone(), vec![[19, 1, 8], wait(1), [0, 1, 1], [19, 1, 9], [0, 1, 1]]].concat()),
        (
            "blocked_while_dialled",
            vec![[0, 1, 1], [0, 1, 3], wait(2), [19, 1, 8], [19, 0, 0], [0, 2, 7], wait(2), wait(2)],
        ),
        (
            "only_the_allowed",
            [vec![[19, 1, 10], [19, 0, 6]], flood.clone(), vec![[19, 1, 11], [accept, 4, 0]]].concat(),
        ),
        ("gates", [vec![[20, 0, 255]], flood.clone(), vec![dial, dialed, [ready, 0, 1], [20, 0, 0], dial]].concat()),
        ("memory_is_short", [flood.clone(), vec![[21, 0, 3], dial, [accept, 1, 0], [21, 0, 0], dial]].concat()),
        (
            "listens",
            vec![
                [22, 1, 0],
                [22, 1, 0],
                [22, 1, 1],
                [22, 7, 1],
                [22, 2, 0],
                [22, 3, 0],
                [22, 1, 2],
                [22, 1, 3],
                [22, 2, 8],
                [22, 1, 4],
                [25, 0, 0],
            ],
        ),
        (
            "signed_records",
            vec![[23, 1, 5], [23, 2, 4], [23, 3, 6], [18, 0, 4], [18, 1, 0], [18, 2, 0], [18, 3, 0], [23, 1, 1]],
        ),
        ("shut_down_in_use", [flood, vec![[14, 0, 1], [25, 0, 0], [0, 1, 1], wait(4), wait(7), [9, 0, 0]]].concat()),
        ("shut_down_with_dials_waiting", vec![[0, 1, 1], [0, 2, 1], [0, 3, 1], [0, 4, 1], [0, 0, 2], [25, 0, 0]]),
        ("remembered_and_forgiven", vec![[18, 1, 0], [18, 1, 4], [0, 1, 0], refused, [18, 1, 2], [0, 1, 0]]),
    ]
}

/// What a dialer sends: the peers' first flights, then the table of malformed input.
fn from_dialers() -> Vec<(&'static str, Vec<u8>)> {
    let behind = |rest: &[u8]| [HEADER, rest].concat();
    let noise_message = [&b"\x00\x20"[..], &[0x5a; 32]].concat();
    let client_hello = b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03";
    vec![
        ("rust_lazy_noise", behind(&[NOISE, &noise_message].concat())),
        ("js_noise", behind(NOISE)),
        ("py_header_only", HEADER.to_vec()),
        ("go_024_simultaneous_connect", behind(&[SIMULTANEOUS, NOISE].concat())),
        ("go_refused_then_agreed", behind(&[TLS, NOISE].concat())),
        ("go_yamux_with_its_ping", behind(b"\x0d/yamux/1.0.0\n\x00\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")),
        ("js_identify", behind(b"\x0f/ipfs/id/1.0.0\n")),
        ("rust_ping_with_payload", behind(&[b"\x11/ipfs/ping/1.0.0\n", &[7; 32][..]].concat())),
        ("lazy_noise_behind_refusal", behind(&[TLS, &noise_message].concat())),
        ("lazy_hello_behind_refusal", behind(&[SIMULTANEOUS, client_hello].concat())),
        ("ls", behind(LS)),
        ("ls_twice_then_a_name", behind(&[LS, LS, NOISE].concat())),
        ("na_behind_ls_and_an_end_inside", behind(&[TLS, LS, b"\x07/no"].concat())),
        ("zero_length", behind(b"\x00")),
        ("no_newline", behind(b"\x07/noise!")),
        ("length_not_minimal", behind(b"\x87\x00/noise\n")),
        ("length_without_end", behind(&[0xff; 10])),
        ("empty_name", behind(b"\x01\n\x07/noise\n")),
        ("name_without_slash", behind(b"\x06noise\n\x07/noise\n")),
        ("name_not_utf8", behind(b"\x04/\xff\xfe\n\x07/noise\n")),
        ("newline_inside", behind(b"\x0e/noise\n/noise\n")),
        ("trailing_space", behind(b"\x08/noise \n\x08/noise\r\n\x07/noise\n")),
        ("first_is_no_header", NOISE.to_vec()),
        ("another_version", b"\x13/multistream/1.0.1\n\x07/noise\n".to_vec()),
        ("header_twice", behind(&[HEADER, NOISE].concat())),
        ("na_proposed", behind(&[NA, NOISE].concat())),
        ("list_proposed", behind(b"\x09\x07/noise\n\n\x07/noise\n")),
        ("length_47_is_a_slash", behind(&line(&[&b"/"[..], &[b'a'; 45]].concat()))),
        ("http", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("ends_in_the_header", HEADER[..7].to_vec()),
        ("ends_in_a_name", behind(&NOISE[..4])),
        ("ends_in_a_name_behind_refusal", behind(&[TLS, &NOISE[..4]].concat())),
    ]
}

/// What a listener sends: as those of go, js, py and rust do, then the table of malformed input.
fn from_listeners() -> Vec<(&'static str, Vec<u8>)> {
    let behind = |rest: &[u8]| [HEADER, rest].concat();
    vec![
        ("agreed", behind(NOISE)),
        ("agreed_with_payload", behind(&[NOISE, b"\x00\x60", &[0x5a; 96][..]].concat())),
        ("refused_then_agreed", behind(&[NA, TLS].concat())),
        ("all_refused", behind(&NA.repeat(3))),
        ("go_at_once", HEADER.to_vec()),
        ("go_ls", behind(NA)),
        ("js_list", behind(b"\x14\x07/noise\n\x0b/tls/1.0.0\n")),
        ("js_list_of_one", behind(b"\x09\x07/noise\n\n")),
        ("py_list", behind(b"\x08/noise\n\n")),
        ("list_of_nothing", behind(b"\x01\n")),
        ("js_header_again", behind(&[HEADER, NOISE].concat())),
        ("zero_length", behind(b"\x00")),
        ("no_newline", behind(b"\x07/noise!")),
        ("length_not_minimal", behind(b"\x83\x00na\n")),
        ("length_without_end", [0xff; 10].to_vec()),
        ("empty_answer", behind(b"\x01\n")),
        ("another_name", behind(b"\x05/foo\n")),
        ("name_not_in_turn", behind(TLS)),
        ("trailing_space", behind(b"\x08/noise \n")),
        ("newline_inside", behind(b"\x08/noise\n\n")),
        ("echo_without_header", NOISE.to_vec()),
        ("na_without_header", [NA, TLS].concat()),
        ("lazy_answers_ls", behind(LS)),
        ("ends_in_an_answer", behind(&NOISE[..4])),
        ("ends_in_an_answer_behind_refusal", behind(&[NA, &TLS[..4]].concat())),
    ]
}

fn dialer() {
    let list = names(&["/noise", "/tls/1.0.0", "/yamux/1.0.0"]);
    for (name, wire) in from_listeners() {
        put("dialer", name, &[&[0, 5], LIMITS, &list, &[RAW], &wire]);
    }
    put("dialer", "lazy", &[&[1, 3], LIMITS, &names(&["/noise"]), &[RAW], HEADER, NOISE, b"\x00\x60"]);
    put("dialer", "lazy_and_refused", &[&[1, 3], LIMITS, &names(&["/noise"]), &[RAW], HEADER, NA]);
    put("dialer", "lazy_and_a_fault", &[&[1, 3], LIMITS, &names(&["/noise"]), &[RAW], HEADER, TLS]);
    put("dialer", "lazy_and_shared", &[&[5, 3], LIMITS, &names(&["/noise"]), &[RAW], HEADER, NOISE, b"\x00\x60"]);
    put("dialer", "no_names", &[&[0, 3], LIMITS, &names(&[]), &[RAW], HEADER]);
    put("dialer", "nested", &[&[0, 3], LIMITS, &names(&["/multistream/1.0.0"]), &[0, 0, 0]]);
    for (name, wire) in from_listeners().into_iter().filter(|(name, _)| name.contains("list") || *name == "go_ls") {
        put("dialer", &format!("query_{name}"), &[&[2, 9], LIMITS, &[0, RAW], &wire]);
    }
    put("dialer", "narrow_limits", &[&[0, 3, 2, 1, 9, 1, 1, 9], &list, &[0, 1, 8, 0, 40]]);
    put("dialer", "longest_message", &[&[0, 3], LIMITS, &[1, 0xc0, 0x03, 0xfe, 0, 3, 0]]);
    put("dialer", "message_too_long", &[&[0, 3], LIMITS, &list, &[0, 8, 0x04, 0x00]]);
}

fn listener() {
    let list = names(&["/noise", "/yamux/1.0.0", "/ipfs/ping/1.0.0", "/ipfs/id/1.0.0"]);
    for (name, wire) in from_dialers() {
        let flags = if name.starts_with("ls") || name.contains("_ls") { 4 } else { 1 };
        put("listener", name, &[&[flags, 11], LIMITS, &list, &[RAW], &wire]);
    }
    put("listener", "ls_untold", &[&[0, 11], LIMITS, &list, &[RAW], HEADER, LS]);
    put("listener", "predicate", &[&[2, 11], LIMITS, &names(&["/tls/1.0.0"]), &[RAW], HEADER, b"\x0b/noise/2.0\n"]);
    put("listener", "predicate_and_no_names", &[&[2, 11], LIMITS, &list, &[0, 1, 2, 7, 0, 7, 1, 0xff, 4, 1]]);
    put("listener", "nested", &[&[1, 11], LIMITS, &names(&["/multistream/1.0.0"]), &[0, 0, 0]]);
    put("listener", "long_name", &[&[0, 8], LIMITS, &list, &[0, 8, 0x03, 0xff]]);
    put("listener", "py_long_name", &[&[0, 8], LIMITS, &list, &[0, 8, 0x04, 0x4b]]);
    put(
        "listener",
        "a_thousand_proposals",
        &[&[0, 8], LIMITS, &list, &[0, 2, 14, 255, 14, 255, 14, 255, 14, 234, 2, 2]],
    );
    put("listener", "many_bytes", &[&[0, 8, 0, 0, 7, 2, 0x08, 0x00], &list, &[0, 8, 0x03, 0xff, 14, 3]]);
    put("listener", "as_many_bytes_as_allowed", &[&[0, 8, 0, 0, 0, 1, 8], &list, &[0, 3, 0]]);
    put("listener", "one_byte_too_many", &[&[0, 8, 0, 0, 0, 1, 7], &list, &[0, 3, 0]]);
    put("listener", "message_as_long_as_allowed", &[&[0, 8, 4, 20, 0, 0, 0], &list, &[0, 8, 0, 19, 8, 0, 20]]);
    put("listener", "three_proposals", &[&[0, 8, 3, 0, 4, 0], &list, &[0, 1, 2, 7, 2, b'/', b'a', 3, 0]]);
}

fn pair() {
    let list = |all: &[&[&str]]| all.iter().flat_map(|list| names(list)).collect::<Vec<_>>();
    let security = list(&[&["/tls/1.0.0", "/noise"], &["/noise"]]);
    let muxer = list(&[&["/yamux/1.0.0", "/mplex/6.7.0"], &["/mplex/6.7.0", "/yamux/1.0.0"]]);
    let stream = list(&[&["/ipfs/ping/1.0.0"], &["/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"]]);
    let payload = [&[34, 0, 32][..], &[0x5a; 32], b"\x08\x07/noise\n"].concat();
    let pieces: Vec<u8> = (0..60u8).map(|n| n.wrapping_mul(37)).collect();
    let byte_by_byte = [0xf0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0xf1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3].repeat(8);
    let three = [security.clone(), muxer, stream.clone()].concat();
    let one = |flags, lists: &[u8], ops: &[u8], name: &str| {
        put("negotiation_pair", name, &[&[flags, 0], lists, &payload, ops])
    };
    put("negotiation_pair", "three_layers", &[&[0, 2], &three, &payload, &pieces]);
    put("negotiation_pair", "three_layers_byte_by_byte", &[&[2, 2], &three, &payload, &byte_by_byte]);
    put("negotiation_pair", "three_layers_lazily", &[&[1, 2], &three, &payload, &pieces]);
    put("negotiation_pair", "list_in_the_last_layer", &[&[64 | 8, 2], &three, &payload, &pieces]);
    one(1, &stream, &pieces, "lazy");
    one(1, &list(&[&["/tls/1.0.0"], &["/noise"]]), &pieces, "lazy_and_refused");
    one(2, &list(&[&["/tls/1.0.0"], &["/noise"]]), &byte_by_byte, "refused");
    one(4, &list(&[&["/nois", "/noise/2"], &["/tls/1.0.0"]]), &pieces, "predicate");
    one(0, &list(&[&[], &["/noise"]]), &pieces, "no_names");
    one(64, &list(&[&[], &["/noise"]]), &pieces, "list_untold");
    one(0, &list(&[&["/multistream/1.0.0"], &["/multistream/1.0.0"]]), &pieces, "nested");
    let inject = |direction, at, bytes: &[u8]| [&[16, 0, direction, 0, at, bytes.len() as u8], bytes].concat();
    put("negotiation_pair", "injected_header", &[&inject(0, 20, HEADER), &security, &payload, &pieces]);
    put("negotiation_pair", "injected_na", &[&inject(1, 20, NA), &security, &payload, &pieces]);
    put("negotiation_pair", "injected_inside_a_message", &[&inject(0, 25, b"\x00"), &security, &payload, &pieces]);
    let narrow = [[2, 1, 9, 2, 1, 9], [3, 2, 2, 1, 30, 0]].concat();
    put("negotiation_pair", "narrow_limits", &[&[32, 0], &narrow, &security, &payload, &pieces]);
}

fn differential() {
    let target = "negotiation_differential";
    let known = names(&["/noise", "/yamux/1.0.0"]);
    for (name, wire) in from_dialers() {
        put(target, &format!("listener_{name}"), &[&[1], &known, &[RAW], &wire]);
    }
    put(target, "listener_list", &[&[5], &known, &[RAW], HEADER, LS, NOISE, b"payload"]);
    put(target, "listener_list_behind_refusal", &[&[5], &known, &[RAW], HEADER, TLS, LS, &NOISE[..4]]);
    let long: Vec<_> = (0..17).flat_map(|n| [0xc0 + n, 3, 0xf0]).collect();
    put(target, "listener_long_list", &[&[5, 17], &long, &[RAW], HEADER, LS]);
    put("listener", "ls_of_a_long_list", &[&[4, 11], LIMITS, &[17], &long, &[RAW], HEADER, LS]);
    put("listener", "ls_of_a_longish_list", &[&[4, 11], LIMITS, &[15], &long[..45], &[RAW], HEADER, LS]);
    put(target, "listener_slashless_name_known", &[&[1], &names(&["noise"]), &[RAW], HEADER, b"\x06noise\n"]);
    put(target, "listener_long_message", &[&[1], &known, &[0, 8, 0x04, 0x00, 3, 0]]);
    put(target, "listener_wide_limits", &[&[9], &known, &[0, 8, 0x3f, 0xfd, 3, 0]]);
    let proposals = &[0, 4, 1, 14, 255, 14, 255, 14, 255, 14, 240, 3, 0];
    put(target, "listener_many_proposals", &[&[1], &known, proposals]);
    put(target, "listener_any_number_of_proposals", &[&[9], &known, proposals]);
    let offer = names(&["/noise", "/tls/1.0.0", "/yamux/1.0.0"]);
    for (name, wire) in from_listeners() {
        put(target, &format!("dialer_{name}"), &[&[0], &offer, &[RAW], &wire]);
        put(target, &format!("lazy_{name}"), &[&[2], &names(&["/noise"]), &[RAW], &wire]);
    }
    put(target, "dialer_of_no_names", &[&[0], &names(&[]), &[RAW], HEADER]);
    put(
        target,
        "dialer_of_a_slashless_name",
        &[&[0], &names(&["/noise", "noise"]), &[RAW], HEADER, NA, b"\x06noise\n"],
    );
}

fn framing() {
    let plain: [(&str, &[u8]); 12] = [
        ("header", HEADER),
        ("na", NA),
        ("rust_flight", b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20"),
        ("js_list", b"\x14\x07/noise\n\x0b/tls/1.0.0\n"),
        ("empty_text", b"\x01\n"),
        ("zero_length", b"\x00"),
        ("no_newline", b"\x03nax"),
        ("not_minimal", b"\x83\x00na\n"),
        ("cut", b"\x13/multi"),
        ("limit_just_met_by_its_length", b"\x80\x08"),
        ("one_beyond_the_limit", b"\x81\x08"),
        ("nine_bytes_of_length", &[0xff; 10]),
    ];
    for (name, bytes) in plain {
        put("multistream_line", name, &[&[0, 0], bytes]);
    }
    put("multistream_line", "any_limit", &[&[0, 0xff], &[0xff; 8], &[0x7f]]);
    put("multistream_line", "limit_of_nothing", &[&[0, 1], NA]);
    put("multistream_line", "two_bytes_of_length", &[&[0, 0], &line(&[b'a'; 200])]);
    put("multistream_line", "longest", &[&[0, 0], &line(&[b'a'; 1023])]);
    put("multistream_line", "name_in_place", &[&[0, 0], b"/this/name/has/thirty-one/bytes"]);
    put("multistream_line", "name_shared", &[&[0, 0], b"/this/name/has/thirty-two/bytes/"]);
    put("multistream_line", "name_not_utf8", &[&[0, 0], b"/\xff\xfe"]);
}

fn headers() {
    let target = "multistream_header";
    let select = b"/ipfs/QmdRKVhvzyATs3L6dosSb6w8hKuqfZK2SyPVqcYJ5VLYa2/multistream-select/0.3.0";
    let dht = b"/ipfs/QmVXZiejj3sXEmxuQxF2RjmFbEiE9w7T82xDn3uYNuhbFb/ipfs-dht/0.2.3";
    put(target, "first_multistream_select", &[&[16, 0], &line(select), &line(dht), b"\x03na\n"]);
    put(target, "first_refusal", &[&[16, 0], &line(select), NA]);
    put(target, "first_list", &[&[16, 0], &line(select), LS]);
    put(target, "http_path", &[&[16, 0], &line(b"/http/w3id.org/ipfs/ipfs-1.1.0.json"), b"{}"]);
    put(target, "written_then_payload", &[&[4, 3, 3], b"gzp", &[4], b"json", &[0], b"payload"]);
    put(target, "too_deep", &[&[2, 3, 1], b"a", &[1], b"b", &[1], b"c", b"hello"]);
    put(target, "depth_zero", &[&[0, 1, 1], b"a"]);
    put(target, "example_of_the_spec_against_its_prose", &[&[16, 0], b"\x06/json/{\"a\""]);
    put(target, "no_slash", &[&[16, 0], NA]);
    put(target, "newline_inside", &[&[16, 0], b"\x05/a\nb\n"]);
    put(target, "cut", &[&[16, 0], b"\x05/js"]);
    put(target, "payload_is_a_header", &[&[16, 1, 2], b"js", &line(b"/inner"), b"\x03/a"]);
    put(target, "longest_path", &[&[16, 0], &line(&[&b"/"[..], &[b'a'; 1022]].concat())]);
}

const SYN: u8 = 1;
const ACK: u8 = 2;
const FIN: u8 = 4;
const RST: u8 = 8;
/// Lengths as `yamux::frame` reads them: 128 and 252 KiB, a window, one byte more, and four bytes that follow.
const HALF: &[u8] = &[0xa0];
const NEARLY: &[u8] = &[0xbf];
const WINDOW: &[u8] = &[0xfe];
const WINDOW_AND_ONE: &[u8] = &[0xff];
const ALL: &[u8] = &[0xc0, 0xff, 0xff, 0xff, 0xff];

/// A frame of a case: its operation, type, flags, stream and length.
fn frame(kind: u8, flags: u8, stream: u8, length: &[u8]) -> Vec<u8> {
    [&[0, kind, flags, stream], length].concat()
}

fn data(flags: u8, stream: u8, length: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, length)
}

fn window(flags: u8, stream: u8, length: &[u8]) -> Vec<u8> {
    frame(1, flags, stream, length)
}

/// What dialers send to a listener: as go, js, py and rust do, then the table of malformed input.
fn yamux_dialers() -> Vec<(&'static str, Vec<u8>)> {
    let open = window(SYN, 1, &[0]);
    let go = [open.clone(), data(0, 1, &[90]), window(FIN, 1, &[0])].concat();
    let rust = [data(SYN, 1, &[90]), data(FIN, 1, &[0])].concat();
    let js = [frame(2, SYN, 0, &[7]), window(SYN, 1, &[0x80 + 63]), data(0, 1, &[33]), window(FIN, 1, &[0])].concat();
    let then = |frames: &[Vec<u8>]| [&open[..], &frames.concat()].concat();
    vec![
        ("go_stream", go),
        ("rust_stream", rust),
        ("js_ping_and_credit", js),
        ("py_two_streams", [window(SYN, 1, &[0]), window(SYN, 3, &[0]), data(0, 3, &[9]), data(0, 1, &[9])].concat()),
        ("rust_drops_its_stream", then(&[data(0, 1, &[20]), data(RST, 1, &[0])])),
        ("reset_with_a_code", then(&[window(RST, 1, &[0x7f])])),
        ("open_write_finish_in_one", data(SYN | FIN, 1, &[40])),
        ("open_and_finish_by_window_update", window(SYN | FIN, 1, &[0])),
        ("go_away", then(&[frame(3, 0, 0, &[0])])),
        ("go_away_protocol_error", frame(3, 0, 0, &[1])),
        ("half_a_window_twice", then(&[data(0, 1, HALF), data(0, 1, HALF), data(0, 1, HALF)])),
        ("a_whole_window_and_more", then(&[data(0, 1, WINDOW), data(0, 1, &[1])])),
        ("unknown_flags", then(&[data(0x80, 1, &[9])])),
        ("version_1", then(&[frame(0, 0x40, 1, &[0])])),
        ("unknown_type", then(&[frame(4, 0x20, 1, &[0])])),
        ("over_the_window", then(&[data(0, 1, WINDOW_AND_ONE)])),
        ("over_the_window_in_two", then(&[data(0, 1, NEARLY), data(FIN, 1, WINDOW)])),
        ("over_the_window_on_syn", data(SYN, 1, WINDOW_AND_ONE)),
        ("four_gibibytes", then(&[data(0, 1, ALL)])),
        ("four_gibibytes_for_nobody", data(0, 9, ALL)),
        ("a_window_and_one_for_nobody", data(0, 9, WINDOW_AND_ONE)),
        ("a_window_for_nobody", [data(0, 9, WINDOW), open.clone()].concat()),
        ("long_reset", then(&[data(RST, 1, WINDOW_AND_ONE)])),
        ("credit_overflow", then(&[window(0, 1, ALL)])),
        ("credit_overflow_on_syn", window(SYN, 1, ALL)),
        ("wrong_parity", window(SYN, 2, &[0])),
        ("syn_of_stream_zero", window(SYN, 0, &[0])),
        ("data_of_stream_zero", data(0, 0, &[4])),
        ("window_update_of_stream_zero", window(0, 0, &[4])),
        ("reset_of_stream_zero", window(RST, 0, &[0])),
        ("syn_twice", then(&[window(SYN, 1, &[0])])),
        ("data_after_fin", then(&[data(FIN, 1, &[3]), data(0, 1, &[5]), data(FIN, 1, &[0])])),
        ("credit_after_fin", then(&[window(FIN, 1, &[0]), window(0, 1, &[0x80 + 8])])),
        ("all_of_an_unknown_stream", [data(ACK, 5, &[3]), window(FIN, 5, &[3]), data(RST, 5, &[3])].concat()),
        ("pong_unasked", frame(2, ACK, 0, &[0x7f])),
        ("ping_and_pong_in_one", frame(2, SYN | ACK, 0, &[5])),
        ("ping_without_flags", frame(2, 0, 0, &[5])),
        ("ping_of_an_unknown_stream", frame(2, SYN, 9, &[5])),
        ("ping_of_a_stream", then(&[frame(2, SYN, 1, &[5])])),
        ("many_pings", frame(2, SYN, 0, &[5]).repeat(20)),
        ("many_streams", (0..18).flat_map(|n| window(SYN, 2 * n + 1, &[0])).collect()),
        ("id_again_after_reset", then(&[data(RST, 1, &[0]), window(SYN, 1, &[0]), data(0, 1, &[3])])),
    ]
}

fn yamux_targets() {
    for (name, frames) in yamux_dialers() {
        put("yamux_frame", name, &[&[0, 5], &frames]);
        put("yamux_differential", name, &[&[0], &frames]);
    }
    let place = |op, place| [op, place];
    // In `yamux_frame`: 10 read, 11 open, 12 finish, 13 reset, 14 stop, 15 go away.
    let answers = [data(ACK, 1, &[20]), window(0, 1, HALF), data(FIN, 1, &[0])].concat();
    put("yamux_frame", "ours_is_answered", &[&[1, 5, 11], &answers, &place(12, 0)]);
    put("yamux_frame", "ours_is_reset", &[&[1, 5, 11], &data(RST, 1, &[0]), &place(13, 0)]);
    let body = data(SYN, 1, WINDOW);
    put(
        "yamux_frame",
        "read_and_credit",
        &[&[0, 9], &body, &[10, 0, 0x20, 0], &data(0, 1, HALF), &[10, 0, 0xff, 0xff]],
    );
    put("yamux_frame", "stopped_reader", &[&[0, 9], &body, &place(14, 0), &data(0, 1, WINDOW), &data(FIN, 1, HALF)]);
    put("yamux_frame", "both_finish", &[&[0, 9], &data(SYN | FIN, 1, &[9]), &place(12, 0), &window(SYN, 1, &[0])]);
    put(
        "yamux_frame",
        "we_go_away",
        &[&[0, 9], &window(SYN, 1, &[0]), &[15, 0], &window(SYN, 3, &[0]), &data(0, 1, &[5])],
    );
    let few: Vec<_> = (0..6).flat_map(|n| [window(SYN, 2 * n + 1, &[0]), frame(2, SYN, 0, &[n])].concat()).collect();
    put("yamux_frame", "narrow_limits", &[&[2, 9], &few]);
    let two_pieces = [9, 7, 0, 0, 0, 1, 0, 0, 0, 9, 10, 1, 0, 0, 0, 0, 200, 1, 2, 3, 4, 9, 200];
    put("yamux_frame", "a_frame_in_pieces", &[&[0, 1], &two_pieces, &[7; 200]]);
    // In `yamux_differential`: 12 open, 13 finish, 14 reset.
    put("yamux_differential", "ours_is_answered", &[&[1, 12], &answers, &place(13, 0)]);
    put("yamux_differential", "ours_is_reset", &[&[1, 12], &data(RST, 1, &[0])]);
    put("yamux_differential", "syn_zero_to_a_dialer", &[&[1], &window(SYN, 0, &[0])]);
    put("yamux_differential", "both_finish", &[&[0], &data(SYN | FIN, 1, &[9]), &place(13, 0), &window(SYN, 1, &[0])]);
    put("yamux_differential", "we_reset", &[&[0], &data(SYN, 1, &[9]), &place(14, 0), &data(0, 1, &[9])]);
    yamux_pairs();
}

/// Operations of the dialer; of the listener with 0x80.
fn yamux_pairs() {
    const OTHER: u8 = 0x80;
    let put = |name, flags, ops: &[&[u8]]| put("yamux_pair", name, &[&[flags], &ops.concat()]);
    let (open, small, large) = ([0, 0], [1, 0x30], [2, 0xf0]);
    let (flush, there, back) = ([8, 0, OTHER | 8, 0], [9, 255], [OTHER | 9, 255]);
    let (accept, read, finish) = ([OTHER | 15, 0], [OTHER | 3, 0xf0], [4, 0]);
    let echo = [OTHER | 1, 0x30];
    put("open_write_echo_finish", 0, &[&open, &small, &there, &accept, &read, &echo, &back, &finish, &flush]);
    put("bulk", 0, &[&open, &large, &there, &there, &accept, &read, &flush, &back, &large, &there]);
    put("bulk_through_small_buffers", 4, &[&open, &large, &there, &[14, 0], &there, &accept, &read, &flush, &back]);
    put("narrow_limits", 3, &[&open.repeat(6), &flush, &small, &[1, 0x31], &[1, 0x32], &there, &accept, &back]);
    put("reset_with_bytes_on_their_way", 0, &[&open, &large, &[9, 9], &[5, 0], &there, &flush]);
    put("refused_streams", 2, &[&open.repeat(9), &small, &there, &flush, &back]);
    put("reader_stops", 0, &[&open, &large, &there, &[OTHER | 6, 0], &large, &there, &flush, &back]);
    put(
        "windows_grow",
        0,
        &[&open, &large, &there, &read, &flush, &back, &[12, 200], &large, &there, &read, &flush, &back],
    );
    put("go_away_with_open_streams", 0, &[&open, &small, &there, &[13, 0], &flush, &there, &echo, &back, &open]);
    put("pings_both_ways", 1, &[&[7, 0], &[OTHER | 7, 0], &flush, &there, &back, &flush, &there, &back]);
    put(
        "both_open",
        0,
        &[&open, &[OTHER, 0], &small, &[OTHER | 1, 0x31], &there, &back, &flush, &finish, &[OTHER | 4, 1]],
    );
    put("byte_by_byte", 0, &[&open, &small, &[9, 0].repeat(30), &accept, &flush, &[OTHER | 9, 0].repeat(30)]);
    // Two windows that could both grow, where only one may.
    let [grow, other] = [large.repeat(3), [2, 0xf1].repeat(3)];
    put("no_room_for_two_to_grow", 3, &[&open, &open, &grow, &other, &flush, &there, &back, &[12, 99], &grow, &other]);
    put("reset_before_it_is_acknowledged", 3, &[&open, &small, &there, &[OTHER | 5, 0], &flush, &back, &open, &small]);
    put(
        "window_used_up_then_read",
        0,
        &[&open, &large, &there, &large, &there, &large, &there, &large, &there, &there],
    );
    let one = |n: u8| {
        let [write, end, accept, finish] = [[1, 0x30 | n], [4, n], [OTHER | 15, n], [OTHER | 4, n]];
        [&open[..], &write, &end, &flush, &there, &accept, &finish, &flush, &back].concat()
    };
    put("one_after_the_other", 3, &[&(0..8).flat_map(one).collect::<Vec<_>>()]);
    put("one_greedy_one_small", 4, &[&open, &open, &large, &[1, 0x01], &[14, 0], &there, &[14, 0], &there, &flush]);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits")).collect()
}

fn certificates() {
    let target = "tls_certificate";
    for (name, hex) in [
        ("spec_ed25519", include_str!("../../crates/tls/tests/vectors/ed25519.hex")),
        ("spec_ecdsa", include_str!("../../crates/tls/tests/vectors/ecdsa.hex")),
        ("spec_secp256k1", include_str!("../../crates/tls/tests/vectors/secp256k1.hex")),
        ("spec_invalid", include_str!("../../crates/tls/tests/vectors/invalid.hex")),
    ] {
        put(target, name, &[&[0], &unhex(hex)]);
    }
    let (ours, critical) = (libp2p(&[], b"key", b"signature"), [1, 1, 0xff]);
    let other = |critical: &[u8]| tlv(0x30, &[&[6, 3, 0x55, 0x1d, 0x13], critical, &tlv(4, &[&[0x30, 0]])]);
    for (name, extensions) in [
        ("plain", ours.clone()),
        ("critical", libp2p(&critical, b"key", b"signature")),
        ("default_written", libp2p(&[1, 1, 0], b"key", b"signature")),
        ("others", [other(&[]), ours.clone(), other(&[])].concat()),
        ("unknown_critical", [ours.clone(), other(&critical)].concat()),
        ("twice", ours.repeat(2)),
        ("none", Vec::new()),
        ("empty_key", libp2p(&[], b"", b"signature")),
        ("long_key", libp2p(&[], &[7; 300], &[8; 300])),
    ] {
        put(target, name, &[&[1], &body(&extensions)]);
    }
}

/// A message of a TLS handshake in one record: `head`, then extensions of a number and a body each.
fn hello(kind: u8, head: &[u8], extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let short = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let all: Vec<u8> = extensions.iter().flat_map(|(id, body)| [&[0, *id][..], &short(body)].concat()).collect();
    let body = [&[3, 3][..], &[7; 32], &[0], head, &short(&all)].concat();
    let message = [&[kind, 0][..], &short(&body)].concat();
    [&[22, 3, 1][..], &short(&message)].concat()
}

fn handshakes() {
    let put = |name: &str, flags: u8, parts: &[u8]| put("tls_handshake", name, &[&[flags], parts]);
    let share = [&[0, 36, 0, 29, 0, 32][..], &[9; 32]].concat();
    let (groups, schemes, versions) = ([0, 2, 0, 29], [0, 4, 4, 3, 8, 7], [2, 3, 4]);
    let known: [(u8, &[u8]); 4] = [(10, &groups), (13, &schemes), (43, &versions), (51, &share)];
    let alpn = [&[0, 20, 12][..], b"/yamux/1.0.0", &[6], b"libp2p"].concat();
    let client = |more: &[(u8, &[u8])]| hello(1, &[0, 2, 0x13, 1, 1, 0], &[&known[..], more].concat());
    let whole = client(&[(16, &alpn)]);
    put("client", 0, &whole);
    put("client_without_protocols", 0, &client(&[]));
    put("client_of_other_protocols", 0, &client(&[(16, &[0, 3, 2, b'h', b'2'])]));
    put("client_of_an_empty_protocol", 0, &client(&[(16, &[0, 1, 0])]));
    put("client_with_a_name", 0, &client(&[(16, &alpn), (0, &[&[0, 14, 0, 0, 11][..], b"example.org"].concat())]));
    put("client_of_tls_1_2", 0, &hello(1, &[0, 2, 0xc0, 0x2b, 1, 0], &known[..2]));
    put("client_without_a_share", 0, &hello(1, &[0, 2, 0x13, 1, 1, 0], &[&known[..3], &[(51, &[0, 0])]].concat()));
    put("client_twice", 0, &whole.repeat(2));
    let (first, rest) = whole[5..].split_at(60);
    let records = [&[22, 3, 1, 0, 60][..], first, &[22, 3, 3, 0, rest.len() as u8], rest].concat();
    put("client_in_two_records", 0, &records);
    put("client_then_a_goodbye", 0, &[&whole[..], &[21, 3, 3, 0, 2, 1, 0]].concat());
    put("client_then_junk", 0, &[&whole[..], &[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 20], &[5; 20]].concat());
    let answer = [&[0, 29, 0, 32][..], &[9; 32]].concat();
    let server = hello(2, &[0x13, 1, 0], &[(43, &[3, 4]), (51, &answer)]);
    put("server", 1, &server);
    put("server_then_junk", 1, &[&server[..], &[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 20], &[5; 20]].concat());
    put("server_of_tls_1_2", 1, &hello(2, &[0xc0, 0x2b, 0], &[]));
    put("server_of_another_suite", 1, &hello(2, &[0x13, 9, 0], &[(43, &[3, 4]), (51, &answer)]));
    for (name, bytes) in [
        ("alert", &[21, 3, 3, 0, 2, 2, 40][..]),
        ("many_goodbyes", &[21, 3, 3, 0, 2, 1, 0].repeat(9)),
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("too_long", &[22, 3, 3, 0x41, 1]),
        ("endless_message", &[&[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff][..], &[22, 3, 1, 0, 1, 0].repeat(30)].concat()),
    ] {
        put(&format!("{name}_to_a_listener"), 0, bytes);
        put(&format!("{name}_to_a_dialer"), 1, bytes);
    }
    put("peers", 2, &[0]);
    for (flight, name) in ["hello", "server_flight", "last_flight", "record", "record_back"].iter().enumerate() {
        for (what, edit) in [(0, "cut"), (1, "repeated"), (2, "inserted"), (3, "deleted"), (0x40, "flipped")] {
            put(&format!("{name}_{edit}"), 2, &[1, flight as u8, 0, 40, what, 0x55, 3, 3, 3]);
        }
    }
}

fn plaintext() {
    let put = |name, parts: &[u8]| put("plaintext", name, &[parts]);
    let key =
        [&[8, 1, 0x12, 32][..], &unhex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")].concat();
    let message = |id: &[u8]| [&[0x0a, id.len() as u8][..], id, &[0x12, 36], &key].concat();
    let own = message(&[&[0, 36][..], &key].concat());
    put("ed25519", &[&[own.len() as u8][..], &own, b"raw"].concat());
    put("another_id", &[&[43][..], &message(b"other")].concat());
    put("no_key", b"\x04\x0a\x02id");
    put("no_id", b"\x05\x12\x03key");
    put("empty", b"\x00");
    put("unknown_fields", b"\x0d\x18\x05\x22\x01?\x12\x01k\x0a\x02id!");
    put("length_not_minimal", b"\x84\x00\x0a\x02id");
    put("just_the_limit", b"\x80\x40");
    put("too_long", b"\x81\x40");
    put("py_before_varints", &[&[0, 0, 0, own.len() as u8][..], &own].concat());
}

/// Behind a handshake: what an honest peer says to either end over either muxer, and some of what none does.
fn sealed() {
    let one = |name: &str, mode: u8, ops: &[&[u8]]| put("connection_sealed", name, &[&[mode], &ops.concat()]);
    const LISTENER: u8 = 1;
    const MPLEX: u8 = 2;
    const UNNAMED: u8 = 4;
    const SEVERAL: u8 = 6;
    const NEGOTIATION: u8 = 1 << 3;
    const FRAMES: u8 = 2 << 3;
    const EARLY: u8 = 32;
    const HEADER_AND_A: u8 = 5;
    const OPENS: u8 = 8;
    // On stream 1; for mplex, on stream 0.
    let asks = [3, 1 << 4 | OPENS | HEADER_AND_A];
    let asks_mplex = [3, OPENS | HEADER_AND_A];
    let agrees = [3, 1 << 4 | HEADER_AND_A];
    let agrees_mplex = [3, HEADER_AND_A];
    // DATA, bare and with FIN or RST, WINDOW_UPDATE with credit of 5, PING and GO_AWAY.
    let frame = |arg: u8, payload: &[u8]| [&[2, arg, 1, payload.len() as u8], payload].concat();
    let (data, last, reset) = (frame(0, b"hello"), frame(4 << 2, b"hello"), frame(8 << 2, b""));
    let [read, write, finish, stop, flush, rest] = [[6, 0], [5, 40], [7, 0], [9, 0], [11, 0], [15, 0]];
    let lazily = [4, 4];
    let bare = |message: u8| [3, 0xf8 | message];
    one("echo", LISTENER | FRAMES, &[&asks, &data, &read, &write, &flush, &last, &read, &finish, &rest]);
    one("asked", FRAMES, &[&lazily, &write, &finish, &flush, &agrees, &last, &read, &rest]);
    one("early", EARLY | FRAMES, &[&agrees, &write, &flush, &data, &read, &stop, &last, &finish, &rest]);
    one("refused", NEGOTIATION, &[&lazily, &write, &flush, &[3, 1 << 4], &[3, 1 << 4 | 3], &reset, &rest]);
    one("reset_by_the_peer", LISTENER | FRAMES, &[&asks, &flush, &reset, &read, &rest]);
    one("frames_in_halves", LISTENER, &[&asks, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], &[10, 3], &data, &rest]);
    one("pings", LISTENER | FRAMES, &[&frame(2 | 1 << 2, b""), &frame(2 | 2 << 2, b""), &flush, &rest]);
    one("go_away", FRAMES, &[&lazily, &flush, &frame(3, b""), &agrees, &last, &finish, &rest]);
    one("another_version", FRAMES, &[&[0, 12, 9, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], &flush, &rest]);
    one("more_than_negotiate", LISTENER, &[&[3, 0x18, 3, 0x38, 3, 0x58, 3, 0x78, 3, 0x51], &[12, 255], &rest]);
    one("time_passes", EARLY, &[&[12, 255, 12, 255, 12, 255], &rest]);
    one(
        "mplex_echo",
        LISTENER | MPLEX | FRAMES,
        &[&asks_mplex, &[2, 2, 0, 2, b'h', b'i'], &read, &write, &finish, &[2, 4, 0, 0], &rest],
    );
    one(
        "mplex_asked",
        MPLEX | FRAMES,
        &[&lazily, &write, &finish, &flush, &agrees_mplex, &[2, 1, 0, 2, b'h', b'i'], &read, &[2, 3, 0, 0], &rest],
    );
    one("mplex_reset", LISTENER | MPLEX, &[&asks_mplex, &[2, 6, 0, 0], &read, &rest]);
    one("muxer_agreed", UNNAMED | EARLY | FRAMES, &[&bare(0), &bare(7), &agrees, &data, &read, &rest]);
    one("muxer_refused", UNNAMED | EARLY | FRAMES, &[&bare(0), &bare(3), &rest]);
    one("muxer_of_two", SEVERAL | NEGOTIATION, &[&bare(0), &bare(7), &lazily, &flush, &agrees, &rest]);
    one("muxer_heard", LISTENER | UNNAMED | FRAMES, &[&bare(0), &bare(7), &asks, &data, &read, &rest]);
    one("muxer_http", LISTENER | SEVERAL, &[&[0, 18], b"GET / HTTP/1.1\r\n\r\n", &rest]);
    one("closed", LISTENER | FRAMES, &[&asks, &write, &[13, 0], &rest]);
    one("the_bytes_end", FRAMES, &[&lazily, &flush, &[14, 0], &rest]);
}

/// Sizes as `perf` reads them: 0 the largest, 1 nothing, 2 a byte that follows, 4 about a block.
fn perf() {
    let request = |asked: u64, upload: &[u8]| [&asked.to_be_bytes()[..], upload].concat();
    let server = |name: &str, limits: &[u8], wire: &[u8]| put("perf", name, &[&[0, 7], limits, &[0], wire]);
    server("upload_and_download", &[0, 0], &request(5, b"abc"));
    server("nothing", &[0, 0], &request(0, b""));
    server("asked_for_everything", &[0, 0], &request(u64::MAX, b""));
    server("half_a_size", &[0, 0], &[0; 5]);
    server("no_byte_at_all", &[0, 0], b"");
    server("as_much_as_allowed", &[2, 3, 2, 5], &request(5, b"abc"));
    server("too_long_an_upload", &[2, 3, 2, 5], &request(5, b"abcd"));
    server("too_long_a_download", &[2, 3, 2, 5], &request(6, b"abc"));
    server("more_than_a_block", &[0, 0], &request(65_537, &[9; 300]));
    const ALL: u8 = 128;
    const STOP: u8 = 64;
    let client =
        |name: &str, sizes: &[u8], before: u8, wire: &[u8]| put("perf", name, &[&[1, 7], sizes, &[before], wire]);
    client("all_came_back", &[2, 3, 2, 5], ALL, b"hello");
    client("nothing_came_back", &[2, 3, 2, 5], ALL, b"");
    client("too_much_came_back", &[2, 3, 2, 5], ALL, b"hello!");
    client("answered_early", &[2, 200, 2, 5], 3, b"hello");
    client("ended_early", &[4, 128, 1], 9, b"");
    client("stopped", &[0, 2, 5], 40 | STOP, b"hello");
    client("stopped_within_the_size", &[0, 2, 5], 1 | STOP | ALL, b"hello");
}

/// Requests and answers, and the frames of RFC 6455, section 5.7, with their faults.
fn websocket() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: a.b\r\n{upgrade}Sec-WebSocket-Version: 13\r\n{key}\r\n");
    let masked = b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let (dials, listens, open) = (0, 1, 2);
    for (name, role, bytes) in [
        ("request_and_a_frame", listens, [request.as_bytes(), masked].concat()),
        ("request_without_a_key", listens, request.replace(key, "").into_bytes()),
        ("libp2p_without_websocket", listens, [HEADER, NOISE].concat()),
        ("answer_with_another_key", dials, format!("HTTP/1.1 101 \r\n{upgrade}Sec-WebSocket-Accept: x\r\n\r\n").into()),
        ("not_found", dials, b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec()),
        ("endless_head", dials, vec![b'a'; 9000]),
        ("masked", listens | open, masked.to_vec()),
        ("not_masked", listens | open, b"\x82\x05Hello".to_vec()),
        ("hello", dials | open, b"\x82\x05Hello".to_vec()),
        ("masked_by_a_server", dials | open, masked.to_vec()),
        ("fragments_and_a_ping", dials | open, b"\x02\x03Hel\x89\x02hi\x80\x02lo\x8a\x00".to_vec()),
        ("fragment_of_nothing", dials | open, b"\x80\x02lo".to_vec()),
        ("text", dials | open, b"\x82\x01a\x81\x05Hello".to_vec()),
        ("long", dials | open, [&b"\x82\x7e\x01\x00"[..], &[7; 256], b"\x88\x02\x03\xe8"].concat()),
        ("endless", dials | open, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffa".to_vec()),
        ("longer_than_can_be", dials | open, b"\x82\x7f\x80\0\0\0\0\0\0\0".to_vec()),
        ("closed_for_a_fault", dials | open, b"\x88\x02\x03\xea\x82\x01a".to_vec()),
        ("ping_too_long", dials | open, b"\x89\x7e\x00\x7e".to_vec()),
        ("reserved", dials | open, b"\xc2\x00".to_vec()),
    ] {
        put("websocket", name, &[&[role, 77, 3], &bytes]);
    }
}

fn main() {
    perf();
    websocket();
    certificates();
    handshakes();
    plaintext();
    noise::seeds();
    yamux_targets();
    framing();
    headers();
    dialer();
    listener();
    pair();
    differential();
    sealed();
    for (name, steps) in swarm_scenarios() {
        put("swarm", name, &[&[0], &steps.concat()]);
    }
}
