//! The planner of a check: facts in, next step out.
//!
//! Play (-> play acknowledging) -> saturate -> demands -> capacity -> (holding up: finish) -> profile -> rehearse -> capacity of each remedy ->
//! finish.
//! Every decision is made from the facts alone, so a run that was cut off can be planned on, and a fake rig with a
//! planted truth can test the whole in milliseconds.

mod pace;

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::{
    Arrangement, Emphasis, Fact, HttpVersion, Load, Purpose, Route, Run, Step, Window, WindowPlan,
};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_pcg::Pcg64Mcg;

use crate::at_rest;
use crate::capacity::{self, Bound, LoadPoint};
use crate::demand;
use crate::evidence::{CONTROL, Evidence, WHOLE, controls, open_load};
use crate::held_back;
use crate::isolation::{self, Answer};
use crate::limit::FULL;
use crate::remedy::{self, Candidate};
use crate::repeats;
use crate::verdict;
use crate::visit::{VISIT_MAX_S, warmup_s};
use pace::Pace;

pub use pace::BUDGET_S;

/// Users of a closed-loop window for each CPU of the app: enough to keep every worker busy, few enough that queues in
/// front of the app do not turn into timeouts.
const SATURATING_USERS_PER_CPU: u32 = 16;
/// How often the journeys are played alone, if that is quickly done.
const PLAYS: usize = 3;
const PLAYED_QUICKLY_S: f64 = 2.0;
/// Windows flat out that may be void before something else is tried.
const VOID_FLAT_OUT: usize = 2;
/// Users of a demand window for each CPU: research shows demands measured at low load to be wrong in both directions
/// (idle wake-ups, interpreter locks), so the app is kept busy.
const DEMAND_USERS_PER_CPU: u32 = 2;
/// Share of the budget after which it must be known whether the whole meets the goal.
const DECIDE_UNTIL: f64 = 0.9;
/// Share of the budget that the blocks of rehearsals may use up; the rest measures the remedies' capacities.
const BLOCKS_UNTIL: f64 = 0.85;
/// Of a goal that is surely missed nobody needs to know by how many per cent: the remedies need the time.
const ROUGH: f64 = 0.15;
const ROUGH_WINDOWS: usize = 4;
/// Nor of one that is missed by more than this how vague the rest is.
const FAR_BELOW: f64 = 0.5;
/// Of one that is met with more than this to spare a rough figure will do, too.
const FAR_ABOVE: f64 = 1.2;
/// After so many windows around one crossing its interval is what it is.
const ENOUGH_WINDOWS: usize = 8;
/// Windows that look for how much more than the goal the remedy holds that will be advised.
const BEYOND_THE_GOAL: u32 = 4;
/// Windows of an arrangement that may be void before others get their turn.
const TRIES: u32 = 2;
/// A goal this many times above saturation is not worth a window of its own: the whole cannot stand it.
const HOPELESS: f64 = 1.15;
/// The highest share of saturation to which a remedy's prediction may jump.
const NEARLY_SATURATED: f64 = 0.95;
/// The lowest share of saturation at which the search for the capacity begins.
const HARDLY: f64 = 0.05;
/// The lines are looked for when the whole holds less than this many times the goal.
const NEARLY_MISSED: f64 = 1.1;
/// Windows for the profilers with the mix as it is, until the app works in one. Behind it the heaviest route is emphasised in another.
const PROFILE_TRIES: usize = 2;
/// Share of its CPUs below which an app does next to nothing.
const STOOD_STILL: f64 = 0.1;
/// Share of the budget after which nobody looks for lines any more: remedies must get their time.
const PROFILE_UNTIL: f64 = 0.6;
/// How often the heaviest route is repeated at least, so that the two windows clearly differ.
const HOT_TIMES: u32 = 4;
/// Two loads closer than this share count as the same.
const SAME_LOAD: f64 = 0.02;

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub step: Step,
    /// One line for the person who watches: what, and why.
    pub why: String,
    /// Seconds until the run will be over, roughly.
    pub remaining_s: f64,
}

impl Planned {
    /// Nothing more is worth doing.
    pub fn finish(why: impl Into<String>) -> Self {
        Self { step: Step::Finish, why: why.into(), remaining_s: 0.0 }
    }
}

/// Plans a check. Holds nothing but what is dear to compute and a function of earlier facts.
#[derive(Debug, Default)]
pub struct Planner {
    /// The whole's capacity by the model, in users per second: where the search begins.
    predicted: Option<f64>,
    /// The shortlist, by the facts before the first rehearsal.
    candidates: Option<Vec<Candidate>>,
}

impl Planner {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn next(&mut self, run: &Run) -> Planned {
        let desk = Desk::new(run);
        let next = desk
            .play()
            .or_else(|| {
                let shortlist = || desk.evidence.before_rehearsals().candidates();
                let rehearsed = desk.has_rehearsed() && !desk.run.was_interrupted();
                rehearsed.then(|| desk.isolate(self.candidates.get_or_insert_with(shortlist)))?
            })
            .or_else(|| if desk.is_over() { Some(finish()) } else { None })
            .or_else(|| desk.play_acknowledging())
            .or_else(|| desk.saturate())
            .or_else(|| desk.demand())
            .or_else(|| {
                let predict = || desk.evidence.before_capacity().predicted_users_per_s();
                desk.capacity(&mut || *self.predicted.get_or_insert_with(predict))
            })
            .or_else(|| desk.decide())
            .or_else(|| desk.profile())
            .or_else(|| desk.need_no_remedy())
            .or_else(|| desk.repeats())
            .or_else(|| {
                let candidates =
                    self.candidates.get_or_insert_with(|| desk.evidence.before_rehearsals().candidates());
                let next = desk
                    .rehearse(candidates)
                    .or_else(|| desk.remedy_capacity(candidates))
                    .or_else(|| desk.settle(candidates))?;
                // Each was seen once, to compare with; the answer does not wait for more.
                let is_first =
                    matches!(&next.0, Step::Hold(plan) if plan.purpose == Purpose::Rehearse { block: 0 });
                Some(if !is_first && verdict::lines_would_do(run) { finish() } else { next })
            })
            .unwrap_or_else(finish);
        let (step, mut why) = desk.renewed(next);
        if let (Step::Hold(_), Some((_, Some(void)))) = (&step, desk.evidence.windows.last()) {
            why = format!("{why} (the last window was void: {})", void.word());
        }
        Planned { remaining_s: desk.remaining_s(&step), step, why }
    }
}

type Next = (Step, String);

fn finish() -> Next {
    (Step::Finish, String::new())
}

/// The facts of a run, laid out for one decision.
struct Desk<'r> {
    run: &'r Run,
    evidence: Evidence<'r>,
    pace: Pace,
    /// Number of windows that were begun.
    begun: u32,
}

impl<'r> Desk<'r> {
    fn new(run: &'r Run) -> Self {
        let began =
            |s: &&fissure_facts::Stamped| matches!(s.fact, Fact::StepBegan { step: Step::Hold(_), .. });
        let evidence = Evidence::of(run);
        Self {
            run,
            pace: Pace::of(&evidence),
            evidence,
            begun: run.facts.iter().filter(began).count() as u32,
        }
    }

    fn play(&self) -> Option<Next> {
        let is_play =
            |s: &&fissure_facts::Stamped| matches!(s.fact, Fact::StepBegan { step: Step::Play { .. }, .. });
        let took = self.run.facts.iter().filter_map(|s| match &s.fact {
            Fact::JourneyPlayed { steps, .. } => Some(steps.iter().map(|s| s.latency_us).sum::<u64>()),
            _ => None,
        });
        let took_s = took.sum::<u64>() as f64 / 1e6;
        let why = match self.run.facts.iter().filter(is_play).count() {
            0 => "start the app and play each journey once, alone: every answer must be as expected",
            // The first time also pays for a cold app.
            times if times < PLAYS && took_s < PLAYED_QUICKLY_S && !self.is_over() => {
                "and again, now that the app is warm: what each request takes alone"
            }
            _ => return None,
        };
        Some((Step::Play { arrangement: Arrangement::whole() }, why.to_owned()))
    }

    /// An answer that takes as long as an acknowledgement is late may be waiting for it.
    fn play_acknowledging(&self) -> Option<Next> {
        let step = Step::PlayAcknowledging { arrangement: Arrangement::whole() };
        held_back::is_open(self.run).then(|| {
            (
                step,
                "do answers wait to be acknowledged? each journey by a user who does so at once".to_owned(),
            )
        })
    }

    /// What is worn out is started anew before it is measured again.
    fn renewed(&self, next: Next) -> Next {
        let Step::Hold(WindowPlan { arrangement, .. }) = &next.0 else { return next };
        let Some(route) = self.evidence.worn(arrangement) else { return next };
        let why = format!("start {} anew: earlier users used up what {route} needs", arrangement.name);
        (Step::Renew { arrangement: arrangement.clone() }, why)
    }

    /// Nothing more can be learned: it would not start, does not answer as expected, keeps dying, or the time is up.
    fn is_over(&self) -> bool {
        let mut played = BTreeSet::new();
        for stamped in &self.run.facts {
            match &stamped.fact {
                Fact::Interrupted => return true,
                Fact::StageFailed { arrangement, .. } if arrangement == WHOLE => return true,
                // What goes wrong only the second time is for the windows to show.
                Fact::JourneyPlayed { journey, steps, .. }
                    if played.insert(journey) && steps.iter().any(|s| s.problem.is_some()) =>
                {
                    return true;
                }
                // An app that dies is the answer. A remedy that dies is only no remedy.
                Fact::ChildDied { arrangement, .. } if arrangement == WHOLE => return true,
                _ => {}
            }
        }
        let window_s = f64::from(self.pace.window_s) + warmup_s(self.run);
        let time_is_up = self.run.elapsed_s() + window_s > self.pace.budget_s;
        played.len() < self.run.header.journeys.len() || time_is_up
    }

    /// The simplest remedy that held the goal's load when it was tried: do its copies answer as the whole does? A few seconds, for
    /// which there is time when there is none for another window. Asked as soon as a window shows that it may do, because by the
    /// end of the time nobody could ask any more.
    fn isolate(&self, candidates: &[Candidate]) -> Option<Next> {
        let left_s = self.pace.budget_s - self.run.elapsed_s();
        let isolation = isolation::assess(self.run);
        let helps = |c: &&Candidate| {
            let meets = self.meets_goal(&c.arrangement);
            let may_meet = meets.is_none() && self.evidence.held_the_goal(&c.arrangement.name);
            (meets == Some(true) || may_meet) && !isolation.is_unsafe(&c.arrangement)
        };
        // What was answered wrongly under load is worth a look at one answer after the other, which tells what state it is.
        let is_known = isolation.tried.iter().any(|tried| tried.answer == Answer::Unsafe);
        let is_wrong = |c: &&Candidate| {
            c.predicted_meets_goal
                && !is_known
                && remedy::wrong_answer(&self.evidence, &c.arrangement.name).is_some()
        };
        let lowest =
            |asks: &dyn Fn(&&Candidate) -> bool| worth(candidates).filter(asks).min_by_key(|c| c.kind.rung());
        let next = lowest(&helps).or_else(|| lowest(&is_wrong))?;
        let wanted = isolation::Wanted::of(&next.arrangement)?;
        let (plan, why) = isolation::next(self.run, &wanted, left_s, self.pace.is_race)?;
        Some((Step::Shadow(plan), why))
    }

    fn saturate(&self) -> Option<Next> {
        let flat_out = self.evidence.windows.iter().filter(|(w, _)| w.plan.purpose == Purpose::Saturate);
        if flat_out.filter(|(_, void)| void.is_some()).count() > VOID_FLAT_OUT {
            return None;
        }
        let users = self.evidence.users_flat_out(SATURATING_USERS_PER_CPU * self.evidence.cpus() as u32)?;
        let load = Load::Closed { users };
        let seconds = self.pace.window_s.min(4).max(self.pace.window_s * 2 / 3);
        let plan = self.window(Purpose::Saturate, Arrangement::whole(), load, 1.0, seconds);
        Some((Step::Hold(plan), format!("what it does flat out: {users} users without pauses")))
    }

    fn demand(&self) -> Option<Next> {
        if self.elapsed_share() >= self.pace.demand_until {
            return None;
        }
        // A window in which the app refused the repeated request taught nothing: its route has its turn again.
        let is_lost = |w: &Window| w.plan.purpose == Purpose::Demand && demand::refuses_repetition(w);
        let done = self.count(|w| w.plan.purpose == Purpose::Demand && !is_lost(w)) as usize;
        // Which routes, by what was known before the first of these windows; how often, by all that is known now.
        let known = |w: &&Window| w.plan.purpose == Purpose::Saturate;
        let before: Vec<Window> =
            self.evidence.windows.iter().map(|(w, _)| w).take_while(known).cloned().collect();
        let now: Vec<Window> = self.evidence.windows.iter().map(|(w, _)| w.clone()).collect();
        let mix = demand::mix(self.run);
        let worth = self.routes_by_guess(&demand::first_guess_ms(self.run, &before), &mix);
        if done >= worth.len() * self.pace.demand_rounds {
            return None;
        }
        // What costs most comes first, should the time be up; the second round runs the other way, against drift.
        let route = worth.iter().chain(worth.iter().rev()).nth(done)?;
        let emphases = demand::emphases(&demand::first_guess_ms(self.run, &now), &mix);
        let mut emphasis: Emphasis = emphases.into_iter().find(|e| e.route == *route)?;
        let why = if self.is_refused_again(route) {
            emphasis = Emphasis { route: route.clone(), times: 1, ends: true };
            format!("what {route} costs: it is refused a second time, so journeys end behind it")
        } else {
            // A route that is not repeated at all cannot be told from its neighbours in the journey.
            emphasis.times = emphasis.times.max(3);
            format!("what {route} costs: {} of them in a row in each journey", emphasis.times)
        };
        let users = DEMAND_USERS_PER_CPU * self.evidence.cpus() as u32;
        let mut plan = self.window(
            Purpose::Demand,
            Arrangement::whole(),
            Load::Closed { users },
            0.3,
            self.pace.demand_s,
        );
        plan.emphasis = Some(emphasis);
        Some((Step::Hold(plan), why))
    }

    /// The app was seen to refuse a second request of this route in a row.
    fn is_refused_again(&self, route: &Route) -> bool {
        let of_route = |w: &Window| w.plan.emphasis.as_ref().is_some_and(|e| e.route == *route);
        self.count(|w| w.plan.purpose == Purpose::Demand && of_route(w) && demand::refuses_repetition(w)) > 0
    }

    /// The routes that get windows of their own: all, or in a hurry the few that seem to cost most.
    fn routes_by_guess(&self, guess_ms: &BTreeMap<Route, f64>, mix: &BTreeMap<Route, f64>) -> Vec<Route> {
        let cost = |route: &Route| {
            guess_ms.get(route).copied().unwrap_or(0.0) * mix.get(route).copied().unwrap_or(0.0)
        };
        let mut routes: Vec<Route> = mix.keys().cloned().collect();
        routes.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
        routes.truncate(self.pace.demand_routes);
        routes
    }

    /// The load under which the whole just meets the SLO. The search begins where the model expects it, then looks at the
    /// goal itself.
    fn capacity(&self, predicted: &mut dyn FnMut() -> f64) -> Option<Next> {
        let saturation = self.evidence.saturation_users_per_s()?.mid;
        if saturation <= 0.0 || self.elapsed_share() >= self.pace.capacity_until {
            return None;
        }
        let goal = self.evidence.goal.users_per_s;
        let points = self.evidence.points(WHOLE);
        if self.is_known_well_enough(&points) {
            return None;
        }
        let held_so_far = || {
            self.evidence.fit(WHOLE).is_some_and(|f| f.bound == Bound::AtLeast && f.users_per_s.mid < goal)
        };
        let load = match self.count(|w| w.plan.purpose == Purpose::Capacity) {
            1 if goal < saturation * HOPELESS => goal,
            // The window at the goal was void: what it would have shown is what is asked.
            n if n > 1 && goal < saturation * HOPELESS && held_so_far() => goal,
            _ if points.is_empty() => predicted().clamp(saturation * HARDLY, saturation * NEARLY_SATURATED),
            _ => capacity::next_load(&points, &self.run.header.config.goal, saturation)?,
        };
        let plan = self.open_window(Purpose::Capacity, Arrangement::whole(), load);
        Some((Step::Hold(plan), format!("does the whole meet the goal at {}?", self.spoken(load))))
    }

    /// Of a goal that is surely missed, or surely met, more windows would only narrow by how much.
    fn is_known_well_enough(&self, points: &[LoadPoint]) -> bool {
        let goal = self.evidence.goal.users_per_s;
        let Some(fit) = self.evidence.fit(WHOLE).filter(|_| points.len() >= ROUGH_WINDOWS) else {
            return false;
        };
        let capacity = fit.users_per_s;
        let is_rough = capacity.half_width_share() <= ROUGH;
        let is_inside = fit.bound == Bound::Inside;
        let are_enough = is_inside && points.len() >= ENOUGH_WINDOWS;
        match self.evidence.meets_goal(WHOLE, &fit) {
            Some(true) => are_enough || is_rough && is_inside && capacity.low >= FAR_ABOVE * goal,
            Some(false) => {
                let is_far = is_inside && capacity.high < FAR_BELOW * goal;
                is_rough || are_enough || is_far || is_inside && self.pace.is_race
            }
            None => false,
        }
    }

    /// The capacity seems to be above the goal, but not for sure: look at the goal itself until it is clear.
    fn decide(&self) -> Option<Next> {
        let fit = self.evidence.fit(WHOLE)?;
        let goal = self.evidence.goal.users_per_s;
        let is_open = fit.users_per_s.mid >= goal && self.evidence.meets_goal(WHOLE, &fit).is_none();
        if !is_open || self.has_rehearsed() || self.elapsed_share() >= DECIDE_UNTIL {
            return None;
        }
        let plan = self.open_window(Purpose::Capacity, Arrangement::whole(), goal);
        Some((Step::Hold(plan), format!("it may hold: once more at {}", self.spoken(goal))))
    }

    /// No remedy does, and whether the whole itself misses the goal is open: the time that is left belongs to that.
    fn settle(&self, candidates: &[Candidate]) -> Option<Next> {
        let is_open = self.meets_goal(&Arrangement::whole()).is_none();
        let has_answer = worth(candidates).any(|c| self.meets_goal(&c.arrangement) == Some(true));
        if !is_open || has_answer {
            return None;
        }
        let goal = self.evidence.goal.users_per_s;
        let plan = self.open_window(Purpose::Capacity, Arrangement::whole(), goal);
        Some((
            Step::Hold(plan),
            format!("no remedy does; does the whole? Once more at {}", self.spoken(goal)),
        ))
    }

    /// The goal is missed, or nearly: which lines are it? Two windows on a copy of the app that was started for the
    /// profilers; none of them is measured.
    fn profile(&self) -> Option<Next> {
        let profiled = Arrangement::profiled();
        let windows = self.run.windows();
        let looked = windows.iter().filter(|w| w.plan.purpose == Purpose::Profile);
        let (emphasised, as_it_is): (Vec<&Window>, Vec<&Window>) =
            looked.partition(|w| w.plan.emphasis.is_some());
        let goal = self.evidence.goal.users_per_s;
        let holds = self.evidence.fit(WHOLE).is_some_and(|fit| fit.users_per_s.mid >= goal * NEARLY_MISSED);
        let is_idle = !emphasised.is_empty() || self.has_rehearsed() || self.elapsed_share() >= PROFILE_UNTIL;
        if is_idle || self.failed(&profiled) || (holds && self.evidence.solo_misses().is_empty()) {
            return None;
        }
        let load = Load::Closed { users: self.evidence.saturating_users()? };
        let mut plan = self.window(Purpose::Profile, profiled.clone(), load, 1.0, self.pace.window_s);
        if as_it_is.len() < PROFILE_TRIES && as_it_is.iter().all(|w| self.stood_still(w)) {
            return Some((Step::Hold(plan), "look inside: which lines run, and which wait".to_owned()));
        }
        let looked_at_rest = windows.iter().any(|w| w.plan.purpose == Purpose::ProfileAtRest);
        if let Some(users_per_s) = at_rest::load_to_look_at(&self.evidence).filter(|_| !looked_at_rest) {
            let load = Load::Open { users_per_s };
            let plan =
                self.window(Purpose::ProfileAtRest, profiled, load, warmup_s(self.run), self.pace.window_s);
            return Some((
                Step::Hold(plan),
                "it is late at any load: what runs while hardly anybody asks".to_owned(),
            ));
        }
        let demands = &self.evidence.demands().routes;
        let hot = &demands.first()?.route;
        let cpu_ms = demands.iter().map(|d| (d.route.clone(), d.cpu_ms.mid)).collect();
        let emphases = demand::emphases(&cpu_ms, &demand::mix(self.run));
        let mut emphasis = emphases.into_iter().find(|e| e.route == *hot)?;
        let why = if self.is_refused_again(hot) {
            emphasis = Emphasis { route: hot.clone(), times: 1, ends: true };
            format!("which of them are {hot}: journeys end behind it")
        } else {
            emphasis.times = emphasis.times.max(HOT_TIMES);
            format!("which of them are {hot}: {} of them in a row in each journey", emphasis.times)
        };
        plan.emphasis = Some(emphasis);
        Some((Step::Hold(plan), why))
    }

    /// An app that fills its CPUs did next to nothing, as when it waits for a lock until its patience ends: nobody could see who works.
    fn stood_still(&self, window: &Window) -> bool {
        let is_busy = self.evidence.saturated_cpu_share().is_some_and(|share| share.mid >= FULL);
        is_busy && window.app_cpu_s() < STOOD_STILL * window.seconds() * self.evidence.cpus()
    }

    /// Much of the time goes to a GET: does everybody get the same, so that it could be kept?
    fn repeats(&self) -> Option<Next> {
        let is_shadow =
            |s: &fissure_facts::Stamped| matches!(s.fact, Fact::StepBegan { step: Step::Shadow(_), .. });
        let protocol = self.run.header.config.app.protocol();
        let is_plain = !protocol.tls && protocol.http != Some(HttpVersion::Two);
        let is_late = self.has_rehearsed() || self.elapsed_share() >= PROFILE_UNTIL;
        if is_late || !is_plain || self.run.facts.iter().any(is_shadow) || !self.evidence.has_dear_get() {
            return None;
        }
        let why = "does everybody get the same answers, so that they could be kept? somebody without cookies asks again";
        Some((Step::Shadow(repeats::plan(self.run)), why.to_owned()))
    }

    /// Holding up as far as can be told, or slow even alone, or by what it does unasked: no arrangement is worth rehearsing.
    fn need_no_remedy(&self) -> Option<Next> {
        let goal = self.evidence.goal.users_per_s;
        let holds = self.evidence.fit(WHOLE).is_some_and(|fit| fit.users_per_s.mid >= goal);
        let is_lines = !self.evidence.solo_misses().is_empty() || at_rest::unasked(&self.evidence).is_some();
        ((holds && !self.has_rehearsed()) || is_lines).then(finish)
    }

    fn has_rehearsed(&self) -> bool {
        self.count(|w| matches!(w.plan.purpose, Purpose::Rehearse { .. })) > 0
    }

    /// Blocks of windows at one load: the whole, its control and every remedy, in an order of chance.
    fn rehearse(&self, candidates: &[Candidate]) -> Option<Next> {
        // Those of which the model promises less have their turn when the others have failed.
        let is_promised = self.pace.is_race && worth(candidates).any(|c| c.predicted_meets_goal);
        let remedies: Vec<&Arrangement> = worth(candidates)
            .filter(|c| !is_promised || c.predicted_meets_goal)
            .filter(|c| !self.failed(&c.arrangement) && !self.is_out_of_the_race(c))
            .map(|c| &c.arrangement)
            .collect();
        if remedies.is_empty() || self.elapsed_share() >= BLOCKS_UNTIL {
            return None;
        }
        let controls = controls();
        let load = self.rehearsal_load(candidates)?;
        for block in 0..self.pace.blocks {
            let purpose = Purpose::Rehearse { block };
            let mut order: Vec<&Arrangement> = controls.iter().chain(remedies.iter().copied()).collect();
            order.shuffle(&mut Pcg64Mcg::seed_from_u64(self.run.header.seed ^ (u64::from(block) << 32)));
            // Should the time be up within the block, the remedies have been compared with the whole.
            order.sort_by_key(|arrangement| self.pace.is_race && arrangement.name == CONTROL);
            // A window that was void gets one more try.
            let done = |a: &Arrangement| {
                let windows = self.evidence.windows.iter();
                let of_it = windows.filter(|(w, _)| w.plan.purpose == purpose && w.plan.arrangement == *a);
                let (mut tried, mut sound) = (0, 0);
                of_it.for_each(|(_, void)| (tried, sound) = (tried + 1, sound + u32::from(void.is_none())));
                sound > 0 || tried >= TRIES
            };
            if let Some(next) = order.into_iter().find(|a| !done(a) && !self.failed(a)) {
                let plan = self.open_window(purpose, next.clone(), load);
                let why = match next.name.as_str() {
                    WHOLE => "the whole again, to compare with",
                    CONTROL => "a second copy of the whole: what differs by chance",
                    name => name,
                };
                let why = format!(
                    "rehearse at {}, round {} of {}: {why}",
                    self.spoken(load),
                    block + 1,
                    self.pace.blocks
                );
                return Some((Step::Hold(plan), why));
            }
        }
        None
    }

    /// The goal's load, if any arrangement could stand it; else what the whole just stands.
    fn rehearsal_load(&self, candidates: &[Candidate]) -> Option<f64> {
        // The load of the blocks that were begun already must not change with later windows.
        let begun =
            self.evidence.windows.iter().find(|(w, _)| matches!(w.plan.purpose, Purpose::Rehearse { .. }));
        if let Some(load) = begun.and_then(|(w, _)| open_load(w)) {
            return Some(load);
        }
        let saturation = self.evidence.saturation_users_per_s()?.mid;
        let goal = self.evidence.goal.users_per_s;
        let ceilings = worth(candidates).filter_map(|c| self.evidence.ceiling_of(&c.arrangement));
        if goal <= ceilings.fold(self.evidence.ceiling_users_per_s()?, f64::max) * HOPELESS {
            return Some(goal);
        }
        let capacity = self.evidence.fit(WHOLE).map_or(0.0, |fit| fit.users_per_s.mid);
        Some(if capacity > 0.0 { capacity } else { saturation * 0.6 })
    }

    /// What is open after the rounds: first, in turns, whether a remedy that would come before the answer meets the goal, too, those
    /// before others that held it so far (what held once and missed once takes more windows than a hurried check has); then how
    /// much more than the goal the answer holds. What surely misses it, or comes after the answer, is measured no more.
    fn remedy_capacity(&self, candidates: &[Candidate]) -> Option<Next> {
        let isolation = isolation::assess(self.run);
        let is_safe = |c: &&Candidate| !self.failed(&c.arrangement) && !isolation.is_unsafe(&c.arrangement);
        let safe = || worth(candidates).filter(is_safe);
        let answer =
            safe().filter(|c| self.meets_goal(&c.arrangement) == Some(true)).min_by_key(|c| c.kind.rung());
        let mut turns: Vec<((bool, bool, u32), &Candidate)> = safe()
            .filter_map(|c| {
                let done = self
                    .count(|w| w.plan.purpose == Purpose::Capacity && w.plan.arrangement == c.arrangement);
                let is_open = self.meets_goal(&c.arrangement).is_none();
                // What is about the goal for so long is no better an answer than the next that surely meets it.
                let may_be_it = is_open
                    && answer.is_none_or(|answer| {
                        c.kind.rung() <= answer.kind.rung() && done < ENOUGH_WINDOWS as u32
                    });
                let is_it = done < BEYOND_THE_GOAL
                    && answer.is_some_and(|answer| answer.arrangement == c.arrangement);
                let held = self.evidence.held_the_goal(&c.arrangement.name);
                (may_be_it || is_it).then_some(((!is_open, !held, done), c))
            })
            .collect();
        turns.sort_by_key(|(turn, _)| *turn);
        turns.into_iter().find_map(|(_, candidate)| {
            let load = self.next_load_of(candidate)?;
            let arrangement = &candidate.arrangement;
            let plan = self.open_window(Purpose::Capacity, arrangement.clone(), load);
            Some((
                Step::Hold(plan),
                format!("{}: does it meet the goal at {}?", arrangement.name, self.spoken(load)),
            ))
        })
    }

    /// While it is open whether the remedy meets the goal, the goal. Then, as long as it does at every load, the model says
    /// how far to jump.
    fn next_load_of(&self, candidate: &Candidate) -> Option<f64> {
        let name = &candidate.arrangement.name;
        if self.evidence.fit(name).is_some_and(|fit| self.evidence.asks_for_the_goal(name, &fit)) {
            return Some(self.evidence.goal.users_per_s);
        }
        let Some(fit) = self.evidence.fit(name) else {
            // Every window of it was void.
            let tried = self.count(|w| w.plan.arrangement == candidate.arrangement);
            return self.rehearsal_load(std::slice::from_ref(candidate)).filter(|_| tried < 2 * TRIES);
        };
        let goal = self.evidence.goal.users_per_s;
        let ceiling = self.evidence.ceiling_of(&candidate.arrangement)?;
        if fit.bound == Bound::AtLeast && fit.users_per_s.mid < goal && goal <= ceiling {
            return Some(goal);
        }
        let next = capacity::next_load(&self.evidence.points(name), &self.run.header.config.goal, ceiling)?;
        let whole = self.evidence.fit(WHOLE)?.users_per_s.mid;
        let predicted = (whole * candidate.predicted.mid).min(ceiling * NEARLY_SATURATED);
        Some(if fit.bound == Bound::AtLeast { next.max(predicted) } else { next })
    }

    fn meets_goal(&self, arrangement: &Arrangement) -> Option<bool> {
        let fit = self.evidence.fit(&arrangement.name)?;
        self.evidence.meets_goal(&arrangement.name, &fit)
    }

    /// A remedy that surely misses the goal is not rehearsed again: the others need the time. One window that says otherwise than
    /// the model is not sure; in a hurry one that says the same is.
    fn is_out_of_the_race(&self, candidate: &Candidate) -> bool {
        let windows = self.evidence.open(&candidate.arrangement.name).count();
        self.meets_goal(&candidate.arrangement) == Some(false)
            && (windows > 1 || self.pace.is_race && !candidate.predicted_meets_goal)
    }

    /// It did not start, or it died under load.
    fn failed(&self, arrangement: &Arrangement) -> bool {
        self.run.facts.iter().any(|s| match &s.fact {
            Fact::StageFailed { arrangement: name, .. } | Fact::ChildDied { arrangement: name, .. } => {
                *name == arrangement.name
            }
            _ => false,
        })
    }

    fn open_window(&self, purpose: Purpose, arrangement: Arrangement, users_per_s: f64) -> WindowPlan {
        self.window(purpose, arrangement, Load::Open { users_per_s }, warmup_s(self.run), self.pace.window_s)
    }

    fn window(
        &self,
        purpose: Purpose,
        arrangement: Arrangement,
        load: Load,
        warmup_s: f64,
        seconds: u32,
    ) -> WindowPlan {
        let window = self.begun + 1;
        let seed = self.run.header.seed.wrapping_add(u64::from(window));
        window_plan(window, purpose, arrangement, load, warmup_s, seconds, seed)
    }

    fn count(&self, which: impl Fn(&Window) -> bool) -> u32 {
        self.evidence.windows.iter().filter(|(w, _)| which(w)).count() as u32
    }

    fn elapsed_share(&self) -> f64 {
        self.run.elapsed_s() / self.pace.budget_s
    }

    fn spoken(&self, users_per_s: f64) -> String {
        let goal = self.evidence.goal;
        let times = if goal.users_per_s > 0.0 { users_per_s / goal.users_per_s } else { 0.0 };
        let load =
            format!("{:.0} requests/s", users_per_s * goal.requests_per_s / goal.users_per_s.max(1e-9));
        if (times - 1.0).abs() < SAME_LOAD {
            format!("the goal's {load}")
        } else {
            format!("{load} ({times:.2} of the goal)")
        }
    }

    fn remaining_s(&self, step: &Step) -> f64 {
        if *step == Step::Finish { 0.0 } else { (self.pace.budget_s - self.run.elapsed_s()).max(1.0) }
    }
}

/// A window with the journeys' own mix. In an open one no visit is longer than the warm-up.
pub(crate) fn window_plan(
    window: u32,
    purpose: Purpose,
    arrangement: Arrangement,
    load: Load,
    warmup_s: f64,
    seconds: u32,
    seed: u64,
) -> WindowPlan {
    let visit_max_s = load.is_open().then_some(VISIT_MAX_S);
    WindowPlan { window, purpose, arrangement, load, emphasis: None, warmup_s, visit_max_s, seconds, seed }
}

/// Candidates that are worth a rehearsal.
fn worth(candidates: &[Candidate]) -> impl Iterator<Item = &Candidate> {
    candidates.iter().filter(|c| c.why_not.is_none())
}
