//! Which route goes over which link: each journey once more, step by step, while the relays in the links count bytes.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::{Arrangement, Fact, Route};
use fissure_rig::crowd::{Mode, Solo};

use super::{Interrupt, Lab};
use crate::exit::Failure;

/// Pauses are kept up to this: long enough for what an app does right after an answer, short enough not to bore.
const THINK_MAX_S: f64 = 0.02;
/// The users of this pass draw other values than those who played before them.
const OTHER_VALUES: u64 = 0x5EED;

impl Lab<'_> {
    /// Without links, and where journeys cannot be played step by step, nothing is told: then every fault is tried.
    pub(super) async fn find_links(
        &mut self,
        arrangement: &Arrangement,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        if self.stage.relays().next().is_none() {
            return Ok(());
        }
        let Some(addresses) = self.stage.of(arrangement).map(|standing| standing.addresses()) else {
            return Ok(());
        };
        let mut plan = self.crowd_plan_for(addresses, arrangement, Mode::Play, None);
        plan.seed = plan.seed.wrapping_add(OTHER_VALUES);
        plan.think_max_s = plan.think_max_s.min(THINK_MAX_S);
        let Ok(mut solo) = Solo::new(plan).await else { return Ok(()) };
        let mut touched: BTreeMap<Route, BTreeSet<String>> = BTreeMap::new();
        for (user, loaded) in (0..).zip(&self.project.journeys) {
            solo.enter(user, &loaded.journey.name, None, 1);
            loop {
                let before: Vec<u64> = self.stage.relays().map(|(_, relay)| relay.carried_bytes()).collect();
                let played = tokio::select! {
                    played = solo.step() => played,
                    () = interrupt.came() => return self.record(Fact::Interrupted),
                };
                let Some(step) = played else { break };
                if step.problem.is_some() {
                    return Ok(());
                }
                let links = touched.entry(step.route).or_default();
                for ((name, relay), before) in self.stage.relays().zip(before) {
                    if relay.carried_bytes() > before {
                        links.insert(name.to_owned());
                    }
                }
            }
        }
        let watched: Vec<String> = self.stage.relays().map(|(name, _)| name.to_owned()).collect();
        touched.into_iter().try_for_each(|(route, links)| {
            let (links, watched) = (links.into_iter().collect(), watched.clone());
            self.record(Fact::LinksTouched { route, links, watched })
        })
    }
}
