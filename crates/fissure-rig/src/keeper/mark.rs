//! The mark that every kept process carries in its environment: who its guard is. It finds processes whose guard was
//! killed before it could end them. A program that overwrites its own environment loses the mark; its session, which
//! is the guard's unless it made one of its own, finds it then.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::attach_socket;
use crate::process::{self, Stat};

pub(super) const VARIABLE: &str = "FISSURE_KEPT_BY";

/// A guard, named for good: its pid, when it started, and the pid namespace in which that is its pid. Without the
/// namespace, a fissure on the host would take the app of one in a container for a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    guard: u32,
    start_ticks: u64,
    namespace: u64,
}

impl Mark {
    pub fn of(guard: u32) -> Option<Self> {
        Some(Self { guard, start_ticks: Stat::read(guard)?.start_ticks, namespace: own_namespace() })
    }

    fn guard_lives(self) -> bool {
        process::lives(self.guard, self.start_ticks)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(str::parse::<u64>);
        let mut part = || parts.next()?.ok();
        Some(Self { guard: u32::try_from(part()?).ok()?, start_ticks: part()?, namespace: part()? })
    }

    /// The mark that a process carries. Only readable for processes of the same user, which ours are.
    fn carried_by(pid: u32) -> Option<Self> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let value = environment
            .split(|&b| b == 0)
            .find_map(|entry| entry.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))?;
        Self::parse(std::str::from_utf8(value).ok()?)
    }
}

/// What the guard writes into the environment of what it starts.
pub(super) fn own() -> String {
    let pid = std::process::id();
    let start_ticks = Stat::read(pid).map_or(0, |s| s.start_ticks);
    format!("{pid}-{start_ticks}-{}", own_namespace())
}

fn own_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.ino())
}

/// Kills everything that carries the mark of a guard that no longer lives, until nothing does. Answers how many
/// processes it killed.
pub(super) fn kill_leftovers(of: Mark) -> usize {
    kill_until_gone(|carried| carried == of, Some(of))
}

/// Ends what an earlier fissure left behind, when it and its guards were killed at once. To be called once at the
/// start; answers how many processes it had to kill.
pub fn sweep() -> usize {
    let here = own_namespace();
    kill_until_gone(|carried| carried.namespace == here && !carried.guard_lives(), None)
}

fn kill_until_gone(is_left: impl Fn(Mark) -> bool, of: Option<Mark>) -> usize {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut killed = std::collections::BTreeSet::new();
    loop {
        let left: Vec<Stat> = process::all()
            .filter_map(Stat::read)
            .filter(|stat| !stat.is_zombie() && stat.pid != std::process::id())
            .filter(|stat| {
                let in_session =
                    of.is_some_and(|of| stat.session == of.guard && stat.start_ticks >= of.start_ticks);
                in_session || Mark::carried_by(stat.pid).is_some_and(&is_left)
            })
            .collect();
        if left.is_empty() || Instant::now() > deadline {
            killed.iter().for_each(|&(pid, _)| attach_socket::remove(pid));
            return killed.len();
        }
        for stat in left {
            if let Some(pid) = i32::try_from(stat.pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL); // it may have ended in between
                killed.insert((stat.pid, stat.start_ticks));
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
