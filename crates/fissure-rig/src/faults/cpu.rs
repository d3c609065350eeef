//! CPU squeeze without root: the role is stopped for a share of every period.
//!
//! This takes wall time, not CPU quota: an app that needs less than the share loses time all the same.

use std::time::Duration;

use rustix::process::Signal;

use super::process::{Process, hold, tree};
use super::{Held, Leash, NotInjected};

/// Long enough that stopping costs nothing, short enough to look like a slow processor.
const PERIOD: Duration = Duration::from_millis(20);
/// How often new processes are looked for, in periods.
const LOOK_EVERY: u32 = 25;

struct Squeezed {
    guard: u32,
    processes: Vec<Process>,
    run: Duration,
}

pub(super) fn squeeze(guard: u32, percent: u32) -> Result<Box<dyn Held>, NotInjected> {
    let run = PERIOD * percent.clamp(1, 99) / 100;
    Ok(Box::new(Squeezed { guard, processes: tree(guard)?, run }))
}

impl Squeezed {
    fn signal(&self, signal: Signal) {
        self.processes.iter().for_each(|process| process.signal(signal));
    }
}

impl Held for Squeezed {
    fn hold(&mut self, leash: &Leash) {
        for period in 1_u32.. {
            self.signal(Signal::STOP);
            if !leash.holds_for(PERIOD - self.run) {
                return;
            }
            self.signal(Signal::CONT);
            if !leash.holds_for(self.run) {
                return;
            }
            if period % LOOK_EVERY == 0
                && let Ok(processes) = hold(self.guard)
            {
                self.processes = processes;
            }
        }
    }
}

impl Drop for Squeezed {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        hold(self.guard).into_iter().flatten().for_each(|process| process.signal(Signal::CONT));
    }
}
