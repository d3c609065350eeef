//! A resource limit of running processes, lowered and put back.
//!
//! Only the soft limit is touched: putting it back needs no privilege.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::process::{Process, hold, tree};
use super::{Held, NotInjected};

struct Limited {
    guard: u32,
    resource: Resource,
    /// The limits as they were.
    before: Vec<(Process, Rlimit)>,
    /// The limits as they were set.
    caps: Vec<u64>,
}

/// Lowers a limit of every process below the guard to what `cap` says of it; None leaves a process alone.
pub(super) fn lower(
    guard: u32,
    resource: Resource,
    cap: impl Fn(u32) -> Option<u64>,
) -> Result<Box<dyn Held>, NotInjected> {
    let mut limited = Limited { guard, resource, before: Vec::new(), caps: Vec::new() };
    let mut refused = None;
    for process in tree(guard)? {
        let Some(cap) = cap(process.pid) else { continue };
        match set_soft(process.pid, resource, Some(cap)) {
            Ok(before) => {
                limited.before.push((process, before));
                limited.caps.push(cap);
            }
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if limited.before.is_empty() => Err(NotInjected::Limit(error.to_string())),
        _ if limited.before.is_empty() => Err(NotInjected::NobodyThere),
        _ => Ok(Box::new(limited)),
    }
}

/// Sets the soft limit (None: no limit but the hard one) and gives back both as they were.
fn set_soft(pid: u32, resource: Resource, soft: Option<u64>) -> rustix::io::Result<Rlimit> {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Err(rustix::io::Errno::SRCH);
    };
    let maximum = hard(pid, resource);
    let current = match (soft, maximum) {
        (Some(soft), Some(hard)) => Some(soft.min(hard)),
        (soft, hard) => soft.or(hard),
    };
    prlimit(Some(raw), resource, Rlimit { current, maximum })
}

/// The hard limit, by `/proc/PID/limits`; None: unlimited.
fn hard(pid: u32, resource: Resource) -> Option<u64> {
    let name = if resource == Resource::Nofile { "Max open files" } else { "Max address space" };
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

impl Held for Limited {}

impl Drop for Limited {
    fn drop(&mut self) {
        for (process, before) in &self.before {
            let _ = set_soft(process.pid, self.resource, before.current);
        }
        // Processes that were started meanwhile have inherited a cap.
        let known: Vec<u32> = self.before.iter().map(|(process, _)| process.pid).collect();
        let heirs = hold(self.guard).unwrap_or_default().into_iter().filter(|p| !known.contains(&p.pid));
        let Some(original) = self.before.first().map(|(_, before)| before.current) else { return };
        for heir in heirs {
            if let Ok(found) = set_soft(heir.pid, self.resource, original)
                && found.current.is_some_and(|current| !self.caps.contains(&current))
            {
                let _ = set_soft(heir.pid, self.resource, found.current); // it had a limit of its own
            }
        }
    }
}
