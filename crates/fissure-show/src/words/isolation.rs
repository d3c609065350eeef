//! Whether copies keep every answer right, in words.

use fissure_facts::arrangement::CACHE;
use fissure_facts::{Run, Topology};
use fissure_judge::isolation::{Answer, By, Finding, Isolation, State, Tried};

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
            Some(role) if role == CACHE => "With answers from a cache".to_owned(),
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
        Answer::Safe => {
            let more = more(tried);
            format!("{way}: no answer differs from what one copy answers ({compared}).{more}")
        }
        Answer::Unsafe => {
            let answers = tried.findings.iter().filter(|f| f.by == By::Answers).count();
            if answers == 0 {
                return format!("{way}: the answers are the same, but see below.");
            }
            let what = count(answers as u64, "journey gets", "journeys get");
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

/// What else was looked at.
fn more(tried: &Tried) -> String {
    let mut more = String::new();
    if tried.columns.0 > 0 {
        let columns = count(tried.columns.0 as u64, "column", "columns");
        more += &format!(
            " The database holds the same afterwards ({columns}, {} of them different by chance).",
            tried.columns.1
        );
    }
    if tried.twins > 0 {
        let requests = count(tried.twins as u64, "request", "requests");
        more += &format!(" {requests} sent twice at the same instant: as with one copy.");
    }
    match tried.idle {
        (_, 0) => {}
        (0, starts) => more += &format!(" {starts} starts at the same instant went well."),
        (seconds, starts) => {
            more += &format!(
                " {starts} starts at the same instant and {seconds} s in which nobody asked left nothing else."
            );
        }
    }
    more
}

/// What this says nothing about.
pub fn not_checked(isolation: &Isolation) -> Vec<String> {
    let replicate = || isolation.tried.iter().filter(|t| t.topology == Topology::Replicate);
    let mut lines =
        vec!["What no journey visits, and what the app does outside (mail, other services).".to_owned()];
    lines.push(if replicate().any(|t| t.twins > 0) {
        "Races of different requests; one that shows in less than a quarter of the pairs of equal requests may be missed.".to_owned()
    } else {
        "What happens at the same time.".to_owned()
    });
    lines.push(match replicate().map(|t| t.idle.0).max() {
        Some(seconds @ 1..) => format!("What is done by the clock less often than every {seconds} s."),
        _ => "What is done by the clock.".to_owned(),
    });
    lines
}

/// The proof: the first answer that differs, what it looks like, what usually helps.
pub fn finding(finding: &Finding) -> String {
    format!("{} {} {}", difference(finding), state(finding.state), cure(finding.state))
}

/// The first answer that differs.
pub fn difference(finding: &Finding) -> String {
    let (expected, got) = (&finding.expected, &finding.got);
    match finding.by {
        By::Answers => {}
        By::Database => {
            return format!(
                "After the same journeys {} has {got} where one copy leaves {expected}.",
                finding.what
            );
        }
        By::Idle => {
            return format!(
                "When nobody asks for anything {} has {got} with two copies, {expected} with one.",
                finding.what
            );
        }
        By::StartedAtOnce => {
            return format!(
                "When two copies start at the same instant: {}: {got} instead of {expected}.",
                finding.what
            );
        }
        By::Twins => {
            return format!(
                "`{}` twice at the same instant ({}:{}), {}: with one copy {expected}, with two copies {got}.",
                finding.request, finding.journey, finding.line, finding.what
            );
        }
    }
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
        "`{}`{after} ({}:{}): {} is {} on one copy, but {}.{others}",
        finding.request,
        finding.journey,
        finding.line,
        finding.what,
        quoted(&finding.expected),
        quoted(&finding.got)
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
        State::Lock => "It looks like a lock, or a look before a write, that holds within one process only.",
        State::Broadcast => {
            "It looks like messages that reach only those who are connected to the same process."
        }
        State::Scheduled => {
            "It looks like a job that every process runs by itself, or a step that each takes at its start."
        }
        State::Migration => {
            "It looks like a preparation of the database that two processes do at the same time."
        }
        State::Twice => "Something is done more often than with one copy.",
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
        State::Lock => {
            "Let the database decide: a unique index, an atomic update, or a lock that it holds, for as short as it can."
        }
        State::Broadcast => {
            "Send messages through something that all processes listen to: the database's notifications, Redis, a broker."
        }
        State::Scheduled => {
            "Let one process run it (a role of its own), or let each run claim a row in the database first."
        }
        State::Migration => "Migrate once before the copies start, or under a lock of the database.",
        State::Twice => "Let the database see to it that it is done once.",
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

/// Why there was no second copy.
pub fn fixed_port(run: &Run) -> Option<String> {
    let port = run.header.only_port()?;
    Some(format!(
        "Two copies and splits were not tried: the app always listens on port {port}, which only one process can have, and this machine does \
         not let fissure give it another (`fissure doctor` says why). Let it listen on $PORT and take `port = {port}` out of fissure.toml."
    ))
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

fn quoted(value: &str) -> String {
    if value.is_empty() { "empty".to_owned() } else { format!("`{}`", value.replace('`', "")) }
}
