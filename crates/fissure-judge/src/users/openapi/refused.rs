//! A step that was drawn up and that the app refuses: what was asked is a guess, so the journey goes on without it.

use std::collections::BTreeSet;

use fissure_facts::journey::{JourneyStep, Query, unbound_variables};

use crate::users::LearnedJourney;

/// The journey without this step, and without those that need what only it gave. `known` are the columns of the users' data.
/// None when nothing is left.
pub fn without(drawn: &LearnedJourney, refused: usize, known: &[String]) -> Option<LearnedJourney> {
    let mut left = drawn.clone();
    let names = |journey: &LearnedJourney| -> BTreeSet<String> {
        unbound_variables(&journey.journey, known).into_iter().map(|(_, name)| name).collect()
    };
    // What must come from the user is missing before as after.
    let missing = names(drawn);
    take_out(&mut left, refused);
    loop {
        let lost: Vec<String> = names(&left).into_iter().filter(|name| !missing.contains(name)).collect();
        let Some(name) = lost.first() else { break };
        let n = first_that_needs(&left, name, known)?;
        take_out(&mut left, n);
    }
    (!left.journey.steps.is_empty()).then_some(left)
}

/// Takes a step away, not what it draws for the user: that is made by no answer.
fn take_out(drawn: &mut LearnedJourney, n: usize) {
    let steps = &mut drawn.journey.steps;
    let step = steps.remove(n);
    drawn.notes.remove(n);
    let heir = if n > 0 { steps.get_mut(n - 1) } else { steps.first_mut() };
    let Some(heir) = heir else { return };
    let drawn_there = |step: &JourneyStep, name: &str| step.variables.iter().any(|(there, _)| there == name);
    for (name, value) in step.variables {
        if !drawn_there(heir, &name) {
            heir.variables.push((name, value));
        }
    }
    heir.captures.extend(step.captures.into_iter().filter(|c| matches!(c.query, Query::Variable(_))));
}

/// The step with the first use of a variable that nothing gives.
fn first_that_needs(drawn: &LearnedJourney, name: &str, known: &[String]) -> Option<usize> {
    let is_needed = |steps: usize| {
        let mut part = drawn.journey.clone();
        part.steps.truncate(steps);
        unbound_variables(&part, known).iter().any(|(_, unbound)| unbound == name)
    };
    (1..=drawn.journey.steps.len()).find(|&steps| is_needed(steps)).map(|steps| steps - 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::journeys;
    use super::*;

    fn shop() -> LearnedJourney {
        let id = json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "integer" }, "name": { "type": "string", "minLength": 3 } } });
        let sends = |what: &serde_json::Value| json!({ "required": true, "content": { "application/json": { "schema": what } } });
        let gives = |code: &str| json!({ code: { "description": "it", "content": { "application/json": { "schema": id } } } });
        let parameter =
            json!([{ "name": "lampId", "in": "path", "required": true, "schema": { "type": "integer" } }]);
        let description = json!({ "openapi": "3.0.3", "info": { "title": "Lamps", "version": "1" }, "paths": {
            "/lamps": {
                "get": { "responses": { "200": { "description": "all" } } },
                "post": { "requestBody": sends(&id), "responses": gives("201") },
            },
            "/lamps/{lampId}": { "parameters": parameter,
                "get": { "responses": gives("200") },
                "delete": { "responses": { "204": { "description": "gone" } } },
            },
        }});
        journeys(&description).unwrap().journeys.remove(0)
    }

    fn routes(drawn: &LearnedJourney) -> Vec<String> {
        drawn.journey.steps.iter().map(|step| step.route.to_string()).collect()
    }

    #[test]
    fn what_needs_the_refused_step_goes_with_it_and_nothing_else() {
        let drawn = shop();
        let at = |wanted: &str| routes(&drawn).iter().position(|route| route.starts_with(wanted)).unwrap();
        let left = without(&drawn, at("POST"), &[]).unwrap();
        assert_eq!(routes(&left), ["GET /lamps"]);
        let left = without(&drawn, at("DELETE"), &[]).unwrap();
        assert_eq!(routes(&left).len(), routes(&drawn).len() - 1);
        assert_eq!(left.notes.len(), left.journey.steps.len());
    }

    #[test]
    fn any_steps_may_be_refused_until_none_is_left() {
        let mut queue = vec![shop()];
        while let Some(drawn) = queue.pop() {
            for n in 0..drawn.journey.steps.len() {
                let Some(left) = without(&drawn, n, &[]) else { continue };
                assert!(left.journey.steps.len() < drawn.journey.steps.len());
                assert_eq!(unbound_variables(&left.journey, &[]), [], "{:?}", routes(&left));
                queue.push(left);
            }
        }
    }
}
