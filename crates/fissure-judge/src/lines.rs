//! The lines: where in the app's own files the time goes, and what it would gain if they cost nothing.
//!
//! A sample counts for the innermost frame in the app's own files: what a library or the language does there is done
//! for that line. Two windows tell the routes apart without tracing: in the second the heaviest route is emphasised, so
//! what grows with it is its own.

mod engine;
mod fix;
mod mapper;
mod origin;
mod relay;
mod tally;
mod unasked;

use fissure_facts::{Estimate, Purpose, Route, Run, Window};

use crate::judgement::{Place, RouteDemand};
use crate::{stats, waits};
use tally::{Found, Function, Tally};

pub(crate) use engine::is_extension;
pub use fix::fix;
pub(crate) use origin::own_frame;
pub use unasked::unasked;

/// Places that are named; the rest is too thin to be worth anybody's time.
const MOST_PLACES: usize = 5;
/// CPU of a mapper for one line of one request, above which the line asks it for many statements or many rows: one statement costs
/// it below one.
const MANY_STATEMENTS_MS: f64 = 5.0;
/// A place with less of the time is not worth a line.
const LEAST_SHARE: f64 = 0.02;

/// Where the CPU goes at the journeys' mix, descending.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lines {
    pub places: Vec<Place>,
    /// The app's own work, line by line, descending.
    pub own: Vec<OwnLine>,
    /// The place that has a database asked more than any other, of those that the emphasised route is seen in.
    pub asks: Option<Place>,
    /// The route that was emphasised.
    pub hot: Option<Route>,
    /// Samples on which the shares rest.
    pub samples: u64,
    /// The database in the process that most of the CPU goes to without a line of the app in sight, and its share.
    pub engine: Option<(&'static str, f64)>,
}

/// One line of the app's own work.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnLine {
    pub function: String,
    pub file: String,
    pub line: u32,
    /// Share of all CPU at the journeys' mix.
    pub share: Estimate,
    /// Share of the hot route's CPU, and of all other routes' together.
    pub of_hot: f64,
    pub of_others: f64,
}

impl Lines {
    /// The app was looked into, and none of its lines was found: a language without an instrument, or no debug information.
    pub fn are_unseen(&self) -> bool {
        self.places.is_empty()
    }
}

/// Nothing when no profiler saw the app.
pub fn lines(run: &Run, demands: &[RouteDemand]) -> Option<Lines> {
    let windows: Vec<Window> =
        run.windows().into_iter().filter(|w| w.plan.purpose == Purpose::Profile).collect();
    let tally = |window: &Window| tally_of(run, window);
    // The last one: the first may have met the app while it did nothing.
    let mut as_it_is = windows.iter().rev().filter(|w| w.plan.emphasis.is_none());
    let (base, base_tally) = as_it_is.find_map(|w| Some((w, tally(w)?)))?;
    let hot = windows.iter().find_map(|w| {
        let route = &w.plan.emphasis.as_ref()?.route;
        let parts = Parts { hot: share_of(w, route, demands)?, base: share_of(base, route, demands)? };
        Some((route, tally(w)?, parts))
    });

    let mut lines = Lines {
        samples: base_tally.total,
        engine: base_tally.engine_outside(),
        hot: hot.as_ref().map(|(route, ..)| (*route).clone()),
        ..Lines::default()
    };
    let mut most_asking = 0;
    for (key, found) in &base_tally.functions {
        let share = stats::wilson(found.count, base_tally.total)?;
        let Some((&line, _)) = found.lines.iter().max_by_key(|(_, n)| n.count) else { continue };
        let route = hot.as_ref().and_then(|(route, hot_tally, parts)| {
            let split = parts.split(share.mid, hot_tally.share(key));
            (split.of_hot * parts.base >= 0.5 * share.mid).then(|| (*route).clone())
        });
        // CPU of a request of the route that the place belongs to.
        let of_request_ms = |samples: u64| {
            let of = route
                .as_ref()
                .and_then(|route| demands.iter().find(|d| d.route == *route))
                .or(demands.first());
            let share = samples as f64 / base_tally.total as f64;
            of.filter(|d| d.share > 0.0).map_or(0.0, |d| share / d.share * d.cpu_ms.mid)
        };
        let mapped: u64 = found.lines.values().map(|n| n.mapped).sum();
        let many_statements = of_request_ms(mapped) >= MANY_STATEMENTS_MS;
        let place = place_of(key, found, line, share, base_tally.total, many_statements, route);
        if place.route.is_some() && found.asking > most_asking {
            most_asking = found.asking;
            lines.asks = Some(place.clone());
        }
        lines.places.push(place);
        for (&line, n) in found.lines.iter().filter(|(_, n)| n.blamed(many_statements) > 0) {
            let share = stats::wilson(n.blamed(many_statements), base_tally.total)?;
            let split = match &hot {
                Some((_, hot_tally, parts)) => {
                    parts.split(share.mid, hot_tally.blamed_share_of_line(key, line, many_statements))
                }
                // Without a second window nobody knows whose it is: as much of each route.
                None => Split { of_hot: share.mid, of_others: share.mid },
            };
            let Split { of_hot, of_others } = split;
            let (function, file) = (key.function.clone(), key.file.clone());
            lines.own.push(OwnLine { function, file, line, share, of_hot, of_others });
        }
    }
    lines.places.retain(|place| place.share.mid >= LEAST_SHARE);
    lines.places.sort_by(|a, b| b.share.mid.total_cmp(&a.share.mid));
    lines.places.truncate(MOST_PLACES);
    lines.own.sort_by(|a, b| b.share.mid.total_cmp(&a.share.mid));
    Some(lines)
}

/// What the instruments saw run in a window.
fn tally_of(run: &Run, window: &Window) -> Option<Tally> {
    let profiles = run.facts.iter().filter_map(|s| waits::profile_of(&s.fact, window));
    Tally::of_running(&profiles.collect::<Vec<_>>())
}

fn place_of(
    key: &Function,
    found: &Found,
    line: u32,
    share: Estimate,
    total: u64,
    many_statements: bool,
    route: Option<Route>,
) -> Place {
    let mapped: u64 = found.lines.values().map(|n| n.mapped).sum();
    Place {
        function: origin::short_name(&key.function),
        file: key.file.clone(),
        line,
        lines: found.lines.keys().copied().collect(),
        share,
        own_share: (found.own + if many_statements { mapped } else { 0 }) as f64 / total as f64,
        many_statements,
        inside: found.busiest_library(),
        called_at: found.busiest_library().and_then(|_| found.busiest_caller()),
        is_library: found.is_library,
        route,
    }
}

/// The hot route's share of the CPU in the two windows.
#[derive(Debug, Clone, Copy)]
struct Parts {
    hot: f64,
    base: f64,
}

/// A line's share of the hot route's CPU, and of the others'.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    of_hot: f64,
    of_others: f64,
}

impl Parts {
    /// Two windows, two unknowns: a line's share of all CPU is `of_hot * part + of_others * (1 - part)` in each.
    ///
    /// Does not hold when the two parts are close to each other: then the line counts for both alike.
    fn split(self, in_base: f64, in_hot: f64) -> Split {
        const FAR_ENOUGH: f64 = 0.05;
        let apart = self.hot - self.base;
        if apart < FAR_ENOUGH {
            return Split { of_hot: in_base.min(1.0), of_others: in_base.min(1.0) };
        }
        let of_hot = (in_hot * (1.0 - self.base) - in_base * (1.0 - self.hot)) / apart;
        let of_others = (in_base * self.hot - in_hot * self.base) / apart;
        Split { of_hot: of_hot.clamp(0.0, 1.0), of_others: of_others.clamp(0.0, 1.0) }
    }
}

/// A route's share of the CPU in a window, by what ended in it and what each costs.
fn share_of(window: &Window, route: &Route, demands: &[RouteDemand]) -> Option<f64> {
    let cost = |d: &RouteDemand| window.route(&d.route).done() as f64 * d.cpu_ms.mid.max(0.0);
    let all: f64 = demands.iter().map(cost).sum();
    let own = demands.iter().find(|d| d.route == *route).map(cost)?;
    (all > 0.0).then_some(own / all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_goes_to_whose_cost_it_grows_with(of_hot in 0.0f64..1.0, of_others in 0.0f64..1.0, base in 0.0f64..0.85, more in 0.1f64..0.9) {
            let parts = Parts { base, hot: base + (1.0 - base) * more };
            prop_assume!(parts.hot - parts.base > 0.05);
            let seen = |part: f64| of_hot * part + of_others * (1.0 - part);
            let split = parts.split(seen(parts.base), seen(parts.hot));
            prop_assert!((split.of_hot - of_hot).abs() < 1e-9 && (split.of_others - of_others).abs() < 1e-9, "{split:?}");
        }

        #[test]
        fn any_two_windows_give_shares(in_base in 0.0f64..1.0, in_hot in 0.0f64..1.0, base in 0.0f64..1.0, hot in 0.0f64..1.0) {
            let split = Parts { hot, base }.split(in_base, in_hot);
            prop_assert!((0.0..=1.0).contains(&split.of_hot) && (0.0..=1.0).contains(&split.of_others));
        }
    }
}
