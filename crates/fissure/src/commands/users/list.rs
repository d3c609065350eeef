//! `fissure users`: the journeys, how often each is played, its routes, and how the last replay went.

use std::path::Path;

use fissure_facts::Run;
use fissure_facts::journal;
use fissure_judge::users::replay;

use super::import::counted;
use super::replay::{failures, folder};
use crate::exit::{Exit, Failure};
use crate::project::Project;

pub fn list(project: &Path) -> Result<Exit, Failure> {
    let project = Project::load(project)?;
    let replayed: Option<Run> = journal::read(&folder(&project.folder).join("all")).ok();
    let all: f64 = project.journeys.iter().map(|loaded| loaded.weight).sum();
    for loaded in &project.journeys {
        let journey = &loaded.journey;
        let share = 100.0 * loaded.weight / all;
        anstream::println!(
            "{}: weight {} ({share:.0} % of the users), {}",
            journey.name,
            loaded.weight,
            counted(journey.steps.len(), "step")
        );
        for step in &journey.steps {
            let think_s = step.think.as_secs_f64();
            let pause = if think_s > 0.0 { format!("  after {think_s} s") } else { String::new() };
            anstream::println!("  {}{pause}", step.route);
        }
        let state = replayed.as_ref().map_or_else(
            || "not replayed: `fissure users replay` does".to_owned(),
            |run| state(run, &journey.name),
        );
        anstream::println!("  {state}");
    }
    Ok(Exit::Met)
}

fn state(run: &Run, journey: &str) -> String {
    if let Some((_, line, route, sentence)) = failures(run).find(|(name, ..)| *name == journey) {
        return format!("does not replay at line {line}, {route}: {sentence}");
    }
    if !run.header.journeys.iter().any(|known| known.name == journey) {
        return "not in the last replay".to_owned();
    }
    let most = replay::crowds(run)
        .into_iter()
        .filter(|crowd| crowd.errors == 0 && crowd.answers > 0)
        .map(|c| c.users)
        .max();
    match most {
        Some(users) if replay::is_proved(run) => format!("replays for {users} users at the same time"),
        _ if replay::outcome(run) == replay::Outcome::AppOverrun => {
            "replays; the app fails when several users come at the same time".to_owned()
        }
        Some(users) => format!("replays for {users} users at the same time; not for more"),
        None => "replays alone".to_owned(),
    }
}
