//! A load as a script for k6, for those who have a cluster of it.
//!
//! A user is one iteration with an empty cookie jar; a journey is a function and a scenario with an arrival rate of its own.
//! The script stands alone: rows of the users' data and files that are sent are inside. What k6 cannot do, or what is not
//! translated, is an error with its place. The end of the script, `runtime.js`, says once what the language means.

mod answer;
mod js;
mod options;
mod regex;
mod request;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use fissure_facts::journey::Journey;
use fissure_facts::{Load, Protocol};

use writer::Writer;

/// What is to be written.
#[derive(Debug)]
pub struct Export<'a> {
    pub journeys: Vec<Source<'a>>,
    /// Each user takes one.
    pub rows: &'a [BTreeMap<String, String>],
    pub load: Load,
    pub seconds: f64,
    pub think_max: Duration,
    pub timeout: Duration,
    pub protocol: Protocol,
    /// The server, unless `k6 run -e BASE=...` says another.
    pub base: Option<String>,
    /// Users hand connections on to each other.
    pub hand_on: bool,
    /// Thresholds in fissure's words.
    pub require: &'a [String],
}

/// A journey with the text that it was read from.
#[derive(Debug)]
pub struct Source<'a> {
    pub journey: &'a Journey,
    pub text: &'a str,
    pub weight: f64,
}

/// Something that k6 cannot do, or that is not translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTranslated {
    /// `journeys/buy.hurl:12`, if it stands in a journey.
    pub place: Option<String>,
    pub sentence: String,
}

impl fmt::Display for NotTranslated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.sentence),
            None => f.write_str(&self.sentence),
        }
    }
}

impl std::error::Error for NotTranslated {}

/// The whole script.
pub fn script(export: &Export<'_>) -> Result<String, NotTranslated> {
    let mut writer = Writer::new(export);
    let mut taken = BTreeSet::new();
    let mut functions = Vec::new();
    for (number, source) in export.journeys.iter().enumerate() {
        let function = js::identifier(&source.journey.name, &mut taken);
        writer.journey(number, &function, source)?;
        functions.push(function);
    }
    let options = options::options(export, &functions)?;
    let (constants, journeys) = writer.into_parts();
    let rows = serde_json::to_value(export.rows).unwrap_or_default();
    let rows = if export.rows.is_empty() { "[{}]".to_owned() } else { json(&rows) };
    let base = export.base.as_deref().map(|base| format!(" || {}", js::string(base))).unwrap_or_default();
    let timeout_ms = export.timeout.as_millis();
    let certificates = if export.protocol.tls {
        "\n// On this machine every certificate is taken; elsewhere it must hold.\noptions.insecureSkipTLSVerify = IS_HERE;\n"
    } else {
        ""
    };
    Ok(format!(
        "{HEAD}const BASE = (__ENV.BASE{base} || \"\").replace(/\\/$/, \"\");
const [, SCHEME, AUTHORITY] = /^(https?):\\/\\/([^/?#]+)$/.exec(BASE) || [];
if (!AUTHORITY) throw new Error(\"say which server is yours: k6 run -e BASE=http://127.0.0.1:8000 ...\");
const PORT = (/:\\d+$/.exec(AUTHORITY) || [\"\"])[0];
const IS_HERE = /^(localhost|127\\.\\d+\\.\\d+\\.\\d+|\\[::1\\])(:\\d+)?$/.test(AUTHORITY);
const TIMEOUT = \"{timeout_ms}ms\";

export const options = {options};
{certificates}
/** The share of requests that were not answered as the journey says. */
const errors = new Rate(\"errors\");
/** Every user takes one row, in turn. */
const rows = new SharedArray(\"users\", () => {rows});
const rowOf = (journey) => rows[(exec.scenario.iterationInTest * {count} + journey) % rows.length];
{constants}{journeys}{RUNTIME}",
        count = export.journeys.len(),
        options = json(&options),
    ))
}

const HEAD: &str = "\
// Written by `fissure export k6`. Run it with: k6 run -e BASE=http://127.0.0.1:8000 THIS_FILE
// Load goes to servers of your own only. -e EXPLAIN=1 says why a check failed.
//
// A user is an iteration with an empty cookie jar; a wrong answer ends it. Users arrive like a clock, because k6 knows no
// other way. k6 counts a latency from the sending, without connecting, and a wrong answer like a right one: look at `errors` too.

import http from \"k6/http\";
import exec from \"k6/execution\";
import encoding from \"k6/encoding\";
import { check, sleep } from \"k6\";
import { SharedArray } from \"k6/data\";
import { Rate } from \"k6/metrics\";

";

const RUNTIME: &str = include_str!("runtime.js");

/// A literal: what JSON holds is JavaScript, but for two line ends.
fn json(value: &serde_json::Value) -> String {
    format!("{value:#}").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
