//! What a crowd is told to do.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use fissure_facts::{Emphasis, Load, Protocol, Reading, Route};
use serde::{Deserialize, Serialize};

/// Everything a crowd needs to know; it reads nothing else.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CrowdPlan {
    pub mode: Mode,
    pub journeys: Vec<JourneySource>,
    /// What routes are called whose paths do not say that they are one.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Rows of the users' data; user n takes row n, beginning anew when they run out.
    pub data: Vec<BTreeMap<String, String>>,
    /// Variables that every user has.
    pub variables: BTreeMap<String, String>,
    /// The replicas of each role. On this machine, or on one of the user's own hosts.
    pub targets: BTreeMap<String, Vec<SocketAddr>>,
    /// Hosts beyond this machine that the user's configuration names as their own, with what their names stood for at the
    /// beginning: nowhere else may load go.
    #[serde(default)]
    pub own_hosts: BTreeMap<String, Vec<IpAddr>>,
    /// What `Host` says and `{{base}}` begins with; the first address of `web` when absent.
    #[serde(default)]
    pub host: Option<String>,
    /// How all of them are spoken to, unless a step of a journey says otherwise.
    #[serde(default)]
    pub protocol: Protocol,
    /// Routes that another role than `web` serves.
    pub table: BTreeMap<Route, String>,
    /// At most so many requests of a route inside the app at once; the others wait in front.
    pub concurrency: BTreeMap<Route, u32>,
    /// Users close their connection behind each answer, and say so beforehand.
    #[serde(default)]
    pub closes: bool,
    /// Users hand open connections on to each other, as the clients of a load generator do. A browser's users do not.
    #[serde(default)]
    pub hand_on: bool,
    /// At most so many requests on their way at once, all routes together; the others wait in front.
    #[serde(default)]
    pub at_once: Option<u32>,
    /// Journeys that are played alone tell which of their pages show what they wrote.
    #[serde(default)]
    pub finds_writes: bool,
    /// What is written in a window is looked for when it is over, in these ways.
    #[serde(default)]
    pub read_back: Vec<Reading>,
    /// Whatever is received is acknowledged at once.
    #[serde(default)]
    pub acknowledges_at_once: bool,
    /// Think times are cut to this.
    pub think_max_s: f64,
    /// As in a window's plan.
    #[serde(default)]
    pub visit_max_s: Option<f64>,
    /// A request without a whole answer after so long is an error.
    pub timeout_s: f64,
    pub seed: u64,
    /// CPUs that the crowd may use; empty for all.
    pub cpus: Vec<usize>,
    /// When the warm-up begins, by CLOCK_MONOTONIC, so that the probes of the parent sample the same seconds. The measured
    /// second k is [start + warm-up + k, + 1 s). At once when absent. Leave the child a tenth of a second to start.
    pub start_at_ns: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Mode {
    /// Each journey once, alone, in order, one user each, with short think times.
    #[default]
    Play,
    /// A window of load.
    Hold { window: u32, load: Load, emphasis: Option<Emphasis>, warmup_s: f64, seconds: u32 },
}

/// A journey as text; the crowd parses it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JourneySource {
    /// Path of the file as the configuration names it.
    pub name: String,
    pub text: String,
    pub weight: f64,
    /// The folder of the file, where `file,name;` is looked for.
    pub folder: PathBuf,
}
