//! What a machine allows, what falls away without it, and what to do: the answer of `fissure doctor`.

use anstyle::Style;
use fissure_facts::examination::Examination;
use serde_json::{Value, json};

use crate::terminal::{Page, sign};
use crate::units::{count, number, percent};

/// More of the CPUs in other hands than this, and windows will be void.
const BUSY: f64 = 0.15;
const STOLEN: f64 = 0.02;
/// A sleep that ends later than this makes latencies coarse.
const LATE_US: u64 = 2_000;
/// Users at once that open files and ports should do for.
const MANY: u64 = 4_096;
/// Fewer open files than this, and no load can be played.
const FEWEST_FILES: u64 = 256;

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Fine,
    /// fissure works, with less.
    Less,
    /// fissure cannot work.
    Essential,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub name: &'static str,
    pub standing: Standing,
    pub found: String,
    pub falls_away: Option<&'static str>,
    pub what_to_do: Option<&'static str>,
}

impl Finding {
    fn fine(name: &'static str, found: String) -> Self {
        Self { name, standing: Standing::Fine, found, falls_away: None, what_to_do: None }
    }

    /// With what falls away and what to do, where it does not hold.
    fn unless(
        holds: bool,
        standing: Standing,
        name: &'static str,
        found: String,
        without: [&'static str; 2],
    ) -> Self {
        if holds {
            return Self::fine(name, found);
        }
        let [falls_away, what_to_do] = without.map(Some);
        Self { name, standing, found, falls_away, what_to_do }
    }
}

/// Everything that was looked at, the essential first.
pub fn findings(seen: &Examination) -> Vec<Finding> {
    let mut list = ground(seen);
    list.extend(quiet(seen));
    list.extend(instruments(seen));
    list
}

/// Is nothing missing without which no verb that measures can work?
pub fn can_work(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.standing != Standing::Essential)
}

/// CPUs, files and ports.
fn ground(seen: &Examination) -> Vec<Finding> {
    use Standing::{Essential, Less};
    let allowed = seen.cpus_allowed.len();
    let cpus = format!("{allowed} of {} may be used", seen.cpus_online);
    let files = seen.files_hard.map_or("no limit".to_owned(), |hard| {
        format!("{} open at once, {hard} when asked for", seen.files_soft.unwrap_or(hard))
    });
    let few_files = seen.files_hard.is_some_and(|hard| hard < FEWEST_FILES);
    let ports = seen.ports.map_or("not known".to_owned(), |(first, last)| format!("{first} to {last}"));
    let many_ports = seen.ports.is_none_or(|(first, last)| u64::from(last.saturating_sub(first)) >= MANY);
    vec![
        Finding::unless(
            seen.loopback.is_ok(),
            Essential,
            "127.0.0.1",
            said(&seen.loopback, "can be listened on"),
            [
                "Everything: the app is loaded over 127.0.0.1.",
                "Bring the loopback interface up (`ip link set lo up`).",
            ],
        ),
        Finding::unless(
            allowed >= 2,
            Less,
            "CPUs",
            cpus,
            [
                "A CPU of its own for the load generator: the app shares its only one, and figures are coarser.",
                "Use a machine, container or `taskset` with two CPUs or more.",
            ],
        ),
        Finding::unless(
            seen.pinning.is_ok(),
            Less,
            "CPU sets",
            said(&seen.pinning, "processes can be kept to theirs"),
            [
                "Keeping the app and the load generator apart.",
                "Allow `sched_setaffinity` (a container's seccomp profile may forbid it).",
            ],
        ),
        Finding::unless(
            seen.cpu_quota.is_none_or(|quota| quota >= allowed as f64),
            Less,
            "CPU quota",
            seen.cpu_quota
                .map_or("none".to_owned(), |quota| format!("{} CPUs by its control group", number(quota))),
            [
                "Steady CPUs: the kernel stops app and load generator together for parts of every tenth of a second.",
                "Lift the quota (`cpu.max`; `--cpus` of docker) and give whole CPUs instead (`--cpuset-cpus`).",
            ],
        ),
        Finding::unless(
            seen.files_hard.is_none_or(|hard| hard >= MANY),
            if few_files { Essential } else { Less },
            "open files",
            files,
            [
                "Many users at once: each holds a connection.",
                "Raise the hard limit (`ulimit -Hn`, `LimitNOFILE=`).",
            ],
        ),
        Finding::unless(
            many_ports,
            Less,
            "ports",
            ports,
            [
                "Many connections to one address.",
                "Widen the range: `sysctl net.ipv4.ip_local_port_range=\"15000 60999\"`.",
            ],
        ),
    ]
}

/// Clocks and neighbours.
fn quiet(seen: &Examination) -> Vec<Finding> {
    use Standing::Less;
    let clock = seen.clock_source.clone().unwrap_or("unknown".to_owned());
    let cheap = !["acpi_pm", "hpet", "jiffies"].contains(&clock.as_str());
    vec![
        Finding::unless(
            cheap,
            Less,
            "clock",
            clock,
            [
                "Cheap time stamps: each costs a microsecond, and the load generator takes thousands a second.",
                "Let the kernel use `tsc` or the hypervisor's own clock.",
            ],
        ),
        Finding::unless(
            seen.sleep_late_us_p99 <= LATE_US,
            Less,
            "timers",
            format!("a sleep ends up to {} late", micros(seen.sleep_late_us_p99)),
            [
                "Short latencies: what is late counts as latency.",
                "Close other programs, or use a quieter machine.",
            ],
        ),
        Finding::unless(
            seen.busy_share <= BUSY,
            Less,
            "neighbours",
            format!("{} of the CPUs is in use now", percent(seen.busy_share)),
            [
                "Windows in which others used the app's CPUs: they are void, and a check takes longer or cannot tell.",
                "Close other programs while fissure measures.",
            ],
        ),
        Finding::unless(
            seen.steal_share <= STOLEN,
            Less,
            "stolen time",
            format!("{} now", percent(seen.steal_share)),
            [
                "Windows in which the hypervisor took CPUs away: they are void.",
                "Use a machine with CPUs of its own.",
            ],
        ),
        Finding::unless(
            seen.pressure,
            Less,
            "pressure",
            if seen.pressure { "told by the kernel" } else { "not told" }.to_owned(),
            ["Waits for memory and disk that the whole machine suffers.", "Boot with `psi=1`."],
        ),
    ]
}

/// What looks into the app.
fn instruments(seen: &Examination) -> Vec<Finding> {
    use Standing::Less;
    let paranoid = seen.perf_event_paranoid.map_or("not known".to_owned(), |level| level.to_string());
    let samples = match &seen.samples {
        Ok(true) => format!(
            "the app's own code can be sampled, the kernel's part not (perf_event_paranoid {paranoid})"
        ),
        Ok(false) => {
            format!("the app can be sampled, the kernel's part too (perf_event_paranoid {paranoid})")
        }
        Err(why) => format!("none: {why} (perf_event_paranoid {paranoid})"),
    };
    let scope = seen.ptrace_scope.map_or("no Yama".to_owned(), |scope| format!("ptrace_scope {scope}"));
    let stacks = match &seen.stacks {
        Ok(()) => format!("stacks of waiting threads can be read ({scope})"),
        Err(why) => format!("no stack can be read: {why} ({scope})"),
    };
    let mut list = vec![
        Finding::unless(
            seen.samples.is_ok(),
            Less,
            "lines that run",
            samples,
            [
                "Which lines of compiled programs use the CPU.",
                "`sysctl kernel.perf_event_paranoid=2` (in a container also allow `perf_event_open`).",
            ],
        ),
        Finding::unless(
            seen.stacks.is_ok(),
            Less,
            "lines that wait",
            stacks,
            [
                "Which lines wait, for what, and who holds the lock.",
                "`sysctl kernel.yama.ptrace_scope=1` or less (in a container: `--cap-add SYS_PTRACE`).",
            ],
        ),
        Finding::unless(
            seen.connections.is_ok(),
            Less,
            "connections",
            said(&seen.connections, "their counters can be read"),
            [
                "Whose answers an event loop waits for.",
                "Load the kernel's `tcp_diag` module, or allow netlink sockets in the container.",
            ],
        ),
        Finding::unless(
            seen.holds.is_ok(),
            Less,
            "faults of processes",
            said(&seen.holds, "processes can be paused, killed and limited"),
            [
                "Every fault of a process in `fissure chaos`: shown as not tried.",
                "Use Linux 5.3 or newer (in a container allow `pidfd_open`).",
            ],
        ),
        Finding::unless(
            seen.calls.is_ok(),
            Less,
            "system calls",
            said(
                &seen.calls,
                "a disk can be full or fail for the app alone, and copies of an app on a fixed port get others",
            ),
            [
                "`disk-full` and `fsync` in `fissure chaos`: shown as not tried. Remedies with copies, for an app with `port` under [app]: not rehearsed.",
                "Use Linux 5.5 or newer (in a container allow `seccomp` with its user notification).",
            ],
        ),
        Finding::unless(
            seen.clock_library.is_some(),
            Less,
            "faults of clocks",
            seen.clock_library.clone().unwrap_or("libfaketime is not installed".to_owned()),
            ["`clock` in `fissure chaos`: shown as not tried.", "Install it: `apt install libfaketime`."],
        ),
        Finding::fine(
            "instruments",
            format!(
                "{}: {}",
                count(seen.instruments.len() as u64, "instrument", "instruments"),
                seen.instruments.join(", ")
            ),
        ),
    ];
    if seen.runtimes.is_empty() {
        list.push(Finding::fine("runtimes", "none on the PATH".to_owned()));
    }
    list.extend(seen.runtimes.iter().map(|runtime| match seen.lines.get(runtime) {
        Some(lines) => Finding::unless(
            lines.is_ok(),
            Less,
            "lines",
            format!("{runtime}: {}", lines.as_ref().unwrap_or_else(|why| why)),
            [
                "Which lines of its programs run, or wait.",
                "For Java use a runtime with the module `jdk.jfr`; for others mend the points above.",
            ],
        ),
        // What fissure itself lacks is no fault of the machine.
        None => Finding::fine("lines", format!("{runtime}: not named, fissure has no instrument for it")),
    }));
    list
}

fn said(outcome: &Result<(), String>, fine: &str) -> String {
    match outcome {
        Ok(()) => fine.to_owned(),
        Err(why) => why.clone(),
    }
}

fn micros(us: u64) -> String {
    format!("{} ms", number(us as f64 / 1e3))
}

/// For a terminal of `width` columns.
pub fn terminal(findings: &[Finding], width: usize) -> String {
    let mut page = Page::new(width);
    for finding in findings {
        let (mark, colour) = sign(match finding.standing {
            Standing::Fine => Some(true),
            Standing::Less => None,
            Standing::Essential => Some(false),
        });
        let style = Style::new().bold().fg_color(Some(colour.into()));
        page.text.push_str(&format!("{style}{mark}{style:#} "));
        page.first_line(&format!("{}: {}", finding.name, finding.found));
        if let (Some(falls_away), Some(what_to_do)) = (finding.falls_away, finding.what_to_do) {
            page.paragraph("    ", Style::new(), &format!("What falls away: {falls_away} {what_to_do}"));
        }
    }
    page.blank();
    let less = findings.iter().filter(|f| f.standing == Standing::Less).count() as u64;
    let end = match (can_work(findings), less) {
        (false, _) => "Something essential is missing: fissure cannot measure here.".to_owned(),
        (true, 0) => "Everything that fissure can do works here.".to_owned(),
        (true, _) => format!("fissure works here, with less in {}.", count(less, "point", "points")),
    };
    page.paragraph("", Style::new().bold(), &end);
    page.text
}

/// `fissure.doctor/1`; what was seen stands beside what it means.
pub fn json(seen: &Examination, findings: &[Finding]) -> Value {
    let finding = |f: &Finding| {
        let standing = match f.standing {
            Standing::Fine => "fine",
            Standing::Less => "less",
            Standing::Essential => "essential",
        };
        json!({ "name": f.name, "standing": standing, "found": f.found, "falls_away": f.falls_away, "what_to_do": f.what_to_do })
    };
    json!({
        "schema": "fissure.doctor/1",
        "works": can_work(findings),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "seen": seen,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn good() -> Examination {
        Examination {
            cpus_allowed: vec![0, 1],
            cpus_online: 2,
            pinning: Ok(()),
            cpu_quota: None,
            steal_share: 0.0,
            busy_share: 0.02,
            pressure: true,
            clock_source: Some("tsc".to_owned()),
            sleep_late_us_p99: 120,
            files_soft: Some(1024),
            files_hard: Some(1 << 20),
            ports: Some((32768, 60999)),
            loopback: Ok(()),
            perf_event_paranoid: Some(2),
            samples: Ok(true),
            ptrace_scope: None,
            stacks: Ok(()),
            connections: Ok(()),
            calls: Ok(()),
            clock_library: Some("/usr/lib/faketime/libfaketimeMT.so.1".to_owned()),
            holds: Ok(()),
            instruments: vec!["native".to_owned(), "waits".to_owned()],
            runtimes: vec!["node".to_owned(), "deno".to_owned()],
            lines: BTreeMap::from([("node".to_owned(), Ok("what runs, by its inspector".to_owned()))]),
        }
    }

    #[test]
    fn a_good_machine_lacks_nothing() {
        let findings = findings(&good());
        assert!(findings.iter().all(|f| f.standing == Standing::Fine), "{findings:#?}");
        assert!(terminal(&findings, 80).contains("Everything that fissure can do works here"));
    }

    #[test]
    fn what_is_missing_is_told_with_what_falls_away_and_what_to_do() {
        let no = || Err("no".to_owned());
        let poor = Examination {
            cpus_allowed: vec![0],
            pinning: no(),
            cpu_quota: Some(0.5),
            steal_share: 0.2,
            busy_share: 0.9,
            pressure: false,
            clock_source: Some("hpet".to_owned()),
            sleep_late_us_p99: 9_000,
            files_hard: Some(1_000),
            ports: Some((32768, 33000)),
            samples: Err("no".to_owned()),
            stacks: no(),
            connections: no(),
            calls: no(),
            clock_library: None,
            holds: no(),
            lines: BTreeMap::from([("node".to_owned(), Err("no".to_owned()))]),
            ..good()
        };
        let less = findings(&poor);
        let lacking = less.iter().filter(|f| f.standing == Standing::Less);
        assert_eq!(lacking.clone().count(), less.len() - 3, "all but loopback, instruments, Deno: {less:#?}");
        assert!(lacking.clone().all(|f| f.falls_away.is_some() && f.what_to_do.is_some()));
        assert!(can_work(&less), "poor, but it works");

        for broken in
            [Examination { loopback: no(), ..good() }, Examination { files_hard: Some(64), ..good() }]
        {
            let findings = findings(&broken);
            assert!(!can_work(&findings));
            assert_eq!(json(&broken, &findings)["works"], false);
        }
    }
}
