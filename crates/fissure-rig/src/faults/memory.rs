//! Memory cap: what the processes have they keep; mapping more fails soon.

use rustix::process::Resource;

use super::{Held, NotInjected, limit};

pub(super) fn cap(guard: u32, more_mib: u32) -> Result<Box<dyn Held>, NotInjected> {
    limit::lower(guard, Resource::As, |pid| Some(address_space(pid)? + u64::from(more_mib) * 1024 * 1024))
}

/// In bytes, by the first field of `/proc/PID/statm`, which counts pages.
fn address_space(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
