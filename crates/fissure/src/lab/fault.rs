//! Breaking something in the middle of a window, and mending it again.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use fissure_facts::{Fact, Fault, FaultKind, Purpose, Target, WindowPlan};
use fissure_rig::faults::{InForce, inject};
use fissure_rig::wire::{Disturbed, Relay};

use super::Lab;
use crate::exit::{Exit, Failure};

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
    /// Puts relays in place before the crowd begins, so that they stand in all three parts of the window.
    pub(super) fn prepare_fault(&mut self, plan: &WindowPlan) -> Result<Option<Trial>, Failure> {
        self.doors.clear();
        let Purpose::Fault(fault) = &plan.purpose else { return Ok(None) };
        let mut trial = Trial {
            fault: fault.clone(),
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
            match self.break_it(trial, plan) {
                Ok(()) => {
                    trial.injected = true;
                    self.record(Fact::FaultInjected { window, second })?;
                }
                Err(why) => self.record(Fact::FaultNotTried { window, why })?,
            }
        } else if second == ends && trial.injected {
            trial.processes.clear();
            trial.links.clear();
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

    fn break_it(&mut self, trial: &mut Trial, plan: &WindowPlan) -> Result<(), String> {
        let Fault { kind, target, trigger, lasts_s, seed, .. } = &trial.fault;
        let time_to_live = Duration::from_secs(u64::from(*lasts_s)) + LATE;
        match target {
            Target::Role(role) => {
                let processes = self.stage.of(&plan.arrangement).into_iter().flat_map(|s| &s.processes);
                let guards: Vec<u32> =
                    processes.filter(|p| p.role == *role).map(|p| p.kept.guard_pid()).collect();
                for guard in guards {
                    trial.processes.push(inject(*kind, guard, time_to_live).map_err(|e| e.to_string())?);
                }
            }
            Target::Door(_) => {
                let disturb = |relay: &Relay| relay.disturb(*kind, *trigger, *seed, time_to_live);
                trial.links = trial.doors.iter().map(disturb).collect();
            }
            Target::Link(name) => {
                let link = self
                    .stage
                    .link(name)
                    .ok_or_else(|| format!("fissure could not stand in the link {name}"))?;
                trial.links.push(link.relay.disturb(*kind, *trigger, *seed, time_to_live));
            }
        }
        Ok(())
    }

    /// After a fault of processes the next window begins with a fresh app, whatever this one has become.
    pub(super) async fn clear_up(&mut self, trial: Option<Trial>, plan: &WindowPlan) {
        self.doors.clear();
        let Some(trial) = trial else { return };
        let leaves_marks = !trial.fault.kind.is_of_link()
            && !matches!(trial.fault.kind, FaultKind::Pause | FaultKind::Cpu { .. });
        drop(trial);
        if leaves_marks {
            self.stage.strike_one(&plan.arrangement).await;
        }
    }
}
