//! Is an answer what the journey expects?

use std::borrow::Cow;

use fissure_facts::fact::ErrorClass;
use fissure_facts::journey::{Assert, ExpectedStatus, Filter, JourneyStep, Query, Template, Variables};
use hyper::header::LOCATION;
use serde_json::Value;

use super::filter::{Seen, apply, first_group};
use super::predicate::holds;
use super::secret::{beginning, excerpt, is_secret, page, without_query};
use super::{Answer, cookie, render, xpath};

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Problem {
    /// `Status` or `Assert`; `TooLarge` when a body unpacks to more than anybody wants to look at.
    pub class: ErrorClass,
    /// With the line of the journey; never with the value of a cookie or an authorization.
    pub sentence: String,
}

/// Must the answer's body be kept for `judge`? If not, the crowd may throw it away unread.
pub fn needs_body(step: &JourneyStep) -> bool {
    step.captures.iter().any(|c| c.query.reads_body()) || step.asserts.iter().any(|a| a.query.reads_body())
}

/// Checks an answer in the order of the language: version and status, then captures (into `vars`), so that they serve the
/// headers and asserts, which come last.
pub fn judge(step: &JourneyStep, answer: &Answer<'_>, vars: &mut Variables) -> Result<(), Problem> {
    check(step, answer, vars).map_err(|problem| match problem.class {
        ErrorClass::Assert => Problem { class: answer.class_of_failure(), ..problem },
        _ => problem,
    })
}

fn check(step: &JourneyStep, answer: &Answer<'_>, vars: &mut Variables) -> Result<(), Problem> {
    version(step, answer)?;
    status(step, answer)?;
    for capture in &step.captures {
        let failed = |sentence: String| assert_problem(capture.line, &sentence);
        let seen = seen(&capture.query, &capture.filters, answer, vars).map_err(failed)?;
        let value = match seen {
            Some(Seen::Json(value)) => value,
            Some(Seen::Present) => Value::Bool(true),
            Some(Seen::Bytes(_)) => {
                return Err(failed("bytes cannot be kept in a variable: add `decode \"utf-8\"`".to_owned()));
            }
            None => return Err(failed(found_nothing(&capture.query, &capture.filters, answer))),
        };
        vars.insert(capture.name.clone(), value);
    }
    expected_headers(step, answer, vars)?;
    step.asserts.iter().try_for_each(|assert| check_assert(assert, answer, vars))
}

/// Is it what is looked for? What cannot be asked of it does not fit.
pub fn fits(wanted: &[Assert], answer: &Answer<'_>, vars: &Variables) -> bool {
    wanted.iter().all(|assert| check_assert(assert, answer, vars).is_ok())
}

fn check_assert(assert: &Assert, answer: &Answer<'_>, vars: &Variables) -> Result<(), Problem> {
    let failed = |sentence: String| assert_problem(assert.line, &sentence);
    let seen = seen(&assert.query, &assert.filters, answer, vars).map_err(failed)?;
    let right = holds(&assert.predicate, seen.as_ref(), &|t| in_text(t, vars), vars).map_err(failed)?;
    if right == Some(!assert.not) {
        return Ok(());
    }
    let not = if assert.not { "not " } else { "" };
    let subject = subject(&assert.query, &assert.filters);
    let expected = super::predicate::shown(&assert.predicate);
    let actual = match &seen {
        None => found_nothing(&assert.query, &assert.filters, answer),
        Some(seen) => format!("{subject} is {}", shown(&assert.query, seen)),
    };
    Err(failed(format!("expected {subject} {not}{expected}, but {actual}")))
}

fn assert_problem(line: u32, sentence: &str) -> Problem {
    Problem { class: ErrorClass::Assert, sentence: format!("line {line}: {sentence}") }
}

fn version(step: &JourneyStep, answer: &Answer<'_>) -> Result<(), Problem> {
    match step.version {
        Some(expected) if expected != answer.version => {
            Err(assert_problem(step.line, &format!("expected {expected}, got {}", answer.version)))
        }
        _ => Ok(()),
    }
}

fn status(step: &JourneyStep, answer: &Answer<'_>) -> Result<(), Problem> {
    let expected = match step.status {
        ExpectedStatus::Any => return Ok(()),
        ExpectedStatus::Unsaid if answer.status < 400 => return Ok(()),
        ExpectedStatus::Exactly(status) if answer.status == status => return Ok(()),
        ExpectedStatus::Unsaid => "a status below 400".to_owned(),
        ExpectedStatus::Exactly(status) => format!("status {status}"),
    };
    let location = answer.headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
    let why = match location {
        Some(to) => format!(" (Location: {})", without_query(&to)),
        None if answer.status < 400 => String::new(),
        None => match answer.text() {
            Ok(text) if !text.trim().is_empty() => format!(" ({})", beginning(text)),
            _ => String::new(),
        },
    };
    let sentence = format!("line {}: expected {expected}, got {}{why}", step.line, answer.status);
    Err(Problem { class: ErrorClass::Status, sentence })
}

fn expected_headers(step: &JourneyStep, answer: &Answer<'_>, vars: &Variables) -> Result<(), Problem> {
    for (name, template) in &step.expected_headers {
        let failed = |sentence: String| assert_problem(step.line, &sentence);
        let expected = in_text(template, vars).map_err(failed)?;
        let values = header(answer, name);
        if values.contains(&expected) {
            continue;
        }
        let expected = if is_secret(name) { "another value" } else { &written(template) };
        let got = match values.as_slice() {
            [] => "the answer does not have it".to_owned(),
            _ if is_secret(name) => "it differs (not shown)".to_owned(),
            values => format!("it is `{}`", values.join("`, `")),
        };
        return Err(failed(format!("expected the header `{name}: {expected}`, but {got}")));
    }
    Ok(())
}

fn header(answer: &Answer<'_>, name: &str) -> Vec<String> {
    answer
        .headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}

/// What a query and its filters find in an answer.
fn seen(
    query: &Query,
    filters: &[Filter],
    answer: &Answer<'_>,
    vars: &Variables,
) -> Result<Option<Seen>, String> {
    let mut seen = look(query, answer, vars)?;
    for filter in filters {
        let Some(value) = seen else {
            return Err(format!(
                "{}, so its filters have nothing to work on",
                found_nothing(query, &[], answer)
            ));
        };
        seen = apply(filter, value, &|t| in_text(t, vars)).map_err(|e| format!("{}: {e}", name_of(query)))?;
    }
    Ok(seen)
}

fn look(query: &Query, answer: &Answer<'_>, vars: &Variables) -> Result<Option<Seen>, String> {
    Ok(match query {
        Query::Status => Some(Seen::Json(answer.status.into())),
        Query::Body => Some(Seen::text(answer.text()?)),
        Query::Bytes => Some(Seen::Bytes(answer.bytes()?.to_vec())),
        Query::Url => Some(Seen::text(answer.url)),
        Query::Header(name) => match header(answer, name).as_mut_slice() {
            [] => None,
            [one] => Some(Seen::Json(Value::String(std::mem::take(one)))),
            several => Some(Seen::Json(several.iter().cloned().collect())),
        },
        Query::Cookie { name, attribute } => cookie::find(answer.headers, name, attribute.as_deref()),
        Query::JsonPath(path) => answer.json_at(path)?.map(Seen::Json),
        Query::XPath(path) => xpath::find(path, answer.text()?).map(Seen::Json),
        Query::Regex(regex) => first_group(regex, answer.text()?),
        Query::Variable(name) => vars.get(name).cloned().map(Seen::Json),
        Query::Duration => Some(Seen::Json((answer.duration.as_millis() as u64).into())),
    })
}

/// Templates of the answer part have no fresh values: the parser refuses them there.
fn in_text(template: &Template, vars: &Variables) -> Result<String, String> {
    render(template, vars, &mut || 0, &String::new).map_err(|e| e.to_string())
}

/// A template as it is written in the file, so that values of variables stay out of sentences.
fn written(template: &Template) -> String {
    super::predicate::written(template)
}

fn name_of(query: &Query) -> Cow<'static, str> {
    match query {
        Query::Status => "status".into(),
        Query::Body => "body".into(),
        Query::Bytes => "bytes".into(),
        Query::Url => "url".into(),
        Query::Duration => "duration".into(),
        Query::Header(name) => format!("header \"{name}\"").into(),
        Query::Cookie { name, attribute: None } => format!("cookie \"{name}\"").into(),
        Query::Cookie { name, attribute: Some(attribute) } => {
            format!("cookie \"{name}[{attribute}]\"").into()
        }
        Query::JsonPath(path) => format!("jsonpath \"{path}\"").into(),
        Query::XPath(path) => format!("xpath \"{path}\"").into(),
        Query::Regex(regex) => format!("regex /{regex}/").into(),
        Query::Variable(name) => format!("variable \"{name}\"").into(),
    }
}

/// The query with a sign for its filters.
fn subject(query: &Query, filters: &[Filter]) -> String {
    if filters.is_empty() { name_of(query).into_owned() } else { format!("{} (filtered)", name_of(query)) }
}

fn found_nothing(query: &Query, filters: &[Filter], answer: &Answer<'_>) -> String {
    let subject = subject(query, filters);
    match query {
        Query::JsonPath(_) | Query::XPath(_) | Query::Regex(_) | Query::Body => match answer.text() {
            Ok("") => format!("{subject} found nothing in an empty body"),
            Ok(text) => format!("{subject} found nothing in {}", beginning(text)),
            Err(why) => format!("{subject} found nothing: {why}"),
        },
        Query::Header(_) | Query::Cookie { .. } => format!("{subject} is not in the answer"),
        _ => format!("{subject} found nothing"),
    }
}

/// A value for a sentence; what a cookie, a variable or a header with a secret holds stays out of it.
fn shown(query: &Query, seen: &Seen) -> String {
    let hidden = match query {
        Query::Cookie { attribute, .. } => attribute.as_deref().is_none_or(|a| a == "Value"),
        Query::Header(name) => is_secret(name),
        Query::Variable(_) => true,
        Query::JsonPath(path) => is_secret(&path.to_string()),
        Query::XPath(path) => is_secret(&path.to_string()),
        Query::Regex(regex) => is_secret(regex.as_str()),
        _ => false,
    };
    match seen {
        _ if hidden => "something else (not shown)".to_owned(),
        Seen::Json(Value::String(text)) if matches!(query, Query::Url) => {
            format!("\"{}\"", without_query(text))
        }
        Seen::Json(Value::String(text)) => page(text).unwrap_or_else(|| format!("\"{}\"", excerpt(text))),
        Seen::Json(value) => excerpt(&value.to_string()),
        Seen::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Seen::Present => "there".to_owned(),
    }
}
