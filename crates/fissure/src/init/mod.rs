//! `fissure init`: what a folder says about the app in it.
//!
//! Each source (Procfile, package.json, a Dockerfile ...) has a file here and answers with how the app is started, or
//! with nothing. They are asked in the order of how much they are to be trusted: a line that somebody wrote for
//! production comes before a convention. Every guess carries its reason.
//!
//! **Invariant:** files of the folder are data, never run; reads are bounded; no bytes in them make this panic.

mod command;
mod compose;
mod docker;
mod dotenv;
mod folder;
mod go;
mod java;
mod link;
mod node;
mod php;
mod port;
mod procfile;
mod python;
mod ruby;
mod rust;
mod save;
mod script;
#[cfg(test)]
mod tests;
mod write;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use fissure_facts::config::{App, Link};

pub use save::{InitError, save};
pub use write::{first_journey, write_toml};

use folder::Folder;
use port::Listens;

/// What `fissure init` makes of a folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guess {
    /// `command` is empty when nothing said how the app is started.
    pub app: App,
    pub links: BTreeMap<String, Link>,
    /// What was guessed and why, one line each.
    pub facts: Vec<Reason>,
    /// What the user must still do or write: sentences.
    pub missing: Vec<String>,
}

/// One guess and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `command = node server.js`, `port = 3000`, `link db = postgres`.
    pub what: String,
    pub why: String,
    /// False for a guess that the user should look at.
    pub sure: bool,
}

impl Reason {
    /// On one line and without escape sequences, because it is printed and parts of it come from foreign files.
    fn new(what: impl Into<String>, why: impl Into<String>, sure: bool) -> Self {
        Self { what: command::on_one_line(&what.into()), why: command::on_one_line(&why.into()), sure }
    }
}

/// How an app is started, as one source tells it.
#[derive(Debug, Default)]
struct Start {
    command: String,
    why: String,
    sure: bool,
    /// A port that the source itself names (`EXPOSE 8000`).
    port: Option<u16>,
    /// Command and why it is needed.
    setup: Option<(String, String)>,
    env: BTreeMap<&'static str, String>,
    health: Option<(String, String)>,
    /// The app itself reads `$PORT`, as its framework or server does by convention.
    reads_port: bool,
    /// Extensions of source files that may say where the app listens.
    code: &'static [&'static str],
    /// The file that is started, looked at first.
    entry: Option<String>,
    missing: Vec<String>,
}

type Source = fn(&Folder) -> Option<Start>;

/// Most trustworthy first.
const SOURCES: &[Source] = &[
    procfile::start,
    ruby::start,
    python::django,
    php::laravel,
    node::start,
    python::start,
    rust::start,
    go::start,
    java::start,
    php::start,
    script::start,
    docker::start,
    compose::start,
];

/// Looks at the folder and guesses. Reads only; asks nobody.
pub fn guess(folder: &Path) -> Guess {
    let folder = Folder::new(folder);
    let mut guess = Guess::default();
    match SOURCES.iter().find_map(|source| source(&folder)) {
        Some(start) => guess.take(&folder, start),
        None => guess.missing.push(NOTHING_FOUND.to_owned()),
    }
    link::find(&folder, &mut guess);
    dotenv::load(&folder, &mut guess);
    guess
}

const NOTHING_FOUND: &str = "nothing here says how the app is started (looked for a Procfile, package.json, manage.py, \
     pyproject.toml, requirements.txt, app.py, Cargo.toml, go.mod, pom.xml, build.gradle, a class with a main method, Gemfile, config.ru, composer.json, \
     index.php, start.sh or run.sh, a Dockerfile and a compose file): write under [app] the command that you type, like `command = \"./server --port \
     $PORT\"`, or run `fissure init` in the folder that holds the app";

impl Guess {
    /// Adds something that is certain.
    fn know(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.facts.push(Reason::new(what, why, true));
    }

    /// Adds something that the user should look at.
    fn suppose(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.facts.push(Reason::new(what, why, false));
    }

    fn take(&mut self, folder: &Folder, start: Start) {
        let mut command = start.command;
        let mut why = start.why;
        // A port in the command itself is the app's only say: let fissure choose it, so that copies can run side by side.
        if !command.contains("PORT")
            && let Some((freed, port)) = command::free_port(&command)
        {
            why = format!("{why}, with $PORT in place of {port}");
            command = freed;
        }
        let mut port = None;
        if !command.contains("PORT") && !start.reads_port {
            match port::seek(folder, start.code, start.entry.as_deref()) {
                Listens::WherePortSays { place } => self.know("port = $PORT", format!("{place} reads it")),
                Listens::WhereNameSays { name, place } => {
                    why = format!("{why}, with {name} because {place} reads that instead of PORT");
                    command = format!("{name}=$PORT {command}");
                }
                Listens::Fixed { port: found, place } => port = Some((found, place)),
                Listens::Unsaid => match start.port {
                    Some(named) => port = Some((named, "the container's file names it".to_owned())),
                    None => self.suppose(
                        "port = $PORT",
                        "nothing says where the app listens; when it has a port of its own, write `port = 8000` below command",
                    ),
                },
            }
        }
        let command = command::on_one_line(&command);
        let what = format!("command = {command}");
        self.facts.insert(0, Reason::new(what, why, start.sure));
        self.app.command = command;
        if let Some((port, place)) = port {
            self.app.port = Some(port);
            self.suppose(
                format!("port = {port}"),
                format!("{place}; it is fixed, so only one copy can run: an app that reads $PORT can be rehearsed with replicas and splits"),
            );
        }
        if let Some((setup, why)) = start.setup {
            self.know(format!("setup = {setup}"), why);
            self.app.setup = Some(setup);
        }
        for (name, value) in start.env {
            let why = if name.ends_with("_ENV") {
                "a development mode would be measured otherwise"
            } else {
                "the command needs it"
            };
            self.know(format!("env {name} = {value}"), why);
            self.app.env.insert(name.to_owned(), value);
        }
        if let Some((health, why)) =
            start.health.or_else(|| docker::health(folder)).or_else(|| compose::health(folder))
        {
            self.know(format!("health = {health}"), why);
            self.app.health = health;
        }
        self.missing.extend(start.missing);
    }
}
