//! What a fault of a link cannot spoil: routes that never go over it. So such faults are not all tried, and where one was, a
//! route that suffers although it does not use the link shares something with one that does.

use fissure_facts::{Fact, Route, Run, Target};
use serde::Serialize;

use super::{Class, Outcome, Trial};

/// What was expected of cells, and what they were.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Foreseen {
    /// Cells that were expected to be unaffected, and were measured.
    pub verified: usize,
    /// Of those, which were not: fault, route.
    pub wrong: Vec<(String, Route)>,
    /// Links over which no journey goes.
    pub untouched: Vec<String>,
}

/// Does a route go over a link? None: nobody looked.
fn uses(run: &Run, route: &Route, link: &str) -> Option<bool> {
    run.facts.iter().find_map(|stamped| match &stamped.fact {
        Fact::LinksTouched { route: known, links, watched } if known == route => {
            let is_among = |names: &[String]| names.iter().any(|name| name == link);
            is_among(watched).then(|| is_among(links))
        }
        _ => None,
    })
}

/// Does any route go over this link? Unknown counts as yes.
pub(super) fn is_touched(run: &Run, link: &str) -> bool {
    run.routes().iter().any(|route| uses(run, route, link) != Some(false))
}

pub(super) fn foreseen(run: &Run, trials: &[Trial]) -> Foreseen {
    let mut seen = Foreseen::default();
    for trial in trials {
        let (Target::Link(link), Outcome::Measured { cells, .. }) = (&trial.fault.target, &trial.outcome)
        else {
            continue;
        };
        for cell in cells.iter().filter(|cell| cell.class != Class::TooFew) {
            // Nobody comes to a page when the one before it failed.
            if uses(run, &cell.route, link) != Some(false) || cell.class == Class::NotReached {
                continue;
            }
            seen.verified += 1;
            if cell.class > Class::WithinSlo {
                seen.wrong
                    .push((format!("{} on {}", trial.fault.kind, trial.fault.target), cell.route.clone()));
            }
        }
    }
    let declared = run.header.config.links.iter().filter(|(_, link)| link.env.is_some());
    seen.untouched = declared.map(|(name, _)| name.clone()).filter(|name| !is_touched(run, name)).collect();
    seen
}
