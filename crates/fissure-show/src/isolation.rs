//! What `fissure isolate` shows: text for a terminal, and JSON.

use anstyle::Style;
use fissure_facts::{Run, Topology};
use fissure_judge::isolation::coupling;
use fissure_judge::isolation::{Answer, Finding, Isolation};
use serde_json::{Value, json};

use crate::terminal::{Page, sign};
use crate::words::coupling as data;
use crate::words::isolation as words;

/// The answer for a terminal of `width` columns.
pub fn terminal(run: &Run, isolation: &Isolation, width: usize) -> String {
    let mut page = Page::new(width);
    let (sign, colour) = sign(good(isolation));
    let style = Style::new().bold().fg_color(Some(colour.into()));
    page.text.push_str(&format!("{style}{sign}{style:#} "));
    page.first_line(&words::headline(isolation));
    page.blank();
    for line in words::trouble(run).into_iter().chain(words::fixed_port(run)) {
        page.item(&line);
    }
    for tried in &isolation.tried {
        page.item(&words::tried(tried));
    }
    if isolation.findings().next().is_some() {
        page.heading("What differs first");
        for finding in isolation.findings() {
            page.item(&words::finding(finding));
        }
    }
    let couplings = coupling::assess(run);
    if !couplings.is_empty() {
        page.heading("Data");
        for line in couplings.iter().flat_map(data::lines) {
            page.item(&line);
        }
    }
    page.heading("Not checked");
    for line in words::not_checked(isolation) {
        page.item(&line);
    }
    page.text
}

/// True: every way that was tried is safe; None: it could not be told.
pub fn good(isolation: &Isolation) -> Option<bool> {
    let answers = || isolation.tried.iter().map(|t| t.answer);
    if answers().any(|a| a == Answer::Unsafe) {
        Some(false)
    } else if isolation.tried.is_empty() || answers().any(|a| a == Answer::Unknown) {
        None
    } else {
        Some(true)
    }
}

/// The `isolation` part of report.json.
pub fn json(isolation: &Isolation) -> Value {
    let answer = |topology| words::answer(isolation.answer(topology));
    let tried = isolation.tried.iter().map(|t| {
        json!({
            "topology": t.topology,
            "arrangement": t.arrangement.name,
            "answer": words::answer(t.answer),
            "why_unknown": t.why_unknown,
            "controls": t.controls,
            "runs": t.runs,
            "answers": t.answers,
            "noise_share": t.noise_share,
            "columns": t.columns.0,
            "columns_noisy": t.columns.1,
            "twins": t.twins,
            "idle_s": t.idle.0,
            "starts_at_once": t.idle.1,
        })
    });
    json!({
        "replicate": answer(Topology::Replicate),
        "split": answer(Topology::Split),
        "restart": answer(Topology::Restart),
        "findings": isolation.findings().map(finding).collect::<Vec<_>>(),
        "tried": tried.collect::<Vec<_>>(),
    })
}

/// One finding, as it stands in the contract.
pub fn finding(finding: &Finding) -> Value {
    json!({
        "topology": finding.topology,
        "by": finding.by,
        "state": finding.state,
        "journey": finding.journey,
        "line": finding.line,
        "route": finding.route,
        "request": finding.request,
        "what": finding.what,
        "expected": finding.expected,
        "got": finding.got,
        "others": finding.others,
        "steps": finding.steps.iter().map(|(line, route)| json!({ "line": line, "route": route })).collect::<Vec<_>>(),
        "cure": words::cure(finding.state),
        "sentence": words::finding(finding),
    })
}
