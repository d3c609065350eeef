//! What a machine allows: seen by `fissure doctor`, in no journal.

use std::collections::BTreeMap;

use serde::Serialize;

/// What was tried and read. `Err` holds the system's own words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// CPUs on which this process may run, and all that are there.
    pub cpus_allowed: Vec<usize>,
    pub cpus_online: usize,
    /// This process was pinned to one CPU for a moment.
    pub pinning: Result<(), String>,
    /// CPUs' worth of time that a control group grants; None: no limit.
    pub cpu_quota: Option<f64>,
    /// Shares of the machine's CPU time in a short look: taken by the hypervisor, and used by anybody.
    pub steal_share: f64,
    pub busy_share: f64,
    /// `/proc/pressure` is there.
    pub pressure: bool,
    pub clock_source: Option<String>,
    /// How late a sleep of a millisecond ended at the 99th percentile.
    pub sleep_late_us_p99: u64,
    pub files_soft: Option<u64>,
    pub files_hard: Option<u64>,
    /// First and last port that a connection may be given.
    pub ports: Option<(u16, u16)>,
    /// A port of 127.0.0.1 could be listened on.
    pub loopback: Result<(), String>,
    pub perf_event_paranoid: Option<i64>,
    /// The kernel gave samples of a running thread; true: without its own part.
    pub samples: Result<bool, String>,
    pub ptrace_scope: Option<i64>,
    /// The stack of a blocked child could be read.
    pub stacks: Result<(), String>,
    /// The kernel described TCP connections.
    pub connections: Result<(), String>,
    /// System calls of a child could be watched, so that a disk can be full or fail.
    pub calls: Result<(), String>,
    /// The library that shifts clocks, where it is installed.
    pub clock_library: Option<String>,
    /// Processes can be held on to, so that a fault meets nobody else.
    pub holds: Result<(), String>,
    /// fissure's instruments, by name.
    pub instruments: Vec<String>,
    /// Runtimes on the PATH: `node`, `python3`, ...
    pub runtimes: Vec<String>,
    /// Of those that fissure has an instrument for, how the lines of their programs are found here, or why they are not.
    pub lines: BTreeMap<String, Result<String, String>>,
}
