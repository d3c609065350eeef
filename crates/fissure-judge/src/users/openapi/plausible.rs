//! Values that a schema takes: what its author says, else something of the right kind, format and size.

use fissure_facts::journey::{Piece, Template};
use serde_json::{Map, Value};

use super::Wrong;
use super::document::{Document, Schema};
use super::pattern;
use crate::users::fresh;
use crate::users::names;
use crate::users::sent::{Key, Place};
use crate::users::unique;

/// Values in one body: a description can ask for more than anybody would send.
const VALUES_MAX: usize = 600;
const DEPTH_MAX: usize = 12;
const ITEMS_MAX: u64 = 50;

/// What stands for a property, by its name, if something is known of it.
pub type Given<'s> = dyn Fn(&str) -> Option<Template> + 's;

pub struct Plausible<'s, 'd> {
    pub document: &'s Document<'d>,
    pub place: &'s str,
    pub given: &'s Given<'s>,
    /// Something is made, so that what must be unique has to be.
    pub is_new: bool,
    /// A step before can draw what is unique.
    pub has_step_before: bool,
    pub found: Found,
    left: usize,
    stack: Vec<Schema<'d>>,
}

/// Beside the value itself.
#[derive(Debug, Default)]
pub struct Found {
    /// What stands at places of the value that is not as it is there.
    pub templates: Vec<(Place, Template)>,
    /// Variables that are set for it.
    pub variables: Vec<(String, Template)>,
    /// What a person should know.
    pub gaps: Vec<String>,
}

impl<'s, 'd> Plausible<'s, 'd> {
    pub fn new(document: &'s Document<'d>, place: &'s str, given: &'s Given<'s>) -> Self {
        let found = Found::default();
        Self {
            document,
            place,
            given,
            is_new: false,
            has_step_before: false,
            found,
            left: VALUES_MAX,
            stack: Vec::new(),
        }
    }

    /// A value of this schema under this name; `way` is where it stands.
    pub fn value(&mut self, node: &'d Value, name: &str, way: &mut Vec<Key>) -> Result<Value, Wrong> {
        let Some(left) = self.left.checked_sub(1) else {
            return Err(Wrong::at(self.place, "its example would be larger than anybody would send"));
        };
        self.left = left;
        let schema = self.document.schema(node, self.place)?;
        let kind = schema.kind();
        if !matches!(kind, "object" | "array")
            && let Some(template) = (self.given)(name)
        {
            return Ok(self.stands(kind, template, way));
        }
        if let Some(said) = schema.said() {
            return Ok(self.adopted(said, name, &schema, way));
        }
        Ok(match kind {
            "object" => self.object(schema, way)?,
            "array" => self.array(schema, name, way)?,
            "integer" | "number" => number(&schema, kind == "integer"),
            "boolean" => Value::Bool(
                ["accept", "agree", "terms", "active", "enabled"]
                    .iter()
                    .any(|w| names::word(name).contains(w)),
            ),
            "null" => Value::Null,
            _ => self.string(&schema, name, way),
        })
    }

    fn stands(&mut self, kind: &str, template: Template, way: &[Key]) -> Value {
        self.found.templates.push((Place::Json(way.to_vec()), template));
        if matches!(kind, "integer" | "number") { Value::from(0) } else { Value::from("") }
    }

    /// An example as it is, but for what has to be new or is known better.
    pub fn adopted(&mut self, value: Value, name: &str, schema: &Schema<'d>, way: &mut Vec<Key>) -> Value {
        if way.len() > DEPTH_MAX {
            return value;
        }
        match value {
            Value::Object(fields) => {
                let mut out = Map::new();
                let mut inner = |this: &mut Self, field: &str, value| {
                    way.push(Key::Name(field.to_owned()));
                    let value = this.adopted(value, field, &Schema::default(), way);
                    way.pop();
                    value
                };
                for (field, value) in fields {
                    let value = inner(self, &field, value);
                    out.insert(field, value);
                }
                Value::Object(out)
            }
            Value::String(text) => match (self.given)(name) {
                Some(template) => self.stands("string", template, way),
                None if self.has_to_be_new(name, schema) => self.new_one(&text, name, schema, way),
                None => Value::String(text),
            },
            Value::Number(number) => match (self.given)(name) {
                Some(template) => self.stands("number", template, way),
                None => Value::Number(number),
            },
            value => value,
        }
    }

    fn object(&mut self, schema: Schema<'d>, way: &mut Vec<Key>) -> Result<Value, Wrong> {
        let mut out = Map::new();
        let holds_itself = schema.shares_a_layer_with(&self.stack);
        let properties = schema.properties();
        // Where nothing is required everything is worth sending.
        let wants_all = !properties.iter().any(|(.., is_required)| *is_required);
        self.stack.push(schema);
        for (name, node, is_required) in properties {
            let of = self.document.schema(node, self.place)?;
            if of.is("readOnly") || (self.is_new && !is_required && name == "id") {
                continue;
            }
            let is_wanted = wants_all || of.said().is_some() || (self.given)(name).is_some();
            let is_possible =
                !holds_itself && way.len() < DEPTH_MAX / 2 && !of.shares_a_layer_with(&self.stack);
            if !(is_required || is_wanted && is_possible) {
                continue;
            }
            // What holds itself and is required has no end.
            let value = if way.len() >= DEPTH_MAX {
                Value::Null
            } else {
                way.push(Key::Name(name.to_owned()));
                let value = self.value(node, name, way)?;
                way.pop();
                value
            };
            out.insert(name.to_owned(), value);
        }
        self.stack.pop();
        Ok(Value::Object(out))
    }

    fn array(&mut self, schema: Schema<'d>, name: &str, way: &mut Vec<Key>) -> Result<Value, Wrong> {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let Some(items) = schema.items() else { return Ok(Value::Array(Vec::new())) };
        let ends_here = way.len() >= DEPTH_MAX / 2
            || self.document.schema(items, self.place)?.shares_a_layer_with(&self.stack);
        let count = if ends_here { least } else { least.max(1) }.min(most).min(ITEMS_MAX);
        let singular = names::singular(name);
        let mut list = Vec::new();
        for n in 0..count {
            if way.len() >= DEPTH_MAX {
                break;
            }
            way.push(Key::Index(n as usize));
            let mut item = self.value(items, &singular, way)?;
            way.pop();
            if n > 0 && schema.is("uniqueItems") {
                item = another(item, n);
            }
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn string(&mut self, schema: &Schema<'d>, name: &str, way: &[Key]) -> Value {
        let (least, most) = lengths(schema);
        if self.has_to_be_new(name, schema) {
            return self.new_one(&word_for(name), name, schema, way);
        }
        let fixed = match schema.text("format").unwrap_or_default() {
            "uuid" => return self.stands("string", Template(vec![Piece::NewUuid]), way),
            "date-time" => return self.stands("string", Template(vec![Piece::NewDate]), way),
            "date" => "2026-01-15",
            "time" => "09:30:00Z",
            "duration" => "PT1H",
            "email" | "idn-email" => "ada@example.com",
            "uri" | "url" | "iri" => "https://example.com/",
            "uri-reference" => "/",
            "hostname" | "idn-hostname" => "example.com",
            "ipv4" => "192.0.2.7",
            "ipv6" => "2001:db8::7",
            "byte" => "Zmlzc3VyZQ==",
            "json-pointer" => "/",
            "regex" => ".*",
            _ => "",
        };
        if !fixed.is_empty() {
            return Value::from(fixed);
        }
        if let Some(said) = schema.text("pattern") {
            if let Some(text) = pattern::taken_by(said, least, most) {
                return Value::from(text);
            }
            self.found
                .gaps
                .push(format!("`{name}` has to fit a pattern for which fissure finds no text: write one"));
        }
        let text = if fresh::is_password(name) { "Correct-horse-7".to_owned() } else { word_for(name) };
        Value::from(sized(&text, least, most))
    }

    fn has_to_be_new(&self, name: &str, schema: &Schema<'d>) -> bool {
        let name = names::word(name);
        self.is_new
            && schema.kind() == "string"
            && (fresh::OF_SOMEBODY
                .iter()
                .chain(&fresh::OF_A_THING)
                .chain(&["code"])
                .any(|word| name == *word)
                || schema.text("format") == Some("email"))
            && schema.get("enum").is_none()
            && schema.get("const").is_none()
    }

    /// A value like `like` that no other user sends.
    fn new_one(&mut self, like: &str, name: &str, schema: &Schema<'d>, way: &[Key]) -> Value {
        let (least, most) = lengths(schema);
        let length = if self.has_step_before { unique::LENGTH } else { unique::LENGTH_WHOLE };
        let is_address = schema.text("format") == Some("email")
            || names::word(name).ends_with("mail")
            || like.contains('@');
        let (local, end) = match like.split_once('@') {
            Some((local, host)) => (local, format!("@{host}")),
            None if is_address => (like, "@example.com".to_owned()),
            None => (like, String::new()),
        };
        let stem: String = local.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        // One more for the number of a second one.
        let room = most.saturating_sub(length + end.len() + 1);
        let stem: String = if most == usize::MAX { stem } else { stem.chars().take(room).collect() };
        let fits_pattern = schema.text("pattern").is_none_or(|said| {
            let drawn = format!("{stem}{}{end}", "0a1b2c3d4e5f");
            regex::Regex::new(said).is_ok_and(|pattern| pattern.is_match(&drawn))
        });
        if most < length + end.len() || !fits_pattern {
            self.found.gaps.push(format!(
                "`{name}` probably has to be another one for each user, which does not fit what the description allows: all send the same"
            ));
            let text = schema.text("pattern").and_then(|said| pattern::taken_by(said, least, most));
            return Value::from(text.unwrap_or_else(|| sized(like, least, most)));
        }
        let drawn =
            if self.has_step_before { Piece::Variable(unique::NAME.to_owned()) } else { Piece::NewUuid };
        let mut pieces = vec![Piece::Text(stem), drawn, Piece::Text(end)];
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        let variable = names::of_value(name, "", None);
        self.found.variables.push((variable.clone(), Template(pieces)));
        self.stands("string", Template(vec![Piece::Variable(variable)]), way)
    }
}

fn lengths(schema: &Schema<'_>) -> (usize, usize) {
    let length = |name: &str| {
        schema.get(name).and_then(Value::as_u64).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
    };
    (length("minLength").unwrap_or(0).min(10_000), length("maxLength").unwrap_or(usize::MAX))
}

/// What a person might write there.
fn word_for(name: &str) -> String {
    let word = names::word(name).replace('_', " ");
    match word.as_str() {
        "" | "body" | "value" | "path" => "example".to_owned(),
        "user" | "username" | "user name" | "login" | "email" | "mail" | "e mail" | "nickname" => {
            "ada".to_owned()
        }
        word if word.ends_with("url") || word.ends_with("uri") => "https://example.com/".to_owned(),
        word if word.ends_with("phone") => "+15550100".to_owned(),
        word => word.to_owned(),
    }
}

/// Cut, or made longer by its own letters.
fn sized(text: &str, least: usize, most: usize) -> String {
    let long: String =
        text.chars().chain(text.chars().cycle()).take(least.max(text.chars().count())).collect();
    long.chars().take(most.max(usize::from(least > 0))).collect()
}

fn number(schema: &Schema<'_>, is_integer: bool) -> Value {
    let step =
        schema.number("multipleOf").filter(|step| *step > 0.0).unwrap_or(if is_integer { 1.0 } else { 0.0 });
    let nudge = if step > 0.0 { step } else { 0.5 };
    // In 3.0 the exclusive ones are switches, in 3.1 numbers.
    let low = match (schema.number("exclusiveMinimum"), schema.number("minimum")) {
        (Some(low), _) => Some(low + nudge),
        (None, Some(low)) if schema.is("exclusiveMinimum") => Some(low + nudge),
        (None, low) => low,
    };
    let high = match (schema.number("exclusiveMaximum"), schema.number("maximum")) {
        (Some(high), _) => Some(high - nudge),
        (None, Some(high)) if schema.is("exclusiveMaximum") => Some(high - nudge),
        (None, high) => high,
    };
    let mut value = 1.0f64.max(low.unwrap_or(f64::MIN));
    if let Some(high) = high.filter(|high| value > *high) {
        value = high;
    }
    if step > 0.0 {
        let up = (value / step).ceil() * step;
        value = if high.is_some_and(|high| up > high) { (value / step).floor() * step } else { up };
    }
    if value.fract() == 0.0 && value.abs() < 9e15 && (is_integer || step == 0.0 || step.fract() == 0.0) {
        Value::from(value as i64)
    } else {
        serde_json::Number::from_f64(value).map_or(Value::from(1), Value::Number)
    }
}

fn another(item: Value, n: u64) -> Value {
    match item {
        Value::String(text) => Value::String(format!("{text}{n}")),
        Value::Number(number) => {
            number.as_i64().map_or(Value::Number(number), |i| Value::from(i.saturating_add(n as i64)))
        }
        item => item,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(schema: &Value) -> Value {
        let document = Document::new(schema);
        let given = |_: &str| None;
        Plausible::new(&document, "#", &given).value(schema, "thing", &mut Vec::new()).unwrap()
    }

    #[test]
    fn values_keep_the_bounds_of_their_schema() {
        for (schema, value) in [
            (json!({"type": "integer", "minimum": 5}), json!(5)),
            (json!({"type": "integer", "exclusiveMinimum": 5}), json!(6)),
            (json!({"type": "integer", "minimum": 5, "exclusiveMinimum": true}), json!(6)),
            (json!({"type": "integer", "maximum": 0}), json!(0)),
            (json!({"type": "integer", "multipleOf": 10}), json!(10)),
            (json!({"type": "number", "minimum": 0, "maximum": 0.5}), json!(0.5)),
            (json!({"type": ["string", "null"], "minLength": 8}), json!("thingthi")),
            (json!({"type": "string", "maxLength": 3}), json!("thi")),
            (json!({"type": "string", "enum": ["red", "green"]}), json!("red")),
            (json!({"const": 4}), json!(4)),
            (json!({"type": "string", "example": 12345}), json!("12345")),
            (
                json!({"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": true}),
                json!([1, 2]),
            ),
            (
                json!({"allOf": [{"type": "object", "properties": {"a": {"type": "boolean"}}}, {"properties": {"b": {"const": 1}}}]}),
                json!({"a": false, "b": 1}),
            ),
            (json!({"oneOf": [{"type": "null"}, {"type": "string", "format": "ipv4"}]}), json!("192.0.2.7")),
            (
                json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer", "readOnly": true}}}),
                json!({"a": 1}),
            ),
        ] {
            assert_eq!(made(&schema), value, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_holds_itself_comes_to_an_end() {
        let tree = json!({
            "type": "object", "required": ["name", "next"],
            "properties": {"name": {"type": "string"}, "next": {"$ref": "#"}, "all": {"type": "array", "items": {"$ref": "#"}}}
        });
        assert!(made(&tree).pointer("/next/next/name").is_some());
        let optional =
            json!({"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#"}}});
        assert_eq!(made(&optional), json!({"name": "name"}));
        let circle = json!({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}});
        assert!(Document::new(&circle).at(&circle["a"], "#/a").is_err());
    }
}
