//! A fault: a failure that is injected on purpose, with an end that is known beforehand.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::arrangement::WEB;
use crate::{Reading, Route};

/// One fault in one window: before, while and after it the same load is held, so that the window is its own control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    pub target: Target,
    #[serde(default, skip_serializing_if = "Trigger::is_always")]
    pub trigger: Trigger,
    /// Of a fault of HTTP: only requests of this route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Measured seconds before it.
    pub before_s: u32,
    /// Its time to live: it is lifted after this, whatever happens.
    pub lasts_s: u32,
    pub seed: u64,
    /// Writes that are looked for when the window is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_back: Vec<Reading>,
}

/// What is broken. The size of a fault is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// One process that serves is killed, and nobody starts it again but the app itself.
    Kill,
    /// Every process of the role is killed; it is started again when the fault is lifted.
    Restart,
    /// Every process of the role is asked to end (SIGTERM); it is started again when the fault is lifted.
    Terminate,
    /// Every process of the role is stopped, and continued when the fault is lifted.
    Pause,
    /// The role runs only this share of the time.
    Cpu { percent: u32 },
    /// The role's processes may map only so much more memory than they have.
    Memory { more_mib: u32 },
    /// The role's processes may open no more files and connections than they have open.
    Files,
    /// Each piece of an answer arrives so much later.
    Latency { ms: u32 },
    /// Each piece of an answer arrives later by anything between nothing and this.
    Jitter { ms: u32 },
    /// All connections together carry so much each way.
    Bandwidth { kib_per_s: u32 },
    /// New connections are accepted and reset at once.
    Reset,
    /// Answers are cut in the middle, by a reset.
    Cut,
    /// Connections are closed politely, new ones at once.
    Fin,
    /// Connections stay open and nothing comes through.
    Blackhole,
    /// Nobody listens, and what was open is reset.
    Refuse,
    /// Requests arrive, answers are lost.
    HalfOpen,
    /// The end of a connection is told so much later.
    SlowClose { ms: u32 },
    /// Answers arrive in pieces of so many bytes, with a pause after each.
    Slicer { bytes: u32, pause_us: u32 },
    /// New connections are never taken: the kernel's queue is full.
    SynHang,
    /// Requests are answered with this status and do not arrive.
    Status { code: u32 },
    /// Requests arrive so much later.
    Delay { ms: u32 },
    /// Answers end politely in the middle of their body.
    Truncate,
    /// Nothing more fits onto the disk.
    DiskFull,
    /// What was written cannot be made safe: `fsync` fails.
    Fsync,
    /// The role's clock is so far ahead.
    Clock { ahead_s: u32 },
}

impl FaultKind {
    /// Every fault, with the size that it has when nobody says otherwise, in the order in which they are tried.
    pub const ALL: [Self; 25] = [
        Self::Pause,
        Self::Restart,
        Self::Blackhole,
        Self::Latency { ms: 200 },
        Self::Refuse,
        Self::Cpu { percent: 20 },
        Self::HalfOpen,
        Self::Cut,
        Self::Reset,
        Self::Files,
        Self::Terminate,
        Self::Jitter { ms: 100 },
        Self::Bandwidth { kib_per_s: 64 },
        Self::Fin,
        Self::Slicer { bytes: 64, pause_us: 1000 },
        Self::SlowClose { ms: 500 },
        Self::Memory { more_mib: 8 },
        Self::Kill,
        Self::SynHang,
        Self::Status { code: 503 },
        Self::Delay { ms: 500 },
        Self::Truncate,
        Self::DiskFull,
        Self::Fsync,
        Self::Clock { ahead_s: 3600 },
    ];
    /// How many of them `--quick` tries.
    pub const QUICK: usize = 6;

    /// The word for it on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Terminate => "terminate",
            Self::Pause => "pause",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::Files => "files",
            Self::Latency { .. } => "latency",
            Self::Jitter { .. } => "jitter",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::Fin => "fin",
            Self::Blackhole => "blackhole",
            Self::Refuse => "refuse",
            Self::HalfOpen => "half-open",
            Self::SlowClose { .. } => "slow-close",
            Self::Slicer { .. } => "slicer",
            Self::SynHang => "syn-hang",
            Self::Status { .. } => "status",
            Self::Delay { .. } => "delay",
            Self::Truncate => "truncate",
            Self::DiskFull => "disk-full",
            Self::Fsync => "fsync",
            Self::Clock { .. } => "clock",
        }
    }

    /// It befalls a link, not a process.
    pub fn is_of_link(self) -> bool {
        match self {
            Self::Kill
            | Self::Restart
            | Self::Terminate
            | Self::Pause
            | Self::Cpu { .. }
            | Self::Memory { .. }
            | Self::Files
            | Self::DiskFull
            | Self::Fsync
            | Self::Clock { .. } => false,
            Self::Latency { .. }
            | Self::Jitter { .. }
            | Self::Bandwidth { .. }
            | Self::Reset
            | Self::Cut
            | Self::Fin
            | Self::Blackhole
            | Self::Refuse
            | Self::HalfOpen
            | Self::SlowClose { .. }
            | Self::Slicer { .. }
            | Self::SynHang
            | Self::Status { .. }
            | Self::Delay { .. }
            | Self::Truncate => true,
        }
    }

    /// It needs to know where a request begins, so it befalls HTTP only: the way from the users, or a link of that kind.
    pub fn is_of_http(self) -> bool {
        matches!(self, Self::Status { .. } | Self::Delay { .. } | Self::Truncate)
    }

    /// The app has to be started for it: what it does cannot be done to a process that runs already.
    pub fn needs_a_start(self) -> bool {
        matches!(self, Self::DiskFull | Self::Fsync | Self::Clock { .. })
    }
}

/// With its size: `latency 200 ms`.
impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Cpu { percent } => write!(f, " {percent} %"),
            Self::Memory { more_mib } => write!(f, " +{more_mib} MiB"),
            Self::Latency { ms } | Self::SlowClose { ms } | Self::Delay { ms } => write!(f, " {ms} ms"),
            Self::Jitter { ms } => write!(f, " 0 to {ms} ms"),
            Self::Bandwidth { kib_per_s } => write!(f, " {kib_per_s} KiB/s"),
            Self::Slicer { bytes, .. } => write!(f, " {bytes} B"),
            Self::Status { code } => write!(f, " {code}"),
            Self::Clock { ahead_s } => write!(f, " +{} h", ahead_s / 3600),
            _ => Ok(()),
        }
    }
}

impl FromStr for FaultKind {
    type Err = String;

    /// By its name, in its usual size.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("there is no fault `{text}`; there are {}", names.join(", "))
        })
    }
}

/// What a fault befalls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The processes of a role.
    Role(String),
    /// The way from the users to a role.
    Door(String),
    /// The way from the app to something that `[links]` declares.
    Link(String),
}

impl Target {
    /// Of the role, or of the link.
    pub fn name(&self) -> &str {
        match self {
            Self::Role(name) | Self::Door(name) | Self::Link(name) => name,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => f.write_str(role),
            Self::Door(role) => write!(f, "users -> {role}"),
            Self::Link(link) => write!(f, "{WEB} -> {link}"),
        }
    }
}

/// Whom or what a fault of a link befalls, while it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    #[default]
    Always,
    /// This share of the connections, drawn by the fault's seed.
    Percent(u32),
    /// Every so manieth connection.
    EveryNth(u32),
    /// Every so manieth request of HTTP on the link.
    Request(u32),
    /// A connection, from the first byte of its first answer on.
    FirstByte,
    /// A connection, while it commits a transaction: `COMMIT` passes by on its way to the database.
    Commit,
}

/// `10%`, `every:3`, `request:5`, `first-byte`, `commit`.
impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str, most: u32| {
            digits
                .parse::<u32>()
                .ok()
                .filter(|n| (1..=most).contains(n))
                .ok_or_else(|| format!("`{text}` is no trigger: its number must be between 1 and {most}"))
        };
        match text {
            "always" => Ok(Self::Always),
            "first-byte" => Ok(Self::FirstByte),
            "commit" => Ok(Self::Commit),
            _ => {
                if let Some(percent) = text.strip_suffix('%') {
                    number(percent, 100).map(Self::Percent)
                } else if let Some(n) = text.strip_prefix("every:") {
                    number(n, 1_000_000).map(Self::EveryNth)
                } else if let Some(n) = text.strip_prefix("request:") {
                    number(n, 1_000_000).map(Self::Request)
                } else {
                    Err(format!(
                        "`{text}` is no trigger; there are always, first-byte, commit, 10% (of the connections), every:3 (connections) \
                         and request:5 (each fifth request)"
                    ))
                }
            }
        }
    }
}

impl Trigger {
    fn is_always(&self) -> bool {
        *self == Self::Always
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_read_as_people_write_them() {
        for (text, trigger) in [
            ("10%", Trigger::Percent(10)),
            ("every:3", Trigger::EveryNth(3)),
            ("request:5", Trigger::Request(5)),
            ("first-byte", Trigger::FirstByte),
            ("commit", Trigger::Commit),
        ] {
            assert_eq!(text.parse(), Ok(trigger));
        }
        for text in ["", "0%", "101%", "every:", "every:-1", "request:x", "thunder"] {
            assert!(text.parse::<Trigger>().unwrap_err().contains(text), "{text}");
        }
    }

    #[test]
    fn every_fault_has_a_name_of_its_own_that_leads_back_to_it() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert!(kind.to_string().starts_with(kind.name()));
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<FaultKind>(&text).unwrap(), kind, "{text}");
        }
        let error = "lightning".parse::<FaultKind>().unwrap_err();
        assert!(error.contains("lightning") && error.contains("half-open"), "{error}");
    }
}
