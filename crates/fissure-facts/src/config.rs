//! `fissure.toml`, read and checked. Every mistake becomes a sentence with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{HttpVersion, Protocol, Route};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub app: App,
    pub users: Users,
    pub goal: Goal,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Link>,
    /// Areas that the user has in mind, by role name; others are found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub areas: BTreeMap<String, Vec<Route>>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "LoadSettings::is_empty")]
    pub load: LoadSettings,
    /// The program as it was before a change that is to be proved; `check --before-command` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

/// How the program was started before a change. All else is as `[app]` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    pub command: String,
    /// Where its files are, relative to `fissure.toml`; the app's own folder when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

/// How the app is started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Run by `sh -c` in the app's folder; must listen on 127.0.0.1:$PORT unless `port` says otherwise.
    pub command: String,
    /// A fixed port, for an app that does not read `$PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Path that answers below 500 when the app is ready.
    #[serde(default = "slash")]
    pub health: String,
    /// It answers over TLS (https). Its certificate may be anything: it is on this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// `"1.1"` or `"2"`, for an app that answers in one version only. Without it TLS lets the app choose, as with browsers,
    /// and in the clear it is HTTP/1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpVersion>,
    /// Run once in every scratch copy before the app is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// How long the app may take until it is ready.
    #[serde(default = "one_minute")]
    pub start_within: Span,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl App {
    pub fn protocol(&self) -> Protocol {
        Protocol { tls: self.tls, http: self.http }
    }
}

/// Who uses the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// Files or patterns (`journeys/*.hurl`), relative to `fissure.toml`.
    #[serde(default = "all_journeys")]
    pub journeys: Vec<String>,
    /// Journey file -> how often it is played relative to the others (1 when not named).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// What routes are called whose paths do not say that they are one: `GET /pages/{page}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Requests per second of each hour, as a log showed them: for `fissure load --profile fissure.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<f64>,
    /// Think times are kept up to this.
    #[serde(default = "one_second")]
    pub think_max: Span,
    /// A CSV file: the first row names variables, each user takes one of the other rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// A request without a whole answer after this is an error.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
}

/// What the app must stand.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journeys_per_s: Option<f64>,
    #[serde(flatten)]
    pub slo: Slo,
    /// Share of requests that may fail.
    #[serde(default = "one_percent")]
    pub errors: Percent,
    /// Routes with an SLO of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<Route, Slo>,
}

/// A latency that a quantile of the requests must keep. Exactly one is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<Span>,
}

impl Slo {
    pub fn p95(limit: Duration) -> Self {
        Self { p95: Some(Span(limit)), ..Self::default() }
    }

    /// (quantile between 0 and 1, limit); `None` when none or several are given, which `Config::parse` refuses.
    fn target(self) -> Option<(f64, Span)> {
        match (self.p50, self.p95, self.p99) {
            (Some(limit), None, None) => Some((0.50, limit)),
            (None, Some(limit), None) => Some((0.95, limit)),
            (None, None, Some(limit)) => Some((0.99, limit)),
            _ => None,
        }
    }

    /// The quantile (0 to 1) that must stay below the limit.
    pub fn quantile(self) -> f64 {
        self.target().map_or(0.95, |(quantile, _)| quantile)
    }

    pub fn limit_us(self) -> u64 {
        self.target().map_or(u64::MAX, |(_, limit)| limit.0.as_micros() as u64)
    }

    /// `p95`, `p50` or `p99`.
    pub fn name(self) -> String {
        format!("p{:.0}", self.quantile() * 100.0)
    }
}

/// The load side of a goal, in the unit in which the user gave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GoalLoad {
    Users(f64),
    RequestsPerS(f64),
    JourneysPerS(f64),
}

impl Goal {
    pub fn load(&self) -> GoalLoad {
        match (self.users, self.requests_per_s, self.journeys_per_s) {
            (_, Some(rate), _) => GoalLoad::RequestsPerS(rate),
            (_, _, Some(rate)) => GoalLoad::JourneysPerS(rate),
            (users, _, _) => GoalLoad::Users(users.unwrap_or(0.0)),
        }
    }

    /// The SLO that holds for `route`.
    pub fn slo_of(&self, route: &Route) -> Slo {
        self.routes.iter().find(|(named, _)| named.matches(route)).map_or(self.slo, |(_, &slo)| slo)
    }
}

/// Something the app talks to through an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The environment variable that holds the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    pub kind: LinkKind,
    /// The data behind it may be written by experiments: it is a scratch database.
    #[serde(default)]
    pub disposable: bool,
    /// The file, for `sqlite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    #[serde(alias = "postgresql")]
    Postgres,
    #[serde(alias = "mariadb")]
    Mysql,
    #[serde(alias = "valkey")]
    Redis,
    Http,
    Tcp,
    Sqlite,
}

impl LinkKind {
    /// A server that holds data which no copy of the app's folder has.
    pub fn is_database_server(self) -> bool {
        matches!(self, Self::Postgres | Self::Mysql | Self::Redis)
    }
}

/// `[load]`: what `fissure load` may do and must see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSettings {
    /// Hosts beyond this machine that are the user's own, so that load may go there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_hosts: Vec<String>,
    /// The server to load, when it is running already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// At most so many connections, and so many requests on their way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Users hand open connections on to each other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hand_on: bool,
    /// Thresholds, like `p95<300ms`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
}

impl LoadSettings {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The `[load]` of a `fissure.toml` that may hold nothing else, because a host needs neither an app nor a goal.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Only {
            #[serde(default)]
            load: LoadSettings,
        }
        toml::from_str::<Only>(text)
            .map(|only| only.load)
            .map_err(|e| ConfigError(e.to_string().trim_end().to_owned()))
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// CPUs that the whole app gets in every arrangement (default: all but one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_cpus: Option<usize>,
    /// How long a check may measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Span>,
}

impl Default for App {
    fn default() -> Self {
        Self {
            command: String::new(),
            port: None,
            health: slash(),
            tls: false,
            http: None,
            setup: None,
            start_within: one_minute(),
            env: BTreeMap::new(),
        }
    }
}

impl Default for Users {
    fn default() -> Self {
        Self {
            journeys: all_journeys(),
            weights: BTreeMap::new(),
            routes: Vec::new(),
            hours: Vec::new(),
            think_max: one_second(),
            data: None,
            timeout: ten_seconds(),
        }
    }
}

fn slash() -> String {
    "/".to_owned()
}
fn all_journeys() -> Vec<String> {
    vec!["journeys/*.hurl".to_owned()]
}
fn one_second() -> Span {
    Span(Duration::from_secs(1))
}
fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}
fn one_minute() -> Span {
    Span(Duration::from_secs(60))
}
fn one_percent() -> Percent {
    Percent(0.01)
}

/// A mistake in `fissure.toml`, with its place where there is one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Reads and checks the text of a `fissure.toml`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let said = e.to_string().trim_end().to_owned();
            // A section that is flattened does not know its own keys.
            let keys = "`users`, `requests_per_s`, `journeys_per_s`, `p50`, `p95`, `p99`, `errors`, `routes`";
            let is_of_goal = said.contains("unknown field") && !said.contains("expected");
            ConfigError(if is_of_goal { format!("{said}, expected one of {keys}") } else { said })
        })?;
        config.check()?;
        Ok(config)
    }

    /// What routes are called whose paths do not say so: by `routes` of the users, and where a goal or an area names a path as it is.
    pub fn named_routes(&self) -> Vec<Route> {
        let elsewhere = self.goal.routes.keys().chain(self.areas.values().flatten());
        let as_it_is = elsewhere.filter(|route| !route.template().contains('{'));
        self.users.routes.iter().chain(as_it_is).cloned().collect()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |sentence: String| Err(ConfigError(sentence));
        if self.app.command.trim().is_empty() {
            return wrong(
                "[app] command is empty: say how the app is started, like `node server.js`".to_owned(),
            );
        }
        if !self.app.health.starts_with('/') {
            return wrong(format!("[app] health = {:?} must begin with a slash", self.app.health));
        }
        let loads = [self.goal.users, self.goal.requests_per_s, self.goal.journeys_per_s];
        let given: Vec<f64> = loads.into_iter().flatten().collect();
        match given.as_slice() {
            [load] if load.is_finite() && *load > 0.0 => {}
            [load] => return wrong(format!("[goal] asks for a load of {load}: it must be more than zero")),
            [] => {
                return wrong("[goal] names no load: write one of `users = 100`, `requests_per_s = 50` or `journeys_per_s = 5`".to_owned());
            }
            _ => {
                return wrong(
                    "[goal] names several loads: keep one of users, requests_per_s, journeys_per_s"
                        .to_owned(),
                );
            }
        }
        check_slo("[goal]", self.goal.slo)?;
        for (route, slo) in &self.goal.routes {
            check_slo(&format!("[goal.routes] \"{route}\""), *slo)?;
        }
        for (name, weight) in &self.users.weights {
            if !(weight.is_finite() && *weight >= 0.0) {
                return wrong(format!("[users] the weight of {name} is {weight}: it must be zero or more"));
            }
        }
        for (name, routes) in &self.areas {
            if name == crate::arrangement::WEB || !is_role_name(name) {
                return wrong(format!(
                    "[areas] `{name}` cannot name a role: use lower-case letters, digits and `_`, and not `web`"
                ));
            }
            if routes.is_empty() {
                return wrong(format!("[areas] {name} has no routes"));
            }
        }
        if self.limits.app_cpus == Some(0) {
            return wrong("[limits] app_cpus = 0 leaves the app no CPU".to_owned());
        }
        Ok(())
    }

    /// The same without values that must not reach a disk: environment values that look like secrets.
    pub fn redacted(&self) -> Self {
        let mut copy = self.clone();
        copy.app.env.iter_mut().for_each(|(name, value)| *value = redacted(name, value));
        copy
    }
}

/// What stands in a run's header in place of a value that may hold a secret.
pub const REDACTED: &str = "[redacted]";

/// The value of an environment variable without what may be a secret. Of an address with a password in it
/// (`postgres://me:pw@host:5432/db`, `me:pw@tcp(host:3306)/db`) it stays known where it leads.
pub fn redacted(name: &str, value: &str) -> String {
    let name = name.to_ascii_lowercase();
    let says_so = ["secret", "password", "passwd", "token", "key", "credential"];
    let Some((before, behind)) = value.rsplit_once('@') else {
        let is_secret = says_so.into_iter().chain(["dsn"]).any(|word| name.contains(word));
        return if is_secret { REDACTED.to_owned() } else { value.to_owned() };
    };
    let scheme = before.find("://").map(|at| &before[..at + 3]);
    let leads = scheme.is_some() || ["tcp(", "unix("].iter().any(|how| behind.starts_with(how));
    if !leads || says_so.iter().any(|word| name.contains(word)) {
        return REDACTED.to_owned();
    }
    // Behind a question mark there may be another password.
    let place = behind.split('?').next().unwrap_or_default();
    format!("{}{REDACTED}@{place}", scheme.unwrap_or_default())
}

fn check_slo(place: &str, slo: Slo) -> Result<(), ConfigError> {
    match slo.target() {
        Some((_, limit)) if limit.0 >= Duration::from_micros(100) => Ok(()),
        Some((_, limit)) => Err(ConfigError(format!(
            "{place} asks for answers within {limit}: no server on a network can keep that; 100us is the least"
        ))),
        None => {
            Err(ConfigError(format!("{place} needs exactly one of p50, p95, p99, like `p95 = \"300ms\"`")))
        }
    }
}

/// Lower-case letters, digits and `_`, beginning with a letter: it becomes part of an environment variable's name.
pub fn is_role_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A length of time, written `300ms`, `2s`, `1.5s`, `500us`, `3m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let scale = match unit.trim() {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => {
                return Err(ConfigError(format!(
                    "`{text}` is not a length of time: write `300ms`, `2s` or `3m`"
                )));
            }
        };
        let wrong = || ConfigError(format!("`{text}` is not a length of time: write `300ms`, `2s` or `3m`"));
        let number: f64 = number.parse().map_err(|_| wrong())?;
        Duration::try_from_secs_f64(number * scale).map(Span).map_err(|_| wrong())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_micros();
        match us {
            0 => write!(f, "0s"),
            _ if us.is_multiple_of(1_000_000) => write!(f, "{}s", us / 1_000_000),
            _ if us.is_multiple_of(1_000) => write!(f, "{}ms", us / 1_000),
            _ => write!(f, "{us}us"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A share between 0 and 1, written `1%`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Percent(pub f64);

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.trim().strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
        match number {
            Some(n) if (0.0..=100.0).contains(&n) => Ok(Self(n / 100.0)),
            _ => Err(serde::de::Error::custom(format!("`{text}` is not a share: write `1%`"))),
        }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}%", self.0 * 100.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALLEST: &str =
        "[app]\ncommand = \"node server.js\"\n[users]\n[goal]\nusers = 400\np95 = \"300ms\"\n";

    /// Every key had to be guessed from an example that has some of them.
    #[test]
    fn every_key_of_the_document_is_read_and_every_key_is_in_it() {
        let document = include_str!("../../../docs/configuration.md");
        let block = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        // Of the loads, of which a goal has one.
        let one_load: Vec<&str> = block.lines().filter(|line| !line.contains("s_per_s ")).collect();
        let config = Config::parse(&one_load.join("\n")).unwrap();
        let written = serde_json::to_value(&config).unwrap();
        for (section, keys) in written.as_object().unwrap() {
            assert!(block.contains(&format!("[{section}")), "[{section}]");
            for key in keys.as_object().unwrap().keys() {
                assert!(block.contains(key.as_str()), "{key} of [{section}]");
            }
        }
    }

    #[test]
    fn a_key_that_a_goal_does_not_have_is_told_with_those_that_it_has() {
        let wrong = Config::parse(&SMALLEST.replace("users = 400", "requests_per_second = 400")).unwrap_err();
        assert!(wrong.0.contains("`requests_per_second`") && wrong.0.contains("`requests_per_s`"), "{wrong}");
    }

    #[test]
    fn the_example_of_the_design_is_read() {
        let text = r#"
            [app]
            command = "node server.js"
            health  = "/"
            setup   = "npm run seed"
            [app.env]
            NODE_ENV = "production"
            [users]
            journeys  = ["journeys/*.hurl"]
            weights = { "journeys/buy.hurl" = 3 }
            think_max = "1s"
            data      = "users.csv"
            [goal]
            users  = 400
            p95    = "300ms"
            errors = "1%"
            [goal.routes]
            "GET /reports/{id}" = { p95 = "2s" }
            [links.db]
            env  = "DATABASE_URL"
            kind = "postgres"
            [areas]
            thumbs = ["POST /photos", "GET /photos/{id}/thumb"]
            [limits]
            app_cpus = 1
        "#;
        let config = Config::parse(text).unwrap();
        assert_eq!(config.goal.load(), GoalLoad::Users(400.0));
        assert_eq!(config.goal.slo.limit_us(), 300_000);
        let report: Route = "GET /reports/{report}".parse().unwrap();
        assert_eq!(config.goal.slo_of(&report).limit_us(), 2_000_000);
        let copy: Config = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(copy, config);
    }

    #[test]
    fn mistakes_are_sentences_with_a_place() {
        let says = |text: &str, part: &str| {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        says(&SMALLEST.replace("command", "comand"), "line 2");
        says(&SMALLEST.replace("users = 400", ""), "names no load");
        says(&SMALLEST.replace("users = 400", "users = -1"), "more than zero");
        says(&SMALLEST.replace("users = 400", "users = 4\njourneys_per_s = 1"), "several loads");
        says(&SMALLEST.replace("300ms", "300 furlongs"), "not a length of time");
        says(&SMALLEST.replace("300ms", "0ms"), "100us is the least");
        says(&SMALLEST.replace("p95 = \"300ms\"", ""), "exactly one of");
        says(&format!("{SMALLEST}errrors = \"1%\""), "errrors");
        says("[app]\ncommand = \"x\"", "users");
    }

    #[test]
    fn secrets_do_not_reach_the_journal() {
        let config = Config::parse(&SMALLEST.replace(
            "[users]",
            "env = { API_TOKEN = \"hush\", DB = \"pg://me:pw@h/db\", A = \"b\" }\n[users]",
        ))
        .unwrap();
        let text = serde_json::to_string(&config.redacted()).unwrap();
        assert!(!text.contains("hush") && !text.contains("pw@h") && text.contains("\"A\":\"b\""), "{text}");
    }

    /// With two links a database whose address held a password was "another service".
    #[test]
    fn an_address_with_a_password_still_says_where_it_leads() {
        let of = |value| redacted("DATABASE_URL", value);
        assert_eq!(
            of("postgresql://me:p@w@127.0.0.1:47310/shop"),
            "postgresql://[redacted]@127.0.0.1:47310/shop"
        );
        assert_eq!(of("mysql://me:pw@h:3306/db?password=pw"), "mysql://[redacted]@h:3306/db");
        assert_eq!(of("me:pw@tcp(127.0.0.1:3306)/db"), "[redacted]@tcp(127.0.0.1:3306)/db");
        assert_eq!(of("http://127.0.0.1:47311"), "http://127.0.0.1:47311");
        assert_eq!(of("p@ssword"), REDACTED);
        assert_eq!(redacted("API_KEY", "https://me:pw@h/"), REDACTED);
        assert_eq!(redacted("PG_DSN", "host=h password=pw"), REDACTED);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
            let _ = Config::parse(&text);
            let _ = text.parse::<Span>();
        }

        #[test]
        fn a_span_survives_its_own_text(us in 0u64..10_000_000_000) {
            let span = Span(Duration::from_micros(us));
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }
}
