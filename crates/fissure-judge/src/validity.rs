//! Is a window worth believing? When the crowd, fissure or a neighbour was the bottleneck, the window is void, and no verdict rests on it.

use std::collections::BTreeSet;
use std::fmt;

use fissure_facts::fact::{CrowdSecond, ErrorClass, ProbeSecond, RouteSecond};
use fissure_facts::{Header, Latencies, Purpose, Route, Window};

use crate::stats;
use crate::threshold::Threshold;

/// Of the requests of a window, timeouts above which its CPU is not that of its answers.
const GIVEN_UP_SHARE: f64 = 0.05;
/// Lateness (99 % of requests) that the crowd may have: 1 ms is what a busy, well-behaved Linux box shows ...
const LATENESS_MS: f64 = 1.0;
/// ... or this share of the strictest SLO limit, if that is more: lateness counts as latency, and 1 request in 100 that is late by a
/// tenth of the limit moves a p95 by next to nothing and a p99 by a tenth at most.
const LATENESS_SHARE_OF_LIMIT: f64 = 0.10;
/// The same for a load that somebody asked for: its figures are read as they are, not compared with each other.
const LATENESS_SHARE_OF_THRESHOLD: f64 = 0.01;
/// Share of the planned requests that may be missing. What is not sent does not queue, so the app looks better than it is.
const UNSENT_SHARE: f64 = 0.001;
/// Requests that may be between their planned instant and the socket when a second is counted.
const UNSENT_AT_THE_EDGE: f64 = 5.0;
/// Share of its CPUs that the crowd may use. An M/M/1 at 0.85 waits nearly six service times: the crowd's queue then shows as latency.
const CROWD_BUSY_SHARE: f64 = 0.85;
/// Seconds per second that the crowd's threads may wait for a CPU.
const CROWD_STARVED_SHARE: f64 = 0.20;
/// Share of the app's CPUs that strangers may use: it lowers capacity by about as much.
const NEIGHBOUR_SHARE: f64 = 0.10;
/// Share of the CPUs' time that the hypervisor may give away.
const STEAL_SHARE: f64 = 0.05;
/// Share of a window in which fissure must have watched the app. A crowd that a fast app keeps busy can leave fissure itself no CPU: then
/// 70,000 requests cost nothing.
const WATCHED_SHARE: f64 = 0.5;
/// CPU per request hardly feels neighbours (1 to 6 % at a pressure of 90 %, where throughput varied by 20 to 100 %), so they may take
/// half of the CPUs before caches and frequencies make even that doubtful.
const NEIGHBOUR_SHARE_FOR_CPU: f64 = 0.50;
const STEAL_SHARE_FOR_CPU: f64 = 0.25;

/// Why a window says nothing. The text ends in what to try.
#[derive(Debug, Clone, PartialEq)]
pub enum Void {
    /// A process of the app died while the window was open.
    AppDied { how: String },
    /// The rig ended the window early.
    CutShort { why: String },
    /// The run was cut off inside the window, or nothing was seen in it.
    Incomplete,
    /// Fissure itself came to look at the app for this share of the window only.
    Unwatched { share: f64 },
    /// The crowd sent requests later than planned.
    CrowdLate { p99_ms: f64, limit_ms: f64 },
    /// The crowd sent fewer requests than planned.
    CrowdUnderSent { sent_share: f64 },
    /// The crowd's own CPUs were full.
    CrowdBusy { cpu_share: f64 },
    /// The crowd waited for its CPUs.
    CrowdStarved { wait_share: f64 },
    /// The app refused a route that it had served before: earlier users had used something up.
    WornOut { route: Route },
    /// Something else used the app's CPUs, or the hypervisor took them.
    NoisyNeighbour { other_share: f64, steal_share: f64 },
}

impl Void {
    /// A short key, for counting.
    pub fn word(&self) -> &'static str {
        match self {
            Self::AppDied { .. } => "app died",
            Self::CutShort { .. } => "cut short",
            Self::Incomplete => "incomplete",
            Self::Unwatched { .. } => "unwatched",
            Self::CrowdLate { .. } => "crowd late",
            Self::CrowdUnderSent { .. } => "crowd under-sent",
            Self::CrowdBusy { .. } => "crowd busy",
            Self::CrowdStarved { .. } => "crowd starved",
            Self::WornOut { .. } => "worn out",
            Self::NoisyNeighbour { .. } => "noisy neighbour",
        }
    }

    /// The whole load was sent, and whatever disturbed it can only have made answers slower, never faster.
    pub fn only_slows(&self) -> bool {
        matches!(self, Self::CrowdLate { .. } | Self::CrowdStarved { .. } | Self::NoisyNeighbour { .. })
    }
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppDied { how } => {
                write!(
                    f,
                    "the app died under load ({how}); read its last lines in the run, and mend that first"
                )
            }
            Self::CutShort { why } => {
                write!(f, "the window ended early ({why}); mend that and measure again")
            }
            Self::Incomplete => write!(f, "the run was cut off inside the window; let it run to its end"),
            Self::Unwatched { share } => write!(
                f,
                "fissure itself got so little CPU beside its crowd that it saw {:.0} % of the window; ask for less, or give the app fewer CPUs ([limits] app_cpus)",
                share * 100.0
            ),
            Self::CrowdLate { p99_ms, limit_ms } => write!(
                f,
                "the crowd itself sent 1 in 100 requests {p99_ms:.1} ms late or later, where {limit_ms:.1} ms would do; \
                 close other programs, ask for less, or give the app fewer CPUs ([limits] app_cpus)"
            ),
            Self::CrowdUnderSent { sent_share } => write!(
                f,
                "the crowd sent only {:.1} % of the planned requests; ask for less, raise `ulimit -n`, or give the app fewer CPUs ([limits] app_cpus)",
                sent_share * 100.0
            ),
            Self::CrowdBusy { cpu_share } => write!(
                f,
                "the crowd used {:.0} % of its own CPUs, so its queues may show as the app's; ask for less, or give the app fewer CPUs ([limits] app_cpus)",
                cpu_share * 100.0
            ),
            Self::CrowdStarved { wait_share } => write!(
                f,
                "the crowd waited for a CPU {:.0} % of the time; close other programs",
                wait_share * 100.0
            ),
            Self::WornOut { route } => write!(
                f,
                "{route} was refused although it had been served before: earlier users used up what it needs (stock, seats, names); let users \
                 ask for different things ([users] data), or give the app more of it"
            ),
            Self::NoisyNeighbour { other_share, steal_share } => write!(
                f,
                "other programs kept the app waiting for its CPUs {:.0} % of the time and the hypervisor took {:.0} %; close them, or run again at a quiet hour",
                other_share * 100.0,
                steal_share * 100.0
            ),
        }
    }
}

/// Why nothing about latency or capacity may be concluded from this window; None when it is sound.
pub fn void(window: &Window, header: &Header) -> Option<Void> {
    broken(window)
        .or_else(|| crowd_under_sent(window))
        .or_else(|| crowd_late(window, lateness_limit_ms(window, header)))
        .or_else(|| crowd_short_of_cpu(&window.probes, header))
        .or_else(|| noisy(&window.probes, header, NEIGHBOUR_SHARE, STEAL_SHARE))
}

/// The same for CPU per request alone, which lateness and ordinary neighbours do not touch.
pub fn void_for_cpu(window: &Window, header: &Header) -> Option<Void> {
    broken(window).or_else(|| noisy(&window.probes, header, NEIGHBOUR_SHARE_FOR_CPU, STEAL_SHARE_FOR_CPU))
}

/// Users gave up on requests that the app works at later, when nobody counts them: what the others cost cannot be told.
pub fn is_given_up(window: &Window) -> bool {
    let seen = window.total();
    let timeouts = seen.errors.get(&ErrorClass::Timeout).copied().unwrap_or(0);
    timeouts as f64 > GIVEN_UP_SHARE * seen.ended() as f64
}

fn broken(window: &Window) -> Option<Void> {
    if !window.deaths.is_empty() {
        return Some(Void::AppDied { how: window.deaths.join(", ") });
    }
    match &window.end {
        None => Some(Void::Incomplete),
        Some(end) => match &end.cut_short {
            Some(why) => Some(Void::CutShort { why: why.clone() }),
            None if window.crowd.is_empty() || window.probes.is_empty() => Some(Void::Incomplete),
            None => unwatched(window),
        },
    }
}

fn unwatched(window: &Window) -> Option<Void> {
    let watched_s: f64 = window.probes.iter().map(|p| p.elapsed_s).sum();
    let share = watched_s / window.seconds();
    (share < WATCHED_SHARE).then_some(Void::Unwatched { share })
}

/// The strictest limit decides, of the goal or of the thresholds; where nobody set one, 1 ms is the limit.
fn lateness_limit_ms(window: &Window, header: &Header) -> f64 {
    let (strictest_us, share) = if window.plan.purpose == Purpose::Asked {
        let thresholds = header.config.load.require.iter().filter_map(|text| text.parse::<Threshold>().ok());
        let limits = thresholds.filter(|t| t.what.is_latency()).map(|t| t.limit);
        (limits.fold(f64::INFINITY, f64::min), LATENESS_SHARE_OF_THRESHOLD)
    } else {
        let goal = &header.config.goal;
        let strictest = goal.routes.values().map(|slo| slo.limit_us()).fold(goal.slo.limit_us(), u64::min);
        (if strictest == u64::MAX { f64::INFINITY } else { strictest as f64 }, LATENESS_SHARE_OF_LIMIT)
    };
    if strictest_us.is_finite() { LATENESS_MS.max(strictest_us / 1_000.0 * share) } else { LATENESS_MS }
}

/// Only where arrivals do not wait for answers: in a closed loop there is no planned instant to be late for.
fn crowd_late(window: &Window, limit_ms: f64) -> Option<Void> {
    if !window.plan.load.is_open() {
        return None;
    }
    let mut lateness = Latencies::new();
    for second in &window.crowd {
        lateness.add(&second.lateness);
    }
    let p99_ms = lateness.quantile_us(0.99) as f64 / 1_000.0;
    // More than 1 in 100 beyond chance: of 150 requests two late ones are one hiccup, not a late crowd.
    let late = stats::wilson(lateness.count_over((limit_ms * 1e3) as u64), lateness.count())?;
    (late.low > 0.01).then_some(Void::CrowdLate { p99_ms, limit_ms })
}

/// What was planned must have ended or be under way; the rest was never sent.
///
/// The balance runs from the end of the first measured second to the end of the last, because nobody counted what was in flight at
/// the beginning.
fn crowd_under_sent(window: &Window) -> Option<Void> {
    let (first, rest) = window.crowd.split_first()?;
    let could_not: u64 = window
        .crowd
        .iter()
        .flat_map(|s| s.routes.values())
        .filter_map(|r| r.errors.get(&ErrorClass::Crowd))
        .sum();
    let planned: u64 = rest.iter().map(|s| s.planned).sum();
    let mut unsent = could_not as f64;
    if let Some(last) = rest.last().filter(|_| window.plan.load.is_open()) {
        let ended: u64 = rest.iter().map(ended).sum();
        unsent += (first.in_flight + planned) as f64 - (ended + last.in_flight) as f64;
    }
    // Users that never came have sent nothing.
    let users_missing = window
        .end
        .as_ref()
        .and_then(|end| end.users_planned)
        .map_or(0, |users| users.saturating_sub(window.crowd.iter().map(|s| s.users_arrived).sum()));
    unsent += users_missing as f64;
    let planned = (planned + first.planned + users_missing) as f64;
    (unsent > planned * UNSENT_SHARE + UNSENT_AT_THE_EDGE)
        .then(|| Void::CrowdUnderSent { sent_share: (1.0 - unsent / planned.max(unsent)).max(0.0) })
}

fn ended(second: &CrowdSecond) -> u64 {
    second.routes.values().map(RouteSecond::ended).sum()
}

fn crowd_short_of_cpu(probes: &[ProbeSecond], header: &Header) -> Option<Void> {
    let elapsed = elapsed_s(probes)?;
    let machine = &header.machine;
    let cpu_share = sum(probes, |p| p.crowd_cpu_s) / (elapsed * machine.crowd_cpus.len().max(1) as f64);
    if cpu_share > CROWD_BUSY_SHARE {
        return Some(Void::CrowdBusy { cpu_share });
    }
    // Where the app shares the crowd's CPUs, the crowd waits for the app by design: that is a doubt about the run, not about a window.
    let shared = machine.crowd_cpus.iter().any(|cpu| machine.app_cpus.contains(cpu));
    let wait_share = sum(probes, |p| p.crowd_run_delay_s) / elapsed;
    (!shared && wait_share > CROWD_STARVED_SHARE).then_some(Void::CrowdStarved { wait_share })
}

fn noisy(probes: &[ProbeSecond], header: &Header, most_other: f64, most_steal: f64) -> Option<Void> {
    let elapsed = elapsed_s(probes)?;
    let machine = &header.machine;
    let all: BTreeSet<usize> = machine.app_cpus.iter().chain(&machine.crowd_cpus).copied().collect();
    // A neighbour that runs while the app has nothing to do takes nothing from it, and an app whose own processes wait for
    // each other has no neighbour to blame. So a neighbour's CPU counts by the share of its runnable time that the app waited,
    // and nobody can have taken more from the app than it waited: an app that seldom wants a CPU, because it waits for a lock or
    // a database, loses little to a compiler beside it.
    let taken = |p: &ProbeSecond| {
        let runnable = p.app_run_delay_s + p.app_cpu_s;
        let share = if runnable > 0.0 { p.app_run_delay_s / runnable } else { 0.0 };
        (p.other_cpu_s * share).min(p.app_run_delay_s)
    };
    let other_share = sum(probes, taken) / (elapsed * machine.app_cpus.len().max(1) as f64);
    let steal_share = sum(probes, |p| p.steal_s) / (elapsed * all.len().max(1) as f64);
    (other_share > most_other || steal_share > most_steal)
        .then_some(Void::NoisyNeighbour { other_share, steal_share })
}

fn sum(probes: &[ProbeSecond], of: impl Fn(&ProbeSecond) -> f64) -> f64 {
    probes.iter().map(of).sum()
}

fn elapsed_s(probes: &[ProbeSecond]) -> Option<f64> {
    let elapsed = sum(probes, |p| p.elapsed_s);
    (elapsed > 0.0).then_some(elapsed)
}
