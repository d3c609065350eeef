//! Journeys that were drawn up from a description: what the app refuses of them is left out before they are proved.

use std::path::Path;

use fissure_judge::users::{LearnedJourney, openapi};

use super::replay;
use crate::exit::Failure;
use crate::lab;
use crate::project::{self, Loaded, Project};

/// Plays each journey alone, again and again without the step that was refused, until all go well. `rewrite` puts a changed
/// journey, or none, where the old one was.
pub fn leave_out(
    place: &Path,
    in_place: bool,
    mut journeys: Vec<LearnedJourney>,
    rewrite: impl Fn(&LearnedJourney, Option<&LearnedJourney>) -> Result<(), Failure>,
) -> Result<Vec<LearnedJourney>, Failure> {
    let mut untried: Vec<String> = journeys.iter().map(|l| l.journey.name.clone()).collect();
    // Each round takes a step from each journey that is played, so this comes to an end.
    while !untried.is_empty() {
        let mut project = Project::load(place)?;
        lab::refuse_shared_data(&project)?;
        project.journeys.retain(|l| untried.iter().any(|name| l.journey.name == file_name(name)));
        let run = replay::alone(&project, in_place)?;
        untried.clear();
        for (name, line, route, sentence) in replay::failures(&run) {
            let of_it = |l: &&Loaded| l.journey.name == name;
            let Some(loaded) = project.journeys.iter().find(of_it) else { continue };
            let step = loaded.journey.steps.iter().position(|step| step.line == line);
            let at = journeys.iter().position(|l| file_name(&l.journey.name) == name);
            let (Some(step), Some(at)) = (step, at) else { continue };
            anstream::println!("left out of {name}: {route}: {sentence}");
            let left = openapi::without(&journeys[at], step, &project::columns(&project.data));
            rewrite(&journeys[at], left.as_ref())?;
            match left {
                Some(left) => {
                    untried.push(left.journey.name.clone());
                    journeys[at] = left;
                }
                None => drop(journeys.remove(at)),
            }
        }
    }
    Ok(journeys)
}

/// The name that a journey has in the project, by the name that it was drawn up with.
pub fn file_name(name: &str) -> String {
    format!("journeys/{name}.hurl")
}
