//! Areas: sets of routes that could be a role of their own, and the words to name them by.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::Route;
use fissure_facts::arrangement::WEB;
use fissure_facts::config::{Goal, is_role_name};

use crate::model::{Model, RouteModel};

/// Routes with less of the CPU than this are nobody's problem.
const LEAST_SHARE: f64 = 0.1;
/// A job this many times as long as the others' mean makes the others wait.
const LONG_AMONG_OTHERS: f64 = 2.0;
/// So does a job that takes this share of the shortest SLO of the others.
const LONG_FOR_SLO: f64 = 0.2;
/// Routes that are looked at alone; the rest of the CPU is spread too thin to be an area.
const MOST_HEAVY: usize = 4;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Area {
    pub role: String,
    pub routes: Vec<Route>,
}

/// Routes that hold up others: a large share of the CPU *and* long jobs. Descending by share. When there is none, the one
/// that uses most, so that its remedies can be compared too.
pub(super) fn heavy(model: &Model, goal: &Goal) -> Vec<Route> {
    let mut by_share: Vec<&RouteModel> = model.routes.iter().collect();
    by_share.sort_by(|a, b| model.share(b).total_cmp(&model.share(a)));
    let heavy: Vec<Route> = by_share
        .iter()
        .filter(|r| model.share(r) >= LEAST_SHARE && holds_up_others(r, model, goal))
        .take(MOST_HEAVY)
        .map(|r| r.route.clone())
        .collect();
    if heavy.is_empty() { by_share.first().map(|r| r.route.clone()).into_iter().collect() } else { heavy }
}

fn holds_up_others(route: &RouteModel, model: &Model, goal: &Goal) -> bool {
    let others: Vec<&RouteModel> =
        model.routes.iter().filter(|r| r.route != route.route && r.mix > 0.0).collect();
    let requests: f64 = others.iter().map(|r| r.mix).sum();
    let mean_ms = others.iter().map(|r| r.mix * r.cpu_ms).sum::<f64>() / requests;
    let shortest_ms =
        others.iter().map(|r| goal.slo_of(&r.route).limit_us() as f64 / 1000.0).fold(f64::INFINITY, f64::min);
    requests > 0.0
        && (route.cpu_ms >= LONG_AMONG_OTHERS * mean_ms || route.cpu_ms >= LONG_FOR_SLO * shortest_ms)
}

/// The areas that the user has in mind, each heavy route alone, the heaviest ones together, and groups of routes below a common path. Never
/// everything (that would only rename the whole), never the same set twice.
pub(super) fn areas(model: &Model, goal: &Goal, config_areas: &BTreeMap<String, Vec<Route>>) -> Vec<Area> {
    let mut found = Found::default();
    for (name, named) in config_areas {
        let routes = model.routes.iter().map(|r| &r.route).filter(|r| named.iter().any(|n| n.matches(r)));
        found.add(model, routes.cloned().collect(), std::slice::from_ref(name));
    }
    let heavy = heavy(model, goal);
    for route in &heavy {
        let word = word_of(route);
        let with_method = format!("{}_{word}", route.method().to_ascii_lowercase());
        found.add(model, vec![route.clone()], &[word, with_method]);
    }
    // Where a sign-up hashes a password as a login does, one of them apart leaves the other behind.
    for several in 2..=heavy.len() {
        let together = &heavy[..several];
        let words: Vec<String> = together.iter().map(word_of).collect();
        found.add(model, together.to_vec(), &[words.join("_"), "heavy".to_owned()]);
    }
    for (prefix, routes) in groups(model) {
        let share: f64 =
            model.routes.iter().filter(|r| routes.contains(&r.route)).map(|r| model.share(r)).sum();
        if routes.len() > 1 && share >= LEAST_SHARE {
            let word = prefix.last().map_or_else(String::new, |segment| word(segment));
            found.add(model, routes, &[word.clone(), format!("{word}_area")]);
        }
    }
    found.areas
}

#[derive(Default)]
struct Found {
    areas: Vec<Area>,
    sets: BTreeSet<Vec<Route>>,
}

impl Found {
    /// Under the first of `words` that is still free, or the last with a number.
    fn add(&mut self, model: &Model, mut routes: Vec<Route>, words: &[String]) {
        complete(&mut routes, model);
        let mut set = routes.clone();
        set.sort();
        if routes.is_empty() || routes.len() == model.routes.len() || !self.sets.insert(set) {
            return;
        }
        let last = words.last().map_or("area", String::as_str);
        let mut names = words.iter().cloned().chain((2u32..).map(|n| format!("{last}_{n}")));
        let free =
            |name: &String| is_role_name(name) && name != WEB && self.areas.iter().all(|a| a.role != *name);
        if let Some(role) = names.find(free) {
            self.areas.push(Area { role, routes });
        }
    }
}

/// What goes over one open connection stays together.
fn complete(routes: &mut Vec<Route>, model: &Model) {
    let live: Vec<String> = routes.iter().filter(|r| r.is_live()).map(|r| r.path().to_owned()).collect();
    let others = model.routes.iter().map(|r| &r.route).filter(|r| r.is_live() && !routes.contains(r));
    let company: Vec<Route> = others.filter(|r| live.iter().any(|path| path == r.path())).cloned().collect();
    routes.extend(company);
}

/// Routes by the first, and by the first two, fixed segments of their paths: `/api/orders/{id}` is below `api` and
/// below `api/orders`.
fn groups(model: &Model) -> BTreeMap<Vec<String>, Vec<Route>> {
    let mut groups: BTreeMap<Vec<String>, Vec<Route>> = BTreeMap::new();
    for r in &model.routes {
        let fixed = fixed_segments(&r.route);
        for length in 1..=fixed.len().min(2) {
            groups.entry(fixed[..length].to_vec()).or_default().push(r.route.clone());
        }
    }
    groups
}

/// The segments up to the first parameter.
fn fixed_segments(route: &Route) -> Vec<String> {
    let segments = route.path().split('/').filter(|s| !s.is_empty());
    segments.take_while(|s| !s.contains('{')).map(str::to_owned).collect()
}

/// The last fixed segment anywhere in the path: `POST /photos` is `photos`, `GET /photos/{id}/thumb` is `thumb`.
fn word_of(route: &Route) -> String {
    let segments: Vec<&str> = route.path().split('/').filter(|s| !s.is_empty() && !s.contains('{')).collect();
    segments.last().map_or_else(|| "home".to_owned(), |segment| word(segment))
}

/// A segment as a role's name: lower case, the rest as underscores, the ending of a file left out.
fn word(segment: &str) -> String {
    let stem = segment.split('.').find(|s| !s.is_empty()).unwrap_or_default();
    let word: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let word = word.trim_matches('_');
    if is_role_name(word) && word != WEB {
        word.to_owned()
    } else {
        format!("area_{word}").trim_end_matches('_').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model(routes: &[(&str, f64, f64)]) -> Model {
        let routes = routes
            .iter()
            .map(|&(text, mix, cpu_ms)| RouteModel {
                route: text.parse().unwrap(),
                mix,
                cpu_ms,
                wait_ms: 0.0,
                cv: 0.5,
            })
            .collect();
        Model {
            cpus: 1.0,
            workers: 1,
            slots: None,
            admits_per_s: None,
            hits: BTreeMap::new(),
            connection_ms: 0.0,
            routes,
            requests_per_user: 1.0,
        }
    }

    fn goal() -> Goal {
        Goal {
            slo: fissure_facts::config::Slo::p95(std::time::Duration::from_millis(300)),
            ..Goal::default()
        }
    }

    fn roles(model: &Model, config: &[(&str, &[&str])]) -> Vec<(String, usize)> {
        let config = config
            .iter()
            .map(|(name, routes)| ((*name).to_owned(), routes.iter().map(|r| r.parse().unwrap()).collect()))
            .collect();
        areas(model, &goal(), &config).into_iter().map(|a| (a.role, a.routes.len())).collect()
    }

    #[test]
    fn a_popular_cheap_route_is_not_heavy_and_a_rare_dear_one_neither() {
        let model =
            model(&[("GET /", 0.9, 1.0), ("POST /photos", 0.0999, 30.0), ("GET /export", 0.0001, 900.0)]);
        assert_eq!(heavy(&model, &goal()), ["POST /photos".parse().unwrap()]);
    }

    #[test]
    fn without_a_heavy_route_the_one_that_uses_most_stands_in() {
        let model = model(&[("GET /a", 0.5, 1.0), ("GET /b", 0.5, 1.1)]);
        assert_eq!(heavy(&model, &goal()), ["GET /b".parse().unwrap()]);
    }

    #[test]
    fn areas_are_named_by_the_user_first_and_never_twice() {
        let model = model(&[
            ("GET /", 0.5, 1.0),
            ("GET /photos/{id}", 0.2, 1.0),
            ("POST /photos", 0.1, 60.0),
            ("GET /api/search", 0.1, 10.0),
            ("GET /api/orders", 0.1, 10.0),
        ]);
        let found = roles(&model, &[]);
        assert_eq!(found, [("photos".to_owned(), 1), ("api".to_owned(), 2), ("photos_area".to_owned(), 2)]);
        let named = roles(&model, &[("uploads", &["POST /photos"]), ("nothing", &["GET /none"])]);
        assert_eq!(named[0], ("uploads".to_owned(), 1));
        assert!(named.iter().all(|(name, _)| name != "nothing"));
        assert_eq!(named.iter().filter(|(_, n)| *n == 1).count(), 1, "POST /photos stands there once");
    }

    /// Of a login and a sign-up that both hash a password only one was taken apart, and the other went on holding up everybody.
    #[test]
    fn heavy_routes_are_an_area_together_too() {
        let routes = [("GET /", 0.94, 0.3), ("POST /login", 0.04, 90.0), ("POST /members", 0.02, 90.0)];
        let found = roles(&model(&routes), &[]);
        assert!(found.contains(&("login_members".to_owned(), 2)), "{found:?}");
    }

    #[test]
    fn a_parameter_by_another_name_is_the_same_route_in_an_area() {
        let model = model(&[("GET /", 0.5, 1.0), ("GET /photos/{id}/thumb", 0.5, 20.0)]);
        assert_eq!(roles(&model, &[("thumbs", &["GET /photos/{photo}/thumb"])]), [("thumbs".to_owned(), 1)]);
    }

    #[test]
    fn what_goes_over_one_open_connection_is_not_torn_apart() {
        let model = model(&[
            ("GET /", 0.5, 1.0),
            ("GET /chat", 0.1, 1.0),
            ("WEBSOCKET /chat", 0.1, 0.1),
            ("SEND /chat#join", 0.2, 20.0),
            ("CLOSE /chat", 0.1, 0.1),
        ]);
        let areas = areas(&model, &goal(), &BTreeMap::new());
        let routes = |n: usize| areas[n].routes.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(routes(0), ["SEND /chat#join", "WEBSOCKET /chat", "CLOSE /chat"]);
        assert_eq!((areas[0].role.as_str(), areas.len(), routes(1).len()), ("chat", 2, 4));
    }

    #[test]
    fn everything_together_is_no_area() {
        assert_eq!(roles(&model(&[("GET /only", 1.0, 10.0)]), &[("all", &["GET /only"])]), []);
    }

    proptest! {
        #[test]
        fn any_path_gives_a_role_that_can_be_started(paths in prop::collection::vec("/[A-Za-z0-9_.{}%~/-]{0,16}", 2..6)) {
            let texts: Vec<String> = paths.iter().map(|p| format!("GET {p}")).collect();
            let routes: Vec<(&str, f64, f64)> = texts.iter().map(|t| (t.as_str(), 1.0 / texts.len() as f64, 50.0)).collect();
            let found = areas(&model(&routes), &goal(), &BTreeMap::new());
            let names: BTreeSet<&String> = found.iter().map(|a| &a.role).collect();
            prop_assert_eq!(names.len(), found.len());
            prop_assert!(found.iter().all(|a| is_role_name(&a.role) && a.role != WEB));
        }
    }
}
