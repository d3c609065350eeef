//! What a PostgreSQL server works at, by its own word: `pg_stat_activity` several times a second, and how much of which tables was
//! read from end to end. One more session of the app's own user, which only reads; no extension is needed.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use fissure_facts::statements::{FullReads, Statement, Statements};

use super::profiler::Stop;
use crate::postgres::{config, connect, named, rows};

/// Between two looks: some two hundred in a window.
const EVERY: Duration = Duration::from_millis(25);
/// For an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// More would be no answer to "which statement is it?".
const STATEMENTS_MAX: usize = 20;

/// A declared link to a PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    pub link: String,
    /// The variable that holds its address.
    pub variable: String,
    pub url: String,
}

/// Its clients' sessions that are at work, or hold a transaction open.
const SESSIONS: &str = "SELECT state, wait_event_type, query FROM pg_stat_activity WHERE datname = current_database() \
                        AND pid <> pg_backend_pid() AND backend_type = 'client backend' \
                        AND (state = 'active' OR state LIKE 'idle in transaction%')";
/// Rows of each table, and rows that were read by scans of the whole table so far.
const READS: &str = "SELECT s.relname, greatest(c.reltuples, s.n_live_tup)::bigint, coalesce(s.seq_tup_read, 0) \
                     FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid";

/// Looks until it is told to stop.
pub(super) fn watch(database: &Database, stop: &Stop) -> Result<Statements, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the machine gives no event loop ({e})"))?;
    let Database { link, variable, url } = database;
    let (before, name, _) = named(link, variable, url)?;
    let config = config(link, variable, &before, &name)?;
    let client = runtime.block_on(connect(&config)).map_err(|e| format!("it let nobody in ({e})"))?;
    // A server that hangs holds up nobody.
    let ask = |statement: &str| {
        let answer = async { tokio::time::timeout(PATIENCE, rows(&client, statement)).await };
        runtime.block_on(answer).unwrap_or_default()
    };
    let mut seen: BTreeMap<String, Statement> = BTreeMap::new();
    let mut looks = 0;
    let before = reads(ask(READS));
    while !stop.wait(EVERY) {
        looks += 1;
        for session in ask(SESSIONS) {
            if let [Some(state), waits_for, Some(query)] = session.as_slice() {
                count(&mut seen, state, waits_for.as_deref(), query);
            }
        }
    }
    let after = reads(ask(READS));
    let mut statements: Vec<Statement> = seen.into_values().collect();
    statements.sort_by_key(|s| std::cmp::Reverse(s.active + s.idle_in_transaction));
    statements.truncate(STATEMENTS_MAX);
    Ok(Statements { window: 0, link: link.clone(), looks, statements, reads: since(&before, after) })
}

fn count(seen: &mut BTreeMap<String, Statement>, state: &str, waits_for: Option<&str>, query: &str) {
    let text = text::without_values(query);
    let statement = seen.entry(text.clone()).or_insert_with(|| Statement { text, ..Statement::default() });
    if state != "active" {
        statement.idle_in_transaction += 1;
        return;
    }
    statement.active += 1;
    if let Some(what) = waits_for {
        *statement.waits.entry(what.to_owned()).or_default() += 1;
    }
}

/// Rows, and rows read so far, by table.
fn reads(answer: Vec<Vec<Option<String>>>) -> BTreeMap<String, (u64, u64)> {
    let row = |row: Vec<Option<String>>| {
        let [Some(table), Some(rows), Some(read)] = row.as_slice() else { return None };
        // Nobody has counted the rows of a table that was never analysed: -1.
        Some((table.clone(), (rows.parse::<i64>().ok()?.max(0).cast_unsigned(), read.parse().ok()?)))
    };
    answer.into_iter().filter_map(row).collect()
}

fn since(before: &BTreeMap<String, (u64, u64)>, after: BTreeMap<String, (u64, u64)>) -> Vec<FullReads> {
    let mut reads: Vec<FullReads> = after
        .into_iter()
        .map(|(table, (rows, read))| {
            let so_far = before.get(&table).map_or(0, |(_, read)| *read);
            FullReads { rows, rows_read: read.saturating_sub(so_far), table }
        })
        .filter(|reads| reads.rows_read > 0)
        .collect();
    reads.sort_by_key(|reads| std::cmp::Reverse(reads.rows_read));
    reads
}
