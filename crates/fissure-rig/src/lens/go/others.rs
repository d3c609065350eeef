//! What one goroutine does for another, or against it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fissure_facts::profile::Doing;

use super::Met;
use super::code::Line;

/// Where goroutines of Go itself stand when they ask for a lock.
const LOCKS: [&str; 4] = ["runtime.", "sync.", "internal/sync.", "internal/poll.(*fdMutex)"];

fn is_inside(line: &&Line) -> bool {
    LOCKS.iter().any(|package| line.function.starts_with(package))
}

/// The line that asks for the lock before which a goroutine stands.
fn asks_for_lock(met: &Met) -> Option<&Line> {
    matches!(met.doing, Some(Doing::WaitingForLock { .. })).then_some(())?;
    // `Mutex`, `RWMutex`, `fdMutex`.
    met.lines().take_while(is_inside).any(|line| line.function.contains("Mutex)")).then_some(())?;
    met.lines().find(|line| !is_inside(line))
}

/// Who hands a lock over makes room for the next, and is behind the line without holding it any more.
fn lets_go(met: &Met) -> bool {
    // `Unlock`, `RUnlock`, `unlockSlow`.
    met.lines().take_while(is_inside).any(|line| line.function.contains("nlock"))
}

/// Waits for a word from another goroutine, and for no lock.
pub(super) fn waits_for_word(met: &Met) -> bool {
    matches!(met.doing, Some(Doing::WaitingForLock { .. })) && asks_for_lock(met).is_none()
}

/// Goroutines that do something of their own, by who started them.
pub(super) struct Helpers<'m>(HashMap<u64, &'m Met>);

impl<'m> Helpers<'m> {
    pub fn of(met: &'m [Arc<Met>]) -> Self {
        // Many a goroutine only waits to hear that its request is over, or that the client has hung up.
        let does_something = |met: &&Arc<Met>| {
            met.stay.parent != 0
                && !waits_for_word(met)
                && !matches!(met.doing, None | Some(Doing::WaitingForClient))
        };
        Self(met.iter().filter(does_something).map(|met| (met.stay.parent, &**met)).collect())
    }

    /// Who works for a request, innermost first: whoever serves it, and where that waits for a word, one whom it has started.
    pub fn at_work_for(&self, serves: &'m Met) -> Vec<&'m Met> {
        let helper = self.0.get(&serves.stay.id).filter(|_| waits_for_word(serves));
        helper.copied().into_iter().chain([serves]).collect()
    }
}

/// The goroutines that read what comes over the connections of net/http's client, by the connection.
pub(super) struct Connections<'m>(HashMap<u64, &'m Met>);

const READS: &str = "net/http.(*persistConn).readLoop";
const AWAITS: &str = "net/http.(*persistConn).roundTrip";

impl<'m> Connections<'m> {
    pub fn of(met: &'m [Arc<Met>]) -> Self {
        let reader = |met: &'m Arc<Met>| Some((met.stack.receiver_of(READS)?, &**met));
        Self(met.iter().filter_map(reader).collect())
    }

    /// For whom the client waits, if it is that for which a goroutine waits: for the same as whoever reads its connection.
    pub fn peer(&self, met: &Met) -> Option<Doing> {
        let connection = met.stack.receiver_of(AWAITS).filter(|_| waits_for_word(met))?;
        let doing = self.0.get(&connection).and_then(|reader| reader.doing.clone());
        let is_peer = |doing: &Doing| matches!(doing, Doing::WaitingForPeer { .. });
        Some(doing.filter(is_peer).unwrap_or(Doing::WaitingForPeer { address: None }))
    }
}

/// Go does not note who holds a lock. But whoever is, in a function that asks for it, behind the line that does, has passed it: the
/// only one there holds it. None for a lock of which there may be several, or none.
pub(super) struct Holders<'m>(HashMap<u64, Option<&'m Met>>);

/// A function that asks for a lock.
struct Door<'m> {
    /// The first line that does.
    line: &'m Line,
    /// Several where each caller has one of its own: then nobody knows whose is whose.
    locks: HashSet<u64>,
}

impl<'m> Holders<'m> {
    pub fn of(met: &'m [Arc<Met>]) -> Self {
        let mut doors: HashMap<&str, Door<'_>> = HashMap::new();
        for met in met {
            let Some(Doing::WaitingForLock { address }) = met.doing else { continue };
            let Some(line) = asks_for_lock(met) else { continue };
            let door = doors.entry(&line.function).or_insert(Door { line, locks: HashSet::new() });
            door.locks.insert(address);
            if line.line < door.line.line {
                door.line = line;
            }
        }
        let several = doors.values().filter(|door| door.locks.len() > 1);
        let mut holders: HashMap<u64, Option<&Met>> =
            several.flat_map(|door| &door.locks).map(|&lock| (lock, None)).collect();
        for met in met.iter().filter(|met| !lets_go(met)) {
            let asks = asks_for_lock(met).map(|line| &*line.function);
            let passed = met.lines().filter_map(|line| {
                let door = doors.get(&*line.function).filter(|_| asks != Some(&*line.function))?;
                let is_behind = line.file == door.line.file && line.line > door.line.line;
                is_behind.then_some(&door.locks)
            });
            for lock in passed.flatten().collect::<HashSet<_>>() {
                holders.entry(*lock).and_modify(|holder| *holder = None).or_insert(Some(&**met));
            }
        }
        Self(holders)
    }

    pub fn holder(&self, met: &Met) -> Option<&'m Met> {
        asks_for_lock(met)?;
        match met.doing {
            Some(Doing::WaitingForLock { address }) if address != 0 => *self.0.get(&address)?,
            _ => None,
        }
    }
}
