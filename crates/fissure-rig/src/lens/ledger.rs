//! Turns the counters of a changing set of processes into what the whole set used since the last look.
//!
//! When a process ends and its parent waits for it, the kernel adds its total to the parent's "children" counter
//! (cutime in proc(5)). So nothing is lost even of workers that began and ended between two looks, as long as every
//! ancestor up to the guard is in the set: what the guard or another parent gained beyond what was already counted of
//! vanished processes is new. Lost is only the last interval of a process that nobody waits for (its parent ignores
//! SIGCHLD), and the rounding of the children counter, which is kept in ticks of 10 ms, but does not add up.

use std::collections::HashMap;

/// The counters of one process, in one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub pid: u32,
    pub start_ticks: u64,
    /// Of its own; 0 for a guard, which is not part of the app.
    pub own: u64,
    /// Of children that it waited for, with theirs.
    pub reaped: u64,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    begun: bool,
    last: HashMap<(u32, u64), Reading>,
    /// Counted already, of processes that vanished before the last look and before this one: about to come back, or
    /// come back already, in some parent's counter. Older ones will never come back.
    vanished_before: u64,
}

impl Ledger {
    /// What the set used since the last call; 0 at the first.
    pub fn take(&mut self, readings: &[Reading]) -> u64 {
        let mut last = std::mem::take(&mut self.last);
        let (mut used, mut came_back) = (0, 0);
        for reading in readings {
            let key = (reading.pid, reading.start_ticks);
            let before = last.remove(&key);
            used += reading.own.saturating_sub(before.map_or(0, |b| b.own));
            came_back += reading.reaped.saturating_sub(before.map_or(0, |b| b.reaped));
            // A clock that could not be read once is replaced by ticks, which are a little behind: never run backwards.
            let own = reading.own.max(before.map_or(0, |b| b.own));
            self.last.insert(key, Reading { own, ..*reading });
        }
        let vanished: u64 = last.values().map(|reading| reading.own + reading.reaped).sum();
        let expected = self.vanished_before + vanished;
        // Those that vanished earlier come back first.
        self.vanished_before = vanished.min(expected.saturating_sub(came_back));
        if !std::mem::replace(&mut self.begun, true) {
            return 0;
        }
        used + came_back.saturating_sub(expected)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(pid: u32, own: u64, reaped: u64) -> Reading {
        Reading { pid, start_ticks: 1, own, reaped }
    }

    const GUARD: u32 = 1;

    #[test]
    fn work_before_the_window_does_not_count() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.take(&[reading(GUARD, 0, 70), reading(2, 500, 30)]), 0);
        assert_eq!(ledger.take(&[reading(GUARD, 0, 70), reading(2, 510, 30)]), 10);
    }

    #[test]
    fn a_worker_that_came_and_went_between_two_looks_is_not_lost() {
        let mut ledger = Ledger::default();
        ledger.take(&[reading(GUARD, 0, 0), reading(2, 100, 0)]);
        assert_eq!(ledger.take(&[reading(GUARD, 0, 0), reading(2, 101, 40)]), 41);
    }

    #[test]
    fn the_last_stretch_of_a_worker_that_ended_is_counted_once() {
        let mut ledger = Ledger::default();
        ledger.take(&[reading(GUARD, 0, 0), reading(2, 100, 0), reading(3, 1000, 0)]);
        assert_eq!(ledger.take(&[reading(GUARD, 0, 0), reading(2, 100, 0), reading(3, 1500, 0)]), 500);
        // It worked 20 more, ended, and its parent waited for it.
        assert_eq!(ledger.take(&[reading(GUARD, 0, 0), reading(2, 100, 1520)]), 20);
    }

    #[test]
    fn a_worker_that_comes_back_one_look_late_is_not_counted_twice() {
        let mut ledger = Ledger::default();
        ledger.take(&[reading(GUARD, 0, 0), reading(3, 1000, 0)]);
        assert_eq!(ledger.take(&[reading(GUARD, 0, 0)]), 0);
        assert_eq!(ledger.take(&[reading(GUARD, 0, 1005)]), 5);
    }

    #[test]
    fn a_worker_that_nobody_waits_for_does_not_eat_later_work() {
        let mut ledger = Ledger::default();
        ledger.take(&[reading(2, 100, 0), reading(3, 1_000_000, 0)]);
        assert_eq!(ledger.take(&[reading(2, 110, 0)]), 10);
        assert_eq!(ledger.take(&[reading(2, 120, 0)]), 10);
        assert_eq!(ledger.take(&[reading(2, 130, 7)]), 17);
    }

    #[test]
    fn a_pid_that_is_used_again_is_another_process() {
        let mut ledger = Ledger::default();
        ledger.take(&[reading(GUARD, 0, 0), reading(2, 100, 0)]);
        let successor = Reading { pid: 2, start_ticks: 9, own: 30, reaped: 0 };
        assert_eq!(ledger.take(&[reading(GUARD, 0, 104), successor]), 34);
    }

    proptest! {
        /// A guard and workers that work, fork, end and are waited for, in any order, are counted exactly.
        #[test]
        fn nothing_is_lost_or_counted_twice(
            looks in proptest::collection::vec(proptest::collection::vec((0u32..6, 0u64..50, any::<bool>()), 0..8), 1..20)
        ) {
            let (mut ledger, mut total, mut counted) = (Ledger::default(), 0, 0);
            let (mut own, mut guard, mut started) = (HashMap::<u32, (u64, u64)>::new(), 0, 0u64);
            ledger.take(&[reading(GUARD, 0, 0)]);
            for look in looks {
                for (pid, work, ends) in look {
                    started += 1;
                    let (_, cpu) = own.entry(pid + 2).or_insert((started, 0));
                    *cpu += work;
                    total += work;
                    if ends {
                        guard += own.remove(&(pid + 2)).map_or(0, |(_, cpu)| cpu);
                    }
                }
                let mut readings = vec![reading(GUARD, 0, guard)];
                readings.extend(own.iter().map(|(&pid, &(start_ticks, own))| Reading { pid, start_ticks, own, reaped: 0 }));
                counted += ledger.take(&readings);
                prop_assert_eq!(counted, total);
            }
        }
    }
}
