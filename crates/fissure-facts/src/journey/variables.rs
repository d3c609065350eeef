//! Which variables a journey uses, and whether anything gives them a value.

use super::{Assert, Body, Filter, Journey, JourneyStep, Operand, PartContent, Piece, Predicate, Template};

impl Template {
    /// Text without variables.
    pub fn text(text: &str) -> Self {
        if text.is_empty() { Self::default() } else { Self(vec![Piece::Text(text.to_owned())]) }
    }

    /// The names of the variables that must have a value, each as often as it is used.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) | Piece::JsonString(name) | Piece::JsonValue(name) => Some(name.as_str()),
            Piece::Text(_) | Piece::NewUuid | Piece::NewDate | Piece::Literal(_) => None,
        })
    }
}

/// Variables that are used before any capture or option gives them a value, with the line of their use. `known` are the
/// columns of the users' data file; `base` is known always.
pub fn unbound_variables(journey: &Journey, known: &[String]) -> Vec<(u32, String)> {
    let mut known: Vec<&str> = known.iter().map(String::as_str).chain(["base"]).collect();
    let mut unbound = Vec::new();
    let mut check = |line: u32, used: Vec<&str>, known: &[&str]| {
        for name in used {
            if !known.contains(&name) && !unbound.iter().any(|(_, seen)| seen == name) {
                unbound.push((line, name.to_owned()));
            }
        }
    };
    for step in &journey.steps {
        for (name, value) in &step.variables {
            check(step.line, value.variables().collect(), &known);
            known.push(name);
        }
        check(step.line, used_by_request(step), &known);
        for assert in step.kind.expected().iter().flat_map(|expected| &expected.wanted) {
            check(assert.line, used_by_assert(assert), &known);
        }
        for capture in &step.captures {
            check(capture.line, used_by_filters(&capture.filters).collect(), &known);
            known.push(&capture.name);
        }
        for (_, value) in &step.expected_headers {
            check(step.line, value.variables().collect(), &known);
        }
        for assert in &step.asserts {
            check(assert.line, used_by_assert(assert), &known);
        }
    }
    unbound
}

fn used_by_request(step: &JourneyStep) -> Vec<&str> {
    let mut templates: Vec<&Template> = vec![&step.target];
    templates.extend(step.headers.iter().chain(&step.query).chain(&step.cookies).map(|(_, value)| value));
    if let Some((user, password)) = &step.basic_auth {
        templates.extend([user, password]);
    }
    match &step.body {
        Body::None | Body::Bytes(_) => {}
        Body::Text { text, .. } => templates.push(text),
        Body::Form(fields) => templates.extend(fields.iter().map(|(_, value)| value)),
        Body::Multipart(parts) => templates.extend(parts.iter().filter_map(|part| match &part.content {
            PartContent::Text(text) => Some(text),
            PartContent::File { .. } => None,
        })),
    }
    templates.into_iter().flat_map(Template::variables).collect()
}

fn used_by_filters(filters: &[Filter]) -> impl Iterator<Item = &str> {
    filters
        .iter()
        .filter_map(|filter| match filter {
            Filter::Replace { new, .. } | Filter::ReplaceRegex { new, .. } => Some(new),
            _ => None,
        })
        .flat_map(Template::variables)
}

fn used_by_assert(assert: &Assert) -> Vec<&str> {
    let mut used: Vec<&str> = used_by_filters(&assert.filters).collect();
    match &assert.predicate {
        Predicate::Equals(operand)
        | Predicate::NotEquals(operand)
        | Predicate::Greater(operand)
        | Predicate::GreaterOrEqual(operand)
        | Predicate::Less(operand)
        | Predicate::LessOrEqual(operand) => match operand {
            Operand::Text(text) => used.extend(text.variables()),
            Operand::Variable(name) => used.push(name),
            Operand::Number(_) | Operand::Boolean(_) | Operand::Null => {}
        },
        Predicate::StartsWith(text) | Predicate::EndsWith(text) | Predicate::Contains(text) => {
            used.extend(text.variables());
        }
        _ => {}
    }
    used
}
