//! How long the steps of a check take.

use crate::evidence::Evidence;

/// How long a check measures when nobody says otherwise, in seconds.
pub const BUDGET_S: f64 = 480.0;
/// Answers that a window at the goal's load should see: of an app that gives 20 in a second, six seconds tell nothing.
const WANTED_ANSWERS: f64 = 240.0;
/// Windows of the longest kind for which the budget has room, with their warm-ups.
const LONGEST_WINDOWS: f64 = 32.0;
/// What a window of demands takes beside its seconds.
const DEMAND_OVERHEAD_S: f64 = 0.7;

/// How long things take, from the budget.
pub(super) struct Pace {
    pub budget_s: f64,
    pub window_s: u32,
    pub demand_s: u32,
    pub demand_rounds: usize,
    /// Routes that get demand windows of their own.
    pub demand_routes: usize,
    /// Share of the budget after which demands must be known, so that rehearsals always get their time.
    pub demand_until: f64,
    /// Share of the budget after which the whole's capacity must be known.
    pub capacity_until: f64,
    pub blocks: u32,
    /// There is time for the most promising remedies only.
    pub is_race: bool,
}

impl Pace {
    pub fn of(evidence: &Evidence<'_>) -> Self {
        let budget_s = evidence.run.header.config.limits.budget.map_or(BUDGET_S, |b| b.0.as_secs_f64());
        let pace = if budget_s < 180.0 {
            Self {
                budget_s,
                window_s: 3,
                demand_s: 1,
                demand_rounds: 1,
                demand_routes: 6,
                demand_until: 0.25,
                capacity_until: 0.38,
                blocks: 3,
                is_race: true,
            }
        } else {
            Self {
                budget_s,
                window_s: 6,
                demand_s: 2,
                demand_rounds: 2,
                demand_routes: usize::MAX,
                demand_until: 0.25,
                capacity_until: 0.45,
                blocks: 3,
                is_race: false,
            }
        };
        pace.for_answers_per_s(evidence.answers_per_s())
    }

    /// A slow app takes longer windows. Their time is taken from the demands of its cheaper routes: what few answers in a window cost
    /// hardly shows, and changes no verdict.
    fn for_answers_per_s(self, answers_per_s: f64) -> Self {
        let most_s = (self.budget_s / LONGEST_WINDOWS).floor();
        let window_s = (WANTED_ANSWERS / answers_per_s).min(most_s).ceil() as u32;
        if window_s <= self.window_s {
            return self;
        }
        let (demand_s, demand_until) = (self.demand_s + 1, self.demand_until / 2.0);
        let each_s = (f64::from(demand_s) + DEMAND_OVERHEAD_S) * self.demand_rounds as f64;
        let demand_routes = self.demand_routes.min((self.budget_s * demand_until / each_s) as usize);
        Self { window_s, demand_s, demand_until, demand_routes, is_race: true, ..self }
    }
}
