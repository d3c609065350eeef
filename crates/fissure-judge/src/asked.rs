//! The planner of `fissure load`: play each journey once, alone; then hold the load that was asked for.

use fissure_facts::{Arrangement, Fact, Load, Purpose, Run, Step, WindowPlan};

use crate::planner::Planned;
use crate::{foresight, goal};

/// What the user asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub load: AskedLoad,
    pub warmup_s: f64,
    pub seconds: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AskedLoad {
    As(Load),
    /// So many users at once, on average. How many must arrive for that is known when the journeys have been played alone.
    UsersAtOnce(f64),
}

impl Asked {
    pub fn next(&self, run: &Run) -> Planned {
        let arrangement = Arrangement::whole();
        let seconds = self.warmup_s + f64::from(self.seconds);
        if run.facts.is_empty() {
            return Planned {
                step: Step::Play { arrangement },
                why: "play each journey once, alone".to_owned(),
                remaining_s: seconds + 1.0,
            };
        }
        let load = self.load_of(run);
        if !played_well(run) {
            return Planned::finish("a journey went wrong although it was alone".to_owned());
        }
        if !run.windows().is_empty() {
            return Planned::finish("nothing more was asked for".to_owned());
        }
        let foreseen = foresight::of(run, &load, seconds);
        if let Some(hopeless) = foreseen.iter().find(|f| f.is_hopeless) {
            return Planned::finish(hopeless.to_string());
        }
        let mut why = match (&self.load, &load) {
            (AskedLoad::UsersAtOnce(users), Load::Open { users_per_s }) => format!(
                "hold {users} users at once: each is inside for {:.3} s when alone, so {users_per_s:.1} arrive every second (Little's law)",
                goal::seconds_per_user(run)
            ),
            _ => "hold the load".to_owned(),
        };
        foreseen.iter().for_each(|f| why.push_str(&format!("; {f}")));
        let plan = WindowPlan {
            window: 1,
            purpose: Purpose::Asked,
            arrangement,
            load,
            emphasis: None,
            warmup_s: self.warmup_s,
            visit_max_s: None,
            seconds: self.seconds,
            seed: run.header.seed,
        };
        Planned { step: Step::Hold(plan), why, remaining_s: seconds }
    }

    /// Little's law (1961): users at once = users arriving per second x seconds inside. The seconds are those without a
    /// queue; when the server gets slower under load, more than so many will be inside.
    fn load_of(&self, run: &Run) -> Load {
        match &self.load {
            AskedLoad::As(load) => load.clone(),
            AskedLoad::UsersAtOnce(users) => {
                Load::Open { users_per_s: users / goal::seconds_per_user(run).max(1e-6) }
            }
        }
    }
}

/// Every journey was played alone and answered as it expects.
pub fn played_well(run: &Run) -> bool {
    let played = || {
        run.facts.iter().filter_map(|s| match &s.fact {
            Fact::JourneyPlayed { steps, .. } => Some(steps),
            _ => None,
        })
    };
    played().count() == run.header.journeys.len() && played().flatten().all(|step| step.problem.is_none())
}
