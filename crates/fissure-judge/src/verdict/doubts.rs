//! What weakens a verdict.

use fissure_facts::fact::CrowdSecond;
use fissure_facts::{Route, Window};

use super::Bench;
use crate::capacity::Bound;
use crate::evidence::WHOLE;
use crate::judgement::{Control, Doubt, RemedyResult, Verdict};
use crate::{collector, visit};

/// Two copies of the same program must agree within this.
const CONTROL_WITHIN: f64 = 0.02;
/// Below this headroom a goal that holds is worth a word.
const COMFORTABLE_HEADROOM: f64 = 1.3;
/// A prediction this far from the measurement deserves a doubt.
const PREDICTION_WITHIN: f64 = 1.0 / 3.0;
/// Of the requests that could be sent over a connection that is there, those that had to open another one.
const CHURN: f64 = 0.8;
/// A route's share of the CPU from which on its exact cost matters.
const SHARE_THAT_MATTERS: f64 = 0.1;
/// A capacity interval wider than this deserves a doubt.
const WIDE: f64 = 0.10;

impl Bench<'_> {
    pub(super) fn doubts(
        &self,
        verdict: &Verdict,
        remedies: &[RemedyResult],
        control: Option<&Control>,
    ) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        let why = self.void_reasons();
        if !why.is_empty() {
            let void = why.values().sum();
            doubts.push(Doubt::VoidWindows { void, windows: self.evidence.windows.len() as u32, why });
        }
        if let Some(ratio) = control.map(|c| c.cpu_ratio)
            && (ratio.low > 1.0 + CONTROL_WITHIN || ratio.high < 1.0 - CONTROL_WITHIN)
        {
            doubts.push(Doubt::ControlDiffers { ratio });
        }
        let machine = &self.run.header.machine;
        if machine.app_cpus.iter().any(|cpu| machine.crowd_cpus.contains(cpu)) {
            doubts.push(Doubt::SharedCpus);
        }
        if let Some(per_request) = self.connections_for_each_request() {
            doubts.push(Doubt::ConnectionChurn { per_request });
        }
        if let Some(fit) = &self.fit {
            for (route, requests) in &fit.rare {
                doubts.push(Doubt::RareRoute { route: route.clone(), requests: *requests });
            }
            let half_width_share = fit.users_per_s.half_width_share();
            if fit.bound == Bound::Inside && half_width_share > WIDE {
                doubts.push(Doubt::WideInterval { half_width_share });
            }
        }
        doubts.extend(collector::stops(self.run).map(Doubt::CollectorStops));
        let (pauses_s, shortened_to_s) = (visit::longest_pauses_s(self.run), visit::VISIT_MAX_S);
        if pauses_s > shortened_to_s {
            doubts.push(Doubt::LongVisits { pauses_s, shortened_to_s });
        }
        if let Verdict::HoldingUp { headroom } = verdict
            && headroom.low < COMFORTABLE_HEADROOM
        {
            doubts.push(Doubt::LittleHeadroom { headroom: *headroom });
        }
        // What a cheap route costs exactly changes no conclusion.
        let matters = |route: &Route| {
            self.demands.routes.iter().any(|d| d.route == *route && d.share >= SHARE_THAT_MATTERS)
        };
        for route in self.demands.vague.iter().filter(|r| matters(r)) {
            doubts.push(Doubt::VagueDemand { route: route.clone() });
        }
        for result in remedies {
            let at_least = result.capacity.is_some_and(|c| c.at_least);
            if let (Some(predicted), Some(measured)) = (result.predicted, result.capacity_ratio)
                && !(at_least && predicted.mid > measured.mid)
                && ((predicted.mid / measured.mid).ln().abs() > (1.0 + PREDICTION_WITHIN).ln())
                && (predicted.low > measured.high || measured.low > predicted.high)
            {
                doubts.push(Doubt::PredictionOff {
                    remedy: result.arrangement.name.clone(),
                    predicted: predicted.mid,
                    measured: measured.mid,
                });
            }
        }
        doubts
    }

    /// Connections that were opened for each request, where the app closes nearly every one behind an answer.
    fn connections_for_each_request(&self) -> Option<f64> {
        let seconds = || self.evidence.valid(WHOLE).flat_map(|w| &w.crowd);
        let sum = |of: fn(&CrowdSecond) -> u64| seconds().map(of).sum::<u64>() as f64;
        let (opened, again) = (sum(|s| s.connects), sum(|s| s.reconnects));
        let ended = self.evidence.valid(WHOLE).map(Window::done).sum::<u64>() as f64;
        // The first request of each user opens one in any case.
        let could_be_kept = ended - (opened - again);
        (could_be_kept > 0.0 && again >= CHURN * could_be_kept).then_some(opened / ended)
    }
}
