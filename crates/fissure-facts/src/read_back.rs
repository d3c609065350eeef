//! Writes that are looked for again: what the app acknowledged must be there when everything is over.

use serde::{Deserialize, Serialize};

use crate::Route;

/// A way to look for what one step of a journey wrote: a later GET of the same journey that showed it when the journey was
/// played alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub journey: String,
    /// Places in the journey, from 0.
    pub write: u32,
    pub read: u32,
    pub found_by: FoundBy,
    /// Which of the fresh values that the write carried is looked for, counted from 0 in the order in which they were made.
    /// None: it carried none, and all that can be seen is whether the page is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u32>,
    /// How often the page showed the value.
    pub times: u32,
}

/// What leads to the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// Something that the write's answer gave, such as an id: only who got an answer can look.
    Answer,
    /// The fresh value itself.
    Value,
    /// Nothing of the write: a list.
    List,
}

/// A request that may have written something, when its journey was played alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteSent {
    pub journey: String,
    pub step: u32,
    pub route: Route,
    pub line: u32,
    /// How many values it carried that were made for it alone.
    pub fresh: u32,
}

/// How a write ended, as its user saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteEnd {
    /// The answer was whole and right.
    Acknowledged,
    /// Nobody listened, or the app said that it was not done (status 400 to 499).
    Failed,
    /// Nobody knows: no answer, a broken one, or an error of the server.
    Unknown,
}

/// What became of the writes of one step in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadBack {
    pub window: u32,
    pub reading: Reading,
    /// Of the write.
    pub route: Route,
    /// Of the page.
    pub by: Route,
    pub counts: Vec<ReadCount>,
    /// Why the first of those that could not be read could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// Writes that ended alike in the same second and were found alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadCount {
    pub end: WriteEnd,
    /// Measured second in which they ended; below 0: in the warm-up.
    pub second: i32,
    /// How often the page showed them; None: the page could not be read.
    pub times: Option<u32>,
    pub count: u64,
}
