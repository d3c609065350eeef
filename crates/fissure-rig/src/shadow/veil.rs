//! Exchanges as they may be written down: a secret's value is replaced by a fingerprint, everywhere where it stands, so that
//! equal values stay equal and nobody can read them.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use fissure_facts::Exchange;
use fissure_facts::traffic::Content;
use serde_json::Value;

use crate::journey::secret;

/// Longer bodies are compared by their fingerprint only.
const KEPT_BYTES_MAX: usize = 128 << 10;
/// A value that is shorter is only veiled where its name stands: elsewhere it may be any word.
const LEAST_SECRET: usize = 6;

/// Fingerprints are keyed by numbers that live as long as this and are written nowhere.
#[derive(Debug, Default)]
pub struct Veil {
    keys: RandomState,
    /// Secrets that were met; the longest one that fits is replaced first.
    secrets: BTreeSet<(std::cmp::Reverse<usize>, String)>,
}

impl Veil {
    /// What follows has secrets of its own. Fingerprints stay comparable.
    pub fn forget(&mut self) {
        self.secrets.clear();
    }

    /// Replaces what must not be written down, in all exchanges of a step.
    pub fn cover(&mut self, exchanges: &mut [Exchange]) {
        for exchange in exchanges.iter() {
            self.learn(exchange);
        }
        for exchange in exchanges {
            exchange.request.target = self.text(&exchange.request.target);
            for (name, value) in &mut exchange.request.headers {
                *value = self.sent(name, value);
            }
            self.content(&mut exchange.request.body);
            if let Some(answer) = &mut exchange.answer {
                for (name, value) in &mut answer.headers {
                    *value = match name.to_ascii_lowercase().as_str() {
                        "set-cookie" => self.cookie(value),
                        name if secret::is_secret(name) => self.fingerprint(value),
                        _ => self.text(value),
                    };
                }
                self.content(&mut answer.body);
            }
        }
    }

    fn learn(&mut self, exchange: &Exchange) {
        let mut found: Vec<String> = Vec::new();
        let asked = &exchange.request;
        found.extend(secret::values(&asked.target).map(str::to_owned));
        for (name, value) in exchange.answer.iter().flat_map(|a| &a.headers) {
            if name.eq_ignore_ascii_case("set-cookie") {
                let pair = value.split(';').next().unwrap_or_default();
                found.extend(pair.split_once('=').map(|(_, value)| value.trim_matches('"').to_owned()));
            } else {
                found.extend(secret::values(value).map(str::to_owned));
            }
        }
        for body in [Some(&asked.body), exchange.answer.as_ref().map(|a| &a.body)].into_iter().flatten() {
            match (serde_json::from_slice::<Value>(&body.bytes), std::str::from_utf8(&body.bytes)) {
                (Ok(json), _) => secrets_of(&json, false, &mut found),
                (Err(_), Ok(text)) => found.extend(secret::values(text).map(str::to_owned)),
                _ => {}
            }
        }
        let long = found.into_iter().filter(|value| value.len() >= LEAST_SECRET);
        self.secrets.extend(long.map(|value| (std::cmp::Reverse(value.len()), value)));
    }

    fn content(&self, content: &mut Content) {
        if content.bytes.is_empty() {
            return;
        }
        let whole = content.bytes.len();
        let veiled = match std::str::from_utf8(&content.bytes) {
            Ok(text) if whole <= KEPT_BYTES_MAX => match serde_json::from_str::<Value>(text) {
                Ok(mut json) if json.is_object() || json.is_array() => {
                    self.json(&mut json, false);
                    json.to_string()
                }
                _ => self.text(text),
            },
            _ => {
                content.cut_from = Some(whole as u64);
                self.fingerprint_of(&content.bytes)
            }
        };
        content.bytes = veiled.into_bytes();
    }

    fn json(&self, value: &mut Value, is_secret: bool) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.json(field, secret::is_secret(name));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item, is_secret)),
            Value::String(text) => {
                *text = if is_secret { self.fingerprint(text) } else { self.known(text) };
            }
            Value::Number(number) if is_secret => {
                *value = Value::from(self.keys.hash_one(number.to_string()) >> 32);
            }
            _ => {}
        }
    }

    /// Known secrets wherever they stand, and whatever has a secret name.
    fn text(&self, text: &str) -> String {
        secret::replace(&self.known(text), |value| self.fingerprint(value))
    }

    fn known(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (_, value) in &self.secrets {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), &self.fingerprint(value));
            }
        }
        text
    }

    /// A header of a request. The fingerprint is the one that the answer has which gave the value.
    fn sent(&self, name: &str, value: &str) -> String {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => {
                format!("{}={}", name.trim(), self.fingerprint(value.trim().trim_matches('"')))
            }
            None => self.fingerprint(pair.trim()),
        };
        match name.to_ascii_lowercase().as_str() {
            "cookie" => value.split(';').map(pair).collect::<Vec<_>>().join("; "),
            // `Bearer`, and what it bears.
            "authorization" => match value.split_once(' ') {
                Some((scheme, value)) => format!("{scheme} {}", self.fingerprint(value)),
                None => self.fingerprint(value),
            },
            "if-match" | "if-none-match" => self.text(value),
            // A key may be sent under any name.
            _ => self.fingerprint(value),
        }
    }

    /// Name and attributes stay.
    fn cookie(&self, text: &str) -> String {
        let (pair, attributes) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        format!("{name}={}{attributes}", self.fingerprint(value.trim_matches('"')))
    }

    /// Points stay, so that a signed token is still seen to be one. What is a fingerprint already stays as it is.
    fn fingerprint(&self, value: &str) -> String {
        let part = |part: &str| match part {
            "" => String::new(),
            known if known.starts_with('~') => known.to_owned(),
            other => self.fingerprint_of(other.as_bytes()),
        };
        value.split('.').map(part).collect::<Vec<_>>().join(".")
    }

    /// Equal where the bytes were, and nothing else.
    pub fn fingerprint_of(&self, bytes: &[u8]) -> String {
        format!("~{:016x}", self.keys.hash_one(bytes))
    }
}

/// Values of fields with secret names.
fn secrets_of(json: &Value, is_secret: bool, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                secrets_of(value, secret::is_secret(name), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| secrets_of(item, is_secret, found)),
        Value::String(text) if is_secret => found.push(text.clone()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use fissure_facts::traffic::{Answered, Asked};
    use proptest::prelude::*;

    use super::*;

    fn exchange(target: &str, headers: &[(&str, &str)], body: &[u8]) -> Exchange {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Exchange {
            request: Asked { method: "GET".to_owned(), target: target.to_owned(), ..Asked::default() },
            answer: Some(Answered { status: 200, headers, body: Content::whole(body) }),
            ..Exchange::default()
        }
    }

    #[test]
    fn a_secret_is_the_same_fingerprint_wherever_it_stands() {
        let mut veil = Veil::default();
        let mut seen = [
            exchange("/", &[("set-cookie", "sid=s3cr3t-value; Path=/")], b"<p>you are s3cr3t-value</p>"),
            exchange("/?password=hunter2hunter2", &[], br#"{"you":"s3cr3t-value","token":"a.b","n":1}"#),
        ];
        veil.cover(&mut seen);
        let line = serde_json::to_string(&seen).unwrap();
        assert!(!line.contains("s3cr3t-value") && !line.contains("hunter2"), "{line}");
        let cookie = seen[0].answer.as_ref().unwrap().header("set-cookie").unwrap().to_owned();
        let mark = cookie.strip_prefix("sid=").and_then(|c| c.strip_suffix("; Path=/")).unwrap();
        assert_eq!(line.matches(mark).count(), 3, "{line}");
        let body: Value = serde_json::from_slice(&seen[1].answer.as_ref().unwrap().body.bytes).unwrap();
        assert_eq!(body["n"], 1);
        assert_eq!(body["token"].as_str().unwrap().matches('.').count(), 1);
    }

    #[test]
    fn what_is_sent_back_has_the_fingerprint_of_what_was_given() {
        let mut veil = Veil::default();
        let mut seen = [
            exchange("/", &[("set-cookie", "sid=s3cr3t-value; Path=/")], br#"{"token":"a.b-token"}"#),
            exchange("/", &[], b""),
        ];
        seen[1].request.headers = [
            ("cookie", "sid=s3cr3t-value; theme=dark-mode"),
            ("authorization", "Bearer a.b-token"),
            ("x-csrf-token", "a.b-token"),
            ("if-none-match", "\"e7a9\""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        veil.cover(&mut seen);
        let line = serde_json::to_string(&seen).unwrap();
        assert!(
            !line.contains("s3cr3t") && !line.contains("b-token") && !line.contains("dark-mode"),
            "{line}"
        );
        let sent = |name| seen[1].request.header(name).unwrap().to_owned();
        let given = seen[0].answer.as_ref().unwrap().header("set-cookie").unwrap();
        assert!(sent("cookie").starts_with(given.strip_suffix("; Path=/").unwrap()), "{line}");
        let body: Value = serde_json::from_slice(&seen[0].answer.as_ref().unwrap().body.bytes).unwrap();
        let token = body["token"].as_str().unwrap();
        assert_eq!(
            (sent("authorization"), sent("x-csrf-token")),
            (format!("Bearer {token}"), token.to_owned())
        );
        assert_eq!(sent("if-none-match"), "\"e7a9\"");
    }

    #[test]
    fn what_is_no_text_or_too_long_becomes_a_fingerprint() {
        let mut veil = Veil::default();
        let long = vec![b'x'; KEPT_BYTES_MAX + 1];
        let mut seen = [exchange("/", &[], &[0xff, 0xfe]), exchange("/", &[], &long)];
        veil.cover(&mut seen);
        for exchange in &seen {
            let body = &exchange.answer.as_ref().unwrap().body;
            assert!(body.bytes.starts_with(b"~") && body.bytes.len() == 17 && body.cut_from.is_some());
        }
    }

    proptest! {
        #[test]
        fn no_cookie_comes_through_whatever_the_page_looks_like(
            secret in "[a-zA-Z0-9_%]{8,40}", before in ".{0,40}", after in ".{0,40}"
        ) {
            prop_assume!(!before.contains(&secret) && !after.contains(&secret));
            let mut veil = Veil::default();
            let page = format!("{before}{secret}{after}");
            let mut seen = [exchange("/", &[("Set-Cookie", &format!("sid={secret}"))], page.as_bytes())];
            veil.cover(&mut seen);
            prop_assert!(!serde_json::to_string(&seen).unwrap().contains(&secret));
        }
    }
}
