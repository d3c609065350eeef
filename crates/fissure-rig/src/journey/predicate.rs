//! Predicates: does what was seen fit what is expected?

use fissure_facts::journey::{Operand, Piece, Predicate, Template, Variables};
use serde_json::Value;

use super::filter::Seen;

/// `Some(true)` or `Some(false)`; `None` when the kinds do not fit, which is wrong with `not` in front as well, as in the
/// language. Nothing found fits nothing, so that `not exists` and `not == 1` hold.
pub(super) fn holds(
    predicate: &Predicate,
    seen: Option<&Seen>,
    render: &dyn Fn(&Template) -> Result<String, String>,
    vars: &Variables,
) -> Result<Option<bool>, String> {
    let Some(seen) = seen else { return Ok(Some(false)) };
    let json = match seen {
        Seen::Json(value) => Some(value),
        Seen::Bytes(_) | Seen::Present => None,
    };
    let text = json.and_then(Value::as_str);
    let number = json.and_then(Value::as_f64);
    let against = |limit: &Operand, test: fn(&f64, &f64) -> bool| {
        let limit = limit_of(limit, vars)?;
        Ok(number.zip(limit).map(|(number, limit)| test(&number, &limit)))
    };
    let with = |expected: &Template, test: fn(&str, &str) -> bool| {
        let expected = render(expected)?;
        Ok(text.map(|text| test(text, &expected)))
    };
    match predicate {
        Predicate::Equals(operand) => equals(operand, json, render, vars).map(Some),
        Predicate::NotEquals(operand) => equals(operand, json, render, vars).map(|equal| Some(!equal)),
        Predicate::Greater(limit) => against(limit, f64::gt),
        Predicate::GreaterOrEqual(limit) => against(limit, f64::ge),
        Predicate::Less(limit) => against(limit, f64::lt),
        Predicate::LessOrEqual(limit) => against(limit, f64::le),
        Predicate::StartsWith(expected) => with(expected, |text, part| text.starts_with(part)),
        Predicate::EndsWith(expected) => with(expected, |text, part| text.ends_with(part)),
        Predicate::Contains(expected) => with(expected, |text, part| text.contains(part)),
        Predicate::Matches(regex) => Ok(text.map(|text| regex.is_match(text))),
        Predicate::Exists => Ok(Some(true)),
        Predicate::IsEmpty => Ok(match seen {
            Seen::Json(Value::String(text)) => Some(text.is_empty()),
            Seen::Json(Value::Array(list)) => Some(list.is_empty()),
            Seen::Json(Value::Object(fields)) => Some(fields.is_empty()),
            Seen::Bytes(bytes) => Some(bytes.is_empty()),
            _ => None,
        }),
        Predicate::IsInteger => Ok(Some(json.is_some_and(|v| v.is_i64() || v.is_u64()))),
        Predicate::IsFloat => Ok(Some(json.is_some_and(Value::is_f64))),
        Predicate::IsNumber => Ok(Some(json.is_some_and(Value::is_number))),
        Predicate::IsBoolean => Ok(Some(json.is_some_and(Value::is_boolean))),
        Predicate::IsString => Ok(Some(json.is_some_and(Value::is_string))),
        Predicate::IsCollection => {
            Ok(Some(matches!(seen, Seen::Bytes(_) | Seen::Json(Value::Array(_) | Value::Object(_)))))
        }
    }
}

/// None: the variable holds no number.
fn limit_of(limit: &Operand, vars: &Variables) -> Result<Option<f64>, String> {
    Ok(match limit {
        Operand::Number(number) => Some(*number),
        Operand::Variable(name) => number(value_of(name, vars)?),
        Operand::Text(_) | Operand::Boolean(_) | Operand::Null => None,
    })
}

fn value_of<'v>(name: &str, vars: &'v Variables) -> Result<&'v Value, String> {
    vars.get(name).ok_or_else(|| format!("the variable `{name}` has no value"))
}

/// What is in a table of users is text, and may be a number all the same: hurl takes `--variable id=38` for one.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn equals(
    operand: &Operand,
    json: Option<&Value>,
    render: &dyn Fn(&Template) -> Result<String, String>,
    vars: &Variables,
) -> Result<bool, String> {
    Ok(match (operand, json) {
        (Operand::Text(expected), json) => {
            let expected = render(expected)?;
            json.and_then(Value::as_str) == Some(&expected)
        }
        (Operand::Number(expected), Some(Value::Number(number))) => number.as_f64() == Some(*expected),
        (Operand::Boolean(expected), Some(Value::Bool(seen))) => expected == seen,
        (Operand::Null, Some(Value::Null)) => true,
        (Operand::Variable(name), json) => match (value_of(name, vars)?, json) {
            (a, Some(Value::Number(b))) => *a == Value::Number(b.clone()) || number(a) == b.as_f64(),
            (a, Some(b)) => a == b,
            (_, None) => false,
        },
        _ => false,
    })
}

/// The predicate as it is written in the file.
pub(super) fn shown(predicate: &Predicate) -> String {
    match predicate {
        Predicate::Equals(operand) => format!("== {}", operand_shown(operand)),
        Predicate::NotEquals(operand) => format!("!= {}", operand_shown(operand)),
        Predicate::Greater(limit) => format!("> {}", operand_shown(limit)),
        Predicate::GreaterOrEqual(limit) => format!(">= {}", operand_shown(limit)),
        Predicate::Less(limit) => format!("< {}", operand_shown(limit)),
        Predicate::LessOrEqual(limit) => format!("<= {}", operand_shown(limit)),
        Predicate::StartsWith(text) => format!("startsWith \"{}\"", written(text)),
        Predicate::EndsWith(text) => format!("endsWith \"{}\"", written(text)),
        Predicate::Contains(text) => format!("contains \"{}\"", written(text)),
        Predicate::Matches(regex) => format!("matches /{regex}/"),
        Predicate::Exists => "exists".to_owned(),
        Predicate::IsEmpty => "isEmpty".to_owned(),
        Predicate::IsInteger => "isInteger".to_owned(),
        Predicate::IsFloat => "isFloat".to_owned(),
        Predicate::IsNumber => "isNumber".to_owned(),
        Predicate::IsBoolean => "isBoolean".to_owned(),
        Predicate::IsString => "isString".to_owned(),
        Predicate::IsCollection => "isCollection".to_owned(),
    }
}

fn operand_shown(operand: &Operand) -> String {
    match operand {
        Operand::Text(text) => format!("\"{}\"", written(text)),
        Operand::Number(number) => number.to_string(),
        Operand::Boolean(boolean) => boolean.to_string(),
        Operand::Null => "null".to_owned(),
        Operand::Variable(name) => format!("{{{{{name}}}}}"),
    }
}

/// A template as it is written in the file, so that values of variables stay out of sentences.
pub(super) fn written(template: &Template) -> String {
    template
        .0
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable(name) | Piece::JsonString(name) | Piece::JsonValue(name) => {
                format!("{{{{{name}}}}}")
            }
            Piece::NewUuid => "{{newUuid}}".to_owned(),
            Piece::NewDate => "{{newDate}}".to_owned(),
            Piece::Literal(value) => value.to_string(),
        })
        .collect()
}
