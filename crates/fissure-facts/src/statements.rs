//! What a database server was seen to work at while a load was held: its statements, and the tables that it read from end to end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of one database in one window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statements {
    pub window: u32,
    /// The declared link that leads to it.
    pub link: String,
    /// How often its sessions were looked at.
    pub looks: u64,
    /// Descending by how often they were seen.
    pub statements: Vec<Statement>,
    pub reads: Vec<FullReads>,
}

/// A statement without its values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statement {
    pub text: String,
    /// Sessions that were at work on it, summed over the looks.
    pub active: u64,
    /// Of those the ones that waited inside the server, by its word for what: `Lock`, `IO`, `LWLock`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waits: BTreeMap<String, u64>,
    /// Sessions that were done with it and kept their transaction open.
    #[serde(default)]
    pub idle_in_transaction: u64,
}

/// A table that was read from end to end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FullReads {
    pub table: String,
    /// Rows in it, as the server guesses.
    pub rows: u64,
    /// Rows that were read in this way in the window, by the server's count, which lags by up to a second.
    pub rows_read: u64,
}
