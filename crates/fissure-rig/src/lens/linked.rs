//! The programs on this machine that the app is connected to: a database, a cache, another service. What they use of the CPUs
//! is part of what is tried, and no neighbour's noise.
//!
//! Found at the beginning of a window, by connections to loopback and to Unix sockets.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::Watched;
use super::ends::Ends;
use super::ledger::{Ledger, Reading};
use crate::{process, tcp_table};

#[derive(Debug, Default)]
pub(super) struct Linked {
    /// Who listens where the app is connected to. Their children work for them.
    roots: BTreeSet<u32>,
    cpu: Ledger,
}

impl Linked {
    pub fn of(watched: &Watched) -> Self {
        let mut roots = over_tcp(watched);
        roots.extend(over_unix_sockets(watched));
        Self { roots, cpu: Ledger::default() }
    }

    /// CPU in nanoseconds since the last look; 0 at the first.
    pub fn sample(&mut self) -> u64 {
        let children = self.roots.iter().flat_map(|&root| process::descendants(root));
        let all: BTreeSet<u32> = self.roots.iter().copied().chain(children).collect();
        self.cpu.take(&all.into_iter().filter_map(Reading::of).collect::<Vec<_>>())
    }
}

/// Fissure's own processes, and the app's.
fn is_ours(watched: &Watched, pid: u32) -> bool {
    watched.roles.values().flatten().chain(&watched.guards).any(|own| *own == pid)
        || pid == watched.crowd
        || pid == std::process::id()
}

fn over_unix_sockets(watched: &Watched) -> BTreeSet<u32> {
    let app = watched.roles.values().flatten().copied();
    let listener = |pid, fd| match Ends::of(pid, fd)? {
        Ends::Unix { listener_pid, .. } => listener_pid,
        _ => None,
    };
    app.flat_map(|pid| tcp_table::held(pid).into_iter().filter_map(move |(fd, _)| listener(pid, fd)))
        .filter(|&pid| !is_ours(watched, pid))
        .collect()
}

fn over_tcp(watched: &Watched) -> BTreeSet<u32> {
    let app: BTreeSet<u32> = watched.roles.values().flatten().copied().collect();
    let inodes: HashSet<u64> = app.iter().flat_map(|&pid| tcp_table::inodes(pid)).collect();
    let sockets = tcp_table::own();
    let own = || sockets.iter().filter(|socket| inodes.contains(&socket.inode));
    let served: HashSet<u16> = own().filter(|s| s.listens).map(|s| s.local.port()).collect();
    let asked: HashSet<u16> = own()
        .filter(|s| {
            !s.listens && s.remote.ip().to_canonical().is_loopback() && !served.contains(&s.local.port())
        })
        .map(|s| s.remote.port())
        .collect();
    let listeners: Vec<&tcp_table::TcpSocket> = sockets
        .iter()
        .filter(|s| s.listens && asked.contains(&s.local.port()) && !inodes.contains(&s.inode))
        .collect();
    if listeners.is_empty() {
        return BTreeSet::new();
    }
    let held: HashSet<u64> = listeners.iter().map(|s| s.inode).collect();
    let others: Vec<u32> = process::all().filter(|&pid| !is_ours(watched, pid)).collect();
    let mut roots: BTreeSet<u32> = others
        .iter()
        .copied()
        .filter(|&pid| tcp_table::inodes(pid).iter().any(|inode| held.contains(inode)))
        .collect();
    // What another user's processes hold is hidden, but from root. A database runs as a user of its own, and then all of that user's
    // are it.
    let me = rustix::process::geteuid().as_raw();
    if me != 0 {
        let hidden: HashSet<u32> =
            listeners.iter().map(|s| s.uid).filter(|uid| *uid != me && *uid != 0).collect();
        let owner = |pid: u32| fs::metadata(format!("/proc/{pid}")).map(|m| m.uid()).ok();
        roots.extend(others.into_iter().filter(|&pid| owner(pid).is_some_and(|uid| hidden.contains(&uid))));
    }
    roots
}
