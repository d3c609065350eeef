//! Folding: of a long window the older seconds are kept in pairs, in fours, and so on, so that what a run takes in memory
//! does not grow with the length of a test. Nothing is lost but when exactly it was; the journal keeps every second.

use crate::fact::{CrowdSecond, ProbeSecond};
use crate::{Fact, Run, Stamped};

/// Seconds of one window above which neighbours are folded: enough for a chart as wide as a screen.
const MOST: usize = 600;

impl Run {
    /// Adds a fact, and folds the seconds of its window when they have become many.
    pub fn add(&mut self, stamped: Stamped) {
        let window = match &stamped.fact {
            Fact::SecondPassed(second) => Some(second.window),
            _ => None,
        };
        self.facts.push(stamped);
        if let Some(window) = window
            && self.facts.iter().filter(|s| is_second_of(&s.fact, window)).count() >= MOST
        {
            self.fold(window);
        }
    }

    /// Every other second becomes part of the one before it.
    fn fold(&mut self, window: u32) {
        let (mut crowd, mut probes) = (None, None);
        let mut kept: Vec<Stamped> = Vec::with_capacity(self.facts.len());
        for stamped in std::mem::take(&mut self.facts) {
            let at = kept.len();
            match &stamped.fact {
                Fact::SecondPassed(later) if later.window == window => {
                    if let Some(Fact::SecondPassed(earlier)) = pair(&mut crowd, at, &mut kept) {
                        earlier.follow(later);
                        continue;
                    }
                }
                Fact::Sampled(later) if later.window == window => {
                    if let Some(Fact::Sampled(earlier)) = pair(&mut probes, at, &mut kept) {
                        earlier.follow(later);
                        continue;
                    }
                }
                _ => {}
            }
            kept.push(stamped);
        }
        self.facts = kept;
    }
}

fn is_second_of(fact: &Fact, window: u32) -> bool {
    matches!(fact, Fact::SecondPassed(second) if second.window == window)
}

/// The fact that waits for its neighbour; or this one, which will stand `at`, waits from now on.
fn pair<'k>(waiting: &mut Option<usize>, at: usize, kept: &'k mut [Stamped]) -> Option<&'k mut Fact> {
    match waiting.take() {
        Some(index) => kept.get_mut(index).map(|stamped| &mut stamped.fact),
        None => {
            *waiting = Some(at);
            None
        }
    }
}

impl CrowdSecond {
    /// Makes these seconds longer by those that follow them.
    fn follow(&mut self, later: &Self) {
        self.add(later);
        self.folded += later.folded + 1;
        // What was counted at the end of a second is what it was at the end of the last.
        (self.users_inside, self.in_flight) = (later.users_inside, later.in_flight);
    }
}

impl ProbeSecond {
    fn follow(&mut self, later: &Self) {
        // In full, so that a new field cannot be forgotten here.
        let Self {
            window: _,
            second: _,
            elapsed_s,
            app_cpu_s,
            role_cpu_s,
            thread_cpu_s,
            app_run_delay_s,
            voluntary_switches,
            involuntary_switches,
            rss_bytes,
            fds,
            threads,
            processes,
            read_bytes,
            write_bytes,
            crowd_cpu_s,
            crowd_run_delay_s,
            linked_cpu_s,
            other_cpu_s,
            steal_s,
            psi_cpu_some,
            psi_io_some,
            psi_memory_some,
            memory_available_bytes,
        } = later;
        let mean = |share: Option<f64>, later: Option<f64>, before_s: f64| {
            let sum = share? * before_s + later? * elapsed_s;
            Some(sum / (before_s + elapsed_s).max(f64::MIN_POSITIVE))
        };
        self.psi_cpu_some = mean(self.psi_cpu_some, *psi_cpu_some, self.elapsed_s);
        self.psi_io_some = mean(self.psi_io_some, *psi_io_some, self.elapsed_s);
        self.psi_memory_some = mean(self.psi_memory_some, *psi_memory_some, self.elapsed_s);
        self.elapsed_s += elapsed_s;
        self.app_cpu_s += app_cpu_s;
        for (role, cpu_s) in role_cpu_s {
            *self.role_cpu_s.entry(role.clone()).or_default() += cpu_s;
        }
        // Threads have no names here: the busiest is taken to be the same.
        self.thread_cpu_s.resize(self.thread_cpu_s.len().max(thread_cpu_s.len()), 0.0);
        self.thread_cpu_s.iter_mut().zip(thread_cpu_s).for_each(|(sum, cpu_s)| *sum += cpu_s);
        self.app_run_delay_s += app_run_delay_s;
        self.voluntary_switches += voluntary_switches;
        self.involuntary_switches += involuntary_switches;
        self.read_bytes += read_bytes;
        self.write_bytes += write_bytes;
        self.crowd_cpu_s += crowd_cpu_s;
        self.crowd_run_delay_s += crowd_run_delay_s;
        self.linked_cpu_s += linked_cpu_s;
        self.other_cpu_s += other_cpu_s;
        self.steal_s += steal_s;
        (self.rss_bytes, self.fds) = (*rss_bytes, *fds);
        (self.threads, self.processes) = (*threads, *processes);
        self.memory_available_bytes = *memory_available_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::RouteSecond;
    use crate::journal::tests::header;
    use crate::{Latencies, Route};

    fn seconds(count: u32) -> Run {
        let mut run = Run::new(header());
        for second in 0..count {
            let mut latency = Latencies::new();
            latency.record_many_us(1_000 + u64::from(second % 7) * 100, 3);
            let routes =
                [(Route::new("GET", "/").unwrap(), RouteSecond { latency, ..RouteSecond::default() })];
            let crowd = CrowdSecond {
                window: 1,
                second,
                routes: routes.into(),
                planned: 3,
                in_flight: u64::from(second),
                users_inside: 2,
                ..CrowdSecond::default()
            };
            let probe = ProbeSecond {
                window: 1,
                second,
                elapsed_s: 1.0,
                crowd_cpu_s: 0.25,
                rss_bytes: u64::from(second),
                psi_cpu_some: Some(0.5),
                ..ProbeSecond::default()
            };
            for fact in [Fact::Sampled(probe), Fact::SecondPassed(crowd)] {
                run.add(Stamped { at_s: f64::from(second), fact });
            }
        }
        run
    }

    #[test]
    fn an_hour_takes_no_more_memory_than_ten_minutes_and_loses_nothing() {
        let hour = seconds(3_600);
        assert!(hour.facts.len() < 2 * MOST, "{}", hour.facts.len());
        let (mut planned, mut length_s, mut latencies, mut cpu_s, mut elapsed_s) = (0, 0.0, 0, 0.0, 0.0);
        let mut next = 0;
        for stamped in &hour.facts {
            match &stamped.fact {
                Fact::SecondPassed(s) => {
                    assert_eq!(s.second, next, "no gap and no overlap");
                    next = s.second + s.folded + 1;
                    assert_eq!((s.in_flight, s.users_inside), (u64::from(next - 1), 2), "as at its end");
                    planned += s.planned;
                    length_s += s.length_s();
                    latencies += s.routes.values().map(|r| r.latency.count()).sum::<u64>();
                }
                Fact::Sampled(p) => {
                    cpu_s += p.crowd_cpu_s;
                    elapsed_s += p.elapsed_s;
                    assert_eq!(p.psi_cpu_some, Some(0.5));
                }
                _ => {}
            }
        }
        assert_eq!((planned, length_s, latencies), (10_800, 3_600.0, 10_800));
        assert_eq!((cpu_s, elapsed_s), (900.0, 3_600.0));
    }

    #[test]
    fn what_is_short_stays_as_it_is() {
        let run = seconds(MOST as u32 - 1);
        assert_eq!(run.facts.len(), 2 * (MOST - 1));
        assert!(run.facts.iter().all(|s| !matches!(&s.fact, Fact::SecondPassed(s) if s.folded > 0)));
    }
}
