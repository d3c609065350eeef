//! The answer part of a step: status, headers, captures, asserts.

use super::cursor::Cursor;
use super::error::{Parsed, Wrong};
use super::query::{filters, gives_bytes, query};
use super::request::{check_variable_name, next_key, pairs, section};
use super::text::{self, Until};
use super::{Assert, Capture, ExpectedStatus, JourneyStep, Operand, Piece, Predicate, Template};
use crate::HttpVersion;

/// Reads the answer part, if one stands here.
pub(super) fn response(cursor: &mut Cursor<'_>, step: &mut JourneyStep) -> Parsed<()> {
    let mut ahead = *cursor;
    ahead.blank_lines();
    if !ahead.starts_with("HTTP") {
        return Ok(());
    }
    *cursor = ahead;
    (step.version, step.status) = status_line(cursor)?;
    let place = *cursor;
    step.expected_headers = pairs(cursor, "a header")?;
    for (_, value) in &step.expected_headers {
        settled(place, value)?;
    }
    let mut seen: Vec<&str> = Vec::new();
    while let Some((start, name)) = section(cursor)? {
        if seen.contains(&name) {
            return Err(start.wrong(format!("`[{name}]` stands here for the second time")));
        }
        seen.push(name);
        match name {
            "Captures" => step.captures = captures(cursor)?,
            "Asserts" => step.asserts = asserts(cursor)?,
            "Query" | "QueryStringParams" | "Form" | "FormParams" | "Multipart" | "MultipartFormData"
            | "Cookies" | "BasicAuth" | "Options" => {
                return Err(
                    start.wrong(format!("`[{name}]` belongs to a request: put it before the `HTTP` line"))
                );
            }
            _ => {
                return Err(start.wrong(format!(
                    "`[{name}]` is not a section of an answer: there are [Captures] and [Asserts]"
                )));
            }
        }
    }
    cursor.blank_lines();
    let begins_a_body = cursor.peek().is_some_and(|c| !c.is_ascii_uppercase());
    if begins_a_body {
        return Err(cursor.wrong(
            "an expected answer body is not supported: write asserts, like `body contains \"...\"` or `jsonpath \"$.id\" == 1`",
        ));
    }
    Ok(())
}

fn status_line(cursor: &mut Cursor<'_>) -> Parsed<(Option<HttpVersion>, ExpectedStatus)> {
    let start = *cursor;
    cursor.eat("HTTP");
    let mut version = None;
    if cursor.eat("/") {
        version = Some(match cursor.take_while(|c| !c.is_whitespace()) {
            "1.1" => HttpVersion::One,
            "2" => HttpVersion::Two,
            other => {
                return Err(start.wrong(format!(
                    "`HTTP/{other}` is not supported: the crowd speaks HTTP/1.1 and HTTP/2, so write `HTTP`"
                )));
            }
        });
    }
    if !cursor.spaces() {
        let found = cursor.shown();
        return Err(cursor.wrong(format!("expected a status like `HTTP 200`, found {found}")));
    }
    let place = *cursor;
    let status = if cursor.eat("*") {
        ExpectedStatus::Any
    } else {
        let digits = cursor.take_while(|c| c.is_ascii_digit());
        match digits.parse() {
            Ok(status) if (100..=999).contains(&status) => ExpectedStatus::Exactly(status),
            _ => return Err(place.wrong("expected a status of three digits, or `*`")),
        }
    };
    cursor.line_end()?;
    Ok((version, status))
}

pub(super) fn captures(cursor: &mut Cursor<'_>) -> Parsed<Vec<Capture>> {
    let mut captures = Vec::new();
    while let Some((start, key)) = next_key(cursor)? {
        let name = text::plain(key)
            .ok_or_else(|| start.wrong("variables in the name of a capture are not supported"))?;
        check_variable_name(&name).map_err(|message| Wrong { at: start.place(), message })?;
        if !name.chars().all(text::is_name_character) {
            return Err(start.wrong("the name of a capture has only letters, digits, `_` and `-`"));
        }
        let place = *cursor;
        let query = query(cursor)?;
        let filters = filters(cursor)?;
        if gives_bytes(&query, &filters) {
            return Err(place.wrong("a variable holds text, not bytes: add the filter `decode \"utf-8\"`"));
        }
        // Values of variables never reach a report, so `redact` asks for what is done already.
        let mut ahead = *cursor;
        if ahead.spaces() && ahead.eat("redact") {
            *cursor = ahead;
        }
        end_of(cursor, "a capture")?;
        captures.push(Capture { line: start.line(), name, query, filters });
    }
    Ok(captures)
}

pub(super) fn asserts(cursor: &mut Cursor<'_>) -> Parsed<Vec<Assert>> {
    let mut asserts = Vec::new();
    loop {
        let mut ahead = *cursor;
        ahead.blank_lines();
        // A section, the next request or the end: everything else must be an assert.
        if ahead.is_at_end() || ahead.peek().is_some_and(|c| c == '[' || c.is_ascii_uppercase()) {
            return Ok(asserts);
        }
        *cursor = ahead;
        let line = cursor.line();
        let query = query(cursor)?;
        let filters = filters(cursor)?;
        if !cursor.spaces() {
            let found = cursor.shown();
            return Err(
                cursor.wrong(format!("expected a predicate like `== 200` or `exists`, found {found}"))
            );
        }
        let mut ahead = *cursor;
        let not = ahead.eat("not") && ahead.spaces();
        if not {
            *cursor = ahead;
        }
        let place = *cursor;
        let predicate = predicate(cursor)?;
        if gives_bytes(&query, &filters) && !takes_bytes(&predicate) {
            return Err(place.wrong("bytes are compared with bytes only, which is not supported: add the filter `decode \"utf-8\"`, or `count`"));
        }
        end_of(cursor, "an assert")?;
        asserts.push(Assert { line, query, filters, not, predicate });
    }
}

fn end_of(cursor: &mut Cursor<'_>, what: &str) -> Parsed<()> {
    let mut ahead = *cursor;
    ahead.spaces();
    let place = ahead;
    if cursor.line_end().is_err() {
        let found = place.shown();
        return Err(place.wrong(format!("{found} is not supported at the end of {what}")));
    }
    Ok(())
}

fn takes_bytes(predicate: &Predicate) -> bool {
    matches!(predicate, Predicate::Exists | Predicate::IsEmpty | Predicate::IsCollection)
}

fn predicate(cursor: &mut Cursor<'_>) -> Parsed<Predicate> {
    let start = *cursor;
    for (mark, make) in [
        ("==", None),
        ("!=", None),
        (">=", Some(Predicate::GreaterOrEqual as fn(Operand) -> Predicate)),
        ("<=", Some(Predicate::LessOrEqual)),
        (">", Some(Predicate::Greater)),
        ("<", Some(Predicate::Less)),
    ] {
        if cursor.eat(mark) {
            cursor.spaces();
            return match make {
                None if mark == "==" => operand(cursor).map(Predicate::Equals),
                None => operand(cursor).map(Predicate::NotEquals),
                Some(make) => {
                    let place = *cursor;
                    match operand(cursor)? {
                        limit @ (Operand::Number(_) | Operand::Variable(_)) => Ok(make(limit)),
                        _ => Err(place.wrong(format!(
                            "expected a number or a variable after `{mark}`: other values are not supported there"
                        ))),
                    }
                }
            };
        }
    }
    let word = cursor.take_while(char::is_alphanumeric);
    Ok(match word {
        "exists" => Predicate::Exists,
        "isEmpty" => Predicate::IsEmpty,
        "isInteger" => Predicate::IsInteger,
        "isFloat" => Predicate::IsFloat,
        "isNumber" => Predicate::IsNumber,
        "isBoolean" => Predicate::IsBoolean,
        "isString" => Predicate::IsString,
        "isCollection" => Predicate::IsCollection,
        "startsWith" | "endsWith" | "contains" => {
            let make = match word {
                "startsWith" => Predicate::StartsWith,
                "endsWith" => Predicate::EndsWith,
                _ => Predicate::Contains,
            };
            needs_space(cursor, word)?;
            make(text_operand(cursor, word)?)
        }
        "matches" => {
            needs_space(cursor, word)?;
            Predicate::Matches(text::regex(cursor, "`matches`")?)
        }
        "equals" | "notEquals" | "greaterThan" | "greaterThanOrEquals" | "lessThan" | "lessThanOrEquals" => {
            return Err(start.wrong(format!("`{word}` is the old way: write one of == != > >= < <=")));
        }
        "includes" => {
            return Err(start
                .wrong("`includes` is not supported: assert with `jsonpath \"$.list[?@ == 1]\" count > 0`"));
        }
        "isDate" | "isIsoDate" | "isIpv4" | "isIpv6" | "isUuid" => {
            return Err(
                start.wrong(format!("`{word}` is not supported: use `matches` with a regular expression"))
            );
        }
        _ => {
            let found = start.shown();
            return Err(start.wrong(format!(
                "expected a predicate like `== 200`, `contains \"...\"` or `exists`, found {found}"
            )));
        }
    })
}

fn needs_space(cursor: &mut Cursor<'_>, word: &str) -> Parsed<()> {
    if cursor.spaces() { Ok(()) } else { Err(cursor.wrong(format!("expected a space after `{word}`"))) }
}

fn operand(cursor: &mut Cursor<'_>) -> Parsed<Operand> {
    let start = *cursor;
    if cursor.starts_with("{{") {
        return match text::placeholder(cursor)? {
            Piece::Variable(name) => Ok(Operand::Variable(name)),
            _ => Err(start.wrong(NEVER_EQUAL)),
        };
    }
    if cursor.starts_with("\"") || cursor.starts_with("`") {
        return text_operand(cursor, "==").map(Operand::Text);
    }
    if let Some(number) = text::number(cursor) {
        return Ok(Operand::Number(number));
    }
    for (word, operand) in
        [("true", Operand::Boolean(true)), ("false", Operand::Boolean(false)), ("null", Operand::Null)]
    {
        if cursor.eat(word) {
            return Ok(operand);
        }
    }
    let found = cursor.shown();
    Err(cursor.wrong(format!("expected a string, number, boolean, null or {{{{variable}}}}, found {found}: other values are not supported")))
}

const NEVER_EQUAL: &str = "a fresh value cannot be in an answer: set a variable with `variable: id={{newUuid}}` in [Options] and use that";

fn text_operand(cursor: &mut Cursor<'_>, of: &str) -> Parsed<Template> {
    let start = *cursor;
    let template = if cursor.starts_with("```") {
        return Err(start.wrong("``` is not supported in an assert: write a string in quotes"));
    } else if cursor.eat("`") {
        text::template(cursor, Until::Backtick)?
    } else {
        text::quoted_template(cursor, &format!("`{of}`"))?
    };
    settled(start, &template)?;
    Ok(template)
}

/// An answer cannot be compared with a value that is new every time.
pub(super) fn settled(place: Cursor<'_>, template: &Template) -> Parsed<()> {
    let fresh = template.0.iter().any(|p| matches!(p, Piece::NewUuid | Piece::NewDate));
    if fresh { Err(place.wrong(NEVER_EQUAL)) } else { Ok(()) }
}
