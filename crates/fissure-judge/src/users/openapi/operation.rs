//! The operations of a description, with what is needed to call them.

use serde_json::Value;

use super::Wrong;
use super::document::Document;
use crate::users::names;

const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];
/// More are meant to tire us.
const OPERATIONS_MAX: usize = 2_000;

pub struct Operation<'d> {
    /// In capitals.
    pub method: String,
    /// As in the description: `/orders/{orderId}`.
    pub path: &'d str,
    /// Where it stands: `#/paths/~1orders/post`.
    pub place: String,
    pub id: &'d str,
    /// The first tag.
    pub tag: Option<&'d str>,
    pub parameters: Vec<Parameter<'d>>,
    pub body: Option<Sends<'d>>,
    /// The lowest and the highest status of those that are described as a success.
    pub status: Option<(u16, u16)>,
    /// The schema of the JSON that it answers with.
    pub answer: Option<&'d Value>,
    pub tells_location: bool,
    pub links: Vec<Link<'d>>,
    /// One of these is enough; each is a set of schemes.
    pub security: Vec<Vec<&'d str>>,
}

pub struct Parameter<'d> {
    pub name: &'d str,
    /// `path`, `query`, `header`, `cookie`.
    pub stands_in: &'d str,
    pub is_required: bool,
    pub schema: &'d Value,
    pub example: Option<Value>,
    pub place: String,
}

/// A request's body.
pub struct Sends<'d> {
    pub media: &'d str,
    pub schema: &'d Value,
    pub example: Option<&'d Value>,
    pub encoding: Option<&'d Value>,
    pub place: String,
}

/// What another operation can be called with.
pub struct Link<'d> {
    pub to_id: Option<&'d str>,
    /// Method and path, out of `operationRef`.
    pub to: Option<(String, String)>,
    /// Parameter, and the expression that gives it.
    pub parameters: Vec<(&'d str, &'d str)>,
}

impl Operation<'_> {
    /// The path up to the last parameter, and its name: `/orders` and `orderId` of `/orders/{orderId}/lines`.
    pub fn parents(&self) -> Vec<(String, &str)> {
        let mut parents = Vec::new();
        let mut from = 0;
        while let Some(open) = self.path[from..].find('{').map(|at| at + from) {
            let Some(close) = self.path[open..].find('}').map(|at| at + open) else { break };
            parents.push((bare(&self.path[..open]), &self.path[open + 1..close]));
            from = close + 1;
        }
        parents
    }

    /// Words of the path and of the name.
    pub fn is_called(&self, words: &[&str]) -> bool {
        let path = self.path.split('/').map(|segment| names::word(segment).replace('_', ""));
        path.chain([names::word(self.id).replace('_', "")]).any(|said| words.iter().any(|w| said.contains(w)))
    }
}

/// A path without its last slash, and its parameters without their names.
pub fn bare(path: &str) -> String {
    let mut out = String::new();
    let mut is_inside = false;
    for c in path.trim_end_matches('/').chars() {
        match c {
            '{' => {
                is_inside = true;
                out.push_str("{}");
            }
            '}' => is_inside = false,
            c if !is_inside => out.push(c),
            _ => {}
        }
    }
    out
}

pub fn read<'d>(document: &Document<'d>) -> Result<Vec<Operation<'d>>, Wrong> {
    let root = document.root();
    let paths = root.get("paths").and_then(Value::as_object);
    let paths =
        paths.ok_or_else(|| Wrong::at("#/paths", "there is no object `paths`, so nothing can be called"))?;
    let everywhere = security(root);
    let mut operations = Vec::new();
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let place = format!("#/paths/{}", path.replace('~', "~0").replace('/', "~1"));
        if !path.starts_with('/') || path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Wrong::at(place, "a path begins with a slash and has no blanks"));
        }
        let item = document.at(item, &place)?;
        if !item.is_object() {
            return Err(Wrong::at(place, "a path is an object, and this is none"));
        }
        for method in METHODS {
            let Some(said) = item.get(method) else { continue };
            let place = format!("{place}/{method}");
            if !said.is_object() {
                return Err(Wrong::at(place, "an operation is an object, and this is none"));
            }
            if operations.len() >= OPERATIONS_MAX {
                return Err(Wrong::at(place, format!("there are more than {OPERATIONS_MAX} operations")));
            }
            let mut operation = Operation {
                method: method.to_ascii_uppercase(),
                path,
                id: said.get("operationId").and_then(Value::as_str).unwrap_or_default(),
                tag: said.pointer("/tags/0").and_then(Value::as_str),
                parameters: Vec::new(),
                body: None,
                status: None,
                answer: None,
                tells_location: false,
                links: Vec::new(),
                security: security(said).or_else(|| everywhere.clone()).unwrap_or_default(),
                place,
            };
            parameters(document, item, said, &mut operation)?;
            body(document, said, &mut operation)?;
            answer(document, said, &mut operation)?;
            operations.push(operation);
        }
    }
    if operations.is_empty() {
        return Err(Wrong::at("#/paths", "there is no operation, so nothing can be called"));
    }
    Ok(operations)
}

fn security(of: &Value) -> Option<Vec<Vec<&str>>> {
    let list = of.get("security")?.as_array()?;
    let mut sets = Vec::new();
    for set in list {
        sets.push(set.as_object().map(|set| set.keys().map(String::as_str).collect()).unwrap_or_default());
    }
    Some(sets)
}

fn parameters<'d>(
    document: &Document<'d>,
    item: &'d Value,
    said: &'d Value,
    operation: &mut Operation<'d>,
) -> Result<(), Wrong> {
    let of = |node: &'d Value| node.get("parameters").and_then(Value::as_array).into_iter().flatten();
    // The operation's own stand for those of the path.
    for (n, parameter) in of(said).chain(of(item)).enumerate() {
        let place = format!("{}/parameters/{n}", operation.place);
        let parameter = document.at(parameter, &place)?;
        let text = |name: &str| parameter.get(name).and_then(Value::as_str);
        let (Some(name), Some(stands_in)) = (text("name"), text("in")) else {
            return Err(Wrong::at(place, "a parameter has a `name` and says what it is `in`"));
        };
        if operation.parameters.iter().any(|known| known.name == name && known.stands_in == stands_in) {
            continue;
        }
        let content = parameter.get("content").and_then(Value::as_object).and_then(|c| c.values().next());
        let holder = content.unwrap_or(parameter);
        operation.parameters.push(Parameter {
            name,
            stands_in,
            is_required: stands_in == "path"
                || parameter.get("required").and_then(Value::as_bool) == Some(true),
            schema: holder.get("schema").unwrap_or(&Value::Null),
            example: example(document, holder, &place)?.cloned(),
            place,
        });
    }
    Ok(())
}

/// `example`, or the first of `examples`.
fn example<'d>(document: &Document<'d>, holder: &'d Value, place: &str) -> Result<Option<&'d Value>, Wrong> {
    if let Some(example) = holder.get("example") {
        return Ok(Some(example));
    }
    let first = holder.get("examples").and_then(Value::as_object).and_then(|all| all.values().next());
    Ok(match first {
        Some(first) => document.at(first, place)?.get("value"),
        None => None,
    })
}

/// The media types that can be written, best first.
fn rank(media: &str) -> Option<usize> {
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "application/json" | "*/*" => Some(0),
        media if media.ends_with("+json") || media.ends_with("/json") => Some(1),
        "application/x-www-form-urlencoded" => Some(2),
        "multipart/form-data" => Some(3),
        "application/octet-stream" => Some(4),
        media if media.starts_with("text/") || media.starts_with("image/") => Some(5),
        _ => None,
    }
}

fn body<'d>(document: &Document<'d>, said: &'d Value, operation: &mut Operation<'d>) -> Result<(), Wrong> {
    let Some(body) = said.get("requestBody") else { return Ok(()) };
    let place = format!("{}/requestBody", operation.place);
    let body = document.at(body, &place)?;
    let Some(content) = body.get("content").and_then(Value::as_object) else {
        return Err(Wrong::at(place, "a body has an object `content` by media types"));
    };
    let best =
        content.iter().filter_map(|(media, of)| Some((rank(media)?, media, of))).min_by_key(|(n, ..)| *n);
    operation.body = match best {
        Some((_, media, of)) => Some(Sends {
            media,
            schema: of.get("schema").unwrap_or(&Value::Null),
            example: example(document, of, &place)?,
            encoding: of.get("encoding"),
            place,
        }),
        None => content.iter().next().map(|(media, of)| Sends {
            media,
            schema: of.get("schema").unwrap_or(&Value::Null),
            example: of.get("example"),
            encoding: None,
            place,
        }),
    };
    Ok(())
}

fn answer<'d>(document: &Document<'d>, said: &'d Value, operation: &mut Operation<'d>) -> Result<(), Wrong> {
    let place = format!("{}/responses", operation.place);
    let Some(responses) = said.get("responses").and_then(Value::as_object) else { return Ok(()) };
    let is_success = |code: &str| code.starts_with('2') || code.starts_with('3');
    let mut successes: Vec<(&str, &Value)> =
        responses.iter().filter(|(code, _)| is_success(code)).map(|(code, of)| (code.as_str(), of)).collect();
    successes.sort_by_key(|(code, _)| *code);
    // A redirect is what an app does otherwise, where it says what it does when all is well.
    let best = successes.first().map_or("", |(code, _)| &code[..1]);
    let of_best = || successes.iter().map(|(code, _)| *code).filter(|code| code.starts_with(best));
    // `2XX` is all of them.
    let bound = |digit: &str| -> Vec<u16> {
        of_best().filter_map(|code| code.to_ascii_uppercase().replace('X', digit).parse().ok()).collect()
    };
    operation.status = bound("0").into_iter().min().zip(bound("9").into_iter().max());
    let answers = successes.iter().map(|(_, of)| *of).chain(responses.get("default"));
    for of in answers {
        let of = document.at(of, &place)?;
        let content = of.get("content").and_then(Value::as_object);
        let json = content.into_iter().flatten().find(|(media, _)| rank(media).is_some_and(|n| n < 2));
        if let Some((_, json)) = json.filter(|_| operation.answer.is_none()) {
            operation.answer = json.get("schema");
        }
        let headers = of.get("headers").and_then(Value::as_object);
        operation.tells_location |=
            headers.is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case("location")));
        for link in of.get("links").and_then(Value::as_object).into_iter().flat_map(|links| links.values()) {
            operation.links.extend(read_link(document.at(link, &place)?));
        }
    }
    Ok(())
}

fn read_link(link: &Value) -> Option<Link<'_>> {
    let text = |name: &str| link.get(name).and_then(Value::as_str);
    let to = text("operationRef").and_then(|reference| {
        let mut parts = reference.strip_prefix("#/paths/")?.split('/');
        let path = parts.next()?.replace("~1", "/").replace("~0", "~");
        Some((parts.next()?.to_ascii_uppercase(), path))
    });
    let parameters = link.get("parameters").and_then(Value::as_object)?;
    let parameters = parameters.iter().filter_map(|(name, from)| {
        // `path.id` tells one `id` from another.
        let name = name.split_once('.').map_or(name.as_str(), |(_, name)| name);
        Some((name, from.as_str()?))
    });
    Some(Link { to_id: text("operationId"), to, parameters: parameters.collect() })
}
