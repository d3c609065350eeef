//! How often a request asks a database or another service: once for each row where once for all would do.
//!
//! The kernel counts the segments with data that the app sends over each connection, whatever language it is written in. A question is at
//! least one segment, so their number is that of the questions where these are short, as those of a mapper are; a long one (a bulk insert)
//! counts for several.

use fissure_facts::{Address, Purpose, Run, Window};

use crate::judgement::{Questions, Waits, WaitsFor};
use crate::limit::waiting;
use crate::lines::Lines;
use crate::model::Model;
use crate::waits;

/// From so many on for one request there is a list whose rows are asked for one by one.
const MANY: f64 = 10.0;
/// The heaviest route's shares of the requests in the two windows must differ by this much to tell it from the others.
const FAR_ENOUGH: f64 = 0.05;
/// CPU that a question costs the app at the very least, however lean its driver is: two system calls, and an answer that is read.
const LEAST_CPU_MS: f64 = 0.03;
const HALF: f64 = 0.5;

/// Of each address that is asked often, the most often asked first.
pub fn questions(run: &Run, lines: Option<&Lines>) -> Vec<Questions> {
    let windows: Vec<Window> =
        run.windows().into_iter().filter(|w| w.plan.purpose == Purpose::Profile && w.done() > 0).collect();
    let Some(base) = windows.iter().rfind(|w| w.plan.emphasis.is_none()) else { return Vec::new() };
    let hot = windows.iter().find_map(|w| Some((w, &w.plan.emphasis.as_ref()?.route)));
    let asked = asked_per_request(run, base);
    let routes = run.routes();
    let addresses: Vec<&Address> = asked.iter().map(|(address, _)| address).collect();
    let mut found: Vec<Questions> = asked
        .iter()
        .filter_map(|(address, of_all)| {
            let split = hot.and_then(|(window, route)| {
                let of_hot =
                    asked_per_request(run, window).into_iter().find(|(known, _)| known == address)?.1;
                let share = |w: &Window| w.route(route).done() as f64 / w.done() as f64;
                let (hot, others) = split([*of_all, of_hot], [share(base), share(window)])?;
                Some((route.clone(), hot, others))
            });
            let (route, per_request, by_others) = match split {
                Some((route, hot, others)) if hot >= MANY => (Some(route), hot, Some(others)),
                Some((route, hot, others)) if routes.len() == 2 => {
                    (routes.iter().find(|other| **other != route).cloned(), others, Some(hot.max(0.0)))
                }
                _ => (None, *of_all, None),
            };
            let link = waiting::declared(address, &addresses, &run.header.config);
            let is_database = waiting::is_database(address, link.map(|(_, link)| link));
            let asks = lines.and_then(|lines| lines.asks.clone());
            let asked_at = asks.filter(|asks| is_database && asks.route == route);
            (per_request >= MANY).then(|| Questions {
                address: address.clone(),
                name: link.map(|(name, _)| name.clone()),
                is_database,
                route,
                per_request,
                by_others,
                asked_at,
            })
        })
        .collect();
    found.sort_by(|a, b| b.per_request.total_cmp(&a.per_request));
    found
}

/// Is it what the app's time goes to? The route must take most of the time that requests take alone, and either more is waited for
/// these answers than for anything else that has a name, or asking costs half of its CPU even with the leanest of drivers.
pub fn take_the_time(questions: &Questions, model: &Model, waits: Option<&Waits>) -> bool {
    let Some(route) = model.routes.iter().find(|known| Some(&known.route) == questions.route.as_ref()) else {
        return false;
    };
    let is_waited_for = waits.and_then(|waits| waits.places.first()).is_some_and(
        |wait| matches!(&wait.what, WaitsFor::Peer(address) if address.as_ref() == Some(&questions.address)),
    );
    let costs_half = questions.per_request * LEAST_CPU_MS >= HALF * route.cpu_ms;
    questions.stand_out() && model.share_of_time(route) >= HALF && (is_waited_for || costs_half)
}

fn asked_per_request(run: &Run, window: &Window) -> Vec<(Address, f64)> {
    let profiles = run.facts.iter().filter_map(|s| waits::profile_of(&s.fact, window));
    let requests_per_s = window.done() as f64 / window.seconds().max(1.0);
    let peers = profiles.flat_map(|profile| &profile.peers);
    peers.filter_map(|peer| Some((peer.address.clone(), peer.asked_per_s? / requests_per_s))).collect()
}

/// Two windows, two unknowns: what a request of the route asks, and what one of the others does.
fn split([base, hot]: [f64; 2], [of_base, of_hot]: [f64; 2]) -> Option<(f64, f64)> {
    let apart = of_hot - of_base;
    (apart >= FAR_ENOUGH).then(|| {
        let route = (hot * (1.0 - of_base) - base * (1.0 - of_hot)) / apart;
        let others = (base * of_hot - hot * of_base) / apart;
        (route, others.max(0.0))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_asked_is_found_again(route in 0.0f64..300.0, others in 0.0f64..300.0, base in 0.0f64..0.8, more in 0.1f64..0.9) {
            let shares = [base, base + (1.0 - base) * more];
            prop_assume!(shares[1] - shares[0] >= FAR_ENOUGH);
            let (found, of_others) = split(shares.map(|share| share * route + (1.0 - share) * others), shares).unwrap();
            prop_assert!((found - route).abs() < 1e-6 && (of_others - others).abs() < 1e-6);
        }
    }

    #[test]
    fn who_cannot_be_told_from_the_others_is_not() {
        assert_eq!(split([20.0, 20.0], [0.5, 0.52]), None);
    }
}
