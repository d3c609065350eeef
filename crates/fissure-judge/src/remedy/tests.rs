//! Shortlists of apps whose best remedy is known.

use std::time::Duration;

use fissure_facts::config::{GoalLoad, Slo};

use super::*;
use crate::model::RouteModel;
use crate::sim::Effort;

/// Enough for the stories told here.
const SHALLOW: Depth = Depth {
    middle: Effort { requests: 8_000, precision: 0.01 },
    world: Effort { requests: 1_500, precision: 0.02 },
    worlds: 8,
};

fn route(text: &str) -> Route {
    text.parse().unwrap()
}

/// (route, mix, CPU ms, SLO ms)
type Row = (&'static str, f64, f64, u64);

const PHOTO_SHOP: [Row; 4] = [
    ("GET /", 0.6, 1.0, 25),
    ("GET /photos/{id}", 0.2, 1.0, 25),
    ("POST /orders", 0.15, 2.0, 25),
    ("POST /photos", 0.05, 60.0, 1000),
];

struct App {
    model: Model,
    demands: Vec<RouteDemand>,
    goal: Goal,
    areas: BTreeMap<String, Vec<Route>>,
    options: Options,
}

fn app(rows: &[Row], unsure: f64) -> App {
    let mean: f64 = rows.iter().map(|r| r.1 * r.2).sum();
    let mut goal = Goal { slo: Slo::p95(Duration::from_secs(1)), ..Goal::default() };
    for &(text, _, _, slo_ms) in rows {
        goal.routes.insert(route(text), Slo::p95(Duration::from_millis(slo_ms)));
    }
    let routes = rows
        .iter()
        .map(|&(text, mix, cpu_ms, _)| RouteModel { route: route(text), mix, cpu_ms, wait_ms: 0.4, cv: 0.3 })
        .collect();
    let demands = rows
        .iter()
        .map(|&(text, mix, cpu_ms, _)| RouteDemand {
            route: route(text),
            cpu_ms: Estimate::new(cpu_ms, cpu_ms * (1.0 - unsure), cpu_ms * (1.0 + unsure)),
            share: mix * cpu_ms / mean,
            solo_ms: Some(cpu_ms + 0.4),
            mix,
        })
        .collect();
    App {
        model: Model {
            cpus: 1.0,
            workers: 1,
            slots: None,
            admits_per_s: None,
            hits: BTreeMap::new(),
            connection_ms: 0.0,
            routes,
            requests_per_user: 4.0,
        },
        demands,
        goal,
        areas: BTreeMap::new(),
        options: Options { copies_allowed: u32::MAX, most: 4, goal_users_per_s: 25.0 },
    }
}

/// The model promised more of copies than they gave, because each of them wants a connection of every user.
#[test]
fn copies_cost_their_users_connections() {
    let mut app = app(&[("GET /", 0.95, 1.0, 50), ("POST /photos", 0.05, 40.0, 1000)], 0.05);
    let of_copies = |app: &App| {
        let found = app.shortlist();
        let copies = found.into_iter().find(|c| c.kind == RemedyKind::AddReplicas).unwrap();
        (copies.arrangement.copies(), copies.predicted.mid)
    };
    for route in &mut app.model.routes {
        route.cpu_ms += 0.5; // of two milliseconds for the connection of a journey with four requests
    }
    let (copies, without) = of_copies(&app);
    app.model.connection_ms = 0.5;
    let (_, with) = of_copies(&app);
    assert!(copies > 1 && with < 0.95 * without, "{copies} copies: {without} and {with}");
}

impl App {
    fn shortlist(&self) -> Vec<Candidate> {
        shortlist_at(SHALLOW, &self.model, &self.demands, &self.goal, &self.areas, &self.options, 1)
    }
}

fn best(candidates: &[Candidate], kind: RemedyKind) -> &Candidate {
    let of_kind = candidates.iter().filter(|c| c.kind == kind);
    of_kind.max_by(|a, b| a.predicted.mid.total_cmp(&b.predicted.mid)).unwrap()
}

#[test]
fn a_photo_shop_is_promised_most_by_splitting_the_uploads() {
    let app = app(&PHOTO_SHOP, 0.05);
    let candidates = app.shortlist();
    let limit = best(&candidates, RemedyKind::LimitConcurrency);
    let copies = best(&candidates, RemedyKind::AddReplicas);
    let split = best(&candidates, RemedyKind::SplitThisArea);
    assert_eq!(split.area, [route("POST /photos")]);
    assert_eq!(split.arrangement.name, "photos apart");
    assert_eq!(limit.area, [route("POST /photos")]);
    assert!(
        (0.9..1.3).contains(&limit.predicted.mid),
        "one upload is too long already: {:?}",
        limit.predicted
    );
    assert!(split.predicted.low > 3.0, "{:?}", split.predicted);
    assert!(copies.predicted.mid > 2.0, "{:?}", copies.predicted);
    // 25 users of 4 requests of 4.15 ms need 0.42 of the CPU.
    assert!(split.predicted_meets_goal && !limit.predicted_meets_goal);
    for c in &candidates {
        assert!(c.predicted.contains(c.predicted.mid));
        assert!(c.predicted.high > c.predicted.low);
    }
}

#[test]
fn the_ladder_is_complete_and_ordered_and_no_longer_than_asked() {
    let mut app = app(&PHOTO_SHOP, 0.05);
    app.options.most = 3;
    let candidates = app.shortlist();
    let kept: Vec<RemedyKind> =
        candidates.iter().take_while(|c| c.why_not.is_none()).map(|c| c.kind).collect();
    assert_eq!(kept, [RemedyKind::LimitConcurrency, RemedyKind::AddReplicas, RemedyKind::SplitThisArea]);
    let rest = &candidates[kept.len()..];
    assert!(rest.iter().all(|c| c.why_not.is_some()));
    assert!(
        candidates.iter().all(|c| c.area.len() < 2),
        "all below /photos is no better than the uploads alone"
    );
    let mut names: Vec<&str> = candidates.iter().map(|c| c.arrangement.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), candidates.len());
}

/// A login and a sign-up hash passwords alike, and only one of them was taken apart.
#[test]
fn two_heavy_routes_are_split_off_together_when_one_does_not_do() {
    let rows = [
        ("GET /", 0.8, 0.3, 25),
        ("GET /things/{id}", 0.14, 0.3, 25),
        ("POST /login", 0.03, 60.0, 1000),
        ("POST /members", 0.03, 60.0, 1000),
    ];
    let candidates = app(&rows, 0.05).shortlist();
    let split = best(&candidates, RemedyKind::SplitThisArea);
    assert_eq!((split.area.len(), split.why_not.as_ref()), (2, None), "{candidates:?}");
    assert_eq!(split.arrangement.name, "login_members apart");
}

#[test]
fn with_a_fixed_port_only_a_limit_can_be_rehearsed() {
    let mut app = app(&PHOTO_SHOP, 0.05);
    app.options.copies_allowed = 1;
    let candidates = app.shortlist();
    let kept: Vec<RemedyKind> = candidates.iter().filter(|c| c.why_not.is_none()).map(|c| c.kind).collect();
    assert_eq!(kept, [RemedyKind::LimitConcurrency]);
    let split = best(&candidates, RemedyKind::SplitThisArea);
    assert!(split.why_not.as_ref().unwrap().contains("2 copies"), "{split:?}");
    assert!(split.predicted.mid > 3.0, "what could be had is still said");
}

#[test]
fn copies_are_for_cpus_that_one_thread_cannot_use() {
    let mut app = app(&[("GET /a", 0.5, 5.0, 50), ("GET /b", 0.5, 5.0, 50)], 0.05);
    let on_one = best(&app.shortlist(), RemedyKind::AddReplicas).clone();
    assert!(on_one.predicted.mid < 1.05, "{on_one:?}");
    app.model.cpus = 4.0;
    let enough = best(&app.shortlist(), RemedyKind::AddReplicas).clone();
    assert_eq!(enough.arrangement.copies(), 2, "more than the goal asks for");
    app.options.goal_users_per_s = 150.0;
    let on_four = best(&app.shortlist(), RemedyKind::AddReplicas).clone();
    assert_eq!(on_four.arrangement.copies(), 4);
    assert!(on_four.predicted.mid > 3.9, "{on_four:?}");
}

#[test]
fn a_remedy_that_promises_nothing_is_not_tried_unless_it_is_the_best_of_its_kind() {
    let rows = [("GET /a", 0.4, 5.0, 50), ("GET /b/x", 0.3, 5.0, 50), ("GET /b/y", 0.3, 5.0, 50)];
    let mut app = app(&rows, 0.05);
    app.areas.insert("first".to_owned(), vec![route("GET /a")]);
    let candidates = app.shortlist();
    let kept = candidates.iter().filter(|c| c.why_not.is_none()).count();
    assert_eq!(kept, 3, "one of each kind: {candidates:#?}");
    let why_not = candidates.iter().find_map(|c| c.why_not.as_deref()).unwrap();
    assert!(why_not.contains("not worth trying"), "{why_not}");
}

#[test]
fn vague_demands_make_vague_predictions() {
    let width = |unsure| {
        let split = best(&app(&PHOTO_SHOP, unsure).shortlist(), RemedyKind::SplitThisArea).predicted;
        split.high / split.low
    };
    assert!(width(0.5) > 1.2 * width(0.02));
}

#[test]
fn a_goal_that_a_route_misses_alone_is_met_by_no_remedy() {
    let mut rows = PHOTO_SHOP;
    rows[3].3 = 40;
    let candidates = app(&rows, 0.05).shortlist();
    assert!(!candidates.is_empty());
    assert!(candidates.iter().all(|c| !c.predicted_meets_goal));
    assert!(best(&candidates, RemedyKind::SplitThisArea).predicted.mid > 3.0, "the others still profit");
}

#[test]
fn without_demands_nothing_is_promised() {
    assert_eq!(app(&[("GET /", 1.0, 0.0, 25)], 0.05).shortlist(), []);
    assert_eq!(app(&[], 0.05).shortlist(), []);
}

#[test]
fn the_same_facts_give_the_same_shortlist() {
    let app = app(&PHOTO_SHOP, 0.1);
    assert_eq!(app.shortlist(), app.shortlist());
}

#[test]
fn the_cpus_of_a_goal_are_its_work_and_a_reserve() {
    let app = app(&PHOTO_SHOP, 0.1);
    let goal = GoalView {
        asked: GoalLoad::RequestsPerS(800.0),
        users_per_s: 200.0,
        requests_per_s: 800.0,
        users_at_once: 1.0,
    };
    let background_cores = Some(Estimate::exact(0.12));
    let demands = Demands { routes: app.demands.clone(), background_cores, ..Demands::default() };
    // 4.1 ms x 800/s = 3.28 busy cores, and 0.12 in the background.
    let needed = cpus_needed(&demands, goal);
    assert!((needed.mid - 3.4 / 0.8).abs() < 1e-9, "{needed:?}");
    assert!(needed.low < needed.mid && needed.mid < needed.high);
    // The uploads' 10 % of 3.0 cores dominate; independent errors do not add up linearly.
    assert!(needed.high - needed.mid < 0.1 * needed.mid);
}
