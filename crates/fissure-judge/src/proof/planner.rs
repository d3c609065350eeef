//! The planner of a proof: both programs flat out, then the capacity of each in turns, then blocks of both at the same loads.

use fissure_facts::{Arrangement, Fact, Load, Purpose, Run, Step, Window, WindowPlan};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::{BEFORE, contestants, failure, flat_out, middle};
use crate::capacity;
use crate::evidence::{Evidence, WHOLE};
use crate::planner::{Planned, window_plan};
use crate::visit::warmup_s;

/// When the command line says nothing.
const BUDGET_S: f64 = 240.0;
/// Users without pauses per CPU: enough for what works, and for most of what waits.
const USERS_PER_CPU: u32 = 16;
/// Windows flat out of each program.
const FLAT_OUT: usize = 2;
const FLAT_OUT_S: u32 = 3;
/// Capacity is looked for until this share of the budget.
const CAPACITY_UNTIL: f64 = 0.35;
/// Of the smaller capacity: a load that both programs stand with certainty.
const BOTH_STAND: f64 = 0.85;
/// Beyond this multiple of what the better program does flat out the goal's load only fills queues.
const HOPELESS: f64 = 1.0;
/// Two loads nearer than this are one.
const APART: f64 = 0.1;
/// Rounds at each load: as many as there is time for, within these.
const ROUNDS: std::ops::RangeInclusive<u32> = 3..=8;

/// Plans a proof.
#[derive(Debug, Default)]
pub struct ProofPlanner {
    /// Capacity of the program as it was, in users per second, when an earlier run knows it.
    pub known_users_per_s: Option<f64>,
    /// Loads of the blocks and rounds at each, fixed before the first block.
    blocks: Option<(Vec<f64>, u32)>,
}

impl ProofPlanner {
    pub fn new(known_users_per_s: Option<f64>) -> Self {
        Self { known_users_per_s, blocks: None }
    }

    pub fn next(&mut self, run: &Run) -> Planned {
        let evidence = Evidence::of(run);
        let budget_s = run.header.config.limits.budget.map_or(BUDGET_S, |b| b.0.as_secs_f64());
        let desk = Desk { run, evidence, budget_s };
        let left_s = (budget_s - run.elapsed_s()).max(0.0);
        let next = if desk.is_over() {
            None
        } else {
            desk.play().or_else(|| desk.saturate()).or_else(|| desk.capacity(self.known_users_per_s)).or_else(
                || {
                    let (loads, rounds) = self.blocks.get_or_insert_with(|| desk.blocks(left_s));
                    desk.block(loads, *rounds)
                },
            )
        };
        let (step, why) = next.unwrap_or((Step::Finish, String::new()));
        let remaining_s = if step == Step::Finish { 0.0 } else { left_s.max(1.0) };
        Planned { step, why, remaining_s }
    }
}

struct Desk<'r> {
    run: &'r Run,
    evidence: Evidence<'r>,
    budget_s: f64,
}

impl Desk<'_> {
    fn is_over(&self) -> bool {
        self.run.was_interrupted()
            || failure(self.run).is_some()
            || self.run.elapsed_s() + f64::from(self.window_s()) + warmup_s(self.run) > self.budget_s
    }

    fn window_s(&self) -> u32 {
        if self.budget_s < 180.0 { 3 } else { 5 }
    }

    /// The new one first: the goal in users at once is reckoned by its latencies alone.
    fn play(&self) -> Option<(Step, String)> {
        let played = |a: &Arrangement| {
            self.run.facts.iter().any(
                |s| matches!(&s.fact, Fact::StepBegan { step: Step::Play { arrangement }, .. } if arrangement == a),
            )
        };
        let arrangement = [Arrangement::whole(), Arrangement::before()].into_iter().find(|a| !played(a))?;
        let which = spoken(&arrangement);
        Some((Step::Play { arrangement }, format!("{which}: every journey once, alone")))
    }

    /// Old, new, new, old: a drift of the machine is shared by both.
    fn saturate(&self) -> Option<(Step, String)> {
        let done = self.count(|w| w.plan.purpose == Purpose::Saturate);
        let order =
            [Arrangement::before(), Arrangement::whole(), Arrangement::whole(), Arrangement::before()];
        let arrangement = order.into_iter().take(2 * FLAT_OUT).nth(done)?;
        let users = USERS_PER_CPU * self.evidence.cpus() as u32;
        let why = format!("{} flat out: {users} users without pauses", spoken(&arrangement));
        let plan = self.window(Purpose::Saturate, arrangement, Load::Closed { users }, FLAT_OUT_S);
        Some((Step::Hold(plan), why))
    }

    /// The largest load that meets the goal, of both in turns.
    fn capacity(&self, known: Option<f64>) -> Option<(Step, String)> {
        let has_blocks = self.count(|w| matches!(w.plan.purpose, Purpose::Rehearse { .. })) > 0;
        if has_blocks || self.run.elapsed_s() >= CAPACITY_UNTIL * self.budget_s {
            return None;
        }
        let mut turns = [Arrangement::before(), Arrangement::whole()]
            .map(|a| (self.count(|w| w.plan.purpose == Purpose::Capacity && w.plan.arrangement == a), a));
        turns.sort_by_key(|(done, _)| *done);
        turns.into_iter().find_map(|(done, arrangement)| {
            let points = self.evidence.points(&arrangement.name);
            let most = flat_out(&self.evidence, &arrangement.name)?;
            let load = match known {
                Some(known) if done == 0 && arrangement.before => known.min(most),
                _ => capacity::next_load(&points, &self.run.header.config.goal, most)?,
            };
            let why = format!("{}: does it meet the goal at {}?", spoken(&arrangement), self.per_s(load));
            Some((Step::Hold(self.open(Purpose::Capacity, arrangement, load)), why))
        })
    }

    /// The loads at which both are held against each other, and how often.
    fn blocks(&self, left_s: f64) -> (Vec<f64>, u32) {
        let goal = self.evidence.goal.users_per_s;
        let most =
            [BEFORE, WHOLE].iter().filter_map(|name| flat_out(&self.evidence, name)).fold(0.0, f64::max);
        let smaller = [BEFORE, WHOLE].iter().filter_map(|name| middle(&self.evidence, name)).reduce(f64::min);
        let both_stand = smaller.filter(|load| *load > 0.0).unwrap_or(0.5 * most) * BOTH_STAND;
        let mut loads = vec![both_stand.min(goal)];
        if goal > both_stand * (1.0 + APART) && goal <= HOPELESS * most {
            loads.push(goal);
        }
        let block_s = contestants().len() as f64 * (f64::from(self.window_s()) + warmup_s(self.run) + 1.0);
        let rounds = |loads: &[f64]| (left_s / block_s / loads.len() as f64) as u32;
        if rounds(&loads) < *ROUNDS.start() {
            loads.truncate(1);
        }
        let rounds = rounds(&loads).clamp(*ROUNDS.start(), *ROUNDS.end());
        (loads, rounds)
    }

    fn block(&self, loads: &[f64], rounds: u32) -> Option<(Step, String)> {
        let all =
            (0..rounds).flat_map(|round| loads.iter().enumerate().map(move |(i, load)| (round, i, *load)));
        for (round, index, load) in all {
            let block = round * loads.len() as u32 + index as u32;
            let purpose = Purpose::Rehearse { block };
            let mut order = contestants();
            order.shuffle(&mut Pcg64Mcg::seed_from_u64(self.run.header.seed ^ (u64::from(block) << 32)));
            // A window that was void has one more try.
            let is_done = |a: &Arrangement| {
                let is_it = |w: &Window| w.plan.purpose == purpose && w.plan.arrangement == *a;
                self.evidence.windows.iter().any(|(w, void)| is_it(w) && void.is_none())
                    || self.count(is_it) > 1
            };
            if let Some(arrangement) = order.into_iter().find(|a| !is_done(a)) {
                let which = spoken(&arrangement);
                let why =
                    format!("in turns at {}, round {} of {rounds}: {which}", self.per_s(load), round + 1);
                return Some((Step::Hold(self.open(purpose, arrangement, load)), why));
            }
        }
        None
    }

    fn open(&self, purpose: Purpose, arrangement: Arrangement, users_per_s: f64) -> WindowPlan {
        self.window(purpose, arrangement, Load::Open { users_per_s }, self.window_s())
    }

    fn window(&self, purpose: Purpose, arrangement: Arrangement, load: Load, seconds: u32) -> WindowPlan {
        let begun =
            |s: &&fissure_facts::Stamped| matches!(s.fact, Fact::StepBegan { step: Step::Hold(_), .. });
        let window = self.run.facts.iter().filter(begun).count() as u32 + 1;
        let warmup_s = if load.is_open() { warmup_s(self.run) } else { 1.0 };
        // In a block the same users come at the same instants and play the same journeys: one chance less for a difference.
        let chance = match purpose {
            Purpose::Rehearse { block } => u64::from(block) << 32,
            _ => u64::from(window),
        };
        let seed = self.run.header.seed.wrapping_add(chance);
        window_plan(window, purpose, arrangement, load, warmup_s, seconds, seed)
    }

    fn count(&self, which: impl Fn(&Window) -> bool) -> usize {
        self.evidence.windows.iter().filter(|(w, _)| which(w)).count()
    }

    fn per_s(&self, users_per_s: f64) -> String {
        let requests_per_s = users_per_s * crate::goal::requests_per_user(self.run);
        format!("{requests_per_s:.0} requests/s")
    }
}

fn spoken(arrangement: &Arrangement) -> &'static str {
    match arrangement.name.as_str() {
        BEFORE => "the old program",
        WHOLE => "the new program",
        _ => "a second copy of the new program, to see what chance does",
    }
}
