//! The description as a whole: references within it, and schemas that are put together of several.

use serde_json::{Map, Value};

use super::Wrong;
use crate::users::sent::decoded;

/// More would be a circle, or meant to tire us.
const HOPS_MAX: usize = 32;
const LAYERS_MAX: usize = 64;

pub struct Document<'d> {
    root: &'d Value,
}

/// A schema as it holds: what stands beside `$ref`, what it leads to, every part of `allOf`, and the first choice of
/// `oneOf` and `anyOf`. What stands nearer hides what stands farther.
#[derive(Debug, Default)]
pub struct Schema<'d> {
    layers: Vec<&'d Map<String, Value>>,
}

impl<'d> Document<'d> {
    pub fn new(root: &'d Value) -> Self {
        Self { root }
    }

    pub fn root(&self) -> &'d Value {
        self.root
    }

    /// The node itself, or where its references lead.
    pub fn at(&self, node: &'d Value, place: &str) -> Result<&'d Value, Wrong> {
        let mut node = node;
        for _ in 0..HOPS_MAX {
            match node.get("$ref") {
                Some(Value::String(to)) => node = self.target(to, place)?,
                Some(other) if !other.is_object() => {
                    return Err(Wrong::at(place, "`$ref` is no text"));
                }
                _ => return Ok(node),
            }
        }
        Err(Wrong::at(place, "its references lead in a circle"))
    }

    fn target(&self, to: &str, place: &str) -> Result<&'d Value, Wrong> {
        let Some(pointer) = to.strip_prefix('#') else {
            return Err(Wrong::at(
                place,
                format!("`{}` is in another file: bundle the description into one first", shortened(to)),
            ));
        };
        let pointer = decoded(pointer, false).unwrap_or_default();
        self.root
            .pointer(&pointer)
            .ok_or_else(|| Wrong::at(place, format!("`{}` leads nowhere", shortened(to))))
    }

    pub fn schema(&self, node: &'d Value, place: &str) -> Result<Schema<'d>, Wrong> {
        let mut schema = Schema::default();
        self.add_layers(node, place, 0, &mut schema)?;
        Ok(schema)
    }

    fn add_layers(
        &self,
        node: &'d Value,
        place: &str,
        depth: usize,
        into: &mut Schema<'d>,
    ) -> Result<(), Wrong> {
        let node = match node {
            // `true` takes everything, and so does a schema that is left out.
            Value::Bool(_) | Value::Null => return Ok(()),
            Value::Object(fields) => fields,
            _ => return Err(Wrong::at(place, "a schema is an object, and this is none")),
        };
        if into.layers.iter().any(|known| std::ptr::eq(*known, node)) {
            return Ok(());
        }
        if depth > HOPS_MAX || into.layers.len() >= LAYERS_MAX {
            return Err(Wrong::at(place, "this schema is put together of more parts than fissure follows"));
        }
        into.layers.push(node);
        if let Some(to) = node.get("$ref").and_then(Value::as_str) {
            self.add_layers(self.target(to, place)?, place, depth + 1, into)?;
        }
        for part in node.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.add_layers(part, place, depth + 1, into)?;
        }
        for choice in ["oneOf", "anyOf"] {
            let choices = node.get(choice).and_then(Value::as_array).into_iter().flatten();
            let mut some = choices.filter(|c| c.get("type").and_then(Value::as_str) != Some("null"));
            if let Some(first) = some.next() {
                self.add_layers(first, place, depth + 1, into)?;
            }
        }
        Ok(())
    }
}

impl<'d> Schema<'d> {
    pub fn get(&self, name: &str) -> Option<&'d Value> {
        self.layers.iter().find_map(|layer| layer.get(name))
    }

    pub fn text(&self, name: &str) -> Option<&'d str> {
        self.get(name).and_then(Value::as_str)
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_f64)
    }

    pub fn is(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool) == Some(true)
    }

    /// `string`, `object`, ...: as it is said, else by what else is said.
    pub fn kind(&self) -> &'d str {
        let said = self.get("type").and_then(|kind| match kind {
            Value::String(kind) => Some(kind.as_str()),
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
            _ => None,
        });
        let has = |names: &[&str]| names.iter().any(|name| self.get(name).is_some());
        match said {
            Some(said) => said,
            None if has(&["properties", "required", "additionalProperties"]) => "object",
            None if has(&["items", "prefixItems"]) => "array",
            None if has(&["minimum", "maximum", "multipleOf"]) => "number",
            None => "string",
        }
    }

    /// The properties of an object, each once, and whether it has to be there.
    pub fn properties(&self) -> Vec<(&'d str, &'d Value, bool)> {
        let required: Vec<&str> = self
            .layers
            .iter()
            .filter_map(|layer| layer.get("required").and_then(Value::as_array))
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut properties: Vec<(&str, &Value, bool)> = Vec::new();
        let all = self.layers.iter().filter_map(|layer| layer.get("properties").and_then(Value::as_object));
        for (name, schema) in all.flatten() {
            if !properties.iter().any(|(known, ..)| known == name) {
                properties.push((name, schema, required.contains(&name.as_str())));
            }
        }
        properties
    }

    /// What the author gives as an example, or fixes. A type that does not fit (`type: string, example: 12345`) is made to.
    pub fn said(&self) -> Option<Value> {
        let first = |name: &str| self.get(name).and_then(Value::as_array).and_then(|list| list.first());
        let value = self
            .get("const")
            .or_else(|| self.get("example"))
            .or_else(|| first("examples"))
            .or_else(|| self.get("default").filter(|value| !value.is_null()))
            .or_else(|| first("enum"))?;
        Some(match (self.kind(), value) {
            ("string", Value::Number(_) | Value::Bool(_)) if self.get("type").is_some() => {
                Value::from(value.to_string())
            }
            _ => value.clone(),
        })
    }

    /// The schema of an array's items.
    pub fn items(&self) -> Option<&'d Value> {
        self.get("items").or_else(|| self.get("prefixItems").and_then(|list| list.get(0)))
    }

    /// Is this one of them? For noticing schemas that hold themselves.
    pub fn shares_a_layer_with(&self, others: &[Schema<'d>]) -> bool {
        others.iter().any(|other| {
            other.layers.iter().any(|layer| {
                layer.contains_key("properties") && self.layers.iter().any(|own| std::ptr::eq(*own, *layer))
            })
        })
    }
}

pub fn shortened(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
