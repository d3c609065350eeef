//! Kill: no farewell, nothing is flushed.

use std::collections::HashSet;

use rustix::process::Signal;

use super::process::{Process, hold, tree};
use super::{Held, NotInjected};
use crate::process::{Stat, descendants};
use crate::tcp_table;

/// One process that serves. Of those that hold the socket on which the role listens it is the youngest that is nobody's
/// parent: a worker where there are workers, else the app itself. Who holds none (a log reader, a database that was started
/// beside the app, a shell that waits) is not meant. Whoever started it may start another; nobody else does.
pub(super) fn one(guard: u32) -> Result<Box<dyn Held>, NotInjected> {
    let processes = tree(guard)?;
    let listeners = listeners(&processes);
    let serves = |process: &&Process| tcp_table::inodes(process.pid).iter().any(|i| listeners.contains(i));
    let serving: Vec<&Process> = processes.iter().filter(serves).collect();
    let workers: Vec<&Process> =
        serving.iter().copied().filter(|process| descendants(process.pid).is_empty()).collect();
    let age = |process: &&Process| (Stat::read(process.pid).map(|stat| stat.start_ticks), process.pid);
    let youngest = |among: &[&Process]| among.iter().copied().max_by_key(age).map(|process| process.pid);
    let chosen = youngest(&workers).or_else(|| youngest(&serving)).or(processes.last().map(|last| last.pid));
    if let Some(process) = processes.iter().find(|process| Some(process.pid) == chosen) {
        process.signal(Signal::KILL);
    }
    Ok(Box::new(()))
}

/// The sockets of these processes that listen on the role's own port, by its environment; on any port where it is not that one
/// (a port that is moved, or another variable).
fn listeners(processes: &[Process]) -> HashSet<u64> {
    let port = processes.iter().find_map(|process| {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid)).ok()?;
        let value = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"PORT="))?;
        std::str::from_utf8(value).ok()?.parse::<u16>().ok()
    });
    let held: HashSet<u64> = processes.iter().flat_map(|process| tcp_table::inodes(process.pid)).collect();
    let is_held = |s: &tcp_table::TcpSocket| s.listens && held.contains(&s.inode);
    let listening: Vec<_> = tcp_table::own().into_iter().filter(is_held).collect();
    let of = |port: Option<u16>| -> HashSet<u64> {
        let fits = |s: &&tcp_table::TcpSocket| port.is_none_or(|port| s.local.port() == port);
        listening.iter().filter(fits).map(|s| s.inode).collect()
    };
    let own = of(port);
    if own.is_empty() { of(None) } else { own }
}

/// Everybody, until nobody is left: a supervisor that starts workers faster than they are killed is stopped first.
pub(super) fn all(guard: u32) -> Result<Box<dyn Held>, NotInjected> {
    const ROUNDS: usize = 50;
    let mut processes = tree(guard)?;
    for _ in 0..ROUNDS {
        processes.iter().for_each(|process| process.signal(Signal::STOP));
        let seen = processes.len();
        processes = hold(guard)?;
        if processes.len() == seen {
            break;
        }
    }
    processes.iter().for_each(|process| process.signal(Signal::KILL));
    Ok(Box::new(()))
}
