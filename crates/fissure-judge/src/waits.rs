//! The waits: where the requests are that the CPU does not work for.
//!
//! Flat out and without pauses every user has one request under way, so their number is known (Little's law with a closed
//! load). A mean number of threads that wait at a place, over it, is the share of the requests that are there; what is left
//! waits where no thread shows it: before the app takes it, or inside an event loop.

mod kind;

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::profile::{Doing, Frame, Stack};
use fissure_facts::{Address, Estimate, Fact, Load, Profile, Purpose, Run, Window};

use crate::judgement::{Holder, PeerLoad, Spot, Wait, Waits, WaitsFor};
use crate::limit::waiting;
use crate::lines::{is_extension, own_frame};
use crate::{statements, stats};
use kind::{InterpreterLocks, Kind};

/// Places with less of the requests are not worth a line.
const LEAST_SHARE: f64 = 0.02;
const MOST_PLACES: usize = 6;
/// Deep stacks make looks dear and few; that their shares are vague, the intervals say.
const FEWEST_LOOKS: u64 = 5;
/// The instrument that sees threads as the kernel does.
const ANY_LANGUAGE: &str = "waits";
/// Who stayed in one wait for more than this part of the window served no request in it.
const STUCK: f64 = 1.0 / 3.0;

/// Nothing when nobody looked at the threads while the journeys' mix was played flat out.
pub fn waits(run: &Run) -> Option<Waits> {
    let is_base = |w: &Window| w.plan.purpose == Purpose::Profile && w.plan.emphasis.is_none();
    let window = run.windows().into_iter().rfind(is_base)?;
    let Load::Closed { users } = window.plan.load else { return None };
    let profiles: Vec<&Profile> = run.facts.iter().filter_map(|s| profile_of(&s.fact, &window)).collect();
    let seen: Vec<&Profile> = profiles.iter().copied().filter(|p| p.looks >= FEWEST_LOOKS).collect();
    if seen.is_empty() {
        return None;
    }
    let elapsed_s: f64 = window.probes.iter().map(|p| p.elapsed_s).sum();
    let under_way = f64::from(users);

    let mut waits = Waits { under_way, ..Waits::default() };
    waits.running = if elapsed_s > 0.0 { window.app_cpu_s() / elapsed_s } else { 0.0 };
    let mut groups: BTreeMap<(WaitsFor, Option<Spot>), Group> = BTreeMap::new();
    let interpreters = InterpreterLocks::of(&profiles);
    waits.interpreter_held = interpreter_held(&seen);
    waits.runs_event_loop = profiles.iter().flat_map(|p| &p.frames).any(|f| runs_event_loop(&f.function));
    let mut processes: BTreeMap<u32, Threads> = BTreeMap::new();
    for (process, kind, group, looks) in
        seen.iter().flat_map(|profile| by_thread_group(profile, &seen, &interpreters))
    {
        if group.stays_longer_than(STUCK * looks as f64) {
            continue;
        }
        let threads = processes.entry(process).or_default();
        match kind {
            Kind::Idle => threads.idle += group.threads,
            Kind::EventLoop => threads.runs_event_loop = true,
            Kind::Waits(what, spot) => {
                threads.waiting += group.threads;
                let spot = spot.or_else(|| named_by_its_language(&profiles, &what, &interpreters));
                groups.entry((what, spot)).or_default().add(&group);
            }
        }
    }
    waits.places = groups.iter().filter_map(|(key, group)| place(key, group, under_way)).collect();
    let sum = |of: fn(&Threads) -> f64| processes.values().map(of).sum::<f64>();
    let of_worker = |threads: &Threads, number: f64| if threads.runs_event_loop { 0.0 } else { number };
    let sum_of_workers =
        |of: fn(&Threads) -> f64| processes.values().map(|t| of_worker(t, of(t))).sum::<f64>();
    waits.event_loop = processes.values().any(|threads| threads.runs_event_loop);
    waits.busy_threads = waits.running + sum(|t| t.waiting);
    waits.idle_threads = sum(|t| t.idle);
    waits.busy_workers = waits.running + sum_of_workers(|t| t.waiting);
    waits.idle_workers = sum_of_workers(|t| t.idle);
    waits.peers = peers(&seen);
    for (link, resting) in statements::resting(run, &window) {
        if let Some(index) = waiting::peer_of(&link, &waits.peers, &run.header.config) {
            waits.peers[index].resting = resting;
        }
    }
    let unseen = unseen_peers(&waits, &seen);
    waits.places.extend(unseen);
    waits.places.sort_by(|a, b| b.share.mid.total_cmp(&a.share.mid));
    name_holders(&mut waits.places, &groups);
    waits.places.retain(|place| place.share.mid >= LEAST_SHARE);
    waits.places.truncate(MOST_PLACES);
    Some(waits)
}

impl Waits {
    /// Share of the requests under way that wait for something of this kind.
    pub fn share(&self, of_kind: impl Fn(&WaitsFor) -> bool) -> f64 {
        let places = self.places.iter().filter(|place| of_kind(&place.what));
        places.map(|place| place.share.mid).sum::<f64>().min(1.0)
    }
}

pub(crate) fn profile_of<'r>(fact: &'r Fact, window: &Window) -> Option<&'r Profile> {
    match fact {
        Fact::Profiled(profile) if profile.window == window.plan.window => Some(profile),
        _ => None,
    }
}

/// What the threads of a process do, in mean numbers.
#[derive(Debug, Clone, Copy, Default)]
struct Threads {
    waiting: f64,
    idle: f64,
    /// One of them waits for any of many connections.
    runs_event_loop: bool,
}

/// Samples of one kind.
#[derive(Debug, Clone, Default)]
struct Group {
    count: u64,
    /// Mean number of threads.
    threads: f64,
    separate: u64,
    /// Where the lock was taken, and where its holder is.
    holders: BTreeMap<(Spot, Spot), u64>,
}

impl Group {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.threads += other.threads;
        self.separate += other.separate;
        for (spots, count) in &other.holders {
            *self.holders.entry(spots.clone()).or_default() += count;
        }
    }

    fn stays_longer_than(&self, looks: f64) -> bool {
        self.separate > 0 && self.count as f64 > looks * self.separate as f64
    }
}

/// Waits by what for and where; of idle threads and event loops those of one process and name stand together, because
/// some of them may be at work while others are stuck for good. With the looks that they rest on.
///
/// A process may have been seen by two instruments: that of its language counts.
fn by_thread_group(
    profile: &Profile,
    all: &[&Profile],
    interpreters: &InterpreterLocks,
) -> Vec<(u32, Kind, Group, u64)> {
    let knows_less = profile.instrument == ANY_LANGUAGE;
    let others = all.iter().filter(|other| knows_less && other.instrument != ANY_LANGUAGE);
    let known: BTreeSet<u32> = others.flat_map(|other| &other.stacks).map(|stack| stack.process).collect();
    let mut groups: BTreeMap<(u32, &str, Kind), Group> = BTreeMap::new();
    for stack in profile.stacks.iter().filter(|stack| !known.contains(&stack.process)) {
        let Some(kind) = kind::of(profile, stack, interpreters) else { continue };
        let group = groups.entry((stack.process, &stack.thread, kind)).or_default();
        group.count += stack.count;
        group.threads += stack.count as f64 / profile.looks as f64;
        group.separate += stack.separate;
        if let Some(spots) = holder(profile, stack) {
            *group.holders.entry(spots).or_default() += stack.count;
        }
    }
    let with_looks = |((process, _, kind), group)| (process, kind, group, profile.looks);
    groups.into_iter().map(with_looks).collect()
}

/// Where the lock was taken, and where its holder is. Those who ask for one lock mostly stand in one file, so the holder took it at its innermost
/// line in the file where this one waits, and what is called from there only takes the time.
fn holder(profile: &Profile, stack: &Stack) -> Option<(Spot, Spot)> {
    let frames = |indices: &[u32]| -> Vec<&Frame> {
        indices.iter().filter_map(|&index| profile.frames.get(index as usize)).collect()
    };
    let waits = own_frame(&frames(&stack.frames)).map(|(_, spot)| spot.file);
    let held = frames(&stack.holder);
    let mut own = (0..held.len()).filter_map(|depth| own_frame(&held[depth..=depth])).map(|(_, spot)| spot);
    let at = own.next()?;
    let taken = std::iter::once(at.clone()).chain(own).find(|spot| Some(&spot.file) == waits.as_ref());
    Some((taken.unwrap_or_else(|| at.clone()), at))
}

/// Share of the looks at which some thread held the interpreter's lock, of the process in which it is held most. The
/// instruments that know such a lock call only those running that hold it, or run in C code without.
fn interpreter_held(seen: &[&Profile]) -> f64 {
    let with_lock = seen.iter().filter(|profile| [kind::PYTHON, kind::RUBY].contains(&&*profile.instrument));
    let shares = with_lock.flat_map(|profile| {
        let mut held: BTreeMap<u32, u64> = BTreeMap::new();
        for stack in profile.stacks.iter().filter(|stack| stack.doing == Doing::Running) {
            let in_c_code = profile.frames(stack).next().is_some_and(is_extension);
            *held.entry(stack.process).or_default() += if in_c_code { 0 } else { stack.count };
        }
        held.into_values().map(|count| count as f64 / profile.looks as f64)
    });
    shares.fold(0.0, f64::max)
}

/// Python's asyncio and uvloop.
fn runs_event_loop(function: &str) -> bool {
    ["run_forever", "_run_once", "uvloop"].iter().any(|part| function.contains(part))
}

/// Where an instrument that knows the language saw most threads wait for the same.
fn named_by_its_language(
    profiles: &[&Profile],
    what: &WaitsFor,
    interpreters: &InterpreterLocks,
) -> Option<Spot> {
    let mut spots: BTreeMap<Spot, u64> = BTreeMap::new();
    for profile in profiles.iter().filter(|p| p.looks == 0) {
        for stack in &profile.stacks {
            if let Some(Kind::Waits(other, Some(spot))) = kind::of(profile, stack, interpreters)
                && std::mem::discriminant(&other) == std::mem::discriminant(what)
            {
                *spots.entry(spot).or_default() += stack.count;
            }
        }
    }
    spots.into_iter().max_by_key(|(_, count)| *count).map(|(spot, _)| spot)
}

/// The interval is Wilson's with the separate waits as hits: samples of one wait are one witness.
fn place(key: &(WaitsFor, Option<Spot>), group: &Group, under_way: f64) -> Option<Wait> {
    let share = (group.threads / under_way).min(1.0);
    let witnesses = if group.separate > 0 { group.separate } else { group.count };
    let share = witnessed(share, witnesses as f64)?;
    Some(Wait { what: key.0.clone(), at: key.1.clone(), share, holder: None })
}

/// A share that `hits` independent witnesses stand for.
fn witnessed(share: f64, hits: f64) -> Option<Estimate> {
    let trials = (hits / share.max(1e-9)).round().max(hits);
    let interval = stats::wilson(hits as u64, trials as u64)?;
    Some(Estimate::new(share, interval.low.min(share), interval.high.max(share)))
}

fn peers(profiles: &[&Profile]) -> Vec<PeerLoad> {
    let mean = |sum: u64, looks: u64| sum as f64 / looks.max(1) as f64;
    let mut peers: Vec<PeerLoad> = profiles
        .iter()
        .flat_map(|profile| &profile.peers)
        .map(|p| PeerLoad {
            address: p.address.clone(),
            connections: mean(p.connections, p.looks),
            awaited: mean(p.awaited, p.looks),
            resting: 0.0,
        })
        .collect();
    peers.sort_by(|a, b| b.awaited.total_cmp(&a.awaited));
    peers
}

/// Answers that are awaited by no thread: an event loop does.
fn unseen_peers(waits: &Waits, profiles: &[&Profile]) -> Vec<Wait> {
    let looks = profiles.iter().flat_map(|profile| &profile.peers).map(|p| p.looks).max().unwrap_or(0) as f64;
    let by_threads = |address: &Address| waits.share(|what| *what == WaitsFor::Peer(Some(address.clone())));
    let unseen = waits.peers.iter().filter_map(|peer| {
        let share = (peer.awaited / waits.under_way).min(1.0);
        (by_threads(&peer.address) < share / 2.0).then_some(())?;
        let share = witnessed(share, (share * looks).round())?;
        Some(Wait { what: WaitsFor::Peer(Some(peer.address.clone())), at: None, share, holder: None })
    });
    unseen.collect()
}

/// Who stands in the way of those that wait for a lock: where it was seen most, and what it waits for there.
fn name_holders(places: &mut [Wait], groups: &BTreeMap<(WaitsFor, Option<Spot>), Group>) {
    let doing: Vec<(Spot, WaitsFor)> =
        places.iter().filter_map(|p| Some((p.at.clone()?, p.what.clone()))).collect();
    for place in places {
        let group = groups.get(&(place.what.clone(), place.at.clone()));
        let holder = group.and_then(|g| g.holders.iter().max_by_key(|(_, count)| **count));
        place.holder = holder.map(|((taken, at), _)| {
            let what = doing.iter().find(|(spot, _)| spot == at).map(|(_, what)| what.clone());
            Holder { taken: taken.clone(), at: at.clone(), what }
        });
    }
}

#[cfg(test)]
mod tests;
