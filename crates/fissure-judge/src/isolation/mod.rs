//! Isolation: does the app answer the same when it runs as several processes, and after a restart?
//!
//! The same journeys are played on copies that differ only in how they are run (`Step::Shadow`). Identical copies teach what
//! differs by chance; a difference beyond it is repeated before it is believed, and cut down to the shortest journey.

pub mod asked;
pub mod compare;
pub mod coupling;
mod idle;
pub mod leaves;
pub(crate) mod moments;
mod plan;
mod renaming;
mod sent;
mod state;
pub mod tables;
mod twins;

use std::collections::BTreeMap;

use fissure_facts::shadow::{Act, Part, ShadowedStep, TableSeen, Twinned};
use fissure_facts::{Arrangement, Exchange, Fact, Route, Run, ShadowPlan, Topology};
use serde::Serialize;

use compare::{Answers, Comparison, Difference, Place, compare};
pub use plan::{Wanted, next};
pub use state::State;
use tables::Change;

/// With more of the answers' values than this unexplained nothing can be said.
const NOISE_MOST: f64 = 0.5;
/// A difference is believed when it came up this often, and never among so many controls. With fewer, one coin of an app that
/// throws many would fall so that it looks like state.
const REPEATS_LEAST: usize = 5;
const CONTROLS_LEAST: usize = 2;
/// A value in a report is cut to so many characters.
const SHOWN: usize = 120;

/// What the shadows showed, a line for each way in which the app was run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Isolation {
    pub tried: Vec<Tried>,
}

/// One way to run the app, against the app as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    pub topology: Topology,
    pub arrangement: Arrangement,
    pub answer: Answer,
    /// Why it cannot be told, in a sentence.
    pub why_unknown: Option<String>,
    /// Runs of one copy as it is, and runs in this way.
    pub controls: usize,
    pub runs: usize,
    /// Answers of one run that were compared.
    pub answers: usize,
    /// Share of their values that differ by chance and were ignored.
    pub noise_share: f64,
    /// Columns of databases that were compared, and those of them that differ by chance.
    pub columns: (usize, usize),
    /// Requests that were sent twice at the same instant.
    pub twins: usize,
    /// Seconds in which nobody asked, and starts of all copies at the same instant.
    pub idle: (u32, usize),
    pub findings: Vec<Finding>,
}

/// How something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// An answer of a journey differs.
    Answers,
    /// The database holds something else after the journeys.
    Database,
    /// The same request, twice at the same instant.
    Twins,
    /// Nobody asked for anything.
    Idle,
    /// Copies were started at the same instant.
    StartedAtOnce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Safe,
    Unsafe,
    Unknown,
}

/// The first answer of a journey that differs, each time it was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub topology: Topology,
    pub by: By,
    /// What kind of state it seems to be.
    pub state: State,
    pub journey: String,
    pub line: u32,
    /// None where nobody asked, or many did.
    pub route: Option<Route>,
    /// Method and target as they were sent.
    pub request: String,
    /// What in the answer differs.
    pub what: String,
    pub expected: String,
    pub got: String,
    /// Other answers of the journey that differ too.
    pub others: usize,
    /// The requests that suffice to see it, with their lines; the last one is the one that differs.
    pub steps: Vec<(u32, Route)>,
}

impl Isolation {
    /// Of a way to run the app; the arrangement counts where there are several splits.
    pub fn of(&self, topology: Topology, arrangement: Option<&Arrangement>) -> Option<&Tried> {
        let is_it = |t: &&Tried| {
            t.topology == topology
                && arrangement.is_none_or(|a| topology != Topology::Split || t.arrangement.table == a.table)
        };
        self.tried.iter().find(is_it)
    }

    /// Answers were seen to change when the app runs like this.
    pub fn is_unsafe(&self, arrangement: &Arrangement) -> bool {
        let wanted = Wanted::of(arrangement);
        let tried = wanted.and_then(|wanted| self.of(wanted.topology, Some(&wanted.arrangement)));
        tried.is_some_and(|tried| tried.answer == Answer::Unsafe)
    }

    /// Unknown where nothing was tried. Of several splits the worst counts.
    pub fn answer(&self, topology: Topology) -> Answer {
        let all = || self.tried.iter().filter(|t| t.topology == topology).map(|t| t.answer);
        if all().any(|a| a == Answer::Unsafe) {
            Answer::Unsafe
        } else if all().next().is_some() && all().all(|a| a == Answer::Safe) {
            Answer::Safe
        } else {
            Answer::Unknown
        }
    }

    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.tried.iter().flat_map(|t| &t.findings)
    }
}

/// A shadow with its answers.
struct Shadow<'r> {
    plan: &'r ShadowPlan,
    answers: Answers<'r>,
    twins: Vec<&'r Twinned>,
    tables: &'r [TableSeen],
    /// None: it is not over.
    cut_short: Option<Option<&'r str>>,
    took_s: f64,
}

/// Every shadow of a run, in the order in which they began.
fn shadows(run: &Run) -> Vec<Shadow<'_>> {
    let turn = |journey: &str| run.header.journeys.iter().position(|j| j.name == journey).unwrap_or(0);
    let mut all: Vec<Shadow<'_>> = Vec::new();
    let mut began_s = BTreeMap::new();
    for stamped in &run.facts {
        match &stamped.fact {
            Fact::StepBegan { step: fissure_facts::Step::Shadow(plan), .. } => {
                began_s.insert(plan.shadow, stamped.at_s);
                let answers = Answers::new();
                all.push(Shadow {
                    plan,
                    answers,
                    twins: Vec::new(),
                    tables: &[],
                    cut_short: None,
                    took_s: 0.0,
                });
            }
            Fact::Shadowed(step) => {
                if let Some(shadow) = all.iter_mut().find(|s| s.plan.shadow == step.shadow) {
                    let place = Place { pass: step.pass, turn: turn(&step.journey), step: step.step };
                    shadow.answers.insert(place, step);
                }
            }
            Fact::Twinned(pair) => {
                if let Some(shadow) = all.iter_mut().find(|s| s.plan.shadow == pair.shadow) {
                    shadow.twins.push(pair);
                }
            }
            Fact::ShadowEnded(end) => {
                if let Some(shadow) = all.iter_mut().find(|s| s.plan.shadow == end.shadow) {
                    shadow.cut_short = Some(end.cut_short.as_deref());
                    shadow.tables = &end.tables;
                    shadow.took_s = stamped.at_s - began_s.get(&end.shadow).copied().unwrap_or(stamped.at_s);
                }
            }
            _ => {}
        }
    }
    all
}

/// The shadows that were played to their end, apart by what was played and how.
fn whole<'s, 'r>(
    all: &'s [Shadow<'r>],
    topology: Topology,
    arrangement: Option<&Arrangement>,
    parts: &[Part],
    passes: u32,
) -> Vec<&'s Shadow<'r>> {
    all.iter()
        .filter(|s| s.plan.topology == topology && s.plan.parts == parts && s.plan.passes == passes)
        .filter(|s| s.plan.act == Act::Play)
        .filter(|s| arrangement.is_none_or(|a| s.plan.arrangement == *a))
        .filter(|s| s.cut_short == Some(None))
        .collect()
}

/// What is to be compared when the app runs in this way. Answers out of a cache may be older, which is what a cache is.
fn answers<'r>(shadows: &[&Shadow<'r>], arrangement: &Arrangement) -> Vec<Answers<'r>> {
    let is_compared = |step: &&ShadowedStep| !arrangement.caches(&step.route);
    let of = |s: &&Shadow<'r>| {
        s.answers.iter().filter(|(_, step)| is_compared(step)).map(|(p, s)| (p.clone(), *s)).collect()
    };
    shadows.iter().map(of).collect()
}

/// What differs in the databases after the journeys. A restart may well leave notes of its own.
fn table_changes(topology: Topology, controls: &[&Shadow<'_>], runs: &[&Shadow<'_>]) -> Vec<Change> {
    let known: Vec<&[TableSeen]> = controls.iter().map(|s| s.tables).collect();
    let got: Vec<&[TableSeen]> = runs.iter().map(|s| s.tables).collect();
    let mut changes = tables::changes(&known, &got);
    changes.retain(|c| topology != Topology::Restart || c.column.is_none() && c.got < c.expected);
    changes
}

fn status_of(exchange: &Exchange) -> u16 {
    exchange.answer.as_ref().map_or(0, |a| a.status)
}

/// What the shadows of a run showed.
pub fn assess(run: &Run) -> Isolation {
    let all = shadows(run);
    let mut ways: Vec<(&Topology, &Arrangement)> = Vec::new();
    for plan in all.iter().map(|s| s.plan).filter(|p| p.topology != Topology::Control) {
        if !ways.contains(&(&plan.topology, &plan.arrangement)) {
            ways.push((&plan.topology, &plan.arrangement));
        }
    }
    let tried = ways.into_iter().map(|(topology, arrangement)| tried(*topology, arrangement, &all)).collect();
    Isolation { tried }
}

fn tried(topology: Topology, arrangement: &Arrangement, all: &[Shadow<'_>]) -> Tried {
    let passes = plan::passes(topology);
    let controls = whole(all, Topology::Control, None, &[], passes);
    let runs = whole(all, topology, Some(arrangement), &[], passes);
    let comparison = compare(&answers(&controls, arrangement), &answers(&runs, arrangement));
    let changes = table_changes(topology, &controls, &runs);
    let known: Vec<&[TableSeen]> = controls.iter().map(|s| s.tables).collect();
    let is_replicate = topology == Topology::Replicate;
    let mut tried = Tried {
        topology,
        arrangement: arrangement.clone(),
        answer: Answer::Unknown,
        why_unknown: None,
        controls: controls.len(),
        runs: runs.len(),
        answers: controls.first().map_or(0, |c| c.answers.len()),
        noise_share: comparison.noise_share(),
        columns: tables::noise(&known),
        twins: if is_replicate { twins::tried(all) } else { 0 },
        idle: if is_replicate { idle::tried(all) } else { (0, 0) },
        findings: Vec::new(),
    };
    (tried.answer, tried.why_unknown) = answer(&tried, &comparison, all, arrangement, topology);
    if tried.answer == Answer::Unsafe {
        tried.findings = findings(topology, arrangement, &comparison, &controls, &runs, all);
    }
    if is_replicate {
        tried.findings.extend(twins::findings(all));
        tried.findings.extend(idle::findings(all));
    }
    let is_repeated = tried.runs >= REPEATS_LEAST && tried.controls >= REPEATS_LEAST;
    if is_repeated {
        // What happens without anybody asking is told already.
        let is_told = |change: &Change| tried.findings.iter().any(|f| f.what == change.spoken());
        let new: Vec<Finding> =
            changes.iter().filter(|c| !is_told(c)).map(|c| in_database(topology, c)).collect();
        tried.findings.extend(new);
    } else if !changes.is_empty() && tried.answer == Answer::Safe {
        tried.answer = Answer::Unknown;
        tried.why_unknown = Some(format!(
            "{} differed, but there was no time to see whether it does so again.",
            changes[0].spoken()
        ));
    }
    if !tried.findings.is_empty() {
        (tried.answer, tried.why_unknown) = (Answer::Unsafe, None);
    }
    tried
}

fn answer(
    tried: &Tried,
    comparison: &Comparison,
    all: &[Shadow<'_>],
    arrangement: &Arrangement,
    topology: Topology,
) -> (Answer, Option<String>) {
    let unknown = |why: &str| (Answer::Unknown, Some(why.to_owned()));
    if tried.runs == 0 || tried.controls < CONTROLS_LEAST {
        let failed = all.iter().rev().find_map(|s| {
            let is_ours = s.plan.topology == topology && s.plan.arrangement == *arrangement
                || s.plan.topology == Topology::Control;
            s.cut_short.flatten().filter(|_| is_ours)
        });
        return unknown(failed.unwrap_or("there was no time to compare."));
    }
    let controls = whole(all, Topology::Control, None, &[], plan::passes(topology));
    if let Some(why) = never_works(&controls) {
        return unknown(&why);
    }
    if comparison.noise_share() > NOISE_MOST {
        let percent = comparison.noise_share() * 100.0;
        return unknown(&format!(
            "{percent:.0} % of what the app answers differs by chance between two identical copies, so nothing can be compared."
        ));
    }
    if !comparison.is_suspicious() {
        return (Answer::Safe, None);
    }
    if comparison.steady().is_empty() {
        return unknown(
            "an answer differed in most of the runs, but not in all: something in the app depends on chance or on time.",
        );
    }
    if tried.runs < REPEATS_LEAST || tried.controls < REPEATS_LEAST {
        return unknown("an answer differed, but there was no time to see whether it does so again.");
    }
    (Answer::Unsafe, None)
}

/// A journey that ends at the same answer on every copy, though it worked on the app as it is: nothing behind it was compared.
fn never_works(controls: &[&Shadow<'_>]) -> Option<String> {
    let (first, others) = controls.split_first()?;
    first.answers.iter().find_map(|(place, step)| {
        let problem = step.problem.as_ref()?;
        let ends = |s: &&Shadow<'_>| s.answers.get(place).is_some_and(|step| step.problem.is_some());
        let why =
            format!("{} of {} does not work on a copy of the app: {problem}.", step.route, step.journey);
        others.iter().all(ends).then_some(why)
    })
}

fn in_database(topology: Topology, change: &Change) -> Finding {
    let state =
        if change.column.is_none() && change.got > change.expected { State::Twice } else { State::Other };
    Finding { topology, ..idle::nobody(state, change, By::Database) }
}

/// The first difference of each journey; what comes after it may follow from it.
fn findings(
    topology: Topology,
    arrangement: &Arrangement,
    comparison: &Comparison,
    controls: &[&Shadow<'_>],
    runs: &[&Shadow<'_>],
    all: &[Shadow<'_>],
) -> Vec<Finding> {
    let mut by_journey: BTreeMap<usize, Vec<&Difference>> = BTreeMap::new();
    for difference in comparison.steady() {
        let of_journey = by_journey.entry(difference.place.turn).or_default();
        // One for each answer.
        if of_journey.last().is_none_or(|last| last.place != difference.place) {
            of_journey.push(difference);
        }
    }
    let (Some(control), Some(run)) = (controls.first(), runs.first()) else { return Vec::new() };
    let mut ordered: Vec<&Vec<&Difference>> = by_journey.values().collect();
    ordered.sort_by_key(|differences| &differences[0].place);
    ordered
        .into_iter()
        .filter_map(|differences| {
            let difference = *differences.first()?;
            let was: &ShadowedStep = control.answers.get(&difference.place)?;
            let is: &ShadowedStep = run.answers.get(&difference.place)?;
            let (expected, got) = shown(difference, was, is);
            // A message that is waited for is no request.
            let request = match was.exchanges.last().map(|e| &e.request) {
                Some(request) => cut(&format!("{} {}", request.method, request.target)),
                None => was.route.to_string(),
            };
            Some(Finding {
                topology,
                by: By::Answers,
                state: state::guess(difference, &control.answers, &run.answers),
                journey: was.journey.clone(),
                line: was.line,
                route: Some(was.route.clone()),
                request,
                what: leaves::spoken(&difference.path),
                expected,
                got,
                others: differences.len() - 1,
                steps: plan::shortest(topology, arrangement, difference, &control.answers, all),
            })
        })
        .collect()
}

/// Expected and got as a person reads them: of a text the words around.
fn shown(difference: &Difference, was: &ShadowedStep, is: &ShadowedStep) -> (String, String) {
    let say = |value: &Option<String>| value.as_deref().map_or("nothing there".to_owned(), cut);
    if difference.path == leaves::OUTCOME {
        let said = |step: &ShadowedStep| step.problem.as_deref().map_or("as expected".to_owned(), cut);
        return (said(was), said(is));
    }
    let index = difference.path.rsplit_once(leaves::WORD).and_then(|(_, i)| i.parse::<usize>().ok());
    let Some(index) = index else { return (say(&difference.expected), say(&difference.got)) };
    let around = |step: &ShadowedStep| {
        let body = step.exchanges.last().and_then(|e| e.answer.as_ref()).map(|a| &a.body.bytes[..]);
        let text = std::str::from_utf8(body.unwrap_or_default()).unwrap_or_default();
        let words = leaves::words(text);
        let from = index.saturating_sub(3).min(words.len());
        let to = (index + 6).min(words.len());
        cut(&words[from..to].join(" "))
    };
    (around(was), around(is))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
