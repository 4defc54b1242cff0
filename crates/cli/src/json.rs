//! JSON, one object a line.

use core::fmt::{Display, Write};

/// An object that is being written. Names are ours and need no escaping.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(crate) fn text(self, name: &str, value: impl Display) -> Self {
        self.raw(name, &quote(&value.to_string()))
    }

    pub(crate) fn opt_text(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    pub(crate) fn texts<T: Display>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<String> = values.into_iter().map(|value| quote(&value.to_string())).collect();
        self.raw(name, &format!("[{}]", values.join(",")))
    }

    pub(crate) fn objects(self, name: &str, values: impl IntoIterator<Item = Self>) -> Self {
        let values: Vec<String> = values.into_iter().map(Self::end).collect();
        self.raw(name, &format!("[{}]", values.join(",")))
    }

    pub(crate) fn number(self, name: &str, value: u64) -> Self {
        self.raw(name, &value.to_string())
    }

    pub(crate) fn opt_number(self, name: &str, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// To three places: microseconds, where the value is milliseconds.
    pub(crate) fn decimal(self, name: &str, value: f64) -> Self {
        // JSON has neither infinity nor NaN.
        if value.is_finite() { self.raw(name, &format!("{value:.3}")) } else { self.raw(name, "null") }
    }

    pub(crate) fn flag(self, name: &str, value: bool) -> Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// The line.
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn raw(mut self, name: &str, value: &str) -> Self {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
        self
    }
}

fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Beside JSON's own, those that a terminal or a line reader takes for something.
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
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
    fn writes_every_kind_of_value() {
        let inner = Object::new().text("a", "b");
        let line = Object::new()
            .flag("ok", true)
            .number("n", u64::MAX)
            .decimal("ms", 0.1234)
            .decimal("none", f64::NAN)
            .texts("list", ["x", "y"])
            .objects("deep", [inner])
            .opt_text("no", None::<&str>)
            .opt_number("none_either", None)
            .opt_number("some", Some(3))
            .end();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["n"], u64::MAX);
        assert_eq!(value["ms"], 0.123);
        assert!(value["none"].is_null() && value["no"].is_null());
        assert!(value["none_either"].is_null() && value["some"] == 3);
        assert_eq!(value["list"][1], "y");
        assert_eq!(value["deep"][0]["a"], "b");
        assert_eq!(Object::new().end(), "{}");
    }

    #[test]
    fn every_text_comes_back_as_it_was() {
        let all: String = (0..0x3000).filter_map(char::from_u32).chain("\u{1f600}\u{10ffff}".chars()).collect();
        let line = Object::new().text("t", &all).end();
        assert!(!line.contains('\n') && !line.chars().any(char::is_control));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["t"], all);
    }
}
