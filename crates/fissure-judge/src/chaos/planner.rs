//! What is tried next: one fault on one target, each with its own control before and after it.

use fissure_facts::{
    Arrangement, Fact, Fault, FaultKind, Load, Purpose, Route, Run, Step, Target, Trigger, WindowPlan,
};

use super::{Outcome, durability, judge, links};
use crate::asked::played_well;
use crate::goal;
use crate::planner::Planned;

/// Seconds in which what was sent into a fault may still settle, beyond the time limit of a request.
pub const SETTLE_S: u32 = 2;
const BEFORE_S: u32 = 6;
const LASTS_S: u32 = 5;
const AFTER_S: u32 = 4;
/// A visit is no longer than the warm-up, so that the load is the same before, with and after the fault.
const WARMUP_S: f64 = 3.0;
/// Starting the app again, and what lies between windows.
const OVERHEAD_S: f64 = 3.0;
/// Looking for what was written.
const READING_S: f64 = 2.0;
const PROBE_USERS: u32 = 8;
const PROBE_S: u32 = 4;
/// Of what the app does flat out. Its capacity under the SLO is lower, so this is about 60 % of that.
const SHARE_OF_SATURATION: f64 = 0.4;
/// More requests than this teach nothing more about a fault, and relay and crowd share the machine.
const REQUESTS_PER_S_MAX: f64 = 300.0;
/// So often a fault is tried when its window was void.
const TRIES: usize = 2;
/// So many void windows in a row, and the machine is not fit for it now.
const VOID_IN_A_ROW: usize = 4;
/// Less free memory than this, and nothing more is broken.
const MEMORY_FREE_SHARE: f64 = 0.1;

/// Why a campaign ends that has done what it should.
pub(super) const ALL_TRIED: &str = "every fault was tried";

/// What the user asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    pub kinds: Vec<FaultKind>,
    /// Links between the app and what it talks to, that fissure can stand in.
    pub links: Vec<String>,
    /// Those of them that speak HTTP.
    pub http_links: Vec<String>,
    /// Whom or what a fault of a link befalls.
    pub trigger: Trigger,
    /// Faults of HTTP befall only requests of this route.
    pub route: Option<Route>,
    /// Only these roles and links; none: all.
    pub on: Vec<String>,
    /// The whole, and the split when it is to be compared.
    pub arrangements: Vec<Arrangement>,
    /// Users per second, when it is known beforehand.
    pub users_per_s: Option<f64>,
    /// Time limit of a request.
    pub timeout_s: f64,
    /// Some journey may write, so that a window without a fault comes first.
    pub may_write: bool,
    /// Nothing more is broken when the faults together have spoiled as much as so many seconds of a whole outage.
    pub outage_most_s: Option<f64>,
    /// Each arrangement gets no more time than this: what does not fit is left out, the last first.
    pub within_s: Option<f64>,
}

impl Campaign {
    /// Every fault on everything that it can befall, arrangement by arrangement.
    pub fn trials(&self) -> Vec<(Arrangement, FaultKind, Target)> {
        let mut trials = Vec::new();
        for arrangement in &self.arrangements {
            let first = trials.len();
            for &kind in &self.kinds {
                let roles = arrangement.roles.iter().map(|role| role.name.clone());
                let mut targets: Vec<Target> = if kind.is_of_link() {
                    roles.map(Target::Door).collect()
                } else {
                    roles.map(Target::Role).collect()
                };
                if kind.is_of_link() {
                    let links = if kind.is_of_http() { &self.http_links } else { &self.links };
                    targets.extend(links.iter().cloned().map(Target::Link));
                }
                targets
                    .retain(|target| self.on.is_empty() || self.on.iter().any(|name| name == target.name()));
                trials.extend(targets.into_iter().map(|target| (arrangement.clone(), kind, target)));
            }
            if let Some(within_s) = self.within_s {
                let room = ((within_s - self.overhead_s()) / self.trial_s()).max(1.0) as usize;
                trials.truncate(first + room);
            }
        }
        trials
    }

    /// How long it will take, roughly.
    pub fn seconds(&self) -> f64 {
        self.trials().len() as f64 * self.trial_s() + self.arrangements.len() as f64 * self.overhead_s()
    }

    /// How many faults are left out because there is no time for them.
    pub fn left_out(&self) -> usize {
        Self { within_s: None, ..self.clone() }.trials().len() - self.trials().len()
    }

    /// What comes before the first fault of an arrangement.
    fn overhead_s(&self) -> f64 {
        let probe = if self.users_per_s.is_some() { 0.0 } else { f64::from(PROBE_S) + WARMUP_S };
        let unharmed = if self.may_write { self.trial_s() } else { 0.0 };
        probe + unharmed + OVERHEAD_S
    }

    fn trial_s(&self) -> f64 {
        let reading = if self.may_write { READING_S } else { 0.0 };
        f64::from(self.window_s()) + WARMUP_S + OVERHEAD_S + reading
    }

    fn window_s(&self) -> u32 {
        BEFORE_S + LASTS_S + self.timeout_s.ceil() as u32 + SETTLE_S + AFTER_S
    }

    pub fn next(&self, run: &Run) -> Planned {
        let Some(first) = self.arrangements.first() else { return Planned::finish("nothing was asked for") };
        let staged_badly = run.facts.iter().any(|s| matches!(s.fact, Fact::StageFailed { .. }));
        if run.facts.is_empty() {
            return Planned {
                step: Step::Play { arrangement: first.clone() },
                why: "play each journey once, alone".to_owned(),
                remaining_s: self.seconds(),
            };
        }
        if staged_badly || !played_well(run) {
            return Planned::finish("the app did not start, or a journey went wrong although it was alone");
        }
        let windows = run.windows();
        let number = windows.len() as u32 + 1;
        let plan = |purpose, arrangement: &Arrangement, load, seconds| WindowPlan {
            window: number,
            purpose,
            arrangement: arrangement.clone(),
            load,
            emphasis: None,
            warmup_s: WARMUP_S,
            visit_max_s: Some(WARMUP_S),
            seconds,
            seed: run.header.seed.wrapping_add(u64::from(number)),
        };
        let Some(users_per_s) = self.load(run) else {
            if windows.iter().any(|w| w.plan.purpose == Purpose::Saturate) {
                return Planned::finish("nothing was answered flat out");
            }
            let load = Load::Closed { users: PROBE_USERS };
            return Planned {
                step: Step::Hold(plan(Purpose::Saturate, first, load, PROBE_S)),
                why: format!("what it does flat out, to find a load: {PROBE_USERS} users without pauses"),
                remaining_s: self.seconds(),
            };
        };
        let so_far = judge(run);
        let outage_s = so_far.outage_s();
        if let Some(most_s) = self.outage_most_s.filter(|most_s| outage_s > *most_s) {
            return Planned::finish(format!(
                "the faults have spoiled as much as {outage_s:.1} s of a whole outage, and {most_s:.1} s were allowed"
            ));
        }
        let tried = so_far.trials;
        let last_void = tried.iter().rev().take_while(|t| matches!(t.outcome, Outcome::Void { .. })).count();
        if last_void >= VOID_IN_A_ROW {
            return Planned::finish("the machine is too busy: window after window cannot be believed");
        }
        let free = windows.last().and_then(|w| w.probes.last()).map(|p| p.memory_available_bytes as f64);
        let memory = run.header.machine.memory_bytes as f64;
        if free.is_some_and(|free| free > 0.0 && free < MEMORY_FREE_SHARE * memory) {
            return Planned::finish("the machine is short of memory, so nothing more is broken");
        }
        let read_back = durability::readings(run);
        if let Some(unharmed) = self.arrangements.iter().find(|a| {
            let is_this = |w: &fissure_facts::Window| {
                matches!(w.plan.purpose, Purpose::Unharmed { .. })
                    && w.plan.arrangement == **a
                    && w.end.is_some()
            };
            !read_back.is_empty() && !windows.iter().any(is_this)
        }) && windows.iter().filter(|w| matches!(w.plan.purpose, Purpose::Unharmed { .. })).count()
            < TRIES * self.arrangements.len()
        {
            let purpose = Purpose::Unharmed { read_back };
            return Planned {
                step: Step::Hold(plan(purpose, unharmed, Load::Open { users_per_s }, self.window_s())),
                why: "nothing is broken yet: are writes there when they are read back?".to_owned(),
                remaining_s: self.seconds(),
            };
        }
        let trials = self.trials();
        let is_done = |(arrangement, kind, target): &(Arrangement, FaultKind, Target)| {
            let of_this = |w: &&fissure_facts::Window| {
                matches!(&w.plan.purpose, Purpose::Fault(f) if f.kind == *kind && f.target == *target)
                    && w.plan.arrangement == *arrangement
            };
            let sound = tried.iter().any(|t| {
                t.arrangement == arrangement.name
                    && t.fault.kind == *kind
                    && t.fault.target == *target
                    && !matches!(t.outcome, Outcome::Void { .. })
            });
            sound || windows.iter().filter(of_this).count() >= TRIES
        };
        let is_foreseen = |(_, kind, target): &(Arrangement, FaultKind, Target)| match target {
            // A tenth of what is expected to do nothing is tried all the same, and what was asked for by name always.
            Target::Link(link) => {
                self.on.is_empty()
                    && !links::is_touched(run, link)
                    && !is_sample(run.header.seed, *kind, link)
            }
            _ => false,
        };
        let left: Vec<_> = trials.iter().filter(|trial| !is_done(trial) && !is_foreseen(trial)).collect();
        let Some((arrangement, kind, target)) = left.first() else {
            return Planned::finish(ALL_TRIED);
        };
        let fault = Fault {
            kind: *kind,
            target: target.clone(),
            trigger: if kind.is_of_link() { self.trigger } else { Trigger::Always },
            route: self.route.clone().filter(|_| kind.is_of_http()),
            before_s: BEFORE_S,
            lasts_s: LASTS_S,
            seed: run.header.seed.wrapping_add(u64::from(number)),
            read_back,
        };
        let aside =
            if arrangement.name == first.name { String::new() } else { format!(", {}", arrangement.name) };
        Planned {
            step: Step::Hold(plan(
                Purpose::Fault(Box::new(fault)),
                arrangement,
                Load::Open { users_per_s },
                self.window_s(),
            )),
            why: format!("{kind} on {target}{aside}: before, {LASTS_S} s with it, after"),
            remaining_s: left.len() as f64 * self.trial_s(),
        }
    }

    /// Halved each time that the goal was missed already before a fault.
    fn load(&self, run: &Run) -> Option<f64> {
        let windows = run.windows();
        let per_user = goal::requests_per_user(run).max(1.0);
        let known = self.users_per_s.or_else(|| {
            let flat_out = windows.iter().find(|w| w.plan.purpose == Purpose::Saturate)?;
            let rate = flat_out.right() as f64 / flat_out.seconds().max(1.0) / per_user;
            (rate > 0.0).then(|| (SHARE_OF_SATURATION * rate).min(goal::view(run).users_per_s))
        })?;
        let timeout_s = self.timeout_s;
        let too_much = windows.iter().filter(|w| match &w.plan.purpose {
            Purpose::Fault(_) | Purpose::Unharmed { .. } => {
                super::Phases::cut(w, BEFORE_S, BEFORE_S + LASTS_S, timeout_s)
                    .broke_before(&run.routes(), &run.header.config.goal)
            }
            _ => false,
        });
        let halved = known / 2_f64.powi(too_much.count().min(10) as i32);
        Some(halved.min(REQUESTS_PER_S_MAX / per_user))
    }
}

/// One in ten, drawn by the run's seed (FNV-1a, Fowler, Noll and Vo, 1991, as a hash).
fn is_sample(seed: u64, kind: FaultKind, link: &str) -> bool {
    let text = format!("{seed} {} {link}", kind.name());
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 32).is_multiple_of(10)
}
