//! `fissure check`: the main job.

mod proof;

use std::path::{Path, PathBuf};

use fissure_facts::Run;
use fissure_judge::{Judgement, Planner, judge};
use fissure_show::{compare, html, json};

use crate::cli::{CheckArgs, MeasureArgs};
use crate::exit::{Exit, Failure};
use crate::lab::{self, Keep, Order};
use crate::progress::Progress;
use crate::project::Project;
use crate::runs;

pub fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let mut project = Project::load(&args.project)?;
    lab::refuse_shared_data(&project)?;
    let against = args.against.as_deref().map(|wanted| earlier(&args.project, wanted)).transpose()?;
    if args.before_command.is_some() || args.before_folder.is_some() || project.config.before.is_some() {
        return proof::prove(&mut project, args, against.as_ref());
    }
    let Some(before) = against else { return measure(&mut project, "check", args.in_place, &args.measure) };
    let (run, judgement, html) = conduct(&mut project, "check", args.in_place, &args.measure)?;
    let (text, value) = compare::report((&before, &judge(&before)), (&run, &judgement));
    if args.measure.json {
        print_json(&value);
    } else {
        anstream::println!("{}", fissure_show::terminal::report(&run, &judgement, width()));
        anstream::println!("{text}");
        tell_report(html.as_deref());
    }
    Ok(exit_of(&judgement))
}

/// The run that the new one is to be held against.
fn earlier(project: &Path, wanted: &Path) -> Result<Run, Failure> {
    let run = runs::read(&runs::find(project, Some(wanted))?)?;
    if ["check", "demo"].contains(&run.header.verb.as_str()) {
        return Ok(run);
    }
    let sentence = format!(
        "{} is a run of `fissure {}`; --against asks for one of `fissure check`.",
        run.header.run, run.header.verb
    );
    Err(Failure::new(Exit::BadInput, sentence))
}

/// Conducts the run, judges it, writes the reports, shows the answer.
pub fn measure(
    project: &mut Project,
    verb: &'static str,
    in_place: bool,
    args: &MeasureArgs,
) -> Result<Exit, Failure> {
    let (run, judgement, html) = conduct(project, verb, in_place, args)?;
    if args.json {
        print_json(&json::report(&run, &judgement));
    } else {
        anstream::println!("{}", fissure_show::terminal::report(&run, &judgement, width()));
        tell_report(html.as_deref());
    }
    Ok(exit_of(&judgement))
}

/// Conducts the run, judges it and writes the reports; gives the page's path with both.
fn conduct(
    project: &mut Project,
    verb: &'static str,
    in_place: bool,
    args: &MeasureArgs,
) -> Result<(Run, Judgement, Option<PathBuf>), Failure> {
    let order = order(project, verb, in_place, args);
    let mut planner = Planner::new();
    let mut plan = |run: &Run| planner.next(run);
    let (run, folder) = lab::conduct(project, &order, &mut plan, &mut Progress::new())?;
    let judgement = judge(&run);
    let (json, page) = (json::report(&run, &judgement), html::report(&run, &judgement));
    let html = folder.map(|folder| runs::write_reports(&folder, &json, &page)).transpose()?;
    Ok((run, judgement, html))
}

/// What the command line adds to the project.
fn order(project: &mut Project, verb: &'static str, in_place: bool, args: &MeasureArgs) -> Order {
    project.config.limits.budget = args.budget.or(project.config.limits.budget);
    Order {
        verb,
        seed: args.seed.unwrap_or_else(rand::random),
        in_place,
        keep: Keep::InProject,
        running: None,
        start_at: None,
    }
}

/// Says where the page lies, if there is one.
pub fn tell_report(html: Option<&Path>) {
    if let Some(html) = html {
        anstream::println!("report: {}", shortest(html).display());
    }
}

pub fn exit_of(judgement: &Judgement) -> Exit {
    status(fissure_show::words::exit_status(judgement))
}

/// The published status that a report names.
pub fn status(number: u8) -> Exit {
    match number {
        0 => Exit::Met,
        1 => Exit::NotMet,
        69 => Exit::NotStarted,
        130 => Exit::Interrupted,
        _ => Exit::CouldNotTell,
    }
}

pub fn print_json(value: &serde_json::Value) {
    anstream::println!("{value:#}");
}

/// Columns of the terminal; 100 where there is none.
pub fn width() -> usize {
    rustix::termios::tcgetwinsize(rustix::stdio::stdout())
        .ok()
        .map_or(100, |size| usize::from(size.ws_col).clamp(60, 140))
}

/// The path as a person would type it from here.
fn shortest(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}
