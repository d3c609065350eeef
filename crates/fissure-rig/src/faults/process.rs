//! A process that is held by a pidfd.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::NotInjected;
use crate::process;

#[derive(Debug)]
pub(super) struct Process {
    pub pid: u32,
    held: OwnedFd,
}

impl Process {
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.held, signal); // it may have ended: then there is nothing to break
    }
}

/// Every process below the guard; an error when there is none.
pub(super) fn tree(guard: u32) -> Result<Vec<Process>, NotInjected> {
    let held = hold(guard)?;
    if held.is_empty() { Err(NotInjected::NobodyThere) } else { Ok(held) }
}

/// The same, where nobody being there is right as well.
pub(super) fn hold(guard: u32) -> Result<Vec<Process>, NotInjected> {
    let mut held = Vec::new();
    for pid in process::descendants(guard) {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(fd) => held.push(Process { pid, held: fd }),
            Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(NotInjected::NoPidfd(error.to_string())),
        }
    }
    // A pid that was used again between the look and the hold belongs to a stranger, who is not below the guard.
    let still = process::descendants(guard);
    held.retain(|process| still.contains(&process.pid));
    Ok(held)
}
