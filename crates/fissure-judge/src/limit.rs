//! What gives way first, as far as the facts tell.

pub(crate) mod freed;
pub(crate) mod waiting;

use fissure_facts::{Fact, Route, Stamped};

use crate::capacity::CapacityFit;
use crate::demand::Demands;
use crate::evidence::{Evidence, taken_s};
use crate::judgement::{BlamedLink, HeldWorkers, Limit, Resource, RouteDemand, Waits, WaitsFor};
use crate::lines::Lines;
use crate::stats;

/// The app's CPUs count as full from here on: above it queueing dominates, and the last tenth is scheduling.
pub const FULL: f64 = 0.85;
/// Instruments of languages in which one thread of a process runs at a time.
const ONE_THREAD_LANGUAGES: [&str; 4] = ["node", "python", "ruby", "php"];
/// One thread carries the work when it uses at least this share of the app's CPU.
const ONE_THREAD_SHARE: f64 = 0.8;

/// An answer of a heavy route that is larger than this deserves a word.
const LARGE_BYTES: f64 = 250_000.0;

/// None when something waits and nothing shows what. `blamed`: the link that the verdict names.
pub fn limit(
    found: &Evidence<'_>,
    demands: &Demands,
    fit: Option<&CapacityFit>,
    lines: Option<&Lines>,
    waits: Option<&Waits>,
    blamed: Option<&BlamedLink>,
    interpreter: Option<String>,
) -> Option<Limit> {
    let cpu_share = found.saturated_cpu_share()?;
    let cpus = found.cpus();
    let flat_out = format!(
        "flat out {:.0} % of the app's {} CPU{} is busy",
        cpu_share.mid * 100.0,
        cpus,
        if cpus > 1.0 { "s" } else { "" }
    );
    let victims = fit.map(|fit| fit.victims.clone()).unwrap_or_default();
    let one_at_a_time = || interpreter.map(|said| (Resource::OneThread, vec![said]));
    let Some((resource, mut evidence)) = cpu_resource(found, cpu_share.mid).or_else(one_at_a_time) else {
        let (resource, mut evidence) = match blamed {
            Some(link) => waiting::of_link(waits?, link),
            None => waiting::resource(waits?, &found.run.header.config)?,
        };
        let place = waiting::places(waits?, resource);
        evidence.insert(0, flat_out);
        // Whoever takes a worker has everybody wait: what a route takes alone tells who it is.
        let is_taken = matches!(resource, Resource::Pool | Resource::OneThread);
        let (routes, said) =
            if is_taken { waiting::longest_alone(&found.model(demands)) } else { waiting::longest(found) };
        evidence.extend(said);
        return Some(Limit { resource, is_waited_for: true, routes, victims, evidence, place });
    };
    evidence.insert(0, flat_out);
    let place = lines.map(|lines| lines.places.clone()).unwrap_or_default();
    let heavy = heaviest(&demands.routes);
    for route in &heavy {
        if let Some(d) = demands.routes.iter().find(|d| d.route == *route) {
            let cost_ms = d.cpu_ms.mid;
            let digits = if cost_ms < 0.1 { 3 } else { 1 };
            evidence.push(format!(
                "{route} is {:.1} % of the requests and {:.0} % of the CPU ({cost_ms:.digits$} ms each)",
                d.mix * 100.0,
                d.share * 100.0
            ));
        }
    }
    evidence.extend(heavy.iter().filter_map(|route| large_answers(found, route)));
    Some(Limit { resource, is_waited_for: false, routes: heavy, victims, evidence, place })
}

/// Workers that users keep while they think.
pub fn of_held_workers(held: &HeldWorkers, fit: Option<&CapacityFit>) -> Limit {
    let busy = held.cpu_share * 100.0;
    let said = format!(
        "beyond its capacity {busy:.0} % of the app's CPU is busy, the first request on a connection takes {:.0} ms and later ones {:.0} ms: the workers are held by users who think",
        held.first_ms, held.later_ms
    );
    Limit {
        resource: Resource::Pool,
        is_waited_for: true,
        routes: Vec::new(),
        victims: fit.map(|fit| fit.victims.clone()).unwrap_or_default(),
        evidence: vec![said],
        place: Vec::new(),
    }
}

/// What a heavy route answers is itself a reason for its cost, when it is more than a person reads.
fn large_answers(found: &Evidence<'_>, route: &Route) -> Option<String> {
    let seconds = found.windows.iter().flat_map(|(w, _)| &w.crowd);
    let seen = seconds.filter_map(|second| second.routes.get(route));
    let (bytes, answers) = seen.fold((0, 0), |sum, seen| (sum.0 + seen.bytes, sum.1 + seen.latency.count()));
    let mean = bytes as f64 / answers.max(1) as f64;
    (mean >= LARGE_BYTES).then(|| {
        format!(
            "{route} answers {:.1} MB each: what nobody looks at (pages, fields) need not be read, made and sent",
            mean / 1e6
        )
    })
}

/// The interpreter's own lock is always taken, or most of the requests under way wait for it: its threads take turns, and
/// together they are one.
pub fn interpreter(waits: &Waits) -> Option<String> {
    let share = waits.share(|what| *what == WaitsFor::Interpreter);
    let shown = if waits.interpreter_held >= FULL {
        format!(
            "some thread holds the interpreter's lock {:.0} % of the time",
            waits.interpreter_held * 100.0
        )
    } else if share >= waiting::MOST {
        let waiting = share * waits.under_way;
        format!(
            "{waiting:.1} of the {:.0} requests under way wait for the interpreter's lock",
            waits.under_way
        )
    } else {
        return None;
    };
    Some(format!("{shown}, so its threads work one at a time"))
}

/// None when neither the CPUs nor one thread are used up.
pub fn cpu_resource(found: &Evidence<'_>, cpu_share: f64) -> Option<(Resource, Vec<String>)> {
    let probes: Vec<_> =
        found.saturated().into_iter().flat_map(|w| &w.probes).filter(|p| p.app_cpu_s > 0.0).collect();
    let busiest = |p: &fissure_facts::fact::ProbeSecond| p.thread_cpu_s.first().copied().unwrap_or(0.0);
    let of_app: Vec<f64> = probes.iter().map(|p| busiest(p) / p.app_cpu_s).collect();
    let of_core: Vec<f64> =
        probes.iter().map(|p| (busiest(p) + taken_s(p)) / p.elapsed_s.max(1e-9)).collect();
    let thread_share = stats::median(&of_app).unwrap_or(0.0);
    let thread_cores = stats::median(&of_core).unwrap_or(0.0);
    if thread_share >= ONE_THREAD_SHARE && thread_cores >= FULL && tells_threads_from_cpus(found) {
        let said = format!(
            "one thread does {:.0} % of that work and is busy {:.0} % of the time",
            thread_share * 100.0,
            thread_cores.min(1.0) * 100.0
        );
        return Some((Resource::OneThread, vec![said]));
    }
    (cpu_share >= FULL).then(|| (Resource::Cpu, Vec::new()))
}

/// On one CPU every app does its work in one thread at a time, and many start no more workers than there are CPUs. There only the
/// language says which it is.
fn tells_threads_from_cpus(found: &Evidence<'_>) -> bool {
    let of_one_thread = |s: &Stamped| matches!(&s.fact, Fact::Profiled(p) if ONE_THREAD_LANGUAGES.contains(&&*p.instrument) && !p.stacks.is_empty());
    found.cpus() > 1.0 || found.run.facts.iter().any(of_one_thread)
}

/// The routes that together use most of the CPU: descending, until 70 % is reached, at most three.
fn heaviest(demands: &[RouteDemand]) -> Vec<Route> {
    let mut sum = 0.0;
    let mut heavy = Vec::new();
    for demand in demands.iter().take(3) {
        heavy.push(demand.route.clone());
        sum += demand.share;
        if sum >= 0.7 {
            break;
        }
    }
    heavy
}
