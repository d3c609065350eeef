//! What grows within the run.

use fissure_judge::Judgement;
use fissure_judge::judgement::{Grows, Growth, Verdict};

use super::grammar::code;
use crate::units::{brief, count, ms, number};

const MIB: f64 = 1024.0 * 1024.0;

/// `POST /entries` costs 0.4 ms of CPU at first and 3.2 ms after 4,100 writes.
fn sentence(growth: &Growth) -> String {
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
            "The app's memory grew: {} MiB at first and {} {after}, which is {} more. A cache that fills and threads for more users look the same as a leak in so short a run.",
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

/// The growth that stands with the verdict. Memory and files may grow for other reasons, so they stand among the details.
fn told(judgement: &Judgement) -> Option<&Growth> {
    judgement.growth.iter().find(|growth| matches!(growth.of, Grows::Cpu(_)))
}

/// The others, a sentence each.
pub(super) fn rest(judgement: &Judgement) -> impl Iterator<Item = String> {
    let told = warning(judgement).and(told(judgement));
    judgement.growth.iter().filter(move |growth| told != Some(*growth)).map(sentence)
}

/// What the verdict must not be read without: what it says holds for the data of this run.
pub(super) fn warning(judgement: &Judgement) -> Option<String> {
    if matches!(judgement.verdict, Verdict::NotEnoughEvidence { .. }) {
        return None;
    }
    let growth = told(judgement)?;
    Some(format!("{} With more data all of this comes sooner.", sentence(growth)))
}
