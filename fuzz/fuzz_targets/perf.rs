//! The perf protocol: either end against any bytes, compared with what one look at all of them says.
//!
//! Input: a byte whose lowest bit is the role, a byte for the sizes of pieces, two sizes (limits of the server, or what the
//! client is to do), a byte for how much the client sends before it hears anything; then what the peer sends until its end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{Input, Pieces};
use sanswarm_perf::{BLOCK, Client, Error, HEAD, Limits, Server};

fn size(input: &mut Input<'_>) -> u64 {
    match input.byte() % 8 {
        0 => u64::MAX,
        1 => 0,
        2 => u64::from(input.byte()),
        3 => input.short() as u64,
        4 => BLOCK as u64 + u64::from(input.byte()) - 128,
        _ => input.take(8).iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
    }
}

/// What a server makes of a whole upload.
fn verdict(limits: Limits, wire: &[u8]) -> Result<(u64, u64), Error> {
    let (head, upload) = wire.split_at_checked(HEAD).ok_or(Error::Truncated { got: wire.len() })?;
    let asked = u64::from_be_bytes(head.try_into().expect("8 bytes"));
    if asked > limits.download {
        return Err(Error::Limit { name: "download", limit: limits.download });
    }
    if upload.len() as u64 > limits.upload {
        return Err(Error::Limit { name: "upload", limit: limits.upload });
    }
    Ok((asked, upload.len() as u64))
}

fn server(limits: Limits, mut pieces: Pieces, wire: &[u8]) {
    let (mut server, mut rest, mut result) = (Server::new(limits), wire, Ok(()));
    while !rest.is_empty() && result.is_ok() {
        let (piece, behind) = rest.split_at(pieces.size().min(rest.len()));
        result = server.handle_input(piece);
        rest = behind;
        assert!(server.ready().is_empty() && !server.poll_finish(), "an answer beside the upload");
    }
    let result = result.and_then(|()| server.handle_eof());
    assert_eq!(result.map(|()| (server.asked().expect("a size"), server.uploaded())), verdict(limits, wire));
    let Ok(()) = result else {
        assert_eq!((server.handle_eof(), server.handle_input(wire)), (result, result), "sticky");
        return assert!(server.ready().is_empty() && !server.poll_finish());
    };
    let asked = server.asked().expect("a size");
    for _ in 0..32 {
        let before = server.downloaded();
        assert_eq!(server.ready().len() as u64, (asked - before).min(BLOCK as u64));
        server.sent(pieces.size());
        if server.poll_finish() {
            assert_eq!(server.downloaded(), asked);
            assert!(!server.poll_finish(), "once");
        }
    }
}

fn client([upload, asked]: [u64; 2], before: u8, mut pieces: Pieces, wire: &[u8]) {
    let mut client = Client::new(upload, asked);
    let mut sent = Vec::new();
    for _ in 0..before % 64 {
        let n = client.ready().len().min(pieces.size());
        sent.extend_from_slice(&client.ready()[..n]);
        client.sent(n);
    }
    if before & 64 != 0 {
        client.stop();
    }
    if before & 128 != 0 && upload < 1 << 20 {
        while !client.ready().is_empty() {
            let n = client.ready().len().min(pieces.size());
            sent.extend_from_slice(&client.ready()[..n]);
            client.sent(n);
        }
    }
    let mut expected = asked.to_be_bytes().to_vec();
    expected.resize(HEAD + client.uploaded() as usize, 0);
    assert!(expected.starts_with(&sent) && (sent.len() >= HEAD || client.uploaded() == 0));
    let finished = client.poll_finish();
    assert!(!client.poll_finish() && (!finished || sent == expected));

    let (mut rest, mut result) = (wire, Ok(()));
    while !rest.is_empty() && result.is_ok() {
        let (piece, behind) = rest.split_at(pieces.size().min(rest.len()));
        result = client.handle_input(piece);
        rest = behind;
    }
    let result = result.and_then(|()| client.handle_eof());
    let got = wire.len() as u64;
    let verdict = match got.cmp(&asked) {
        _ if !finished => Err(Error::Early { uploaded: client.uploaded() }),
        core::cmp::Ordering::Less => Err(Error::Short { got, asked }),
        core::cmp::Ordering::Equal => Ok(()),
        core::cmp::Ordering::Greater => Err(Error::Excess { asked }),
    };
    assert_eq!(result, verdict);
    assert_eq!(client.is_done(), result.is_ok());
    if result.is_err() {
        assert_eq!((client.handle_eof(), client.handle_input(&[])), (result, result), "sticky");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (role, pieces) = (input.byte(), Pieces::new(input.byte()));
    let sizes = [size(&mut input), size(&mut input)];
    let before = input.byte();
    if role & 1 == 0 {
        server(Limits { upload: sizes[0], download: sizes[1] }, pieces, input.rest());
    } else {
        client(sizes, before, pieces, input.rest());
    }
});
