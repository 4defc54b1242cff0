//! Reports of failed dials as JSON, and what was offered.

use core::fmt::Write;

use sanswarm_connection as connection;
use sanswarm_multistream::ProtocolName;

use crate::{Attempt, AttemptCause, DialReport};

impl Attempt {
    /// What we offered at the stage that failed, where one was negotiated.
    pub fn offered(&self) -> &[ProtocolName] {
        match &self.cause {
            AttemptCause::Connection(
                connection::Error::Negotiation { offered, .. }
                | connection::Error::NothingInCommon { offered, .. }
                | connection::Error::Timeout { offered, .. }
                | connection::Error::Eof { offered, .. },
            ) => offered,
            _ => &[],
        }
    }

    /// What the peer had instead, as far as it said.
    pub fn remote(&self) -> &[String] {
        match &self.cause {
            AttemptCause::Connection(connection::Error::NothingInCommon { remote, .. }) => remote,
            _ => &[],
        }
    }

    fn write_json(&self, out: &mut String) {
        out.push_str("{\"address\":");
        quote(out, &self.address.to_string());
        out.push_str(",\"stage\":");
        quote(out, self.stage());
        out.push_str(",\"code\":");
        quote(out, self.code());
        out.push_str(",\"cause\":");
        match &self.cause {
            AttemptCause::Dial(failure) => quote(out, &failure.to_string()),
            AttemptCause::Connection(error) => quote(out, &error.to_string()),
        }
        list(out, ",\"offered\":[", self.offered().iter().map(ProtocolName::as_str));
        list(out, "],\"remote\":[", self.remote().iter().map(String::as_str));
        let _ = write!(out, "],\"ms\":{:.3}}}", self.elapsed.as_secs_f64() * 1e3);
    }
}

impl DialReport {
    /// The report as one line of JSON: `peer` (or null), `code`, `error` (the text for people), and `attempts`, each with
    /// `address`, `stage`, `code`, `cause`, `offered`, `remote` and `ms`.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"peer\":");
        match &self.peer {
            Some(peer) => quote(&mut out, &peer.to_string()),
            None => out.push_str("null"),
        }
        out.push_str(",\"code\":");
        quote(&mut out, self.code());
        out.push_str(",\"error\":");
        quote(&mut out, &self.to_string());
        out.push_str(",\"attempts\":[");
        for (i, attempt) in self.attempts.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            attempt.write_json(&mut out);
        }
        out.push_str("]}");
        out
    }
}

fn list<'a>(out: &mut String, open: &str, texts: impl Iterator<Item = &'a str>) {
    out.push_str(open);
    for (i, text) in texts.enumerate() {
        if i > 0 {
            out.push(',');
        }
        quote(out, text);
    }
}

/// Writes a text whose words may be a peer's.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use sanswarm_swarm::{AttemptFailure, DialError, Reached, TransportError};

    use super::*;
    use crate::Stage;

    #[test]
    fn a_report_is_one_line_of_json() {
        let address: multiaddr::Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let elapsed = Duration::from_micros(1500);
        let error = connection::Error::NothingInCommon {
            stage: Stage::Muxer,
            offered: vec![ProtocolName::from_static("/yamux/1.0.0")],
            remote: vec!["/a\"\n\\".to_owned()],
        };
        let causes = [
            (AttemptCause::Dial(AttemptFailure::Transport(TransportError::Refused)), Reached::Connect),
            (AttemptCause::Dial(AttemptFailure::Resolve(TransportError::NotFound)), Reached::Resolve),
            (AttemptCause::Connection(error), Reached::Upgrade),
        ];
        let attempt = |(cause, reached)| Attempt { address: address.clone(), cause, reached, elapsed };
        let attempts = causes.map(attempt).to_vec();
        let report = DialReport { peer: None, cause: DialError::AllFailed, attempts };
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert!(json["peer"].is_null());
        assert_eq!(json["code"], "all-failed");
        assert_eq!(json["error"], report.to_string());
        let stages: Vec<_> = (0..3).map(|i| json["attempts"][i]["stage"].as_str().unwrap()).collect();
        assert_eq!(stages, ["connect", "resolve", "muxer"]);
        let muxer = &json["attempts"][2];
        assert_eq!((&muxer["offered"][0], &muxer["ms"]), (&"/yamux/1.0.0".into(), &1.5.into()));
        assert_eq!(muxer["remote"][0], "/a\"\n\\");
        assert!(!report.to_json().contains('\n'));
    }
}
