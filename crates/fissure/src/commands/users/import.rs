//! `fissure users import`: a recording or a foreign file becomes journeys, which are replayed at once.

use std::path::{Path, PathBuf};

use fissure_facts::journey::{JourneyStep, Piece, unbound_variables};
use fissure_facts::{Exchange, recording};
use fissure_judge::users::openapi::Drawn;
use fissure_judge::users::{Learned, LearnedJourney, LeftOut, Row, learn};
use fissure_show::hurl;

use super::refused;
use crate::cli::ImportArgs;
use crate::exit::{Exit, Failure};
use crate::load::profile;
use crate::project::{CONFIG_NAME, Project, columns};
use crate::runs;
use crate::users::import::{Imported, Kind, curl, har, log, openapi};
use crate::users::{unpacked, weights};

/// A log of a large site has thousands of ways through it; the many are told by the few.
const JOURNEYS_MAX: usize = 20;

pub fn import(project: &Path, args: &ImportArgs) -> Result<Exit, Failure> {
    let folder = if project.is_dir() { project.to_path_buf() } else { parent(project) };
    let source = match &args.file {
        Some(file) => file.clone(),
        None => newest_recording(&folder)?,
    };
    let config = folder.join(CONFIG_NAME);
    let data = if config.is_file() { Project::data(&config)? } else { Vec::new() };
    let mut hours = None;
    let mut is_drawn_up = false;
    let mut journeys = match read(&source)? {
        Source::Traffic(imported) => of_traffic(&source, imported, &data)?,
        Source::Log(imported, of_log) => {
            hours = of_log;
            of_traffic(&source, imported, &data)?
        }
        Source::Description(drawn) => {
            is_drawn_up = true;
            of_description(&source, drawn)?
        }
    };
    if !args.force {
        name_beside_others(&folder, &source, &mut journeys)?;
    }
    for learned in &journeys {
        write(&folder, &source, learned)?;
        tell(&folder, learned);
    }
    if let Some(example) = journeys.iter().flat_map(|l| &l.journey.steps).find_map(always_the_same) {
        anstream::println!(
            "every user asks for what was recorded, such as {}: where real ones ask for different things, give their names a column of a \
             file ([users] data) and write {{{{column}}}} in the journey, or caches look better than they are",
            example
        );
    }
    if !config.is_file() {
        anstream::println!(
            "next: `fissure init` writes a {CONFIG_NAME}; then `fissure users replay` proves the journeys"
        );
        return Ok(Exit::Met);
    }
    let columns = columns(&data);
    let mut missing: Vec<String> =
        journeys.iter().flat_map(|l| unbound_variables(&l.journey, &columns)).map(|(_, name)| name).collect();
    missing.sort();
    missing.dedup();
    let is_played = !args.no_replay && missing.is_empty();
    if is_drawn_up && is_played {
        journeys = refused::leave_out(project, args.in_place, journeys, |was, left| match left {
            Some(left) => write(&folder, &source, left),
            None => remove(&folder, was),
        })?;
        if journeys.is_empty() {
            return Err(bad(format!("{}: the app refuses all that was drawn up from it.", source.display())));
        }
    }
    set_weights(&config, &journeys)?;
    if let Some(hours) = &hours {
        set_hours(&config, hours)?;
    }
    if is_played {
        let names: Vec<String> = journeys.iter().map(|l| refused::file_name(&l.journey.name)).collect();
        return super::replay::replay(project, args.in_place, Some(&names));
    }
    if !missing.is_empty() && !args.no_replay {
        anstream::println!(
            "not replayed: {} must come from you. Write a file with a column of that name and a row for each user, such as \
             users.csv, and name it in [users] of {}: data = \"users.csv\"; then `fissure users replay`",
            missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            config.display()
        );
    }
    Ok(Exit::Met)
}

/// What a file holds: what users did, or what an app can do.
enum Source {
    Traffic(Imported),
    /// With the requests per second of each of its hours.
    Log(Imported, Option<Vec<f64>>),
    Description(Drawn),
}

fn of_traffic(source: &Path, mut imported: Imported, data: &[Row]) -> Result<Vec<LearnedJourney>, Failure> {
    let unread = unpacked::unpack(&mut imported.exchanges);
    let mut learned = learn(&imported.exchanges, &imported.messages, data);
    if learned.journeys.is_empty() {
        return Err(bad(format!(
            "{} holds no request that a journey could be made of ({} read; {}).",
            source.display(),
            imported.exchanges.len(),
            left_out(&imported, &learned).join(", ")
        )));
    }
    let dropped = learned.journeys.len().saturating_sub(JOURNEYS_MAX);
    learned.journeys.truncate(JOURNEYS_MAX);

    anstream::println!(
        "{}: {} of {} in {}",
        source.display(),
        counted(learned.users, "user"),
        counted(imported.exchanges.len(), "request"),
        counted(learned.journeys.len(), "journey")
    );
    for line in left_out(&imported, &learned) {
        anstream::println!("left out: {line}");
    }
    if unread > 0 {
        anstream::println!(
            "{unread} answers are packed in a way that fissure does not read (it reads gzip and deflate): values in them are not found. What `fissure up` \
             records is never packed so; for a HAR file let the app answer without packing"
        );
    }
    if dropped > 0 {
        anstream::println!("{dropped} rarer journeys are left out");
    }
    Ok(learned.journeys)
}

fn of_description(source: &Path, drawn: Drawn) -> Result<Vec<LearnedJourney>, Failure> {
    const SHOWN_MAX: usize = 12;
    if drawn.journeys.is_empty() {
        let why = drawn.left_out.first().map_or("", |(_, why)| why.as_str());
        return Err(bad(format!("{}: none of its operations can be called: {why}.", source.display())));
    }
    anstream::println!(
        "{}: {} in {}, drawn up from the description: nobody was seen, so their weights are the same",
        source.display(),
        counted(drawn.operations, "operation"),
        counted(drawn.journeys.len(), "journey")
    );
    for (route, why) in drawn.left_out.iter().take(SHOWN_MAX) {
        anstream::println!("left out: {route}: {why}");
    }
    if drawn.left_out.len() > SHOWN_MAX {
        anstream::println!("left out: {} more", drawn.left_out.len() - SHOWN_MAX);
    }
    Ok(drawn.journeys)
}

fn parent(file: &Path) -> PathBuf {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

fn bad(sentence: String) -> Failure {
    Failure::new(Exit::BadInput, sentence)
}

fn newest_recording(folder: &Path) -> Result<PathBuf, Failure> {
    let recordings = runs::home(folder).join("recordings");
    let entries = std::fs::read_dir(&recordings).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| p.join(recording::FILE_NAME).is_file()).collect();
    found.sort();
    found.pop().ok_or_else(|| {
        bad(format!(
            "there is no recording in {}: `fissure up` makes one, or name a file.",
            recordings.display()
        ))
    })
}

fn read(source: &Path) -> Result<Source, Failure> {
    let is_recording = source.is_dir() || source.file_name().is_some_and(|name| name == recording::FILE_NAME);
    if is_recording {
        let recording::Recording { mut exchanges, messages, .. } =
            recording::read(source).map_err(|e| bad(format!("{e}.")))?;
        exchanges.sort_by_key(|exchange: &Exchange| exchange.at_us);
        return Ok(Source::Traffic(Imported { exchanges, messages, ..Imported::default() }));
    }
    let bytes =
        std::fs::read(source).map_err(|e| bad(format!("{} cannot be read: {e}.", source.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let is_called = |ending: &str| source.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    let read = match Kind::of(text) {
        Some(Kind::Har) => har::read(text).map(Source::Traffic),
        Some(Kind::Curl) => curl::read(text).map(Source::Traffic),
        Some(Kind::AccessLog) => {
            log::read(text).map(|imported| Source::Log(imported, profile::parse(text).ok()))
        }
        Some(Kind::OpenApi) => openapi::read(text).map(Source::Description),
        // It means to be one, so what is wrong with it is worth knowing.
        None if is_called("har") => har::read(text).map(Source::Traffic),
        None if is_called("yaml") || is_called("yml") || is_called("json") => {
            openapi::read(text).map(Source::Description)
        }
        None => {
            return Err(bad(format!(
                "{} is of no kind that fissure reads: it takes recordings, HAR files, OpenAPI descriptions, curl command lines and \
                 access logs (common, combined, JSON).",
                source.display()
            )));
        }
    };
    read.map_err(|wrong| bad(format!("{}: {wrong}.", source.display())))
}

fn left_out(imported: &Imported, learned: &Learned) -> Vec<String> {
    let of_file = imported.left_out.iter().map(|(what, n)| format!("{n} {what}"));
    let of_journeys = learned.left_out.iter().map(|(why, n)| {
        let what = match why {
            LeftOut::Cached => "images, scripts, styles and fonts that a browser keeps",
            LeftOut::Browsers => "that only the browser asks for (its icon, preflights)",
            LeftOut::Live => "event streams, and WebSockets over which nothing was heard: write them by hand (docs/journeys.md)",
            LeftOut::Unanswered => "without an answer",
        };
        format!("{n} {what}")
    });
    of_file.chain(of_journeys).collect()
}

pub fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// What another recording or a person has written keeps its name, and ours gets a number. What came of the same recording is not
/// written over unasked: somebody may have changed it.
fn name_beside_others(folder: &Path, source: &Path, journeys: &mut [LearnedJourney]) -> Result<(), Failure> {
    let own = format!(" from {}", name_of(source));
    let mut taken: Vec<PathBuf> = Vec::new();
    for learned in journeys {
        let base = learned.journey.name.clone();
        let mut number = 1;
        loop {
            let path = path_of(folder, learned);
            let head = std::fs::read_to_string(&path).unwrap_or_default();
            if head.lines().next().is_some_and(|line| line.contains(&own)) {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{} is there already: --force writes over it, or move it away.", path.display()),
                ));
            }
            if !path.exists() && !taken.contains(&path) {
                taken.push(path);
                break;
            }
            number += 1;
            learned.journey.name = format!("{base}-{number}");
        }
    }
    Ok(())
}

fn name_of(source: &Path) -> String {
    source.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn path_of(folder: &Path, learned: &LearnedJourney) -> PathBuf {
    folder.join(refused::file_name(&learned.journey.name))
}

/// Writes a journey, and the files that it sends.
fn write(folder: &Path, source: &Path, learned: &LearnedJourney) -> Result<(), Failure> {
    let unwritable = |path: &Path, e: &dyn std::fmt::Display| {
        Failure::new(Exit::CouldNotTell, format!("{} cannot be written: {e}.", path.display()))
    };
    let from = name_of(source);
    let head = if learned.users > 0 {
        format!("Learned from {from}: {}.", counted(learned.users, "user"))
    } else {
        format!("Drawn up from {from}.")
    };
    let path = path_of(folder, learned);
    let place = path.parent().unwrap_or(folder);
    let made =
        hurl::write(&learned.journey, &[head], &learned.notes, &format!("{}-files", learned.journey.name));
    let files = made.files.iter().map(|(file, bytes)| (place.join(file), bytes.as_slice()));
    for (file, bytes) in files.chain([(path.clone(), made.text.as_bytes())]) {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|e| unwritable(folder, &e))?;
        }
        std::fs::write(&file, bytes).map_err(|e| unwritable(&file, &e))?;
    }
    Ok(())
}

fn remove(folder: &Path, learned: &LearnedJourney) -> Result<(), Failure> {
    let path = path_of(folder, learned);
    std::fs::remove_file(&path).map_err(|e| {
        Failure::new(Exit::CouldNotTell, format!("{} cannot be taken away again: {e}.", path.display()))
    })
}

/// What a journey carries over, and what is to be known of its steps.
fn tell(folder: &Path, learned: &LearnedJourney) {
    let steps = &learned.journey.steps;
    let carried = steps.iter().flat_map(|s| &s.captures).map(|c| c.name.as_str());
    let carried: Vec<&str> = carried.filter(|name| *name != "unique").collect();
    // What it is cut from tells nobody anything.
    let fresh = steps.iter().flat_map(|s| s.variables.iter().map(|(name, _)| name.as_str()));
    let fresh: Vec<&str> = fresh.filter(|name| *name != "uuid").collect();
    let told = |label: &str, mut names: Vec<&str>| {
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { String::new() } else { format!("; {label} {}", names.join(", ")) }
    };
    anstream::println!(
        "wrote {}: {}{}{}",
        path_of(folder, learned).display(),
        counted(steps.len(), "step"),
        told("carries", carried),
        told("new for each user:", fresh)
    );
    for (step, note) in steps.iter().zip(&learned.notes).flat_map(|(s, n)| n.iter().map(move |n| (s, n))) {
        anstream::println!("  {}: {note}", step.route);
    }
}

/// One of many things of a kind, which the journey does not choose: `GET /posts/{post}` of which it always asks for the same post.
fn always_the_same(step: &JourneyStep) -> Option<&str> {
    match step.target.0.as_slice() {
        [Piece::Text(target)] if step.route.is_read() && step.route.path().contains('{') => Some(target),
        _ => None,
    }
}

fn set_weights(config: &Path, journeys: &[LearnedJourney]) -> Result<(), Failure> {
    let weight = |l: &LearnedJourney| (refused::file_name(&l.journey.name), l.users.max(1) as f64);
    let weighed: Vec<(String, f64)> = journeys.iter().map(weight).collect();
    if change(config, |text| weights::with_weights(text, &weighed))? {
        anstream::println!(
            "set their weights in {}: as many as were seen, so change them where your users do otherwise",
            config.display()
        );
    }
    Ok(())
}

fn set_hours(config: &Path, hours: &[f64]) -> Result<(), Failure> {
    let busiest = hours.iter().copied().fold(0.0, f64::max);
    let mean = hours.iter().sum::<f64>() / hours.len() as f64;
    if change(config, |text| weights::with_hours(text, hours))? {
        anstream::println!(
            "wrote the requests of its {} into [users] hours of {} (mean {mean:.3}/s, busiest {busiest:.3}/s): `fissure load --profile {}` plays them",
            counted(hours.len(), "hour"),
            config.display(),
            config.display()
        );
    }
    Ok(())
}

/// Changes the configuration; false when there is nothing to change.
fn change(config: &Path, how: impl Fn(&str) -> Result<String, String>) -> Result<bool, Failure> {
    let wrong = |e: &dyn std::fmt::Display| bad(format!("{}: {e}.", config.display()));
    let text = std::fs::read_to_string(config).map_err(|e| wrong(&e))?;
    let new = how(&text).map_err(|e| wrong(&e))?;
    if new == text {
        return Ok(false);
    }
    // By renaming, so that a failure half-way leaves the old file.
    let beside = config.with_extension("toml.new");
    std::fs::write(&beside, new).and_then(|()| std::fs::rename(&beside, config)).map_err(|e| wrong(&e))?;
    Ok(true)
}
