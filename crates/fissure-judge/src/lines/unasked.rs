//! What runs by itself: a timer's job, a cleaner, a poller. It uses as much CPU while hardly anybody asks as it does flat out, and where
//! one thread does the work, everybody waits for it.

use fissure_facts::{Purpose, Run, Window};

use super::tally::{Function, Tally};
use super::{place_of, tally_of};
use crate::judgement::Unasked;
use crate::stats;

/// What asks for CPU because it is asked itself does so in proportion to the requests: these must be so many times fewer ...
const CLEARLY_FEWER: f64 = 3.0;
/// ... and the CPU of what runs by itself falls to no less than this.
const HARDLY_LESS: f64 = 0.6;
/// A place with less of what runs at rest is not worth a line.
const LEAST_SHARE: f64 = 0.05;

/// None where nobody looked while the app was at rest, or everything that ran then was asked for.
pub fn unasked(run: &Run) -> Option<Unasked> {
    let windows = run.windows();
    let with =
        |purpose: &Purpose| windows.iter().rfind(|w| w.plan.purpose == *purpose && w.plan.emphasis.is_none());
    let rest = Seen::of(run, with(&Purpose::ProfileAtRest)?)?;
    let busy = Seen::of(run, with(&Purpose::Profile)?)?;
    runs_by_itself(&rest, &busy)
}

/// What ran in a window.
struct Seen {
    tally: Tally,
    /// CPUs that were busy.
    cores: f64,
    answers_per_s: f64,
}

impl Seen {
    fn of(run: &Run, window: &Window) -> Option<Self> {
        let elapsed_s: f64 = window.probes.iter().map(|p| p.elapsed_s).sum();
        Some(Self {
            tally: tally_of(run, window)?,
            cores: if elapsed_s > 0.0 { window.app_cpu_s() / elapsed_s } else { 0.0 },
            answers_per_s: window.done() as f64 / window.seconds().max(1.0),
        })
    }

    fn cores_of(&self, key: &Function) -> f64 {
        self.tally.share(key) * self.cores
    }
}

fn runs_by_itself(rest: &Seen, busy: &Seen) -> Option<Unasked> {
    if busy.answers_per_s < CLEARLY_FEWER * rest.answers_per_s {
        return None;
    }
    let is_unasked = |key: &Function| rest.cores_of(key) >= HARDLY_LESS * busy.cores_of(key);
    let mut places = Vec::new();
    for (key, found) in rest.tally.functions.iter().filter(|(key, _)| is_unasked(key)) {
        let share = stats::wilson(found.count, rest.tally.total)?;
        let Some((&line, _)) = found.lines.iter().max_by_key(|(_, n)| n.count) else { continue };
        places.push(place_of(key, found, line, share, rest.tally.total, false, None));
    }
    places.retain(|place| place.share.mid >= LEAST_SHARE);
    places.sort_by(|a, b| b.share.mid.total_cmp(&a.share.mid));
    let share: f64 = places.iter().map(|place| place.share.mid).sum();
    (!places.is_empty()).then_some(Unasked { cores: share * rest.cores, places })
}

#[cfg(test)]
mod tests {
    use fissure_facts::Profile;
    use fissure_facts::profile::{Doing, Frame, Stack};

    use super::*;

    /// `refresh` and `show`, with so many samples each.
    fn seen(samples: [u64; 2], cores: f64, answers_per_s: f64) -> Seen {
        let frames = ["refresh", "show"].iter().zip(1..).map(|(function, line)| Frame {
            function: (*function).to_owned(),
            file: Some("src/app.js".to_owned()),
            line: Some(line),
            in_app: true,
            ..Frame::default()
        });
        let stacks = samples.iter().zip(0..).map(|(&count, frame)| Stack {
            process: 1,
            thread: "app".to_owned(),
            doing: Doing::Running,
            frames: vec![frame],
            holder: Vec::new(),
            count,
            separate: count,
        });
        let profile = Profile {
            instrument: "node".to_owned(),
            frames: frames.collect(),
            stacks: stacks.collect(),
            ..Profile::default()
        };
        Seen { tally: Tally::of_running(&[&profile]).unwrap(), cores, answers_per_s }
    }

    #[test]
    fn a_timers_job_works_as_much_whoever_asks_and_a_page_does_not() {
        let (rest, busy) = (seen([160, 20], 0.18, 20.0), seen([160, 840], 1.0, 900.0));
        let found = runs_by_itself(&rest, &busy).unwrap();
        let named: Vec<&str> = found.places.iter().map(|place| place.function.as_str()).collect();
        assert_eq!(named, ["refresh"]);
        assert!((found.cores - 0.16).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn what_grows_with_the_requests_was_asked_for() {
        let (rest, busy) = (seen([10, 10], 0.02, 20.0), seen([500, 500], 1.0, 1000.0));
        assert_eq!(runs_by_itself(&rest, &busy), None);
    }

    #[test]
    fn loads_that_are_near_each_other_tell_nothing() {
        assert_eq!(runs_by_itself(&seen([160, 20], 0.18, 20.0), &seen([160, 40], 0.2, 40.0)), None);
    }
}
