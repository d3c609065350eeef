//! Values that differ from stack to stack, but are met again within each: ids, tokens, keys.
//!
//! Two controls are two names for the same things. Places that hold one value in every control hold one thing, and must hold
//! one value in a candidate, too; places that hold different things must hold different values. A value that is met only
//! once would fit whatever it is: it is not compared, and counted as ignored.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{Difference, Varying, is_given_by_a_machine};
use super::leaves::{Part, parts};
use super::moments::is_a_moment;
use super::sent::Sent;

/// A value of so many characters is not met twice by chance.
const LONG_ENOUGH: usize = 6;
/// What was sent back is a name even when it is short; a single character may be anything.
const SHORTEST: usize = 2;

/// What came out of comparing by renaming.
pub(super) struct Renamed {
    /// Of each varying place: whether its value was compared.
    pub is_compared: Vec<bool>,
    /// Of each candidate.
    pub differences: Vec<Vec<Difference>>,
}

pub(super) fn compare(varying: &[Varying], sent: &[Sent], candidates: usize) -> Renamed {
    let forms: Vec<Option<Form<'_>>> = varying.iter().map(Form::of).collect();
    let things = Things::of(varying, &forms, sent);
    let mut out = Renamed {
        is_compared: (0..varying.len()).map(|i| things.hold(i, forms[i].as_ref())).collect(),
        differences: Vec::with_capacity(candidates),
    };
    for candidate in 0..candidates {
        let stack = Stack { varying, forms: &forms, sent, candidate };
        let mut differences = stack.torn_apart(&things);
        differences.extend(stack.out_of_form(&things));
        differences.extend(stack.thrown_together(&things));
        // One for each place.
        differences.sort_by(|a, b| (&a.place, &a.path).cmp(&(&b.place, &b.path)));
        differences.dedup_by(|a, b| (&a.place, &a.path) == (&b.place, &b.path));
        out.differences.push(differences);
    }
    out
}

/// Where a value stands. In the order of the run: what is sent comes before what is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    /// In a request.
    Sent(usize),
    /// The whole value of a place.
    Whole(usize),
    /// A part of it: `/orders/17` holds 17.
    Part(usize, usize),
}

impl Spot {
    /// The place in the answers.
    fn answer(self) -> Option<usize> {
        match self {
            Self::Sent(_) => None,
            Self::Whole(place) | Self::Part(place, _) => Some(place),
        }
    }
}

/// What a value stands for: the places that hold one value in every control.
struct Thing<'v> {
    /// Its name in each control.
    names: Vec<&'v str>,
    /// In the order of the run.
    spots: Vec<Spot>,
}

impl Thing<'_> {
    fn first_answer(&self) -> Option<usize> {
        self.spots.iter().find_map(|spot| spot.answer())
    }
}

/// The things that are met again.
struct Things<'v> {
    all: Vec<Thing<'v>>,
    /// Where they stand.
    spots: BTreeSet<Spot>,
}

impl<'v> Things<'v> {
    fn of(varying: &'v [Varying], forms: &[Option<Form<'v>>], sent: &'v [Sent]) -> Self {
        let mut met: BTreeMap<Vec<&str>, Vec<Spot>> = BTreeMap::new();
        for (i, word) in sent.iter().enumerate() {
            met.entry(word.values.iter().map(String::as_str).collect()).or_default().push(Spot::Sent(i));
        }
        for (i, (place, form)) in varying.iter().zip(forms).enumerate() {
            let whole = place.values.iter().map(|leaf| leaf.value.as_str()).collect();
            met.entry(whole).or_default().push(Spot::Whole(i));
            for (form, part) in
                form.iter().flat_map(|form| form.varying.iter().map(move |part| (form, *part)))
            {
                met.entry(form.names(part)).or_default().push(Spot::Part(i, part));
            }
        }
        let times = times(&met);
        let place = |spot: &Spot| match spot {
            Spot::Sent(i) => &sent[*i].place,
            Spot::Whole(i) | Spot::Part(i, _) => &varying[*i].place,
        };
        let mut all = Vec::new();
        for (names, mut spots) in met {
            if is_met_again(&names, &spots) && is_renamed(&names, &spots, &times) {
                spots.sort_by(|a, b| (place(a), a).cmp(&(place(b), b)));
                all.push(Thing { names, spots });
            }
        }
        let spots = all.iter().flat_map(|thing| thing.spots.iter().copied()).collect();
        Self { all, spots }
    }

    /// The whole value of a place, or all that varies in it.
    fn hold(&self, place: usize, form: Option<&Form<'_>>) -> bool {
        self.spots.contains(&Spot::Whole(place)) || self.hold_parts(place, form)
    }

    fn hold_parts(&self, place: usize, form: Option<&Form<'_>>) -> bool {
        let has = |part: &usize| self.spots.contains(&Spot::Part(place, *part));
        form.is_some_and(|form| !form.varying.is_empty() && form.varying.iter().all(has))
    }
}

/// How often each control shows a value, whatever it stands for.
fn times<'v>(met: &BTreeMap<Vec<&'v str>, Vec<Spot>>) -> BTreeMap<(usize, &'v str), usize> {
    let mut times = BTreeMap::new();
    for (names, spots) in met {
        for name in names.iter().copied().enumerate() {
            *times.entry(name).or_default() += spots.len();
        }
    }
    times
}

/// In each control the value stands for this thing at half of the places at least. What stands for one thing here and for
/// another one there, as in the other controls it differs, is no name but a pick out of a short list.
fn is_renamed(names: &[&str], spots: &[Spot], times: &BTreeMap<(usize, &str), usize>) -> bool {
    let is_mostly = |name: (usize, &str)| times.get(&name).is_none_or(|times| 2 * spots.len() >= *times);
    names.iter().copied().enumerate().all(is_mostly)
}

/// At two places of the answers, or in an answer and a request.
fn is_met_again(names: &[&str], spots: &[Spot]) -> bool {
    let answers: BTreeSet<usize> = spots.iter().filter_map(|spot| spot.answer()).collect();
    let is_sent = spots.iter().any(|spot| matches!(spot, Spot::Sent(_)));
    !answers.is_empty() && (answers.len() > 1 || is_sent) && is_a_name(names, is_sent)
}

/// Stands for something (an id, a token), not for a moment, a measure or a word. Two measures are equal by chance, and every
/// process has its own, so a number is a name only where it was sent back.
fn is_a_name(values: &[&str], is_sent: bool) -> bool {
    if values.iter().any(|v| is_a_moment(v) || may_name_a_port(v) || is_given_by_a_machine(v)) {
        return false;
    }
    let are_at_least = |length: usize| values.iter().all(|v| v.len() >= length);
    if values.iter().all(|v| v.parse::<f64>().is_ok()) {
        let is_whole = values.iter().all(|v| v.bytes().all(|b| b.is_ascii_digit()));
        return is_sent && is_whole && are_at_least(SHORTEST);
    }
    let has_digit = values.iter().any(|v| v.bytes().any(|b| b.is_ascii_digit()));
    is_sent && are_at_least(SHORTEST) || are_at_least(LONG_ENOUGH) && has_digit
}

/// `host:8080`: what else it holds is compared by its parts.
fn may_name_a_port(value: &str) -> bool {
    value.as_bytes().windows(2).any(|w| w[0] == b':' && w[1].is_ascii_digit())
}

/// A value as words with what is between them, of which some are the same in every control: a link, a sentence.
struct Form<'v> {
    /// In each control.
    parts: Vec<Vec<Part<'v>>>,
    /// Those that differ, except for ports, which are another one in every process.
    varying: Vec<usize>,
    /// Those that must be as they are.
    fixed: Vec<usize>,
}

impl<'v> Form<'v> {
    /// None where the controls have no form in common, or there is nothing but one value.
    fn of(place: &'v Varying) -> Option<Self> {
        let all: Vec<Vec<Part<'v>>> = place.values.iter().map(|leaf| parts(&leaf.value)).collect();
        let first = all.first()?;
        if !all.iter().all(|other| has_gaps_of(first, other)) {
            return None;
        }
        let is_fixed = |at: &usize| all.iter().all(|other| other[*at].word == first[*at].word);
        let (fixed, others): (Vec<usize>, Vec<usize>) = (0..first.len()).partition(is_fixed);
        let varying = others.into_iter().filter(|at| !first[*at].is_port).collect();
        // A random text with a slash in it is no link.
        let is_link = first.first().is_some_and(|part| part.gap == "/");
        let has_word = fixed.iter().any(|at| !first[*at].word.is_empty());
        (is_link || has_word).then_some(Self { varying, fixed, parts: all })
    }

    /// A part's value in each control.
    fn names(&self, part: usize) -> Vec<&'v str> {
        self.parts.iter().map(|parts| parts[part].word).collect()
    }

    /// The words of a candidate's value, if it has this form.
    fn read<'g>(&self, value: &'g str) -> Option<Vec<Part<'g>>> {
        let (first, got) = (self.parts.first()?, parts(value));
        let is_it = has_gaps_of(first, &got) && self.fixed.iter().all(|at| got[*at].word == first[*at].word);
        is_it.then_some(got)
    }
}

fn has_gaps_of(known: &[Part<'_>], other: &[Part<'_>]) -> bool {
    known.len() == other.len() && known.iter().zip(other).all(|(a, b)| a.gap == b.gap)
}

/// The values of one candidate.
struct Stack<'a> {
    varying: &'a [Varying],
    forms: &'a [Option<Form<'a>>],
    sent: &'a [Sent],
    candidate: usize,
}

impl<'a> Stack<'a> {
    /// The whole value of a place in the answers.
    fn whole(&self, place: usize) -> Option<&'a str> {
        self.varying[place].got.get(self.candidate)?.as_ref().map(|leaf| leaf.value.as_str())
    }

    fn value(&self, spot: Spot) -> Option<&'a str> {
        match spot {
            Spot::Sent(i) => self.sent[i].got.get(self.candidate)?.as_deref(),
            Spot::Whole(i) => self.whole(i),
            Spot::Part(i, part) => {
                let read = self.forms[i].as_ref()?.read(self.whole(i)?)?;
                Some(read.get(part)?.word)
            }
        }
    }

    /// What the candidate calls a thing: by the first place that holds it.
    fn name(&self, thing: &Thing<'_>) -> Option<&'a str> {
        thing.spots.iter().find_map(|spot| self.value(*spot))
    }

    fn difference(&self, place: usize, expected: Option<&str>) -> Difference {
        let Varying { place: at, path, values, .. } = &self.varying[place];
        Difference {
            place: at.clone(),
            path: path.clone(),
            expected: expected.or(values.first().map(|leaf| leaf.value.as_str())).map(str::to_owned),
            got: self.whole(place).map(str::to_owned),
        }
    }

    /// One thing has two names.
    fn torn_apart(&self, things: &Things<'_>) -> Vec<Difference> {
        let mut found = Vec::new();
        for thing in &things.all {
            let Some(name) = self.name(thing) else { continue };
            let is_other = |spot: &&Spot| self.value(**spot).is_some_and(|value| value != name);
            for spot in thing.spots.iter().filter(is_other) {
                let expected = matches!(spot, Spot::Whole(_)).then_some(name);
                found.extend(spot.answer().map(|place| self.difference(place, expected)));
            }
        }
        found
    }

    /// What holds nothing but names and fixed words has another form.
    fn out_of_form(&self, things: &Things<'_>) -> Vec<Difference> {
        let is_it = |place: &usize| {
            let form = self.forms[*place].as_ref();
            let is_other = form.zip(self.whole(*place)).is_some_and(|(f, whole)| f.read(whole).is_none());
            is_other && things.hold_parts(*place, form)
        };
        (0..self.varying.len()).filter(is_it).map(|place| self.difference(place, None)).collect()
    }

    /// Two things have one name: an id that was given twice. Only of names that are not met twice by chance.
    fn thrown_together(&self, things: &Things<'_>) -> Vec<Difference> {
        let mut by_name: BTreeMap<&str, Vec<&Thing<'_>>> = BTreeMap::new();
        for thing in &things.all {
            if let Some(name) = self.name(thing).filter(|name| is_a_name(&[*name], false)) {
                by_name.entry(name).or_default().push(thing);
            }
        }
        let mut found = Vec::new();
        for mut things in by_name.into_values() {
            things.sort_by_key(|thing| thing.first_answer());
            for (i, thing) in things.iter().enumerate() {
                // In no control they had one name.
                let are_two = |other: &&Thing<'_>| thing.names.iter().zip(&other.names).all(|(a, b)| a != b);
                if things[..i].iter().any(are_two) {
                    found.extend(thing.first_answer().map(|place| self.difference(place, None)));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
