//! What a load will need of the machine that sends it, seen before the first request: files, ports, CPU.

use std::fmt;

use fissure_facts::{Load, Run};

use crate::goal;

/// Files that a process needs besides its connections.
const OTHER_FILES: f64 = 16.0;
/// Seconds for which Linux keeps the port of a connection that this side closed (TCP_TIMEWAIT_LEN).
const TIME_WAIT_S: f64 = 60.0;
/// A server that stands still for so long must not be hidden by a crowd that runs out of files.
const STALL_S: f64 = 1.0;
/// Microseconds of CPU that a request costs the crowd at the very least.
const CROWD_CPU_US: f64 = 5.0;

/// One thing that will not go well, with what to do about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreseen {
    pub what: Shortage,
    /// It fails for certain, so the load is not even begun.
    pub is_hopeless: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Shortage {
    /// Connections at once against files that may be open; `stalled` when only a server that stands still brings it so far.
    Files { needed: f64, allowed: f64, stalled: bool },
    /// Ports that are still waiting to be free again, against those that there are.
    Ports { needed: f64, there_are: f64 },
    /// CPUs for sending.
    Cpu { needed: f64, there_are: f64 },
}

impl fmt::Display for Foreseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let will = if self.is_hopeless { "needs" } else { "may need" };
        match self.what {
            Shortage::Files { needed, allowed, stalled } => {
                let when = if stalled { " when the server stands still for a second" } else { "" };
                write!(
                    f,
                    "this load {will} {needed:.0} open connections{when}, and a process may have {allowed:.0} files open here; \
                     raise the hard limit (`ulimit -Hn`), or bound it with `--connections`"
                )
            }
            Shortage::Ports { needed, there_are } => write!(
                f,
                "this load {will} {needed:.0} ports of this machine, of which there are {there_are:.0}: every connection keeps its port for a \
                 minute after it was closed (TIME_WAIT); widen net.ipv4.ip_local_port_range, set net.ipv4.tcp_tw_reuse=1, or load from several machines"
            ),
            Shortage::Cpu { needed, there_are } => write!(
                f,
                "this load {will} {needed:.1} CPUs for the crowd alone, of which there are {there_are:.0}; ask for less, or load from several machines"
            ),
        }
    }
}

/// What can be seen of a load from the journeys, played alone, and from the machine.
pub fn of(run: &Run, load: &Load, seconds: f64) -> Vec<Foreseen> {
    let machine = &run.header.machine;
    let settings = &run.header.config.load;
    let bound = settings.connections.map_or(f64::INFINITY, f64::from);
    let peak = load.arrivals().map_or(0.0, |arrivals| arrivals.peak(seconds));
    let at_once = |more_s: f64| match load {
        Load::Closed { users } => f64::from(*users),
        _ => peak * (goal::seconds_per_user(run) + more_s),
    };
    let mut foreseen = Vec::new();
    if let Some(files) = machine.files_max {
        let allowed = (files as f64 - OTHER_FILES).max(0.0);
        let (calm, stalled) = (at_once(0.0).min(bound), at_once(STALL_S).min(bound));
        if stalled > allowed {
            let is_hopeless = calm > allowed;
            let needed = if is_hopeless { calm } else { stalled };
            foreseen.push(Foreseen {
                what: Shortage::Files { needed, allowed, stalled: !is_hopeless },
                is_hopeless,
            });
        }
    }
    // On loopback every user has an address of its own, and with it all ports; a connection that is handed on stays.
    if let Some(ports) = machine.ports.filter(|_| !settings.hand_on) {
        let needed = load.arrivals().map_or(0.0, |a| a.peak(seconds) * TIME_WAIT_S.min(seconds));
        if needed > ports as f64 {
            foreseen.push(Foreseen {
                what: Shortage::Ports { needed, there_are: ports as f64 },
                is_hopeless: false,
            });
        }
    }
    let (needed, there_are) =
        (peak * goal::requests_per_user(run) * CROWD_CPU_US / 1e6, machine.crowd_cpus.len() as f64);
    if needed > there_are && there_are > 0.0 {
        foreseen.push(Foreseen {
            what: Shortage::Cpu { needed, there_are },
            is_hopeless: needed > 4.0 * there_are,
        });
    }
    foreseen
}
