//! One user after another, step by step, every answer kept whole: for those who compare answers, not latencies.
//!
//! It runs in the process of whoever asks for it, because between two steps they may do something to the app.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use fissure_facts::journey::JourneyStep;
use fissure_facts::{Exchange, Route};
use tokio::task::LocalSet;

use super::dispatch::Dispatch;
use super::engine::{Engine, Share};
use super::event::CrowdEvent;
use super::plan::CrowdPlan;
use super::script::Script;
use super::timer::monotonic_ns;
use super::user::User;

/// Plays journeys of a plan one step at a time. Which copy is asked is a matter of counting, not of who is least busy.
pub struct Solo {
    /// Everything that the engine spawns lives here and moves only while a step is played.
    local: LocalSet,
    engine: Rc<Engine>,
    scripts: BTreeMap<String, Rc<Script>>,
    playing: Option<Playing>,
    /// Exchanges since the beginning.
    asked: u64,
    /// Events of the crowd, of which nobody here wants to know.
    _events: mpsc::Receiver<CrowdEvent>,
}

struct Playing {
    user: User,
    script: Rc<Script>,
    /// Steps that are still to be played, the next one last.
    left: Vec<usize>,
    /// The step that was played last.
    played: Option<usize>,
    in_a_row: u64,
}

/// A step that was played.
#[derive(Debug, Clone, PartialEq)]
pub struct SoloStep {
    /// Place in the journey, from 0.
    pub step: u32,
    pub line: u32,
    pub route: Route,
    /// As they went over the wire: nothing is redacted.
    pub exchanges: Vec<Exchange>,
    /// What was wrong, in a sentence; the journey is over.
    pub problem: Option<String>,
}

impl Solo {
    /// Prepares the journeys of the plan. What is wrong with it is said in a sentence.
    pub async fn new(plan: CrowdPlan) -> Result<Self, String> {
        let (events, to_nobody) = mpsc::channel();
        let local = LocalSet::new();
        let engine = local
            .run_until(async {
                let dispatch = Arc::new(Dispatch::new(&plan)?);
                let engine = Engine::new(plan, Share { index: 0, of: 1 }, dispatch, events)?;
                let timers = engine.timers.clone();
                tokio::task::spawn_local(async move { timers.run().await });
                engine.keep_exchanges();
                Ok::<_, String>(engine)
            })
            .await?;
        let scripts = engine.scripts().map(|script| (script.name.clone(), Rc::clone(script))).collect();
        Ok(Self { local, engine, scripts, playing: None, asked: 0, _events: to_nobody })
    }

    /// The next steps are those of a journey, by a new user. `steps` leaves some out; of several copies each gets
    /// `in_a_row` requests before it is the next one's turn.
    pub fn enter(&mut self, user: u64, journey: &str, steps: Option<&[u32]>, in_a_row: u32) {
        let Some(script) = self.scripts.get(journey) else {
            self.playing = None;
            return;
        };
        let is_wanted = |i: &usize| steps.is_none_or(|steps| steps.contains(&(*i as u32)));
        self.playing = Some(Playing {
            user: User::new(&self.engine, user),
            left: (0..script.steps.len()).rev().filter(is_wanted).collect(),
            script: Rc::clone(script),
            played: None,
            in_a_row: u64::from(in_a_row.max(1)),
        });
        self.asked = 0;
    }

    /// What the next step will be; None at the end of the journey.
    pub fn ahead(&self) -> Option<&JourneyStep> {
        let playing = self.playing.as_ref()?;
        playing.left.last().map(|&index| &playing.script.steps[index].step)
    }

    /// Plays the next step; None at the end of the journey.
    pub async fn step(&mut self) -> Option<SoloStep> {
        let Playing { user, script, left, played, in_a_row } = self.playing.as_mut()?;
        let index = left.pop()?;
        *played = Some(index);
        let step = &script.steps[index];
        self.engine.dispatch.take_turn(self.asked / *in_a_row);
        let outcome = self.local.run_until(user.step_alone(step, monotonic_ns())).await;
        let exchanges = self.engine.kept_exchanges();
        self.asked += exchanges.len() as u64;
        if outcome.failure.is_some() {
            left.clear();
        }
        Some(SoloStep {
            step: index as u32,
            line: step.step.line,
            route: step.step.route.clone(),
            exchanges,
            problem: outcome.failure.map(|f| f.sentence),
        })
    }

    /// Sends the next step twice at the same instant: the same bytes, over connections that are open already. Of two copies
    /// each gets one. Redirects are left out. The journey ends here.
    pub async fn twin(&mut self) -> Option<SoloStep> {
        let Playing { user, script, left, .. } = self.playing.as_mut()?;
        let index = left.pop()?;
        let step = &script.steps[index];
        let mut twin = user.twin();
        user.hang_up();
        self.engine.dispatch.take_turn(0);
        self.local
            .run_until(async {
                user.connect_ahead(step).await;
                twin.connect_ahead(step).await;
                let now_ns = monotonic_ns();
                tokio::join!(user.step_alone(step, now_ns), twin.step_alone(step, now_ns))
            })
            .await;
        left.clear();
        let mut exchanges = self.engine.kept_exchanges();
        let first = exchanges.first().map(|e| (e.request.method.clone(), e.request.target.clone()));
        exchanges.retain(|e| {
            first
                .as_ref()
                .is_some_and(|(method, target)| e.request.method == *method && e.request.target == *target)
        });
        exchanges.truncate(2);
        Some(SoloStep {
            step: index as u32,
            line: step.step.line,
            route: step.step.route.clone(),
            exchanges,
            problem: None,
        })
    }

    /// Asks for what the last step asked for once more, in the name of somebody without cookies. Whom an `Authorization` names it
    /// still names.
    pub async fn ask_again(&mut self) -> Vec<Exchange> {
        let Some(Playing { user, script, played: Some(index), .. }) = &self.playing else {
            return Vec::new();
        };
        let mut stranger = user.stranger();
        self.local.run_until(stranger.step_alone(&script.steps[*index], 0)).await;
        self.engine.kept_exchanges()
    }

    /// Closes the user's connections, as if the user's machine had slept: what is kept in the jar stays.
    pub fn hang_up(&mut self) {
        if let Some(playing) = &mut self.playing {
            playing.user.hang_up();
        }
    }
}
