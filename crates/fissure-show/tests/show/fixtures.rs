//! Hand-made runs and judgements: a photo shop, judged in every way.

use std::collections::BTreeMap;

use fissure_facts::config::GoalLoad;
use fissure_facts::{
    Address, Arrangement, Config, Estimate, Fact, Header, JourneyOutline, Load, Machine, OutlineStep,
    Purpose, Route, Run, Stamped, Step, WindowPlan,
};
use fissure_judge::Judgement;
use fissure_judge::judgement::*;

pub const CONFIG: &str = r#"
[app]
command = "node server.js"
env = { NODE_ENV = "production", API_TOKEN = "hush" }
[users]
journeys = ["journeys/*.hurl"]
[goal]
users = 40
p95 = "100ms"
errors = "1%"
[goal.routes]
"GET /reports/{id}" = { p95 = "2s" }
[limits]
app_cpus = 1
"#;

pub fn route(text: &str) -> Route {
    text.parse().unwrap()
}

pub fn estimate(mid: f64, low: f64, high: f64) -> Estimate {
    Estimate::new(mid, low, high)
}

fn hold(window: u32, arrangement: Arrangement, users_per_s: f64) -> Stamped {
    let plan = WindowPlan {
        window,
        purpose: Purpose::Rehearse { block: 1 },
        arrangement,
        load: Load::Open { users_per_s },
        emphasis: None,
        warmup_s: 1.0,
        visit_max_s: None,
        seconds: 5,
        seed: 1,
    };
    Stamped {
        at_s: 20.0 + f64::from(window),
        fact: Fact::StepBegan { step: Step::Hold(plan), why: "rehearse".to_owned() },
    }
}

/// A run of the photo shop in which everything was rehearsed at the goal's load, except replicas at half of it.
pub fn run() -> Run {
    let steps = |routes: &[&str]| {
        routes.iter().map(|r| OutlineStep { route: route(r), think_s: 0.5 }).collect::<Vec<_>>()
    };
    let header = Header {
        format: fissure_facts::run::FORMAT.to_owned(),
        fissure: "0.1.0".to_owned(),
        run: "2026-11-23T06-30-12-a1b2".to_owned(),
        started_unix_s: 1_795_415_412,
        verb: "check".to_owned(),
        seed: 7,
        machine: Machine {
            cpu_model: "Example CPU @ 2.50GHz".to_owned(),
            kernel: "6.1.0".to_owned(),
            memory_bytes: 8 << 30,
            app_cpus: vec![0],
            crowd_cpus: vec![1],
            ..Machine::default()
        },
        config: Config::parse(CONFIG).unwrap(),
        journeys: vec![
            JourneyOutline {
                name: "journeys/browse.hurl".to_owned(),
                weight: 3.0,
                steps: steps(&["GET /", "GET /photos/{id}", "GET /search"]),
            },
            JourneyOutline {
                name: "journeys/upload.hurl".to_owned(),
                weight: 1.0,
                steps: steps(&["GET /", "POST /photos"]),
            },
        ],
    };
    let mut run = Run::new(header);
    run.facts = vec![
        hold(1, limit_remedy().arrangement, 8.0),
        hold(2, replicas_remedy().arrangement, 4.0),
        hold(3, split_remedy().arrangement, 8.1),
        Stamped {
            at_s: 251.0,
            fact: Fact::LeftOut { what: "profile".to_owned(), why: "no profiler".to_owned() },
        },
    ];
    run
}

fn capacity(share_of_goal: f64) -> Capacity {
    let of = |goal: f64| estimate(goal, goal * 0.94, goal * 1.07).scaled(share_of_goal);
    Capacity { users_per_s: of(8.0), requests_per_s: of(24.0), users_at_once: of(40.0), at_least: false }
}

fn change(whole_ms: f64, remedy_ms: f64, spread: f64) -> LatencyChange {
    let ratio = remedy_ms / whole_ms;
    LatencyChange {
        whole_ms,
        remedy_ms,
        ratio: estimate(ratio, ratio * (1.0 - spread), ratio * (1.0 + spread)),
    }
}

fn limit_remedy() -> RemedyResult {
    RemedyResult {
        kind: RemedyKind::LimitConcurrency,
        arrangement: Arrangement::limited(&route("POST /photos"), 2),
        area: vec![route("POST /photos")],
        predicted: Some(estimate(1.1, 1.0, 1.2)),
        capacity_ratio: Some(estimate(1.05, 0.99, 1.12)),
        capacity: Some(capacity(0.6)),
        latency_ratio: BTreeMap::from([(route("GET /photos/{id}"), change(190.0, 171.0, 0.12))]),
        meets_goal: Some(false),
        not_rehearsed: None,
        wrong: None,
    }
}

fn replicas_remedy() -> RemedyResult {
    RemedyResult {
        kind: RemedyKind::AddReplicas,
        arrangement: Arrangement::replicas(2),
        area: Vec::new(),
        predicted: Some(estimate(1.9, 1.7, 2.1)),
        capacity_ratio: None,
        capacity: None,
        latency_ratio: BTreeMap::new(),
        meets_goal: None,
        not_rehearsed: Some("the app listens on a fixed port, so a second copy cannot start".to_owned()),
        wrong: None,
    }
}

fn split_remedy() -> RemedyResult {
    RemedyResult {
        kind: RemedyKind::SplitThisArea,
        arrangement: Arrangement::split("photos", &[route("POST /photos")]),
        area: vec![route("POST /photos")],
        predicted: Some(estimate(2.3, 2.0, 2.6)),
        capacity_ratio: Some(estimate(2.1, 1.9, 2.3)),
        capacity: Some(capacity(1.2)),
        latency_ratio: BTreeMap::from([
            (route("GET /photos/{id}"), change(190.0, 14.0, 0.3)),
            (route("GET /"), change(160.0, 12.0, 0.2)),
            (route("GET /search"), change(170.0, 171.0, 0.1)),
            (route("POST /photos"), change(410.0, 520.0, 0.08)),
        ]),
        meets_goal: Some(true),
        not_rehearsed: None,
        wrong: None,
    }
}

fn point(share: f64, p95: [f64; 4]) -> CurvePoint {
    let names = ["GET /", "GET /photos/{id}", "GET /search", "POST /photos"];
    let routes = names.iter().zip(p95).map(|(name, ms)| {
        let latency = CurveLatency {
            p50_ms: ms / 3.0,
            p95_ms: ms,
            p99_ms: ms * 1.6,
            slo_ratio: ms / 100.0,
            requests: 400,
        };
        (route(name), latency)
    });
    CurvePoint {
        users_per_s: 8.0 * share,
        requests_per_s: 24.0 * share,
        cpu_share: (share * 0.8).min(1.0),
        error_share: if share > 1.2 { 0.03 } else { 0.0 },
        routes: routes.collect(),
    }
}

fn place(function: &str, file: &str, line: u32, share: f64, inside: Option<&str>) -> Place {
    Place {
        function: function.to_owned(),
        file: file.to_owned(),
        line,
        lines: vec![line, line + 2],
        share: estimate(share, share - 0.03, share + 0.03),
        many_statements: false,
        own_share: if inside.is_some() { 0.01 } else { share },
        is_library: false,
        inside: inside.map(str::to_owned),
        called_at: inside.map(|_| Spot {
            function: "upload".to_owned(),
            file: "src/web.rs".to_owned(),
            line: 9,
        }),
        route: Some(route("POST /photos")),
    }
}

/// What was seen of the photo shop, with `verdict` on top.
pub fn judged(verdict: Verdict) -> Judgement {
    let demand = |name: &str, cpu: f64, share: f64, mix: f64| RouteDemand {
        route: route(name),
        cpu_ms: estimate(cpu, cpu * 0.93, cpu * 1.08),
        share,
        solo_ms: Some(cpu * 1.3),
        mix,
    };
    Judgement {
        verdict,
        goal: GoalView {
            asked: GoalLoad::Users(40.0),
            users_per_s: 8.0,
            requests_per_s: 24.0,
            users_at_once: 40.0,
        },
        limit: Some(Limit {
            resource: Resource::OneThread,
            is_waited_for: false,
            routes: vec![route("POST /photos")],
            victims: vec![route("GET /photos/{id}"), route("GET /")],
            evidence: vec!["The busiest thread used 97 % of a CPU at the knee".to_owned()],
            place: vec![
                place("resize", "src/thumbnail.js", 27, 0.62, Some("resample")),
                place("total", "src/orders.js", 71, 0.11, None),
            ],
        }),
        waits: None,
        databases: Vec::new(),
        questions: Vec::new(),
        unasked: None,
        fix: None,
        growth: Vec::new(),
        held_back: Vec::new(),
        held_workers: None,
        capacity: Some(capacity(0.57)),
        saturation_per_s: Some(estimate(31.2, 30.1, 32.4)),
        demands: vec![
            demand("POST /photos", 121.0, 0.81, 0.1),
            demand("GET /search", 6.1, 0.12, 0.27),
            demand("GET /photos/{id}", 1.4, 0.04, 0.27),
            demand("GET /", 0.9, 0.03, 0.36),
        ],
        background_cores: Some(estimate(0.012, 0.010, 0.015)),
        connection: Some(ConnectionDemand { cpu_ms: estimate(0.31, 0.22, 0.4), per_request: 0.2 }),
        remedies: vec![limit_remedy(), replicas_remedy(), split_remedy()],
        control: Some(Control {
            cpu_ratio: estimate(1.004, 0.991, 1.017),
            latency_ratio: BTreeMap::from([(route("GET /"), change(160.0, 161.0, 0.05))]),
        }),
        curve: vec![
            point(0.2, [4.0, 5.0, 12.0, 160.0]),
            point(0.45, [31.0, 42.0, 50.0, 180.0]),
            point(0.57, [70.0, 92.0, 95.0, 230.0]),
            point(0.8, [120.0, 140.0, 133.0, 300.0]),
            point(1.0, [160.0, 190.0, 170.0, 410.0]),
            point(1.3, [900.0, 1_100.0, 1_000.0, 2_400.0]),
        ],
        isolation: fissure_judge::isolation::Isolation::default(),
        doubts: vec![
            Doubt::VoidWindows {
                void: 2,
                windows: 41,
                why: BTreeMap::from([("the crowd was late".to_owned(), 2)]),
            },
            Doubt::RareRoute { route: route("POST /photos"), requests: 38 },
        ],
        not_checked: vec![
            "Whether answers stay the same with several processes: isolation is not built in yet".to_owned(),
            "Which lines use the CPU.".to_owned(),
        ],
        windows: 41,
        windows_void: 2,
    }
}

pub fn holding_up() -> Judgement {
    let mut judgement = judged(Verdict::HoldingUp { headroom: estimate(1.83, 1.72, 1.95) });
    judgement.capacity = Some(capacity(1.83));
    judgement.remedies.clear();
    judgement.limit = None;
    judgement.curve.truncate(3);
    judgement
}

pub fn fix_these_lines() -> Judgement {
    let miss = |name: &str, latency_ms: f64| SoloMiss {
        route: route(name),
        latency_ms,
        cpu_ms: latency_ms * 0.96,
        limit_ms: 100.0,
    };
    judged(Verdict::FixTheseLines { routes: vec![miss("POST /photos", 850.0), miss("GET /search", 133.0)] })
}

/// The lines are the app's own, and without them it would do.
pub fn fix_own_lines() -> Judgement {
    let mut judgement = judged(Verdict::FixTheseLines { routes: Vec::new() });
    judgement.limit.as_mut().unwrap().place = vec![place("total", "src/orders.js", 71, 0.71, None)];
    judgement.fix = Some(Fix {
        lines: 2,
        functions: 1,
        share: estimate(0.71, 0.68, 0.74),
        capacity_ratio: estimate(3.1, 2.7, 3.5),
        cpus_needed: estimate(0.4, 0.3, 0.5),
    });
    judgement
}

fn database() -> BlamedLink {
    BlamedLink {
        address: "127.0.0.1:5432".parse().unwrap(),
        name: Some("db".to_owned()),
        is_database: true,
        share: estimate(0.84, 0.8, 0.88),
    }
}

/// The app waits for its database, and more and more memory is kept.
pub fn its_the_database() -> Judgement {
    let mut judgement = judged(Verdict::ItsTheLink { link: database(), alone: None });
    let limit = judgement.limit.as_mut().unwrap();
    (limit.resource, limit.is_waited_for) = (Resource::Database, true);
    judgement.growth = vec![
        Growth {
            of: Grows::Cpu(route("POST /photos")),
            first: 0.4,
            last: 3.2,
            more: estimate(2.8, 2.5, 3.1),
            requests: 4100,
            is_by_writes: true,
        },
        Growth {
            of: Grows::Memory,
            first: 90e6,
            last: 310e6,
            more: estimate(220e6, 200e6, 240e6),
            requests: 4100,
            is_by_writes: true,
        },
    ];
    judgement
}

/// A lock is held across something slow.
pub fn fix_the_lock() -> Judgement {
    let mut judgement = fix_own_lines();
    let limit = judgement.limit.as_mut().unwrap();
    (limit.resource, limit.is_waited_for) = (Resource::Lock, true);
    judgement
}

pub fn limit_concurrency() -> Judgement {
    let mut judgement = judged(Verdict::Remedy { index: 0 });
    judgement.remedies[0].meets_goal = Some(true);
    judgement.remedies[0].latency_ratio = BTreeMap::from([(route("GET /"), change(190.0, 61.0, 0.1))]);
    judgement
}

pub fn release_workers() -> Judgement {
    let mut judgement = limit_concurrency();
    let remedy = &mut judgement.remedies[0];
    (remedy.kind, remedy.area) = (RemedyKind::ReleaseWorkers, Vec::new());
    remedy.arrangement = Arrangement::closing();
    let held = HeldWorkers { first_ms: 4812.0, later_ms: 9.4, cpu_share: 0.31 };
    judgement.limit = Some(fissure_judge::limit::of_held_workers(&held, None));
    judgement.held_workers = Some(held);
    judgement
}

pub fn cache_answers() -> Judgement {
    let mut judgement = limit_concurrency();
    let remedy = &mut judgement.remedies[0];
    remedy.kind = RemedyKind::CacheAnswers;
    remedy.area = vec![route("GET /")];
    remedy.arrangement = Arrangement::cached(&route("GET /"));
    judgement
}

pub fn add_replicas() -> Judgement {
    let mut judgement = judged(Verdict::Remedy { index: 1 });
    judgement.remedies[1].meets_goal = Some(true);
    judgement.remedies[1].not_rehearsed = None;
    judgement.remedies[1].capacity_ratio = Some(estimate(1.8, 1.6, 2.0));
    judgement.remedies[1].capacity = Some(capacity(1.03));
    judgement
}

pub fn split() -> Judgement {
    judged(Verdict::Remedy { index: 2 })
}

pub fn scale_out() -> Judgement {
    let mut judgement =
        judged(Verdict::ScaleOut { cpus_needed: estimate(3.4, 3.1, 3.8), cpus_given: 1, best: Some(2) });
    judgement.remedies[2].meets_goal = Some(false);
    judgement.remedies[2].capacity = Some(capacity(0.7));
    judgement
}

/// A judgement of a run that saw next to nothing.
pub fn not_enough(reasons: Vec<Missing>) -> Judgement {
    let mut judgement = judged(Verdict::NotEnoughEvidence { reasons });
    judgement.limit = None;
    judgement.capacity = None;
    judgement.saturation_per_s = None;
    judgement.demands.clear();
    judgement.background_cores = None;
    judgement.connection = None;
    judgement.remedies.clear();
    judgement.control = None;
    judgement.curve.clear();
    judgement.windows = 0;
    judgement.windows_void = 0;
    judgement
}

/// A lock is held across a slow call, and no copy helps.
pub fn something_waits() -> Judgement {
    let cpu_share = estimate(0.04, 0.03, 0.05);
    let reasons = vec![Missing::SomethingWaits { cpu_share, best: None }];
    let mut judgement = judged(Verdict::NotEnoughEvidence { reasons });
    judgement.remedies.truncate(1);
    let spot =
        |function: &str, line| Spot { function: function.to_owned(), file: "src/stock.c".to_owned(), line };
    let peer = Address::from("127.0.0.1:7311".to_owned());
    let wait = |what, at, share: f64, holder| Wait {
        what,
        at,
        share: estimate(share, share - 0.02, share + 0.02),
        holder,
    };
    let charge = spot("charge", 18);
    judgement.waits = Some(Waits {
        under_way: 16.0,
        running: 0.04,
        interpreter_held: 0.0,
        places: vec![
            wait(
                WaitsFor::Lock,
                Some(spot("buy", 31)),
                0.76,
                Some(Holder {
                    taken: spot("order", 40),
                    at: charge.clone(),
                    what: Some(WaitsFor::Peer(Some(peer.clone()))),
                }),
            ),
            wait(WaitsFor::Peer(Some(peer.clone())), Some(charge), 0.06, None),
            wait(WaitsFor::Time, None, 0.05, None),
        ],
        peers: vec![PeerLoad { address: peer, connections: 16.0, awaited: 0.98, resting: 0.0 }],
        busy_threads: 16.0,
        busy_workers: 16.0,
        idle_threads: 0.2,
        idle_workers: 0.2,
        event_loop: false,
        runs_event_loop: false,
    });
    judgement.limit = Some(Limit {
        resource: Resource::Lock,
        is_waited_for: true,
        routes: vec![route("POST /photos")],
        victims: vec![route("POST /photos")],
        evidence: vec!["12.2 of the 16 requests under way wait for a lock".to_owned()],
        place: vec![
            place("charge", "src/stock.c", 18, 0.76, None),
            place("buy", "src/stock.c", 31, 0.76, None),
        ],
    });
    judgement
}

/// Every reason for which there may be no verdict.
pub fn every_missing() -> Vec<Missing> {
    let route = route("GET /reports/{id}");
    vec![
        Missing::NotStarted {
            sentence: "The app ended with status 1 before it listened: mend its start and check again"
                .to_owned(),
            last_lines: vec!["Error: Cannot find module 'express'".to_owned()],
        },
        Missing::JourneyFails {
            journey: "journeys/buy.hurl".to_owned(),
            line: 12,
            route: route.clone(),
            problem: "it answered 500, expected 200.".to_owned(),
        },
        Missing::Void { void: 7, windows: 12, why: BTreeMap::from([("steal".to_owned(), 7)]) },
        Missing::Interrupted,
        Missing::OutOfTime,
        Missing::SomethingWaits { cpu_share: estimate(0.35, 0.31, 0.4), best: Some(0) },
        Missing::NothingHelps { cpus_needed: estimate(0.8, 0.7, 0.9), best: Some(0) },
        Missing::SoloWaits { route: route.clone(), latency_ms: 2_850.0, cpu_ms: 12.0, limit_ms: 2_000.0 },
        Missing::Errors { route, share: 0.12 },
        Missing::Died {
            how: "web: killed by signal 9".to_owned(),
            last_lines: vec!["FATAL ERROR: heap out of memory".to_owned()],
        },
        Missing::TooClose { capacity: estimate(7.9, 7.5, 8.3), goal: 8.0 },
        Missing::TwoLimits {
            cpu_share: estimate(0.93, 0.9, 0.96),
            other: Resource::Database,
            other_share: 0.62,
            link: Some(database()),
        },
        Missing::LinesUnseen { cpus_needed: estimate(3.2, 3.0, 3.4), best: None, engine: None },
        Missing::LinesUnseen {
            cpus_needed: estimate(3.2, 3.0, 3.4),
            best: Some(0),
            engine: Some(("SQLite", 0.93)),
        },
    ]
}

/// Every doubt there is.
pub fn every_doubt() -> Vec<Doubt> {
    let route = route("GET /reports/{id}");
    vec![
        Doubt::VoidWindows { void: 1, windows: 20, why: BTreeMap::new() },
        Doubt::ControlDiffers { ratio: estimate(1.04, 1.02, 1.06) },
        Doubt::RareRoute { route: route.clone(), requests: 1 },
        Doubt::SharedCpus,
        Doubt::PredictionOff { remedy: "2 replicas".to_owned(), predicted: 1.9, measured: 1.2 },
        Doubt::VagueDemand { route },
        Doubt::ConnectionChurn { per_request: 0.97 },
        Doubt::WideInterval { half_width_share: 0.14 },
        Doubt::LittleHeadroom { headroom: estimate(1.1, 1.04, 1.16) },
        Doubt::LongVisits { pauses_s: 25.0, shortened_to_s: 9.5 },
        Doubt::CollectorStops(CollectorStops { share: 0.17, per_s: 1.1, longest_ms: 190.0 }),
    ]
}

/// Every judgement that a report can be made of, by name.
pub fn every_judgement() -> Vec<(&'static str, Judgement)> {
    let mut unlucky = not_enough(every_missing());
    unlucky.doubts = every_doubt();
    vec![
        ("holding_up", holding_up()),
        ("fix_these_lines", fix_these_lines()),
        ("fix_own_lines", fix_own_lines()),
        ("limit_concurrency", limit_concurrency()),
        ("release_workers", release_workers()),
        ("cache_answers", cache_answers()),
        ("add_replicas", add_replicas()),
        ("split_this_area", split()),
        ("scale_out", scale_out()),
        ("something_waits", something_waits()),
        ("fix_the_lock", fix_the_lock()),
        ("its_the_database", its_the_database()),
        ("not_enough_evidence", unlucky),
    ]
}
