//! Steps over what stays open, in lines that begin with `#>`: the real hurl takes them for comments.

use std::fmt::Write as _;

use fissure_facts::journey::{Expected, JourneyStep, Source, StepKind};

use super::body::{self, Files};
use super::{answer, request, text};

/// The step, if it is one of these.
pub fn write(step: &JourneyStep, files: &mut Files) -> Option<String> {
    let mut out = String::new();
    let named = |word: &str| {
        let name = step.route.template().split_once('#').map_or("", |(_, name)| name);
        if name.is_empty() { word.to_owned() } else { format!("{word} {name}") }
    };
    match &step.kind {
        StepKind::Request => return None,
        StepKind::WebSocket | StepKind::Events => {
            let mut opening = step.clone();
            opening.method =
                if matches!(step.kind, StepKind::WebSocket) { "WEBSOCKET" } else { "EVENTS" }.to_owned();
            request(&mut out, &opening, files);
            answer::write(&mut out, step);
        }
        StepKind::Send(expected) => {
            let _ = writeln!(out, "{}", named("SEND"));
            options(&mut out, step, expected.as_ref());
            let _ = writeln!(out, "{}", body::in_line(&step.body, files));
            if let Some(expected) = expected {
                received(&mut out, step, expected);
            }
        }
        StepKind::Receive(expected) => {
            let _ = writeln!(out, "{}", named("RECEIVE"));
            options(&mut out, step, Some(expected));
            received(&mut out, step, expected);
        }
        StepKind::Close(_) => out.push_str("CLOSE\n"),
    }
    Some(
        out.lines()
            .map(|line| if line.is_empty() { "#>\n".to_owned() } else { format!("#> {line}\n") })
            .collect(),
    )
}

fn options(out: &mut String, step: &JourneyStep, expected: Option<&Expected>) {
    let mut lines: Vec<String> = step
        .variables
        .iter()
        .map(|(name, template)| format!("variable: {name}={}", text::variable(template)))
        .collect();
    if !step.think.is_zero() {
        lines.push(format!("delay: {}ms", step.think.as_millis()));
    }
    if let Some(expected) = expected {
        lines.extend(expected.within.map(|within| format!("within: {}ms", within.as_millis())));
        if expected.nth > 1 {
            lines.push(format!("nth: {}", expected.nth));
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(out, "[Options]\n{}", lines.join("\n"));
    }
}

fn received(out: &mut String, step: &JourneyStep, expected: &Expected) {
    let _ = match (expected.from, &expected.event) {
        (Source::WebSocket, _) => writeln!(out, "MESSAGE"),
        (Source::Events, None) => writeln!(out, "EVENT"),
        (Source::Events, Some(event)) => writeln!(out, "EVENT {event}"),
    };
    if !expected.wanted.is_empty() {
        out.push_str("[Where]\n");
        for wanted in &expected.wanted {
            let _ = writeln!(out, "{}", answer::assert(wanted));
        }
    }
    answer::captures_and_asserts(out, step);
}
