//! What a request costs.

use fissure_judge::judgement::RouteDemand;

use crate::units::brief;

/// A row among the routes.
pub const NEW_CONNECTION: &str = "a new connection";

/// An interval from nothing to many times the middle, and what it takes alone, tells nothing: a request that was met once or twice.
pub fn is_cost_known(demand: &RouteDemand) -> bool {
    const MANY_TIMES: f64 = 10.0;
    let cpu_ms = demand.cpu_ms;
    cpu_ms.low > 0.0 || cpu_ms.high <= MANY_TIMES * cpu_ms.mid.max(demand.solo_ms.unwrap_or(0.0))
}

/// `140 ms (120 to 165)`, or that nobody knows.
pub fn cost(demand: &RouteDemand) -> String {
    if is_cost_known(demand) { brief(demand.cpu_ms, "ms") } else { "not known".to_owned() }
}

#[cfg(test)]
mod tests {
    use fissure_facts::Estimate;

    use super::*;

    /// Of a page that an editor had opened once a check said "1,200 ms (0 to 169,100)".
    #[test]
    fn what_was_met_once_has_no_cost() {
        let cost_of = |mid, low, high, solo_ms| {
            let cpu_ms = Estimate::new(mid, low, high);
            cost(&RouteDemand { route: "GET /".parse().unwrap(), cpu_ms, share: 0.1, solo_ms, mix: 0.1 })
        };
        assert_eq!(cost_of(1_200.0, 0.0, 169_100.0, Some(265.0)), "not known");
        assert_eq!(cost_of(0.07, 0.0, 0.14, None), "0.07 ms (0.00 to 0.14)");
        assert_eq!(cost_of(0.01, 0.0, 0.24, Some(0.8)), "0.010 ms (0.000 to 0.240)");
        assert_eq!(cost_of(140.0, 120.0, 160.0, None), "140 ms (120 to 160)");
    }
}
