//! `compose.yaml`: the service that is built here, and the databases beside it.

use fissure_facts::config::LinkKind;

use super::Start;
use super::command::quote;
use super::docker;
use super::folder::Folder;
use super::python;
use super::yaml::{self, Yaml};

const NAMES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const IMAGES: &[(&str, LinkKind, u16)] = &[
    ("postgis", LinkKind::Postgres, 5432),
    ("timescale", LinkKind::Postgres, 5432),
    ("pgvector", LinkKind::Postgres, 5432),
    ("postgres", LinkKind::Postgres, 5432),
    ("mariadb", LinkKind::Mysql, 3306),
    ("mysql", LinkKind::Mysql, 3306),
    ("percona", LinkKind::Mysql, 3306),
    ("valkey", LinkKind::Redis, 6379),
    ("redis", LinkKind::Redis, 6379),
    ("rabbitmq", LinkKind::Tcp, 5672),
    ("mongo", LinkKind::Tcp, 27017),
    ("memcached", LinkKind::Tcp, 11211),
    ("elasticsearch", LinkKind::Tcp, 9200),
];

/// A database, cache or queue of the compose file.
pub(super) struct Backing {
    pub(super) service: String,
    pub(super) kind: LinkKind,
    /// The port on this machine, when one is published.
    pub(super) published: Option<u16>,
}

pub(super) struct Compose {
    pub(super) file: &'static str,
    services: Vec<(String, Yaml)>,
}

impl Compose {
    pub(super) fn read(folder: &Folder) -> Option<Self> {
        let file = folder.first(NAMES)?;
        let services = yaml::parse(&folder.text(file)?).get("services")?.pairs().to_vec();
        Some(Self { file, services })
    }

    /// The service that is built from this folder.
    fn app(&self) -> Option<&Yaml> {
        let built = |(_, service): &&(String, Yaml)| service.get("build").is_some();
        let usual = ["web", "app", "server", "api"];
        self.services
            .iter()
            .filter(built)
            .min_by_key(|(name, _)| usual.iter().position(|u| u == name).unwrap_or(usual.len()))
            .map(|(_, service)| service)
    }

    /// Variables of the app's service.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let Some(environment) = self.app().and_then(|app| app.get("environment")) else { return Vec::new() };
        let listed = environment.items().iter().filter_map(|item| item.text()?.split_once('='));
        let mapped =
            environment.pairs().iter().filter_map(|(name, value)| Some((name.as_str(), value.text()?)));
        listed.chain(mapped).map(|(name, value)| (name.trim().to_owned(), value.to_owned())).collect()
    }

    pub(super) fn backings(&self) -> Vec<Backing> {
        let backing = |(name, service): &(String, Yaml)| {
            let image = service.get("image")?.text()?;
            let image = image.rsplit('/').next()?.split([':', '@']).next()?;
            let &(_, kind, usual) = IMAGES.iter().find(|(word, ..)| image.contains(word))?;
            Some(Backing { service: name.clone(), kind, published: published(service, usual) })
        };
        self.services.iter().filter_map(backing).collect()
    }
}

/// The port on this machine behind which the service's own port `inner` stands.
fn published(service: &Yaml, inner: u16) -> Option<u16> {
    service.get("ports")?.items().iter().find_map(|port| {
        if let Some(text) = port.text() {
            // `5433:5432`, `127.0.0.1:5433:5432/tcp`
            let mut parts = text.split('/').next()?.rsplit(':');
            let target: u16 = parts.next()?.parse().ok()?;
            return (target == inner).then(|| parts.next()?.parse().ok())?;
        }
        let target: u16 = port.get("target")?.text()?.parse().ok()?;
        (target == inner).then(|| port.get("published")?.text()?.parse().ok())?
    })
}

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let compose = Compose::read(folder)?;
    let app = compose.app()?;
    let command = app.get("command")?;
    let words: Vec<&str> = command.items().iter().filter_map(Yaml::text).collect();
    let command = match words.as_slice() {
        [] => command.text().filter(|text| !text.is_empty())?.to_owned(),
        [shell, flag, line] if shell.ends_with("sh") && flag.ends_with('c') => (*line).to_owned(),
        _ => words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
    };
    let inner = app.get("ports").and_then(|ports| {
        let port = ports.items().first()?;
        let text = port.text().or_else(|| port.get("target")?.text())?;
        text.split('/').next()?.rsplit(':').next()?.parse().ok()
    });
    Some(Start {
        command: python::in_environment(folder, &command),
        why: format!("the command of the service that {} builds", compose.file),
        port: inner,
        reads_port: compose.environment().iter().any(|(name, _)| name == "PORT"),
        code: &["js", "mjs", "cjs", "ts", "py", "rb", "go", "rs", "php"],
        ..Start::default()
    })
}

/// The path that the app's `healthcheck` asks for.
pub(super) fn health(folder: &Folder) -> Option<(String, String)> {
    let compose = Compose::read(folder)?;
    let test = compose.app()?.get("healthcheck")?.get("test")?;
    let words: Vec<&str> = test.items().iter().filter_map(Yaml::text).chain(test.text()).collect();
    Some((docker::path_of_url(&words.join(" "))?, format!("the healthcheck of {}", compose.file)))
}
