//! What this machine allows, by trying it: everything is undone before the answer.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fissure_facts::examination::Examination;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{faults, keeper, lens};

/// How long the CPUs are looked at.
const LOOK: Duration = Duration::from_millis(500);
const SLEEPS: usize = 200;
/// Runtimes whose programs fissure meets.
const RUNTIMES: [&str; 9] = ["node", "python3", "java", "go", "ruby", "php", "dotnet", "deno", "bun"];

/// Takes about a second.
pub fn examine() -> Examination {
    let before = CpuTime::now();
    let began = Instant::now();
    let limits = getrlimit(Resource::Nofile);
    let found = Examination {
        cpus_allowed: lens::own_cpus(),
        cpus_online: cpus_online(),
        pinning: pinning(),
        cpu_quota: cpu_quota(),
        steal_share: 0.0,
        busy_share: 0.0,
        pressure: Path::new("/proc/pressure/cpu").exists(),
        clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        sleep_late_us_p99: sleep_late_us_p99(),
        files_soft: limits.current,
        files_hard: limits.maximum,
        ports: text("/proc/sys/net/ipv4/ip_local_port_range").as_deref().and_then(ports),
        loopback: TcpListener::bind("127.0.0.1:0").map(drop).map_err(|e| e.to_string()),
        perf_event_paranoid: number("/proc/sys/kernel/perf_event_paranoid"),
        samples: lens::can_sample(),
        ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
        stacks: with_child(lens::can_read_stack),
        connections: lens::can_see_connections(),
        calls: keeper::can_intercept(),
        clock_library: faults::clock::library().map(|path| path.display().to_string()),
        holds: faults::can_hold(),
        instruments: lens::instruments().map(str::to_owned).collect(),
        runtimes: RUNTIMES.into_iter().filter(|name| on_path(name).is_some()).map(str::to_owned).collect(),
        lines: BTreeMap::new(),
    };
    let lines_of = |name: &String| Some((name.clone(), lines_of(name, &found)?));
    let lines = found.runtimes.iter().filter_map(lines_of).collect();
    std::thread::sleep(LOOK.saturating_sub(began.elapsed()));
    let (steal_share, busy_share) = before.until(&CpuTime::now());
    Examination { steal_share, busy_share, lines, ..found }
}

/// How the lines of a runtime's programs are found; None where no instrument is made for them.
fn lines_of(runtime: &str, found: &Examination) -> Option<Result<String, String>> {
    Some(match runtime {
        "node" => Ok("what runs, by its inspector".to_owned()),
        "python3" | "ruby" | "php" => {
            found.stacks.clone().map(|()| "what runs and what waits, read from its memory".to_owned())
        }
        "java" => {
            let recorder = "what runs, by its Flight Recorder; what waits, by its list of threads";
            has_recorder(&on_path(runtime)?).then(|| recorder.to_owned()).ok_or_else(|| {
                "what waits only, by its list of threads: this Java has no Flight Recorder (`libjfr.so`)"
                    .to_owned()
            })
        }
        "go" => match (&found.samples, &found.stacks) {
            (Ok(_), Ok(())) => {
                Ok("what runs, as of any compiled program; what waits, read from its memory".to_owned())
            }
            (Err(why), Ok(())) => Err(format!("what waits only, read from its memory: {why}")),
            (samples, Err(why)) => samples.clone().map(|_| {
                format!(
                    "what runs only, as of any compiled program: goroutines that wait cannot be read ({why})"
                )
            }),
        },
        _ => return None,
    })
}

/// In a JDK since 9 the recorder lies beside the JVM, in Java 8 below the processor's name.
fn has_recorder(java: &Path) -> bool {
    let Some(home) =
        fs::canonicalize(java).ok().and_then(|java| Some(java.parent()?.parent()?.to_path_buf()))
    else {
        return false;
    };
    let folders = ["lib", "lib/amd64", "lib/aarch64", "jre/lib/amd64", "jre/lib/aarch64"];
    folders.iter().any(|folder| home.join(folder).join("libjfr.so").exists())
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn number(path: &str) -> Option<i64> {
    text(path)?.parse().ok()
}

/// Two numbers with a tab between.
fn ports(range: &str) -> Option<(u16, u16)> {
    let (first, last) = range.split_once(char::is_whitespace)?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

fn cpus_online() -> usize {
    let is_cpu =
        |line: &&str| line.starts_with("cpu") && line.as_bytes().get(3).is_some_and(u8::is_ascii_digit);
    text("/proc/stat").map_or(1, |stat| stat.lines().filter(is_cpu).count())
}

fn pinning() -> Result<(), String> {
    let before = sched_getaffinity(None).map_err(|e| e.to_string())?;
    let first = lens::own_cpus().first().copied().unwrap_or(0);
    let mut one = CpuSet::new();
    one.set(first);
    let pinned = sched_setaffinity(None, &one).map_err(|e| e.to_string());
    pinned.and_then(|()| sched_setaffinity(None, &before).map_err(|e| e.to_string()))
}

/// The smallest quota on the way from this process's control group to the root (cgroup v2: `cpu.max`, v1: `cpu.cfs_quota_us`).
fn cpu_quota() -> Option<f64> {
    let groups = text("/proc/self/cgroup")?;
    let quotas = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let root = match controllers {
            "" => "/sys/fs/cgroup".to_owned(),
            names if names.split(',').any(|name| name == "cpu") => format!("/sys/fs/cgroup/{names}"),
            _ => return Vec::new(),
        };
        let groups = Path::new(path.trim_start_matches('/')).ancestors();
        groups.filter_map(|group| quota_of(&Path::new(&root).join(group))).collect()
    });
    quotas.min_by(f64::total_cmp)
}

fn quota_of(group: &Path) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let both = read("cpu.max").or_else(|| {
        Some(format!("{} {}", read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim()))
    })?;
    cpus_of_quota(&both)
}

/// `50000 100000` is half a CPU; `max 100000` and `-1 100000` are no limit.
fn cpus_of_quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn sleep_late_us_p99() -> u64 {
    const SLEEP: Duration = Duration::from_millis(1);
    let late = |_| {
        let began = Instant::now();
        std::thread::sleep(SLEEP);
        began.elapsed().saturating_sub(SLEEP).as_micros() as u64
    };
    let mut late: Vec<u64> = (0..SLEEPS).map(late).collect();
    late.sort_unstable();
    late[SLEEPS * 99 / 100]
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A child that sleeps, ended in every case.
fn with_child(look: impl Fn(u32) -> Result<(), String>) -> Result<(), String> {
    struct Sleeper(Child);
    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let mut command = Command::new("sleep");
    command.arg("20").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let sleeper = Sleeper(command.spawn().map_err(|e| format!("no child could be started ({e})"))?);
    // It blocks as soon as it has begun.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let seen = look(sleeper.0.id());
        if seen.is_ok() || Instant::now() > deadline {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The first line of `/proc/stat`, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CpuTime {
    all: u64,
    idle: u64,
    steal: u64,
}

impl CpuTime {
    fn now() -> Self {
        Self::parse(&text("/proc/stat").unwrap_or_default())
    }

    /// `cpu user nice system idle iowait irq softirq steal ...` (proc_stat(5)).
    fn parse(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line.split_ascii_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
        let at = |i: usize| ticks.get(i).copied().unwrap_or(0);
        Self { all: ticks.iter().take(8).sum(), idle: at(3) + at(4), steal: at(7) }
    }

    /// Shares of stolen and of busy time.
    fn until(&self, later: &Self) -> (f64, f64) {
        let all = later.all.saturating_sub(self.all) as f64;
        if all == 0.0 {
            return (0.0, 0.0);
        }
        let steal = later.steal.saturating_sub(self.steal) as f64 / all;
        let idle = later.idle.saturating_sub(self.idle) as f64 / all;
        (steal, (1.0 - idle - steal).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read_in_cpus() {
        assert_eq!(cpus_of_quota("50000 100000\n"), Some(0.5));
        for none in ["max 100000", "-1 100000", "", "x y", "1 0"] {
            assert_eq!(cpus_of_quota(none), None, "{none}");
        }
    }

    #[test]
    fn stolen_time_is_not_busy_time() {
        let at = |line: &str| CpuTime::parse(line);
        let (steal, busy) = at("cpu 0 0 0 0 0 0 0 0 0 0").until(&at("cpu 20 0 10 50 10 0 0 10 5 0"));
        assert!((steal - 0.1).abs() < 1e-9 && (busy - 0.3).abs() < 1e-9, "{steal} {busy}");
        assert_eq!(at("").until(&at("")), (0.0, 0.0));
    }

    #[test]
    fn this_machine_can_be_examined_and_is_left_as_it_was() {
        let before = lens::own_cpus();
        let found = examine();
        assert_eq!(lens::own_cpus(), before);
        assert!(found.loopback.is_ok() && !found.cpus_allowed.is_empty(), "{found:?}");
        assert!(found.cpus_online >= found.cpus_allowed.len().min(1), "{found:?}");
        assert_eq!(ports("32768\t60999"), Some((32768, 60999)));
    }
}
