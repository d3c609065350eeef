//! What a journey looks at in an answer: queries, filters, predicates.

use fissure_facts::journey::{
    Assert, Capture, Filter, JourneyStep, JsonPath, Operand, PathStep, Predicate, Query,
};

use super::js;
use super::writer::{Refusal, Writer};

impl Writer<'_> {
    /// How much of the body k6 has to keep for this step.
    pub(super) fn keep(step: &JourneyStep) -> Result<Option<&'static str>, Refusal> {
        let captures = step.captures.iter().map(|c| (c.line, &c.query));
        let looks: Vec<(u32, &Query)> =
            captures.chain(step.asserts.iter().map(|a| (a.line, &a.query))).collect();
        let bytes = looks.iter().find(|(_, query)| matches!(query, Query::Bytes));
        let text = looks
            .iter()
            .any(|(_, query)| matches!(query, Query::Body | Query::JsonPath(_) | Query::Regex(_)));
        match (bytes, text) {
            (Some((line, _)), true) => Err(Refusal::new(
                *line,
                "k6 gives an answer either as bytes or as text: leave out `bytes`, or what looks into the body",
            )),
            (Some(_), false) => Ok(Some("binary")),
            (None, true) => Ok(Some("text")),
            (None, false) => Ok(None),
        }
    }

    pub(super) fn capture(&mut self, capture: &Capture) -> Result<(), Refusal> {
        let seen = self.seen(capture.line, &capture.query, &capture.filters)?;
        let (name, variable) = (self.source(capture.line), js::string(&capture.name));
        self.line(&format!("user.capture({name}, {variable}, (r) => {seen});"));
        Ok(())
    }

    pub(super) fn assert(&mut self, assert: &Assert) -> Result<(), Refusal> {
        let seen = self.seen(assert.line, &assert.query, &assert.filters)?;
        let is_flag = matches!(&assert.query, Query::Cookie { attribute: Some(a), .. } if a == "Secure" || a == "HttpOnly");
        if is_flag && !matches!(assert.predicate, Predicate::Exists) {
            return Err(Refusal::new(assert.line, "this attribute has no value: write `exists`"));
        }
        let (name, expected) = self.predicate(assert.line, &assert.predicate)?;
        let expected = expected.map(|e| format!(", {e}")).unwrap_or_default();
        let source = self.source(assert.line);
        self.line(&format!(
            "user.must({source}, (r) => holds({seen}, {}, \"{name}\"{expected}));",
            assert.not
        ));
        Ok(())
    }

    /// A query with its filters around it.
    fn seen(&mut self, line: u32, query: &Query, filters: &[Filter]) -> Result<String, Refusal> {
        let no = |sentence: &str| Err(Refusal::new(line, sentence));
        let mut seen = match query {
            Query::Status => "r.status".to_owned(),
            Query::Body => "text(r)".to_owned(),
            Query::Bytes => "r.body".to_owned(),
            Query::Url => "user.url".to_owned(),
            Query::Header(name) => format!("header(r, {})", js::string(name)),
            Query::Cookie { name, attribute } => match attribute.as_deref() {
                Some("SameSite" | "Max-Age") => {
                    return no(
                        "k6 does not tell `SameSite` and `Max-Age` of a cookie as they were sent: use `header \"Set-Cookie\"`",
                    );
                }
                attribute => {
                    format!("cookie(r, {}, {})", js::string(name), js::string(attribute.unwrap_or("Value")))
                }
            },
            Query::JsonPath(path) => format!("jsonpath(text(r), {})", path_of(line, path)?),
            Query::XPath(_) => return no("k6 has no `xpath`: use `regex`"),
            Query::Regex(regex) => {
                let regex = self.regex(line, regex.as_str(), "")?;
                format!("regex({regex}, text(r))")
            }
            Query::Variable(name) => js::value_of(name),
            Query::Duration => "Math.floor(r.timings.duration)".to_owned(),
        };
        for filter in filters {
            seen = self.filtered(line, &seen, filter)?;
        }
        Ok(seen)
    }

    fn filtered(&mut self, line: u32, seen: &str, filter: &Filter) -> Result<String, Refusal> {
        let no = |sentence: &str| Err(Refusal::new(line, sentence));
        let call = |name: &str, arguments: &[String]| {
            let arguments: String = arguments.iter().map(|a| format!(", {a}")).collect();
            format!("filters.{name}({seen}{arguments})")
        };
        Ok(match filter {
            Filter::Count => call("count", &[]),
            Filter::Nth(n) => call("nth", &[n.to_string()]),
            Filter::First => call("first", &[]),
            Filter::Last => call("last", &[]),
            Filter::Regex(regex) => call("regex", &[self.regex(line, regex.as_str(), "")?]),
            Filter::Replace { old, new } if !old.is_empty() => {
                call("replace", &[js::string(old), js::template(new)])
            }
            Filter::ReplaceRegex { pattern, new } if !has_group(new) => {
                call("replaceRegex", &[self.regex(line, pattern.as_str(), "g")?, js::template(new)])
            }
            Filter::Split(separator) if !separator.is_empty() => call("split", &[js::string(separator)]),
            Filter::Replace { .. } | Filter::Split(_) => {
                return no("to replace or to split at nothing is not translated to k6");
            }
            Filter::ReplaceRegex { .. } => {
                return no("a `$` or a variable in what `replaceRegex` puts in is not translated to k6");
            }
            Filter::ToInt => call("toInt", &[]),
            Filter::ToFloat => call("toFloat", &[]),
            Filter::ToString => call("toString", &[]),
            Filter::UrlDecode => call("urlDecode", &[]),
            Filter::UrlEncode => call("urlEncode", &[]),
            Filter::HtmlUnescape => call("htmlUnescape", &[]),
            Filter::HtmlEscape => call("htmlEscape", &[]),
            Filter::JsonPath(path) => call("jsonpath", &[path_of(line, path)?]),
            Filter::Base64Decode | Filter::Base64Encode | Filter::Decode(_) => {
                return no(
                    "filters on bytes (`base64Decode`, `base64Encode`, `decode`) are not translated to k6",
                );
            }
        })
    }

    /// Its name in the script, and what is expected.
    fn predicate(
        &mut self,
        line: u32,
        predicate: &Predicate,
    ) -> Result<(&'static str, Option<String>), Refusal> {
        Ok(match predicate {
            Predicate::Equals(operand) => ("==", Some(operand_of(operand))),
            Predicate::NotEquals(operand) => ("!=", Some(operand_of(operand))),
            Predicate::Greater(limit) => (">", Some(operand_of(limit))),
            Predicate::GreaterOrEqual(limit) => (">=", Some(operand_of(limit))),
            Predicate::Less(limit) => ("<", Some(operand_of(limit))),
            Predicate::LessOrEqual(limit) => ("<=", Some(operand_of(limit))),
            Predicate::StartsWith(text) => ("startsWith", Some(js::template(text))),
            Predicate::EndsWith(text) => ("endsWith", Some(js::template(text))),
            Predicate::Contains(text) => ("contains", Some(js::template(text))),
            Predicate::Matches(regex) => ("matches", Some(self.regex(line, regex.as_str(), "")?)),
            Predicate::Exists => ("exists", None),
            Predicate::IsEmpty => ("isEmpty", None),
            Predicate::IsNumber => ("isNumber", None),
            Predicate::IsBoolean => ("isBoolean", None),
            Predicate::IsString => ("isString", None),
            Predicate::IsCollection => ("isCollection", None),
            Predicate::IsInteger | Predicate::IsFloat => {
                return Err(Refusal::new(line, "k6 cannot tell 1.0 from 1: write `isNumber`"));
            }
        })
    }
}

fn has_group(new: &fissure_facts::journey::Template) -> bool {
    use fissure_facts::journey::Piece;
    new.0.iter().any(|piece| !matches!(piece, Piece::Text(text) if !text.contains('$')))
}

fn path_of(line: u32, path: &JsonPath) -> Result<String, Refusal> {
    let Some(steps) = path.steps() else {
        return Err(Refusal::new(
            line,
            "only JSON paths of names and places, like `$.items[0].id`, are translated to k6",
        ));
    };
    let steps = steps.iter().map(|step| match step {
        PathStep::Name(name) => js::string(name),
        PathStep::Index(index) => index.to_string(),
    });
    Ok(format!("[{}]", steps.collect::<Vec<_>>().join(", ")))
}

fn operand_of(operand: &Operand) -> String {
    match operand {
        Operand::Text(text) => js::template(text),
        Operand::Number(number) => serde_json::Value::from(*number).to_string(),
        Operand::Boolean(boolean) => boolean.to_string(),
        Operand::Null => "null".to_owned(),
        Operand::Variable(name) => js::value_of(name),
    }
}
