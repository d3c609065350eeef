//! One journey through an API: operations in an order in which each has what it needs.

use std::collections::BTreeMap;

use fissure_facts::journey::{
    Assert, Body, ExpectedStatus, JourneyStep, JsonPath, Operand, Part, PartContent, Piece, Predicate, Query,
    Template, route_of,
};
use serde_json::Value;

use super::Wrong;
use super::document::Document;
use super::maker::{self, From, Maker};
use super::operation::{Operation, Parameter, Sends, bare};
use super::plausible::{Found, Plausible};
use super::secure::Credential;
use crate::users::names;
use crate::users::sent::{Key, Place, is_key, joined, write_json};
use crate::users::unique;

/// What a whole API is read into.
pub struct Api<'d> {
    pub document: Document<'d>,
    pub operations: Vec<Operation<'d>>,
    /// What stands before every path: `/api/v3`.
    pub prefix: String,
}

/// Why an operation is in no journey.
pub type Why = String;

/// A thing that an earlier step gave.
struct Known {
    parent: String,
    parameter: String,
    variable: String,
    /// It was made by this user.
    is_own: bool,
    /// The name by which its own operations call it: `id`.
    property: Option<String>,
}

pub struct Story<'a, 'd> {
    pub api: &'a Api<'d>,
    pub steps: Vec<JourneyStep>,
    pub notes: Vec<Vec<String>>,
    /// Operation, and the step that plays it.
    pub played: BTreeMap<usize, usize>,
    /// What each played operation sent, by the names of its body's properties.
    pub sent: BTreeMap<usize, Vec<(String, Template)>>,
    pub credentials: BTreeMap<String, Credential>,
    known: Vec<Known>,
    making: Vec<usize>,
    names: Vec<String>,
    /// The login, and what it sends, by words.
    pub login: Option<(usize, Vec<(String, Template)>)>,
    /// While a credential is got, none is asked for.
    pub is_logging_in: bool,
}

/// A picture of one dot, for fields that ask for one (PNG, 67 bytes).
const DOT: [u8; 67] = [
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0,
    0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0,
    1, 0, 0, 5, 0, 1, 0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

impl<'a, 'd> Story<'a, 'd> {
    pub fn new(api: &'a Api<'d>) -> Self {
        Self {
            api,
            steps: Vec::new(),
            notes: Vec::new(),
            played: BTreeMap::new(),
            sent: BTreeMap::new(),
            credentials: BTreeMap::new(),
            known: Vec::new(),
            making: Vec::new(),
            names: vec!["base".to_owned(), unique::NAME.to_owned(), unique::WHOLE.to_owned()],
            login: None,
            is_logging_in: false,
        }
    }

    /// Plays an operation, and before it what it needs; or says why that cannot be.
    pub fn play(&mut self, n: usize) -> Result<Result<(), Why>, Wrong> {
        if self.played.contains_key(&n) {
            return Ok(Ok(()));
        }
        if self.making.contains(&n) || self.making.len() > 20 {
            return Ok(Err("it needs itself".to_owned()));
        }
        self.making.push(n);
        let played = self.play_now(n);
        self.making.pop();
        played
    }

    fn play_now(&mut self, n: usize) -> Result<Result<(), Why>, Wrong> {
        let api = self.api;
        let operation = &api.operations[n];
        let mut note = Vec::new();
        let mut step = JourneyStep::empty(0);
        step.method = operation.method.clone();
        if let Err(why) = self.authorize(operation, &mut step, &mut note)? {
            return Ok(Err(why));
        }
        let target = match self.target(n, &mut note)? {
            Ok(target) => target,
            Err(why) => return Ok(Err(why)),
        };
        if let Some(body) = &operation.body
            && let Err(why) = self.body(n, body, &mut step, &mut note)?
        {
            return Ok(Err(why));
        }
        step.target = target;
        self.other_parameters(operation, &mut step, &mut note)?;
        let Some(route) = route_of(&step.method, &step.target) else {
            return Ok(Err("its path is no path".to_owned()));
        };
        step.route = route;
        expect_success(operation, &mut step);
        self.expect_the_same(operation, &mut step);
        self.played.insert(n, self.steps.len());
        self.steps.push(step);
        self.notes.push(note);
        Ok(Ok(()))
    }

    /// The path, with what stands for its parameters.
    fn target(&mut self, n: usize, note: &mut Vec<String>) -> Result<Result<Template, Why>, Wrong> {
        let api = self.api;
        let operation = &api.operations[n];
        let mut pieces = vec![Piece::Text(self.api.prefix.clone())];
        let mut rest = operation.path;
        for (parent, name) in operation.parents() {
            let Some((before, after)) = rest.split_once('{') else { break };
            pieces.push(Piece::Text(encoded(before, "/%")));
            rest = after.split_once('}').map_or("", |(_, behind)| behind);
            let variable = match self.variable_for(n, &parent, name)? {
                Ok(variable) => variable,
                Err(why) => return Ok(Err(why)),
            };
            if let Some(variable) = variable {
                pieces.push(Piece::Variable(variable));
                continue;
            }
            let parameter = operation.parameters.iter().find(|p| p.stands_in == "path" && p.name == name);
            let said = match parameter {
                Some(parameter) => self.said(parameter)?,
                None => None,
            };
            let Some(said) = said else {
                return Ok(Err(format!(
                    "nothing gives `{name}`: no operation makes it, and there is no example"
                )));
            };
            note.push(format!("`{name}` is the example of the description"));
            pieces.push(Piece::Text(encoded(&plain(&said), "")));
        }
        pieces.push(Piece::Text(encoded(rest, "/%")));
        Ok(Ok(joined(Template(pieces))))
    }

    fn said(&self, parameter: &Parameter<'d>) -> Result<Option<Value>, Wrong> {
        if parameter.example.is_some() {
            return Ok(parameter.example.clone());
        }
        Ok(self.api.document.schema(parameter.schema, &parameter.place)?.said())
    }

    /// The variable that holds a path's parameter, made by an earlier step if need be; None when only an example can.
    fn variable_for(
        &mut self,
        n: usize,
        parent: &str,
        name: &str,
    ) -> Result<Result<Option<String>, Why>, Wrong> {
        let api = self.api;
        let operation = &api.operations[n];
        let is_harm = operation.method == "DELETE";
        let found = self.known.iter().rev().find(|known| known.parent == parent && known.parameter == name);
        if let Some(known) = found {
            if is_harm && !known.is_own {
                return Ok(Err("it would delete what it did not make".to_owned()));
            }
            return Ok(Ok(Some(known.variable.clone())));
        }
        let maker = maker::of_parameter(&self.api.document, &self.api.operations, operation, parent, name)?;
        let Some(Maker { operation: made_by, from }) = maker.filter(|maker| maker.operation != n) else {
            return Ok(Ok(None));
        };
        let is_own = !matches!(from, From::First(_));
        if is_harm && !is_own {
            return Ok(Err("it would delete what it did not make".to_owned()));
        }
        if let Err(why) = self.play(made_by)? {
            return Ok(Err(format!("`{name}` needs {}: {why}", route_name(&self.api.operations[made_by]))));
        }
        let variable = match &from {
            From::Sent(property) => {
                let sent =
                    self.sent.get(&made_by).and_then(|sent| sent.iter().find(|(known, _)| known == property));
                match sent.map(|(_, template)| template.0.as_slice()) {
                    Some([Piece::Variable(variable)]) => variable.clone(),
                    _ => return Ok(Ok(None)),
                }
            }
            _ => {
                let word = names::word(name);
                let is_bare = matches!(word.as_str(), "id" | "uuid" | "pk" | "key" | "slug" | "name");
                let wanted = if is_bare { format!("{}_{word}", maker::noun(parent)) } else { word };
                let wanted = self.free_name(&wanted);
                let at = self.played[&made_by];
                let Some(capture) = from.capture(&wanted) else { return Ok(Ok(None)) };
                self.steps[at].captures.push(capture);
                wanted
            }
        };
        let property = match &from {
            From::Json(path) => {
                path.strip_prefix("$.").filter(|p| !p.contains(['.', '['])).map(str::to_owned)
            }
            _ => None,
        };
        self.known.push(Known {
            parent: parent.to_owned(),
            parameter: name.to_owned(),
            variable: variable.clone(),
            is_own,
            property,
        });
        Ok(Ok(Some(variable)))
    }

    pub fn free_name(&mut self, wanted: &str) -> String {
        let wanted = if wanted.starts_with(|c: char| c.is_ascii_digit()) {
            format!("v{wanted}")
        } else {
            wanted.to_owned()
        };
        let mut name = wanted.clone();
        for number in 2.. {
            if !self.names.contains(&name) {
                break;
            }
            name = format!("{wanted}_{number}");
        }
        self.names.push(name.clone());
        name
    }

    /// What stands for a property of a body: the thing itself, or another one that was made.
    fn reference(&self, operation: &Operation<'d>, property: &str) -> Option<Template> {
        let own = bare(operation.path);
        let word = names::word(property);
        let variable = |known: &Known| Template(vec![Piece::Variable(known.variable.clone())]);
        let is_update = matches!(operation.method.as_str(), "PUT" | "PATCH");
        let of_itself = self.known.iter().rev().find(|known| {
            let is_this = own == known.parent || own == format!("{}/{{}}", known.parent);
            is_update && is_this && known.property.as_deref() == Some(property)
        });
        let of_another = self.known.iter().rev().find(|known| {
            let noun = maker::noun(&known.parent);
            !noun.is_empty()
                && ["id", "uuid", "key", "slug"]
                    .iter()
                    .any(|end| word == format!("{noun}_{end}") || word == format!("{noun}{end}"))
        });
        of_itself.or(of_another).map(variable)
    }

    /// What is new for each user is drawn at the step before, so where there is none a user looks at something first.
    fn look_around_first(&mut self, n: usize) -> Result<(), Wrong> {
        let api = self.api;
        if !self.steps.is_empty() || api.operations[n].method != "POST" {
            return Ok(());
        }
        let is_free = |operation: &Operation<'_>| {
            operation.method == "GET"
                && !operation.path.contains('{')
                && operation.status == Some((200, 200))
                && (operation.security.is_empty() || operation.security.iter().any(Vec::is_empty))
                && operation.parameters.iter().all(|parameter| !parameter.is_required)
        };
        if let Some(look) = api.operations.iter().position(is_free) {
            let _ = self.play(look)?;
        }
        Ok(())
    }

    /// Before a body names another thing, that thing is made, where that can be done.
    fn make_what_it_names(&mut self, n: usize, body: &Sends<'d>) -> Result<(), Wrong> {
        let api = self.api;
        let properties = api.document.schema(body.schema, &body.place)?.properties();
        for (property, _, _) in properties {
            let word = names::word(property);
            let Some(noun) = ["_id", "_uuid", "_key", "_slug"].iter().find_map(|end| word.strip_suffix(end))
            else {
                continue;
            };
            let maker = api.operations.iter().enumerate().find(|(other, operation)| {
                *other != n
                    && operation.method == "POST"
                    && !operation.path.contains('{')
                    && maker::noun(&bare(operation.path)) == noun
            });
            let Some((_, operation)) = maker else { continue };
            let parent = bare(operation.path);
            if !self.known.iter().any(|known| known.parent == parent) {
                // Any operation that asks for it in its path tells how it is called there.
                let asks = api
                    .operations
                    .iter()
                    .position(|o| o.parents().first().is_some_and(|(p, _)| *p == parent));
                let name = asks.and_then(|asks| {
                    api.operations[asks].parents().first().map(|(_, name)| (*name).to_owned())
                });
                let (asks, name) = (asks.unwrap_or(n), name.unwrap_or_else(|| property.to_owned()));
                let _ = self.variable_for(asks, &parent, &name)?;
            }
        }
        Ok(())
    }

    fn body(
        &mut self,
        n: usize,
        body: &Sends<'d>,
        step: &mut JourneyStep,
        note: &mut Vec<String>,
    ) -> Result<Result<(), Why>, Wrong> {
        self.make_what_it_names(n, body)?;
        self.look_around_first(n)?;
        let api = self.api;
        let operation = &api.operations[n];
        let known = self.login_values(n);
        let given = |property: &str| {
            let word = names::word(property);
            known
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, template)| template.clone())
                .or_else(|| self.reference(operation, property))
        };
        let mut plausible = Plausible::new(&api.document, &body.place, &given);
        plausible.is_new = operation.method == "POST" && known.is_empty();
        plausible.has_step_before = !self.steps.is_empty();
        let media = body.media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let value = match body.example {
            Some(example) => {
                let schema = api.document.schema(body.schema, &body.place)?;
                plausible.adopted(example.clone(), "body", &schema, &mut Vec::new())
            }
            None => plausible.value(body.schema, "body", &mut Vec::new())?,
        };
        let found = std::mem::take(&mut plausible.found);
        drop(plausible);
        let found = self.with_free_names(found);
        let Found { templates, variables, gaps } = found;
        let mut sent = Vec::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            let here = Place::Json(vec![Key::Name(name.clone())]);
            let template =
                templates.iter().find(|(place, _)| *place == here).map(|(_, template)| template.clone());
            sent.push((name.clone(), template.unwrap_or_else(|| Template::text(&plain(value)))));
        }
        match media.as_str() {
            "application/x-www-form-urlencoded" => {
                step.body = Body::Form(sent.iter().filter(|(name, _)| is_key(name)).cloned().collect());
            }
            "multipart/form-data" => {
                let properties = api.document.schema(body.schema, &body.place)?.properties();
                let mut parts = Vec::new();
                for (name, template) in sent.iter().filter(|(name, _)| is_key(name)) {
                    let file = match properties.iter().find(|(known, ..)| known == name) {
                        Some((_, schema, _)) => self.file(body, name, schema)?,
                        None => None,
                    };
                    let content = file.unwrap_or_else(|| PartContent::Text(template.clone()));
                    parts.push(Part { name: name.clone(), content });
                }
                if parts.is_empty() {
                    return Ok(Err("its form has no part that the description names".to_owned()));
                }
                step.body = Body::Multipart(parts);
            }
            media if media == "*/*" || media.ends_with("json") => {
                let mut pieces = Vec::new();
                write_json(&value, &mut Vec::new(), 0, &templates, &mut pieces);
                step.body =
                    Body::Text { content_type: Some("application/json"), text: joined(Template(pieces)) };
                if media != "application/json" && media != "*/*" {
                    step.headers.push(("Content-Type".to_owned(), Template::text(media)));
                }
            }
            media if media == "application/octet-stream" || media.starts_with("image/") => {
                step.body = Body::Bytes(DOT.to_vec());
                step.headers.push(("Content-Type".to_owned(), Template::text(media)));
            }
            media => {
                let Some(text) =
                    value.as_str().filter(|_| media.starts_with("text/") || body.example.is_some())
                else {
                    return Ok(Err(format!("its body is {media}, which fissure cannot make up")));
                };
                step.body = Body::Text { content_type: None, text: Template::text(text) };
                step.headers.push(("Content-Type".to_owned(), Template::text(media)));
            }
        }
        self.draw_if_needed(&variables);
        step.variables.extend(variables);
        note.extend(gaps);
        self.sent.insert(n, sent);
        Ok(Ok(()))
    }

    /// Variables whose names are taken get others.
    fn with_free_names(&mut self, mut found: Found) -> Found {
        for (variable, template) in &mut found.variables {
            let name = self.free_name(variable);
            if name == *variable {
                continue;
            }
            // Another thing of this user's, so another value, too.
            if let Some(number) = name.strip_prefix(&format!("{variable}_")) {
                let drawn = template.0.iter().position(|piece| !matches!(piece, Piece::Text(_)));
                template.0.insert(drawn.map_or(0, |at| at + 1), Piece::Text(number.to_owned()));
                *template = joined(std::mem::take(template));
            }
            for piece in found.templates.iter_mut().flat_map(|(_, template)| &mut template.0) {
                if *piece == Piece::Variable(variable.clone()) {
                    *piece = Piece::Variable(name.clone());
                }
            }
            *variable = name;
        }
        found
    }

    fn draw_if_needed(&mut self, variables: &[(String, Template)]) {
        let drawn = Piece::Variable(unique::NAME.to_owned());
        let is_drawn = self.steps.iter().any(|step| step.captures.iter().any(|c| c.name == unique::NAME));
        if variables.iter().any(|(_, template)| template.0.contains(&drawn))
            && !is_drawn
            && let Some(last) = self.steps.last_mut()
        {
            unique::drawn_at(last);
        }
    }

    /// A file, if a part is one.
    fn file(&self, body: &Sends<'d>, name: &str, schema: &'d Value) -> Result<Option<PartContent>, Wrong> {
        let schema = self.api.document.schema(schema, &body.place)?;
        let is_of = |schema: &super::document::Schema<'d>| {
            schema.text("format") == Some("binary") || schema.get("contentMediaType").is_some()
        };
        let is_file = match schema.items() {
            Some(items) => is_of(&self.api.document.schema(items, &body.place)?),
            None => is_of(&schema),
        };
        if !is_file {
            return Ok(None);
        }
        let said = body
            .encoding
            .and_then(|e| e.get(name))
            .and_then(|e| e.get("contentType"))
            .and_then(Value::as_str);
        let said = said.and_then(|list| list.split(',').next()).map_or("", str::trim);
        let word = names::word(name);
        let is_picture = said.starts_with("image/")
            || ["image", "photo", "picture", "avatar", "logo", "icon", "thumbnail"]
                .iter()
                .any(|w| word.contains(w));
        Ok(Some(if is_picture {
            PartContent::File {
                file_name: "dot.png".to_owned(),
                content_type: "image/png".to_owned(),
                bytes: DOT.to_vec(),
            }
        } else {
            let content_type = if said.is_empty() || said.contains('*') { "text/plain" } else { said };
            let bytes = b"a file that fissure made up\n".to_vec();
            PartContent::File {
                file_name: "example.txt".to_owned(),
                content_type: content_type.to_owned(),
                bytes,
            }
        }))
    }

    /// Query, headers and cookies: what is required, and what has an example.
    fn other_parameters(
        &mut self,
        operation: &Operation<'d>,
        step: &mut JourneyStep,
        note: &mut Vec<String>,
    ) -> Result<(), Wrong> {
        let api = self.api;
        for parameter in operation.parameters.iter().filter(|p| p.stands_in != "path") {
            if !parameter.is_required && parameter.example.is_none() {
                continue;
            }
            let given = |property: &str| self.reference(operation, property);
            let mut plausible = Plausible::new(&api.document, &parameter.place, &given);
            let value = match &parameter.example {
                Some(example) => example.clone(),
                None => plausible.value(parameter.schema, parameter.name, &mut Vec::new())?,
            };
            note.extend(plausible.found.gaps);
            let template = match plausible.found.templates.into_iter().next() {
                Some((_, template)) => template,
                None => Template::text(&match &value {
                    Value::Array(items) if parameter.stands_in != "query" => {
                        items.iter().map(plain).collect::<Vec<_>>().join(",")
                    }
                    value => plain(value),
                }),
            };
            let name = parameter.name.to_owned();
            let is_token =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            match parameter.stands_in {
                "query" => match value {
                    // `explode` is how lists are written unless said otherwise.
                    Value::Array(items) if is_key(&name) => {
                        step.query
                            .extend(items.iter().map(|item| (name.clone(), Template::text(&plain(item)))));
                    }
                    _ if is_key(&name) => step.query.push((name, template)),
                    _ => note.push(format!("the parameter `{name}` is left out: its name cannot be written")),
                },
                "header"
                    if is_token
                        && !["accept", "content-type", "authorization"]
                            .contains(&name.to_ascii_lowercase().as_str()) =>
                {
                    step.headers.push((name, template));
                }
                "cookie" if is_token => step.cookies.push((name, template)),
                _ => {}
            }
        }
        Ok(())
    }

    /// What is read again is what was made.
    fn expect_the_same(&self, operation: &Operation<'d>, step: &mut JourneyStep) {
        let Some((parent, name)) = operation.parents().pop() else { return };
        let reads_itself = operation.method == "GET" && bare(operation.path) == format!("{parent}/{{}}");
        let known = self.known.iter().rev().find(|known| known.parent == parent && known.parameter == name);
        let (Some(known), Some(answer)) = (known.filter(|_| reads_itself), operation.answer) else { return };
        let Some(property) = &known.property else { return };
        let has_it = self
            .api
            .document
            .schema(answer, &operation.place)
            .is_ok_and(|schema| schema.properties().iter().any(|(name, ..)| name == property));
        if let Some(path) = JsonPath::parse(&format!("${}", maker::step(property))).ok().filter(|_| has_it) {
            step.asserts.push(Assert {
                line: 0,
                query: Query::JsonPath(path),
                filters: Vec::new(),
                not: false,
                predicate: Predicate::Equals(Operand::Variable(known.variable.clone())),
            });
        }
    }
}

/// One of the statuses that are described as a success: an app may say by them whether something was there already.
fn expect_success(operation: &Operation<'_>, step: &mut JourneyStep) {
    let mut between = |lowest: u16, highest: u16| {
        let limit = |status: u16| Operand::Number(status.into());
        let bounds = [Predicate::GreaterOrEqual(limit(lowest)), Predicate::LessOrEqual(limit(highest))];
        step.asserts.extend(bounds.map(|predicate| Assert {
            line: 0,
            query: Query::Status,
            filters: Vec::new(),
            not: false,
            predicate,
        }));
        ExpectedStatus::Any
    };
    step.status = match operation.status {
        None => ExpectedStatus::Unsaid,
        // Frameworks write 200 where nobody said otherwise; the app then answers 201 or 204 to what changes something.
        Some((200, _)) if !matches!(operation.method.as_str(), "GET" | "HEAD") => between(200, 299),
        Some((only, highest)) if only == highest => ExpectedStatus::Exactly(only),
        Some((lowest, highest)) => between(lowest, highest),
    };
}

pub fn route_name(operation: &Operation<'_>) -> String {
    format!("{} {}", operation.method, operation.path)
}

/// A value as it stands in a form or a path.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// For a path: RFC 3986's unreserved characters, and those in `also`, as they are; others as `%XX`.
pub fn encoded(text: &str, also: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~:@!$()*,;=+".contains(c) || also.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
