//! Where in an answer a value stands, and the query that finds it there again: the most robust one first.

use fissure_facts::journey::{Filter, JsonPath, PathStep, Query};
use fissure_facts::traffic::Answered;
use regex::Regex;
use serde_json::Value;

use super::html::{self, Tag};
use super::sent::decoded;

/// An answer, read once.
#[derive(Debug)]
pub struct Given {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
    pub is_html: bool,
    json: Option<Value>,
}

/// A way to a value. Each was tried on the recorded answer and gave just this value.
#[derive(Debug, Clone)]
pub struct Way {
    pub kind: Kind,
    /// What the answer calls the value, if it calls it anything.
    pub name: String,
    pub query: Query,
    pub filters: Vec<Filter>,
}

impl Way {
    /// Does a JSON path lead through what is called so: `$.orders[2].id` through `orders`?
    pub fn is_below(&self, thing: &str) -> bool {
        let Query::JsonPath(path) = &self.query else { return false };
        path.steps().into_iter().flatten().any(|step| matches!(step, PathStep::Name(name) if name == thing))
    }
}

/// From the most robust to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The form field of the name under which it is sent.
    SameField,
    JsonField,
    FormField,
    Meta,
    Header,
    Cookie,
    Location,
    /// A part of a JSON string, such as a link.
    JsonText,
    Link,
    Attribute,
    /// Text before and after it, in scripts and elsewhere.
    Text,
}

impl Given {
    pub fn read(answer: &Answered) -> Self {
        let text = String::from_utf8(answer.body.bytes.clone()).unwrap_or_default();
        let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let looks_like = |mark: &str| text.trim_start().starts_with(mark);
        let is_json = kind.contains("json") || looks_like("{") || looks_like("[");
        Self {
            status: answer.status,
            json: is_json.then(|| serde_json::from_str(&text).ok()).flatten(),
            is_html: kind.contains("html") || (kind.is_empty() && looks_like("<")),
            headers: answer.headers.clone(),
            text,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// A quick look, before anything is searched in earnest.
    pub fn may_hold(&self, value: &str) -> bool {
        self.text.contains(value)
            || self.headers.iter().any(|(_, held)| held.contains(value))
            || self.has_escaped(value)
            || self.cookie_with(value).is_some()
    }

    fn has_escaped(&self, value: &str) -> bool {
        value.contains(['&', '"', '\'', '+', '=', '/', '<']) && (self.is_html || self.json.is_some())
    }

    /// The names of the fields that take passwords.
    pub fn password_fields(&self) -> Vec<String> {
        let tags = if self.is_html { html::tags(&self.text) } else { Vec::new() };
        let is_one = |tag: &&Tag<'_>| {
            tag.name == "input" && tag.value("type").is_some_and(|kind| kind.eq_ignore_ascii_case("password"))
        };
        tags.iter().filter(is_one).filter_map(|tag| tag.value("name")).collect()
    }

    /// How many characters the page takes in the field of this name.
    pub fn longest(&self, field: &str) -> Option<usize> {
        let tags = if self.is_html { html::tags(&self.text) } else { Vec::new() };
        let is_it = |tag: &&Tag<'_>| tag.name == "input" && tag.value("name").as_deref() == Some(field);
        tags.iter().find(is_it)?.value("maxlength")?.parse().ok()
    }

    /// A form that writes the text of what is called `name`, which has none yet. The form says the name in a field, or in
    /// the query of where it is sent.
    pub fn has_empty_form_for(&self, name: &str, is_field: bool) -> bool {
        let mut tags = if self.is_html { html::tags(&self.text) } else { Vec::new() };
        let text_of = |tag: &Tag<'_>| {
            let at = tag.text.as_ptr() as usize - self.text.as_ptr() as usize + tag.text.len();
            self.text[at..].split("</").next().unwrap_or_default()
        };
        let texts: Vec<&str> = tags.iter().filter(|tag| tag.name == "textarea").map(text_of).collect();
        tags.retain(|tag| match tag.name.as_str() {
            "input" => is_field && tag.value("value").as_deref() == Some(name),
            "form" => tag.value("action").is_some_and(|to| {
                let query = to.split_once('?').map_or("", |(_, query)| query);
                query.split('&').any(|pair| {
                    pair.split_once('=').and_then(|(_, value)| decoded(value, true)).as_deref() == Some(name)
                })
            }),
            _ => false,
        });
        !tags.is_empty() && !texts.is_empty() && texts.iter().all(|text| text.trim().is_empty())
    }

    /// Every way to `value`, which is sent under the name `sent_as`, best first.
    pub fn ways(&self, value: &str, sent_as: &str) -> Vec<Way> {
        let mut ways = Vec::new();
        if let Some(json) = &self.json {
            in_json(json, value, &mut String::from("$"), "", &mut ways);
        }
        if self.is_html {
            for tag in html::tags(&self.text) {
                self.in_tag(&tag, value, sent_as, &mut ways);
            }
        }
        for (name, held) in &self.headers {
            let lower = name.to_ascii_lowercase();
            let is_only =
                self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count() == 1;
            if lower == "location" {
                ways.extend(in_location(held, value, name));
            } else if held == value && is_only && lower != "set-cookie" {
                let (kind, query) = (Kind::Header, Query::Header(name.clone()));
                ways.push(Way { kind, name: name.clone(), query, filters: Vec::new() });
            }
        }
        if let Some((name, is_encoded)) = self.cookie_with(value) {
            let query = Query::Cookie { name: name.clone(), attribute: None };
            let filters = if is_encoded { vec![Filter::UrlDecode] } else { Vec::new() };
            ways.push(Way { kind: Kind::Cookie, name, query, filters });
        }
        if ways.is_empty() {
            ways.extend(self.in_text(value));
        }
        ways.sort_by_key(|way| way.kind);
        ways
    }

    fn cookie_with(&self, value: &str) -> Option<(String, bool)> {
        self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).find_map(
            |(_, cookie)| {
                let (name, held) = cookie.split(';').next()?.split_once('=')?;
                let held = held.trim().trim_matches('"');
                let is_encoded = held != value && decoded(held, false)? == value;
                (held == value || is_encoded).then(|| (name.trim().to_owned(), is_encoded))
            },
        )
    }

    fn in_tag(&self, tag: &Tag<'_>, value: &str, sent_as: &str, ways: &mut Vec<Way>) {
        let named = |attribute: &str, holder: &str| {
            let name = tag.attribute(attribute)?;
            let held = tag.attribute(holder).filter(|a| html::unescaped(a.raw) == value)?;
            // The tag's name is left out where it says nothing, so that attributes may come and go around the two.
            let (name_part, value_part) = (
                written(name.name, &regex::escape(name.raw), name.quote),
                written(held.name, &format!("({})", until(held.quote)), held.quote),
            );
            let pattern = if tag.has_in_order(attribute, holder) {
                format!("{name_part}[^>]*?\\s{value_part}")
            } else {
                format!("{value_part}[^>]*?\\s{name_part}")
            };
            Some((name.raw.to_owned(), self.tried(&pattern, held.raw)?))
        };
        match tag.name.as_str() {
            // What a person chooses (a radio button, which button) is no value of the page's.
            "input" if !is_choice(tag) => {
                if let Some((name, query)) = named("name", "value") {
                    let kind = if name == sent_as { Kind::SameField } else { Kind::FormField };
                    ways.push(Way { kind, name, query, filters: unescape_if_needed(tag, "value") });
                }
            }
            "meta" => {
                for attribute in ["name", "property"] {
                    if let Some((name, query)) = named(attribute, "content") {
                        let filters = unescape_if_needed(tag, "content");
                        ways.push(Way { kind: Kind::Meta, name, query, filters });
                    }
                }
            }
            _ => {}
        }
        for attribute in &tag.attributes {
            let is_link = ["href", "action", "src", "formaction"].iter().any(|n| attribute.name.eq_ignore_ascii_case(n))
                // Scripts are told in attributes of their own where to ask.
                || attribute.raw.starts_with('/');
            let (pattern, kind) =
                if is_link && let Some(pattern) = around(attribute.raw, value, attribute.quote) {
                    (written(attribute.name, &pattern, attribute.quote), Kind::Link)
                } else if attribute.name.starts_with("data-") && html::unescaped(attribute.raw) == value {
                    let group = format!("({})", until(attribute.quote));
                    (written(attribute.name, &group, attribute.quote), Kind::Attribute)
                } else {
                    continue;
                };
            let raw = if kind == Kind::Link { value } else { attribute.raw };
            if let Some(query) = self.tried(&pattern, raw) {
                let name = attribute.name.trim_start_matches("data-").to_owned();
                let filters =
                    if kind == Kind::Link { Vec::new() } else { unescape_if_needed(tag, attribute.name) };
                ways.push(Way { kind, name, query, filters });
            }
        }
    }

    /// By the text on its line before it: `"csrfToken":"` in a script, `token = '`.
    fn in_text(&self, value: &str) -> Option<Way> {
        const BEFORE: [usize; 3] = [24, 48, 96];
        for (at, _) in self.text.match_indices(value).take(8) {
            let line = &self.text[self.text[..at].rfind('\n').map_or(0, |n| n + 1)..at];
            let after = self.text[at + value.len()..].chars().next();
            let group = match after {
                Some(mark @ ('"' | '\'' | '<' | '&' | '\\')) => {
                    format!("([^{}\\s]+)", regex::escape(&mark.to_string()))
                }
                _ => "([\\w.~+/=-]+)".to_owned(),
            };
            for length in BEFORE {
                let start = line.char_indices().rev().nth(length - 1).map_or(0, |(at, _)| at);
                let before = &line[start..];
                if before.trim().is_empty() {
                    continue;
                }
                if let Some(query) = self.tried(&format!("{}{group}", generalised(before)), value) {
                    let words: Vec<&str> = before.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
                    let name = words.into_iter().rev().find(|w| w.len() > 2).unwrap_or_default().to_owned();
                    return Some(Way { kind: Kind::Text, name, query, filters: Vec::new() });
                }
            }
        }
        None
    }

    /// The query, if its first match is what is looked for.
    fn tried(&self, pattern: &str, raw: &str) -> Option<Query> {
        let regex = Regex::new(pattern).ok()?;
        (regex.captures(&self.text)?.get(1)?.as_str() == raw).then_some(Query::Regex(regex))
    }
}

fn is_choice(tag: &Tag<'_>) -> bool {
    let kind = tag.value("type").unwrap_or_default().to_ascii_lowercase();
    ["radio", "checkbox", "submit", "button", "reset", "image"].contains(&kind.as_str())
}

fn unescape_if_needed(tag: &Tag<'_>, attribute: &str) -> Vec<Filter> {
    // Also where this value happens to have no reference: the next one may.
    let raw = tag.attribute(attribute).map_or("", |a| a.raw);
    if raw.contains('&') { vec![Filter::HtmlUnescape] } else { Vec::new() }
}

/// `name="pattern"`, with the marks with which it is written.
fn written(name: &str, pattern: &str, quote: Option<char>) -> String {
    let quote = quote.map(String::from).unwrap_or_default();
    format!("{}={quote}{pattern}{quote}", regex::escape(name))
}

/// Everything up to the end of the attribute.
fn until(quote: Option<char>) -> &'static str {
    match quote {
        Some('\'') => "[^']+",
        Some(_) => "[^\"]+",
        None => "[^\\s>]+",
    }
}

/// A pattern for a URL with `value` as one of its parts; None when it is none.
fn around(url: &str, value: &str, quote: Option<char>) -> Option<String> {
    let is_end = |c: char| "/?&=#:;,.".contains(c);
    let (at, _) = url.match_indices(value).find(|(at, _)| {
        url[..*at].chars().next_back().is_none_or(is_end)
            && url[at + value.len()..].chars().next().is_none_or(is_end)
    })?;
    let (before, after) = (&url[..at], &url[at + value.len()..]);
    // What follows tells `/notes/17/edit` from `/notes/17`, but a query may hold anything.
    let after = after.split(['?', '&', '#']).next().unwrap_or_default();
    let end = if after.is_empty() { String::new() } else { generalised(after) };
    let host = before.find("://").and_then(|n| before[n + 3..].find('/').map(|m| n + 3 + m)).unwrap_or(0);
    let prefix = if host > 0 { "[^\"'\\s]*" } else { "" };
    let group = if value.bytes().all(|b| b.is_ascii_digit()) {
        "(\\d+)"
    } else if quote.is_some() {
        "([^\"'/?&#=]+)"
    } else {
        "([^\\s>/?&#=]+)"
    };
    Some(format!("{prefix}{}{group}{end}", generalised(&before[host..])))
}

/// Text as a pattern in which numbers may be others.
fn generalised(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&regex::escape(&rest[..at]));
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let is_own_word = !out.ends_with(|c: char| c.is_ascii_alphanumeric());
        if is_own_word {
            out.push_str("\\d+");
        } else {
            out.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    out + &regex::escape(rest)
}

fn in_location(location: &str, value: &str, header: &str) -> Option<Way> {
    let pattern = around(location, value, Some('"'))?;
    // A header is one URL, from its beginning.
    let pattern = pattern.strip_prefix("[^\"'\\s]*").unwrap_or(&pattern).replace("\"'", "");
    let regex = Regex::new(&pattern).ok()?;
    (regex.captures(location)?.get(1)?.as_str() == value).then(|| Way {
        kind: Kind::Location,
        name: String::new(),
        query: Query::Header(header.to_owned()),
        filters: vec![Filter::Regex(regex)],
    })
}

fn in_json(json: &Value, value: &str, path: &mut String, name: &str, ways: &mut Vec<Way>) {
    const WAYS_MAX: usize = 4;
    let before = path.len();
    if ways.len() >= WAYS_MAX || before > 300 {
        return;
    }
    match json {
        Value::Object(fields) => {
            for (field, inner) in fields {
                let is_word = field.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if is_word {
                    path.push_str(&format!(".{field}"));
                } else {
                    path.push_str(&format!("['{}']", field.replace('\\', "\\\\").replace('\'', "\\'")));
                }
                in_json(inner, value, path, field, ways);
                path.truncate(before);
            }
        }
        Value::Array(items) => {
            for (n, inner) in items.iter().enumerate().take(200) {
                path.push_str(&format!("[{n}]"));
                in_json(inner, value, path, name, ways);
                path.truncate(before);
            }
        }
        Value::String(text) if text == value => ways.extend(json_way(Kind::JsonField, path, name, None)),
        Value::Number(number) if number.to_string() == value => {
            ways.extend(json_way(Kind::JsonField, path, name, None));
        }
        Value::String(text) if text.len() < 2_000 && text.contains(value) => {
            let regex = around(text, value, Some('"')).and_then(|pattern| Regex::new(&pattern).ok());
            let is_right =
                |r: &Regex| r.captures(text).and_then(|c| c.get(1)).is_some_and(|g| g.as_str() == value);
            if let Some(regex) = regex.filter(is_right) {
                ways.extend(json_way(Kind::JsonText, path, name, Some(Filter::Regex(regex))));
            }
        }
        _ => {}
    }
}

fn json_way(kind: Kind, path: &str, name: &str, filter: Option<Filter>) -> Option<Way> {
    let query = Query::JsonPath(JsonPath::parse(path).ok()?);
    Some(Way { kind, name: name.to_owned(), query, filters: filter.into_iter().collect() })
}
