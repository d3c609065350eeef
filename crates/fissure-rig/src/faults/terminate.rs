//! Terminate: what every deployment does. A well-behaved app answers what is under way, and then ends.

use rustix::process::Signal;

use super::process::tree;
use super::{Held, NotInjected};

pub(super) fn terminate(guard: u32) -> Result<Box<dyn Held>, NotInjected> {
    tree(guard)?.iter().for_each(|process| process.signal(Signal::TERM));
    Ok(Box::new(()))
}
