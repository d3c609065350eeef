//! An arrangement: everything about *how the app is run*.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Route;

/// The role that is the whole app.
pub const WEB: &str = "web";

/// The role that is no copy of the app but a cache in front of it, a program of fissure's own. No area can be called so: areas
/// are written in lower case.
pub const CACHE: &str = "Cache";
/// How long it keeps an answer, in seconds.
pub const CACHE_FOR_S: f64 = 1.0;

/// The app's command started for a duty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Lower-case word: `web` is the whole, `thumbs` serves some routes.
    pub name: String,
    /// How many copies run side by side. At least 1.
    pub replicas: u32,
}

/// Roles x replicas, the table route -> role, and the limits in force. All processes of an arrangement share the
/// same CPU set, so that arrangements compare on equal hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrangement {
    /// What a person calls it, unique within a run: `whole`, `2 replicas`, `POST /photos apart`.
    pub name: String,
    pub roles: Vec<Role>,
    /// Routes that another role than `web` serves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub table: BTreeMap<Route, String>,
    /// At most so many requests of this route inside the app at once; the others wait in front, first come first served.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub concurrency: BTreeMap<Route, u32>,
    /// The connection of a user is closed behind each answer, so that no worker of the app is held while users think: as with keep-alive
    /// off, or behind a proxy that keeps the users' connections itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closes: bool,
    /// Started so that profilers can look inside (an inspector listens, debug information is kept). Never measured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub profiled: bool,
    /// The program as it was before the change that is to be proved: started by its own command, perhaps in its own folder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub before: bool,
}

impl Arrangement {
    /// The app as it is: one process tree that serves every route.
    pub fn whole() -> Self {
        Self::named("whole")
    }

    /// A second, identical copy of the whole, for the A/A control.
    pub fn control() -> Self {
        Self::named("control")
    }

    /// The whole, started once more for the profilers.
    pub fn profiled() -> Self {
        Self { profiled: true, ..Self::named("profiled") }
    }

    /// The whole as it was before a change.
    pub fn before() -> Self {
        Self { before: true, ..Self::named("before") }
    }

    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            roles: vec![Role { name: WEB.to_owned(), replicas: 1 }],
            table: BTreeMap::new(),
            concurrency: BTreeMap::new(),
            closes: false,
            profiled: false,
            before: false,
        }
    }

    pub fn replicas(count: u32) -> Self {
        let mut arrangement = Self::named(&format!("{count} replicas"));
        arrangement.roles[0].replicas = count;
        arrangement
    }

    /// At most `at_once` requests of `route` inside the app.
    pub fn limited(route: &Route, at_once: u32) -> Self {
        let mut arrangement = Self::named(&format!("{route} limited to {at_once}"));
        arrangement.concurrency.insert(route.clone(), at_once);
        arrangement
    }

    /// No connection is kept open behind an answer.
    pub fn closing() -> Self {
        Self { closes: true, ..Self::named("keep-alive off") }
    }

    /// `area` served by a role of its own, started from the same code base.
    pub fn split(role: &str, area: &[Route]) -> Self {
        let mut arrangement = Self::named(&format!("{role} apart"));
        arrangement.roles.push(Role { name: role.to_owned(), replicas: 1 });
        arrangement.table = area.iter().map(|r| (r.clone(), role.to_owned())).collect();
        arrangement
    }

    /// The answers to `route` are kept for [`CACHE_FOR_S`] by a cache in front of the app.
    pub fn cached(route: &Route) -> Self {
        let mut arrangement = Self::named(&format!("{route} cached"));
        arrangement.roles.push(Role { name: CACHE.to_owned(), replicas: 1 });
        arrangement.table.insert(route.clone(), CACHE.to_owned());
        arrangement
    }

    /// A cache answers requests of this route.
    pub fn caches(&self, route: &Route) -> bool {
        self.role_of(route) == CACHE
    }

    /// The role that serves `route`.
    pub fn role_of(&self, route: &Route) -> &str {
        self.table.get(route).map_or(WEB, String::as_str)
    }

    /// How many copies of the app run in it.
    pub fn copies(&self) -> u32 {
        self.roles.iter().filter(|r| r.name != CACHE).map(|r| r.replicas).sum()
    }
}
