//! A run: what stood at its beginning, and the facts since.

use serde::{Deserialize, Serialize};

use crate::{Config, Fact, Route, Stamped, Window};

/// The version of the journal that this build writes and reads.
pub const FORMAT: &str = "fissure.run/1";

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Header {
    pub format: String,
    /// Version of fissure that recorded it.
    pub fissure: String,
    /// Name of the run's folder, such as `2026-11-23T06-30-12-a1b2`.
    pub run: String,
    /// Seconds since 1970.
    pub started_unix_s: u64,
    /// The verb that made the run: `check`, `demo`, `load`.
    pub verb: String,
    pub seed: u64,
    pub machine: Machine,
    pub config: Config,
    pub journeys: Vec<JourneyOutline>,
}

/// The machine, as far as it matters for comparing runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Machine {
    pub cpu_model: String,
    pub kernel: String,
    pub memory_bytes: u64,
    /// CPUs that every arrangement of the app gets.
    pub app_cpus: Vec<usize>,
    /// CPUs left to fissure and its crowd. May overlap with the app's on a machine with one CPU.
    pub crowd_cpus: Vec<usize>,
    /// Files that a process may have open at once, when it raises its own limit as far as it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_max: Option<u64>,
    /// Ports for connections to one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<u64>,
    /// An app that always listens on the same port gets another for each copy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moves_port: bool,
}

impl Header {
    /// The port of an app of which there can be one process only.
    pub fn only_port(&self) -> Option<u16> {
        self.config.app.port.filter(|_| !self.machine.moves_port)
    }
}

/// What the judge needs to know of a journey: its weight and its steps' routes and think times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JourneyOutline {
    /// Path of the file as the configuration names it.
    pub name: String,
    pub weight: f64,
    pub steps: Vec<OutlineStep>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutlineStep {
    pub route: Route,
    /// Think time before the request, as played (cut to `think_max`).
    pub think_s: f64,
}

impl JourneyOutline {
    pub fn think_s(&self) -> f64 {
        self.steps.iter().map(|s| s.think_s).sum()
    }
}

/// Everything that is known of a run; what is concluded is a function of this.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub header: Header,
    pub facts: Vec<Stamped>,
}

impl Run {
    pub fn new(header: Header) -> Self {
        Self { header, facts: Vec::new() }
    }

    /// The windows of load, each with its seconds and samples, in the order in which they began.
    pub fn windows(&self) -> Vec<Window> {
        Window::collect(&self.facts)
    }

    /// Seconds since the beginning of the run at the last fact.
    pub fn elapsed_s(&self) -> f64 {
        self.facts.last().map_or(0.0, |f| f.at_s)
    }

    pub fn was_interrupted(&self) -> bool {
        self.facts.iter().any(|f| f.fact == Fact::Interrupted)
    }

    /// Every route of the journeys once, in the order in which users meet them.
    pub fn routes(&self) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        for step in self.header.journeys.iter().flat_map(|j| &j.steps) {
            if !routes.contains(&step.route) {
                routes.push(step.route.clone());
            }
        }
        routes
    }
}
