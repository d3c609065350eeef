//! `fissure users import`: a recording or a foreign file becomes journeys, which are replayed at once.

use std::path::{Path, PathBuf};

use fissure_facts::{Exchange, recording};
use fissure_judge::users::{Learned, LearnedJourney, LeftOut, learn};
use fissure_show::hurl;

use crate::cli::ImportArgs;
use crate::exit::{Exit, Failure};
use crate::project::CONFIG_NAME;
use crate::runs;
use crate::users::import::{Imported, Kind, curl, har, log};
use crate::users::{unpacked, weights};

/// A log of a large site has thousands of ways through it; the many are told by the few.
const JOURNEYS_MAX: usize = 20;

pub fn import(project: &Path, args: &ImportArgs) -> Result<Exit, Failure> {
    let folder = if project.is_dir() { project.to_path_buf() } else { parent(project) };
    let source = match &args.file {
        Some(file) => file.clone(),
        None => newest_recording(&folder)?,
    };
    let mut imported = read(&source)?;
    let unread = unpacked::unpack(&mut imported.exchanges);
    let mut learned = learn(&imported.exchanges);
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
            "{unread} answers are packed in a way that fissure does not read: values in them are not found"
        );
    }
    if dropped > 0 {
        anstream::println!("{dropped} rarer journeys are left out");
    }
    let written = write(&folder, &source, &learned.journeys, args.force)?;
    let config = folder.join(CONFIG_NAME);
    if !config.is_file() {
        anstream::println!(
            "next: `fissure init` writes a {CONFIG_NAME}; then `fissure users replay` proves the journeys"
        );
        return Ok(Exit::Met);
    }
    set_weights(&config, &written)?;
    if args.no_replay {
        return Ok(Exit::Met);
    }
    let names: Vec<String> = written.into_iter().map(|(name, _)| name).collect();
    super::replay::replay(project, args.in_place, Some(&names))
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

fn read(source: &Path) -> Result<Imported, Failure> {
    let is_recording = source.is_dir() || source.file_name().is_some_and(|name| name == recording::FILE_NAME);
    if is_recording {
        let mut exchanges = recording::read(source).map_err(|e| bad(format!("{e}.")))?.exchanges;
        exchanges.sort_by_key(|exchange: &Exchange| exchange.at_us);
        return Ok(Imported { exchanges, ..Imported::default() });
    }
    let bytes =
        std::fs::read(source).map_err(|e| bad(format!("{} cannot be read: {e}.", source.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let read = match Kind::of(text) {
        Some(Kind::Har) => har::read(text),
        Some(Kind::Curl) => curl::read(text),
        Some(Kind::AccessLog) => log::read(text),
        // It means to be one, so what is wrong with it is worth knowing.
        None if source.extension().is_some_and(|e| e.eq_ignore_ascii_case("har")) => har::read(text),
        None => {
            return Err(bad(format!(
                "{} is of no kind that fissure reads: it takes recordings, HAR files, curl command lines and access logs \
                 (common, combined, JSON).",
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
            LeftOut::Live => "WebSockets and event streams: write them by hand (docs/journeys.md)",
            LeftOut::Unanswered => "without an answer",
        };
        format!("{n} {what}")
    });
    of_file.chain(of_journeys).collect()
}

pub fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Writes the journeys; gives their names, as fissure.toml has them, and how often each was played.
fn write(
    folder: &Path,
    source: &Path,
    journeys: &[LearnedJourney],
    force: bool,
) -> Result<Vec<(String, f64)>, Failure> {
    let place = folder.join("journeys");
    let names: Vec<PathBuf> =
        journeys.iter().map(|l| place.join(format!("{}.hurl", l.journey.name))).collect();
    if let Some(there) = names.iter().find(|path| path.exists() && !force) {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} is there already: --force writes over it, or move it away.", there.display()),
        ));
    }
    let unwritable = |path: &Path, e: &dyn std::fmt::Display| {
        Failure::new(Exit::CouldNotTell, format!("{} cannot be written: {e}.", path.display()))
    };
    let mut written = Vec::new();
    for (learned, path) in journeys.iter().zip(&names) {
        let name = &learned.journey.name;
        let from = source.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let head = format!("Learned from {from}: {}.", counted(learned.users, "user"));
        let made = hurl::write(&learned.journey, &[head], &learned.notes, &format!("{name}-files"))
            .map_err(|e| Failure::new(Exit::Bug, format!("{e}.")))?;
        let all = made.files.iter().map(|(file, bytes)| (place.join(file), bytes.as_slice()));
        for (file, bytes) in all.chain([(path.clone(), made.text.as_bytes())]) {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|e| unwritable(folder, &e))?;
            }
            std::fs::write(&file, bytes).map_err(|e| unwritable(&file, &e))?;
        }
        let carried: Vec<&str> =
            learned.journey.steps.iter().flat_map(|s| &s.captures).map(|c| c.name.as_str()).collect();
        let fresh = learned.journey.steps.iter().flat_map(|s| &s.variables).map(|(name, _)| name.as_str());
        let told = |label: &str, mut names: Vec<&str>| {
            names.sort_unstable();
            names.dedup();
            if names.is_empty() { String::new() } else { format!("; {label} {}", names.join(", ")) }
        };
        anstream::println!(
            "wrote {}: {}{}{}",
            path.display(),
            counted(learned.journey.steps.len(), "step"),
            told("carries", carried),
            told("new for each user:", fresh.collect())
        );
        for (step, note) in
            learned.journey.steps.iter().zip(&learned.notes).flat_map(|(s, n)| n.iter().map(move |n| (s, n)))
        {
            anstream::println!("  {}: {note}", step.route);
        }
        written.push((format!("journeys/{name}.hurl"), learned.users as f64));
    }
    Ok(written)
}

fn set_weights(config: &Path, written: &[(String, f64)]) -> Result<(), Failure> {
    let wrong = |e: &dyn std::fmt::Display| bad(format!("{}: {e}.", config.display()));
    let text = std::fs::read_to_string(config).map_err(|e| wrong(&e))?;
    let new = weights::with_weights(&text, written).map_err(|e| wrong(&e))?;
    if new == text {
        return Ok(());
    }
    // By renaming, so that a failure half-way leaves the old file.
    let beside = config.with_extension("toml.new");
    std::fs::write(&beside, new).and_then(|()| std::fs::rename(&beside, config)).map_err(|e| wrong(&e))?;
    anstream::println!("set their weights in {}", config.display());
    Ok(())
}
