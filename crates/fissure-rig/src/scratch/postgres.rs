//! A copy of a PostgreSQL database on the same server (`CREATE DATABASE ... TEMPLATE ...`), for one stack of a shadow.
//!
//! **Invariant:** the database itself is only read; what is dropped has a name that fissure gave.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use fissure_facts::shadow::{ColumnSeen, TableSeen};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::postgres::{config, connect, named, rows};
use crate::process::Stat;

/// Followed by the machine, pid, start of that process, and a number.
const PREFIX: &str = "fissure_scratch_";
/// Of a table with more rows only the rows are counted.
const ROWS_MAX: u64 = 5_000;
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Drops itself.
#[derive(Debug)]
pub struct ScratchDatabase {
    /// The link that it belongs to.
    pub link: String,
    pub variable: String,
    name: String,
    url: String,
    server: Config,
}

impl ScratchDatabase {
    /// Copies the database that the URL names. Every failure is a sentence.
    pub async fn create(link: &str, variable: &str, url: &str) -> Result<Self, String> {
        let (before, name, after) = named(link, variable, url)?;
        let server = config(link, variable, &before, "postgres")?;
        let failed = |e: tokio_postgres::Error| sentence(link, &name, &e);
        let client = connect(&server).await.map_err(failed)?;
        sweep(&client).await;
        let pid = std::process::id();
        let start = Stat::read(pid).map_or(0, |s| s.start_ticks);
        let copy = format!("{PREFIX}{:x}_{pid}_{start}_{}", machine(), COUNT.fetch_add(1, Ordering::Relaxed));
        let statement = format!("CREATE DATABASE \"{copy}\" TEMPLATE \"{}\"", name.replace('"', "\"\""));
        client.batch_execute(&statement).await.map_err(failed)?;
        Ok(Self {
            link: link.to_owned(),
            variable: variable.to_owned(),
            url: format!("{before}{copy}{after}"),
            name: copy,
            server,
        })
    }

    /// The address of the copy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every table, each value by what `print` makes of its text. What cannot be read is left out.
    pub async fn tables(&self, print: &dyn Fn(&[u8]) -> String) -> Vec<TableSeen> {
        let mut config = self.server.clone();
        config.dbname(&self.name);
        let Ok(client) = connect(&config).await else { return Vec::new() };
        let list = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' \
                    AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2";
        let mut seen = Vec::new();
        for row in rows(&client, list).await {
            let [Some(schema), Some(table)] = row.as_slice() else { continue };
            let quoted = format!("\"{}\".\"{}\"", schema.replace('"', "\"\""), table.replace('"', "\"\""));
            let count = rows(&client, &format!("SELECT count(*) FROM {quoted}")).await;
            let count = count.first().and_then(|r| r.first()?.as_ref()?.parse().ok());
            let Some(count) = count else { continue };
            let columns = if count <= ROWS_MAX { columns(&client, &quoted, print).await } else { Vec::new() };
            let table = if schema == "public" { table.clone() } else { format!("{schema}.{table}") };
            seen.push(TableSeen { file: self.link.clone(), table, rows: count, columns });
        }
        seen
    }
}

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // On a thread of its own: whoever drops it may be inside a runtime.
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                if let Ok(client) = connect(&server).await {
                    drop_database(&client, &name).await;
                }
            });
        });
        let _ = dropping.join(); // what is left is swept at the next start
    }
}

async fn drop_database(client: &Client, name: &str) {
    if name.starts_with(PREFIX) {
        let name = name.replace('"', "\"\"");
        if client.batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await.is_err() {
            // Before version 13.
            let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\"")).await;
        }
    }
}

/// Tells this machine from others that use the same server: whether their fissure is gone cannot be seen from here.
fn machine() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok().filter(|id| !id.trim().is_empty());
    let id = read("/etc/machine-id").or_else(|| read("/proc/sys/kernel/random/boot_id")).unwrap_or_default();
    let mut hasher = std::hash::DefaultHasher::new();
    // Not the id itself: it is nobody else's business.
    id.hash(&mut hasher);
    hasher.finish()
}

/// Pid and start of the process that made the copy of this name, on this machine.
fn maker(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('_');
    let is_ours = u64::from_str_radix(parts.next()?, 16).ok()? == machine();
    let (pid, start) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    is_ours.then_some((pid, start))
}

/// Copies whose fissure is gone.
async fn sweep(client: &Client) {
    for row in rows(client, "SELECT datname FROM pg_database").await {
        let Some(Some(name)) = row.first() else { continue };
        let Some((pid, start)) = maker(name) else { continue };
        let is_alive = Stat::read(pid).is_some_and(|s| s.start_ticks == start);
        if !is_alive {
            drop_database(client, name).await;
        }
    }
}

async fn columns(client: &Client, table: &str, print: &dyn Fn(&[u8]) -> String) -> Vec<ColumnSeen> {
    let Ok(messages) = client.simple_query(&format!("SELECT * FROM {table}")).await else {
        return Vec::new();
    };
    let mut columns: Vec<(String, Vec<String>)> = Vec::new();
    for message in &messages {
        match message {
            SimpleQueryMessage::RowDescription(described) => {
                columns = described.iter().map(|c| (c.name().to_owned(), Vec::new())).collect();
            }
            SimpleQueryMessage::Row(row) => {
                for (i, (_, values)) in columns.iter_mut().enumerate() {
                    // No text is another thing than an empty one.
                    let spelled = row.get(i).map_or(vec![0], |text| [&[1], text.as_bytes()].concat());
                    values.push(print(&spelled));
                }
            }
            _ => {}
        }
    }
    let seen = |(name, mut values): (String, Vec<String>)| {
        values.sort();
        let fingerprint = print(values.concat().as_bytes());
        values.dedup();
        ColumnSeen { name, fingerprint, distinct: values.len() as u64 }
    };
    columns.into_iter().map(seen).collect()
}

fn sentence(link: &str, database: &str, error: &tokio_postgres::Error) -> String {
    let copy = format!("[links.{link}]: the database `{database}` could not be copied for a shadow");
    match error.code() {
        Some(code) if *code == SqlState::OBJECT_IN_USE => format!(
            "{copy}: other programs are connected to it. End them (the app itself, an open psql) and try again."
        ),
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            format!("{copy}: its user may not create databases. `ALTER ROLE ... CREATEDB` allows it.")
        }
        _ => {
            let why = error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
            format!("{copy}: {why}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another machine that uses the same server would lose the copies that it is just comparing.
    #[test]
    fn only_copies_of_this_machine_are_swept() {
        let ours = machine();
        assert_eq!(maker(&format!("{PREFIX}{ours:x}_17_123_0")), Some((17, 123)));
        assert_eq!(maker(&format!("{PREFIX}{:x}_17_123_0", ours.wrapping_add(1))), None);
        assert_eq!(maker("shop"), None);
        assert_eq!(maker(&format!("{PREFIX}of_mine")), None);
    }
}
