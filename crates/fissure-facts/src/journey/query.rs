//! What is looked at in an answer: queries and the filters behind them.

use regex::Regex;

use super::cursor::Cursor;
use super::error::Parsed;
use super::response::settled;
use super::text;
use super::xpath::XPath;
use super::{Charset, Filter, JsonPath, Query};

pub(super) fn query(cursor: &mut Cursor<'_>) -> Parsed<Query> {
    let start = *cursor;
    let word = cursor.take_while(char::is_alphanumeric);
    let of = format!("`{word}`");
    Ok(match word {
        "status" => Query::Status,
        "body" => Query::Body,
        "bytes" => Query::Bytes,
        "url" => Query::Url,
        "duration" => Query::Duration,
        "header" => Query::Header(argument(cursor, &of)?),
        "cookie" => cookie(cursor, &of)?,
        "jsonpath" => Query::JsonPath(jsonpath(cursor, &of)?),
        "regex" => Query::Regex(capturing_regex(cursor, &of)?),
        "variable" => Query::Variable(argument(cursor, &of)?),
        "xpath" => Query::XPath(xpath(cursor, &of)?),
        "certificate" => {
            return Err(
                start.wrong("`certificate` is not supported: on this machine every certificate is taken")
            );
        }
        "sha256" | "md5" => {
            return Err(start.wrong(format!(
                "`{word}` is not supported: assert `bytes count == ...` or `body contains \"...\"`"
            )));
        }
        "version" | "ip" | "redirects" | "rawbytes" => {
            return Err(start.wrong(format!("the query `{word}` is not supported")));
        }
        _ => {
            let found = start.shown();
            return Err(start.wrong(format!(
                "expected a query (status, header, cookie, body, bytes, jsonpath, xpath, regex, url, variable, duration), found {found}"
            )));
        }
    })
}

fn space(cursor: &mut Cursor<'_>, of: &str) -> Parsed<()> {
    if cursor.spaces() { Ok(()) } else { Err(cursor.wrong(format!("expected a space after {of}"))) }
}

fn argument(cursor: &mut Cursor<'_>, of: &str) -> Parsed<String> {
    space(cursor, of)?;
    text::quoted(cursor, of)
}

/// `"name"` or `"name[Attribute]"`.
fn cookie(cursor: &mut Cursor<'_>, of: &str) -> Parsed<Query> {
    space(cursor, of)?;
    let start = *cursor;
    let written = text::quoted(cursor, of)?;
    let Some((name, attribute)) = written.split_once('[') else {
        return Ok(Query::Cookie { name: written, attribute: None });
    };
    let attribute = attribute.strip_suffix(']').unwrap_or_default().trim();
    let known = ["Value", "Max-Age", "Domain", "Path", "Secure", "HttpOnly", "SameSite"];
    match known.iter().find(|k| k.eq_ignore_ascii_case(attribute)) {
        Some(known) => {
            Ok(Query::Cookie { name: name.trim().to_owned(), attribute: Some((*known).to_owned()) })
        }
        None => Err(start.wrong(format!(
            "the cookie attribute `{attribute}` is not supported: there are {}",
            known.join(", ")
        ))),
    }
}

fn capturing_regex(cursor: &mut Cursor<'_>, of: &str) -> Parsed<Regex> {
    space(cursor, of)?;
    let start = *cursor;
    let regex = text::regex(cursor, of)?;
    if regex.captures_len() < 2 {
        return Err(start.wrong("put parentheses around the part of this regular expression that you want"));
    }
    Ok(regex)
}

fn xpath(cursor: &mut Cursor<'_>, of: &str) -> Parsed<XPath> {
    space(cursor, of)?;
    let start = *cursor;
    let path = text::quoted(cursor, of)?;
    XPath::parse(&path).map_err(|e| {
        start.wrong(format!(
            "this XPath is not supported, because {e}; `regex` finds whatever stands in a text"
        ))
    })
}

/// The parser of JSON paths recurses and backtracks, so what it gets is kept small.
const JSONPATH_MAX: usize = 400;
const JSONPATH_DEPTH_MAX: u32 = 6;

fn jsonpath(cursor: &mut Cursor<'_>, of: &str) -> Parsed<JsonPath> {
    space(cursor, of)?;
    let start = *cursor;
    let path = text::quoted(cursor, of)?;
    let mut depth = 0u32;
    let mut deepest = 0;
    for c in path.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if path.len() > JSONPATH_MAX || deepest > JSONPATH_DEPTH_MAX {
        return Err(start.wrong("this JSON path is too long or too deeply nested"));
    }
    JsonPath::parse(&path).map_err(|e| {
        let hint = if path.contains('-') { "; a name with a dash is written `$['user-id']`" } else { "" };
        start.wrong(format!("this is not a JSON path of RFC 9535: {}{hint}", e.message()))
    })
}

/// Filters as long as they come; the cursor stays before the space in front of a predicate.
pub(super) fn filters(cursor: &mut Cursor<'_>) -> Parsed<Vec<Filter>> {
    let mut filters = Vec::new();
    loop {
        let mut ahead = *cursor;
        if !ahead.spaces() {
            return Ok(filters);
        }
        let Some(filter) = filter(&mut ahead)? else { return Ok(filters) };
        filters.push(filter);
        *cursor = ahead;
    }
}

fn filter(cursor: &mut Cursor<'_>) -> Parsed<Option<Filter>> {
    let start = *cursor;
    let word = cursor.take_while(char::is_alphanumeric);
    let of = format!("`{word}`");
    Ok(Some(match word {
        "count" => Filter::Count,
        "first" => Filter::First,
        "last" => Filter::Last,
        "toInt" => Filter::ToInt,
        "toFloat" => Filter::ToFloat,
        "toString" => Filter::ToString,
        "urlDecode" => Filter::UrlDecode,
        "urlEncode" => Filter::UrlEncode,
        "htmlUnescape" => Filter::HtmlUnescape,
        "htmlEscape" => Filter::HtmlEscape,
        "base64Decode" => Filter::Base64Decode,
        "base64Encode" => Filter::Base64Encode,
        "nth" => {
            space(cursor, &of)?;
            let place = *cursor;
            let minus = cursor.eat("-");
            let digits = cursor.take_while(|c| c.is_ascii_digit());
            let Ok(index) = digits.parse::<i64>() else {
                return Err(place.wrong("expected a number after `nth`; 0 is the first"));
            };
            Filter::Nth(if minus { -index } else { index })
        }
        "regex" => Filter::Regex(capturing_regex(cursor, &of)?),
        "jsonpath" => Filter::JsonPath(jsonpath(cursor, &of)?),
        "split" => Filter::Split(argument(cursor, &of)?),
        "replace" => {
            space(cursor, &of)?;
            if cursor.starts_with("/") {
                return Err(
                    start.wrong("`replace` takes text: write `replaceRegex` for a regular expression")
                );
            }
            let old = text::quoted(cursor, &of)?;
            space(cursor, "the text to replace")?;
            let place = *cursor;
            let new = text::quoted_template(cursor, "the text to replace")?;
            settled(place, &new)?;
            Filter::Replace { old, new }
        }
        "replaceRegex" => {
            space(cursor, &of)?;
            let pattern = text::regex(cursor, &of)?;
            space(cursor, "the expression to replace")?;
            let place = *cursor;
            let new = text::quoted_template(cursor, "the expression to replace")?;
            settled(place, &new)?;
            Filter::ReplaceRegex { pattern, new }
        }
        "decode" => {
            space(cursor, &of)?;
            let place = *cursor;
            let charset = text::quoted(cursor, &of)?;
            match charset.to_ascii_lowercase().as_str() {
                "utf-8" | "utf8" => Filter::Decode(Charset::Utf8),
                "iso-8859-1" | "latin1" => Filter::Decode(Charset::Latin1),
                _ => {
                    return Err(place.wrong(format!(
                        "the character set `{charset}` is not supported: there are utf-8 and iso-8859-1"
                    )));
                }
            }
        }
        "xpath" => return Err(start.wrong("the filter `xpath` is not supported: use `regex`")),
        "format" | "dateFormat" | "toDate" | "daysAfterNow" | "daysBeforeNow" => {
            return Err(start.wrong(format!(
                "the filter `{word}` is not supported: dates are text here, use `regex` or `matches`"
            )));
        }
        "base64UrlSafeDecode"
        | "base64UrlSafeEncode"
        | "toHex"
        | "location"
        | "urlQueryParam"
        | "utf8Decode"
        | "utf8Encode"
        | "charsetDecode" => {
            return Err(start.wrong(format!("the filter `{word}` is not supported")));
        }
        _ => return Ok(None),
    }))
}

/// Bytes are no text until they are decoded.
pub(super) fn gives_bytes(query: &Query, filters: &[Filter]) -> bool {
    filters.iter().fold(matches!(query, Query::Bytes), |_, filter| matches!(filter, Filter::Base64Decode))
}
