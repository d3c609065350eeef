//! Answers of a shadow: always the same, or others from copies that keep something to themselves.

use fissure_facts::shadow::{Act, ShadowEnd, ShadowedStep};
use fissure_facts::traffic::{Answered, Asked, Content};
use fissure_facts::{Exchange, Fact, Run, ShadowPlan, Topology};

pub fn answers(run: &Run, plan: &ShadowPlan, forgets: bool) -> Vec<Fact> {
    let mut facts = Vec::new();
    let end = ShadowEnd { shadow: plan.shadow, cut_short: None, tables: Vec::new(), links: Vec::new() };
    if plan.act != Act::Play {
        return vec![Fact::ShadowEnded(end)];
    }
    for journey in &run.header.journeys {
        for (step, outline) in journey.steps.iter().enumerate() {
            let is_lost = forgets && plan.topology != Topology::Control;
            let (method, target) = (outline.route.method().to_owned(), outline.route.template().to_owned());
            let exchange = Exchange {
                request: Asked { method, target, ..Asked::default() },
                answer: Some(Answered {
                    status: if is_lost { 401 } else { 200 },
                    body: Content::whole("so it is"),
                    ..Answered::default()
                }),
                ..Exchange::default()
            };
            facts.push(Fact::Shadowed(ShadowedStep {
                shadow: plan.shadow,
                pass: 1,
                journey: journey.name.clone(),
                step: step as u32,
                line: 1,
                route: outline.route.clone(),
                exchanges: vec![exchange],
                problem: None,
                tables: None,
            }));
        }
    }
    facts.push(Fact::ShadowEnded(end));
    facts
}
