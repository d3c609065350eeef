//! Breaking something in the middle of a window, and mending it again.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use fissure_facts::fact::ProbeSecond;
use fissure_facts::{Fact, Fault, FaultKind, FoundBy, Purpose, Target, WindowPlan};
use fissure_rig::faults::{InForce, clock, inject, shift_clock};
use fissure_rig::keeper;
use fissure_rig::wire::{Disturbed, Relay};

use super::Lab;
use crate::exit::{Exit, Failure};

/// Of the machine's memory.
const MEMORY_FREE_SHARE: f64 = 0.05;

/// Does this machine allow a fault for which the app has to be started?
fn can_be_tried(kind: FaultKind) -> Result<(), String> {
    match kind {
        FaultKind::DiskFull | FaultKind::Fsync => keeper::can_intercept()
            .map_err(|e| format!("this machine does not let system calls be watched ({e}); Linux 5.5 does")),
        FaultKind::Clock { .. } if clock::library().is_none() => {
            Err("libfaketime is not installed (`apt install libfaketime`)".to_owned())
        }
        _ => Ok(()),
    }
}

/// A fault lives this much longer than planned when the lab should be late, and not a moment more.
const LATE: Duration = Duration::from_secs(2);

/// The fault of a window, with what is in force of it. Dropping it undoes everything.
pub(super) struct Trial {
    fault: Fault,
    processes: Vec<InForce>,
    links: Vec<Disturbed>,
    /// Relays before the role, where the fault befalls the way from the users.
    doors: Vec<Relay>,
    injected: bool,
}

impl Lab<'_> {
    /// Sees to it that the app is started for the fault of the next window, where a fault needs that; a reason why it cannot be.
    pub(super) async fn prepare_stage(&mut self, plan: &WindowPlan) -> Result<(), String> {
        let wanted = match &plan.purpose {
            Purpose::Fault(fault) if fault.kind.needs_a_start() => Some(fault.kind),
            _ => None,
        };
        let possible = wanted.map_or(Ok(()), can_be_tried);
        self.stage.prepare(wanted.filter(|_| possible.is_ok())).await;
        possible
    }

    /// Puts relays in place before the crowd begins, so that they stand in all three parts of the window.
    pub(super) fn prepare_fault(&mut self, plan: &WindowPlan) -> Result<Option<Trial>, Failure> {
        self.doors.clear();
        let Purpose::Fault(fault) = &plan.purpose else { return Ok(None) };
        let mut trial = Trial {
            fault: (**fault).clone(),
            processes: Vec::new(),
            links: Vec::new(),
            doors: Vec::new(),
            injected: false,
        };
        if let Target::Door(role) = &fault.target
            && let Some(standing) = self.stage.of(&plan.arrangement)
        {
            for process in standing.processes.iter().filter(|p| p.role == *role) {
                let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, process.port));
                let relay = Relay::start(0, upstream, &self.cpus.crowd).map_err(|e| {
                    Failure::new(Exit::CouldNotTell, format!("no relay can be put before {role}: {e}."))
                })?;
                self.doors.insert(process.port, relay.port());
                trial.doors.push(relay);
            }
        }
        Ok(Some(trial))
    }

    /// Injects and lifts at the beginning of the seconds that the plan names.
    pub(super) async fn at_second(
        &mut self,
        trial: &mut Trial,
        plan: &WindowPlan,
        second: u32,
    ) -> Result<(), Failure> {
        let (begins, ends) = (trial.fault.before_s, trial.fault.before_s + trial.fault.lasts_s);
        let window = plan.window;
        if second == begins {
            match self.break_it(trial, plan).await {
                Ok(()) => {
                    trial.injected = true;
                    self.record(Fact::FaultInjected { window, second })?;
                    // Should fissure be killed now, its journal says what was in force.
                    self.flush()?;
                }
                Err(why) => self.record(Fact::FaultNotTried { window, why })?,
            }
        } else if second == ends && trial.injected {
            self.lift(trial, plan).await;
            self.record(Fact::FaultLifted { window, second })?;
            if let (FaultKind::Restart | FaultKind::Terminate, Target::Role(role)) =
                (trial.fault.kind, trial.fault.target.clone())
                && let Err(why) = self.stage.restart_role(&plan.arrangement, &role).await
            {
                let what = format!("{role} after {}", trial.fault.kind);
                self.record(Fact::LeftOut { what, why })?;
            }
        }
        Ok(())
    }

    /// Less memory than this is left for everybody, and what is broken is mended at once.
    pub(super) fn host_suffers(&self, sample: &ProbeSecond) -> bool {
        let (free, all) = (sample.memory_available_bytes as f64, self.run.header.machine.memory_bytes as f64);
        free > 0.0 && free < MEMORY_FREE_SHARE * all
    }

    /// Undoes what is in force, whatever the plan says.
    pub(super) async fn lift(&mut self, trial: &mut Trial, plan: &WindowPlan) {
        trial.processes.clear();
        trial.links.clear();
        trial.injected = false;
        for process in self.stage.of(&plan.arrangement).into_iter().flat_map(|s| &mut s.processes) {
            process.kept.mend_calls().await;
        }
    }

    async fn break_it(&mut self, trial: &mut Trial, plan: &WindowPlan) -> Result<(), String> {
        let Fault { kind, target, trigger, route, lasts_s, seed, .. } = &trial.fault;
        let time_to_live = Duration::from_secs(u64::from(*lasts_s)) + LATE;
        match target {
            Target::Role(role) => {
                let clock_file = self.stage.clock_file();
                let processes = self.stage.of(&plan.arrangement).into_iter().flat_map(|s| &mut s.processes);
                for process in processes.filter(|p| p.role == *role) {
                    let guard = process.kept.guard_pid();
                    let injected = match kind {
                        FaultKind::DiskFull | FaultKind::Fsync => {
                            process.kept.fail_calls(time_to_live).await;
                            continue;
                        }
                        FaultKind::Clock { ahead_s } => {
                            shift_clock(guard, &clock_file, *ahead_s, time_to_live)
                        }
                        kind => inject(*kind, guard, time_to_live),
                    };
                    trial.processes.push(injected.map_err(|e| e.to_string())?);
                }
            }
            Target::Door(_) => {
                let disturb =
                    |relay: &Relay| relay.disturb_route(route.clone(), *kind, *trigger, *seed, time_to_live);
                trial.links = trial.doors.iter().map(disturb).collect();
            }
            Target::Link(name) => {
                let link = self
                    .stage
                    .link(name)
                    .ok_or_else(|| format!("fissure could not stand in the link {name}"))?;
                let relay = &link.relay;
                trial.links.push(relay.disturb_route(route.clone(), *kind, *trigger, *seed, time_to_live));
            }
        }
        Ok(())
    }

    /// After a fault of processes the next window begins with a fresh app, whatever this one has become.
    pub(super) async fn clear_up(&mut self, trial: Option<Trial>, plan: &WindowPlan) {
        self.doors.clear();
        let leaves_marks = trial.as_ref().is_some_and(|trial| {
            !trial.fault.kind.is_of_link()
                && !matches!(trial.fault.kind, FaultKind::Pause | FaultKind::Cpu { .. })
        });
        // Every window makes a list longer, and the window without a fault is to be like the others.
        let lists_grow = plan.read_back().iter().any(|reading| reading.found_by == FoundBy::List);
        drop(trial);
        if leaves_marks || lists_grow {
            self.stage.strike_one(&plan.arrangement).await;
        }
    }
}
