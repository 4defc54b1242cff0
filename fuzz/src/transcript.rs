//! What a peer sends, from the bytes of a case.

use sanswarm_multistream::{HEADER_LINE, NA_LINE, ProtocolName};

use crate::{Input, KNOWN};

/// The longest transcript in bytes, about: longer ones are slow and say nothing new.
pub const BYTES_MAX: usize = 32 * 1024;

/// Reads messages until the input ends. Each begins with a byte that says which:
///
/// | byte modulo 16 | message |
/// |---|---|
/// | 0, 1, 2 | the header, `na`, `ls` |
/// | 3 | the name at the place that follows, of the `names` of this case |
/// | 4 | the same of [`KNOWN`] |
/// | 5, 6 | all `names` as a list in one message: each with its length (js, rust), or not (py) |
/// | 7 | a line of as many bytes as follows says, which follow too |
/// | 8 | a line of one letter, as often as two bytes say |
/// | 9 | a known name whose newline is another byte, which follows |
/// | 10 | a known name whose length is not minimal |
/// | 11 | a length alone: two bytes of it follow |
/// | 12 | length zero |
/// | 13 | as many bytes as follows says, as they are |
/// | 14 | the last message again, as often as follows says |
/// | 15 | all that follows as it is |
pub fn read(input: &mut Input<'_>, names: &[ProtocolName]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut last = 0..0;
    while let Some(kind) = input.maybe() {
        let start = wire.len();
        match kind % 16 {
            0 => wire.extend(HEADER_LINE),
            1 => wire.extend(NA_LINE),
            2 => wire.extend(b"\x03ls\n"),
            3 => {
                let at = usize::from(input.byte());
                if let Some(name) = at.checked_rem(names.len()).and_then(|at| names.get(at)) {
                    line(name.as_bytes(), &mut wire);
                }
            }
            4 => line(known(input), &mut wire),
            5 => list(names, true, &mut wire),
            6 => list(names, false, &mut wire),
            7 => {
                let len = usize::from(input.byte());
                line(input.take(len), &mut wire);
            }
            8 => line(&vec![b'a'; input.short() % 0x4800], &mut wire),
            9 => {
                line(known(input), &mut wire);
                wire.pop();
                wire.push(input.byte());
            }
            10 => {
                let name = known(input);
                wire.extend([(name.len() as u8 + 1) | 0x80, 0]);
                wire.extend(name);
                wire.push(b'\n');
            }
            11 => wire.extend([input.byte() | 0x80, input.byte()]),
            12 => wire.push(0),
            13 => {
                let len = usize::from(input.byte());
                wire.extend(input.take(len));
            }
            14 => {
                let times = usize::from(input.byte());
                for _ in 0..times.min((BYTES_MAX - wire.len().min(BYTES_MAX)) / last.len().max(1)) {
                    wire.extend_from_within(last.clone());
                }
            }
            _ => wire.extend(input.rest()),
        }
        if start < wire.len() && kind % 16 != 14 {
            last = start..wire.len();
        }
        if wire.len() >= BYTES_MAX {
            break;
        }
    }
    wire
}

fn known(input: &mut Input<'_>) -> &'static [u8] {
    KNOWN[usize::from(input.byte()) % KNOWN.len()].as_bytes()
}

fn list(names: &[ProtocolName], lengths: bool, wire: &mut Vec<u8>) {
    let mut text = Vec::new();
    for name in names {
        if lengths {
            line(name.as_bytes(), &mut text);
        } else {
            text.extend([name.as_bytes(), b"\n"].concat());
        }
    }
    line(&text, wire);
}

/// A line, by other code than the crate's.
pub fn line(text: &[u8], wire: &mut Vec<u8>) {
    let mut len = text.len() + 1;
    while len > 0x7f {
        wire.push(len as u8 | 0x80);
        len >>= 7;
    }
    wire.push(len as u8);
    wire.extend(text);
    wire.push(b'\n');
}
