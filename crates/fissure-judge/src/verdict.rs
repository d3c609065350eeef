//! The verdict: the lowest rung of the ladder that, when rehearsed, meets the goal.

mod doubts;

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::fact::{ErrorClass, RouteSecond};
use fissure_facts::{Arrangement, Estimate, Fact, Purpose, Route, Run, Window};

use crate::capacity::CapacityFit;
use crate::demand::Demands;
use crate::evidence::{CONTROL, Evidence, WHOLE, is_cpu_bound, open_load};
use crate::isolation::{self, Isolation};
use crate::judgement::{
    BlamedLink, Control, CurveLatency, CurvePoint, DatabaseWork, Fix, HeldBack, HeldWorkers, Judgement,
    LatencyChange, Limit, Missing, Questions, RemedyKind, RemedyResult, Resource, SoloMiss, Unasked, Verdict,
    Waits,
};
use crate::limit::{self, FULL};
use crate::lines::{self, Lines};
use crate::{at_rest, goal, held_back, pairs, questions, remedy, statements, stats, waits};

/// Half of the windows void: nothing can rest on the rest.
const VOID_MOST: f64 = 0.5;
/// A share of errors under the lightest load above which the app is wrong, not slow.
const ERRORS_AT_REST: f64 = 0.05;
/// Why a remedy that was worth it was not rehearsed.
const TIME_WAS_UP: &str = "the time was up before it was its turn";
/// A remedy that was measured to hold this many times what the whole holds has helped, if not enough.
const HELPS: f64 = 1.3;
/// Lines with this share of the CPU come before more CPUs.
const GREATER_PART: f64 = 0.5;
/// Lines in more functions than this are no few lines: a report of ten small computations was to be rewritten where its answer could be kept.
/// Other remedies are tried first.
const FEW_FUNCTIONS: usize = 3;
/// In more than these it is the work itself, and where no arrangement does it takes more CPU.
const NOT_MANY_FUNCTIONS: usize = 5;

/// Judges a run. A pure function: the same facts give the same answer, next year too.
pub fn judge(run: &Run) -> Judgement {
    Bench::new(run).judge()
}

/// What the whole misses few lines would give back, by the whole interval of the prediction: whatever arrangements do beside it, the answer is those lines.
pub(crate) fn lines_would_do(run: &Run) -> bool {
    let bench = Bench::new(run);
    bench.void_windows().is_none() && bench.would_do(bench.fix().as_ref())
}

/// The evidence, laid out for the verdict.
struct Bench<'r> {
    run: &'r Run,
    evidence: Evidence<'r>,
    fit: Option<CapacityFit>,
    demands: Demands,
    lines: Option<Lines>,
    /// Flat out the CPU is full, or one thread is.
    is_cpu_full: bool,
    /// What it does by itself, where that has everybody wait.
    unasked: Option<Unasked>,
    questions: Vec<Questions>,
    databases: Vec<DatabaseWork>,
    held_back: Vec<HeldBack>,
    held_workers: Option<HeldWorkers>,
    /// What it holds with its workers released, over what it holds as it is.
    released: Option<Estimate>,
    /// What shows that its threads take turns for the interpreter's lock.
    interpreter: Option<String>,
    /// None where the CPU gives way first.
    waits: Option<Waits>,
    /// Where the CPU is full and most of the requests wait for something else all the same.
    beside_the_cpu: Option<(Waits, Resource, f64)>,
}

impl<'r> Bench<'r> {
    fn new(run: &'r Run) -> Self {
        let evidence = Evidence::of(run);
        let fit = evidence.fit(WHOLE);
        let demands = evidence.demands().clone();
        let lines = lines::lines(run, &demands.routes);
        let is_full = evidence.saturated_cpu_share().map(|s| limit::cpu_resource(&evidence, s.mid).is_some());
        let seen = is_full.and_then(|_| waits::waits(run));
        let interpreter = seen.as_ref().and_then(limit::interpreter);
        let is_full = is_full.map(|is_full| is_full || interpreter.is_some());
        let (waits, beside_the_cpu) = match (is_full, seen) {
            (Some(false), seen) => (seen, None),
            (_, Some(seen)) => {
                let beside = limit::waiting::beside_the_cpu(&seen, &run.header.config);
                (None, beside.map(|(resource, share)| (seen, resource, share)))
            }
            (_, None) => (None, None),
        };
        let is_cpu_full = is_full == Some(true);
        let questions = questions::questions(run, lines.as_ref());
        let unasked = at_rest::unasked(&evidence);
        let held_back = held_back::held_back(run);
        let released = evidence.fit(&Arrangement::closing().name);
        let released = released.and_then(|released| released.over(fit.as_ref()?));
        // By what the shortlist rests on; and where it was tried and changed nothing, it was not that.
        let held_workers = evidence.before_rehearsals().held_workers();
        let held_workers = held_workers.filter(|_| released.is_none_or(|ratio| ratio.mid >= HELPS));
        Self {
            run,
            evidence,
            fit,
            demands,
            lines,
            is_cpu_full,
            unasked,
            questions,
            databases: statements::databases(run),
            held_back,
            held_workers,
            released,
            interpreter,
            waits,
            beside_the_cpu,
        }
    }

    fn judge(&self) -> Judgement {
        let remedies = self.remedies();
        let control = self.control();
        let fix = self.fix();
        let isolation = isolation::assess(self.run);
        let verdict = self.verdict(&remedies, fix.as_ref(), &isolation);
        let windows = self.evidence.windows.len() as u32;
        let windows_void = self.evidence.windows.iter().filter(|(_, void)| void.is_some()).count() as u32;
        Judgement {
            doubts: self.doubts(&verdict, &remedies, control.as_ref()),
            not_checked: self.not_checked(&isolation),
            isolation,
            goal: self.evidence.goal,
            limit: match &self.held_workers {
                Some(held) if verdict.releases_workers(&remedies) => {
                    Some(limit::of_held_workers(held, self.fit.as_ref()))
                }
                _ => self.limit(&verdict),
            },
            held_workers: self.held_workers,
            waits: self.waits.clone(),
            databases: self.databases.clone(),
            unasked: self.unasked.clone(),
            questions: self.questions.clone(),
            fix,
            growth: self.evidence.growth(),
            held_back: self.held_back.clone(),
            capacity: self.fit.as_ref().map(|fit| goal::capacity(self.run, fit)),
            saturation_per_s: self
                .evidence
                .saturation_users_per_s()
                .map(|users| users.scaled(goal::requests_per_user(self.run))),
            demands: self.demands.routes.clone(),
            background_cores: self.demands.background_cores,
            connection: self.demands.connection,
            curve: self.curve(),
            verdict,
            remedies,
            control,
            windows,
            windows_void,
        }
    }

    fn limit(&self, verdict: &Verdict) -> Option<Limit> {
        limit::limit(
            &self.evidence,
            &self.demands,
            self.fit.as_ref(),
            self.lines.as_ref(),
            self.waits.as_ref(),
            match verdict {
                Verdict::ItsTheLink { link, .. } => Some(link),
                _ => None,
            },
            self.interpreter.clone(),
        )
    }

    fn verdict(&self, remedies: &[RemedyResult], fix: Option<&Fix>, isolation: &Isolation) -> Verdict {
        if let Some(missing) = self.broken() {
            return not_enough(missing);
        }
        let goal = self.evidence.goal.users_per_s;
        if let Some(fit) = &self.fit
            && self.evidence.meets_goal(WHOLE, fit) == Some(true)
        {
            return Verdict::HoldingUp { headroom: fit.users_per_s.scaled(1.0 / goal) };
        }
        if let Some(missing) = self.void_windows() {
            return not_enough(missing);
        }
        if let Some(verdict) = self.slow_alone() {
            return verdict;
        }
        if self.unasked.is_some() {
            return Verdict::FixTheseLines { routes: Vec::new() };
        }
        let fix = fix.filter(|_| self.is_one_thing());
        // Nobody needs a remedy for what may well hold already.
        if let Some(fit) = self.fit.as_ref().filter(|fit| fit.users_per_s.mid >= goal) {
            return self.too_close(fit);
        }
        if self.would_do(fix) {
            return Verdict::FixTheseLines { routes: Vec::new() };
        }
        let lowest = |is_unsafe: bool| {
            let meets = |r: &RemedyResult| {
                r.meets_goal == Some(true) && isolation.is_unsafe(&r.arrangement) == is_unsafe
            };
            remedies.iter().enumerate().filter(|(_, r)| meets(r)).min_by_key(|(_, r)| {
                (r.kind.rung(), std::cmp::Reverse(ordered(r.capacity_ratio.map_or(0.0, |c| c.mid))))
            })
        };
        if let Some((index, _)) = lowest(false) {
            return Verdict::Remedy { index };
        }
        // No arrangement was seen to do, so what the lines promise may be less than certain.
        if self.might_do(fix) {
            return Verdict::FixTheseLines { routes: Vec::new() };
        }
        let lowest_wrong = || {
            // What is answered wrongly was not seen to meet the goal, and might all the same.
            let would_do = |r: &RemedyResult| {
                r.wrong.is_some() && r.predicted.is_some_and(|p| self.held() * p.mid >= goal)
            };
            remedies.iter().position(would_do)
        };
        if let Some(index) = lowest(true).map(|(index, _)| index).or_else(lowest_wrong) {
            return Verdict::UnsafeToSplit { index };
        }
        if let Some(fit) = self.fit.as_ref().filter(|fit| self.evidence.meets_goal(WHOLE, fit).is_none()) {
            return self.too_close(fit);
        }
        if self.asks_row_by_row() {
            return Verdict::FixTheseLines { routes: Vec::new() };
        }
        if let Some(link) = self.blamed_link(remedies) {
            return Verdict::ItsTheLink { link, alone: None };
        }
        if let Some(missing) = self.two_limits() {
            return not_enough(missing);
        }
        // Nobody buys CPUs for few lines of the app's own that most of the CPU goes to, at which most requests wait for a lock or a
        // file, or that ask for each row of a list.
        let is_held_up = matches!(self.resource_that_waits(), Some(Resource::Lock | Resource::Disk))
            || self.questions.iter().any(Questions::stand_out);
        if (self.is_cpu_full || is_held_up) && fix.is_some_and(|fix| fix.share.mid >= GREATER_PART) {
            return Verdict::FixTheseLines { routes: Vec::new() };
        }
        let best = best_of(remedies);
        let cpus_needed = remedy::cpus_needed(&self.demands, self.evidence.goal);
        let is_cut_off = self.run.was_interrupted();
        if let Some(lines) =
            self.lines.as_ref().filter(|lines| lines.are_unseen() && self.is_cpu_full && !is_cut_off)
        {
            return not_enough(Missing::LinesUnseen { cpus_needed, best, engine: lines.engine });
        }
        // More CPUs are the last of the remedies, so it takes a run that had time for the others; and CPUs that are short for certain, where
        // they were not seen to be full.
        let is_short =
            if self.is_cpu_full { cpus_needed.mid } else { cpus_needed.low } > self.evidence.cpus();
        if is_short && !is_cut_off {
            return Verdict::ScaleOut {
                cpus_needed,
                cpus_given: self.run.header.machine.app_cpus.len(),
                best,
            };
        }
        if is_cut_off {
            return not_enough(Missing::Interrupted);
        }
        match self.evidence.saturated_cpu_share() {
            Some(_) if remedies.is_empty() || remedies.iter().any(is_open) => not_enough(Missing::OutOfTime),
            Some(cpu_share) if cpu_share.mid < FULL => {
                not_enough(Missing::SomethingWaits { cpu_share, best })
            }
            Some(_) => not_enough(Missing::NothingHelps { cpus_needed, best }),
            None => not_enough(Missing::OutOfTime),
        }
    }

    /// Nobody buys a larger database, or CPUs, for what is asked row by row. Where each of the questions reads a whole table, it is the
    /// database all the same: an index comes first.
    fn asks_row_by_row(&self) -> bool {
        let model = self.evidence.model(&self.demands);
        let waits = self.waits.as_ref();
        let reads_whole_tables =
            self.databases.iter().any(|work| work.dear.as_ref().is_some_and(|dear| dear.reads.is_some()));
        !reads_whole_tables
            && self.questions.iter().any(|asked| questions::take_the_time(asked, &model, waits))
    }

    /// What the dearest lines would give, or those at which the requests wait. A prediction: lines cannot be rehearsed.
    fn fix(&self) -> Option<Fix> {
        let mut model = self.evidence.model(&self.demands);
        // Cheaper lines free no worker that is held by a user who thinks: they count on what was seen without that.
        let released = self.released.filter(|_| self.held_workers.is_some());
        if self.held_workers.is_none() || released.is_some() {
            model.admits_per_s = None;
        }
        let header = &self.run.header;
        let (config, seed) = (&header.config, header.seed);
        let needed = remedy::cpus_needed(&self.demands, self.evidence.goal);
        let mut fix = match &self.waits {
            Some(waits) => limit::freed::fix(waits, config, &model, needed, seed)?,
            None => lines::fix(self.lines.as_ref()?, &model, needed, &config.goal, seed)?,
        };
        fix.capacity_ratio = fix.capacity_ratio.scaled(released.map_or(1.0, |ratio| ratio.mid));
        // What was measured of the whole may be more than the model holds of it, and then the ratio promises more than the CPUs
        // can do. They are full at the latest when the utilisation law says so (Denning & Buzen 1978).
        let goal = self.evidence.goal.users_per_s;
        let cpus_at_goal = fix.cpus_needed.mid * remedy::BUSY_AT_MOST;
        let most = self.evidence.cpus() * goal / cpus_at_goal / self.held();
        if most.is_finite() {
            let ratio = fix.capacity_ratio;
            fix.capacity_ratio =
                Estimate::new(ratio.mid.min(most), ratio.low.min(most), ratio.high.min(most));
        }
        Some(fix)
    }

    /// Where two things may be it, no prediction that counts on one of them is worth a promise.
    fn is_one_thing(&self) -> bool {
        self.beside_the_cpu.is_none()
    }

    /// Even at the lower end of the prediction the goal would be met.
    fn would_do(&self, fix: Option<&Fix>) -> bool {
        // Of a pool it is not known whether what stands behind it can do more; to rehearse copies tells.
        let is_known = self.is_one_thing()
            && self.resource_that_waits() != Some(Resource::Pool)
            && self.held_workers.is_none();
        is_known
            && fix.is_some_and(|fix| {
                fix.functions <= FEW_FUNCTIONS
                    && self.held() * fix.capacity_ratio.low >= self.evidence.goal.users_per_s
            })
    }

    /// In the middle of the prediction it would.
    fn might_do(&self, fix: Option<&Fix>) -> bool {
        fix.is_some_and(|fix| {
            fix.functions <= NOT_MANY_FUNCTIONS
                && self.held() * fix.capacity_ratio.mid >= self.evidence.goal.users_per_s
        })
    }

    /// What the whole holds, in users per second.
    fn held(&self) -> f64 {
        self.fit.as_ref().map_or(0.0, |fit| fit.users_per_s.mid)
    }

    /// The database or service that most requests wait for, when no arrangement was seen to help clearly.
    fn blamed_link(&self, remedies: &[RemedyResult]) -> Option<BlamedLink> {
        let (waits, config) = (self.waits.as_ref()?, &self.run.header.config);
        let link =
            limit::waiting::link(waits, config).or_else(|| limit::waiting::link_of_workers(waits, config))?;
        let copies = |r: &RemedyResult| r.kind == RemedyKind::AddReplicas && is_open(r);
        let helps = |r: &RemedyResult| r.capacity_ratio.is_some_and(|c| c.low >= HELPS);
        let is_tried = !remedies.is_empty() && !remedies.iter().any(copies);
        let is_told = is_tried || limit::waiting::is_all_there(waits, &link);
        (is_told && !remedies.iter().any(helps)).then_some(link)
    }

    fn resource_that_waits(&self) -> Option<Resource> {
        let (resource, _) = limit::waiting::resource(self.waits.as_ref()?, &self.run.header.config)?;
        Some(resource)
    }

    fn two_limits(&self) -> Option<Missing> {
        let (waits, other, other_share) = self.beside_the_cpu.as_ref()?;
        let cpu_share = self.evidence.saturated_cpu_share()?;
        let link = limit::waiting::link(waits, &self.run.header.config);
        Some(Missing::TwoLimits { cpu_share, other: *other, other_share: *other_share, link })
    }

    /// The goal lies inside the interval; with more windows the interval might have told.
    fn too_close(&self, fit: &CapacityFit) -> Verdict {
        let (capacity, goal) = (fit.users_per_s, self.evidence.goal.users_per_s);
        let is_cut_off = self.run.was_interrupted();
        not_enough(if is_cut_off { Missing::Interrupted } else { Missing::TooClose { capacity, goal } })
    }

    /// The app did not start, does not answer as expected, or died.
    fn broken(&self) -> Option<Missing> {
        let mut played = BTreeSet::new();
        for stamped in &self.run.facts {
            match &stamped.fact {
                Fact::StageFailed { arrangement, failure } if arrangement == WHOLE => {
                    return Some(Missing::NotStarted {
                        sentence: failure.sentence.clone(),
                        last_lines: failure.last_lines.clone(),
                    });
                }
                Fact::JourneyPlayed { journey, steps, .. } => {
                    let wrong = steps.iter().find_map(|s| Some((s, s.problem.as_ref()?)));
                    if let (true, Some((step, problem))) = (played.insert(journey), wrong) {
                        return Some(Missing::JourneyFails {
                            journey: journey.clone(),
                            line: step.line,
                            route: step.route.clone(),
                            problem: problem.clone(),
                        });
                    }
                }
                Fact::ChildDied { arrangement, role, how, last_lines, .. } if arrangement == WHOLE => {
                    let how = format!("{role}: {how}");
                    return Some(Missing::Died { how, last_lines: last_lines.clone() });
                }
                _ => {}
            }
        }
        if played.is_empty() {
            return Some(if self.run.was_interrupted() { Missing::Interrupted } else { Missing::OutOfTime });
        }
        self.wrong_at_rest()
    }

    /// Errors under the lightest load: the app (or the journey) is wrong, and no arrangement will mend that.
    fn wrong_at_rest(&self) -> Option<Missing> {
        let lightest = self.evidence.open(WHOLE).min_by(|a, b| {
            let load = |w: &Window| open_load(w).unwrap_or(f64::INFINITY);
            load(a).total_cmp(&load(b))
        })?;
        // Who waits for a worker in vain was answered late, not wrongly.
        let wrong = |seen: &RouteSecond| {
            let late = seen.errors.get(&ErrorClass::Timeout).filter(|_| self.held_workers.is_some());
            seen.error_count() - late.copied().unwrap_or(0)
        };
        let worst = lightest
            .routes()
            .into_iter()
            .filter(|(_, seen)| seen.ended() >= 10)
            .map(|(route, seen)| (wrong(&seen) as f64 / seen.ended() as f64, route))
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        let (share, route) = worst;
        (share > ERRORS_AT_REST).then_some(Missing::Errors { route, share })
    }

    fn void_windows(&self) -> Option<Missing> {
        let why = self.void_reasons();
        let void: u32 = why.values().sum();
        let windows = self.evidence.windows.len() as u32;
        let open_void = self.evidence.open(WHOLE).next().is_none() && void > 0;
        (open_void || f64::from(void) > VOID_MOST * f64::from(windows)).then_some(Missing::Void {
            void,
            windows,
            why,
        })
    }

    fn void_reasons(&self) -> BTreeMap<String, u32> {
        let mut why = BTreeMap::new();
        for void in self.evidence.windows.iter().filter_map(|(_, void)| void.as_ref()) {
            *why.entry(void.word().to_owned()).or_default() += 1;
        }
        why
    }

    /// Some route misses its goal even alone: mostly CPU means lines, mostly waiting means something outside them.
    fn slow_alone(&self) -> Option<Verdict> {
        let misses = self.evidence.solo_misses();
        let is_held_back = |miss: &SoloMiss| self.held_back.iter().any(|h| h.route == miss.route);
        let waiting = misses.iter().find(|m| !is_cpu_bound(m) && !is_held_back(m));
        let link = || limit::waiting::link(self.waits.as_ref()?, &self.run.header.config);
        if let Some((miss, link)) = waiting.and_then(|miss| Some((miss, link()?))) {
            return Some(Verdict::ItsTheLink { link, alone: Some(miss.clone()) });
        }
        if let Some(miss) = waiting {
            return Some(not_enough(Missing::SoloWaits {
                route: miss.route.clone(),
                latency_ms: miss.latency_ms,
                cpu_ms: miss.cpu_ms,
                limit_ms: miss.limit_ms,
            }));
        }
        (!misses.is_empty()).then_some(Verdict::FixTheseLines { routes: misses })
    }

    /// Every remedy: predicted, and measured where it was rehearsed.
    fn remedies(&self) -> Vec<RemedyResult> {
        let worth_asking =
            self.evidence.windows.iter().any(|(w, _)| matches!(w.plan.purpose, Purpose::Rehearse { .. }));
        if !worth_asking {
            return Vec::new();
        }
        let mut results: Vec<RemedyResult> = self
            .evidence
            .before_rehearsals()
            .candidates()
            .into_iter()
            .map(|candidate| {
                let fit = self.evidence.fit(&candidate.arrangement.name);
                let tried = fit.is_some();
                RemedyResult {
                    kind: candidate.kind,
                    area: candidate.area,
                    predicted: Some(candidate.predicted),
                    capacity_ratio: fit.as_ref().and_then(|fit| fit.over(self.fit.as_ref()?)),
                    capacity: fit.as_ref().map(|fit| goal::capacity(self.run, fit)),
                    latency_ratio: self.latency_changes(&candidate.arrangement),
                    meets_goal: fit
                        .as_ref()
                        .and_then(|fit| self.evidence.meets_goal(&candidate.arrangement.name, fit)),
                    wrong: remedy::wrong_answer(&self.evidence, &candidate.arrangement.name),
                    not_rehearsed: self.why_not_rehearsed(&candidate.arrangement, candidate.why_not, tried),
                    arrangement: candidate.arrangement,
                }
            })
            .collect();
        results.sort_by_key(|r| r.kind.rung());
        results
    }

    fn why_not_rehearsed(
        &self,
        arrangement: &Arrangement,
        why_not: Option<String>,
        tried: bool,
    ) -> Option<String> {
        let failed = self.run.facts.iter().find_map(|s| match &s.fact {
            Fact::StageFailed { arrangement: name, failure } if *name == arrangement.name => {
                Some(failure.sentence.clone())
            }
            Fact::ChildDied { arrangement: name, role, how, .. } if *name == arrangement.name => {
                Some(format!("it died under load ({role}: {how})"))
            }
            _ => None,
        });
        failed.or(why_not).or_else(|| (!tried).then(|| TIME_WAS_UP.to_owned()))
    }

    /// The SLO's quantile of each route, remedy against whole, paired by blocks.
    fn latency_changes(&self, arrangement: &Arrangement) -> BTreeMap<Route, LatencyChange> {
        let change = |route: &Route| {
            let read = |w: &Window| pairs::slo_latency_ms(w, route, &self.run.header.config.goal);
            let change = pairs::change(&self.pairs(arrangement, read), self.run.header.seed)?;
            Some(LatencyChange { whole_ms: change.was, remedy_ms: change.is, ratio: change.ratio })
        };
        let routes = self.run.routes().into_iter();
        routes.filter_map(|route| change(&route).map(|change| (route, change))).collect()
    }

    /// (arrangement, whole) of every block in which both have a valid window. The control is the whole too, so where
    /// both stand in a block their geometric mean is the better witness; the control itself is held against the whole alone.
    fn pairs(&self, arrangement: &Arrangement, read: impl Fn(&Window) -> Option<f64>) -> Vec<(f64, f64)> {
        let whole: &[&str] = if arrangement.name == CONTROL { &[WHOLE] } else { &[WHOLE, CONTROL] };
        pairs::pairs(&self.evidence, &arrangement.name, whole, read)
    }

    fn control(&self) -> Option<Control> {
        let control = Arrangement::control();
        // Against the CPU that its requests should have cost: by chance one window has more of the dear ones than another.
        let per_work = |w: &Window| {
            let expected_s = self.demands.cpu_s(w);
            (expected_s > 0.0).then(|| w.app_cpu_s() / expected_s)
        };
        let cpu_ratio = pairs::change(&self.pairs(&control, per_work), self.run.header.seed)?.ratio;
        Some(Control { cpu_ratio, latency_ratio: self.latency_changes(&control) })
    }

    /// Latency against load of the whole: windows within 3 % of each other make one point.
    fn curve(&self) -> Vec<CurvePoint> {
        let mut windows: Vec<(f64, &Window)> =
            self.evidence.open(WHOLE).filter_map(|w| Some((open_load(w)?, w))).collect();
        windows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut groups: Vec<Vec<(f64, &Window)>> = Vec::new();
        for (load, window) in windows {
            match groups.last_mut() {
                Some(group) if load <= group[0].0 * 1.03 => group.push((load, window)),
                _ => groups.push(vec![(load, window)]),
            }
        }
        groups.iter().map(|group| self.curve_point(group)).collect()
    }

    fn curve_point(&self, group: &[(f64, &Window)]) -> CurvePoint {
        let loads: Vec<f64> = group.iter().map(|(load, _)| *load).collect();
        let users_per_s = stats::mean(&loads);
        let mut routes = BTreeMap::new();
        let (mut errors, mut ended) = (0, 0);
        for route in self.run.routes() {
            let mut latency = fissure_facts::Latencies::new();
            for (_, window) in group {
                let seen = window.route(&route);
                errors += seen.error_count();
                ended += seen.ended();
                latency.add(&seen.latency);
            }
            let slo = self.run.header.config.goal.slo_of(&route);
            let ms = |q: f64| latency.quantile_us(q) as f64 / 1e3;
            if !latency.is_empty() {
                let slo_ratio = latency.quantile_us(slo.quantile()) as f64 / slo.limit_us() as f64;
                let requests = latency.count();
                routes.insert(
                    route,
                    CurveLatency { p50_ms: ms(0.5), p95_ms: ms(0.95), p99_ms: ms(0.99), slo_ratio, requests },
                );
            }
        }
        let probes: Vec<_> = group.iter().flat_map(|(_, w)| &w.probes).collect();
        let elapsed: f64 = probes.iter().map(|p| p.elapsed_s).sum();
        let cpu: f64 = probes.iter().map(|p| p.app_cpu_s).sum();
        CurvePoint {
            users_per_s,
            requests_per_s: users_per_s * goal::requests_per_user(self.run),
            cpu_share: if elapsed > 0.0 { cpu / elapsed / self.evidence.cpus() } else { 0.0 },
            error_share: if ended > 0 { errors as f64 / ended as f64 } else { 0.0 },
            routes,
        }
    }

    fn not_checked(&self, isolation: &Isolation) -> Vec<String> {
        let mut list = vec!["Faults: no process, link or disk was made to fail.".to_owned()];
        if !self.run.facts.iter().any(|s| matches!(s.fact, Fact::StatementsSeen(_))) {
            let databases = "Databases and other services behind the app: their own time was not measured.";
            list.insert(0, databases.to_owned());
        }
        if isolation.tried.is_empty() {
            let copies = "Whether copies or a split keep every answer right: state inside the process (sessions, caches, locks, files) \
                          was not compared. `fissure isolate` does.";
            list.insert(0, copies.to_owned());
        }
        if self.lines.is_none() {
            let lines = "The lines: no profiler has looked inside the app, so a few lines to fix may do what a remedy does.";
            list.insert(0, lines.to_owned());
        }
        for stamped in &self.run.facts {
            if let Fact::LeftOut { what, why } = &stamped.fact {
                let left_out = format!("{what}: {why}");
                if !list.contains(&left_out) {
                    list.push(left_out);
                }
            }
        }
        list
    }
}

fn not_enough(missing: Missing) -> Verdict {
    Verdict::NotEnoughEvidence { reasons: vec![missing] }
}

/// A remedy whose turn did not come, or of which the measurement does not tell, may still be the answer.
fn is_open(remedy: &RemedyResult) -> bool {
    remedy.meets_goal.is_none() && remedy.not_rehearsed.as_deref().is_none_or(|why| why == TIME_WAS_UP)
}

/// The remedy with the largest measured capacity, if it is larger than the whole's.
fn best_of(remedies: &[RemedyResult]) -> Option<usize> {
    let ratio = |r: &RemedyResult| r.capacity_ratio.map_or(0.0, |c| c.mid);
    (0..remedies.len())
        .filter(|&i| ratio(&remedies[i]) > 1.0)
        .max_by(|&a, &b| ratio(&remedies[a]).total_cmp(&ratio(&remedies[b])))
}

/// A float that sorts: capacity ratios are finite and positive.
fn ordered(value: f64) -> u64 {
    (value.max(0.0) * 1e6) as u64
}
