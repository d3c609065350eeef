//! Foreign files that tell what users do: one file here for each kind.

pub mod curl;
pub mod har;
pub mod log;
pub mod openapi;

use std::collections::BTreeMap;
use std::fmt;

use fissure_facts::Exchange;
use fissure_facts::traffic::Message;

/// What a file told.
#[derive(Debug, Default)]
pub struct Imported {
    pub exchanges: Vec<Exchange>,
    /// What was said over the WebSockets among them.
    pub messages: Vec<Message>,
    /// What is in the file and not here, and how often.
    pub left_out: BTreeMap<String, usize>,
}

impl Imported {
    pub fn leave_out(&mut self, what: &str) {
        *self.left_out.entry(what.to_owned()).or_default() += 1;
    }

    /// Keeps the host that is asked most often: a page also asks others, which are not the app.
    pub fn of_one_host(&mut self, exchanges: Vec<(String, Exchange)>) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (origin, exchange) in &exchanges {
            // Pages count more than what they load.
            let kind = exchange.answer.as_ref().and_then(|a| a.header("content-type")).unwrap_or_default();
            let weight = if kind.contains("html") || kind.contains("json") { 10 } else { 1 };
            *counts.entry(host_of(origin)).or_default() += weight;
        }
        let Some(app) = counts.iter().max_by_key(|(_, n)| **n).map(|(host, _)| (*host).to_owned()) else {
            return;
        };
        for (origin, exchange) in exchanges {
            if host_of(&origin) == app {
                self.exchanges.push(exchange);
            } else {
                self.leave_out(&format!("requests to {}", host_of(&origin)));
            }
        }
    }
}

fn host_of(origin: &str) -> &str {
    origin.split("://").nth(1).unwrap_or(origin)
}

/// What is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    line: Option<usize>,
    sentence: String,
}

impl Wrong {
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { line: None, sentence: sentence.into() }
    }

    pub fn at(line: usize, sentence: impl Into<String>) -> Self {
        Self { line: Some(line), sentence: sentence.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.sentence),
            None => f.write_str(&self.sentence),
        }
    }
}

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Har,
    Curl,
    AccessLog,
    OpenApi,
}

impl Kind {
    /// By what is in it, whatever its name.
    pub fn of(text: &str) -> Option<Self> {
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
        if first.starts_with("curl ") || first.starts_with("curl.exe ") || first.starts_with("$ curl ") {
            return Some(Self::Curl);
        }
        if har::is_one(text) {
            return Some(Self::Har);
        }
        if openapi::is_one(text) {
            return Some(Self::OpenApi);
        }
        log::is_one(first).then_some(Self::AccessLog)
    }
}
