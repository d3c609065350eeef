//! When copies that have just started are warm: what they load and compile at their first requests is not what they cost.

use fissure_facts::{Arrangement, Purpose, Run, Window};

/// Warm is who needs no more CPU for an answer than the whole did, within this, ...
const AS_THE_WHOLE: f64 = 1.2;
/// ... or hardly less than a second before.
const HARDLY_LESS: f64 = 0.9;

/// Follows the seconds of a load that nobody measures.
#[derive(Debug, Clone, Copy)]
pub struct Warming {
    /// CPU of an answer, in seconds, at which nobody asks what it was before.
    enough_s: f64,
    before_s: f64,
}

impl Warming {
    /// Against what a right answer took of the whole when it was flat out the last time.
    pub fn of(run: &Run) -> Self {
        let flat_out =
            |w: &Window| w.plan.purpose == Purpose::Saturate && w.plan.arrangement == Arrangement::whole();
        let whole = run.windows().into_iter().rfind(flat_out);
        let cost_s = whole.filter(|w| w.right() > 0).map_or(0.0, |w| w.app_cpu_s() / w.right() as f64);
        Self { enough_s: AS_THE_WHOLE * cost_s, before_s: f64::INFINITY }
    }

    /// After one more second, with the app's CPU and its right answers in it.
    pub fn is_over(&mut self, app_cpu_s: f64, right: u64) -> bool {
        if right == 0 {
            self.before_s = f64::INFINITY;
            return false;
        }
        let cost_s = app_cpu_s / right as f64;
        let before_s = std::mem::replace(&mut self.before_s, cost_s);
        cost_s <= self.enough_s || cost_s >= HARDLY_LESS * before_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(enough_s: f64, costs: &[(f64, u64)]) -> Option<usize> {
        let mut warming = Warming { enough_s, before_s: f64::INFINITY };
        costs.iter().position(|&(app_cpu_s, right)| warming.is_over(app_cpu_s, right))
    }

    #[test]
    fn it_is_over_when_an_answer_costs_what_it_did_or_what_the_whole_needs() {
        let compiling = [(0.9, 30), (0.9, 70), (0.9, 120), (0.9, 128), (0.9, 130)];
        assert_eq!(seconds(0.0, &compiling), Some(3), "what the whole needs is not known");
        assert_eq!(seconds(0.013, &compiling), Some(1));
        assert_eq!(seconds(0.05, &compiling), Some(0));
    }

    #[test]
    fn without_an_answer_nothing_is_known() {
        assert_eq!(seconds(1.0, &[(0.9, 0), (0.9, 0)]), None);
        assert_eq!(seconds(0.0, &[(0.9, 30), (0.9, 0), (0.9, 30), (0.9, 30)]), Some(3));
    }
}
