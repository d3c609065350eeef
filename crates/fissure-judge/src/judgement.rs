//! What was concluded from a run: the whole of what `show` needs besides the facts.

use std::collections::BTreeMap;

use fissure_facts::config::GoalLoad;
use fissure_facts::{Address, Arrangement, Estimate, Route};
use serde::Serialize;

use crate::isolation::{Answer, Finding, Isolation, Tried, Wanted};

/// A route asks row by row when it asks so many times as often as the others.
const STANDS_OUT: f64 = 2.0;

#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// The goal in every unit.
    pub goal: GoalView,
    pub limit: Option<Limit>,
    /// Where the requests wait, when the CPU is not what gives way and threads were looked at.
    pub waits: Option<Waits>,
    /// What its databases work at flat out, where there is something to tell.
    pub databases: Vec<DatabaseWork>,
    /// Whom requests ask many times each, where they do.
    pub questions: Vec<Questions>,
    /// What the app does by itself, where that has everybody wait at any load.
    pub unasked: Option<Unasked>,
    /// What the dearest lines of the app's own would give if they cost nothing, or if nobody waited at them; a prediction,
    /// not a measurement.
    pub fix: Option<Fix>,
    /// What becomes dearer as the run goes on.
    pub growth: Vec<Growth>,
    /// Routes whose answers wait for an acknowledgement.
    pub held_back: Vec<HeldBack>,
    /// Where its workers are taken by users who think.
    pub held_workers: Option<HeldWorkers>,
    /// Of the whole, under the SLO.
    pub capacity: Option<Capacity>,
    /// What the whole does flat out (closed loop), in requests per second.
    pub saturation_per_s: Option<Estimate>,
    /// CPU milliseconds per request, descending by share.
    pub demands: Vec<RouteDemand>,
    /// CPU that the app burns without requests, in cores.
    pub background_cores: Option<Estimate>,
    /// What a new connection costs, where the app keeps connections; it is in no route's demand.
    pub connection: Option<ConnectionDemand>,
    /// Every remedy that was rehearsed or at least predicted, by rung.
    pub remedies: Vec<RemedyResult>,
    /// The A/A control: the whole against a second copy of itself. Near 1 or nothing can be claimed.
    pub control: Option<Control>,
    /// Latency against load of the whole, ascending by load.
    pub curve: Vec<CurvePoint>,
    /// Whether copies, a split or a restart keep every answer; nothing was tried where nothing is in it.
    pub isolation: Isolation,
    /// Reasons for which a number may be wrong. A closed list; each text (in `show`) ends in what to try.
    pub doubts: Vec<Doubt>,
    /// What this run did not look at, and why, in sentences.
    pub not_checked: Vec<String>,
    /// Windows measured, and of those how many were void.
    pub windows: u32,
    pub windows_void: u32,
}

impl Judgement {
    /// May a verdict rest on this run?
    pub fn valid(&self) -> bool {
        !matches!(self.verdict, Verdict::NotEnoughEvidence { .. })
    }

    /// All of these routes are late because their answers wait to be acknowledged.
    pub fn are_held_back(&self, routes: &[SoloMiss]) -> bool {
        let is_held_back = |miss: &SoloMiss| self.held_back.iter().any(|held| held.route == miss.route);
        !routes.is_empty() && routes.iter().all(is_held_back)
    }

    /// The answers that a remedy would change.
    pub fn unsafe_answers(&self, remedy: &RemedyResult) -> &[Finding] {
        let tried = self.tried(remedy).filter(|tried| tried.answer == Answer::Unsafe);
        tried.map_or(&[], |tried| &tried.findings)
    }

    /// The shadow of a remedy, if there was one.
    pub fn tried(&self, remedy: &RemedyResult) -> Option<&Tried> {
        let wanted = Wanted::of(&remedy.arrangement)?;
        self.isolation.of(wanted.topology, Some(&wanted.arrangement))
    }
}

/// The answer. Each variant carries what its sentence needs; `show::words` makes the sentence.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Rung 0. `headroom` is capacity over goal load.
    HoldingUp {
        headroom: Estimate,
    },
    /// Rung 1. One request of these routes takes longer than its goal even alone, and most of that time is CPU; or, without
    /// routes, few lines of the app's own carry so much of what is used up that without them the goal would be met, or that
    /// nothing else is worth buying before they are cheaper; or a route asks row by row for most of its time (`Judgement::questions`);
    /// or everybody waits for what the app does by itself (`Judgement::unasked`).
    FixTheseLines {
        routes: Vec<SoloMiss>,
    },
    /// Rungs 2 to 5: the lowest that met the goal when it was rehearsed. Index into `Judgement::remedies`.
    Remedy {
        index: usize,
    },
    /// Beside the ladder: what would meet the goal changes answers. Index into `Judgement::remedies`.
    UnsafeToSplit {
        index: usize,
    },
    /// Rung 6: the app waits for a database or another service, and no arrangement of the app was seen to help.
    ItsTheLink {
        link: BlamedLink,
        /// The route that takes longer than its goal even alone, where one does.
        alone: Option<SoloMiss>,
    },
    /// Rung 7: the goal needs more CPU than the arrangements may use.
    ScaleOut {
        cpus_needed: Estimate,
        cpus_given: usize,
        best: Option<usize>,
    },
    NotEnoughEvidence {
        reasons: Vec<Missing>,
    },
}

impl Verdict {
    /// Is it that workers are to be released, one of `remedies`?
    pub fn releases_workers(&self, remedies: &[RemedyResult]) -> bool {
        let Self::Remedy { index } = self else { return false };
        remedies.get(*index).is_some_and(|remedy| remedy.kind == RemedyKind::ReleaseWorkers)
    }
}

/// A route that misses its goal even when it is alone.
#[derive(Debug, Clone, PartialEq)]
pub struct SoloMiss {
    pub route: Route,
    pub latency_ms: f64,
    pub cpu_ms: f64,
    pub limit_ms: f64,
}

/// A route whose answer is sent in parts, the later ones only when the first was acknowledged. Latencies alone: of a user who
/// acknowledges when its kernel thinks fit, and at once.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldBack {
    pub route: Route,
    pub latency_ms: f64,
    pub acknowledged_ms: f64,
}

/// Users wait for a worker although the CPUs have time, because others keep theirs while they think: means over the requests at
/// loads that the whole does not stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldWorkers {
    /// The first request on a connection takes so long ...
    pub first_ms: f64,
    /// ... and later ones so long.
    pub later_ms: f64,
    /// Of the app's CPUs, the share that is busy meanwhile.
    pub cpu_share: f64,
}

/// Whom the app waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct BlamedLink {
    pub address: Address,
    /// As `[links]` names it.
    pub name: Option<String>,
    pub is_database: bool,
    /// Of the requests under way flat out, those that wait for its answer.
    pub share: Estimate,
}

/// Why no verdict can be given, and with it what to try. `show::words` has the sentences.
#[derive(Debug, Clone, PartialEq)]
pub enum Missing {
    /// The app could not be started.
    NotStarted { sentence: String, last_lines: Vec<String> },
    /// A journey does not work even alone.
    JourneyFails { journey: String, line: u32, route: Route, problem: String },
    /// Too many windows were void.
    Void { void: u32, windows: u32, why: BTreeMap<String, u32> },
    /// The run was interrupted.
    Interrupted,
    /// The time was up.
    OutOfTime,
    /// Nothing that was tried meets the goal, and the CPU is not the reason: something waits (a database, a lock, a pool,
    /// another service), which this run cannot see.
    SomethingWaits { cpu_share: Estimate, best: Option<usize> },
    /// The CPU is full, and most of the requests under way wait for something else all the same: to mend one of the two may
    /// change nothing.
    TwoLimits { cpu_share: Estimate, other: Resource, other_share: f64, link: Option<BlamedLink> },
    /// Nothing that was tried meets the goal, although the CPUs would do for its load.
    NothingHelps { cpus_needed: Estimate, best: Option<usize> },
    /// The CPU is full and nothing that was tried helps, but none of the app's own lines could be seen: it may be few of them, or more
    /// CPUs may be needed.
    LinesUnseen {
        cpus_needed: Estimate,
        best: Option<usize>,
        /// The database in the process that most of the CPU goes to, and its share.
        engine: Option<(&'static str, f64)>,
    },
    /// A route misses its goal even alone, without using CPU for it.
    SoloWaits { route: Route, latency_ms: f64, cpu_ms: f64, limit_ms: f64 },
    /// The app answers wrongly under hardly any load.
    Errors { route: Route, share: f64 },
    /// The app died under load.
    Died { how: String, last_lines: Vec<String> },
    /// The goal lies inside the interval of the capacity.
    TooClose { capacity: Estimate, goal: f64 },
}

/// The goal's load in every unit; all are the same load by Little's law and the journeys' mix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GoalView {
    pub asked: GoalLoad,
    /// Users arriving per second: the unit of open-loop windows.
    pub users_per_s: f64,
    pub requests_per_s: f64,
    /// Users inside a journey at the same time.
    pub users_at_once: f64,
}

/// Resource classes of a limit, as in the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Cpu,
    OneThread,
    Lock,
    Pool,
    Database,
    Downstream,
    Disk,
    Memory,
    NotTheApp,
}

/// What gives way first.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    pub resource: Resource,
    /// Requests wait there while CPU is left; else it is the CPU, or one thread's, that is used up.
    pub is_waited_for: bool,
    /// The routes that use most of it, descending.
    pub routes: Vec<Route>,
    /// The routes that miss the goal first.
    pub victims: Vec<Route>,
    /// Sentences with numbers.
    pub evidence: Vec<String>,
    /// Where in the app's own files it goes, descending; empty when no profiler saw it. Of a lock: where it is held, then
    /// where the others wait.
    pub place: Vec<Place>,
}

/// A function of the app that the limiting resource goes to, or in which requests wait for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub function: String,
    /// Relative to the app's folder.
    pub file: String,
    /// The line that most of it goes to.
    pub line: u32,
    /// All lines of the function that were seen: an optimiser moves work between neighbours.
    pub lines: Vec<u32>,
    /// Share of all the CPU that the app uses at the journeys' mix; of what is waited for: of the requests under way.
    pub share: Estimate,
    /// The part of it in which no library was at work for the line.
    pub own_share: f64,
    /// An object-relational mapper works so long there for one request that the line must ask it for many statements, or many rows.
    pub many_statements: bool,
    /// The library's function that most of the time goes to, where it is not the app's own.
    pub inside: Option<String>,
    /// Where it was called for most of that time, in another file: of a helper that has a library work for everybody (a query function), who
    /// asks is what can be changed.
    pub called_at: Option<Spot>,
    /// The function itself is a library's: the app is an installed package, and no file of its own was seen at work.
    pub is_library: bool,
    /// The route that it belongs to, where that could be told.
    pub route: Option<Route>,
}

/// Where the requests under way are, flat out, as far as threads and connections show it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Waits {
    /// Requests that are under way at once: as many as there are users without pauses.
    pub under_way: f64,
    /// Those that a CPU works for.
    pub running: f64,
    /// Descending.
    pub places: Vec<Wait>,
    /// Whom the app is connected to, descending by answers awaited.
    pub peers: Vec<PeerLoad>,
    /// Share of the time in which some thread held the interpreter's own lock; 0 where there is none, or nobody could see it.
    pub interpreter_held: f64,
    /// Threads that were busy with a request: at work or waiting inside one.
    pub busy_threads: f64,
    /// Of those, threads of processes in which none serves many connections at once: workers, each of which serves one.
    pub busy_workers: f64,
    /// Threads that were free to take a request.
    pub idle_threads: f64,
    /// Of those, workers.
    pub idle_workers: f64,
    /// A thread serves many connections at once: what their requests wait for does not show on it.
    pub event_loop: bool,
    /// By the functions on the stacks of its language there is one, even where it was never seen to rest.
    pub runs_event_loop: bool,
}

/// Requests that wait for the same at the same place.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    pub what: WaitsFor,
    /// None: no instrument could name a line of the app there.
    pub at: Option<Spot>,
    /// Share of the requests under way.
    pub share: Estimate,
    /// Of a lock that was seen held.
    pub holder: Option<Holder>,
}

/// Who holds a lock that others wait for.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// The line of the function that took the lock, as far as can be told.
    pub taken: Spot,
    /// The innermost line of the app, of whatever that called.
    pub at: Spot,
    /// What it waits for there.
    pub what: Option<WaitsFor>,
}

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitsFor {
    Lock,
    /// The interpreter's own lock.
    Interpreter,
    /// To be woken: a condition, a semaphore, a queue. A worker without work waits the same way.
    Wake,
    /// The other end of a connection that the app opened, where it is known.
    Peer(Option<Address>),
    /// A file, or a pipe.
    File(String),
    Child,
    /// The time to pass.
    Time,
    /// Some other system call.
    Kernel(i64),
}

/// A line of the app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub function: String,
    pub file: String,
    pub line: u32,
}

/// Means over the looks.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerLoad {
    pub address: Address,
    pub connections: f64,
    /// Connections on which the app waited for an answer.
    pub awaited: f64,
    /// By the database's own word: connections on which a transaction was open that the app did nothing with.
    pub resting: f64,
}

/// What the app does by itself, whoever asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Unasked {
    /// Descending; shares are those of the CPU while hardly anybody asked.
    pub places: Vec<Place>,
    /// CPUs that they keep busy.
    pub cores: f64,
}

/// A database or service that one request asks many times.
#[derive(Debug, Clone, PartialEq)]
pub struct Questions {
    pub address: Address,
    /// As `[links]` names it.
    pub name: Option<String>,
    pub is_database: bool,
    /// None where the routes could not be told apart.
    pub route: Option<Route>,
    /// Questions of one request of that route, or of any.
    pub per_request: f64,
    /// Those of one request of the other routes.
    pub by_others: Option<f64>,
    /// The function of the app that has a database asked more than any other, where an instrument saw one.
    pub asked_at: Option<Place>,
}

impl Questions {
    /// Clearly more than the other routes ask: then it is what the route asks for, and not what every request of the app does.
    pub fn stand_out(&self) -> bool {
        self.route.is_some() && self.by_others.is_none_or(|others| self.per_request >= STANDS_OUT * others)
    }
}

/// Something that grows with what the app was asked for within the run, while the load was what it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    pub of: Grows,
    /// At the beginning of the run and at its end, by the line through all that was seen.
    pub first: f64,
    pub last: f64,
    /// Over the whole run, last less first.
    pub more: Estimate,
    /// Requests between the two that write (anything but GET, HEAD and OPTIONS), or all where none writes.
    pub requests: u64,
    pub is_by_writes: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Grows {
    /// CPU milliseconds of a request of this route.
    Cpu(Route),
    /// Bytes of memory.
    Memory,
    /// Open files and connections.
    Files,
}

/// What few lines would give if they cost nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fix {
    pub lines: usize,
    /// Functions in which they stand.
    pub functions: usize,
    /// Share of the CPU that they carry; of lines at which requests wait, the share of the requests under way.
    pub share: Estimate,
    /// Capacity under the SLO without their cost, relative to the whole's.
    pub capacity_ratio: Estimate,
    /// CPUs that the goal's load would need without their cost.
    pub cpus_needed: Estimate,
}

/// The largest load that still meets the SLO.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    pub users_per_s: Estimate,
    pub requests_per_s: Estimate,
    pub users_at_once: Estimate,
    /// Every load that was tried met the goal: it is more than `mid` by an unknown amount.
    pub at_least: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RouteDemand {
    pub route: Route,
    pub cpu_ms: Estimate,
    /// Share of the app's CPU at the journeys' mix, 0 to 1.
    pub share: f64,
    /// Mean latency alone, in ms.
    pub solo_ms: Option<f64>,
    /// Requests of this route per request of the mix, 0 to 1.
    pub mix: f64,
}

/// What it costs the app that a user connects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConnectionDemand {
    pub cpu_ms: Estimate,
    /// New connections per request of the mix.
    pub per_request: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemedyKind {
    ReleaseWorkers,
    LimitConcurrency,
    CacheAnswers,
    AddReplicas,
    SplitThisArea,
}

impl RemedyKind {
    pub fn rung(self) -> u8 {
        match self {
            Self::ReleaseWorkers | Self::LimitConcurrency => 2,
            Self::CacheAnswers => 3,
            Self::AddReplicas => 4,
            Self::SplitThisArea => 5,
        }
    }

    /// The word of report.json.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReleaseWorkers => "ReleaseWorkers",
            Self::LimitConcurrency => "LimitConcurrency",
            Self::CacheAnswers => "CacheAnswers",
            Self::AddReplicas => "AddReplicas",
            Self::SplitThisArea => "SplitThisArea",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct RemedyResult {
    pub kind: RemedyKind,
    pub arrangement: Arrangement,
    /// Routes that are limited, cached or split off; empty for replicas.
    pub area: Vec<Route>,
    /// Capacity under the SLO relative to the whole's, by the model with the measured demands.
    pub predicted: Option<Estimate>,
    /// The same, measured. None: not rehearsed.
    pub capacity_ratio: Option<Estimate>,
    pub capacity: Option<Capacity>,
    /// At the goal's load (or at the whole's capacity, when the goal is far above), remedy over whole, paired.
    pub latency_ratio: BTreeMap<Route, LatencyChange>,
    /// None: not rehearsed, or the measurement does not decide.
    pub meets_goal: Option<bool>,
    /// Why it was not rehearsed.
    pub not_rehearsed: Option<String>,
    /// It is answered otherwise than the whole.
    pub wrong: Option<WrongAnswer>,
}

/// What was answered wrongly when it was rehearsed, and rightly by the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct WrongAnswer {
    pub route: Route,
    /// Of the route's answers.
    pub share: Estimate,
    pub problem: String,
}

/// The SLO's quantile of one route at the load of the rehearsal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyChange {
    pub whole_ms: f64,
    pub remedy_ms: f64,
    pub ratio: Estimate,
}

/// All threads of the app stand still while its memory is searched for what nobody needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CollectorStops {
    /// Of the time, flat out.
    pub share: f64,
    /// Collections.
    pub per_s: f64,
    pub longest_ms: f64,
}

/// What a database was seen to work at while the app was flat out.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseWork {
    /// The declared link.
    pub link: String,
    /// Mean number of statements at work.
    pub at_work: f64,
    /// The one that is most often at work; None where the database is hardly busy.
    pub dear: Option<DearStatement>,
    /// Mean number of sessions that rest inside an open transaction.
    pub resting: f64,
    /// The last statement of most of them, where they are worth a word.
    pub rests_behind: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DearStatement {
    /// Without its values.
    pub text: String,
    /// Of all statements at work.
    pub share: Estimate,
    /// Of its own time, waiting for a lock of another transaction.
    pub locked_share: Estimate,
    pub reads: Option<FullReads>,
}

/// A table that is read from end to end.
#[derive(Debug, Clone, PartialEq)]
pub struct FullReads {
    pub table: String,
    pub rows: u64,
    pub times_per_s: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// CPU for the same work, control over whole.
    pub cpu_ratio: Estimate,
    pub latency_ratio: BTreeMap<Route, LatencyChange>,
}

/// One load of the whole, all windows at that load together.
#[derive(Debug, Clone, PartialEq)]
pub struct CurvePoint {
    pub users_per_s: f64,
    pub requests_per_s: f64,
    /// Share of the app's CPUs that was busy.
    pub cpu_share: f64,
    pub error_share: f64,
    pub routes: BTreeMap<Route, CurveLatency>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurveLatency {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    /// The quantile that the route's SLO names, over the SLO's limit: above 1 misses.
    pub slo_ratio: f64,
    pub requests: u64,
}

/// Reasons for which a number may be wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Doubt {
    /// Windows were void; `why` counts the reasons.
    VoidWindows { void: u32, windows: u32, why: BTreeMap<String, u32> },
    /// Two identical copies differed by more than 2 %.
    ControlDiffers { ratio: Estimate },
    /// A route was met too rarely to judge it.
    RareRoute { route: Route, requests: u64 },
    /// The crowd shares CPUs with the app.
    SharedCpus,
    /// A remedy's measurement fell outside what the model predicted by more than a third, and their intervals lie apart.
    PredictionOff { remedy: String, predicted: f64, measured: f64 },
    /// The route's cost could not be separated from its neighbours'.
    VagueDemand { route: Route },
    /// Connections were closed by the app after nearly every request.
    ConnectionChurn { per_request: f64 },
    /// The capacity's interval is wider than 10 %: the time was up first.
    WideInterval { half_width_share: f64 },
    /// The goal holds, but with less than 30 % to spare.
    LittleHeadroom { headroom: Estimate },
    /// Users of the longest journey pause for longer than a window warms up, so their pauses were shortened.
    LongVisits { pauses_s: f64, shortened_to_s: f64 },
    /// The garbage collector takes a notable share of the time.
    CollectorStops(CollectorStops),
}
