//! What is expected of an answer: status, headers, captures, asserts.

use std::fmt::Write as _;

use fissure_facts::HttpVersion;
use fissure_facts::journey::{
    Assert, Charset, ExpectedStatus, Filter, JourneyStep, JsonPath, Operand, PathStep, Predicate, Query,
};
use regex::Regex;

use super::text::{key, quoted, quoted_text, value};

pub fn write(out: &mut String, step: &JourneyStep) {
    let expects_more =
        !(step.expected_headers.is_empty() && step.captures.is_empty() && step.asserts.is_empty());
    let version = match step.version {
        Some(HttpVersion::One) => "/1.1",
        Some(HttpVersion::Two) => "/2",
        None => "",
    };
    match step.status {
        ExpectedStatus::Exactly(status) => {
            let _ = writeln!(out, "HTTP{version} {status}");
        }
        ExpectedStatus::Unsaid if !expects_more => return,
        ExpectedStatus::Unsaid | ExpectedStatus::Any => {
            let _ = writeln!(out, "HTTP{version} *");
        }
    }
    for (name, template) in &step.expected_headers {
        let _ = writeln!(out, "{}: {}", key(name), value(template));
    }
    captures_and_asserts(out, step);
}

pub fn captures_and_asserts(out: &mut String, step: &JourneyStep) {
    if !step.captures.is_empty() {
        out.push_str("[Captures]\n");
        for capture in &step.captures {
            let _ = writeln!(out, "{}: {}{}", capture.name, query(&capture.query), filters(&capture.filters));
        }
    }
    if !step.asserts.is_empty() {
        out.push_str("[Asserts]\n");
        for one in &step.asserts {
            let _ = writeln!(out, "{}", assert(one));
        }
    }
}

pub fn assert(assert: &Assert) -> String {
    let not = if assert.not { "not " } else { "" };
    format!("{}{} {not}{}", query(&assert.query), filters(&assert.filters), predicate(&assert.predicate))
}

pub fn query(query: &Query) -> String {
    match query {
        Query::Status => "status".to_owned(),
        Query::Body => "body".to_owned(),
        Query::Bytes => "bytes".to_owned(),
        Query::Url => "url".to_owned(),
        Query::Duration => "duration".to_owned(),
        Query::Header(name) => format!("header {}", quoted_text(name)),
        Query::Cookie { name, attribute: None } => format!("cookie {}", quoted_text(name)),
        Query::Cookie { name, attribute: Some(attribute) } => {
            format!("cookie {}", quoted_text(&format!("{name}[{attribute}]")))
        }
        Query::JsonPath(path) => format!("jsonpath {}", json_path(path)),
        Query::XPath(path) => format!("xpath {}", quoted_text(&path.to_string())),
        Query::Regex(regex) => format!("regex {}", pattern(regex)),
        Query::Variable(name) => format!("variable {}", quoted_text(name)),
    }
}

fn pattern(regex: &Regex) -> String {
    quoted_text(regex.as_str())
}

/// `$.orders[0].id` where names allow it.
fn json_path(path: &JsonPath) -> String {
    let Some(steps) = path.steps() else { return quoted_text(&path.to_string()) };
    let mut out = String::from("$");
    for step in steps {
        match step {
            PathStep::Index(index) => {
                let _ = write!(out, "[{index}]");
            }
            PathStep::Name(name) => {
                let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if is_word {
                    let _ = write!(out, ".{name}");
                } else {
                    return quoted_text(&path.to_string());
                }
            }
        }
    }
    quoted_text(&out)
}

fn filters(filters: &[Filter]) -> String {
    filters.iter().map(|one| format!(" {}", filter(one))).collect()
}

fn filter(filter: &Filter) -> String {
    match filter {
        Filter::Count => "count".to_owned(),
        Filter::Nth(index) => format!("nth {index}"),
        Filter::First => "first".to_owned(),
        Filter::Last => "last".to_owned(),
        Filter::Regex(regex) => format!("regex {}", pattern(regex)),
        Filter::Replace { old, new } => format!("replace {} {}", quoted_text(old), quoted(new)),
        Filter::ReplaceRegex { pattern: regex, new } => {
            format!("replaceRegex {} {}", pattern(regex), quoted(new))
        }
        Filter::Split(separator) => format!("split {}", quoted_text(separator)),
        Filter::ToInt => "toInt".to_owned(),
        Filter::ToFloat => "toFloat".to_owned(),
        Filter::ToString => "toString".to_owned(),
        Filter::UrlDecode => "urlDecode".to_owned(),
        Filter::UrlEncode => "urlEncode".to_owned(),
        Filter::HtmlUnescape => "htmlUnescape".to_owned(),
        Filter::HtmlEscape => "htmlEscape".to_owned(),
        Filter::Base64Decode => "base64Decode".to_owned(),
        Filter::Base64Encode => "base64Encode".to_owned(),
        Filter::Decode(Charset::Utf8) => "decode \"utf-8\"".to_owned(),
        Filter::Decode(Charset::Latin1) => "decode \"iso-8859-1\"".to_owned(),
        Filter::JsonPath(path) => format!("jsonpath {}", json_path(path)),
    }
}

fn predicate(predicate: &Predicate) -> String {
    match predicate {
        Predicate::Equals(to) => format!("== {}", operand(to)),
        Predicate::NotEquals(to) => format!("!= {}", operand(to)),
        Predicate::Greater(than) => format!("> {}", operand(than)),
        Predicate::GreaterOrEqual(than) => format!(">= {}", operand(than)),
        Predicate::Less(than) => format!("< {}", operand(than)),
        Predicate::LessOrEqual(than) => format!("<= {}", operand(than)),
        Predicate::StartsWith(text) => format!("startsWith {}", quoted(text)),
        Predicate::EndsWith(text) => format!("endsWith {}", quoted(text)),
        Predicate::Contains(text) => format!("contains {}", quoted(text)),
        Predicate::Matches(regex) => format!("matches {}", pattern(regex)),
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

fn operand(operand: &Operand) -> String {
    match operand {
        Operand::Text(text) => quoted(text),
        Operand::Number(number) => number.to_string(),
        Operand::Boolean(boolean) => boolean.to_string(),
        Operand::Null => "null".to_owned(),
        Operand::Variable(name) => format!("{{{{{name}}}}}"),
    }
}
