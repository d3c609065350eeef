//! `report.html`: one file without script or anything from outside, for a phone, a desk, the dark and the printer.
//!
//! The verdict comes first, then what it rests on, in the order in which a doubting reader asks.

pub(crate) mod sections;
mod waits;

use fissure_facts::{Header, Run};
use fissure_judge::Judgement;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::words;

pub(crate) const STYLE: &str = include_str!("style.css");

/// What every page is around its body.
pub(crate) fn page(header: &Header, title: &str, body: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "fissure " (header.fissure) };
                title { "fissure: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (body)
                    footer {
                        p.soft { @if header.verb != "load" { "Intervals are 95 % intervals. " } "The facts behind every number are in the run's folder; this page can be made again with " code { "fissure report " (header.run) } "." }
                    }
                }
            }
        }
    }
    .into_string()
}

/// The page of a check.
pub fn report(run: &Run, judgement: &Judgement) -> String {
    let header = &run.header;
    let body = html! {
        header {
            p.eyebrow { "fissure " (header.verb) " of " code { (header.config.app.command) } " · run " (header.run) }
            (badges(judgement))
            h1 { (prose(&words::verdict_sentence(run, judgement))) }
            ul { @for line in words::details(run, judgement) { li { (prose(&line)) } } }
        }
        (sections::capacity(judgement))
        (sections::remedies(run, judgement))
        (sections::latency(run, judgement))
        (sections::demands(judgement))
        (sections::lines(judgement))
        (waits::waits(judgement))
        (sections::doubts(judgement))
        (sections::reproduce(run, judgement))
        (sections::resume(run, judgement))
    };
    page(header, words::title(judgement), body)
}

fn badges(judgement: &Judgement) -> Markup {
    let (class, sign) = match words::goal_met(judgement) {
        Some(true) => ("good", "✓"),
        Some(false) => ("bad", "✗"),
        None => ("open", "?"),
    };
    html! {
        div {
            span.badge { (words::title(judgement)) @if let Some(rung) = words::rung(judgement) { " · rung " (rung) } }
            span.badge.(class) { (sign) " " (words::standing(judgement)) }
        }
    }
}

/// Text of the vocabulary: what stands in backticks is set as code. Everything is escaped.
pub(crate) fn prose(text: &str) -> Markup {
    // A number keeps its per cent sign on the same line.
    let text = text.replace(" %", "\u{a0}%");
    html! {
        @for (i, piece) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}
