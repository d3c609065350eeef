//! `fissure users replay`: each journey alone, then two users at the same time, then fifty.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fissure_facts::config::Span;
use fissure_facts::{Fact, Run};
use fissure_judge::planner::Planned;
use fissure_judge::users::replay;
use fissure_show::words;

use super::import::counted;
use crate::exit::{Exit, Failure};
use crate::lab::{self, Keep, Order};
use crate::progress::Progress;
use crate::project::Project;
use crate::runs;

/// Fifty users may make an app slow, which says nothing against a journey.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the last replay is kept.
pub fn folder(project: &Path) -> PathBuf {
    runs::home(project).join("replay")
}

/// Replays the project's journeys, or only those that are named.
pub fn replay(project: &Path, in_place: bool, only: Option<&[String]>) -> Result<Exit, Failure> {
    let mut project = Project::load(project)?;
    lab::refuse_shared_data(&project)?;
    project.config.users.timeout = Span(TIMEOUT.max(project.config.users.timeout.0));
    if let Some(only) = only {
        project.journeys.retain(|loaded| only.contains(&loaded.journey.name));
    }
    let place = folder(&project.folder);
    let _ = std::fs::remove_dir_all(&place);
    let first = conduct(&project, in_place, &place.join("all"), &mut replay::next)?;
    let failed: Vec<String> = failures(&first).map(|(journey, ..)| journey.to_owned()).collect();
    let mut proved = is_right(&first);
    tell(&first);
    // Those that went well alone are not kept from the proof by those that did not.
    if !failed.is_empty() && failed.len() < project.journeys.len() {
        project.journeys.retain(|loaded| !failed.contains(&loaded.journey.name));
        let second = conduct(&project, in_place, &place.join("others"), &mut replay::next)?;
        tell_crowds(&second);
        proved = false;
    }
    if first.was_interrupted() {
        return Ok(Exit::Interrupted);
    }
    if let Some(failure) = first.facts.iter().find_map(|f| match &f.fact {
        Fact::StageFailed { failure, .. } => Some(failure),
        _ => None,
    }) {
        let last = failure.last_lines.join("\n  ");
        return Err(Failure::new(Exit::NotStarted, format!("{}\n  {last}", failure.sentence)));
    }
    Ok(if proved { Exit::Met } else { Exit::NotMet })
}

/// Plays each journey once, alone, and nothing more.
pub fn alone(project: &Project, in_place: bool) -> Result<Run, Failure> {
    let mut plan = |run: &Run| if run.facts.is_empty() { replay::next(run) } else { Planned::finish("") };
    let place = folder(&project.folder).join("alone");
    let _ = std::fs::remove_dir_all(&place);
    conduct(project, in_place, &place, &mut plan)
}

/// Nothing speaks against the journeys: what went wrong, if anything, was the app's own.
fn is_right(run: &Run) -> bool {
    matches!(replay::outcome(run), replay::Outcome::Proved | replay::Outcome::AppOverrun)
}

fn conduct(
    project: &Project,
    in_place: bool,
    place: &Path,
    plan: &mut dyn FnMut(&Run) -> Planned,
) -> Result<Run, Failure> {
    let order = Order {
        verb: "replay",
        seed: rand::random(),
        in_place,
        keep: Keep::At(place.to_path_buf()),
        running: None,
        start_at: None,
    };
    lab::conduct(project, &order, plan, &mut Progress::new()).map(|(run, _)| run)
}

/// Steps that went wrong alone: journey, line, route and sentence.
pub fn failures(run: &Run) -> impl Iterator<Item = (&str, u32, String, &str)> {
    run.facts.iter().filter_map(|fact| match &fact.fact {
        Fact::JourneyPlayed { journey, steps, .. } => {
            let step = steps.iter().find(|step| step.problem.is_some())?;
            Some((journey.as_str(), step.line, step.route.to_string(), step.problem.as_deref()?))
        }
        _ => None,
    })
}

fn tell(run: &Run) {
    for fact in &run.facts {
        let Fact::JourneyPlayed { journey, steps, .. } = &fact.fact else { continue };
        if steps.iter().all(|step| step.problem.is_none()) {
            anstream::println!(
                "{journey}: replays alone, {} answered as the journey says",
                counted(steps.len(), "step")
            );
        }
    }
    for (journey, line, route, sentence) in failures(run) {
        anstream::println!("{journey}:{line}: {route} does not replay: {sentence}");
        let changes = !route.starts_with("GET ");
        anstream::println!("  guess: {}", words::replay::guess(replay::guess(sentence, changes, true)));
    }
    tell_crowds(run);
}

fn tell_crowds(run: &Run) {
    let crowds = replay::crowds(run);
    for crowd in &crowds {
        anstream::println!(
            "{} users at the same time: {} answers, {} wrong",
            crowd.users,
            crowd.answers,
            crowd.errors
        );
        if crowd.answers == 0 {
            anstream::println!("  {}", words::replay::no_answers(crowd.seconds));
        }
    }
    for fact in &run.facts {
        match &fact.fact {
            Fact::ProblemSeen { journey, route, sentence, window, .. } => {
                let when = match replay::CROWDS.get((*window as usize).saturating_sub(1)) {
                    Some(users) => format!("with {users} users"),
                    None => "for one user afterwards".to_owned(),
                };
                anstream::println!("{journey}: {route} goes wrong {when}: {sentence}");
                let guess = replay::guess(sentence, !route.is_read(), false);
                anstream::println!("  guess: {}", words::replay::guess(guess));
            }
            Fact::ChildDied { how, .. } => anstream::println!("the app ended: {how}"),
            _ => {}
        }
    }
    if let Some(users) = replay::CROWDS.get(crowds.len()).filter(|_| crowds.iter().any(|c| c.errors > 0)) {
        anstream::println!("{users} users were not played: fewer of them meet wrong answers already");
    }
    if let Some(words) = words::replay::outcome(replay::outcome(run)) {
        anstream::println!("{words}");
    }
}
