//! What `/proc` says of one process. Everything here answers `None` or nothing when the process is gone:
//! processes vanish between any two reads, and that is never an error.

use std::fs;
use std::io::Read;

/// The fields of `/proc/PID/stat` (proc(5)) that fissure reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub pid: u32,
    pub parent: u32,
    pub session: u32,
    /// `R`, `S`, `D`, `Z`, ...
    pub state: char,
    /// Own CPU, user and system, with exited threads.
    pub cpu_ticks: u64,
    /// CPU of children that ended and were waited for, with theirs.
    pub reaped_cpu_ticks: u64,
    pub threads: u64,
    /// Since boot. Together with the pid it names a process for good: pids are used again.
    pub start_ticks: u64,
}

impl Stat {
    pub fn read(pid: u32) -> Option<Self> {
        let mut text = String::with_capacity(512);
        read_into(&format!("/proc/{pid}/stat"), &mut text)?;
        Self::parse(&text)
    }

    /// The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (pid, rest) = text.split_once(' ')?;
        let (_, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |i: usize| fields.get(i)?.parse::<u64>().ok();
        // cutime and cstime are signed in the kernel's format; they are never negative in practice.
        Some(Self {
            pid: pid.parse().ok()?,
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(1)?).ok()?,
            session: fields.get(3)?.parse::<i64>().ok().and_then(|s| u32::try_from(s).ok()).unwrap_or(0),
            cpu_ticks: number(11)? + number(12)?,
            reaped_cpu_ticks: number(13).unwrap_or(0) + number(14).unwrap_or(0),
            threads: number(17)?,
            start_ticks: number(19)?,
        })
    }

    /// Ended, but not yet waited for by its parent.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Reads a whole small file of `/proc` into `text`, which is emptied first.
pub fn read_into(path: &str, text: &mut String) -> Option<()> {
    text.clear();
    fs::File::open(path).ok()?.read_to_string(text).ok().map(drop)
}

/// Every process that this user may see.
pub fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// Whether this very process (not another one that got its pid) still runs.
pub fn lives(pid: u32, start_ticks: u64) -> bool {
    Stat::read(pid).is_some_and(|s| s.start_ticks == start_ticks && !s.is_zombie())
}

/// What a person would recognise the process by: `node server.js (pid 123)`.
pub fn describe(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let line: String = line.trim().chars().take(80).collect();
    if line.is_empty() { format!("pid {pid}") } else { format!("`{line}` (pid {pid})") }
}

/// All live descendants of `root`, without itself. Zombies are left out; what they left behind is not.
pub fn descendants(root: u32) -> Vec<u32> {
    let stats: Vec<Stat> = all().filter_map(Stat::read).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(stats.iter().filter(|s| s.parent == parent && s.pid != root).map(|s| s.pid));
        next += 1;
    }
    let zombie = |pid: &u32| stats.iter().any(|s| s.pid == *pid && s.is_zombie());
    found.into_iter().skip(1).filter(|pid| !zombie(pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_is_read() {
        let text = "42 (a) b (c) S 7 42 5 0 -1 4194560 1 2 3 4 100 50 20 10 20 0 9 0 777 1 2";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.session, stat.state), (42, 7, 5, 'S'));
        assert_eq!(
            (stat.cpu_ticks, stat.reaped_cpu_ticks, stat.threads, stat.start_ticks),
            (150, 30, 9, 777)
        );
    }

    #[test]
    fn torn_text_is_nothing() {
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("42 (sh"), None);
        assert_eq!(Stat::parse("42 (sh) S 1"), None);
    }

    #[test]
    fn this_process_lives_and_its_successor_does_not() {
        let me = Stat::read(std::process::id()).unwrap();
        assert!(lives(me.pid, me.start_ticks));
        assert!(!lives(me.pid, me.start_ticks + 1));
    }
}
