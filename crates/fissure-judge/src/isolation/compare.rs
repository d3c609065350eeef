//! What differs between copies that are run in another way, beyond what differs between identical ones.
//!
//! Several controls (identical copies) teach what differs by chance. A value that all of them share must be the same
//! elsewhere. Of those that differ between controls, what is met again within each of them is compared by renaming, and clock
//! times by their order. What is left is noise, and counted.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::shadow::ShadowedStep;

use super::leaves::{Kind, Leaf, Leaves, leaves};
use super::sent::{Sent, sent};
use super::{moments, renaming};

/// A difference in this share of the candidates and in no control is no chance.
const TOO_OFTEN: f64 = 0.75;

/// Which answer: in the order in which the answers came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub pass: u32,
    /// Of the journey among all.
    pub turn: usize,
    pub step: u32,
}

/// One run: the answers by their places.
pub type Answers<'r> = BTreeMap<Place, &'r ShadowedStep>;

/// An answer that is not what it was in the controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub place: Place,
    pub path: String,
    /// None: was not there.
    pub expected: Option<String>,
    pub got: Option<String>,
}

impl Difference {
    /// There or not, this or that: one time in two thousand a coin falls alike in six controls, and otherwise in six candidates.
    pub fn may_be_a_coin(&self) -> bool {
        let is_side = |v: &String| ["true", "false", "null"].contains(&&**v) || v.chars().count() <= 1;
        self.expected.as_ref().is_none_or(is_side) && self.got.as_ref().is_none_or(is_side)
    }
}

/// What came out of comparing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Of each candidate, in the order of the answers.
    pub differences: Vec<Vec<Difference>>,
    /// Of each answer of the controls: its values, and those of them that nothing explains.
    pub noise: BTreeMap<Place, (usize, usize)>,
    /// Fields that differ by chance: what one user was answered teaches about the next one, too.
    noisy: Noisy,
}

/// With the kinds of value that were seen there; None: sometimes there was nothing.
type Noisy = BTreeMap<Field, BTreeSet<Option<Kind>>>;

/// A path of a step's answer, whichever user asked and whichever item of a list it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Field {
    turn: usize,
    step: u32,
    path: String,
}

impl Field {
    fn of(place: &Place, path: &str) -> Self {
        Self { turn: place.turn, step: place.step, path: without_indices(path) }
    }
}

fn without_indices(path: &str) -> String {
    let mut out = String::new();
    let mut is_index = false;
    for c in path.chars() {
        is_index = c == '[' || is_index && c != ']';
        if !is_index || c == '[' {
            out.push(c);
        }
    }
    out
}

/// The last name of a JSON path, or the name of a header, without its index.
pub(super) fn last_name(path: &str) -> String {
    let path = without_indices(path);
    let last = path.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
    last.rsplit(['.', ' ']).next().unwrap_or_default().to_ascii_lowercase()
}

impl Comparison {
    /// Places that differ in every candidate: chance has had its chance to make them equal.
    pub fn steady(&self) -> Vec<&Difference> {
        let Some((first, others)) = self.differences.split_first() else { return Vec::new() };
        let same = |a: &Difference, b: &Difference| a.place == b.place && a.path == b.path;
        first.iter().filter(|d| others.iter().all(|o| o.iter().any(|x| same(x, d)))).collect()
    }

    fn is_noise(&mut self, place: &Place) {
        if let Some((_, noise)) = self.noise.get_mut(place) {
            *noise += 1;
        }
    }

    /// In nearly every candidate: too often for chance. What differs now and then is noise that the controls happened to
    /// agree on.
    pub fn is_suspicious(&self) -> bool {
        let mut often: BTreeMap<(&Place, &str), usize> = BTreeMap::new();
        for difference in self.differences.iter().flatten() {
            *often.entry((&difference.place, &difference.path)).or_default() += 1;
        }
        let least = self.differences.len() as f64 * TOO_OFTEN;
        often.values().any(|times| *times as f64 >= least)
    }

    /// The share of an answer's values that nothing explains, averaged over the answers: one page that is all chance says
    /// nothing about the others.
    pub fn noise_share(&self) -> f64 {
        let shares = self.noise.values().filter(|(values, _)| *values > 0);
        let shares: Vec<f64> = shares.map(|(values, noise)| *noise as f64 / *values as f64).collect();
        if shares.is_empty() { 0.0 } else { shares.iter().sum::<f64>() / shares.len() as f64 }
    }
}

/// Places whose values differ from control to control.
pub(super) struct Varying {
    pub place: Place,
    pub path: String,
    /// In each control.
    pub values: Vec<Leaf>,
    /// In each candidate.
    pub got: Vec<Option<Leaf>>,
    /// The candidates that came this far.
    pub who: Vec<usize>,
}

pub fn compare(controls: &[Answers<'_>], candidates: &[Answers<'_>]) -> Comparison {
    let mut out = Comparison { differences: vec![Vec::new(); candidates.len()], ..Comparison::default() };
    let (mut varying, mut requests): (Vec<Varying>, Vec<Sent>) = (Vec::new(), Vec::new());
    let places: BTreeSet<&Place> = controls.iter().flat_map(|c| c.keys()).collect();
    for place in places {
        let of_controls: Vec<&ShadowedStep> = controls.iter().filter_map(|c| c.get(place).copied()).collect();
        if of_controls.len() < controls.len() {
            continue; // not even every control came this far
        }
        // A journey that ended before this place has its difference there.
        let who: Vec<usize> = (0..candidates.len()).filter(|&i| candidates[i].contains_key(place)).collect();
        let of_candidates: Vec<(usize, &ShadowedStep)> =
            who.iter().filter_map(|&i| Some((i, candidates[i].get(place).copied()?))).collect();
        requests.extend(sent(place, &of_controls, &of_candidates, candidates.len()));
        let of_candidates = of_candidates.iter().map(|(_, step)| *step);
        let steps: Vec<&ShadowedStep> = of_controls.iter().copied().chain(of_candidates).collect();
        let all = leaves(&steps, controls.len());
        let (known, got) = all.split_at(controls.len());
        compare_answer(place, known, got, &who, &mut varying, &mut out);
    }
    for differences in &mut out.differences {
        differences.retain(|d| !out.noisy.contains_key(&Field::of(&d.place, &d.path)));
    }
    of_another_kind(&varying, &out.noisy, &mut out.differences);
    explain(&varying, &requests, &mut out);
    for differences in &mut out.differences {
        differences.sort_by(|a, b| (&a.place, &a.path).cmp(&(&b.place, &b.path)));
    }
    out
}

fn compare_answer(
    place: &Place,
    controls: &[Leaves],
    candidates: &[Leaves],
    who: &[usize],
    varying: &mut Vec<Varying>,
    out: &mut Comparison,
) {
    let paths: BTreeSet<&String> = controls.iter().flat_map(|c| c.keys()).collect();
    let mut has_one_shape = true;
    let mut differ = |i: usize, path: &str, expected: Option<&Leaf>, got: Option<&Leaf>| {
        out.differences[who[i]].push(Difference {
            place: place.clone(),
            path: path.to_owned(),
            expected: expected.map(|l| l.value.clone()),
            got: got.map(|l| l.value.clone()),
        });
    };
    let (mut values, mut noise, mut noisy) = (0, 0, Vec::new());
    for path in &paths {
        values += 1;
        let all_seen = controls.iter().chain(candidates).filter_map(|c| c.get(*path));
        if names_the_process(path, all_seen) {
            noise += 1;
            continue;
        }
        let seen: Vec<&Leaf> = controls.iter().filter_map(|c| c.get(*path)).collect();
        if seen.len() < controls.len() {
            (noise, has_one_shape) = (noise + 1, false);
            noisy.push((Field::of(place, path), None));
            continue;
        }
        if seen.iter().all(|leaf| *leaf == seen[0]) {
            for (i, candidate) in candidates.iter().enumerate() {
                let got = candidate.get(*path);
                if got != Some(seen[0]) {
                    differ(i, path, Some(seen[0]), got);
                }
            }
            continue;
        }
        let mut got = vec![None; out_len(who)];
        for (i, candidate) in candidates.iter().enumerate() {
            got[who[i]] = candidate.get(*path).cloned();
        }
        noisy.extend(seen.iter().map(|leaf| (Field::of(place, path), Some(leaf.kind))));
        varying.push(Varying {
            place: place.clone(),
            path: (*path).clone(),
            values: seen.into_iter().cloned().collect(),
            who: who.to_vec(),
            got,
        });
    }
    if has_one_shape {
        for (i, candidate) in candidates.iter().enumerate() {
            if let Some((path, leaf)) = candidate.iter().find(|(path, _)| !paths.contains(path)) {
                differ(i, path, None, Some(leaf));
            }
        }
    }
    out.noise.insert(place.clone(), (values, noise));
    for (field, kind) in noisy {
        out.noisy.entry(field).or_default().insert(kind);
    }
}

fn out_len(who: &[usize]) -> usize {
    who.last().map_or(0, |last| last + 1)
}

/// A value that differs by chance, but was always of one kind, is of another kind: nothing where an id should be.
fn of_another_kind(varying: &[Varying], noisy: &Noisy, differences: &mut [Vec<Difference>]) {
    for place in varying {
        let Some(kinds) = noisy.get(&Field::of(&place.place, &place.path)).filter(|kinds| kinds.len() == 1)
        else {
            continue;
        };
        for &i in &place.who {
            let got = place.got[i].as_ref();
            if !kinds.contains(&got.map(|leaf| leaf.kind)) {
                differences[i].push(Difference {
                    place: place.place.clone(),
                    path: place.path.clone(),
                    expected: place.values.first().map(|leaf| leaf.value.clone()),
                    got: got.map(|leaf| leaf.value.clone()),
                });
            }
        }
    }
}

/// What varies is compared by renaming or by order, where it can be; the rest is noise.
fn explain(varying: &[Varying], requests: &[Sent], out: &mut Comparison) {
    let candidates = out.differences.len();
    let renamed = renaming::compare(varying, requests, candidates);
    let ordered = moments::compare(varying, candidates);
    for (i, place) in varying.iter().enumerate() {
        if !renamed.is_compared[i] && !ordered.is_compared[i] {
            out.is_noise(&place.place);
        }
    }
    let found = renamed.differences.into_iter().zip(ordered.differences);
    for (differences, (by_name, by_order)) in out.differences.iter_mut().zip(found) {
        differences.extend(by_name.into_iter().chain(by_order));
    }
}

/// Who answered, not what: it is another one with two copies, and that is as it should be.
fn names_the_process<'l>(path: &str, values: impl Iterator<Item = &'l Leaf>) -> bool {
    const NAMES: [&str; 22] = [
        "pid",
        "process",
        "process_id",
        "processid",
        "port",
        "host",
        "hostname",
        "thread",
        "thread_id",
        "threadid",
        "worker",
        "instance",
        "instance_id",
        "node",
        "server",
        "served_by",
        "uptime",
        "rss",
        "heap",
        "heap_used",
        "memory",
        "free_memory",
    ];
    // The last name of a JSON path, or the name of a header, without its index.
    let last = path.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let last = last.rsplit(['.', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    let last = last.trim_start_matches("x-").replace('-', "_");
    let is_text = path.contains(super::leaves::WORD);
    if !is_text && NAMES.contains(&&*last) {
        return true;
    }
    let mut any = false;
    let all = values.into_iter().all(|leaf| {
        any = true;
        is_given_by_a_machine(&leaf.value)
    });
    any && all
}

/// `java.lang.Object@1b6d3586`, `pool-1-thread-3`: names that a virtual machine gives.
pub(super) fn is_given_by_a_machine(value: &str) -> bool {
    let is_object = value.rsplit_once('@').is_some_and(|(class, hash)| {
        class.contains('.') && (5..=8).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_hexdigit())
    });
    let is_thread = value.rsplit_once('-').is_some_and(|(name, number)| {
        name.to_ascii_lowercase().ends_with("thread") && number.bytes().all(|b| b.is_ascii_digit())
    });
    is_object || is_thread
}
