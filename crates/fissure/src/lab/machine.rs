//! What stands before a run begins: the machine, and data that must not be touched.

use std::collections::BTreeMap;
use std::time::Duration;

use fissure_facts::{Address, Config, DatabaseServer, Machine};
use fissure_rig::keeper::{self, CpuSplit};
use fissure_rig::lens::ForeignDatabases;

use crate::exit::{Exit, Failure};
use crate::project::Project;

/// The machine, as far as it matters for comparing runs.
pub fn describe(project: &Project, cpus: &CpuSplit) -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, name: &str| -> Option<String> {
        let line = text.lines().find(|l| l.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory_kb =
        after(&read("/proc/meminfo"), "MemTotal").and_then(|v| v.split(' ').next()?.parse::<u64>().ok());
    Machine {
        cpu_model: after(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        memory_bytes: memory_kb.unwrap_or(0) * 1024,
        app_cpus: cpus.app.clone(),
        crowd_cpus: cpus.crowd.clone(),
        files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum,
        ports: read("/proc/sys/net/ipv4/ip_local_port_range")
            .split_ascii_whitespace()
            .map(|port| port.parse::<u64>().ok())
            .collect::<Option<Vec<_>>>()
            .filter(|ends| ends.len() == 2)
            .map(|ends| ends[1].saturating_sub(ends[0]) + 1),
        moves_port: moves_port(project),
    }
}

/// The app's code says its port, and this machine lets every copy have another all the same.
pub fn moves_port(project: &Project) -> bool {
    project.config.app.port.is_some() && keeper::can_intercept().is_ok()
}

/// How often the connections of an app are looked at that plays its journeys alone.
pub const CONNECTIONS_EVERY: Duration = Duration::from_millis(5);

/// Schemes of addresses behind which data lies that a copy of the folder does not copy.
const DATA_SCHEMES: &[&str] =
    &["postgres://", "postgresql://", "mysql://", "mariadb://", "mongodb://", "redis://", "amqp://"];

/// The app's own data is sacred. A folder can be copied, a database server's data cannot yet, so a check that would
/// write to one is refused until the user has said that this data is there to be written.
pub fn refuse_shared_data(project: &Project) -> Result<(), Failure> {
    let config = &project.config;
    let mut addresses = environment(project);
    addresses.retain(|_, value| DATA_SCHEMES.iter().any(|scheme| value.contains(scheme)));

    let disposable = |variable: &str| {
        config.links.values().any(|link| link.disposable && link.env.as_deref() == Some(variable))
    };
    let undeclared = addresses.keys().find(|name| !disposable(name)).map(|name| format!("`{name}`"));
    let declared = config.links.iter().find(|(_, link)| !link.disposable && link.kind.is_database_server());
    match undeclared.or_else(|| declared.map(|(name, _)| format!("[links.{name}]"))) {
        None => Ok(()),
        Some(name) => Err(Failure::new(
            Exit::BadInput,
            format!(
                "{name} points to a database server, and fissure cannot copy its data yet: thousands of users would write \
                 to it. Point the app to a scratch database (in [app.env], or made by [app] setup) and say so with \
                 `[links.NAME]` `env = \"...\"`, `kind = \"...\"`, `disposable = true`."
            ),
        )),
    }
}

/// The same, for what the app was seen to be connected to: its address may stand where nobody but the app reads it.
pub fn refuse_foreign_databases(project: &Project, watch: &ForeignDatabases) -> Result<(), Failure> {
    let environment = environment(project);
    let is_disposable = |address: &Address, server: &DatabaseServer| {
        project.config.links.values().filter(|link| link.disposable).any(|link| {
            let value = link.env.as_ref().and_then(|name| environment.get(name));
            link.kind == server.kind || value.is_some_and(|value| address.is_named_by(value))
        })
    };
    let found = watch.so_far();
    let Some((address, server)) = found.iter().find(|(address, server)| !is_disposable(address, server))
    else {
        return Ok(());
    };
    let kind = serde_json::json!(server.kind);
    Err(Failure::new(
        Exit::BadInput,
        format!(
            "the app is connected to {} at {address}, a database server that fissure did not start and cannot copy: thousands of \
             users would write to it. Point the app to a scratch database, or start one in the app's own command, below its folder; \
             if its data may be written, say so with `[links.db]` `kind = {kind}`, `disposable = true`.",
            server.name
        ),
    ))
}

/// The configuration as a run keeps it: without secrets, and with the addresses of links that stand in the shell or in `.env`.
pub fn known_config(project: &Project) -> Config {
    let mut config = project.config.clone();
    let mut environment = environment(project);
    for name in config.links.values().filter_map(|link| link.env.clone()) {
        if let Some(value) = environment.remove(&name) {
            config.app.env.entry(name).or_insert(value);
        }
    }
    config.redacted()
}

/// What the app finds in its environment, with what it reads from `.env`.
fn environment(project: &Project) -> BTreeMap<String, String> {
    let dotenv = std::fs::read_to_string(project.folder.join(".env")).unwrap_or_default();
    let mut variables: BTreeMap<String, String> = dotenv
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("export ").split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .chain(std::env::vars())
        .collect();
    variables.extend(project.config.app.env.clone());
    variables
}
