//! `fissure check`: the main job.

use std::path::Path;

use fissure_facts::Run;
use fissure_judge::{Judgement, Planner, judge};
use fissure_show::{html, json};

use crate::cli::{CheckArgs, MeasureArgs};
use crate::exit::{Exit, Failure};
use crate::lab::{self, Keep, Order};
use crate::progress::Progress;
use crate::project::Project;
use crate::runs;

pub fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let mut project = Project::load(&args.project)?;
    lab::refuse_shared_data(&project)?;
    measure(&mut project, "check", args.in_place, &args.measure)
}

/// Conducts the run, judges it, writes the reports, shows the answer.
pub fn measure(
    project: &mut Project,
    verb: &'static str,
    in_place: bool,
    args: &MeasureArgs,
) -> Result<Exit, Failure> {
    project.config.limits.budget = args.budget.or(project.config.limits.budget);
    let order = Order {
        verb,
        seed: args.seed.unwrap_or_else(rand::random),
        in_place,
        keep: Keep::InProject,
        running: None,
        start_at: None,
    };
    let mut planner = Planner::new();
    let mut plan = |run: &Run| planner.next(run);
    let (run, folder) = lab::conduct(project, &order, &mut plan, &mut Progress::new())?;
    let judgement = judge(&run);
    let html = match &folder {
        Some(folder) => {
            let (json, html) = (json::report(&run, &judgement), html::report(&run, &judgement));
            Some(runs::write_reports(folder, &json, &html)?)
        }
        None => None,
    };
    if args.json {
        print_json(&json::report(&run, &judgement));
    } else {
        anstream::println!("{}", fissure_show::terminal::report(&run, &judgement, width()));
        tell_report(html.as_deref());
    }
    Ok(exit_of(&judgement))
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
