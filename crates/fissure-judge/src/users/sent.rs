//! A request, taken apart into the places at which a user's values may stand, and put together again with variables.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fissure_facts::journey::{Body, JourneyStep, Part, PartContent, Piece, Template};
use fissure_facts::traffic::Asked;
use serde_json::Value;

/// Where a value stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The path, without its query.
    Path,
    Query(usize),
    Header(usize),
    Field(usize),
    /// A leaf of a JSON body.
    Json(Vec<Key>),
    Part(usize),
    /// A body of another kind.
    Text,
    /// The user's name in Basic authorization, and the password.
    BasicUser,
    BasicPassword,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Name(String),
    Index(usize),
}

/// A place with its name and what was sent there.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    pub place: Place,
    /// The name of the field, header or parameter; `path` for the path.
    pub name: String,
    pub text: String,
    /// A number in JSON: its variable stands without quotes.
    pub is_number: bool,
}

/// What was sent, decoded.
#[derive(Debug, Clone)]
pub struct Sent {
    pub path: String,
    /// As it was written, and decoded; None for a query that is no list of pairs.
    query_text: String,
    query: Option<Vec<(String, String)>>,
    /// Those that a journey keeps.
    pub headers: Vec<(String, String)>,
    basic: Option<(String, String)>,
    body: SentBody,
}

#[derive(Debug, Clone)]
enum SentBody {
    None,
    Form(Vec<(String, String)>),
    Json(Value),
    Multipart(Vec<SentPart>),
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone)]
struct SentPart {
    name: String,
    file: Option<(String, String)>,
    bytes: Vec<u8>,
}

impl Sent {
    pub fn read(asked: &Asked) -> Self {
        let target = asked.target.split('#').next().unwrap_or_default();
        let (path, query_text) = target.split_once('?').unwrap_or((target, ""));
        let query = pairs(query_text, false).filter(|pairs| pairs.iter().all(|(name, _)| is_key(name)));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let kind = asked.header("content-type").unwrap_or_default();
        let mut headers = super::headers::kept(asked);
        let basic = asked.header("authorization").and_then(basic);
        if basic.is_some() {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        }
        Self {
            path,
            query_text: query_text.to_owned(),
            query,
            headers,
            basic,
            body: body(kind, &asked.body.bytes),
        }
    }

    /// Every place at which a value stands, in the order in which a person reads a request.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![slot(Place::Path, "path", &self.path)];
        for (n, (name, value)) in self.query.iter().flatten().enumerate() {
            slots.push(slot(Place::Query(n), name, value));
        }
        for (n, (name, value)) in self.headers.iter().enumerate() {
            slots.push(slot(Place::Header(n), name, value));
        }
        if let Some((user, password)) = &self.basic {
            slots.push(slot(Place::BasicUser, "user", user));
            slots.push(slot(Place::BasicPassword, "password", password));
        }
        match &self.body {
            SentBody::Form(fields) => {
                for (n, (name, value)) in fields.iter().enumerate() {
                    slots.push(slot(Place::Field(n), name, value));
                }
            }
            SentBody::Json(json) => leaves(json, &mut Vec::new(), "body", &mut slots),
            SentBody::Multipart(parts) => {
                for (n, part) in parts.iter().enumerate().filter(|(_, part)| part.file.is_none()) {
                    slots.push(slot(Place::Part(n), &part.name, &String::from_utf8_lossy(&part.bytes)));
                }
            }
            SentBody::Text(text) => slots.push(slot(Place::Text, "body", text)),
            SentBody::None | SentBody::Bytes(_) => {}
        }
        slots
    }

    /// Puts the request into a step; `templates` say what stands at the places that are not as they were.
    pub fn write(&self, step: &mut JourneyStep, templates: &[(Place, Template)]) {
        let written = |place: &Place, text: &str| {
            let changed = templates.iter().find(|(known, _)| known == place);
            changed.map_or_else(|| Template::text(text), |(_, template)| template.clone())
        };
        step.target = written(&Place::Path, &self.path);
        let varies = templates.iter().any(|(place, _)| matches!(place, Place::Query(_)));
        match self.query.as_ref().filter(|_| varies) {
            Some(pairs) => {
                let pairs = pairs.iter().enumerate();
                step.query =
                    pairs.map(|(n, (name, v))| (name.clone(), written(&Place::Query(n), v))).collect();
            }
            None if self.query_text.is_empty() => {}
            None => step.target.0.push(Piece::Text(format!("?{}", self.query_text))),
        }
        step.target = joined(std::mem::take(&mut step.target));
        for (n, (name, value)) in self.headers.iter().enumerate() {
            step.headers.push((name.clone(), written(&Place::Header(n), value)));
        }
        step.basic_auth = self.basic.as_ref().map(|(user, password)| {
            (written(&Place::BasicUser, user), written(&Place::BasicPassword, password))
        });
        step.body = match &self.body {
            SentBody::None => Body::None,
            SentBody::Form(fields) => {
                let fields = fields.iter().enumerate();
                Body::Form(
                    fields.map(|(n, (name, v))| (name.clone(), written(&Place::Field(n), v))).collect(),
                )
            }
            SentBody::Multipart(parts) => {
                let parts = parts.iter().enumerate().map(|(n, part)| Part {
                    name: part.name.clone(),
                    content: match &part.file {
                        Some((file_name, content_type)) => PartContent::File {
                            file_name: file_name.clone(),
                            content_type: content_type.clone(),
                            bytes: part.bytes.clone(),
                        },
                        None => {
                            PartContent::Text(written(&Place::Part(n), &String::from_utf8_lossy(&part.bytes)))
                        }
                    },
                });
                Body::Multipart(parts.collect())
            }
            SentBody::Json(json) => {
                let mut pieces = Vec::new();
                write_json(json, &mut Vec::new(), 0, templates, &mut pieces);
                Body::Text { content_type: Some("application/json"), text: joined(Template(pieces)) }
            }
            SentBody::Text(text) => Body::Text { content_type: None, text: written(&Place::Text, text) },
            SentBody::Bytes(bytes) => Body::Bytes(bytes.clone()),
        };
        // What the language implies need not be said.
        let implied = match &step.body {
            Body::Text { content_type, .. } => *content_type,
            Body::Form(_) => Some("application/x-www-form-urlencoded"),
            _ => None,
        };
        let is_multipart = matches!(step.body, Body::Multipart(_));
        let is_nothing = matches!(step.body, Body::None);
        step.headers.retain(|(name, value)| {
            !name.eq_ignore_ascii_case("content-type")
                || !(is_multipart || is_nothing || implied.is_some_and(|kind| *value == Template::text(kind)))
        });
    }
}

fn slot(place: Place, name: &str, text: &str) -> Slot {
    Slot { place, name: name.to_owned(), text: text.to_owned(), is_number: false }
}

/// Neighbouring texts become one.
pub fn joined(template: Template) -> Template {
    let mut out: Vec<Piece> = Vec::new();
    for piece in template.0 {
        match (out.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
            (_, Piece::Text(text)) if text.is_empty() => {}
            (_, piece) => out.push(piece),
        }
    }
    Template(out)
}

fn body(kind: &str, bytes: &[u8]) -> SentBody {
    if bytes.is_empty() {
        return SentBody::None;
    }
    let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = std::str::from_utf8(bytes).ok();
    if media == "multipart/form-data"
        && let Some(parts) = multipart(kind, bytes)
    {
        return SentBody::Multipart(parts);
    }
    let Some(text) = text else { return SentBody::Bytes(bytes.to_vec()) };
    if media == "application/x-www-form-urlencoded"
        && let Some(fields) = pairs(text, true).filter(|f| f.iter().all(|(name, _)| is_key(name)))
    {
        return SentBody::Form(fields);
    }
    let is_json = media.ends_with("json") || (media.is_empty() && text.trim_start().starts_with('{'));
    if is_json
        && let Ok(json) = serde_json::from_str::<Value>(text)
        && depth(&json) < 60
    {
        return SentBody::Json(json);
    }
    SentBody::Text(text.to_owned())
}

/// `Basic` and a name and a password, in Base64 (RFC 7617).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, text) = header.split_once(' ')?;
    let pair = String::from_utf8(BASE64.decode(text.trim()).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    let is_plain =
        scheme.eq_ignore_ascii_case("basic") && !user.is_empty() && !pair.contains(char::is_control);
    is_plain.then(|| (user.to_owned(), password.to_owned()))
}

fn depth(json: &Value) -> usize {
    match json {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Can the language write this as the key of a pair? (It writes keys as they are.)
pub fn is_key(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('[')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.[]@$:".contains(c))
}

/// `a=1&b=2`, decoded; None when it is something else.
fn pairs(text: &str, is_form: bool) -> Option<Vec<(String, String)>> {
    if text.is_empty() {
        return None;
    }
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            // In a query a name may stand alone (`?wsdl`, or a number against caches).
            let (name, value) = pair.split_once('=').or((!is_form).then_some((pair, "")))?;
            Some((decoded(name, true)?, decoded(value, true)?))
        })
        .collect()
}

/// Without `%XX`, and `+` as a blank in forms; None when that is no text.
pub fn decoded(text: &str, is_form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' if is_form => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let digit = |b: u8| char::from(b).to_digit(16);
                match (ahead.next().and_then(digit), ahead.next().and_then(digit)) {
                    (Some(high), Some(low)) => {
                        bytes.push((high << 4 | low) as u8);
                        rest = ahead;
                    }
                    _ => bytes.push(b'%'),
                }
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The parts of a body (RFC 7578); None when its framing is broken.
fn multipart(kind: &str, bytes: &[u8]) -> Option<Vec<SentPart>> {
    let boundary = kind.split(';').find_map(|p| p.trim().strip_prefix("boundary="))?.trim_matches('"');
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut rest = &bytes[find(bytes, mark.as_bytes())? + mark.len()..];
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        let head_end = find(after, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&after[..head_end]).into_owned();
        let content = &after[head_end + 4..];
        let end = find(content, format!("\r\n{mark}").as_bytes())?;
        let line = |name: &str| {
            let mut lines = head.lines();
            lines
                .find(|l| l.to_ascii_lowercase().starts_with(name))
                .map(|l| l[name.len()..].trim().to_owned())
        };
        let disposition = line("content-disposition:")?;
        let parameter = |name: &str| {
            let at = disposition.find(&format!("{name}=\""))? + name.len() + 2;
            disposition[at..].split('"').next().map(str::to_owned)
        };
        let name = parameter("; name").or_else(|| parameter(";name"))?;
        if !is_key(&name) {
            return None;
        }
        let file = parameter("filename").map(|file| {
            (base_name(&file), line("content-type:").unwrap_or_else(|| "application/octet-stream".to_owned()))
        });
        // A file field that was left empty sends a file without a name; here it is an empty text.
        let file = file.filter(|(name, _)| !name.is_empty());
        if file.is_none() && std::str::from_utf8(&content[..end]).is_err() {
            return None;
        }
        parts.push(SentPart { name, file, bytes: content[..end].to_vec() });
        rest = &content[end + 2 + mark.len()..];
    }
    rest.starts_with(b"--").then_some(parts)
}

/// Some browsers send the whole path of a file.
fn base_name(file: &str) -> String {
    file.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

fn leaves(json: &Value, way: &mut Vec<Key>, name: &str, slots: &mut Vec<Slot>) {
    let mut leaf = |text: String, is_number| {
        slots.push(Slot { place: Place::Json(way.clone()), name: name.to_owned(), text, is_number });
    };
    match json {
        Value::String(text) => leaf(text.clone(), false),
        Value::Number(number) => leaf(number.to_string(), true),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                way.push(Key::Index(n));
                leaves(item, way, name, slots);
                way.pop();
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                way.push(Key::Name(field.clone()));
                leaves(value, way, field, slots);
                way.pop();
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Braces in a string would be taken for a variable's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace("{{", "{\\u007b")
}

/// JSON as a person would lay it out.
pub fn write_json(
    json: &Value,
    way: &mut Vec<Key>,
    indent: usize,
    templates: &[(Place, Template)],
    out: &mut Vec<Piece>,
) {
    let text = |text: String| Piece::Text(text);
    let (inner, outer) = ("  ".repeat(indent + 1), "  ".repeat(indent));
    let here = Place::Json(way.clone());
    let changed = templates.iter().find(|(place, _)| *place == here).map(|(_, template)| template);
    match (json, changed) {
        (Value::Number(_), Some(template)) => {
            if let [Piece::Variable(name)] = template.0.as_slice() {
                out.push(Piece::JsonValue(name.clone()));
            } else {
                out.push(text(json.to_string()));
            }
        }
        (Value::String(_), Some(template)) => {
            out.push(text("\"".to_owned()));
            for piece in &template.0 {
                out.push(match piece {
                    Piece::Text(part) => text(quoted(part).trim_matches('"').to_owned()),
                    Piece::Variable(name) => Piece::JsonString(name.clone()),
                    other => other.clone(),
                });
            }
            out.push(text("\"".to_owned()));
        }
        (Value::String(string), None) => out.push(text(quoted(string))),
        (Value::Array(items), _) if !items.is_empty() => {
            out.push(text("[\n".to_owned()));
            for (n, item) in items.iter().enumerate() {
                out.push(text(inner.clone()));
                way.push(Key::Index(n));
                write_json(item, way, indent + 1, templates, out);
                way.pop();
                out.push(text(if n + 1 < items.len() { ",\n" } else { "\n" }.to_owned()));
            }
            out.push(text(format!("{outer}]")));
        }
        (Value::Object(fields), _) if !fields.is_empty() => {
            out.push(text("{\n".to_owned()));
            for (n, (field, value)) in fields.iter().enumerate() {
                out.push(text(format!("{inner}{}: ", quoted(field))));
                way.push(Key::Name(field.clone()));
                write_json(value, way, indent + 1, templates, out);
                way.pop();
                out.push(text(if n + 1 < fields.len() { ",\n" } else { "\n" }.to_owned()));
            }
            out.push(text(format!("{outer}}}")));
        }
        (other, _) => out.push(text(other.to_string())),
    }
}
