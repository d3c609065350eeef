//! Pause: connections are taken by the kernel, and nobody answers.

use rustix::process::Signal;

use super::process::{Process, hold, tree};
use super::{Held, NotInjected};

pub(super) struct Paused {
    guard: u32,
    processes: Vec<Process>,
}

pub(super) fn pause(guard: u32) -> Result<Box<dyn Held>, NotInjected> {
    let mut paused = Paused { guard, processes: tree(guard)? };
    paused.stop();
    // Whoever was forked between the look and the signal is caught by the second look; then nobody forks any more.
    paused.processes.extend(hold(guard)?);
    paused.stop();
    Ok(Box::new(paused))
}

impl Paused {
    fn stop(&self) {
        self.processes.iter().for_each(|process| process.signal(Signal::STOP));
    }
}

impl Held for Paused {}

impl Drop for Paused {
    fn drop(&mut self) {
        self.processes.iter().for_each(|process| process.signal(Signal::CONT));
        // Those that were started by one that ran on for a moment.
        hold(self.guard).into_iter().flatten().for_each(|process| process.signal(Signal::CONT));
    }
}
