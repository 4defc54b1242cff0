//! One page that shows a run.

use core::fmt::Write;

use sanswarm::Instant;

use crate::{HostId, Record, Violation};

const PAGE: &str = include_str!("page.html");

/// What stands above the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caption {
    /// What it was.
    pub title: String,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// What was broken, if something was.
    pub violation: Option<Violation>,
}

impl Record {
    /// A page of HTML that needs nothing else: a timeline of hosts, connections, streams and faults, from `start` to `end`,
    /// to be scrubbed, zoomed and filtered.
    pub fn page(&self, hosts: usize, start: Instant, end: Instant, caption: &Caption) -> String {
        PAGE.replacen("@DATA@", &self.json(hosts, start, end, caption), 1)
    }

    fn json(&self, hosts: usize, start: Instant, end: Instant, caption: &Caption) -> String {
        let ms = |at: Instant| at.since(start).as_micros() as f64 / 1000.0;
        let or_null = |at: Option<Instant>| at.map_or_else(|| "null".to_owned(), |at| ms(at).to_string());
        let mut out = format!("{{\"title\":{},\"hosts\":{hosts},\"time\":{}", quote(&caption.title), ms(end).max(1.0));
        let facts = caption.facts.iter().map(|(name, value)| format!("[{},{}]", quote(name), quote(value)));
        list(&mut out, "facts", facts);
        let violation = caption.violation.as_ref().map_or_else(|| "null".to_owned(), |v| quote(&v.to_string()));
        let _ = write!(out, ",\"violation\":{violation},\"left_out\":{}", self.left_out);
        let connections = self
            .connections
            .iter()
            .map(|c| format!("[{},{},{},{},{}]", c.serial, c.from, c.to, ms(c.opened), or_null(c.closed)));
        list(&mut out, "connections", connections);
        let streams = self
            .streams
            .iter()
            .map(|s| format!("[{},{},{},{},{}]", s.connection, s.wire_id, ms(s.opened), or_null(s.ended), s.bytes));
        list(&mut out, "streams", streams);
        let faults = self.faults.iter().map(|f| {
            let hosts: Vec<_> = f.hosts.iter().map(HostId::to_string).collect();
            format!("[{},{},\"{}\",[{}]]", ms(f.at), f.lasts.as_millis(), f.name, hosts.join(","))
        });
        list(&mut out, "faults", faults);
        let notes = self.notes.iter().map(|n| format!("[{},{},{}]", ms(n.at), n.host, quote(&n.text)));
        list(&mut out, "notes", notes);
        out.push('}');
        out
    }
}

fn list(out: &mut String, name: &str, items: impl Iterator<Item = String>) {
    let _ = write!(out, ",\"{name}\":[");
    for (i, item) in items.enumerate() {
        let _ = write!(out, "{}{item}", if i == 0 { "" } else { "," });
    }
    out.push(']');
}

/// A string of JSON that may stand in a page: nothing in it ends the element around it.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_leave_its_element() {
        assert_eq!(quote("</script> \"\\\n"), "\"\\u003c/script\\u003e \\\"\\\\\\u000a\"");
    }

    #[test]
    fn the_page_has_one_place_for_its_data() {
        assert_eq!(PAGE.matches("@DATA@").count(), 1);
        let caption = Caption { title: "x".to_owned(), ..Caption::default() };
        let page = Record::default().page(3, Instant::ZERO, Instant::from_micros(5_000_000), &caption);
        assert!(page.contains("{\"title\":\"x\",\"hosts\":3,\"time\":5000,\"facts\":[],\"violation\":null"));
        let is_foreign = |line: &&str| line.contains("http") || line.contains("src=");
        assert_eq!(page.lines().find(is_foreign), None, "it needs nothing else");
    }
}
