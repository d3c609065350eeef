//! Filters: from one value to the next, as the language has them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use fissure_facts::journey::{Charset, Filter};
use serde_json::Value;

use super::html;
use super::request::percent_encoded_but;

/// What a query or filter gave. `None` around it means that nothing was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    Json(Value),
    Bytes(Vec<u8>),
    /// There, but without a value, such as the `Secure` of a cookie.
    Present,
}

impl Seen {
    pub fn text(text: &str) -> Self {
        Self::Json(Value::String(text.to_owned()))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Present => "no value",
            Self::Json(Value::Null) => "null",
            Self::Json(Value::Bool(_)) => "a boolean",
            Self::Json(Value::Number(_)) => "a number",
            Self::Json(Value::String(_)) => "text",
            Self::Json(Value::Array(_)) => "a list",
            Self::Json(Value::Object(_)) => "an object",
        }
    }
}

/// Applies one filter. The error says what the filter cannot work on; `render` fills in the variables of a replacement.
pub(super) fn apply(
    filter: &Filter,
    seen: Seen,
    render: &dyn Fn(&fissure_facts::journey::Template) -> Result<String, String>,
) -> Result<Option<Seen>, String> {
    let wrong = |name: &str, wants: &str| Err(format!("`{name}` works on {wants}, not on {}", seen.kind()));
    let text = match &seen {
        Seen::Json(Value::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let list = match &seen {
        Seen::Json(Value::Array(list)) => Some(list),
        _ => None,
    };
    Ok(match filter {
        Filter::Count => match (&seen, list) {
            (Seen::Bytes(bytes), _) => Some(Seen::Json(bytes.len().into())),
            (_, Some(list)) => Some(Seen::Json(list.len().into())),
            _ => return wrong("count", "a list or bytes"),
        },
        Filter::Nth(index) => {
            let Some(list) = list else { return wrong("nth", "a list") };
            let from_end = usize::try_from(index.unsigned_abs()).ok();
            let index = if *index < 0 { from_end.and_then(|i| list.len().checked_sub(i)) } else { from_end };
            let Some(value) = index.and_then(|i| list.get(i)) else {
                return Err(format!("`nth` looks beyond the list, which has {} elements", list.len()));
            };
            Some(Seen::Json(value.clone()))
        }
        Filter::First => match list {
            Some(list) => list.first().cloned().map(Seen::Json),
            None => return wrong("first", "a list"),
        },
        Filter::Last => match list {
            Some(list) => list.last().cloned().map(Seen::Json),
            None => return wrong("last", "a list"),
        },
        Filter::Regex(regex) => match text {
            Some(text) => first_group(regex, text),
            None => return wrong("regex", "text"),
        },
        Filter::Replace { old, new } => match text {
            Some(text) => Some(Seen::text(&text.replace(old.as_str(), &render(new)?))),
            None => return wrong("replace", "text"),
        },
        Filter::ReplaceRegex { pattern, new } => match text {
            Some(text) => Some(Seen::text(&pattern.replace_all(text, render(new)?.as_str()))),
            None => return wrong("replaceRegex", "text"),
        },
        Filter::Split(separator) => match text {
            Some(text) => Some(Seen::Json(
                text.split(separator.as_str()).map(str::to_owned).map(Value::String).collect(),
            )),
            None => return wrong("split", "text"),
        },
        Filter::ToInt => match &seen {
            Seen::Json(Value::Number(number)) if !number.is_f64() => Some(seen),
            // Cut towards zero, as the language does.
            Seen::Json(Value::Number(number)) => {
                Some(Seen::Json((number.as_f64().unwrap_or_default() as i64).into()))
            }
            _ => match text.map(str::parse::<i64>) {
                Some(Ok(number)) => Some(Seen::Json(number.into())),
                Some(Err(_)) => return Err("`toInt` found text that is no whole number".to_owned()),
                None => return wrong("toInt", "text or a number"),
            },
        },
        Filter::ToFloat => match &seen {
            Seen::Json(Value::Number(number)) => number.as_f64().map(|f| Seen::Json(f.into())),
            _ => match text.map(str::parse::<f64>) {
                Some(Ok(number)) if number.is_finite() => Some(Seen::Json(number.into())),
                Some(_) => return Err("`toFloat` found text that is no number".to_owned()),
                None => return wrong("toFloat", "text or a number"),
            },
        },
        Filter::ToString => match &seen {
            Seen::Json(value) => match super::render::written(value) {
                Some(text) => Some(Seen::text(&text)),
                None => return wrong("toString", "a single value"),
            },
            _ => return wrong("toString", "a single value"),
        },
        Filter::UrlDecode => match text {
            Some(text) => Some(Seen::text(&percent_decoded(text)?)),
            None => return wrong("urlDecode", "text"),
        },
        // The language leaves slashes alone here.
        Filter::UrlEncode => match text {
            Some(text) => Some(Seen::text(&percent_encoded_but(text, "/"))),
            None => return wrong("urlEncode", "text"),
        },
        Filter::HtmlEscape => match text {
            Some(text) => Some(Seen::text(&html::escaped(text))),
            None => return wrong("htmlEscape", "text"),
        },
        Filter::HtmlUnescape => match text {
            Some(text) => Some(Seen::text(&html::unescaped(text)?)),
            None => return wrong("htmlUnescape", "text"),
        },
        Filter::Base64Decode => match text {
            Some(text) => {
                let bytes = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
                Some(Seen::Bytes(
                    bytes.map_err(|e| format!("`base64Decode` found text that is not base64 ({e})"))?,
                ))
            }
            None => return wrong("base64Decode", "text"),
        },
        Filter::Base64Encode => match &seen {
            Seen::Bytes(bytes) => Some(Seen::text(&STANDARD.encode(bytes))),
            _ => return wrong("base64Encode", "bytes"),
        },
        Filter::Decode(charset) => match (seen, charset) {
            (Seen::Bytes(bytes), Charset::Utf8) => match String::from_utf8(bytes) {
                Ok(text) => Some(Seen::Json(Value::String(text))),
                Err(_) => return Err("`decode` found bytes that are not UTF-8".to_owned()),
            },
            (Seen::Bytes(bytes), Charset::Latin1) => {
                Some(Seen::Json(Value::String(bytes.into_iter().map(char::from).collect())))
            }
            (other, _) => return Err(format!("`decode` works on bytes, not on {}", other.kind())),
        },
        Filter::JsonPath(path) => match text {
            Some(text) => {
                let json = serde_json::from_str(text)
                    .map_err(|e| format!("`jsonpath` found text that is not JSON ({e})"))?;
                path.look(&json).map(Seen::Json)
            }
            None => return wrong("jsonpath", "text"),
        },
    })
}

/// The first group of the first match.
pub(super) fn first_group(regex: &regex::Regex, text: &str) -> Option<Seen> {
    regex.captures(text)?.get(1).map(|group| Seen::text(group.as_str()))
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
        let decoded = match tail {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).map_err(|_| "`urlDecode` gave bytes that are not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use fissure_facts::journey::{JsonPath, Template};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn run(filter: &Filter, value: Value) -> Result<Option<Value>, String> {
        let render = |t: &Template| Ok(t.0.iter().map(|p| format!("{p:?}")).collect());
        apply(filter, Seen::Json(value), &render).map(|seen| {
            seen.map(|seen| match seen {
                Seen::Json(value) => value,
                other => json!(format!("{other:?}")),
            })
        })
    }

    #[test]
    fn filters_give_what_the_language_documents() {
        for (filter, given, expected) in [
            (Filter::Count, json!([1, 2, 3]), json!(3)),
            (Filter::Nth(1), json!(["a", "b"]), json!("b")),
            (Filter::Nth(-1), json!(["a", "b"]), json!("b")),
            (Filter::First, json!(["a", "b"]), json!("a")),
            (Filter::Last, json!(["a", "b"]), json!("b")),
            (Filter::Split(", ".into()), json!("a, b"), json!(["a", "b"])),
            (Filter::ToInt, json!("-12"), json!(-12)),
            (Filter::ToInt, json!(1.6), json!(1)),
            (Filter::ToFloat, json!("3.5"), json!(3.5)),
            (Filter::ToString, json!(3), json!("3")),
            (
                Filter::UrlEncode,
                json!("https://mozilla.org/?x=шеллы"),
                json!("https%3A//mozilla.org/%3Fx%3D%D1%88%D0%B5%D0%BB%D0%BB%D1%8B"),
            ),
            (
                Filter::UrlDecode,
                json!("https%3A//mozilla.org/%3Fx%3D%D1%88 100%"),
                json!("https://mozilla.org/?x=ш 100%"),
            ),
            (Filter::HtmlEscape, json!("a > b & c"), json!("a &gt; b &amp; c")),
            (Filter::Regex(regex::Regex::new("n=(\\d+)").unwrap()), json!("n=12 n=13"), json!("12")),
            (
                Filter::JsonPath(JsonPath::parse("$[0].name").unwrap()),
                json!("[{\"name\":\"Dune\"}]"),
                json!("Dune"),
            ),
        ] {
            assert_eq!(run(&filter, given).unwrap().unwrap(), expected, "{filter:?}");
        }
    }

    #[test]
    fn a_filter_says_what_it_cannot_work_on() {
        for index in [2, -3, i64::MIN, i64::MAX] {
            assert!(run(&Filter::Nth(index), json!(["a", "b"])).unwrap_err().contains("has 2 elements"));
        }
        assert_eq!(run(&Filter::First, json!([])), Ok(None));
        assert_eq!(
            run(&Filter::Count, json!("text")).unwrap_err(),
            "`count` works on a list or bytes, not on text"
        );
        assert!(run(&Filter::ToInt, json!("12x")).is_err());
        assert!(run(&Filter::ToFloat, json!("inf")).is_err());
        assert!(run(&Filter::Base64Decode, json!("***")).is_err());
    }

    proptest! {
        #[test]
        fn url_decoding_undoes_url_encoding(text in "\\PC{0,40}") {
            let encoded = run(&Filter::UrlEncode, json!(text)).unwrap().unwrap();
            prop_assert_eq!(run(&Filter::UrlDecode, encoded).unwrap().unwrap(), json!(text));
        }
    }
}
