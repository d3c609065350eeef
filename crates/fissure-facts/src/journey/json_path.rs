//! JSON paths (RFC 9535), prepared for being looked up in thousands of answers.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A path, parsed once.
#[derive(Debug, Clone)]
pub struct JsonPath {
    path: serde_json_path::JsonPath,
    is_singular: bool,
    /// The way to the only node that the path can meet, if names and indices from the front lead there.
    steps: Option<Vec<Step>>,
}

/// One step of a plain way through JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Name(String),
    Index(usize),
}

impl JsonPath {
    pub fn parse(text: &str) -> Result<Self, serde_json_path::ParseError> {
        let path = serde_json_path::JsonPath::parse(text)?;
        Ok(Self { is_singular: is_singular(&path.to_string()), steps: steps(text), path })
    }

    /// The way to the only node that it can meet, if only names and places from the front lead there.
    pub fn steps(&self) -> Option<&[Step]> {
        self.steps.as_deref()
    }

    /// A path that can only meet one node gives its value or nothing; any other path gives a list.
    pub fn look(&self, json: &Value) -> Option<Value> {
        let nodes = self.path.query(json).all();
        if nodes.len() <= 1 && self.is_singular {
            return nodes.first().map(|value| (*value).clone());
        }
        Some(nodes.into_iter().cloned().collect())
    }

    /// The same, straight from the text: what is beside the path is skipped and never built. None when this path cannot
    /// be followed so.
    pub fn look_in_text(&self, text: &str) -> Option<serde_json::Result<Option<Value>>> {
        let steps = self.steps()?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let found = Follow(steps).deserialize(&mut reader);
        Some(found.and_then(|value| reader.end().map(|()| value)))
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// RFC 9535, section 2.3.5.1: only names and indices, no wildcard, slice, filter, list or descendants.
fn is_singular(path: &str) -> bool {
    let mut quote = None;
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '*' | '?' | ':' | ',') => return false,
            (None, '.') if chars.peek() == Some(&'.') => return false,
            (None, _) => {}
        }
    }
    true
}

/// `$.a[0]['b c']` as steps. None for whatever else a right path may be.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 || !name[..end].chars().all(|c| c.is_alphanumeric() || c == '_') {
                return None;
            }
            steps.push(Step::Name(name[..end].to_owned()));
            rest = &name[end..];
        } else {
            let (inside, behind) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = |quote| inside.strip_prefix(quote)?.strip_suffix(quote);
            steps.push(match quoted('\'').or_else(|| quoted('"')) {
                Some(name) if !name.contains(['\'', '"', '\\']) => Step::Name(name.to_owned()),
                _ if inside.bytes().all(|b| b.is_ascii_digit()) => Step::Index(inside.parse().ok()?),
                _ => return None,
            });
            rest = behind;
        }
    }
    Some(steps)
}

/// Reads one JSON value and keeps what the steps lead to.
struct Follow<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Follow<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Follow<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_meant) = map.next_key_seed(IsName(self.0.first()))? {
            if is_meant {
                found = map.next_value_seed(Follow(&self.0[1..]))?; // of several with this name the last one counts
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        for index in 0.. {
            if self.0.first() == Some(&Step::Index(index)) {
                match list.next_element_seed(Follow(&self.0[1..]))? {
                    Some(value) => found = value,
                    None => break,
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Is a key the one that is looked for?
struct IsName<'p>(Option<&'p Step>);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(matches!(self.0, Some(Step::Name(name)) if name == key))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_that_may_meet_many_nodes_gives_a_list_even_when_it_meets_one() {
        let json = json!({"a": [{"b": 1}], "x,y": 2, "it's": 3});
        let look = |path: &str| JsonPath::parse(path).unwrap().look(&json);
        assert_eq!(look("$.a[0].b"), Some(json!(1)));
        assert_eq!(look("$['x,y']"), Some(json!(2)));
        assert_eq!(look("$[\"it's\"]"), Some(json!(3)));
        assert_eq!(look("$.none"), None);
        for path in ["$.a[*].b", "$..b", "$.a[?@.b == 1].b", "$.a[0:1].b", "$.a[0,1].b"] {
            assert_eq!(look(path), Some(json!([1])), "{path}");
        }
        assert_eq!(look("$.a[?@.b == 2]"), Some(json!([])));
    }

    #[test]
    fn only_plain_ways_are_followed_in_the_text() {
        let steps = |path: &str| JsonPath::parse(path).unwrap().steps.map(|steps| steps.len());
        assert_eq!(steps("$"), Some(0));
        assert_eq!(steps("$.a[0]['b c'][\"d\"].é_1"), Some(5));
        for path in
            ["$.a[*]", "$..a", "$.a[-1]", "$[0, 1]", "$[0:1]", "$['it\\'s']", "$['a]b']", "$ .a", "$[?@.b]"]
        {
            assert_eq!(steps(path), None, "{path}");
        }
    }

    #[test]
    fn the_last_of_two_equal_names_counts_and_what_is_no_json_is_refused() {
        let in_text = |path: &str, text: &str| JsonPath::parse(path).unwrap().look_in_text(text).unwrap();
        assert_eq!(in_text("$.a.b", r#"{"a": {"b": 1}, "a": {"b": 2}}"#).unwrap(), Some(json!(2)));
        assert_eq!(in_text("$.a.b", r#"{"a": {"b": 1}, "a": 3}"#).unwrap(), None);
        assert_eq!(in_text("$.\u{e9}", r#"{"\u00e9": null}"#).unwrap(), Some(json!(null)));
        for text in ["", "{", "{\"a\": 1} x", "{\"a\": 1,}", "{\"b\": tru, \"a\": 1}", "[1, 2", "nul"] {
            assert!(in_text("$.a", text).is_err(), "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f32>().prop_map(|f| json!(f)),
            "\\PC{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[ab\"\\\\é]{1,2}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_ways_to_look_see_the_same(json in any_json(), path in "\\$(\\.[ab]{1,2}|\\[[0-3]\\]|\\['[ab]é?'\\]){0,4}", pretty: bool) {
            let path = JsonPath::parse(&path).unwrap();
            let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
            let json: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(path.look_in_text(&text).unwrap().unwrap(), path.look(&json));
        }

        #[test]
        fn garbage_makes_no_panic(text in "[\\[\\]{}\":,ab0-9. -]{0,30}", path in "\\$[.\\[\\]'\"ab0-9*]{0,8}") {
            if let Ok(path) = JsonPath::parse(&path) {
                let _ = path.look_in_text(&text);
            }
        }
    }
}
