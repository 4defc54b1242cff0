//! Data to stdout, diagnostics to stderr.

use core::{fmt::Display, time::Duration};
use std::io::{self, IsTerminal, Write};

use sanswarm::{Attempt, AttemptCause, OpenStreamError};
use tracing::Level;

use crate::{failure::Failure, json::Object};

/// Writes a line of data and flushes it: whoever reads a pipe waits for it.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Writes a line about what happens. A stderr that nobody reads is no reason to stop.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "sanswarm: {}", plain(&text.to_string()));
}

/// The same, for who wants to know.
pub(crate) fn note_if(wanted: bool, text: impl Display) {
    if wanted {
        note(text);
    }
}

/// Has all that is told to `tracing` of this level and above it written to stderr, a line each.
pub(crate) fn log(level: Level) {
    let lines = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(io::stderr);
    // There is none yet.
    let _ = lines.try_init();
}

/// Reports a failure: one line on stderr, and for machines one object on stdout.
pub(crate) fn fail(failure: &Failure, json: bool) {
    if let Failure::Output(cause) = failure {
        // `sanswarm … | head` is no accident worth a line.
        if cause.kind() == io::ErrorKind::BrokenPipe {
            return;
        }
    }
    note(failure);
    // The objects of the runs say it all.
    if json && !matches!(failure, Failure::Violation { .. } | Failure::Crowd { .. }) {
        let mut object = Object::new().flag("ok", false).text("code", failure.code()).text("error", failure);
        if let Failure::Explain(error) = failure {
            object = object.text("stage", error.stage());
            object = object.texts("offered", error.offered().unwrap_or_default()).texts("remote", error.remote());
        }
        let _ = line(object.objects("attempts", attempts(failure).iter().map(attempt)).end());
    }
}

fn attempts(failure: &Failure) -> &[Attempt] {
    match failure {
        Failure::Open(OpenStreamError::Dial(report)) => &report.attempts,
        _ => &[],
    }
}

fn attempt(attempt: &Attempt) -> Object {
    let object = Object::new()
        .text("address", &attempt.address)
        .text("stage", attempt.stage())
        .text("code", attempt.code())
        .text("error", attempt)
        .decimal("ms", ms(attempt.elapsed));
    match &attempt.cause {
        AttemptCause::Connection(error) => {
            object.texts("offered", error.offered().unwrap_or_default()).texts("remote", error.remote())
        }
        AttemptCause::Dial(_) => object,
    }
}

/// Text that a peer had a hand in, fit for a terminal and for one line.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >= 1 << shift) {
        None => format!("{bytes} B"),
        Some((unit, shift)) if bytes.is_multiple_of(1 << shift) => format!("{} {unit}", bytes >> shift),
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
    }
}

/// Bytes a second, in MiB. Of nothing in no time it is nothing.
pub(crate) fn mib_per_second(bytes: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { bytes as f64 / seconds / f64::from(1 << 20) } else { 0.0 }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether somebody watches stderr.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Replaces the last line of a terminal.
pub(crate) fn progress(text: impl Display) {
    let _ = write!(io::stderr().lock(), "\r\x1b[K{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_digits() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(64 << 20), "64 MiB");
        assert_eq!(size((1 << 20) + (1 << 19)), "1.5 MiB");
        assert_eq!(hex(&[0, 0xab]), "00ab");
        assert!((mib_per_second(1 << 21, Duration::from_secs(2)) - 1.0).abs() < 1e-9);
        assert!(mib_per_second(5, Duration::ZERO) == 0.0);
    }

    #[test]
    fn what_a_peer_says_stays_on_one_line() {
        assert_eq!(plain("a\nb\x1b[2J"), "a\\nb\\u{1b}[2J");
    }
}
