//! The original multistream: writes a stream whose headers are nested, and peels them off again.
//!
//! It is the dialogue from which libp2p grew: a header says "multistream-select", a header inside of it says which
//! protocol was selected, and what follows are that protocol's messages.

use sanswarm_multistream::{
    Error,
    header::{DEPTH_MAX, Path, peel, peel_all, write_header},
};

const SELECT: &str = "/ipfs/QmdRKVhvzyATs3L6dosSb6w8hKuqfZK2SyPVqcYJ5VLYa2/multistream-select/0.3.0";
const DHT: &str = "/ipfs/QmVXZiejj3sXEmxuQxF2RjmFbEiE9w7T82xDn3uYNuhbFb/ipfs-dht/0.2.3";
const MESSAGES: &[u8] = b"<dht-message>\n<dht-message>\n";

fn main() -> Result<(), Error> {
    let mut stream = Vec::new();
    write_header(Path::new(SELECT.as_bytes())?, &mut stream);
    write_header(Path::new(DHT.as_bytes())?, &mut stream);
    stream.extend(MESSAGES);
    println!("on the wire, {} bytes:\n{}\n", stream.len(), stream.escape_ascii());

    let (outer, used) = peel(&stream)?.expect("a whole header");
    println!("the outermost header, {used} bytes: {outer}");

    let peeled = peel_all(&stream, DEPTH_MAX)?.expect("whole headers");
    for (depth, path) in peeled.paths().iter().enumerate() {
        println!("{}{path}", "  ".repeat(depth));
    }
    let rest = &stream[peeled.used()..];
    assert_eq!(rest, MESSAGES, "what follows the headers is untouched");
    print!("{}", String::from_utf8_lossy(rest));
    Ok(())
}
