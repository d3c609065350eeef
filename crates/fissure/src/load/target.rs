//! Which server is loaded, and by which journeys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fissure_facts::config::{LoadSettings, Span};
use fissure_facts::journey;
use fissure_facts::{Config, HttpVersion};
use fissure_rig::crowd::{Destination, resolve};

use super::url::{self, Requests, Url};
use crate::cli::LoadArgs;
use crate::exit::{Exit, Failure};
use crate::project::{CONFIG_NAME, Loaded, Project};

const ONE_SECOND: Duration = Duration::from_secs(1);

pub struct Target {
    pub project: Project,
    /// None: the app of the project is to be started.
    pub running: Option<(Destination, String)>,
    /// The project's goal says what is asked for when the command line does not.
    pub has_goal: bool,
    /// There is a `fissure.toml`, so runs are kept beside it.
    pub has_home: bool,
}

impl Target {
    pub fn find(args: &LoadArgs) -> Result<Self, Failure> {
        let is_url = |what: &String| what.contains("://");
        let is_journey = |what: &String| what.ends_with(".hurl");
        let refuse_request_flags = || match request_flag(args) {
            Some(flag) => Err(usage(format!("{flag} is for URLs; a journey says it itself."))),
            None => Ok(()),
        };
        if args.what.iter().any(is_url) {
            return Self::urls(args);
        }
        refuse_request_flags()?;
        if !args.what.is_empty() && args.what.iter().all(is_journey) {
            return Self::journeys(args);
        }
        match args.what.as_slice() {
            [] if !args.project.join(CONFIG_NAME).exists() => Err(usage(format!(
                "say what to load, like `fissure load http://127.0.0.1:8000/`: there is no {CONFIG_NAME} here that would know."
            ))),
            [] => Self::project(&args.project, args),
            [folder] if Path::new(folder).exists() => Self::project(Path::new(folder), args),
            [first, ..] => Err(usage(format!(
                "`{first}` is neither a URL (`http://...`), a journey (`....hurl`) nor a folder that is there."
            ))),
        }
    }

    /// Every URL is a journey of one request.
    fn urls(args: &LoadArgs) -> Result<Self, Failure> {
        if args.base.is_some() || args.data.is_some() {
            return Err(usage(
                "--base and --data are for journeys; a URL says everything itself.".to_owned(),
            ));
        }
        let think =
            args.think.map_or(if args.users.is_some() { ONE_SECOND } else { Duration::ZERO }, |t| t.0);
        let requests = Requests {
            method: args.method.as_ref().map(|m| m.to_ascii_uppercase()),
            headers: args.header.iter().map(|h| url::header(h)).collect::<Result<_, _>>().map_err(usage)?,
            body: args.body.as_deref().map(body).transpose()?,
            think,
        };
        let urls = args.what.iter().map(|u| Url::parse(u)).collect::<Result<Vec<_>, _>>().map_err(usage)?;
        let Some(first) = urls.first() else { return Err(usage("there is no URL.".to_owned())) };
        if let Some(other) = urls.iter().find(|u| u.base() != first.base()) {
            return Err(usage(format!(
                "{} and {} are two servers: one run loads one, so that its figures say something about it.",
                first.base(),
                other.base()
            )));
        }
        let no_files = |_: &str| Err(std::io::Error::other("a URL names no file"));
        let journeys = urls.iter().zip(&args.what).map(|(url, name)| {
            let text = url.journey(&requests);
            let journey = journey::parse(name, &text, &no_files).map_err(|e| usage(e.to_string()))?;
            Ok(Loaded { journey, text, folder: PathBuf::new(), weight: 1.0 })
        });
        let mut config = Config { load: settings(&args.project)?, ..Config::default() };
        config.load.hand_on = true;
        config.users.think_max = Span(think);
        speak(&mut config, first, args);
        let project = Project {
            folder: args.project.clone(),
            config,
            journeys: journeys.collect::<Result<_, Failure>>()?,
            data: Vec::new(),
        };
        Self::of_running(project, first, args, false)
    }

    /// Journeys by their files; the rest of the configuration, if there is one, says how users behave.
    fn journeys(args: &LoadArgs) -> Result<Self, Failure> {
        let file = args.project.join(CONFIG_NAME);
        let known = if file.exists() && (args.base.is_none() || names_an_app(&file)) {
            Some(Project::config(&file)?)
        } else {
            None
        };
        if known.is_none() && args.base.is_none() {
            return Err(usage(format!(
                "there is no {CONFIG_NAME} that says how the app is started: name the running server with --base http://127.0.0.1:8000."
            )));
        }
        let mut config = known.unwrap_or_default();
        config.load = settings(&args.project)?;
        let (goal, areas) = Default::default();
        (config.goal, config.areas) = (goal, areas);
        let absolute = |path: &String| std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        config.users.journeys =
            args.what.iter().map(|w| glob::Pattern::escape(&absolute(w).to_string_lossy())).collect();
        let (chosen, folder): (Vec<_>, _) =
            (args.what.iter().map(absolute).collect(), std::path::absolute(&args.project));
        let is_chosen =
            |name: &String| folder.as_ref().is_ok_and(|folder| chosen.contains(&folder.join(name)));
        config.users.weights.retain(|name, _| is_chosen(name));
        Self::with_config(&args.project, config, args, false)
    }

    fn project(path: &Path, args: &LoadArgs) -> Result<Self, Failure> {
        let file = if path.is_dir() { path.join(CONFIG_NAME) } else { path.to_path_buf() };
        let config = Project::config(&file)?;
        let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::with_config(folder, config, args, true)
    }

    fn with_config(
        folder: &Path,
        mut config: Config,
        args: &LoadArgs,
        has_goal: bool,
    ) -> Result<Self, Failure> {
        if let Some(data) = &args.data {
            let absolute = std::path::absolute(data).unwrap_or_else(|_| data.clone());
            config.users.data = Some(absolute.to_string_lossy().into_owned());
        }
        let base = args.base.clone().or(config.load.base.take());
        let project = Project::assemble(folder, config)?;
        match base {
            Some(base) => {
                let url = Url::parse(&base).map_err(usage)?;
                if url.target != "/" {
                    return Err(usage(format!(
                        "--base {base} has a path; the journeys' paths begin behind the host."
                    )));
                }
                let mut project = project;
                speak(&mut project.config, &url, args);
                Self::of_running(project, &url, args, has_goal)
            }
            None => Ok(Self { project, running: None, has_goal, has_home: true }),
        }
    }

    fn of_running(project: Project, url: &Url, args: &LoadArgs, has_goal: bool) -> Result<Self, Failure> {
        let own = &project.config.load.own_hosts;
        let destination = resolve(&url.host, url.port, own).map_err(|e| usage(format!("{e}.")))?;
        let has_home = project.folder.join(CONFIG_NAME).exists() || args.project.join(CONFIG_NAME).exists();
        Ok(Self { running: Some((destination, url.authority())), project, has_goal, has_home })
    }
}

/// How the server at `url` is spoken to.
fn speak(config: &mut Config, url: &Url, args: &LoadArgs) {
    config.load.base = Some(url.base());
    config.app.tls = url.tls;
    if args.http2 {
        config.app.http = Some(HttpVersion::Two);
    }
}

fn usage(sentence: String) -> Failure {
    Failure::new(Exit::Usage, sentence)
}

/// A flag that only requests to URLs have.
fn request_flag(args: &LoadArgs) -> Option<&'static str> {
    let given = [
        ("--method", args.method.is_some()),
        ("--header", !args.header.is_empty()),
        ("--body", args.body.is_some()),
        ("--think", args.think.is_some()),
    ];
    given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
}

fn body(text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        Some(file) => std::fs::read(file)
            .map_err(|e| Failure::new(Exit::BadInput, format!("the body {file} cannot be read: {e}."))),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// The `[load]` of a `fissure.toml`, if there is one.
fn settings(folder: &Path) -> Result<LoadSettings, Failure> {
    let file = folder.join(CONFIG_NAME);
    match std::fs::read_to_string(&file) {
        Ok(text) => LoadSettings::parse(&text)
            .map_err(|e| Failure::new(Exit::BadInput, format!("{} has a mistake:\n{e}", file.display()))),
        Err(_) => Ok(LoadSettings::default()),
    }
}

fn names_an_app(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.parse::<toml::Table>().map_or(true, |table| table.contains_key("app"))
}
