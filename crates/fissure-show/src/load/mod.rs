//! A load run, shown: the words here, the bytes in the files beside.

pub mod html;
pub mod json;
pub mod live;
pub mod terminal;

use fissure_facts::fact::ErrorClass;
use fissure_facts::{Latencies, Load, Run, Spacing, Stretch};
use fissure_judge::goal;
use fissure_judge::load::{LoadSummary, Outcome};
use fissure_judge::threshold::{Checked, Quantity};

use crate::units::{count, ms, number, percent};
use crate::words;

/// The quantiles that are shown, with their names.
pub const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// An app that is asked for less than this share of what it will be asked for has not been filled.
const FULL: f64 = 0.9;
/// Visits that take less than this part of the window fill it soon enough.
const SHORT_VISIT: f64 = 0.2;

/// What the process ends with; the published statuses.
pub fn exit_status(summary: &LoadSummary) -> u8 {
    if summary.interrupted {
        return 130;
    }
    match &summary.outcome {
        Outcome::NotThere { .. } => 69,
        Outcome::WrongAlone { step, .. } if step.status.is_none() => 69,
        Outcome::Held if summary.thresholds.iter().any(|t| t.holds == Some(false)) => 1,
        Outcome::Held if summary.thresholds.iter().all(|t| t.holds == Some(true)) => 0,
        _ => 2,
    }
}

/// True, false or not known, as the whole.
pub fn holds(summary: &LoadSummary) -> Option<bool> {
    match exit_status(summary) {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    }
}

/// The first line, without its sign.
pub fn headline(summary: &LoadSummary) -> String {
    let held = summary.thresholds.iter().filter(|t| t.holds == Some(true)).count();
    let all = summary.thresholds.len();
    match &summary.outcome {
        Outcome::NotThere { why, .. } => format!("Not there: {}", words::full_stop(why)),
        Outcome::WrongAlone { journey, step } => {
            let problem = step.problem.as_deref().unwrap_or("no right answer");
            // A URL is a journey of one line; to say which would only puzzle.
            let (place, problem) = if journey.contains("://") {
                (String::new(), problem.trim_start_matches("line 1: "))
            } else {
                (format!(" of {journey}"), problem)
            };
            let began = if step.status.is_none() { "Not there" } else { "Nothing was loaded" };
            words::full_stop(&format!(
                "{began}: alone, `{}`{place} got no right answer: {problem}",
                step.route
            ))
        }
        Outcome::Hopeless { why } => words::full_stop(&format!("Nothing was loaded: {why}")),
        Outcome::Nothing => "Interrupted before anything was measured.".to_owned(),
        _ if summary.interrupted => "Interrupted: this is what is known.".to_owned(),
        Outcome::Void { why, .. } => format!("Void: {}", words::full_stop(&why.to_string())),
        Outcome::Held if all == 0 => "Held; no threshold was set (`--require`).".to_owned(),
        Outcome::Held if summary.total.ended() == 0 => "Nobody came: there is nothing to judge.".to_owned(),
        Outcome::Held if held == all => format!("{} held.", count(all as u64, "threshold", "thresholds")),
        Outcome::Held => {
            format!("{} of {} broken.", all - held, count(all as u64, "threshold", "thresholds"))
        }
    }
}

/// What was asked for, in a phrase: `500 users/s for 10 s`.
pub fn asked(run: &Run, summary: &LoadSummary) -> String {
    let Some(plan) = summary.plan() else { return String::new() };
    let machines = if summary.machines > 1 {
        format!(" from each of {}", count(summary.machines as u64, "machine", "machines"))
    } else {
        String::new()
    };
    let load = match (run.header.config.goal.users, &plan.load) {
        (Some(users), Load::Open { users_per_s }) => {
            format!("{} users at once, which is {} users/s", number(users), number(*users_per_s))
        }
        (_, Load::Closed { users }) => {
            format!("{} without pauses", count(u64::from(*users), "user", "users"))
        }
        (_, load) => load.arrivals().map_or(String::new(), |a| {
            let like = if a.spacing == Spacing::Even { ", evenly spaced," } else { "" };
            format!("{}{like}", shape(&a.stretches, f64::from(plan.seconds)))
        }),
    };
    format!("{load}{machines} for {} s", plan.seconds)
}

/// `500 users/s`, `100 to 1,000 users/s`, `100, 200, 400 users/s`, `12 to 840 users/s in 24 stretches`.
fn shape(stretches: &[Stretch], seconds: f64) -> String {
    let is_steady = |s: &Stretch| s.from_per_s == s.to_per_s;
    match stretches {
        [one] if is_steady(one) => format!("{} users/s", number(one.from_per_s)),
        [one] if one.seconds >= seconds => {
            format!("{} to {} users/s", number(one.from_per_s), number(one.to_per_s))
        }
        _ if stretches.len() <= 6 && stretches.iter().all(is_steady) => {
            let rates: Vec<String> = stretches.iter().map(|s| number(s.from_per_s)).collect();
            format!("{} users/s", rates.join(", "))
        }
        _ => {
            let ends = || stretches.iter().flat_map(|s| [s.from_per_s, s.to_per_s]);
            let (least, most) = (ends().fold(f64::INFINITY, f64::min), ends().fold(0.0, f64::max));
            format!("{} to {} users/s in {} stretches", number(least), number(most), stretches.len())
        }
    }
}

/// Little's law with the numbers of the run; None where it has nothing to say.
pub fn little(run: &Run, summary: &LoadSummary) -> Option<String> {
    let plan = summary.plan()?;
    let users = run.header.config.goal.users?;
    let Load::Open { users_per_s } = plan.load else { return None };
    Some(format!(
        "{} users at once = {} users arriving per second × {} inside when alone (Little's law); {} were inside on average.",
        number(users),
        number(users_per_s),
        ms(summary.seconds_inside * 1e3),
        number(summary.users_inside)
    ))
}

/// A visit that takes about as long as the window is in its first steps only; None where users had filled the app. What was held is then less
/// than what was asked for.
pub fn filling(run: &Run, summary: &LoadSummary) -> Option<String> {
    let seconds = summary.window.as_ref()?.seconds();
    let in_the_long_run = summary.rates.users_planned? * goal::requests_per_user(run);
    let is_full =
        summary.rates.sent >= FULL * in_the_long_run || summary.seconds_inside < SHORT_VISIT * seconds;
    (!is_full).then(|| {
        format!(
            "So many users ask {} times a second in the long run, and {} were sent: they came into an empty app, and a visit takes {} of the {}. Measure longer.",
            number(in_the_long_run),
            number(summary.rates.sent),
            ms(summary.seconds_inside * 1e3),
            ms(seconds * 1e3)
        )
    })
}

/// The measured value of a threshold.
pub fn value(checked: &Checked) -> String {
    let of = checked.worst.as_ref().map(|route| format!(" of `{route}`")).unwrap_or_default();
    let value = match (checked.value, checked.threshold.what) {
        (None, _) => return "nothing was seen".to_owned(),
        (Some(v), _) if v.is_infinite() => "too few right answers".to_owned(),
        (Some(v), Quantity::Errors) => percent(v),
        (Some(v), Quantity::Rate) => format!("{}/s", number(v)),
        (Some(v), _) => ms(v / 1e3),
    };
    value + &of
}

pub fn error_name(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Refused => "connection refused",
        ErrorClass::Reset => "connection reset",
        ErrorClass::Timeout => "no answer in time",
        ErrorClass::Malformed => "malformed answer",
        ErrorClass::CutShort => "answer cut short",
        ErrorClass::TooLarge => "answer too large",
        ErrorClass::Tls => "no TLS agreed on",
        ErrorClass::Status => "wrong status",
        ErrorClass::Assert => "wrong content",
        ErrorClass::Crowd => "could not be sent",
    }
}

/// One line for each class of errors, with the first example.
pub fn errors(summary: &LoadSummary) -> Vec<String> {
    let ended = summary.total.ended().max(1) as f64;
    summary
        .total
        .errors
        .iter()
        .map(|(&class, &n)| {
            let example = summary.problems.iter().find(|p| p.class == class);
            let first = if n > 1 { ", the first of them" } else { ":" };
            let example =
                example.map(|p| format!("{first} `{}`, {}", p.route, p.sentence)).unwrap_or_default();
            words::full_stop(&format!(
                "{}: {} ({}){example}",
                error_name(class),
                count(n, "request", "requests"),
                percent(n as f64 / ended)
            ))
        })
        .collect()
}

/// What the crowd itself did, so that its figures can be trusted or not.
pub fn crowd(summary: &LoadSummary) -> String {
    let seconds = summary.window.as_ref().map_or(0.0, fissure_facts::Window::seconds);
    format!(
        "Latency counts from the planned instant, service from the real send. The crowd was late by {} (p99), used {} s of CPU in {} s and opened {}.",
        latency(&summary.lateness, 0.99),
        number(summary.crowd_cpu_s),
        number(seconds),
        count(summary.connects, "connection", "connections")
    )
}

fn latency(latencies: &Latencies, quantile: f64) -> String {
    if latencies.is_empty() {
        words::NOTHING.to_owned()
    } else {
        ms(latencies.quantile_us(quantile) as f64 / 1e3)
    }
}
