//! Database servers that the app is connected to and that fissure did not start: what lies there is in no copy.
//!
//! Addresses in the environment are read before anything is started, but many apps have theirs in a file of their own. A
//! connection cannot hide.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fissure_facts::{Address, DatabaseServer};

use super::ends::Ends;
use crate::{process, tcp_table};

/// Processes are found again after so many looks.
const LOOKS_PER_SEARCH: u32 = 20;

/// Looks until it is dropped.
pub struct ForeignDatabases {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    found: Mutex<BTreeMap<Address, &'static DatabaseServer>>,
}

impl ForeignDatabases {
    /// Looks at whatever these guards have started. Some apps connect for each request anew, and have asked after a few milliseconds: who
    /// looks less often sees them later.
    pub fn watch(guards: Vec<u32>, every: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let look = move || {
            let mut looker = Looker { guards, ..Looker::default() };
            while !for_thread.is_over.load(Ordering::Relaxed) {
                for (address, server) in looker.look() {
                    for_thread.found().insert(address, server);
                }
                thread::sleep(every);
            }
        };
        // Without a thread nothing is seen, as where the kernel does not let us look.
        let thread = thread::Builder::new().name("foreign databases".to_owned()).spawn(look).ok();
        Self { shared, thread }
    }

    /// Those that were seen until now, by their addresses.
    pub fn so_far(&self) -> BTreeMap<Address, &'static DatabaseServer> {
        self.shared.found().clone()
    }
}

impl Shared {
    fn found(&self) -> MutexGuard<'_, BTreeMap<Address, &'static DatabaseServer>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ForeignDatabases {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say but what it has found.
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Looker {
    guards: Vec<u32>,
    looks: u32,
    tree: HashSet<u32>,
    /// Ports on which the app listens: who is connected to one of them asks the app.
    served: HashSet<u16>,
    /// Sockets that need no second look.
    known: HashSet<u64>,
    /// Addresses, too.
    judged: HashSet<Address>,
}

impl Looker {
    fn look(&mut self) -> Vec<(Address, &'static DatabaseServer)> {
        if self.looks.is_multiple_of(LOOKS_PER_SEARCH) {
            self.tree = self.guards.iter().flat_map(|&guard| process::descendants(guard)).collect();
            self.known.clear();
            self.served.clear();
        }
        self.looks += 1;
        let held: Vec<(u32, u64, u64)> = self
            .tree
            .iter()
            .flat_map(|&pid| tcp_table::held(pid).into_iter().map(move |(fd, inode)| (pid, fd, inode)))
            .filter(|(_, _, inode)| !self.known.contains(inode))
            .collect();
        let mut found = Vec::new();
        for (pid, fd, inode) in held {
            // One that is not connected yet may be at the next look.
            let Some(ends) = Ends::of(pid, fd) else { continue };
            self.known.insert(inode);
            let (address, listener) = match ends {
                Ends::Tcp { local, .. } if self.serves(local.port()) => continue,
                Ends::Tcp { remote, .. } => (Address::Tcp(remote), None),
                Ends::Unix { listener, listener_pid } => (listener, listener_pid),
                Ends::UnixClient => continue,
            };
            if self.judged.insert(address.clone())
                && let Some(server) = self.judge(&address, listener)
            {
                found.push((address, server));
            }
        }
        found
    }

    fn serves(&mut self, port: u16) -> bool {
        if self.served.is_empty() {
            let own: HashSet<u64> = self.tree.iter().flat_map(|&pid| tcp_table::inodes(pid)).collect();
            let sockets = tcp_table::own().into_iter();
            self.served =
                sockets.filter(|s| s.listens && own.contains(&s.inode)).map(|s| s.local.port()).collect();
        }
        self.served.contains(&port)
    }

    fn judge(&self, address: &Address, listener: Option<u32>) -> Option<&'static DatabaseServer> {
        let listener = match address {
            Address::Tcp(remote) => listener_at(*remote),
            Address::Unix(_) => listener,
        };
        if listener.is_some_and(|pid| self.tree.contains(&pid)) {
            return None;
        }
        // Its name is surer than its port; that of another user's process may not be known.
        let name = listener.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
        name.and_then(|name| DatabaseServer::called(&name)).or_else(|| DatabaseServer::at(address))
    }
}

/// Who listens there, where it is this machine and we may see it.
fn listener_at(remote: SocketAddr) -> Option<u32> {
    if !remote.ip().to_canonical().is_loopback() {
        return None;
    }
    let sockets = tcp_table::own();
    let listener = sockets.iter().find(|s| s.listens && s.local.port() == remote.port())?.inode;
    process::all().find(|&pid| tcp_table::inodes(pid).contains(&listener))
}
