//! What a recording says of its own types: names, and the fields in the order in which they are written.

use std::collections::HashMap;

use super::cursor::{Cursor, Text};

/// How the fields of a type are written, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Type {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Field {
    pub name: String,
    pub of: i64,
    /// Only the key is written: what it means stands in the type's pool.
    pub pooled: bool,
    pub many: bool,
}

/// Nested deeper than this only when broken.
const DEPTH_MAX: u32 = 32;

/// The types by their number.
pub(super) fn read(mut event: Cursor<'_>) -> Option<HashMap<i64, Type>> {
    let (_start, _duration, _id) = (event.number()?, event.number()?, event.number()?);
    let texts: Vec<String> = (0..event.count()?)
        .map(|_| match event.text()? {
            Text::Is(text) => Some(text),
            Text::InPool(_) => None,
        })
        .collect::<Option<_>>()?;
    let root = Element::read(&mut event, &texts, 0)?;
    let mut types = HashMap::new();
    for class in root.children.iter().filter(|e| e.name == "metadata").flat_map(|e| &e.children) {
        let Some(id) = class.number("id").filter(|_| class.name == "class") else { continue };
        let fields = class.children.iter().filter(|e| e.name == "field").map(|field| {
            Some(Field {
                name: field.attribute("name")?.to_owned(),
                of: field.number("class")?,
                pooled: field.attribute("constantPool") == Some("true"),
                many: field.number("dimension").is_some_and(|dimension| dimension > 0),
            })
        });
        let name = class.attribute("name").unwrap_or_default().to_owned();
        types.insert(id, Type { name, fields: fields.collect::<Option<_>>()? });
    }
    Some(types)
}

struct Element<'t> {
    name: &'t str,
    attributes: Vec<(&'t str, &'t str)>,
    children: Vec<Self>,
}

impl<'t> Element<'t> {
    fn read(event: &mut Cursor<'_>, texts: &'t [String], depth: u32) -> Option<Self> {
        if depth > DEPTH_MAX {
            return None;
        }
        let text = |event: &mut Cursor<'_>| {
            let index = usize::try_from(event.number()?).ok()?;
            texts.get(index).map(String::as_str)
        };
        let name = text(event)?;
        let attributes =
            (0..event.count()?).map(|_| Some((text(event)?, text(event)?))).collect::<Option<_>>()?;
        let children =
            (0..event.count()?).map(|_| Self::read(event, texts, depth + 1)).collect::<Option<_>>()?;
        Some(Self { name, attributes, children })
    }

    fn attribute(&self, name: &str) -> Option<&'t str> {
        self.attributes.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.parse().ok()
    }
}
