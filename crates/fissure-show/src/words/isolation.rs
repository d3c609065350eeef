//! Whether copies keep every answer right, in words.

use fissure_facts::{Run, Topology};
use fissure_judge::isolation::{Answer, Finding, Isolation, State, Tried};

use super::grammar::code;
use crate::units::{count, percent};

/// Requests that are named before the one that differs.
const BEFORE_SHOWN: usize = 4;

/// The question that a shadow answers.
fn way(tried: &Tried) -> String {
    match tried.topology {
        Topology::Control => "As it is".to_owned(),
        Topology::Replicate => "Two copies".to_owned(),
        Topology::Split => match tried.arrangement.table.values().next() {
            Some(role) => format!("With `{role}` as its own process"),
            None => "A split".to_owned(),
        },
        Topology::Restart => "A restart between the requests".to_owned(),
    }
}

/// The word of report.json.
pub fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Safe => "safe",
        Answer::Unsafe => "unsafe",
        Answer::Unknown => "unknown",
    }
}

/// One sentence for each way that was tried.
pub fn tried(tried: &Tried) -> String {
    let way = way(tried);
    let compared = format!(
        "{} compared, {} of their values differ by chance and were ignored",
        count(tried.answers as u64, "answer", "answers"),
        percent(tried.noise_share)
    );
    match tried.answer {
        Answer::Safe => format!("{way}: no answer differs from what one copy answers ({compared})."),
        Answer::Unsafe => {
            let what = count(tried.findings.len() as u64, "journey gets", "journeys get");
            let runs =
                if tried.runs == 1 { "one run".to_owned() } else { format!("all {} runs", tried.runs) };
            format!("{way}: {what} other answers, in {runs} and in none of {} of one copy.", tried.controls)
        }
        Answer::Unknown => {
            let why = tried.why_unknown.as_deref().unwrap_or("it was not tried.");
            format!("{way}: could not tell; {why}")
        }
    }
}

/// The proof: the first answer that differs, what it looks like, what usually helps.
pub fn finding(finding: &Finding) -> String {
    format!("{} {} {}", difference(finding), state(finding.state), cure(finding.state))
}

/// The first answer that differs.
pub fn difference(finding: &Finding) -> String {
    let after = match finding.steps.split_last() {
        Some((_, before)) if before.len() > BEFORE_SHOWN => format!(" after {} requests", before.len()),
        Some((_, before)) if !before.is_empty() => {
            let names: Vec<String> = before.iter().map(|(_, route)| code(route)).collect();
            format!(" after {}", names.join(", "))
        }
        _ => String::new(),
    };
    let others = match finding.others {
        0 => String::new(),
        n => format!(" {} of the journey differ too.", count(n as u64, "more answer", "more answers")),
    };
    format!(
        "`{}`{after} ({}:{}): {} is `{}` on one copy, but `{}`.{others}",
        finding.request,
        finding.journey,
        finding.line,
        finding.what,
        finding.expected.replace('`', ""),
        finding.got.replace('`', "")
    )
}

fn state(state: State) -> &'static str {
    match state {
        State::Session => "It looks like a session in the process's own memory.",
        State::Secret => "It looks like a secret that is drawn anew in each process, or a session in memory.",
        State::Cache => "It looks like a cache in the process's own memory: the old answer came once more.",
        State::Counter => "It looks like a number that is counted in the process's own memory.",
        State::RateLimit => "It looks like a limiter that counts in the process's own memory.",
        State::File => "It looks like an upload that is kept where only one process finds it.",
        State::Records => "It looks like records that are kept in the process's own memory.",
        State::Lock => "It looks like a lock that one process holds against the other.",
        State::Other => "Some state is kept inside the process.",
    }
}

/// What usually helps.
pub fn cure(state: State) -> &'static str {
    match state {
        State::Session => "Keep sessions in the database or a cache that all share, or in a signed cookie.",
        State::Secret => "Read the secret from the configuration, the same for every process.",
        State::Cache => {
            "Let entries expire soon, tell all copies when something changes, or use one cache that all share."
        }
        State::Counter => "Let the database count.",
        State::RateLimit => "Count in a store that all share, or at the front door.",
        State::File => "Write to a folder or an object store that all share.",
        State::Records => "Keep them in the database.",
        State::Lock => "Let the database lock, for as short as it can.",
        State::Other => "Move it to the database or another place that all share.",
    }
}

/// For `fissure isolate`: the answer first.
pub fn headline(isolation: &Isolation) -> String {
    let of = |topology| isolation.answer(topology);
    match (of(Topology::Replicate), of(Topology::Split), of(Topology::Restart)) {
        (Answer::Unsafe, _, _) => {
            "Two copies do not answer as one does: the app keeps state inside its process.".to_owned()
        }
        (_, Answer::Unsafe, _) => {
            "The split changes answers: state inside the process is on the other side of the cut.".to_owned()
        }
        (_, _, Answer::Unsafe) => {
            "A restart changes answers: the app forgets what it should keep.".to_owned()
        }
        (Answer::Safe, _, _) => "Two copies answer as one does, in every journey.".to_owned(),
        _ => "Could not tell whether it is safe to run two copies.".to_owned(),
    }
}

/// Why nothing could be compared at all.
pub fn trouble(run: &Run) -> Option<String> {
    use fissure_facts::Fact;
    run.facts.iter().find_map(|stamped| match &stamped.fact {
        Fact::StageFailed { failure, .. } => Some(failure.sentence.clone()),
        Fact::JourneyPlayed { journey, steps, .. } => steps
            .iter()
            .find_map(|s| s.problem.as_ref())
            .map(|problem| format!("{journey} does not work even alone: {problem}.")),
        Fact::Interrupted => Some("It was interrupted.".to_owned()),
        _ => None,
    })
}
