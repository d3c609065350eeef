//! The machine around the app: busy and stolen time of its CPUs, pressure, free memory; and the few figures of a process
//! that are levels, not counters.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity};

use super::cpu_clock::{NS_PER_S, tick_ns};
use crate::process::read_into;

/// What the machine did since the last look, and what memory it has now.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Time that processes, whichever, used the app's CPUs.
    pub busy_s: f64,
    pub steal_s: f64,
    pub psi_cpu_us: Option<u64>,
    pub psi_io_us: Option<u64>,
    pub psi_memory_us: Option<u64>,
    pub memory_available_bytes: u64,
}

/// The counters of the last look.
#[derive(Debug, Default)]
pub(super) struct Machine {
    begun: bool,
    busy_ticks: u64,
    steal_ticks: u64,
    /// cpu, io, memory
    pressure_us: [Option<u64>; 3],
}

impl Machine {
    pub fn sample(&mut self, app_cpus: &[usize], crowd_cpus: &[usize], text: &mut String) -> Seen {
        let before = std::mem::take(self);
        self.begun = true;
        if read_into("/proc/stat", text).is_some() {
            for (cpu, busy, steal) in text.lines().filter_map(cpu_line) {
                if app_cpus.contains(&cpu) {
                    self.busy_ticks += busy;
                }
                if app_cpus.contains(&cpu) || crowd_cpus.contains(&cpu) {
                    self.steal_ticks += steal;
                }
            }
        }
        for (slot, name) in self.pressure_us.iter_mut().zip(["cpu", "io", "memory"]) {
            *slot = read_into(&format!("/proc/pressure/{name}"), text).and_then(|()| some_total_us(text));
        }
        let seconds = |now: u64, then: u64| match before.begun {
            true => (now.saturating_sub(then) * tick_ns()) as f64 / NS_PER_S,
            false => 0.0,
        };
        let pressure = |i: usize| {
            let now = self.pressure_us[i]?;
            Some(before.pressure_us[i].map_or(0, |then| now.saturating_sub(then)))
        };
        Seen {
            busy_s: seconds(self.busy_ticks, before.busy_ticks),
            steal_s: seconds(self.steal_ticks, before.steal_ticks),
            psi_cpu_us: pressure(0),
            psi_io_us: pressure(1),
            psi_memory_us: pressure(2),
            memory_available_bytes: memory_available_bytes(text),
        }
    }
}

/// `cpu1 user nice system idle iowait irq softirq steal ...` in ticks: the CPU, its busy time and its stolen time.
/// Interrupts are left out of the busy time: serving the app's own connections makes most of them, and they belong to
/// no process.
fn cpu_line(line: &str) -> Option<(usize, u64, u64)> {
    let mut fields = line.strip_prefix("cpu")?.split_ascii_whitespace();
    let cpu = fields.next()?.parse().ok()?; // the line of all CPUs together has no number and falls out here
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let of = |i: usize| ticks.get(i).copied().unwrap_or(0);
    (line.starts_with(&format!("cpu{cpu} "))).then(|| (cpu, of(0) + of(1) + of(2), of(7)))
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345` (the kernel's accounting/psi.rst)
fn some_total_us(text: &str) -> Option<u64> {
    text.lines().find(|line| line.starts_with("some"))?.split("total=").nth(1)?.trim().parse().ok()
}

fn memory_available_bytes(text: &mut String) -> u64 {
    let kib = read_into("/proc/meminfo", text).and_then(|()| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    kib.unwrap_or(0) * 1024
}

/// Resident memory; pages that several processes share count for each of them.
pub(super) fn rss_bytes(pid: u32, text: &mut String) -> u64 {
    let pages = read_into(&format!("/proc/{pid}/statm"), text)
        .and_then(|()| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Open file descriptors. Since Linux 6.2 the size of the folder is their number; before, they are counted.
pub(super) fn open_files(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/fd");
    match fs::metadata(&path) {
        Ok(metadata) if metadata.len() > 0 => metadata.len(),
        _ => fs::read_dir(path).map_or(0, |fds| fds.count() as u64),
    }
}

/// Bytes read from and written to storage by a process and the children it waited for.
pub(super) fn storage_bytes(pid: u32, text: &mut String) -> Option<(u64, u64)> {
    read_into(&format!("/proc/{pid}/io"), text)?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok();
    Some((field("read_bytes:")?, field("write_bytes:")?))
}

/// The CPUs that fissure itself may run on.
pub(crate) fn own_cpus() -> Vec<usize> {
    let mask = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|&cpu| mask.is_set(cpu)).collect()
}

/// The share of `cpus` that lies within `within`.
pub(super) fn overlap(cpus: &[usize], within: &[usize]) -> f64 {
    if cpus.is_empty() {
        return 0.0;
    }
    cpus.iter().filter(|cpu| within.contains(cpu)).count() as f64 / cpus.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_line_is_busy_without_idle_and_interrupts() {
        assert_eq!(cpu_line("cpu1 10 20 30 4000 500 6 7 8 9 0"), Some((1, 60, 8)));
        assert_eq!(cpu_line("cpu  10 20 30 4000 500 6 7 8 9 0"), None);
        assert_eq!(cpu_line("intr 1 2 3"), None);
    }

    #[test]
    fn pressure_is_read_from_its_total() {
        let text = "some avg10=1.00 avg60=0.00 avg300=0.00 total=4711\nfull avg10=0.00 total=12\n";
        assert_eq!(some_total_us(text), Some(4711));
        assert_eq!(some_total_us(""), None);
    }

    #[test]
    fn the_levels_of_this_process_are_seen() {
        let mut text = String::new();
        let me = std::process::id();
        assert!(rss_bytes(me, &mut text) > 100_000);
        let before = open_files(me);
        let _files: Vec<_> = (0..20).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(open_files(me) >= before + 15, "other tests may close some");
        assert!(memory_available_bytes(&mut text) > 0);
        assert_eq!((rss_bytes(0, &mut text), open_files(0)), (0, 0));
    }
}
