//! Shadowing: the same journeys on copies of the app that are run in another way, so that their answers can be compared.

use serde::{Deserialize, Serialize};

use crate::{Arrangement, Exchange, Route};

/// What is tried on the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Nothing: one copy, as it is. Two of these teach what differs by chance.
    Control,
    /// Requests go to several copies in turn.
    Replicate,
    /// Some routes are served by a role of their own.
    Split,
    /// The app is started anew between the requests.
    Restart,
}

/// One run of the journeys, by one user after another, on a stack that is started for it and thrown away after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowPlan {
    /// Counts up from 1 within a run; joins a plan with its answers.
    pub shadow: u32,
    pub topology: Topology,
    pub arrangement: Arrangement,
    /// What is played; all journeys whole when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// How often the journeys are played, each time by other users. In pass n a copy gets n requests in a row before it is the
    /// next one's turn.
    pub passes: u32,
    /// The same in all runs that are compared, so that what users send is the same.
    pub seed: u64,
    #[serde(default, skip_serializing_if = "Act::is_play")]
    pub act: Act,
}

/// What is done with the copies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Act {
    /// The journeys are played, by one user after another.
    #[default]
    Play,
    /// The journeys are played, and after each request the databases are looked at.
    Trace,
    /// The journeys are played, and right after the answer to a GET somebody without cookies, whom the app cannot know, asks for the same.
    AskAgain,
    /// Nobody asks for so long. `at_once`: all processes were started at the same instant, not one after the other.
    Idle { seconds: u32, at_once: bool },
    /// A journey is played up to a step, which is then sent twice at the same instant: so often, each time by another user.
    /// Of two copies each gets one of the two.
    Twins { journey: String, step: u32, pairs: u32 },
}

impl Act {
    fn is_play(&self) -> bool {
        *self == Self::Play
    }
}

/// The same request, sent twice: at the same instant, or the second right after the answer to the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Twinned {
    pub shadow: u32,
    /// From 1.
    pub pair: u32,
    pub route: Route,
    /// Both, in the order in which they were answered. Veiled as those of a step.
    pub exchanges: Vec<Exchange>,
}

/// A journey with only some of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub journey: String,
    /// Counted from 0.
    pub steps: Vec<u32>,
}

/// A step of a journey as it was played in a shadow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowedStep {
    pub shadow: u32,
    /// From 1.
    pub pass: u32,
    pub journey: String,
    /// Place in the whole journey, from 0.
    pub step: u32,
    pub line: u32,
    pub route: Route,
    /// The request and its answer; more than one where redirects were followed. Values of secrets are replaced by
    /// fingerprints that are equal where the values were; so are bodies that are no text, or too long.
    pub exchanges: Vec<Exchange>,
    /// What was wrong with the answer, in a sentence; the journey ended here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What the request did to databases, where that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<TablesUsed>,
}

/// Tables by their names; with the database's file in front where there are several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TablesUsed {
    pub wrote: Vec<String>,
    /// None: it cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<String>>,
}

/// A table that needs another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLink {
    pub from: String,
    pub to: String,
    /// `the foreign key`, `the trigger NAME`.
    pub by: String,
}

/// A shadow was over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowEnd {
    pub shadow: u32,
    /// It could not be started, or not be played to its end: why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
    /// What the databases in the scratch copy held afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableSeen>,
    /// Foreign keys and triggers between them, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<TableLink>,
}

/// A table of a database file in the scratch copy, after the journeys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSeen {
    /// Path of the database within the folder.
    pub file: String,
    pub table: String,
    pub rows: u64,
    pub columns: Vec<ColumnSeen>,
}

/// The values of a column as a multiset: the order of rows means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSeen {
    pub name: String,
    /// Of the sorted values; equal where the multisets were.
    pub fingerprint: String,
    /// How many different values there were.
    pub distinct: u64,
}
