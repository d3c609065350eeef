//! What came through the door, added up by route for the live page.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use fissure_facts::{Exchange, arrangement::WEB};
use fissure_judge::users::looks_random;
use fissure_rig::door::Passed;
use fissure_show::live::{LiveRoute, LiveSecond};

use super::notes::Roles;

/// The page shows so many seconds.
const SECONDS: usize = 60;
/// Beyond these all others are one.
const ROUTES_MAX: usize = 200;
/// Paths whose route is remembered.
const PATHS_MAX: usize = 5_000;
const TROUBLES_MAX: usize = 8;
const OTHERS: &str = "all others";

/// Added up by the notes, shown by the page.
pub struct Traffic {
    roles: Roles,
    began: Instant,
    /// The second that is not over, since the beginning.
    second: u64,
    seconds: VecDeque<LiveSecond>,
    /// Method -> path -> place in `routes`.
    places: HashMap<String, HashMap<String, usize>>,
    paths: usize,
    routes: Vec<LiveRoute>,
    pub refused: u64,
    pub messages: u64,
    /// With the second, the newest first.
    troubles: VecDeque<(u64, String)>,
}

impl Traffic {
    pub fn new(roles: Roles) -> Self {
        Self {
            roles,
            began: Instant::now(),
            second: 0,
            seconds: VecDeque::from([LiveSecond::default()]),
            places: HashMap::new(),
            paths: 0,
            routes: Vec::new(),
            refused: 0,
            messages: 0,
            troubles: VecDeque::new(),
        }
    }

    pub fn add(&mut self, passed: &Passed) {
        match passed {
            Passed::Answered(exchange) => {
                let status = exchange.answer.as_ref().map_or(0, |answer| answer.status);
                self.count(exchange, status);
                if status >= 500 {
                    self.trouble(exchange, &format!("status {status}"));
                }
            }
            Passed::Unanswered(exchange, why) => {
                self.count(exchange, 0);
                self.trouble(exchange, why);
            }
            Passed::Refused { .. } => self.refused += 1,
            Passed::Said(_) => self.messages += 1,
        }
    }

    /// The last seconds that are over, the oldest first.
    pub fn seconds(&mut self) -> Vec<LiveSecond> {
        self.go_on();
        self.seconds.iter().take(self.seconds.len() - 1).copied().collect()
    }

    /// The busiest first.
    pub fn routes(&self) -> Vec<LiveRoute> {
        let mut routes = self.routes.clone();
        routes.sort_by(|a, b| b.latencies.count().cmp(&a.latencies.count()).then(a.route.cmp(&b.route)));
        routes
    }

    /// What went wrong last, the newest first, and how many seconds ago.
    pub fn troubles(&mut self) -> Vec<(u64, String)> {
        self.go_on();
        self.troubles.iter().map(|(second, what)| (self.second - second, what.clone())).collect()
    }

    fn count(&mut self, exchange: &Exchange, status: u16) {
        self.go_on();
        let has_failed = status == 0 || status >= 500;
        if let Some(second) = self.seconds.back_mut() {
            second.requests += 1;
            second.failed += u64::from(has_failed);
        }
        let place = self.place(&exchange.request.method, path(&exchange.request.target));
        let route = &mut self.routes[place];
        route.latencies.record_us(exchange.took_us);
        route.failed += u64::from(has_failed);
        route.declined += u64::from((400..500).contains(&status));
    }

    fn trouble(&mut self, exchange: &Exchange, what: &str) {
        let request = &exchange.request;
        self.troubles
            .push_front((self.second, format!("{} {}: {what}", request.method, path(&request.target))));
        self.troubles.truncate(TROUBLES_MAX);
    }

    /// Begins the seconds that have begun.
    fn go_on(&mut self) {
        let second = self.began.elapsed().as_secs();
        for _ in self.second..second.min(self.second + SECONDS as u64) {
            self.seconds.push_back(LiveSecond::default());
        }
        self.second = second;
        while self.seconds.len() > SECONDS + 1 {
            self.seconds.pop_front();
        }
    }

    fn place(&mut self, method: &str, path: &str) -> usize {
        if let Some(&place) = self.places.get(method).and_then(|paths| paths.get(path)) {
            return place;
        }
        let named = self.roles.iter().find(|(route, _)| route.serves(method, path));
        let role = named.map_or(WEB, |(_, role)| role);
        let own = named.map(|(route, _)| route.to_string());
        let mut route = own.unwrap_or_else(|| format!("{method} {}", template(path)));
        let mut known = self.routes.iter().position(|known| known.route == route);
        if known.is_none() && self.routes.len() >= ROUTES_MAX {
            route = OTHERS.to_owned();
            known = self.routes.iter().position(|known| known.route == route);
        }
        let place = known.unwrap_or_else(|| {
            self.routes.push(LiveRoute { route, role: role.to_owned(), ..LiveRoute::default() });
            self.routes.len() - 1
        });
        if self.paths < PATHS_MAX {
            self.paths += 1;
            self.places.entry(method.to_owned()).or_default().insert(path.to_owned(), place);
        }
        place
    }
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// A route as a person would write it, as far as one path can tell.
fn template(path: &str) -> String {
    let of = |part: &str| {
        let is_id = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) || looks_random(part);
        if is_id { "{id}".to_owned() } else { part.chars().filter(|c| !c.is_control()).collect() }
    };
    path.split('/').map(of).collect::<Vec<String>>().join("/")
}

#[cfg(test)]
mod tests {
    use fissure_facts::traffic::{Answered, Asked};

    use super::*;

    fn passed(target: &str, status: u16) -> Passed {
        let request = Asked { method: "GET".to_owned(), target: target.to_owned(), ..Asked::default() };
        let answer = Some(Answered { status, ..Answered::default() });
        Passed::Answered(Exchange { request, answer, took_us: 1_500, ..Exchange::default() })
    }

    #[test]
    fn paths_become_routes_and_the_tables_routes_come_first() {
        let mut traffic =
            Traffic::new(Roles::from([("GET /photos/{photo}".parse().unwrap(), "thumbs".to_owned())]));
        for target in ["/orders/7?x=1", "/orders/8", "/photos/summer", "/about"] {
            traffic.add(&passed(target, 200));
        }
        let shown: Vec<_> =
            traffic.routes().into_iter().map(|r| (r.route, r.role, r.latencies.count())).collect();
        let own = |route: &str, role: &str, n| (route.to_owned(), role.to_owned(), n);
        let expected = [
            own("GET /orders/{id}", "web", 2),
            own("GET /about", "web", 1),
            own("GET /photos/{photo}", "thumbs", 1),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn failures_are_counted_and_told_and_no_flood_of_paths_fills_the_memory() {
        let mut traffic = Traffic::new(Roles::new());
        for n in 0..20_000 {
            traffic.add(&passed(&format!("/word{}x", letters(n)), if n % 2 == 0 { 404 } else { 503 }));
        }
        let routes = traffic.routes();
        assert_eq!((routes.len(), routes[0].route.as_str()), (ROUTES_MAX + 1, OTHERS));
        assert_eq!(routes.iter().map(|r| r.failed).sum::<u64>(), 10_000);
        assert_eq!(routes.iter().map(|r| r.declined).sum::<u64>(), 10_000);
        assert_eq!((traffic.troubles.len(), traffic.paths), (TROUBLES_MAX, PATHS_MAX));
        assert!(traffic.troubles[0].1.ends_with("status 503"), "{:?}", traffic.troubles);
    }

    fn letters(mut n: u32) -> String {
        let mut word = String::new();
        while n > 0 {
            word.push((b'a' + (n % 26) as u8) as char);
            n /= 26;
        }
        word
    }
}
