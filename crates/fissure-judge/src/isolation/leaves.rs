//! An answer as leaves: a path and a value for everything in it that can differ by itself.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::Exchange;
use fissure_facts::shadow::ShadowedStep;
use serde_json::Value;

/// What a value is, as far as a type can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Nothing,
    Bool,
    Number,
    Text,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    pub kind: Kind,
    pub value: String,
}

/// Sorted by path, so that the status comes before headers, and headers before the body.
pub type Leaves = BTreeMap<String, Leaf>;

pub const STATUS: &str = "1 status";
const HEADER: &str = "2 header ";
pub const BODY: &str = "3 body ";
pub const WORD: &str = "word ";
pub const OUTCOME: &str = "9 outcome";

/// Headers that say nothing about the answer, or say again what the body says.
const NO_CONTENT: [&str; 9] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "server-timing",
    "transfer-encoding",
    "x-response-time",
    "x-runtime",
];

/// The same step in several runs, each as leaves. How a body is taken apart is decided by the first `controls` of them:
/// texts whose length differs by chance are compared as bags of words, lists whose order differs as sorted ones.
pub fn leaves(steps: &[&ShadowedStep], controls: usize) -> Vec<Leaves> {
    let mut all: Vec<Leaves> = vec![Leaves::new(); steps.len()];
    let longest = steps.iter().map(|s| s.exchanges.len()).max().unwrap_or(0);
    for i in 0..longest {
        let hop = if longest > 1 { format!("{i} ") } else { String::new() };
        for (leaves, step) in all.iter_mut().zip(steps) {
            if let Some(exchange) = step.exchanges.get(i) {
                head(exchange, &hop, leaves);
            }
        }
        let bodies: Vec<Option<&[u8]>> =
            steps.iter().map(|s| Some(&s.exchanges.get(i)?.answer.as_ref()?.body.bytes[..])).collect();
        body(&bodies, controls, &format!("{hop}{BODY}"), &mut all);
    }
    for (leaves, step) in all.iter_mut().zip(steps) {
        let outcome = if step.problem.is_some() { "wrong" } else { "right" };
        // Last: what made it wrong tells more.
        leaves.insert(OUTCOME.to_owned(), text(outcome));
    }
    all
}

fn text(value: &str) -> Leaf {
    Leaf { kind: if value.is_empty() { Kind::Nothing } else { Kind::Text }, value: value.to_owned() }
}

fn head(exchange: &Exchange, hop: &str, leaves: &mut Leaves) {
    let Some(answer) = &exchange.answer else {
        leaves.insert(format!("{hop}{STATUS}"), text("no answer"));
        return;
    };
    let status = Leaf { kind: Kind::Number, value: answer.status.to_string() };
    leaves.insert(format!("{hop}{STATUS}"), status);
    for (name, value) in &answer.headers {
        let name = name.to_ascii_lowercase();
        if NO_CONTENT.contains(&name.as_str()) {
            continue;
        }
        if name == "set-cookie" {
            let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
            let (cookie, value) = pair.split_once('=').unwrap_or((pair, ""));
            let path = format!("{hop}{HEADER}set-cookie {cookie}");
            for (i, word) in words(attributes).into_iter().enumerate() {
                leaves.insert(format!("{path} attribute {i:02}"), text(word));
            }
            leaves.insert(path, text(value));
            continue;
        }
        for (i, word) in words(value).into_iter().enumerate() {
            leaves.insert(format!("{hop}{HEADER}{name} {i:02}"), text(word));
        }
    }
}

fn body(bodies: &[Option<&[u8]>], controls: usize, path: &str, all: &mut [Leaves]) {
    let as_json: Option<Vec<Option<Value>>> = bodies
        .iter()
        .map(|body| match body {
            Some(bytes) => json(bytes).map(Some),
            None => Some(None),
        })
        .collect();
    if let Some(mut values) = as_json {
        let mut present: Vec<&mut Value> = values.iter_mut().flatten().collect();
        // Controls come first; without an answer from each of them nothing can be said about order.
        if bodies.iter().take(controls).all(Option::is_some) {
            sort_what_has_no_order(&mut present, controls);
        }
        for (leaves, value) in all.iter_mut().zip(&values) {
            if let Some(value) = value {
                spread(value, format!("{path}$"), leaves);
            }
        }
        return;
    }
    let texts: Vec<Vec<&str>> = bodies
        .iter()
        .map(|body| body.map(|b| words(std::str::from_utf8(b).unwrap_or_default())).unwrap_or_default())
        .collect();
    let lengths: BTreeSet<usize> = texts.iter().take(controls).map(Vec::len).collect();
    for (leaves, words) in all.iter_mut().zip(&texts) {
        if lengths.len() == 1 {
            for (i, word) in words.iter().enumerate() {
                leaves.insert(format!("{path}{WORD}{i:06}"), text(word));
            }
        } else {
            leaves.extend(words.iter().map(|word| (format!("{path}{WORD}`{word}`"), text("there"))));
        }
    }
}

/// Only what has an inside: a bare word or number is compared as text.
fn json(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().filter(|v: &Value| v.is_object() || v.is_array())
}

fn spread(value: &Value, path: String, leaves: &mut Leaves) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                spread(field, format!("{path}.{name}"), leaves);
            }
            if fields.is_empty() {
                leaves.insert(path, Leaf { kind: Kind::Nothing, value: "{}".to_owned() });
            }
        }
        Value::Array(items) => {
            let count = Leaf { kind: Kind::Number, value: items.len().to_string() };
            leaves.insert(format!("{path}.length"), count);
            for (i, item) in items.iter().enumerate() {
                spread(item, format!("{path}[{i}]"), leaves);
            }
        }
        Value::Null => drop(leaves.insert(path, Leaf { kind: Kind::Nothing, value: "null".to_owned() })),
        Value::Bool(b) => drop(leaves.insert(path, Leaf { kind: Kind::Bool, value: b.to_string() })),
        Value::Number(n) => drop(leaves.insert(path, Leaf { kind: Kind::Number, value: n.to_string() })),
        Value::String(s) => drop(leaves.insert(path, text(s))),
    }
}

/// A list that holds the same items in every control, but not in the same order, has no order.
fn sort_what_has_no_order(values: &mut [&mut Value], controls: usize) {
    let controls = controls.min(values.len());
    if values.iter().all(|v| v.is_object()) {
        let names: BTreeSet<String> =
            values.iter().filter_map(|v| v.as_object()).flat_map(|o| o.keys().cloned()).collect();
        for name in names {
            let count = values.len();
            let mut fields: Vec<&mut Value> = values.iter_mut().filter_map(|v| v.get_mut(&name)).collect();
            if fields.len() == count {
                sort_what_has_no_order(&mut fields, controls);
            }
        }
    } else if values.iter().all(|v| v.is_array()) {
        let spelled =
            |v: &Value| -> Vec<String> { v.as_array().into_iter().flatten().map(Value::to_string).collect() };
        let as_is: BTreeSet<Vec<String>> = values[..controls].iter().map(|v| spelled(v)).collect();
        let sorted: BTreeSet<Vec<String>> = as_is
            .iter()
            .map(|items| {
                let mut items = items.clone();
                items.sort();
                items
            })
            .collect();
        if as_is.len() > 1 && sorted.len() == 1 {
            for items in values.iter_mut().filter_map(|v| v.as_array_mut()) {
                items.sort_by_key(Value::to_string);
            }
        }
    }
}

/// What a person would call words, tags and their attributes among them.
pub fn words(text: &str) -> Vec<&str> {
    parts(text).into_iter().map(|part| part.word).filter(|word| !word.is_empty()).collect()
}

/// A word, and what is between it and the one before. The last word is empty where a text ends with something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'t> {
    pub gap: &'t str,
    pub word: &'t str,
    /// Where a process listens: `//host:port`, or `localhost:port`.
    pub is_port: bool,
}

pub fn parts(text: &str) -> Vec<Part<'_>> {
    let is_within = |(at, c): (usize, char)| {
        c.is_alphanumeric() || "_~.-@".contains(c) || c == ':' && is_between_hours_and_minutes(text, at)
    };
    let find = |from: usize, wanted: bool| {
        let found = text[from..].char_indices().find(|(i, c)| is_within((from + i, *c)) == wanted);
        found.map_or(text.len(), |(i, _)| from + i)
    };
    let mut parts: Vec<Part<'_>> = Vec::new();
    let (mut known, mut at) = (0, 0);
    while at < text.len() {
        let begin = find(at, true);
        at = find(begin, false);
        let word = text[begin..at].trim_end_matches('.');
        if word.is_empty() {
            continue; // full stops belong to what is between
        }
        let gap = &text[known..begin];
        let is_host =
            |part: &Part<'_>| part.gap.ends_with("//") || matches!(part.word, "localhost" | "127.0.0.1");
        let is_of_host = parts.last().is_some_and(is_host);
        let is_port = gap == ":" && is_of_host && word.bytes().all(|b| b.is_ascii_digit());
        parts.push(Part { gap, word, is_port });
        known = begin + word.len();
    }
    if known < text.len() {
        parts.push(Part { gap: &text[known..], word: "", is_port: false });
    }
    parts
}

/// The colon of `10:30`: a time is one value. That of `host:8080` is another matter.
fn is_between_hours_and_minutes(text: &str, colon: usize) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let before = |by: usize| colon.checked_sub(by);
    let is_number_longer = is_digit(before(3)) || before(3).is_some_and(|at| bytes[at] == b'.');
    is_digit(before(1))
        && is_digit(before(2))
        && !is_number_longer
        && is_digit(Some(colon + 1))
        && is_digit(Some(colon + 2))
        && !is_digit(Some(colon + 3))
}

/// How a path is called in a report.
pub fn spoken(path: &str) -> String {
    let rest = path.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    // A hop of a redirect has a number of its own in front.
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    match rest.strip_prefix("body ") {
        Some(word) if word.starts_with(WORD) => "the text".to_owned(),
        Some(json) => json.to_owned(),
        None => match rest.strip_prefix("header ") {
            Some(header) => {
                format!("the header {}", header.split(' ').take(2).collect::<Vec<_>>().join(" "))
            }
            None => rest.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_one_word_and_a_port_is_none() {
        assert_eq!(words("at 10:05:07 on <b>Mon.</b>"), ["at", "10:05:07", "on", "b", "Mon", "b"]);
        assert_eq!(words("2026-01-02T03:04:05.6Z..."), ["2026-01-02T03:04:05.6Z"]);
        assert_eq!(words("127.0.0.1:8080 a:1 1:2"), ["127.0.0.1", "8080", "a", "1", "1", "2"]);
        let ports = |text| parts(text).iter().filter(|part| part.is_port).count();
        assert_eq!((ports("//a:8080/orders/17"), ports("localhost:80"), ports("order:17")), (1, 1, 0));
    }

    proptest! {
        #[test]
        fn parts_are_the_whole_text(text in "[a-z0-9.:/ é?=-]{0,60}") {
            let whole: String = parts(&text).iter().flat_map(|part| [part.gap, part.word]).collect();
            prop_assert_eq!(whole, text);
        }
    }
}
