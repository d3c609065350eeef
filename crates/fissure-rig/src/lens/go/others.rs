//! What one goroutine does for another, or against it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fissure_facts::profile::Doing;

use super::Met;
use super::code::Line;

/// Where goroutines of Go itself stand when they ask for a lock.
const LOCKS: [&str; 4] = ["runtime.", "sync.", "internal/sync.", "internal/poll.(*fdMutex)"];

/// The line that asks for the lock before which a goroutine stands.
fn asks_for_lock(met: &Met) -> Option<&Line> {
    matches!(met.doing, Some(Doing::WaitingForLock { .. })).then_some(())?;
    let is_inside = |line: &&Line| LOCKS.iter().any(|package| line.function.starts_with(package));
    // `Mutex`, `RWMutex`, `fdMutex`.
    met.lines().take_while(is_inside).any(|line| line.function.contains("Mutex)")).then_some(())?;
    met.lines().find(|line| !is_inside(line))
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
        Some(doing.filter(is_peer).unwrap_or(Doing::WaitingForPeer { address: None, port: None }))
    }
}

/// Go does not note who holds a lock. But whoever is in the function that asks for it, behind the line that does, has passed it: the
/// only one there holds it.
pub(super) struct Holders<'m> {
    /// By the function that asks.
    inside: HashMap<&'m str, Vec<(&'m Line, &'m Met)>>,
    /// Locks that are asked for there.
    locks: HashMap<&'m str, HashSet<u64>>,
}

impl<'m> Holders<'m> {
    pub fn of(met: &'m [Arc<Met>]) -> Self {
        let mut locks: HashMap<&str, HashSet<u64>> = HashMap::new();
        for met in met {
            let Some(Doing::WaitingForLock { address }) = met.doing else { continue };
            let Some(line) = asks_for_lock(met) else { continue };
            locks.entry(&line.function).or_default().insert(address);
        }
        let mut inside: HashMap<&str, Vec<(&Line, &Met)>> = HashMap::new();
        for met in met {
            let asks = asks_for_lock(met).map(|line| &*line.function);
            let is_asked =
                |line: &&Line| locks.contains_key(&*line.function) && asks != Some(&*line.function);
            // Of a function that calls itself the innermost.
            if let Some(line) = met.lines().find(is_asked) {
                inside.entry(&line.function).or_default().push((line, &**met));
            }
        }
        Self { inside, locks }
    }

    pub fn holder(&self, met: &Met) -> Option<&'m Met> {
        let asks = asks_for_lock(met)?;
        let is_one_lock = self.locks.get(&*asks.function).is_some_and(|locks| locks.len() == 1);
        let inside = self.inside.get(&*asks.function).filter(|_| is_one_lock)?;
        let mut behind = inside.iter().filter(|(line, _)| line.file == asks.file && line.line > asks.line);
        let (_, holder) = behind.next()?;
        behind.next().is_none().then_some(*holder)
    }
}
