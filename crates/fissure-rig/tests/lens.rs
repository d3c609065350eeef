//! The lens against programs whose use of the machine is known from elsewhere.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fissure_facts::fact::ProbeSecond;
use fissure_rig::keeper::{Kept, Launch};
use fissure_rig::lens::{Meter, Watched};

const HANDS: &str = env!("CARGO_BIN_EXE_fissure-hands");
const PATIENCE: Duration = Duration::from_secs(60);

/// A kept program that waits at `read x < go` before it works, so that a meter sees all of its work.
struct Stage {
    folder: tempfile::TempDir,
    kept: Kept,
}

impl Stage {
    async fn new(command: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for pipe in ["go", "end"] {
            assert!(Command::new("mkfifo").arg(folder.path().join(pipe)).status().unwrap().success());
        }
        let launch = Launch {
            label: "web".to_owned(),
            command: command.to_owned(),
            folder: folder.path().to_owned(),
            output: folder.path().join("output"),
            ..Launch::default()
        };
        let kept = Kept::start(Path::new(HANDS), &launch).await.unwrap();
        Self { folder, kept }
    }

    fn watched(&self) -> Watched {
        Watched {
            roles: BTreeMap::from([("web".to_owned(), self.kept.tree())]),
            guards: vec![self.kept.guard_pid()],
            ..Watched::default()
        }
    }

    async fn go(&self) {
        let path = self.folder.path().join("go");
        tokio::task::spawn_blocking(move || fs::write(path, "\n")).await.unwrap().unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Begins, lets the program work and samples every 200 ms until it has written `done`, and once more.
    async fn measure(&self) -> Vec<ProbeSecond> {
        let mut meter = Meter::new();
        meter.begin(&self.watched());
        self.go().await;
        let (began, mut seconds) = (Instant::now(), Vec::new());
        loop {
            assert!(began.elapsed() < PATIENCE, "{:?}", self.read("output"));
            let done = !self.read("done").is_empty();
            tokio::time::sleep(Duration::from_millis(200)).await;
            seconds.push(meter.second(&self.watched(), 7, seconds.len() as u32));
            if done {
                return seconds;
            }
        }
    }
}

fn cpu_s(seconds: &[ProbeSecond]) -> f64 {
    seconds.iter().map(|second| second.app_cpu_s).sum()
}

/// The two lines of the shell's `times`: what itself used and what its children used, user and system.
fn times(text: &str) -> (f64, f64) {
    let one = |text: &str| {
        let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    let line = |n: usize| text.lines().nth(n).unwrap().split_whitespace().map(one).sum();
    (line(0), line(1))
}

const BURN: &str = "burn() { i=0; while [ $i -lt $1 ]; do i=$((i+1)); done; }";

fn python() -> Option<String> {
    let script = "import sys; print(sys.executable)";
    let output = Command::new("python3").args(["-c", script]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !path.is_empty()).then_some(path)
}

#[tokio::test]
async fn the_cpu_of_a_burner_is_what_it_says_itself() {
    let stage =
        Stage::new(&format!("{BURN}; read x < go; times > before; burn 1500000; times > done; read x < end"))
            .await;
    let seconds = stage.measure().await;
    let (truth, _) = times(&stage.read("done"));
    let measured = cpu_s(&seconds);
    assert!((measured / truth - 1.0).abs() < 0.1, "{measured} measured, {truth} used");
    let busiest: f64 = seconds.iter().filter_map(|second| second.thread_cpu_s.first()).sum();
    assert!((busiest / truth - 1.0).abs() < 0.1, "one thread did it all: {busiest} of {truth}");
    assert!(seconds.iter().all(|s| s.role_cpu_s["web"] == s.app_cpu_s && s.window == 7));
    stage.kept.stop().await;
}

#[tokio::test]
async fn the_cpu_of_workers_that_come_and_go_is_not_lost() {
    // Forty short ones that the app waits for, most of them between two looks.
    let stage = Stage::new(&format!(
        "{BURN}; read x < go; n=0; while [ $n -lt 40 ]; do (burn 30000); n=$((n+1)); done; times > done; read x < end"
    ))
    .await;
    let seconds = stage.measure().await;
    let (own, children) = times(&stage.read("done"));
    let measured = cpu_s(&seconds);
    assert!(children > 5.0 * own, "the work is the workers'");
    assert!((measured / (own + children) - 1.0).abs() < 0.1, "{measured} measured, {own} + {children} used");
    stage.kept.stop().await;
}

#[tokio::test]
async fn the_cpu_of_orphans_comes_back_to_the_guard() {
    // The parent leaves at once; the orphan works and ends; only the guard waits for it.
    let mut stage = Stage::new(&format!(
        "{BURN}; read x < go; setsid sh -c '{BURN}; burn 800000; times > truth; echo > done' & sleep 0.1; read x < end"
    ))
    .await;
    let seconds = stage.measure().await;
    let (truth, _) = times(&stage.read("truth"));
    let measured = cpu_s(&seconds);
    assert!((measured / truth - 1.0).abs() < 0.1, "{measured} measured, {truth} used");
    assert!(stage.kept.reaped_cpu().await.is_some());
    stage.kept.stop().await;
}

#[tokio::test]
async fn a_window_begins_at_zero_and_ends_with_the_machine_described() {
    let stage = Stage::new(&format!("{BURN}; burn 300000; read x < go; echo > done; read x < end")).await;
    let deadline = Instant::now() + PATIENCE;
    // Until the burning before the window is over: blocked in opening the pipe.
    loop {
        let mut meter = Meter::new();
        meter.begin(&stage.watched());
        tokio::time::sleep(Duration::from_millis(200)).await;
        let second = meter.second(&stage.watched(), 1, 0);
        if second.app_cpu_s == 0.0 && second.processes == 1 {
            assert!(second.rss_bytes > 100_000 && second.fds >= 3 && second.threads == 1, "{second:?}");
            assert!(second.memory_available_bytes > 0 && second.elapsed_s >= 0.2, "{second:?}");
            assert_eq!(second.psi_cpu_some.is_some(), Path::new("/proc/pressure/cpu").exists());
            assert!(second.thread_cpu_s.is_empty());
            break;
        }
        assert!(Instant::now() < deadline, "{second:?}");
    }
    stage.kept.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_zero() {
    let watched = Watched {
        roles: BTreeMap::from([("web".to_owned(), vec![4_194_399])]),
        guards: vec![4_194_398],
        crowd: 4_194_397,
        app_cpus: vec![4000],
        crowd_cpus: vec![4001],
    };
    let mut meter = Meter::new();
    meter.begin(&watched);
    let second = meter.second(&watched, 1, 0);
    assert_eq!((second.app_cpu_s, second.rss_bytes, second.fds, second.threads), (0.0, 0, 0, 0));
    assert_eq!((second.crowd_cpu_s, second.steal_s, second.other_cpu_s), (0.0, 0.0, 0.0));
    assert_eq!(second.role_cpu_s, BTreeMap::from([("web".to_owned(), 0.0)]));
}

#[tokio::test]
async fn switches_and_written_bytes_are_counted() {
    let Some(python) = python() else { return };
    let program = "import os, time\nfor i in range(100): time.sleep(0.002)\nf = os.open('data', os.O_CREAT | os.O_WRONLY)\nos.write(f, b'x' * 4000000); os.fsync(f)\nopen('done', 'w').write('1'); time.sleep(1000)";
    let stage = Stage::new(&format!("read x < go; exec {python} -c \"{program}\"")).await;
    let seconds = stage.measure().await;
    let sum = |of: fn(&ProbeSecond) -> u64| seconds.iter().map(of).sum::<u64>();
    assert!(sum(|s| s.voluntary_switches) >= 100, "{}", sum(|s| s.voluntary_switches));
    let written = sum(|s| s.write_bytes);
    // A file system in memory writes nothing to storage.
    assert!(written == 0 || (4_000_000..40_000_000).contains(&written), "{written}");
    stage.kept.stop().await;
}

/// A database on the same machine voided every window: what it worked for the app counted as a neighbour's noise.
#[tokio::test]
async fn the_database_beside_the_app_is_linked_and_no_neighbour() {
    let Some(python) = python() else { return };
    let database = "import os, socket, time\ns = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\nc, _ = s.accept()\nif os.fork() == 0:\n    c.recv(1)\n    while time.process_time() < 0.4: pass\n    c.sendall(b'!'); time.sleep(1000)\nos.wait()";
    let mut database = Command::new(&python)
        .args(["-c", database])
        .stdout(std::process::Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut port = String::new();
    std::io::BufReader::new(database.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let app = format!(
        "import socket, time\nc = socket.create_connection(('127.0.0.1', {}))\nopen('connected', 'w').close()\nopen('go').read(); c.sendall(b'?'); c.recv(1)\nopen('done', 'w').write('1'); time.sleep(1000)",
        port.trim()
    );
    let stage = Stage::new(&format!("exec {python} -c \"{app}\"")).await;
    let began = Instant::now();
    while !stage.folder.path().join("connected").exists() && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seconds = stage.measure().await;
    let linked: f64 = seconds.iter().map(|s| s.linked_cpu_s).sum();
    rustix::process::kill_process_group(
        rustix::process::Pid::from_child(&database),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    database.wait().unwrap();
    // Its child worked for 0.4 s; what it did before the window does not count, nor what ticks round off.
    assert!((0.3..0.5).contains(&linked), "{linked}");
    stage.kept.stop().await;
}

#[tokio::test]
async fn a_neighbour_on_the_apps_cpus_is_seen_and_the_app_itself_is_not_one() {
    let stage = Stage::new(&format!("{BURN}; read x < go; burn 2000000; times > done; read x < end")).await;
    let all: Vec<usize> = (0..std::thread::available_parallelism().unwrap().get()).collect();
    let mut meter = Meter::new();
    let watched = || Watched { app_cpus: all.clone(), crowd_cpus: all.clone(), ..stage.watched() };
    meter.begin(&watched());
    stage.go().await;
    // The neighbour: a child of this test, of which the meter knows nothing.
    let script = format!("{BURN}; burn 2000000; times");
    let neighbour =
        Command::new("/bin/sh").args(["-c", &script]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let neighbour = tokio::task::spawn_blocking(|| neighbour.wait_with_output()).await.unwrap().unwrap();
    let second = meter.second(&watched(), 1, 0);
    let (used, _) = times(&String::from_utf8(neighbour.stdout).unwrap());
    // Others on this machine may add to it; ticks are sampled, so allow a third.
    assert!(second.other_cpu_s > 0.66 * used, "{} seen, {used} used by the neighbour", second.other_cpu_s);
    stage.kept.stop().await;
}

/// CPU of this thread so far: `self` would be the main thread, which only waits for the tests.
fn own_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_look_at_fifty_processes_with_five_hundred_threads_is_cheap() {
    let Some(python) = python() else { return };
    let program = "import os, threading, time\nfor i in range(49):\n  if os.fork() == 0: break\nfor i in range(9): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\ntime.sleep(1000)";
    let stage = Stage::new(&format!("exec {python} -c \"{program}\"")).await;
    let (began, mut meter) = (Instant::now(), Meter::new());
    loop {
        meter.begin(&stage.watched());
        let second = meter.second(&stage.watched(), 1, 0);
        if (second.processes, second.threads) == (50, 500) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{} {}", second.processes, second.threads);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let watched = stage.watched();
    let looks: u32 = 20;
    let cpu = own_cpu_ns();
    for second in 0..looks {
        meter.second(&watched, 1, second);
    }
    let of_looks = Duration::from_nanos(own_cpu_ns() - cpu) / looks;
    let cpu = own_cpu_ns();
    for _ in 0..looks {
        stage.watched();
    }
    let of_trees = Duration::from_nanos(own_cpu_ns() - cpu) / looks;
    println!("a look costs {of_looks:?} of CPU, finding the tree {of_trees:?}");
    assert!(of_looks > Duration::ZERO && of_trees > Duration::ZERO, "the measurement itself must work");
    assert!(of_looks < Duration::from_millis(250), "a quarter of a second in every second: {of_looks:?}");
    stage.kept.stop().await;
}
