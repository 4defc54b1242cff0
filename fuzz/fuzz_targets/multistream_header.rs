//! The headers of the original multistream.
//!
//! Input: a byte for the depth limit, a byte for how many headers are written before the rest (0 to 15), for each of
//! them a byte of length and its bytes after the slash, then any bytes.
//!
//! - `peel` takes what the plain reference takes for a line, if its text is a path, and nothing else.
//! - `peel_all` takes what `peel` takes again and again, and refuses exactly what is deeper than its limit.
//! - Headers written before any bytes are peeled as they were written, the rest is untouched, and what was peeled,
//!   written again, gives the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{Input, reference};
use sanswarm_multistream::{
    Error, MESSAGE_BYTES_MAX,
    header::{Path, peel, peel_all, write_header},
};

fn path(bytes: &[u8]) -> Result<Path<'_>, Error> {
    let path = Path::new(bytes);
    let sound = bytes.first() == Some(&b'/') && bytes.len() <= Path::BYTES_MAX && !bytes.contains(&b'\n');
    assert_eq!(path.is_ok(), sound, "{path:?}");
    if let Ok(path) = path {
        assert_eq!(path.as_bytes(), bytes);
        assert!(path.to_string().bytes().all(|byte| (b' '..0x7f).contains(&byte)), "printable");
    }
    path
}

/// One header, by the reference.
fn front(data: &[u8]) -> Result<Option<(Path<'_>, usize)>, Error> {
    let Some((text, used)) = reference::line(data, MESSAGE_BYTES_MAX)? else { return Ok(None) };
    Ok(Some((path(text)?, used)))
}

fn read(data: &[u8], depth: usize) {
    assert_eq!(peel(data), front(data));
    let (mut paths, mut used) = (Vec::new(), 0);
    while let Ok(Some((path, more))) = front(&data[used..]) {
        paths.push(path);
        used += more;
    }
    let peeled = peel_all(data, depth);
    match &peeled {
        Err(Error::TooDeep { limit }) => assert!(*limit == depth && paths.len() > depth),
        Err(error) => assert_eq!(peel(data), Err(*error)),
        Ok(None) => assert_eq!(peel(data), Ok(None)),
        Ok(Some(peeled)) => {
            assert!(!paths.is_empty() && paths.len() <= depth);
            assert_eq!((peeled.paths(), peeled.used()), (&paths[..], used));
            let mut again = Vec::new();
            paths.iter().for_each(|path| write_header(*path, &mut again));
            again.extend(&data[peeled.used()..]);
            assert_eq!(again, data, "written again");
        }
    }
    if peel(data).is_ok_and(|front| front.is_some()) {
        // The same at every depth: at most one limit between "refused" and "all".
        for depth in [0, 1, paths.len() - 1, paths.len(), paths.len() + 1, usize::MAX] {
            assert_eq!(peel_all(data, depth).is_ok(), paths.len() <= depth);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let depth = usize::from(input.byte());
    let (mut written, mut paths) = (Vec::new(), Vec::new());
    for _ in 0..input.byte() % 16 {
        let len = usize::from(input.byte());
        let bytes = [b"/", input.take(len)].concat();
        if let Ok(path) = path(&bytes) {
            write_header(path, &mut written);
            paths.push(bytes);
        }
    }
    let rest = input.rest();
    written.extend(rest);
    read(&written, depth);
    read(rest, depth);
    if let Ok(Some(peeled)) = peel_all(&written, usize::MAX) {
        let got = peeled.paths().iter().map(|path| path.as_bytes());
        assert!(got.take(paths.len()).eq(paths.iter().map(Vec::as_slice)), "the paths as they were written");
        let behind = peel_all(rest, usize::MAX).ok().flatten().map_or(0, |peeled| peeled.used());
        let untouched = if paths.is_empty() { &rest[peeled.used()..] } else { &rest[behind..] };
        assert_eq!(&written[peeled.used()..], untouched);
    }
});
