//! What fissure and a guard say to each other: one JSON line each way per message.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::intercept::Intercept;
use super::moved_port::MovedPort;

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Launch {
    /// What errors call it, such as `web 1`.
    pub label: String,
    /// Run by `sh -c`.
    pub command: String,
    pub folder: PathBuf,
    /// Set on top of fissure's own environment.
    pub env: Vec<(String, String)>,
    /// Taken out of fissure's own environment.
    pub clear_env: Vec<String>,
    /// The CPUs it may use; empty means all.
    pub cpus: Vec<usize>,
    /// The file that its standard output and error are appended to.
    pub output: PathBuf,
    /// System calls that are to fail when it is ordered.
    #[serde(default)]
    pub intercept: Option<Intercept>,
    /// The port of its code, and the one that it gets.
    #[serde(default)]
    pub moved: Option<MovedPort>,
}

/// From fissure to the guard, after the [`Launch`]. The end of the pipe means [`Order::Stop`] with the usual grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// End the tree: a polite signal, and after so many milliseconds the other one.
    Stop { grace_ms: u64 },
    /// From now on, for so long, the calls that are watched fail.
    FailCalls { for_ms: u64 },
    /// They work again.
    MendCalls,
    /// Say how much CPU the reaped processes used.
    Cpu,
}

/// From the guard to fissure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// The main process runs.
    Started(u32),
    /// It could not be started.
    Failed(String),
    /// The main process ended: `exit status 1`, `signal 9 (SIGKILL)`.
    Exited { how: String, success: bool },
    /// No process is left in the tree, although nobody asked for it.
    Empty,
    /// CPU of all processes that the guard has reaped so far, with the children they waited for.
    ReapedCpuUs(u64),
}
