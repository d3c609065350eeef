//! Writes journeys as functions, and the constants that they need.

use std::fmt::Write as _;

use fissure_facts::HttpVersion;
use fissure_facts::journey::{ExpectedStatus, JourneyStep, StepKind};

use super::{Export, NotTranslated, Source, js, regex};

pub(super) struct Writer<'a> {
    pub(super) export: &'a Export<'a>,
    /// What stands before the journeys: expressions with the names of their constants.
    constants: Vec<(String, String)>,
    /// Lines of the journey at hand, for the names of checks.
    lines: Vec<&'a str>,
    out: String,
}

/// A line of the journey at hand that is not translated, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    line: u32,
    sentence: String,
}

impl Refusal {
    pub(super) fn new(line: u32, sentence: &str) -> Self {
        Self { line, sentence: sentence.to_owned() }
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(export: &'a Export<'a>) -> Self {
        Self { export, constants: Vec::new(), lines: Vec::new(), out: String::new() }
    }

    pub(super) fn journey(
        &mut self,
        number: usize,
        function: &str,
        source: &Source<'a>,
    ) -> Result<(), NotTranslated> {
        self.lines = source.text.lines().collect();
        let name = js::string(&source.journey.name);
        let _ = write!(
            self.out,
            "\nexport function {function}() {{\n  play({name}, rowOf({number}), (user, v) => {{\n"
        );
        for (n, step) in source.journey.steps.iter().enumerate() {
            if n > 0 {
                self.out.push('\n');
            }
            self.step(step).map_err(|refusal| NotTranslated {
                place: Some(format!("{}:{}", source.journey.name, refusal.line)),
                sentence: format!("{}.", refusal.sentence),
            })?;
        }
        self.out.push_str("  });\n}\n");
        Ok(())
    }

    /// In the order in which the crowd judges: version and status, captures, headers, asserts.
    fn step(&mut self, step: &JourneyStep) -> Result<(), Refusal> {
        if !matches!(step.kind, StepKind::Request) {
            let sentence = "steps on a WebSocket or a stream of events are not translated to k6";
            return Err(Refusal::new(step.line, sentence));
        }
        let think_s = step.think.min(self.export.think_max).as_secs_f64();
        if think_s > 0.0 {
            self.line(&format!("sleep({think_s});"));
        }
        self.ask(step)?;
        let line = step.line;
        if let Some(version) = step.version {
            let proto = if version == HttpVersion::Two { "HTTP/2.0" } else { "HTTP/1.1" };
            self.line(&format!("user.must(\"line {line}: {version}\", (r) => r.proto === \"{proto}\");"));
        }
        match step.status {
            ExpectedStatus::Any => {}
            ExpectedStatus::Unsaid => {
                self.line(&format!("user.must(\"line {line}: status below 400\", (r) => r.status < 400);"));
            }
            ExpectedStatus::Exactly(status) => {
                self.line(&format!(
                    "user.must(\"line {line}: status {status}\", (r) => r.status === {status});"
                ));
            }
        }
        for capture in &step.captures {
            self.capture(capture)?;
        }
        for (name, value) in &step.expected_headers {
            let (check, name) = (js::string(&format!("line {line}: header {name}")), js::string(name));
            let value = js::template(value);
            self.line(&format!("user.must({check}, (r) => hasHeader(r, {name}, {value}));"));
        }
        for assert in &step.asserts {
            self.assert(assert)?;
        }
        Ok(())
    }

    pub(super) fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "    {text}");
    }

    /// The name of a check: the line of the journey.
    pub(super) fn source(&self, line: u32) -> String {
        let text = (line as usize).checked_sub(1).and_then(|i| self.lines.get(i)).map_or("", |l| l.trim());
        js::string(&format!("line {line}: {text}"))
    }

    /// The name of a constant that holds this regular expression.
    pub(super) fn regex(&mut self, line: u32, pattern: &str, more_flags: &str) -> Result<String, Refusal> {
        let (pattern, flags) = regex::translated(pattern).map_err(|sentence| Refusal { line, sentence })?;
        let expression = format!("new RegExp({}, \"{flags}{more_flags}\")", js::string(&pattern));
        Ok(self.constant("regex", expression))
    }

    /// A constant is written once, however often it is used.
    pub(super) fn constant(&mut self, kind: &str, expression: String) -> String {
        if let Some((name, _)) = self.constants.iter().find(|(_, known)| *known == expression) {
            return name.clone();
        }
        let name = format!("{kind}{}", self.constants.len() + 1);
        self.constants.push((name.clone(), expression));
        name
    }

    /// Constants and journeys.
    pub(super) fn into_parts(self) -> (String, String) {
        let constants = self.constants.iter().fold(String::new(), |mut all, (name, expression)| {
            let _ = writeln!(all, "const {name} = {expression};");
            all
        });
        (constants, self.out)
    }
}
