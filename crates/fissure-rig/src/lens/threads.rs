//! Every thread of a set of processes: time it ran, time it waited for a CPU, how often it left one.

use std::collections::{HashMap, HashSet};
use std::fs;

use crate::process::read_into;

/// What the threads did since the last look, summed; `run_ns` holds one number a thread that ran.
#[derive(Debug, Default)]
pub(super) struct Worked {
    pub run_ns: Vec<u64>,
    pub run_delay_ns: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counters {
    /// `/proc/PID/task/TID/schedstat`: ran, waited on a run queue, times put on a CPU.
    run_ns: u64,
    delay_ns: u64,
    slices: u64,
    voluntary: u64,
    involuntary: u64,
}

#[derive(Debug, Default)]
pub(super) struct Threads {
    begun: bool,
    /// By process and thread. A thread id used again within a second would only cost that thread's second.
    last: HashMap<(u32, u32), Counters>,
}

impl Threads {
    /// Adds what the threads of `pids` did since the last look; new threads count from their start. Answers how many
    /// threads there are.
    pub fn sample(&mut self, pids: &[u32], worked: &mut Worked, text: &mut String) -> u64 {
        let begun = std::mem::replace(&mut self.begun, true);
        let last = std::mem::take(&mut self.last);
        for &pid in pids {
            for tid in of(pid) {
                let before = last.get(&(pid, tid)).copied().unwrap_or_default();
                let known = last.contains_key(&(pid, tid));
                let Some(now) = Counters::read(pid, tid, before, known, text) else { continue };
                self.last.insert((pid, tid), now);
                if !begun {
                    continue;
                }
                let ran = now.run_ns.saturating_sub(before.run_ns);
                if ran > 0 {
                    worked.run_ns.push(ran);
                }
                worked.run_delay_ns += now.delay_ns.saturating_sub(before.delay_ns);
                worked.voluntary_switches += now.voluntary.saturating_sub(before.voluntary);
                worked.involuntary_switches += now.involuntary.saturating_sub(before.involuntary);
            }
        }
        self.last.len() as u64
    }
}

/// The threads of a process.
pub(super) fn of(pid: u32) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What the program calls the thread; the program's own name by default.
pub(super) fn name_of(pid: u32, tid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// How often a thread was put on a CPU.
pub(super) fn slices(pid: u32, tid: u32, text: &mut String) -> Option<u64> {
    Scheduled::of(pid, tid, text).map(|scheduled| scheduled.turns)
}

/// The first and the third number of `/proc/PID/task/TID/schedstat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scheduled {
    pub ran_ns: u64,
    /// How often it was put on a CPU.
    pub turns: u64,
}

impl Scheduled {
    pub fn of(pid: u32, tid: u32, text: &mut String) -> Option<Self> {
        read_into(&format!("/proc/{pid}/task/{tid}/schedstat"), text)?;
        let mut numbers = text.split_ascii_whitespace();
        let ran_ns = numbers.next()?.parse().ok()?;
        Some(Self { ran_ns, turns: numbers.nth(1)?.parse().ok()? })
    }
}

/// How much of the C library's structure of a thread is read; glibc keeps the kernel's number at byte 720, musl at 48.
pub(super) const LIBRARY_THREAD_BYTES: usize = 1024;

/// The numbers at the one offset at which every structure holds the number of a thread, each another one.
pub(super) fn numbers_in(
    structures: &[[u8; LIBRARY_THREAD_BYTES]],
    tasks: &HashSet<u32>,
) -> Option<Vec<u32>> {
    let at = |offset: usize| {
        let number = |bytes: &[u8; LIBRARY_THREAD_BYTES]| {
            let word = bytes.get(offset..offset + 4)?.try_into().ok()?;
            Some(u32::from_ne_bytes(word)).filter(|tid| tasks.contains(tid))
        };
        let numbers: Vec<u32> = structures.iter().map(number).collect::<Option<_>>()?;
        let distinct: HashSet<&u32> = numbers.iter().collect();
        (distinct.len() == numbers.len()).then_some(numbers)
    };
    (0..LIBRARY_THREAD_BYTES).step_by(4).find_map(at)
}

impl Counters {
    fn read(pid: u32, tid: u32, before: Self, known: bool, text: &mut String) -> Option<Self> {
        let scheduled = read_into(&format!("/proc/{pid}/task/{tid}/schedstat"), text).is_some();
        let mut now = before;
        if scheduled {
            let mut numbers = text.split_ascii_whitespace().map_while(|n| n.parse().ok());
            now.run_ns = numbers.next()?;
            now.delay_ns = numbers.next()?;
            now.slices = numbers.next()?;
            // `status` costs five times as much to read, and a thread that was on no CPU has not left one.
            if known && now == before {
                return Some(now);
            }
        }
        read_into(&format!("/proc/{pid}/task/{tid}/status"), text)?;
        let field = |name: &str| {
            let line = text.lines().rev().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok()
        };
        now.voluntary = field("voluntary_ctxt_switches:").unwrap_or(0);
        now.involuntary = field("nonvoluntary_ctxt_switches:").unwrap_or(0);
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_number_is_found_where_every_structure_holds_one() {
        let structure = |decoy: u32, tid: u32| {
            let mut bytes = [0; LIBRARY_THREAD_BYTES];
            bytes[64..68].copy_from_slice(&decoy.to_ne_bytes());
            bytes[720..724].copy_from_slice(&tid.to_ne_bytes());
            bytes
        };
        let tasks = HashSet::from([7, 8, 9]);
        assert_eq!(numbers_in(&[structure(7, 8), structure(7, 9)], &tasks), Some(vec![8, 9]));
        assert_eq!(numbers_in(&[structure(7, 8), structure(7, 1)], &tasks), None, "one that is gone");
    }
}
