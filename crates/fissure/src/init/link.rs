//! Links: what the app talks to, found by the addresses in its environment and by the database files beside it.

use fissure_facts::config::{Link, LinkKind};

use super::Guess;
use super::compose::{Backing, Compose};
use super::dotenv;
use super::folder::Folder;

/// Addresses under these names are the app's own, or only shown to people.
const OWN: &[&str] = &[
    "APP_", "BASE_", "SITE_", "PUBLIC_", "NEXTAUTH", "AUTH_URL", "CALLBACK", "REDIRECT", "CORS", "ORIGIN",
    "FRONTEND", "WEB_", "HOST_URL", "ROOT_", "DOCS", "SENTRY",
];
/// Where small apps keep their database file.
const FILE_PLACES: &[&str] = &["", "data/", "db/", "instance/", "storage/", "database/", "prisma/", "var/"];
const MAX_FILES: usize = 3;
/// Files in which a program says what an address is by default.
const CODE: &[&str] = &["js", "mjs", "cjs", "ts", "mts", "py", "rb", "php", "go", "java", "kt", "rs", "yml"];
/// A longer line is a bundle, which nobody wrote.
const LINE_MAX: usize = 400;
const QUOTES: [char; 3] = ['"', '\'', '`'];

pub(super) fn find(folder: &Folder, guess: &mut Guess) {
    let compose = Compose::read(folder);
    let backings = compose.as_ref().map(Compose::backings).unwrap_or_default();
    let from_file = [".env", ".env.local", ".env.production", ".env.example", ".env.sample"]
        .into_iter()
        .find_map(|file| folder.text(file).map(|text| (file, dotenv::parse(&text))));
    if let Some((file, variables)) = from_file {
        for (name, value) in &variables {
            add(guess, name, value, file);
        }
        laravel(guess, &variables, file);
    }
    if let Some(compose) = &compose {
        for (name, value) in compose.environment() {
            if add(guess, &name, &value, compose.file) {
                reachable(guess, &name, &value, compose, &backings);
            }
        }
        for backing in &backings {
            unnamed(guess, backing, compose);
        }
    }
    in_code(folder, guess);
    database_files(folder, guess);
}

/// A variable with the address that it has by default: `process.env.DATABASE_URL || 'postgres://localhost/shop'`. Without a
/// file for the environment nothing else tells of it.
fn in_code(folder: &Folder, guess: &mut Guess) {
    for file in folder.files(CODE) {
        let Some(text) = folder.text(&file) else { continue };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.len() <= LINE_MAX) {
            if let Some((name, value)) = default_address(line) {
                add(guess, name, value, &format!("{file}:{}", number + 1));
            }
        }
    }
}

/// Name and address, where a line reads an environment variable and gives an address in quotes behind its name.
fn default_address(line: &str) -> Option<(&str, &str)> {
    let scheme = line.find("://")?;
    let (quote, start) =
        line[..scheme].char_indices().rev().find(|(_, c)| QUOTES.contains(c)).map(|(at, c)| (c, at + 1))?;
    let value = line[start..].split(quote).next()?;
    let before = &line[..start];
    before.to_ascii_lowercase().contains("env").then_some(())?;
    let mut names = before.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_name = |word: &&str| {
        word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    Some((names.rfind(is_name)?, value))
}

/// Adds a link when the value is an address of something else. False when it is not, or is known already.
fn add(guess: &mut Guess, variable: &str, value: &str, place: &str) -> bool {
    if guess.links.values().any(|link| link.env.as_deref() == Some(variable)) {
        return false;
    }
    let Some((kind, path)) = kind_of(variable, value) else { return false };
    let name = free_name(guess, &name_of(variable, kind));
    guess.know(format!("link {name} = {}", written(kind)), format!("{variable} in {place}"));
    guess.links.insert(name, Link { env: Some(variable.to_owned()), kind, path, disposable: false });
    true
}

/// The kind by the scheme of the URL, and the file for SQLite.
fn kind_of(variable: &str, value: &str) -> Option<(LinkKind, Option<String>)> {
    let (scheme, rest) = value.split_once(':')?;
    // SQLAlchemy writes `postgresql+asyncpg`, Django `postgresql+psycopg`.
    let scheme = scheme.split('+').next()?.to_ascii_lowercase();
    let kind = match scheme.as_str() {
        "postgres" | "postgresql" | "postgis" | "pgsql" => LinkKind::Postgres,
        "mysql" | "mysql2" | "mariadb" => LinkKind::Mysql,
        "redis" | "rediss" | "valkey" => LinkKind::Redis,
        "amqp" | "amqps" | "mongodb" | "nats" | "memcached" | "kafka" => LinkKind::Tcp,
        "sqlite" | "sqlite3" | "file" => {
            let path = sqlite_path(rest)?;
            return Some((LinkKind::Sqlite, Some(path)));
        }
        "http" | "https" => {
            let upper = variable.to_ascii_uppercase();
            let names_address =
                ["_URL", "_URI", "_HOST", "_ENDPOINT", "_ADDR"].iter().any(|end| upper.ends_with(end));
            if !names_address || OWN.iter().any(|own| upper.contains(own)) {
                return None;
            }
            LinkKind::Http
        }
        _ => return None,
    };
    rest.starts_with("//").then_some((kind, None))
}

/// `///db.sqlite3` and `./dev.db?mode=rwc` -> a path; a database in memory has none.
fn sqlite_path(rest: &str) -> Option<String> {
    let path = rest.strip_prefix("///").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
    let path = path.split(['?', '#']).next()?.trim_start_matches("./");
    let plain = !path.is_empty() && !path.contains(":memory:") && !path.contains(|c: char| c.is_control());
    plain.then(|| path.to_owned())
}

/// `DATABASE_URL` -> `db`, `REDIS_URL` -> `redis`, `MAIL_API_URL` -> `mail_api`.
fn name_of(variable: &str, kind: LinkKind) -> String {
    let lower = variable.to_ascii_lowercase();
    let is_database = matches!(kind, LinkKind::Postgres | LinkKind::Mysql | LinkKind::Sqlite);
    if is_database && (lower.starts_with("database") || lower.starts_with("db") || lower.contains("sql")) {
        return "db".to_owned();
    }
    let stem = ["_url", "_uri", "_dsn", "_host", "_endpoint", "_addr"]
        .iter()
        .find_map(|end| lower.strip_suffix(end))
        .unwrap_or(&lower);
    let name: String =
        stem.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect();
    if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { written(kind).to_owned() }
}

fn free_name(guess: &Guess, name: &str) -> String {
    let numbered = (2..).map(|number| format!("{name}{number}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|n| !guess.links.contains_key(n))
        .unwrap_or_default()
}

/// A kind as `fissure.toml` writes it.
pub(super) fn written(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Postgres => "postgres",
        LinkKind::Mysql => "mysql",
        LinkKind::Redis => "redis",
        LinkKind::Http => "http",
        LinkKind::Tcp => "tcp",
        LinkKind::Sqlite => "sqlite",
    }
}

/// Inside compose the host is a service's name; outside, the port that it publishes.
fn reachable(guess: &mut Guess, variable: &str, value: &str, compose: &Compose, backings: &[Backing]) {
    if value.contains("${") {
        guess
            .missing
            .push(format!("{variable} in {} holds variables: write its value under [app.env]", compose.file));
        return;
    }
    let Some(backing) = backings.iter().find(|b| host_of(value) == Some(b.service.as_str())) else { return };
    let service = &backing.service;
    match backing.published {
        Some(port) => {
            if let Some(address) = with_host(value, service, port) {
                guess.know(format!("env {variable}"), format!("{service} of {} is published on 127.0.0.1:{port}: start it with `docker compose up -d {service}`", compose.file));
                guess.app.env.insert(variable.to_owned(), address);
            }
        }
        None => guess.missing.push(format!(
            "{variable} points to {service} inside of {}, which publishes no port: publish one, or write the address of another database under [app.env]",
            compose.file
        )),
    }
}

fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("//")?.1.split(['/', '?']).next()?;
    authority.rsplit('@').next()?.split(':').next()
}

/// The same URL with 127.0.0.1:`port` as its host.
fn with_host(url: &str, host: &str, port: u16) -> Option<String> {
    let (scheme, rest) = url.split_once("//")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (login, address) =
        authority.rsplit_once('@').map_or(("", authority), |(login, address)| (login, address));
    let at = if login.is_empty() { "" } else { "@" };
    address.starts_with(host).then(|| format!("{scheme}//{login}{at}127.0.0.1:{port}{path}"))
}

/// A database of the compose file that no variable names.
fn unnamed(guess: &mut Guess, backing: &Backing, compose: &Compose) {
    if guess.links.values().any(|link| link.kind == backing.kind) {
        return;
    }
    let name = name_of(&backing.service, backing.kind);
    let name = free_name(guess, &name);
    guess.suppose(
        format!("link {name} = {}", written(backing.kind)),
        format!(
            "the service {} of {}; when a variable holds its address, name it with `env`",
            backing.service, compose.file
        ),
    );
    guess.links.insert(name, Link { env: None, kind: backing.kind, path: None, disposable: false });
}

/// Laravel spreads the address over `DB_CONNECTION`, `DB_HOST` and others.
fn laravel(guess: &mut Guess, variables: &[(String, String)], place: &str) {
    let value = |name: &str| variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let (kind, path) = match value("DB_CONNECTION") {
        Some("pgsql") => (LinkKind::Postgres, None),
        Some("mysql" | "mariadb") => (LinkKind::Mysql, None),
        Some("sqlite") => {
            let path = value("DB_DATABASE").filter(|path| path.contains('/') || path.contains('.'));
            (LinkKind::Sqlite, Some(path.unwrap_or("database/database.sqlite").to_owned()))
        }
        _ => return,
    };
    if !guess.links.contains_key("db") {
        guess.know(format!("link db = {}", written(kind)), format!("DB_CONNECTION in {place}"));
        guess.links.insert("db".to_owned(), Link { env: None, kind, path, disposable: false });
    }
}

/// SQLite files by their first bytes, whatever their name.
fn database_files(folder: &Folder, guess: &mut Guess) {
    let is_place = |path: &str| {
        let parent = path.rfind('/').map_or("", |end| &path[..=end]);
        FILE_PLACES.contains(&parent)
    };
    let files = folder.files(&["db", "sqlite", "sqlite3"]);
    let databases = files
        .iter()
        .filter(|path| is_place(path))
        .filter(|path| folder.bytes(path).is_some_and(|b| b.starts_with(b"SQLite format 3\0")));
    for path in databases.take(MAX_FILES) {
        let known =
            |link: &Link| link.path.as_deref().is_some_and(|p| p == path || path.ends_with(&format!("/{p}")));
        if path.contains(char::is_control) || guess.links.values().any(known) {
            continue;
        }
        let name = free_name(guess, "db");
        guess.know(format!("link {name} = sqlite"), format!("{path} is an SQLite database"));
        guess.links.insert(
            name,
            Link { env: None, kind: LinkKind::Sqlite, path: Some(path.clone()), disposable: false },
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_scheme_tells_the_kind() {
        let kind =
            |variable: &str, value: &str| kind_of(variable, value).map(|(kind, path)| (written(kind), path));
        assert_eq!(kind("DATABASE_URL", "postgresql+asyncpg://u:p@h/db"), Some(("postgres", None)));
        assert_eq!(
            kind("DATABASE_URL", "sqlite:///data/app.db"),
            Some(("sqlite", Some("data/app.db".to_owned())))
        );
        assert_eq!(kind("DATABASE_URL", "file:./dev.db?x=1"), Some(("sqlite", Some("dev.db".to_owned()))));
        assert_eq!(kind("DATABASE_URL", "sqlite::memory:"), None);
        assert_eq!(kind("GEO_URL", "https://geo.example"), Some(("http", None)));
        assert_eq!(kind("APP_URL", "http://localhost:3000"), None);
        assert_eq!(kind("TIME", "10:30"), None);
    }

    #[test]
    fn a_service_of_compose_becomes_an_address_of_this_machine() {
        let out = with_host("postgres://me:p@ss@db:5432/shop?x=1", "db", 5433);
        assert_eq!(out.as_deref(), Some("postgres://me:p@ss@127.0.0.1:5433/shop?x=1"));
        assert_eq!(with_host("redis://cache", "cache", 6379).as_deref(), Some("redis://127.0.0.1:6379"));
    }

    proptest! {
        #[test]
        fn no_address_makes_it_panic(variable in "[A-Z_é]{0,12}", value in "(sqlite|postgres|http|\\PC{0,6})?:?/{0,3}[@:/?#a.é]{0,20}") {
            let mut guess = Guess::default();
            add(&mut guess, &variable, &value, ".env");
            let _ = (host_of(&value), with_host(&value, "a", 1));
        }
    }
}
