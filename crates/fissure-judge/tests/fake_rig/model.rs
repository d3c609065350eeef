//! The app as a queueing model: the planted truth.

use fissure_facts::config::{Config, Goal};
use fissure_facts::{Header, JourneyOutline, Machine, OutlineStep, Route};
use rand_distr::{Distribution, Gamma};
use rand_pcg::Pcg64;

/// What one route costs.
#[derive(Debug, Clone)]
pub struct Cost {
    pub route: Route,
    /// Mean CPU of a request.
    pub cpu_ms: f64,
    /// Coefficient of variation of that CPU: 0 is constant, 1 exponential.
    pub cv: f64,
    /// Time that a request waits for something else, without CPU.
    pub wait_ms: f64,
}

/// CPU seconds of one request.
pub enum CpuTime {
    Constant(f64),
    Varied(Gamma<f64>),
}

impl CpuTime {
    pub fn sample(&self, random: &mut Pcg64) -> f64 {
        match self {
            Self::Constant(cpu_s) => *cpu_s,
            Self::Varied(gamma) => gamma.sample(random),
        }
    }
}

impl Cost {
    pub fn cpu_s(&self) -> CpuTime {
        let mean_s = self.cpu_ms / 1e3;
        if self.cv == 0.0 {
            return CpuTime::Constant(mean_s);
        }
        let shape = 1.0 / self.cv.powi(2);
        CpuTime::Varied(Gamma::new(shape, mean_s / shape).unwrap())
    }
}

/// The app as a queueing model: the planted truth.
#[derive(Debug, Clone)]
pub struct Model {
    pub cpus: usize,
    /// Requests that one process works on at once.
    pub threads: usize,
    /// Requests that one process lets in at once, those included that wait without CPU.
    pub slots: u32,
    /// The same for all processes together: a database's connections.
    pub shared_slots: u32,
    /// Users who have a worker of one process for themselves from their first request to their last, unless connections are closed
    /// behind each answer; others wait for one.
    pub seats: u32,
    pub costs: Vec<Cost>,
    pub journeys: Vec<JourneyOutline>,
    /// CPU burnt without requests; requests share the rest.
    pub background_cores: f64,
    /// Standard deviation of a second's CPU reading, as a share of it.
    pub cpu_noise: f64,
}

impl Model {
    /// An event loop on one CPU; every route is a journey of one request, `(route, share, cpu_ms, cv)`.
    pub fn event_loop(routes: &[(&str, f64, f64, f64)]) -> Self {
        let route = |text: &str| -> Route { text.parse().unwrap() };
        Self {
            cpus: 1,
            threads: 1,
            slots: u32::MAX,
            shared_slots: u32::MAX,
            seats: u32::MAX,
            costs: routes
                .iter()
                .map(|&(r, _, cpu_ms, cv)| Cost { route: route(r), cpu_ms, cv, wait_ms: 0.0 })
                .collect(),
            journeys: routes
                .iter()
                .map(|&(r, weight, ..)| JourneyOutline {
                    name: format!("journeys/{}.hurl", r.replace(['/', ' '], "-")),
                    weight,
                    steps: vec![OutlineStep { route: route(r), think_s: 0.0 }],
                })
                .collect(),
            background_cores: 0.0,
            cpu_noise: 0.02,
        }
    }

    /// The beginning of a run on this app.
    pub fn header(&self, goal: Goal, seed: u64) -> Header {
        Header {
            format: fissure_facts::run::FORMAT.to_owned(),
            fissure: "0.0.0".to_owned(),
            run: "fake".to_owned(),
            started_unix_s: 0,
            verb: "check".to_owned(),
            seed,
            machine: Machine {
                app_cpus: (0..self.cpus).collect(),
                crowd_cpus: vec![self.cpus],
                ..Machine::default()
            },
            config: Config { goal, ..Config::default() },
            journeys: self.journeys.clone(),
        }
    }

    pub fn cost(&self, route: &Route) -> &Cost {
        self.costs.iter().find(|cost| cost.route == *route).unwrap()
    }
}
