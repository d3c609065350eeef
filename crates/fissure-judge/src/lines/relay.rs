//! Functions of the app through which nearly everything passes on its way from a library to other functions of the app: a middleware that
//! calls the next one, the line that starts the server.
//!
//! What a library does below such a line, and below no other of the app, is done for whatever comes next and not for that line: the sessions and
//! the routing of a framework would be told to be the middleware's work.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::Profile;
use fissure_facts::profile::{Frame, Stack};

use super::origin::{Origin, origin};

/// Of the stacks on which the app is at all.
const NEARLY_ALL: f64 = 0.8;
/// A function to which a library comes back for fewer others has it work for itself: a sort calls one comparison.
const LEAST_BELOW: usize = 3;

/// By function and file.
#[derive(Debug, Default)]
pub(super) struct Relays<'p>(BTreeSet<Key<'p>>);

type Key<'p> = (&'p str, Option<&'p str>);

fn key(frame: &Frame) -> Key<'_> {
    (&frame.function, frame.file.as_deref())
}

fn is_own(frame: &Frame) -> bool {
    origin(frame) == Origin::Own && frame.line.is_some()
}

impl<'p> Relays<'p> {
    pub fn of(profile: &'p Profile, stacks: impl Iterator<Item = &'p Stack>) -> Self {
        let mut all = 0;
        let mut seen: BTreeMap<Key<'p>, (u64, BTreeSet<Key<'p>>)> = BTreeMap::new();
        for stack in stacks {
            let frames: Vec<&Frame> = profile.frames(stack).collect();
            let own: Vec<usize> = (0..frames.len()).filter(|&i| is_own(frames[i])).collect();
            all += if own.is_empty() { 0 } else { stack.count };
            let functions: BTreeSet<Key<'p>> = own.iter().map(|&i| key(frames[i])).collect();
            for function in functions {
                seen.entry(function).or_default().0 += stack.count;
            }
            for pair in own.windows(2) {
                let between = &frames[pair[0] + 1..pair[1]];
                if between.iter().any(|f| origin(f) == Origin::Library) {
                    seen.entry(key(frames[pair[1]])).or_default().1.insert(key(frames[pair[0]]));
                }
            }
        }
        let is_relay = |(count, below): &(u64, BTreeSet<Key<'p>>)| {
            below.len() >= LEAST_BELOW && *count as f64 >= NEARLY_ALL * all as f64
        };
        Self(seen.into_iter().filter(|(_, seen)| is_relay(seen)).map(|(function, _)| function).collect())
    }

    pub fn has(&self, frame: &Frame) -> bool {
        self.0.contains(&key(frame))
    }
}
