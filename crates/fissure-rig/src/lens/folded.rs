//! Equal samples made one, with a count, and turned into the fact.

use std::collections::HashMap;
use std::hash::Hash;

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame, Stack};

/// Rarer stacks than the first so many are kept without what libraries call inside of themselves, which may be another one each time: of a
/// database in the process two thirds of the samples would be lost. What is rarer still keeps its count, not its frames.
const STACKS_KEPT: usize = 400;
const BRIEF_STACKS_KEPT: usize = 2_000;

/// Frames that are kept beyond the app's outermost one; all that is kept where there is none.
const CALLERS_KEPT: usize = 6;
/// Names with type parameters can be pages long.
const NAME_CHARS_MAX: usize = 160;

/// A sample before its frames are known; `P` is what the instrument calls a frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sample<P> {
    pub process: u32,
    pub thread: String,
    pub doing: Doing,
    /// Innermost first.
    pub stack: Vec<P>,
    pub holder: Vec<P>,
}

/// Samples by what they saw.
#[derive(Debug)]
pub(super) struct Folded<P> {
    counts: HashMap<Sample<P>, Count>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Count {
    all: u64,
    separate: u64,
}

impl<P: Hash + Eq + Clone> Default for Folded<P> {
    fn default() -> Self {
        Self { counts: HashMap::new() }
    }
}

impl<P: Hash + Eq + Clone> Folded<P> {
    pub fn add(&mut self, sample: Sample<P>, count: u64) {
        let at = self.counts.entry(sample).or_default();
        at.all += count;
        at.separate += count;
    }

    /// A thread that waits, as a look met it. One that has not moved since the last look is in the same wait.
    pub fn add_wait(&mut self, sample: Sample<P>, is_same: bool) {
        let at = self.counts.entry(sample).or_default();
        at.all += 1;
        at.separate += u64::from(!is_same);
    }

    /// Everything that a frame has to be found for.
    pub fn places(&self) -> impl Iterator<Item = &P> {
        self.counts.keys().flat_map(|sample| sample.stack.iter().chain(&sample.holder))
    }

    /// The fact, with every place turned into its frames, innermost first.
    pub fn into_profile(self, frames_of: impl Fn(&P) -> Vec<Frame>) -> Profile {
        let mut samples: Vec<(Sample<P>, Count)> = self.counts.into_iter().collect();
        // By count, and equal counts in an order that does not change from run to run.
        samples.sort_by(|(a, n), (b, m)| {
            m.cmp(n).then_with(|| (a.process, &a.thread, &a.doing).cmp(&(b.process, &b.thread, &b.doing)))
        });
        let mut table = Table::default();
        let mut stacks: HashMap<Stack, usize> = HashMap::new();
        let mut folded: Vec<Stack> = Vec::new();
        for (sample, count) in samples {
            let mut stack = Stack {
                process: sample.process,
                thread: sample.thread,
                doing: sample.doing,
                ..Stack::default()
            };
            let is_whole = folded.len() < STACKS_KEPT;
            let mut frames_at = |places: &[P]| {
                let frames = trimmed(places.iter().flat_map(&frames_of).collect());
                table.indices(&if is_whole { frames } else { brief(frames) })
            };
            stack.frames = frames_at(&sample.stack);
            stack.holder = frames_at(&sample.holder);
            let is_one_too_many = folded.len() >= STACKS_KEPT + BRIEF_STACKS_KEPT;
            if is_one_too_many && !stacks.contains_key(&stack) {
                (stack.frames, stack.holder) = (Vec::new(), Vec::new());
            }
            let index = *stacks.entry(stack.clone()).or_insert_with(|| {
                folded.push(stack);
                folded.len() - 1
            });
            folded[index].count += count.all;
            folded[index].separate += count.separate;
        }
        folded.sort_by_key(|stack| std::cmp::Reverse(stack.count));
        Profile { frames: table.frames, stacks: folded, ..Profile::default() }
    }
}

#[derive(Default)]
struct Table {
    frames: Vec<Frame>,
    index: HashMap<Frame, u32>,
}

impl Table {
    fn indices(&mut self, frames: &[Frame]) -> Vec<u32> {
        let mut index_of = |frame: &Frame| {
            if let Some(&index) = self.index.get(frame) {
                return index;
            }
            let index = self.frames.len() as u32;
            self.index.insert(frame.clone(), index);
            self.frames.push(frame.clone());
            index
        };
        frames.iter().map(&mut index_of).collect()
    }
}

/// Without the frames that only lead from the program's start to the app's first function: a framework nests dozens.
fn trimmed(mut frames: Vec<Frame>) -> Vec<Frame> {
    let apps = frames.iter().rposition(|frame| frame.in_app).map_or(0, |outermost| outermost + 1);
    frames.truncate(apps + CALLERS_KEPT);
    for frame in &mut frames {
        if let Some((end, _)) = frame.function.char_indices().nth(NAME_CHARS_MAX) {
            frame.function.truncate(end);
        }
    }
    frames
}

/// The function where it is, the app's own frames, and what each of them called.
fn brief(mut frames: Vec<Frame>) -> Vec<Frame> {
    if let Some(inner) = frames.first_mut().filter(|frame| !frame.in_app) {
        inner.line = None;
    }
    let is_told: Vec<bool> = (0..frames.len())
        .map(|i| i == 0 || frames[i].in_app || frames.get(i + 1).is_some_and(|caller| caller.in_app))
        .collect();
    frames.into_iter().zip(is_told).filter_map(|(frame, is_told)| is_told.then_some(frame)).collect()
}

/// `kept` of them, from everywhere in the window.
pub(super) fn evenly<T>(all: Vec<T>, kept: usize) -> impl Iterator<Item = T> {
    let count = all.len();
    let is_kept = move |i: usize| (i + 1) * kept / count > i * kept / count;
    all.into_iter().enumerate().filter(move |(i, _)| is_kept(*i)).map(|(_, sample)| sample)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(place: u8) -> Vec<Frame> {
        // Two places of one line, as two calls on it are.
        vec![Frame { function: format!("f{}", place / 2), ..Frame::default() }]
    }

    /// SQLite's own calls are thousands of different stacks; the app's line that asks is one, and was on none of them.
    #[test]
    fn what_a_library_does_inside_of_itself_does_not_hide_who_asked() {
        let mut folded = Folded::default();
        for inside in 0..5_000u32 {
            let stack = vec![inside % 70, 100 + inside / 70, 999, 1_000, 1_001];
            let sample = Sample {
                process: 1,
                thread: "web".to_owned(),
                doing: Doing::Running,
                stack,
                holder: Vec::new(),
            };
            folded.add(sample, 1);
        }
        let profile = folded.into_profile(|place| {
            vec![Frame { function: format!("f{place}"), in_app: *place >= 1_000, ..Frame::default() }]
        });
        let of_app =
            |stack: &Stack| stack.frames.iter().filter(|&&f| profile.frames[f as usize].in_app).count();
        let told: u64 = profile.stacks.iter().filter(|s| of_app(s) == 2).map(|s| s.count).sum();
        assert!(told == 5_000 && profile.stacks.len() <= STACKS_KEPT + BRIEF_STACKS_KEPT + 1, "{told}");
    }

    proptest! {
        #[test]
        fn as_many_are_kept_as_wanted_and_in_order(all in prop::collection::vec(any::<u8>(), 0..99), share in 0.0f64..=1.0) {
            let numbered: Vec<usize> = (0..all.len()).collect();
            let wanted = (all.len() as f64 * share) as usize;
            let kept: Vec<usize> = evenly(numbered, wanted).collect();
            prop_assert_eq!(kept.len(), wanted);
            prop_assert!(kept.is_sorted());
        }

        #[test]
        fn no_count_is_lost_and_no_stack_stands_twice(seen in prop::collection::vec((0u32..3, prop::collection::vec(0u8..9, 0..5), 1u64..9), 0..900)) {
            let mut folded = Folded::default();
            for (process, stack, count) in &seen {
                let sample = Sample { process: *process, thread: "web".to_owned(), doing: Doing::Running, stack: stack.clone(), holder: Vec::new() };
                folded.add(sample, *count);
            }
            let profile = folded.into_profile(|place| frame(*place));
            prop_assert_eq!(profile.stacks.iter().map(|s| s.count).sum::<u64>(), seen.iter().map(|(.., n)| n).sum::<u64>());
            prop_assert!(profile.stacks.is_sorted_by_key(|s| std::cmp::Reverse(s.count)));
            for (i, stack) in profile.stacks.iter().enumerate() {
                prop_assert!(stack.frames.iter().all(|&f| (f as usize) < profile.frames.len()));
                let twin = |other: &Stack| other.frames == stack.frames && other.process == stack.process;
                prop_assert!(!profile.stacks[i + 1..].iter().any(twin));
            }
        }
    }
}
