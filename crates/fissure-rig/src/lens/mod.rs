//! The lens: what the app, the crowd and the machine did in one second, read from `/proc` and CPU clocks.
//!
//! Needs no privilege beyond the app's own user. What a kernel does not offer stays zero or `None`; a process that
//! vanishes between two reads is no error.
//!
//! **Invariant:** the lens never concludes: cumulative counters become differences, nothing else.

mod cpu_clock;
mod ends;
mod folded;
mod foreign;
mod go;
mod hooks;
mod jvm;
mod ledger;
mod linked;
mod looks;
mod machine;
mod memory;
mod native;
mod node;
mod peers;
mod php;
mod postgres;
mod profiler;
mod python;
mod ruby;
mod runtime;
mod source;
mod symbols;
mod syscall;
mod threads;
mod unwind;
mod waits;

use std::collections::BTreeMap;
use std::time::Instant;

use fissure_facts::fact::ProbeSecond;

use crate::process::Stat;
use crate::weight::BeforeOthers;
use cpu_clock::NS_PER_S;
use ledger::{Ledger, Reading};
use linked::Linked;
use machine::Machine;
use threads::{Threads, Worked};

pub use foreign::ForeignDatabases;
pub use hooks::Hooks;
pub(crate) use machine::own_cpus;
pub(crate) use native::can_sample;
pub(crate) use peers::can_see_connections;
pub use postgres::Database;
pub(crate) use profiler::instruments;
pub use profiler::{Profiler, Seen, Subject};
pub(crate) use waits::can_read_stack;

/// Threads below this share of the second's CPU are not listed.
const BUSY_THREAD_SHARE: f64 = 0.01;

/// What is to be looked at, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watched {
    /// Live processes of each role's trees.
    pub roles: BTreeMap<String, Vec<u32>>,
    /// The guards of those trees: whom the CPU of ended processes comes back to.
    pub guards: Vec<u32>,
    /// 0 when there is none.
    pub crowd: u32,
    pub app_cpus: Vec<usize>,
    pub crowd_cpus: Vec<usize>,
}

/// Reads cumulative counters once a second and gives their differences.
#[derive(Debug, Default)]
pub struct Meter {
    at: Option<Instant>,
    roles: BTreeMap<String, RoleMeter>,
    /// Which role a guard belongs to: known as long as one of its children lives, and remembered after.
    guard_roles: BTreeMap<(u32, u64), String>,
    crowd_cpu: Ledger,
    crowd_threads: Threads,
    fissure_cpu: Ledger,
    linked: Linked,
    machine: Machine,
    text: String,
}

/// The ledgers of one role: CPU, and bytes from and to storage.
#[derive(Debug, Default)]
struct RoleMeter {
    /// Pid and start of every process met that may still be there.
    known: Vec<(u32, u64)>,
    cpu: Ledger,
    read_bytes: Ledger,
    write_bytes: Ledger,
    threads: Threads,
}

impl Meter {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the counters as they are for the beginning of a window, forgetting earlier ones.
    pub fn begin(&mut self, watched: &Watched) {
        *self = Self { linked: Linked::of(watched), ..Self::default() };
        self.sample(watched);
    }

    /// What happened since [`Meter::begin`] or the last second. Processes that are new count from their start.
    pub fn second(&mut self, watched: &Watched, window: u32, second: u32) -> ProbeSecond {
        let _before_others = BeforeOthers::begin();
        ProbeSecond { window, second, ..self.sample(watched) }
    }

    fn sample(&mut self, watched: &Watched) -> ProbeSecond {
        let now = Instant::now();
        let elapsed_s = self.at.replace(now).map_or(0.0, |at| (now - at).as_secs_f64());
        let elapsed_us = elapsed_s * 1e6;
        let mut fact = ProbeSecond { elapsed_s, ..ProbeSecond::default() };

        let mut worked = Worked::default();
        let guards = self.guards_by_role(watched);
        for role in watched.roles.keys() {
            self.roles.entry(role.clone()).or_default();
        }
        for (role, meter) in &mut self.roles {
            let pids = watched.roles.get(role).map_or(&[][..], Vec::as_slice);
            let guards = guards.get(role).map_or(&[][..], Vec::as_slice);
            let cpu_ns = meter.sample(pids, guards, &mut fact, &mut worked, &mut self.text);
            fact.role_cpu_s.insert(role.clone(), cpu_ns as f64 / NS_PER_S);
        }
        fact.app_cpu_s = fact.role_cpu_s.values().sum();
        fact.app_run_delay_s = worked.run_delay_ns as f64 / NS_PER_S;
        fact.voluntary_switches = worked.voluntary_switches;
        fact.involuntary_switches = worked.involuntary_switches;
        fact.thread_cpu_s = worked.run_ns.iter().map(|&ns| ns as f64 / NS_PER_S).collect();
        fact.thread_cpu_s.retain(|&s| s > 0.0 && s > BUSY_THREAD_SHARE * fact.app_cpu_s);
        fact.thread_cpu_s.sort_by(|a, b| b.total_cmp(a));

        let crowd = Reading::of(watched.crowd);
        let mut crowd_worked = Worked::default();
        let crowd_pids: Vec<u32> = crowd.iter().map(|_| watched.crowd).collect();
        self.crowd_threads.sample(&crowd_pids, &mut crowd_worked, &mut self.text);
        fact.crowd_cpu_s = self.crowd_cpu.take(&crowd.into_iter().collect::<Vec<_>>()) as f64 / NS_PER_S;
        fact.crowd_run_delay_s = crowd_worked.run_delay_ns as f64 / NS_PER_S;

        let fissure: Vec<Reading> = watched
            .guards
            .iter()
            .copied()
            .chain([std::process::id()])
            .filter_map(Reading::of)
            .map(|reading| Reading { reaped: 0, ..reading })
            .collect();
        let fissure_cpu_s = self.fissure_cpu.take(&fissure) as f64 / NS_PER_S;

        let seen = self.machine.sample(&watched.app_cpus, &watched.crowd_cpus, &mut self.text);
        fact.steal_s = seen.steal_s;
        let share =
            |us: Option<u64>| us.map(|us| if elapsed_us > 0.0 { us as f64 / elapsed_us } else { 0.0 });
        fact.psi_cpu_some = share(seen.psi_cpu_us);
        fact.psi_io_some = share(seen.psi_io_us);
        fact.psi_memory_some = share(seen.psi_memory_us);
        fact.memory_available_bytes = seen.memory_available_bytes;
        // The crowd and fissure only count where they may run on the app's CPUs.
        let crowd_share = machine::overlap(&watched.crowd_cpus, &watched.app_cpus);
        let fissure_share = machine::overlap(&machine::own_cpus(), &watched.app_cpus);
        let ours = fact.app_cpu_s + fact.crowd_cpu_s * crowd_share + fissure_cpu_s * fissure_share;
        fact.linked_cpu_s = self.linked.sample() as f64 / NS_PER_S;
        // On which CPUs they ran nobody tells; to take them for neighbours would void every window beside a busy database.
        fact.other_cpu_s = (seen.busy_s - ours - fact.linked_cpu_s).max(0.0);
        fact
    }

    /// A guard belongs to the role whose processes are its children.
    fn guards_by_role(&mut self, watched: &Watched) -> BTreeMap<String, Vec<u32>> {
        let mut of: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let only_role = watched.roles.keys().next().filter(|_| watched.roles.len() == 1);
        let guards: Vec<Stat> = watched.guards.iter().filter_map(|&pid| Stat::read(pid)).collect();
        let unknown = guards.iter().any(|g| !self.guard_roles.contains_key(&(g.pid, g.start_ticks)));
        if let Some(role) = only_role {
            for guard in &guards {
                self.guard_roles.insert((guard.pid, guard.start_ticks), role.clone());
            }
        } else if unknown {
            for (role, pids) in &watched.roles {
                for parent in pids.iter().filter_map(|&pid| Stat::read(pid)).map(|stat| stat.parent) {
                    if let Some(guard) = guards.iter().find(|guard| guard.pid == parent) {
                        self.guard_roles.insert((guard.pid, guard.start_ticks), role.clone());
                    }
                }
            }
        }
        for guard in guards {
            if let Some(role) = self.guard_roles.get(&(guard.pid, guard.start_ticks)) {
                of.entry(role.clone()).or_default().push(guard.pid);
            }
        }
        of
    }
}

impl RoleMeter {
    /// Adds this role's part to the fact; answers with its CPU in nanoseconds.
    fn sample(
        &mut self,
        pids: &[u32],
        guards: &[u32],
        fact: &mut ProbeSecond,
        worked: &mut Worked,
        text: &mut String,
    ) -> u64 {
        fact.processes += pids.len() as u64;
        for &pid in pids {
            fact.rss_bytes += machine::rss_bytes(pid, text);
            fact.fds += machine::open_files(pid);
        }
        fact.threads += self.threads.sample(pids, worked, text);

        // A process that ended but was not waited for is gone from the tree while its CPU has come back to nobody yet.
        let mut pids = pids.to_vec();
        let left = self.known.iter().filter(|(pid, start)| {
            !pids.contains(pid) && Stat::read(*pid).is_some_and(|stat| stat.start_ticks == *start)
        });
        let left: Vec<u32> = left.map(|(pid, _)| *pid).collect();
        pids.extend(left);
        self.known.clear();

        let mut cpu: Vec<Reading> = Vec::with_capacity(pids.len() + guards.len());
        let (mut read, mut written) = (Vec::new(), Vec::new());
        for (pid, own) in pids.iter().map(|&pid| (pid, true)).chain(guards.iter().map(|&pid| (pid, false))) {
            let Some(reading) = Reading::of(pid) else { continue };
            if let Some((read_bytes, write_bytes)) = machine::storage_bytes(pid, text) {
                // The kernel adds a waited-for child's bytes to its parent's, without telling them apart.
                read.push(Reading { own: 0, reaped: read_bytes, ..reading });
                written.push(Reading { own: 0, reaped: write_bytes, ..reading });
            }
            if own {
                self.known.push((pid, reading.start_ticks));
                cpu.push(reading);
            } else {
                cpu.push(Reading { own: 0, ..reading });
            }
        }
        fact.read_bytes += self.read_bytes.take(&read);
        fact.write_bytes += self.write_bytes.take(&written);
        self.cpu.take(&cpu)
    }
}

impl Reading {
    /// A process's CPU: its own by its clock, that of its waited-for children by `/proc`.
    fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        let tick_ns = cpu_clock::tick_ns();
        let own = cpu_clock::process_ns(pid).unwrap_or(stat.cpu_ticks * tick_ns);
        Some(Self { pid, start_ticks: stat.start_ticks, own, reaped: stat.reaped_cpu_ticks * tick_ns })
    }
}
