//! A template and a user's variables become text.

use fissure_facts::journey::{JourneyStep, Piece, Template, Variables};
use serde_json::Value;

/// A request needs a variable that has no value it could be written with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable `{name}` {why}")]
pub struct MissingVariable {
    pub name: String,
    why: &'static str,
}

/// Fills in the variables. `random` feeds `{{newUuid}}`, `now` is `{{newDate}}` (RFC 3339): both come from the caller,
/// so that a seed repeats a window.
pub fn render(
    template: &Template,
    vars: &Variables,
    random: &mut dyn FnMut() -> u64,
    now: &dyn Fn() -> String,
) -> Result<String, MissingVariable> {
    let mut out = String::new();
    for piece in &template.0 {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Variable(name) => out.push_str(&value_text(name, vars)?),
            Piece::JsonString(name) => {
                // JSON's own escapes, without the quotes around them.
                let quoted = Value::String(value_text(name, vars)?).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
            Piece::JsonValue(name) => {
                let text = value_text(name, vars)?;
                let is_scalar = serde_json::from_str(&text).is_ok_and(|v: Value| !v.is_string());
                if !is_scalar {
                    return Err(missing(
                        name,
                        "holds text where JSON needs a number, true, false or null: put quotes around it",
                    ));
                }
                out.push_str(&text);
            }
            Piece::Literal(value) => out.push_str(&value.to_string()),
            Piece::NewUuid => out.push_str(&uuid(random(), random())),
            Piece::NewDate => out.push_str(&now()),
        }
    }
    Ok(out)
}

/// Sets the variables of a step's `[Options]`; call before the request is made. Numbers and booleans keep their type.
pub fn set_variables(
    step: &JourneyStep,
    vars: &mut Variables,
    random: &mut dyn FnMut() -> u64,
    now: &dyn Fn() -> String,
) -> Result<(), MissingVariable> {
    for (name, template) in &step.variables {
        let value = match template.0.as_slice() {
            [Piece::Literal(value)] => value.clone(),
            _ => Value::String(render(template, vars, random, now)?),
        };
        vars.insert(name.clone(), value);
    }
    Ok(())
}

fn value_text(name: &str, vars: &Variables) -> Result<String, MissingVariable> {
    let value = vars
        .get(name)
        .ok_or_else(|| missing(name, "has no value: no capture, option or data column gave it one"))?;
    written(value).ok_or_else(|| {
        missing(name, "holds a list or an object, which cannot be written into text: capture one value of it")
    })
}

fn missing(name: &str, why: &'static str) -> MissingVariable {
    MissingVariable { name: name.to_owned(), why }
}

/// How the language writes a value into text; lists and objects cannot be written.
pub(super) fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
        scalar => Some(scalar.to_string()),
    }
}

/// A version 4 UUID (RFC 9562, section 5.4): 122 random bits, version and variant set.
pub(crate) fn uuid(high: u64, low: u64) -> String {
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> String {
        "2026-01-02T03:04:05Z".to_owned()
    }

    #[test]
    fn values_are_written_as_the_language_writes_them() {
        let vars: Variables = serde_json::from_str(
            r#"{ "name": "ann", "count": 3, "price": 1.5, "on": true, "none": null, "list": [1] }"#,
        )
        .unwrap();
        let say =
            |name: &str| render(&Template(vec![Piece::Variable(name.to_owned())]), &vars, &mut || 0, &now);
        for (name, text) in
            [("name", "ann"), ("count", "3"), ("price", "1.5"), ("on", "true"), ("none", "null")]
        {
            assert_eq!(say(name).unwrap(), text);
        }
        assert!(say("list").unwrap_err().to_string().contains("a list or an object"));
        assert!(say("absent").unwrap_err().to_string().contains("`absent` has no value"));
    }

    #[test]
    fn a_uuid_has_version_and_variant_whatever_the_random_bits_are() {
        let template = Template(vec![Piece::NewUuid, Piece::Text(" ".into()), Piece::NewDate]);
        let say = |bits: u64| render(&template, &Variables::new(), &mut || bits, &now).unwrap();
        assert_eq!(say(0), "00000000-0000-4000-8000-000000000000 2026-01-02T03:04:05Z");
        assert_eq!(say(u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff 2026-01-02T03:04:05Z");
    }
}
