//! Pieces of JavaScript: whatever a journey holds becomes a literal that means exactly that text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fissure_facts::journey::{Piece, Template};
use serde_json::Value;

/// A string literal. JSON's are JavaScript's, but for two line ends that older engines do not take inside of one.
pub(super) fn string(text: &str) -> String {
    Value::from(text).to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// A value of a user by the name of the variable.
pub(super) fn value_of(name: &str) -> String {
    format!("v[{}]", string(name))
}

/// An expression that gives the text of a template.
pub(super) fn template(template: &Template) -> String {
    let pieces: Vec<String> = template
        .0
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => string(text),
            Piece::Variable(name) => format!("written({})", value_of(name)),
            Piece::JsonString(name) => format!("jsonString({})", value_of(name)),
            Piece::JsonValue(name) => format!("jsonValue({})", value_of(name)),
            Piece::NewUuid => "newUuid()".to_owned(),
            Piece::NewDate => "newDate()".to_owned(),
            Piece::Literal(value) => string(&value.to_string()),
        })
        .collect();
    if pieces.is_empty() { string("") } else { pieces.join(" + ") }
}

/// `[["name", value], ...]`.
pub(super) fn pairs(pairs: &[(String, Template)]) -> String {
    let each = pairs.iter().map(|(name, value)| format!("[{}, {}]", string(name), template(value)));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

/// A name for a function, from the name of a journey's file; never one that is taken.
pub(super) fn identifier(name: &str, taken: &mut BTreeSet<String>) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.strip_suffix(".hurl").unwrap_or(file);
    let mut wanted = "journey_".to_owned();
    wanted.extend(stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    let mut free = wanted.clone();
    let mut n = 1;
    while !taken.insert(free.clone()) {
        n += 1;
        free.clone_from(&wanted);
        let _ = write!(free, "_{n}");
    }
    free
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_functions_differ_and_are_plain() {
        let mut taken = BTreeSet::new();
        let mut name = |text: &str| identifier(text, &mut taken);
        assert_eq!(name("journeys/buy it.hurl"), "journey_buy_it");
        assert_eq!(name("other/buy-it.hurl"), "journey_buy_it_2");
        assert_eq!(name("http://127.0.0.1/"), "journey_");
    }

    proptest! {
        #[test]
        fn a_literal_is_one_line_and_means_its_text(text in "(\\PC|[\"\\\\\n\r\u{2028}\u{2029}\u{0}`$]){0,40}") {
            let literal = string(&text);
            let has_line_end = literal.contains(['\n', '\r', '\u{2028}', '\u{2029}']);
            prop_assert!(!has_line_end);
            prop_assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), text);
        }
    }
}
