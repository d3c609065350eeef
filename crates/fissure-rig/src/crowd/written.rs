//! What users wrote, and whether it is still there when everything is over.
//!
//! A write is known by the values that were made for it alone (`{{newUuid}}`). Whoever wrote keeps jar and variables, so
//! that the page is asked for as its user would ask for it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use fissure_facts::fact::ErrorClass;
use fissure_facts::journey::{JourneyStep, Piece, StepKind, Template, Variables};
use fissure_facts::{FoundBy, ReadBack, ReadCount, Reading, Route, WriteEnd, WriteSent};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use tokio::task::spawn_local;

use super::engine::Engine;
use super::event::CrowdEvent;
use super::jar::Jar;
use super::recorder::Outcome;
use super::script::{Script, ScriptStep};
use super::timer::monotonic_ns;
use super::user::User;
use crate::journey::uuid;

const SECOND_NS: u64 = 1_000_000_000;
/// Length of a UUID as text.
const UUID_BYTES: usize = 36;
/// So many pages are asked for at once: little enough that the app is not pressed.
const READERS: usize = 8;
/// What is not there at once may be on its way still (a queue, an index): it is looked for again after these pauses.
const LOOK_AGAIN: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_millis(1000), Duration::from_millis(2500)];
/// No page is asked for later than this.
const READ_FOR_NS: u64 = 12 * SECOND_NS;

/// Randomness of one user. What is drawn is remembered where the values made of it are looked for later.
#[derive(Clone)]
pub(super) struct Draws {
    generator: Pcg64Mcg,
    kept: Option<Vec<u64>>,
}

impl Draws {
    pub(super) fn new(generator: Pcg64Mcg, is_kept: bool) -> Self {
        Self { generator, kept: is_kept.then(Vec::new) }
    }

    pub(super) fn generator(&mut self) -> &mut Pcg64Mcg {
        &mut self.generator
    }

    pub(super) fn next(&mut self) -> u64 {
        let drawn = self.generator.random();
        self.kept.iter_mut().for_each(|kept| kept.push(drawn));
        drawn
    }

    /// Values that may have been made of what was drawn since this was last asked.
    pub(super) fn values(&mut self) -> Vec<String> {
        let drawn = self.kept.as_mut().map(std::mem::take).unwrap_or_default();
        drawn.windows(2).map(|pair| uuid(pair[0], pair[1])).collect()
    }
}

/// May this request change anything that a page could show?
pub(super) fn may_write(step: &JourneyStep) -> bool {
    matches!(step.kind, StepKind::Request) && ["POST", "PUT", "PATCH"].contains(&step.method.as_str())
}

fn is_page(step: &JourneyStep) -> bool {
    matches!(step.kind, StepKind::Request) && step.method == "GET"
}

/// How often each UUID stands in a text. One pass, because a list may show thousands.
fn uuids_in(body: &[u8]) -> HashMap<&[u8], u32> {
    let mut found = HashMap::new();
    let is_uuid = |text: &[u8]| {
        text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let mut at = 0;
    while let Some(text) = body.get(at..at + UUID_BYTES) {
        if is_uuid(text) {
            *found.entry(text).or_default() += 1;
            at += UUID_BYTES;
        } else {
            at += 1;
        }
    }
    found
}

/// What a journey that was played alone shows of its own writes.
#[derive(Default)]
pub(super) struct Alone {
    /// Place of a write, its values, and whether the app took it.
    writes: Vec<(usize, Vec<String>)>,
}

impl Alone {
    /// Looks at a step that went well, with the bodies of its answers, the last one last.
    pub(super) fn look(
        &mut self,
        script: &Script,
        place: usize,
        values: &[String],
        answer: &[u8],
    ) -> Vec<CrowdEvent> {
        let step = &script.steps[place].step;
        if may_write(step) {
            self.writes.push((place, values.to_vec()));
            let (journey, route) = (script.name.clone(), step.route.clone());
            let fresh = values.len() as u32;
            return vec![CrowdEvent::Write(WriteSent {
                journey,
                step: place as u32,
                route,
                line: step.line,
                fresh,
            })];
        }
        if !is_page(step) {
            return Vec::new();
        }
        let shown = uuids_in(answer);
        let times = |value: &String| shown.get(value.as_bytes()).copied().unwrap_or(0);
        let reading = |(write, of_write): &(usize, Vec<String>)| {
            let value = (0..of_write.len()).find(|&n| times(&of_write[n]) > 0);
            let from_answer = uses_answer_of(step, &script.steps[*write].step);
            let found_by = match value {
                _ if from_answer => FoundBy::Answer,
                Some(_) if values.iter().any(|carried| of_write.contains(carried)) => FoundBy::Value,
                Some(_) => FoundBy::List,
                None => return None,
            };
            Some(CrowdEvent::Shown(Reading {
                journey: script.name.clone(),
                write: *write as u32,
                read: place as u32,
                found_by,
                value: value.map(|n| n as u32),
                times: value.map_or(1, |n| times(&of_write[n])),
            }))
        };
        self.writes.iter().filter_map(reading).collect()
    }
}

/// The page's address holds something that the write's answer gave.
fn uses_answer_of(page: &JourneyStep, write: &JourneyStep) -> bool {
    let names = |template: &Template| -> Vec<String> {
        let name = |piece: &Piece| match piece {
            Piece::Variable(name) => Some(name.clone()),
            _ => None,
        };
        template.0.iter().filter_map(name).collect()
    };
    let mut used = names(&page.target);
    page.query.iter().for_each(|(_, template)| used.extend(names(template)));
    write.captures.iter().any(|capture| used.contains(&capture.name))
}

/// Which of the values a request carries.
pub(super) fn carried(target: &str, body: &[u8], values: &[String]) -> Vec<String> {
    if values.is_empty() {
        return Vec::new();
    }
    let (in_target, in_body) = (uuids_in(target.as_bytes()), uuids_in(body));
    let is_carried =
        |value: &&String| in_target.contains_key(value.as_bytes()) || in_body.contains_key(value.as_bytes());
    values.iter().filter(is_carried).cloned().collect()
}

/// The writes of one thread's users.
pub(super) struct Writes {
    pub(super) readings: Vec<Reading>,
    kept: RefCell<Vec<Written>>,
}

struct Written {
    user: u64,
    /// Numbers of the readings that look for it.
    readings: Rc<[usize]>,
    values: Vec<String>,
    /// None while it is on its way.
    ended: Option<(WriteEnd, u64)>,
    sent_ns: u64,
    variables: Variables,
    jar: Jar,
}

impl Writes {
    pub(super) fn new(readings: Vec<Reading>) -> Self {
        Self { readings, kept: RefCell::default() }
    }

    /// Numbers of the readings that look for what this step wrote.
    pub(super) fn readings_of(&self, journey: &str, place: usize) -> Rc<[usize]> {
        let fits = |&n: &usize| {
            let reading = &self.readings[n];
            reading.journey == journey && reading.write as usize == place
        };
        (0..self.readings.len()).filter(fits).collect()
    }

    /// A write is about to be sent; the answer is its number.
    pub(super) fn sent(&self, user: u64, readings: &Rc<[usize]>, values: Vec<String>) -> usize {
        let mut kept = self.kept.borrow_mut();
        kept.push(Written {
            user,
            readings: Rc::clone(readings),
            values,
            ended: None,
            sent_ns: monotonic_ns(),
            variables: Variables::new(),
            jar: Jar::default(),
        });
        kept.len() - 1
    }

    pub(super) fn ended(&self, number: usize, step: &ScriptStep, outcome: &Outcome, variables: &Variables) {
        let mut kept = self.kept.borrow_mut();
        let written = &mut kept[number];
        written.ended = Some((end_of(&step.step, outcome), outcome.ended_ns));
        written.variables = variables.clone();
    }

    /// The user leaves: later steps may have found what the page's address needs, and the jar is as it will stay.
    pub(super) fn left(&self, numbers: &[usize], variables: &Variables, jar: &Jar) {
        let mut kept = self.kept.borrow_mut();
        for &number in numbers {
            let written = &mut kept[number];
            for (name, value) in variables {
                written.variables.entry(name.clone()).or_insert_with(|| value.clone());
            }
            written.jar = jar.clone();
        }
    }
}

/// Only what surely did not happen has failed.
fn end_of(step: &JourneyStep, outcome: &Outcome) -> WriteEnd {
    let Some(failure) = &outcome.failure else { return WriteEnd::Acknowledged };
    // PUT may have been sent twice, and a redirect means that the first request was answered.
    let is_plain = step.method != "PUT" && !step.follow_redirects;
    let was_declined = outcome.status.is_some_and(|status| (400..500).contains(&status));
    let is_sure = match failure.class {
        ErrorClass::Refused => true,
        ErrorClass::Status => was_declined,
        _ => false,
    };
    if is_plain && is_sure { WriteEnd::Failed } else { WriteEnd::Unknown }
}

/// What a page said of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Times(u32),
    Unreadable(String),
}

impl Engine {
    /// Looks for everything that was written, and tells what was found.
    pub(super) async fn read_back(self: &Rc<Self>) {
        let Some(writes) = &self.writes else { return };
        let kept = std::mem::take(&mut *writes.kept.borrow_mut());
        let kept: Rc<[Written]> = kept.into();
        let until_ns = monotonic_ns() + READ_FOR_NS;
        for (number, reading) in writes.readings.iter().enumerate() {
            let Some(page) = self.page_of(reading) else { continue };
            let wanted: Vec<usize> =
                (0..kept.len()).filter(|&n| kept[n].readings.contains(&number)).collect();
            let mut found: BTreeMap<usize, Found> = BTreeMap::new();
            for pause in std::iter::once(Duration::ZERO).chain(LOOK_AGAIN) {
                let is_settled = |n: &usize| match (found.get(n), kept[*n].ended) {
                    (Some(Found::Times(times)), Some((WriteEnd::Acknowledged, _))) => *times > 0,
                    (Some(Found::Times(_)), _) => true,
                    _ => false,
                };
                let left: Vec<usize> = wanted.iter().copied().filter(|n| !is_settled(n)).collect();
                if left.is_empty() || monotonic_ns() >= until_ns {
                    break;
                }
                self.timers.alarm().until(monotonic_ns() + pause.as_nanos() as u64).await;
                found.extend(self.look_for(reading, &page, &kept, left, until_ns).await);
            }
            if wanted.is_empty() {
                continue;
            }
            self.recorder.tell(CrowdEvent::ReadBack(self.tally(reading, &page, &kept, &wanted, &found)));
        }
    }

    fn page_of(&self, reading: &Reading) -> Option<Page> {
        let script = Rc::clone(self.scripts().find(|script| script.name == reading.journey)?);
        let (write, read) = (reading.write as usize, reading.read as usize);
        let steps = script.steps.len();
        (write < steps && read < steps).then_some(Page { script, write, read })
    }

    fn tally(
        &self,
        reading: &Reading,
        page: &Page,
        kept: &[Written],
        wanted: &[usize],
        found: &BTreeMap<usize, Found>,
    ) -> ReadBack {
        let mut counts: BTreeMap<(WriteEnd, i32, Option<u32>), u64> = BTreeMap::new();
        let mut unreadable = None;
        for n in wanted {
            let (end, at_ns) = kept[*n].ended.unwrap_or((WriteEnd::Unknown, kept[*n].sent_ns));
            let since_ns = at_ns as i64 - self.recorder.measured_from_ns() as i64;
            let times = match found.get(n) {
                Some(Found::Times(times)) => Some(*times),
                Some(Found::Unreadable(why)) => {
                    unreadable.get_or_insert_with(|| why.clone());
                    None
                }
                None => {
                    unreadable.get_or_insert_with(|| "there was no time left to look".to_owned());
                    None
                }
            };
            *counts.entry((end, since_ns.div_euclid(SECOND_NS as i64) as i32, times)).or_default() += 1;
        }
        let count = |((end, second, times), count)| ReadCount { end, second, times, count };
        ReadBack {
            window: self.recorder.window(),
            reading: reading.clone(),
            route: page.route_of(page.write),
            by: page.route_of(page.read),
            counts: counts.into_iter().map(count).collect(),
            unreadable,
        }
    }

    /// Asks for the pages of these writes. Users for whom the request is the same share one answer.
    async fn look_for(
        self: &Rc<Self>,
        reading: &Reading,
        page: &Page,
        kept: &Rc<[Written]>,
        left: Vec<usize>,
        until_ns: u64,
    ) -> BTreeMap<usize, Found> {
        let mut found = BTreeMap::new();
        let mut alike: BTreeMap<String, (User, Vec<usize>)> = BTreeMap::new();
        for n in left {
            let mut user = User::again(self, kept[n].user, kept[n].variables.clone(), kept[n].jar.clone());
            match user.would_ask(page.step()) {
                Ok(key) => alike.entry(key).or_insert_with(|| (user, Vec::new())).1.push(n),
                Err(why) => drop(found.insert(n, Found::Unreadable(why))),
            }
        }
        let work = Rc::new(RefCell::new(alike.into_values().collect::<Vec<_>>()));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (work, kept, page) = (Rc::clone(&work), Rc::clone(kept), page.clone());
                let reading = reading.clone();
                spawn_local(async move {
                    let mut found = Vec::new();
                    loop {
                        let next = work.borrow_mut().pop();
                        let Some((user, of)) = next.filter(|_| monotonic_ns() < until_ns) else { break };
                        let seen = user.read_page(page.step()).await;
                        found.extend(of.into_iter().map(|n| (n, found_on(&seen, &reading, &kept[n]))));
                    }
                    found
                })
            })
            .collect();
        for reader in readers {
            found.extend(reader.await.unwrap_or_default());
        }
        found
    }
}

/// A page of a journey that shows what an earlier step wrote.
#[derive(Clone)]
struct Page {
    script: Rc<Script>,
    write: usize,
    read: usize,
}

impl Page {
    fn step(&self) -> &ScriptStep {
        &self.script.steps[self.read]
    }

    fn route_of(&self, place: usize) -> Route {
        self.script.steps[place].step.route.clone()
    }
}

/// An answer to somebody who looks for what was written.
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// It is what the journey expects.
    pub(super) is_right: bool,
    /// The app does not know the user any more: it gave another session, or led elsewhere.
    pub(super) is_strange: bool,
}

fn found_on(seen: &Result<Seen, String>, reading: &Reading, written: &Written) -> Found {
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => return Found::Unreadable(why.clone()),
    };
    match seen.status {
        404 | 410 => return Found::Times(0),
        200..=299 => {}
        status => return Found::Unreadable(format!("status {status}")),
    }
    if seen.is_strange {
        return Found::Unreadable("the app did not know the user any more".to_owned());
    }
    match reading.value.map(|n| written.values.get(n as usize)) {
        Some(Some(value)) => Found::Times(uuids_in(&seen.body).get(value.as_bytes()).copied().unwrap_or(0)),
        Some(None) => Found::Unreadable("it was never sent".to_owned()),
        None => Found::Times(u32::from(seen.is_right)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_counted_wherever_they_stand() {
        let (a, b) = (uuid(1, 2), uuid(3, 4));
        let page = format!("<li>{a}</li><li title=\"{b}\">{a}</li> deadbeef-{b}");
        let found = uuids_in(page.as_bytes());
        assert_eq!((found[a.as_bytes()], found[b.as_bytes()]), (2, 2));
    }

    #[test]
    fn a_value_is_known_from_what_was_drawn_for_it() {
        use rand::SeedableRng;
        let mut draws = Draws::new(Pcg64Mcg::seed_from_u64(7), true);
        draws.next();
        let value = uuid(draws.next(), draws.next());
        assert!(draws.values().contains(&value));
        assert!(draws.values().is_empty());
    }

    proptest! {
        #[test]
        fn no_page_makes_the_reader_panic(page: Vec<u8>) {
            let found = uuids_in(&page);
            prop_assert!(found.values().sum::<u32>() as usize <= page.len() / UUID_BYTES);
        }
    }
}
