//! File cap: what is open stays open; opening more, connections included, fails (EMFILE).

use rustix::process::Resource;

use super::{Held, NotInjected, limit};

pub(super) fn cap(guard: u32) -> Result<Box<dyn Held>, NotInjected> {
    limit::lower(guard, Resource::Nofile, first_free)
}

/// The lowest number that no open file has: with the limit there, the next file is one too many.
fn first_free(pid: u32) -> Option<u64> {
    let numbers = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let mut open: Vec<u64> = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    open.sort_unstable();
    Some((0..).zip(&open).find(|(n, fd)| n != *fd).map_or(open.len() as u64, |(n, _)| n))
}
