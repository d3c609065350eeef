//! What grows within the run.

use fissure_judge::Judgement;
use fissure_judge::judgement::{Grows, Growth, Verdict};

use super::grammar::code;
use crate::units::{brief, count, ms, number};

const MIB: f64 = 1024.0 * 1024.0;

/// `POST /entries` costs 0.4 ms of CPU at first and 3.2 ms after 4,100 writes.
pub(super) fn sentence(growth: &Growth) -> String {
    let (one, many) = if growth.is_by_writes { ("write", "writes") } else { ("request", "requests") };
    let after = format!("after {}", count(growth.requests, one, many));
    match &growth.of {
        Grows::Cpu(route) => format!(
            "{} costs more the longer the app runs: {} of CPU at first and {} {after}, which is {} more.",
            code(route),
            ms(growth.first),
            ms(growth.last),
            brief(growth.more, "ms")
        ),
        Grows::Memory => format!(
            "The app's memory grows: {} MiB at first and {} {after}, which is {} more.",
            number(growth.first / MIB),
            number(growth.last / MIB),
            brief(growth.more.scaled(1.0 / MIB), "MiB")
        ),
        Grows::Files => format!(
            "The app keeps more and more files and connections open: {} at first and {} {after}, which is {} more.",
            number(growth.first),
            number(growth.last),
            brief(growth.more, "")
        ),
    }
}

/// What the verdict must not be read without: what it says holds for the data of this run.
pub(super) fn warning(judgement: &Judgement) -> Option<String> {
    if matches!(judgement.verdict, Verdict::NotEnoughEvidence { .. }) {
        return None;
    }
    let growth = judgement.growth.first()?;
    let then = match growth.of {
        Grows::Cpu(_) => "With more data all of this comes sooner.",
        Grows::Memory => "Look for what is kept and never let go: in the end the memory is used up.",
        Grows::Files => "Look for what is opened and never closed: in the end no more can be opened.",
    };
    Some(format!("{} {then}", sentence(growth)))
}
