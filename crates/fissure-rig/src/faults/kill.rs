//! Kill: no farewell, nothing is flushed.

use rustix::process::Signal;

use super::process::{hold, tree};
use super::{Held, NotInjected};

/// The process that was started last and serves: a worker where there are workers, else the app itself. Whoever started
/// it may start another; nobody else does.
pub(super) fn one(guard: u32) -> Result<Box<dyn Held>, NotInjected> {
    if let Some(last) = tree(guard)?.last() {
        last.signal(Signal::KILL);
    }
    Ok(Box::new(()))
}

/// Everybody, until nobody is left: a supervisor that starts workers faster than they are killed is stopped first.
pub(super) fn all(guard: u32) -> Result<Box<dyn Held>, NotInjected> {
    const ROUNDS: usize = 50;
    let mut processes = tree(guard)?;
    for _ in 0..ROUNDS {
        processes.iter().for_each(|process| process.signal(Signal::STOP));
        let seen = processes.len();
        processes = hold(guard)?;
        if processes.len() == seen {
            break;
        }
    }
    processes.iter().for_each(|process| process.signal(Signal::KILL));
    Ok(Box::new(()))
}
