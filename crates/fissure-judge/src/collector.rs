//! A garbage collector that stops the app: no line of it runs then, so no profile of lines shows it.

use fissure_facts::{Fact, Run};

use crate::judgement::CollectorStops;

/// Below this share of the time nobody would look for it.
const NOTABLE: f64 = 0.08;

/// What was seen flat out, in the window in which it took most: where one route is repeated it may be the one that fills the memory.
pub fn stops(run: &Run) -> Option<CollectorStops> {
    let windows = run.windows();
    let of = |stamped: &fissure_facts::Stamped| {
        let Fact::Profiled(profile) = &stamped.fact else { return None };
        let window = windows.iter().find(|w| w.plan.window == profile.window)?;
        let longest_ms = *profile.stops_us.iter().max()? as f64 / 1e3;
        let seconds = window.seconds().max(1.0);
        let share = profile.stops_us.iter().sum::<u64>() as f64 / 1e6 / seconds;
        let per_s = profile.stops_us.len() as f64 / seconds;
        Some(CollectorStops { share: share.min(1.0), per_s, longest_ms })
    };
    let found = run.facts.iter().filter_map(of).filter(|stops| stops.share >= NOTABLE);
    found.max_by(|a, b| a.share.total_cmp(&b.share))
}

#[cfg(test)]
mod tests {
    use fissure_facts::profile::Profile;
    use fissure_facts::{Arrangement, Header, Load, Purpose, Stamped, Step, WindowPlan};

    use super::*;

    #[test]
    fn the_window_in_which_it_took_most_counts_and_a_little_is_no_news() {
        let header = Header {
            format: String::new(),
            fissure: String::new(),
            run: String::new(),
            started_unix_s: 0,
            verb: String::new(),
            seed: 1,
            machine: fissure_facts::Machine::default(),
            config: fissure_facts::Config::parse(
                "[app]\ncommand = \"x\"\n[users]\n[goal]\nusers = 1\np95 = \"1s\"",
            )
            .unwrap(),
            journeys: Vec::new(),
        };
        let mut run = Run::new(header);
        let window = |number: u32, stops_us: Vec<u64>| {
            let plan = WindowPlan {
                window: number,
                purpose: Purpose::Profile,
                arrangement: Arrangement::whole(),
                load: Load::Closed { users: 16 },
                emphasis: None,
                warmup_s: 1.0,
                visit_max_s: None,
                seconds: 6,
                seed: 1,
            };
            let second =
                |second| fissure_facts::fact::CrowdSecond { window: number, second, ..Default::default() };
            let seconds = (0..6).map(second).map(Fact::SecondPassed);
            let profile =
                Profile { window: number, instrument: "java".to_owned(), stops_us, ..Profile::default() };
            let begun = Fact::StepBegan { step: Step::Hold(plan), why: String::new() };
            let facts: Vec<Fact> =
                std::iter::once(begun).chain(seconds).chain([Fact::Profiled(profile)]).collect();
            facts.into_iter().map(|fact| Stamped { at_s: 1.0, fact })
        };
        run.facts.extend(window(1, vec![100_000, 200_000]));
        assert_eq!(stops(&run), None, "a twentieth of the time");
        run.facts.extend(window(2, vec![150_000; 12]));
        let found = stops(&run).unwrap();
        assert!((found.share - 0.3).abs() < 1e-9 && (found.per_s - 2.0).abs() < 1e-9, "{found:?}");
        assert!((found.longest_ms - 150.0).abs() < 1e-9);
    }
}
