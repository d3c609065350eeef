//! Answers of a shadow: the same to everybody who asks for the same, or others from copies that keep something to themselves. Every user
//! asks for something of their own, but on routes that repeat.

use std::collections::BTreeSet;

use fissure_facts::shadow::{Act, ShadowEnd, ShadowedStep, Twinned};
use fissure_facts::traffic::{Answered, Asked, Content};
use fissure_facts::{Exchange, Fact, Route, Run, ShadowPlan, Topology};

pub fn answers(run: &Run, plan: &ShadowPlan, forgets: bool, repeats: &BTreeSet<Route>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let end = ShadowEnd { shadow: plan.shadow, cut_short: None, tables: Vec::new(), links: Vec::new() };
    if !matches!(plan.act, Act::Play | Act::AskAgain) {
        return vec![Fact::ShadowEnded(end)];
    }
    for pass in 1..=plan.passes {
        for journey in &run.header.journeys {
            for (step, outline) in journey.steps.iter().enumerate() {
                let is_lost = forgets && plan.topology != Topology::Control;
                let route = &outline.route;
                let own = if repeats.contains(route) { String::new() } else { format!("?user={pass}") };
                let target = format!("{}{own}", route.template());
                let exchange = Exchange {
                    request: Asked { method: route.method().to_owned(), target, ..Asked::default() },
                    answer: Some(Answered {
                        status: if is_lost { 401 } else { 200 },
                        body: Content::whole("so it is"),
                        ..Answered::default()
                    }),
                    ..Exchange::default()
                };
                if plan.act == Act::AskAgain && route.method() == "GET" {
                    facts.push(Fact::Twinned(Twinned {
                        shadow: plan.shadow,
                        pair: pass,
                        route: route.clone(),
                        exchanges: vec![exchange.clone(), exchange.clone()],
                    }));
                }
                facts.push(Fact::Shadowed(ShadowedStep {
                    shadow: plan.shadow,
                    pass,
                    journey: journey.name.clone(),
                    step: step as u32,
                    line: 1,
                    route: route.clone(),
                    exchanges: vec![exchange],
                    problem: None,
                    tables: None,
                }));
            }
        }
    }
    facts.push(Fact::ShadowEnded(end));
    facts
}
