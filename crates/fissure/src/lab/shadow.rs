//! Performing a shadow: the journeys by one user after another on a stack of its own, every answer kept.

use std::time::Duration;

use fissure_facts::journey::StepKind;
use fissure_facts::shadow::{Act, ShadowEnd, ShadowedStep, Twinned};
use fissure_facts::{Fact, ShadowPlan, Topology};
use fissure_rig::crowd::{Mode, Solo};
use fissure_rig::shadow::{Written, links, tables};

use super::machine::CONNECTIONS_EVERY;
use super::stage::Standing;
use super::{Interrupt, Lab, refuse_foreign_databases};
use crate::exit::Failure;

/// Pauses are kept up to this: long enough for what an app does right after an answer, short enough not to bore.
const THINK_MAX_S: f64 = 0.02;
/// The users of shadows draw other values than those who played before: a server's database, and so its copies, keep what those
/// wrote, and a name that must be new would be taken.
const OTHER_VALUES: u64 = 0x5AD0 << 40;

impl Lab<'_> {
    /// What cannot be played is a fact, too: only a broken journal is a failure.
    pub(super) async fn shadow(
        &mut self,
        plan: &ShadowPlan,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        let mut end =
            ShadowEnd { shadow: plan.shadow, cut_short: None, tables: Vec::new(), links: Vec::new() };
        if self.order.in_place {
            let why =
                "with --in-place every run would find what the one before has left: nothing can be compared.";
            end.cut_short = Some(why.to_owned());
            return self.record(Fact::ShadowEnded(end));
        }
        // Secrets of one run mean nothing in the next; that they are met in the same order keeps runs alike.
        self.veil.forget();
        let at_once = matches!(plan.act, Act::Idle { at_once: true, .. });
        match self.stage.start_apart(&plan.arrangement, at_once).await {
            Ok(mut standing) => {
                let foreign = standing.foreign_databases(CONNECTIONS_EVERY);
                let played = tokio::select! {
                    played = self.act(plan, &mut standing) => Some(played),
                    () = interrupt.came() => None,
                };
                let refused = refuse_foreign_databases(self.project, &foreign);
                drop(foreign);
                if let Some(copy) = standing.end_processes().await {
                    if plan.act == Act::Trace {
                        end.links = links(copy, &self.veil);
                    }
                    end.tables = tables(copy, &self.veil);
                }
                for database in standing.databases() {
                    end.tables.extend(database.tables(&|bytes| self.veil.fingerprint_of(bytes)).await);
                }
                standing.strike().await;
                refused?;
                match played {
                    Some(played) => end.cut_short = played?,
                    None => {
                        self.record(Fact::Interrupted)?;
                        end.cut_short = Some("it was interrupted.".to_owned());
                    }
                }
            }
            Err(failure) => end.cut_short = Some(failure.sentence),
        }
        self.record(Fact::ShadowEnded(end))
    }

    async fn act(&mut self, plan: &ShadowPlan, standing: &mut Standing) -> Result<Option<String>, Failure> {
        match &plan.act {
            Act::Play | Act::Trace | Act::AskAgain => self.play_shadow(plan, standing).await,
            Act::Idle { seconds, .. } => {
                tokio::time::sleep(Duration::from_secs(u64::from(*seconds))).await;
                Ok(None)
            }
            Act::Twins { journey, step, pairs } => {
                self.play_twins(plan, standing, (journey, *step), *pairs).await
            }
        }
    }

    /// Everything before the step goes to one copy, so that what is kept in its memory is there.
    async fn play_twins(
        &mut self,
        plan: &ShadowPlan,
        standing: &Standing,
        (journey, step): (&str, u32),
        pairs: u32,
    ) -> Result<Option<String>, Failure> {
        let mut crowd_plan = self.crowd_plan_for(standing.addresses(), &plan.arrangement, Mode::Play, None);
        crowd_plan.seed = plan.seed.wrapping_add(OTHER_VALUES);
        crowd_plan.think_max_s = 0.0;
        let mut solo = match Solo::new(crowd_plan).await {
            Ok(solo) => solo,
            Err(sentence) => return Ok(Some(sentence)),
        };
        let steps: Vec<u32> = (0..=step).collect();
        for pair in 1..=pairs {
            solo.enter(u64::from(pair), journey, Some(&steps), u32::MAX);
            for _ in 0..step {
                solo.step().await;
            }
            let Some(twins) = solo.twin().await else { continue };
            let mut exchanges = twins.exchanges;
            self.veil.forget();
            self.veil.cover(&mut exchanges);
            let route = twins.route;
            self.record(Fact::Twinned(Twinned { shadow: plan.shadow, pair, route, exchanges }))?;
        }
        Ok(None)
    }

    /// Why it could not be played to its end, if it could not.
    async fn play_shadow(
        &mut self,
        plan: &ShadowPlan,
        standing: &mut Standing,
    ) -> Result<Option<String>, Failure> {
        let mut crowd_plan = self.crowd_plan_for(standing.addresses(), &plan.arrangement, Mode::Play, None);
        crowd_plan.seed = plan.seed.wrapping_add(OTHER_VALUES);
        crowd_plan.think_max_s = crowd_plan.think_max_s.min(THINK_MAX_S);
        let mut solo = match Solo::new(crowd_plan).await {
            Ok(solo) => solo,
            Err(sentence) => return Ok(Some(sentence)),
        };
        let mut written = (plan.act == Act::Trace).then(Written::default);
        let mut pair = 0;
        let journeys: Vec<String> = self.project.journeys.iter().map(|l| l.journey.name.clone()).collect();
        for pass in 1..=plan.passes {
            for (turn, journey) in journeys.iter().enumerate() {
                let part = plan.parts.iter().find(|part| part.journey == *journey);
                if part.is_none() && !plan.parts.is_empty() {
                    continue;
                }
                let user = u64::from(pass - 1) * journeys.len() as u64 + turn as u64;
                solo.enter(user, journey, part.map(|part| &part.steps[..]), pass);
                let mut is_first = true;
                while let Some(ahead) = solo.ahead() {
                    // What is open would be cut off, which is another experiment.
                    let is_request = matches!(ahead.kind, StepKind::Request);
                    if plan.topology == Topology::Restart && is_request && !std::mem::take(&mut is_first) {
                        solo.hang_up();
                        if let Err(failure) = self.stage.restart(standing).await {
                            return Ok(Some(format!("it did not start again: {}", failure.sentence)));
                        }
                    }
                    if let (Some(written), Some(copy)) = (&mut written, standing.copy()) {
                        written.before(copy, &self.veil);
                    }
                    let Some(mut step) = solo.step().await else { break };
                    let tables = match (&mut written, standing.copy()) {
                        (Some(written), Some(copy)) => Some(written.after(copy, &self.veil)),
                        _ => None,
                    };
                    if plan.act == Act::AskAgain && step.route.method() == "GET" && step.problem.is_none() {
                        let mut exchanges = step.exchanges.clone();
                        exchanges.extend(solo.ask_again().await);
                        self.veil.cover(&mut exchanges);
                        pair += 1;
                        let (shadow, route) = (plan.shadow, step.route.clone());
                        self.record(Fact::Twinned(Twinned { shadow, pair, route, exchanges }))?;
                    }
                    self.veil.cover(&mut step.exchanges);
                    self.record(Fact::Shadowed(ShadowedStep {
                        shadow: plan.shadow,
                        pass,
                        journey: journey.clone(),
                        step: step.step,
                        line: step.line,
                        route: step.route,
                        exchanges: step.exchanges,
                        problem: step.problem,
                        tables,
                    }))?;
                }
            }
        }
        Ok(None)
    }
}
