//! A project: the app's folder with its `fissure.toml`, its journeys and its users' data, read and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fissure_facts::config::Span;
use fissure_facts::journey::{self, Journey};
use fissure_facts::{Config, JourneyOutline};

use crate::exit::{Exit, Failure};

pub const CONFIG_NAME: &str = "fissure.toml";

/// The names of the columns of the users' data.
pub fn columns(data: &[BTreeMap<String, String>]) -> Vec<String> {
    data.first().map(|row| row.keys().cloned().collect()).unwrap_or_default()
}

#[derive(Debug)]
pub struct Project {
    /// The app's folder, absolute.
    pub folder: PathBuf,
    pub config: Config,
    pub journeys: Vec<Loaded>,
    /// Rows of the users' data file.
    pub data: Vec<BTreeMap<String, String>>,
}

/// A journey with its text and how often it is played.
#[derive(Debug)]
pub struct Loaded {
    pub journey: Journey,
    pub text: String,
    /// The folder of the file, in which `file,...;` looks.
    pub folder: PathBuf,
    pub weight: f64,
}

impl Project {
    /// Reads everything; `path` is the app's folder or its `fissure.toml`.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let file = if path.is_dir() { path.join(CONFIG_NAME) } else { path.to_path_buf() };
        let config = Self::config(&file)?;
        let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::assemble(folder, config)
    }

    /// The app alone: nobody has said yet what its users do.
    pub fn without_users(path: &Path) -> Result<Self, Failure> {
        let file = if path.is_dir() { path.join(CONFIG_NAME) } else { path.to_path_buf() };
        let config = Self::config(&file)?;
        let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = canonical(folder)?;
        Ok(Self { folder, config, journeys: Vec::new(), data: Vec::new() })
    }

    /// Reads and checks a `fissure.toml`.
    pub fn config(file: &Path) -> Result<Config, Failure> {
        let text = std::fs::read_to_string(file).map_err(|e| {
            let hint = if e.kind() == std::io::ErrorKind::NotFound {
                "; `fissure init` writes one from what it finds"
            } else {
                ""
            };
            Failure::new(Exit::BadInput, format!("{} cannot be read: {e}{hint}.", file.display()))
        })?;
        Config::parse(&text)
            .map_err(|e| Failure::new(Exit::BadInput, format!("{} has a mistake:\n{e}", file.display())))
    }

    /// Reads the journeys and the data that a configuration names.
    pub fn assemble(folder: &Path, config: Config) -> Result<Self, Failure> {
        let folder = canonical(folder)?;
        let data = read_data(&folder, &config)?;
        let journeys = read_journeys(&folder, &config, &columns(&data))?;
        Ok(Self { folder, config, journeys, data })
    }

    /// The users' data that a `fissure.toml` names, whether or not its journeys can be read.
    pub fn data(file: &Path) -> Result<Vec<BTreeMap<String, String>>, Failure> {
        read_data(file.parent().unwrap_or(Path::new(".")), &Self::config(file)?)
    }

    /// The longest pause of a journey that is not played as long as it is written, in a sentence.
    pub fn shortened_pause(&self) -> Option<String> {
        let most = self.config.users.think_max;
        let steps = self.journeys.iter().flat_map(|loaded| &loaded.journey.steps);
        let longest = steps.filter(|step| step.think > most.0).max_by_key(|step| step.think)?;
        Some(format!(
            "Pauses longer than {most} are played as {most} ([users] think_max); the longest is {}, before {}.",
            Span(longest.think),
            longest.route
        ))
    }

    /// What a goal in users means where they never pause, in a sentence.
    pub fn users_without_pauses(&self) -> Option<String> {
        let users = self.config.goal.users?;
        let is_paced = |journey: &JourneyOutline| journey.think_s() > 0.0;
        (!self.outlines().iter().any(is_paced)).then(|| {
            format!(
                "No journey pauses, so each of {users} users at once asks again as soon as it has its answer, and is taken to wait as \
                 long as the goal allows. Write `delay` into the journeys, or say `requests_per_s` under [goal]."
            )
        })
    }

    /// Limits of routes for which no journey asks, in a sentence: a slip of the pen would have them judged by the limit of all.
    pub fn unused_limits(&self) -> Option<String> {
        let steps = || self.journeys.iter().flat_map(|loaded| &loaded.journey.steps);
        let limits = self.config.goal.routes.keys();
        let unused: Vec<String> = limits
            .filter(|named| !steps().any(|step| named.matches(&step.route)))
            .map(|named| format!("`{named}`"))
            .collect();
        (!unused.is_empty()).then(|| {
            format!(
                "[goal.routes] sets a limit for {}, for which no journey asks: `fissure users` lists the routes as they are called.",
                unused.join(" and ")
            )
        })
    }

    pub fn outlines(&self) -> Vec<JourneyOutline> {
        self.journeys.iter().map(|l| l.journey.outline(l.weight, self.config.users.think_max.0)).collect()
    }
}

fn canonical(folder: &Path) -> Result<PathBuf, Failure> {
    folder
        .canonicalize()
        .map_err(|e| Failure::new(Exit::BadInput, format!("{} cannot be entered: {e}.", folder.display())))
}

fn read_journeys(folder: &Path, config: &Config, columns: &[String]) -> Result<Vec<Loaded>, Failure> {
    let bad = |sentence: String| Failure::new(Exit::BadInput, sentence);
    let mut names: Vec<PathBuf> = Vec::new();
    for pattern in &config.users.journeys {
        let absolute = folder.join(pattern);
        let matches = glob::glob(&absolute.to_string_lossy())
            .map_err(|e| bad(format!("[users] journeys: `{pattern}` is not a pattern: {e}.")))?;
        let before = names.len();
        names.extend(matches.filter_map(Result::ok).filter(|p| p.is_file()));
        if names.len() == before {
            return Err(bad(format!(
                "[users] journeys: nothing matches `{pattern}` in {}. A journey is a .hurl file with the requests of one \
                 user; `fissure init` writes a first one.",
                folder.display()
            )));
        }
    }
    names.sort();
    names.dedup();

    let name_of = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
    if let Some(stranger) = config.users.weights.keys().find(|w| !names.iter().any(|p| name_of(p) == **w)) {
        return Err(bad(format!("[users] weights names `{stranger}`, which is none of the journeys.")));
    }

    let mut loaded = Vec::new();
    for path in &names {
        let name = name_of(path);
        let text = std::fs::read_to_string(path).map_err(|e| bad(format!("{name} cannot be read: {e}.")))?;
        let beside = path.parent().unwrap_or(folder).to_path_buf();
        let journey = journey::parse(&name, &text, &|file| std::fs::read(beside.join(file)))
            .map_err(|e| bad(e.to_string()))?;
        if let Some((line, variable)) = journey::unbound_variables(&journey, columns).into_iter().next() {
            return Err(bad(format!(
                "{name}:{line}: the variable `{{{{{variable}}}}}` has no value: capture it from an earlier answer, or make it \
                 a column of [users] data."
            )));
        }
        let weight = config.users.weights.get(&name).copied().unwrap_or(1.0);
        loaded.push(Loaded { journey, text, folder: beside, weight });
    }
    if loaded.iter().all(|l| l.weight <= 0.0) {
        return Err(bad("[users] weights leaves no journey with a weight above zero.".to_owned()));
    }
    loaded.retain(|l| l.weight > 0.0);

    // One spelling for each route over all journeys.
    let mut journeys: Vec<Journey> = loaded.iter().map(|l| l.journey.clone()).collect();
    journey::unify_routes(&mut journeys, &config.named_routes());
    for (loaded, journey) in loaded.iter_mut().zip(journeys) {
        loaded.journey = journey;
    }
    let known = |route: &fissure_facts::Route| {
        loaded.iter().flat_map(|l| &l.journey.steps).any(|s| s.route.matches(route))
    };
    let named = config.goal.routes.keys().chain(config.areas.values().flatten());
    if let Some(stranger) = named.into_iter().find(|r| !known(r)) {
        let mut all: Vec<String> =
            loaded.iter().flat_map(|l| &l.journey.steps).map(|s| s.route.to_string()).collect();
        all.sort();
        all.dedup();
        return Err(bad(format!(
            "fissure.toml names the route `{stranger}`, which no journey visits. The journeys' routes are: {}.",
            all.join(", ")
        )));
    }
    Ok(loaded)
}

fn read_data(folder: &Path, config: &Config) -> Result<Vec<BTreeMap<String, String>>, Failure> {
    let Some(name) = &config.users.data else { return Ok(Vec::new()) };
    let path = folder.join(name);
    let bad = |e: csv::Error| {
        Failure::new(Exit::BadInput, format!("{} cannot be read as CSV: {e}.", path.display()))
    };
    let mut reader = csv::Reader::from_path(&path).map_err(bad)?;
    let rows: Result<Vec<BTreeMap<String, String>>, csv::Error> = reader.deserialize().collect();
    let rows = rows.map_err(bad)?;
    if rows.is_empty() {
        return Err(Failure::new(
            Exit::BadInput,
            format!("{} has no rows below its header.", path.display()),
        ));
    }
    Ok(rows)
}
