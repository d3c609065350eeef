//! Which operation gives the value of a parameter: by links, by what makes the thing, by what lists it.

use fissure_facts::journey::{Capture, Filter, JsonPath, Query};
use regex::Regex;
use serde_json::Value;

use super::Wrong;
use super::document::{Document, Schema};
use super::operation::{Operation, bare};
use crate::users::names;

#[derive(Debug, Clone)]
pub struct Maker {
    /// The operation's place in the list.
    pub operation: usize,
    pub from: From,
}

#[derive(Debug, Clone)]
pub enum From {
    /// Its answer, by a JSON path.
    Json(String),
    /// The first one of a list, which others may have made.
    First(String),
    /// A property of what it sends.
    Sent(String),
    /// The last part of where it says that the thing is.
    Location,
}

impl From {
    /// The capture under this name; None when nothing has to be captured.
    pub fn capture(&self, name: &str) -> Option<Capture> {
        let (query, filters) = match self {
            Self::Json(path) | Self::First(path) => {
                (Query::JsonPath(JsonPath::parse(path).ok()?), Vec::new())
            }
            Self::Location => {
                let last = Regex::new("([^/?#]+)/?(?:[?#].*)?$").ok()?;
                (Query::Header("Location".to_owned()), vec![Filter::Regex(last)])
            }
            Self::Sent(_) => return None,
        };
        Some(Capture { line: 0, name: name.to_owned(), query, filters })
    }
}

/// What gives the parameter `name` of `of`; `parent` is the path before it, bare.
pub fn of_parameter(
    document: &Document<'_>,
    operations: &[Operation<'_>],
    of: &Operation<'_>,
    parent: &str,
    name: &str,
) -> Result<Option<Maker>, Wrong> {
    for (n, operation) in operations.iter().enumerate() {
        for link in &operation.links {
            let leads_here = link.to_id.is_some_and(|id| id == of.id)
                || link.to.as_ref().is_some_and(|(method, path)| *method == of.method && path == of.path);
            let given = link.parameters.iter().find(|(parameter, _)| *parameter == name);
            if let Some((_, expression)) = given.filter(|_| leads_here)
                && let Some(from) = of_expression(expression)
            {
                return Ok(Some(Maker { operation: n, from }));
            }
        }
    }
    // Creation first, then lists.
    let wanted = |o: &&(usize, &Operation<'_>)| bare(o.1.path) == parent;
    let all: Vec<(usize, &Operation<'_>)> = operations.iter().enumerate().collect();
    for (n, operation) in all.iter().filter(wanted).filter(|(_, o)| o.method == "POST") {
        if let Some(path) = property_of(document, operation, parent, name)? {
            return Ok(Some(Maker { operation: *n, from: From::Json(path) }));
        }
        if operation.tells_location {
            return Ok(Some(Maker { operation: *n, from: From::Location }));
        }
        if let Some(property) = sent_property(document, operation, name)? {
            return Ok(Some(Maker { operation: *n, from: From::Sent(property) }));
        }
    }
    for (n, operation) in all.iter().filter(wanted).filter(|(_, o)| o.method == "GET") {
        if let Some(path) = first_of_list(document, operation, parent, name)? {
            return Ok(Some(Maker { operation: *n, from: From::First(path) }));
        }
    }
    Ok(None)
}

/// `$response.body#/id`, `$response.header.Location`, `$request.body#/name`.
fn of_expression(expression: &str) -> Option<From> {
    let expression = expression.trim_matches(['{', '}']);
    if let Some(pointer) = expression.strip_prefix("$response.body#") {
        let mut path = String::from("$");
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() {
                path.push_str(&format!("[{part}]"));
            } else {
                path.push_str(&step(&part));
            }
        }
        return JsonPath::parse(&path).is_ok().then_some(From::Json(path));
    }
    if expression.eq_ignore_ascii_case("$response.header.location") {
        return Some(From::Location);
    }
    let sent = expression.strip_prefix("$request.body#/")?;
    (!sent.contains('/')).then(|| From::Sent(sent.to_owned()))
}

/// `.name`, or `['a name']`.
pub fn step(name: &str) -> String {
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_word {
        format!(".{name}")
    } else {
        format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}

/// The names under which a thing may tell what the parameter asks for, best first.
fn candidates(parent: &str, name: &str) -> Vec<String> {
    let word = names::word(name);
    let noun = noun(parent);
    let mut candidates = vec![word.clone()];
    let suffix =
        ["id", "uuid", "key", "slug", "name", "code", "number"].into_iter().find(|s| word.ends_with(s));
    candidates.extend(suffix.map(str::to_owned));
    candidates.extend(suffix.map(|suffix| format!("{noun}_{suffix}")));
    // `{order}`, `{order_id}` where the thing says `uuid`.
    if matches!(suffix, None | Some("id")) {
        candidates.extend(["id", "uuid", "_id", "pk", "key", "slug"].map(str::to_owned));
        candidates.push(format!("{noun}_id"));
    }
    candidates
}

/// `order` of `/api/orders`.
pub fn noun(parent: &str) -> String {
    let last = parent.rsplit('/').find(|segment| !segment.is_empty() && *segment != "{}").unwrap_or_default();
    names::singular(&names::word(last))
}

/// The way to it in an object of this schema, also one level deeper (`data`, `order`).
fn way_in(
    document: &Document<'_>,
    schema: &Value,
    place: &str,
    candidates: &[String],
    is_deep: bool,
) -> Result<Option<String>, Wrong> {
    let properties = document.schema(schema, place)?.properties();
    for candidate in candidates {
        // JSON's names differ in their writing: `orderId`, `order_id`, `ID`.
        let is_it = |name: &str| {
            names::word(name).trim_matches('_').replace('_', "")
                == candidate.trim_matches('_').replace('_', "")
        };
        if let Some((name, ..)) = properties.iter().find(|(name, ..)| is_it(name)) {
            return Ok(Some(step(name)));
        }
    }
    for (name, inner, _) in properties.iter().filter(|_| is_deep).take(20) {
        if document.schema(inner, place)?.kind() == "object"
            && let Some(way) = way_in(document, inner, place, candidates, false)?
        {
            return Ok(Some(format!("{}{way}", step(name))));
        }
    }
    Ok(None)
}

fn property_of(
    document: &Document<'_>,
    operation: &Operation<'_>,
    parent: &str,
    name: &str,
) -> Result<Option<String>, Wrong> {
    let Some(answer) = operation.answer else { return Ok(None) };
    let way = way_in(document, answer, &operation.place, &candidates(parent, name), true)?;
    Ok(way.map(|way| format!("${way}")))
}

fn sent_property(
    document: &Document<'_>,
    operation: &Operation<'_>,
    name: &str,
) -> Result<Option<String>, Wrong> {
    let Some(body) = &operation.body else { return Ok(None) };
    let properties = document.schema(body.schema, &body.place)?.properties();
    let word = names::word(name);
    Ok(properties
        .iter()
        .find(|(known, ..)| names::word(known) == word)
        .map(|(known, ..)| (*known).to_owned()))
}

/// Of `[...]`, `{"items": [...]}`, where the description promises that there is one.
fn first_of_list(
    document: &Document<'_>,
    operation: &Operation<'_>,
    parent: &str,
    name: &str,
) -> Result<Option<String>, Wrong> {
    let Some(answer) = operation.answer else { return Ok(None) };
    let schema = document.schema(answer, &operation.place)?;
    let mut lists = Vec::new();
    let has_one =
        |list: &Schema<'_>| list.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 0);
    if let Some(items) = schema.items().filter(|_| schema.kind() == "array" && has_one(&schema)) {
        lists.push(("$[0]".to_owned(), items));
    }
    for (property, inner, _) in schema.properties() {
        let inner = document.schema(inner, &operation.place)?;
        if let Some(items) = inner.items().filter(|_| inner.kind() == "array" && has_one(&inner)) {
            lists.push((format!("${}[0]", step(property)), items));
        }
    }
    for (path, items) in lists {
        if let Some(way) = way_in(document, items, &operation.place, &candidates(parent, name), false)? {
            return Ok(Some(format!("{path}{way}")));
        }
    }
    Ok(None)
}
