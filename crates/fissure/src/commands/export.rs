//! `fissure export`: for other tools, the load that `fissure load` would play, and what the profilers of a run saw.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use fissure_facts::{JourneyOutline, Load};
use fissure_judge::asked::AskedLoad;
use fissure_show::{k6, stacks};

use crate::cli::{ExportArgs, ExportTo, LoadArgs, StacksArgs};
use crate::commands::load::{asked, settle};
use crate::exit::{Exit, Failure};
use crate::load::target::Target;
use crate::runs;

pub fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    match &args.to {
        ExportTo::K6(k6) => script(&k6.load),
        ExportTo::Speedscope(args) => profiles(args, |run| {
            stacks::speedscope::file(run)
                .map(|file| format!("{file}\n").into_bytes())
                .ok_or(Missing::AnyProfile)
        }),
        ExportTo::Pprof(args) => profiles(&args.stacks, |run| {
            let windows = stacks::windows(run);
            let wanted = windows.iter().find(|(window, _)| window.plan.emphasis.is_some() == args.hot);
            let missing = if windows.is_empty() { Missing::AnyProfile } else { Missing::Window };
            wanted.map(|(window, seen)| stacks::pprof::file(window, seen)).ok_or(missing)
        }),
    }
}

/// What a run lacks that was to be written.
enum Missing {
    AnyProfile,
    Window,
}

/// Of the named run, or of the last one in which profilers looked.
fn profiles(
    args: &StacksArgs,
    file: impl Fn(&fissure_facts::Run) -> Result<Vec<u8>, Missing>,
) -> Result<Exit, Failure> {
    let read = |path: &PathBuf| runs::read(path).map(|run| file(&run));
    let found = match &args.run {
        Some(wanted) => read(&runs::find(&args.project, Some(wanted.as_path()))?)?,
        None => {
            let last = runs::all(&args.project)?;
            // A broken journal is no reason not to look at the ones before.
            let mut files = last.iter().rev().map(|path| read(path).unwrap_or(Err(Missing::AnyProfile)));
            files.find(|file| !matches!(file, Err(Missing::AnyProfile))).unwrap_or(Err(Missing::AnyProfile))
        }
    };
    let bytes = found.map_err(|missing| {
        let sentence = match missing {
            Missing::AnyProfile => {
                "no profiler looked into the app in this run: `fissure check` has them look when the goal is missed."
            }
            Missing::Window => "no profiler looked in that window of this run; try it with or without --hot.",
        };
        Failure::new(Exit::BadInput, sentence)
    })?;
    match &args.out {
        Some(file) => {
            std::fs::write(file, bytes).map_err(|e| {
                Failure::new(Exit::BadInput, format!("{} cannot be written: {e}.", file.display()))
            })?;
            anstream::eprintln!("Wrote {}.", file.display());
        }
        None => {
            let mut output = std::io::stdout().lock();
            if output.is_terminal() {
                return Err(usage(
                    "this is no text for a terminal: say --out FILE, or send it to a program.".to_owned(),
                ));
            }
            // Who stops reading has read enough.
            let _ = output.write_all(&bytes);
        }
    }
    Ok(Exit::Met)
}

fn script(load: &LoadArgs) -> Result<Exit, Failure> {
    if let Some(flag) = not_translated(load) {
        return Err(usage(format!("{flag} is not translated to k6.")));
    }
    let Target { mut project, has_goal, .. } = Target::find(load)?;
    let outlines = project.outlines();
    let goal = has_goal.then(|| project.config.goal.clone());
    let asked = asked(load, goal.as_ref(), &outlines)?;
    settle(&mut project, load, goal.as_ref(), &asked, &outlines)?;
    if project.config.load.connections.is_some() {
        return Err(usage("[load] connections is not translated to k6.".to_owned()));
    }

    let played = match asked.load {
        AskedLoad::As(load) => load,
        AskedLoad::UsersAtOnce(users) => arriving_for(users, &outlines)?,
    };
    let config = &project.config;
    let base = config.load.base.clone().or_else(|| {
        let scheme = if config.app.tls { "https" } else { "http" };
        config.app.port.map(|port| format!("{scheme}://127.0.0.1:{port}"))
    });
    let export = k6::Export {
        journeys: project
            .journeys
            .iter()
            .map(|l| k6::Source { journey: &l.journey, text: &l.text, weight: l.weight })
            .collect(),
        rows: &project.data,
        // In a closed loop nobody pauses.
        think_max: if played.is_open() { config.users.think_max.0 } else { Duration::ZERO },
        load: played,
        seconds: f64::from(asked.seconds),
        timeout: config.users.timeout.0,
        protocol: config.app.protocol(),
        base,
        hand_on: config.load.hand_on,
        require: &config.load.require,
    };
    let script = k6::script(&export)
        .map_err(|e| Failure::new(Exit::BadInput, format!("cannot be exported to k6: {e}")))?;
    match &load.out {
        None => anstream::print!("{script}"),
        Some(file) => {
            std::fs::write(file, script).map_err(|e| {
                Failure::new(Exit::BadInput, format!("{} cannot be written: {e}.", file.display()))
            })?;
            anstream::eprintln!(
                "Wrote {}. It holds the rows of the users' data and the files that they send.",
                file.display()
            );
        }
    }
    Ok(Exit::Met)
}

/// Little's law, with the only part of a stay that is known before the server answers: the pauses.
fn arriving_for(users: f64, journeys: &[JourneyOutline]) -> Result<Load, Failure> {
    let weights: f64 = journeys.iter().map(|j| j.weight).sum();
    let pauses_s = journeys.iter().map(|j| j.weight * j.think_s()).sum::<f64>() / weights;
    if pauses_s > 0.0 {
        return Ok(Load::Open { users_per_s: users / pauses_s });
    }
    Err(usage(format!(
        "how many users must arrive so that {users} are there at once depends on how fast the server is, because the journeys have \
         no pauses: say --rate, or --closed."
    )))
}

/// A flag of `load` that would be lost.
fn not_translated(args: &LoadArgs) -> Option<&'static str> {
    let given = [
        ("--warmup", args.warmup.is_some()),
        ("--seed", args.seed.is_some()),
        ("--start-at", args.start_at.is_some()),
        ("--connections", args.connections.is_some()),
        ("--json", args.json),
        ("--in-place", args.in_place),
    ];
    given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
}

fn usage(sentence: String) -> Failure {
    Failure::new(Exit::Usage, sentence)
}
