//! The keeper against programs that fork, hide, refuse to die, and fail to start in every way.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fissure_facts::{HttpVersion, Protocol};
use fissure_rig::keeper::{
    Kept, Launch, MovedPort, NotReady, SetupError, can_intercept, cpu_split, free_port, port_taken, setup,
    sweep, wait_ready,
};
use rustix::process::{Pid, Signal, kill_process};

const PLAIN: Protocol = Protocol { tls: false, http: None };
const HANDS: &str = env!("CARGO_BIN_EXE_fissure-hands");
/// Only a hang is a failure: the machine may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder for a launch, and a marker in the environment of everything that is started from it.
struct Stage {
    folder: tempfile::TempDir,
    marker: String,
}

impl Stage {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let marker = format!("stage-{}-{}.", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { folder: tempfile::tempdir().unwrap(), marker }
    }

    fn launch(&self, command: &str) -> Launch {
        Launch {
            label: "web".to_owned(),
            command: command.to_owned(),
            folder: self.folder.path().to_owned(),
            env: vec![("FISSURE_TEST_MARKER".to_owned(), self.marker.clone())],
            output: self.folder.path().join("output"),
            ..Launch::default()
        }
    }

    async fn keep(&self, command: &str) -> Kept {
        Kept::start(Path::new(HANDS), &self.launch(command)).await.unwrap()
    }

    /// Live processes that carry the marker.
    fn alive(&self) -> Vec<u32> {
        let entry = format!("FISSURE_TEST_MARKER={}", self.marker);
        processes()
            .filter(|pid| {
                let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                let marked = environ.split(|&b| b == 0).any(|e| e == entry.as_bytes());
                marked && lives(*pid)
            })
            .collect()
    }

    /// Waits until so many processes are there; the shells of a script take their time.
    async fn wait_for(&self, count: usize) -> Vec<u32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let alive = self.alive();
            if alive.len() >= count {
                return alive;
            }
            assert!(Instant::now() < deadline, "{} of {count} processes came", alive.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_gone(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.alive().is_empty() {
            assert!(Instant::now() < deadline, "left behind: {:?}", self.alive());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    async fn wait_for_file(&self, name: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while !self.read(name).ends_with('\n') {
            assert!(Instant::now() < deadline, "{name} was not written");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.read(name)
    }
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok())
}

fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn kill_9(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// The interpreter itself: a version manager's shim would only add processes.
fn python() -> Option<String> {
    let script = "import sys; print(sys.executable)";
    let output = Command::new("python3").args(["-c", script]).stderr(Stdio::null()).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !path.is_empty()).then_some(path)
}

/// Starts a Python program, or None where there is no Python.
async fn keep_python(stage: &Stage, program: &str, port: u16) -> Option<Kept> {
    let python = python()?;
    fs::write(stage.folder.path().join("app.py"), program).unwrap();
    let mut launch = stage.launch(&format!("{python} app.py"));
    launch.env.push(("PORT".to_owned(), port.to_string()));
    Some(Kept::start(Path::new(HANDS), &launch).await.unwrap())
}

/// A server that answers every request with `STATUS` after `sleep` seconds, at `host`:`port`.
fn server(host: &str, port: &str, status: u16, sleep: &str) -> String {
    format!(
        r#"
import http.server, os, socket, time
time.sleep({sleep})
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"the database is away"
        self.send_response({status}); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
class S(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in "{host}" else socket.AF_INET
    def server_bind(self):
        if ":" in "{host}": self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()
S(("{host}", {port}), H).serve_forever()
"#
    )
}

const OUR_PORT: &str = "int(os.environ['PORT'])";

// Ending

#[tokio::test]
async fn a_tree_that_ignores_sigterm_is_gone_after_stop() {
    let stage = Stage::new();
    let kept = stage.keep("trap '' TERM; sh -c 'sleep 1000 & sleep 1000; true' & sleep 1000; true").await;
    stage.wait_for(5).await;
    kept.stop_within(Duration::from_millis(300)).await;
    assert!(stage.alive().is_empty(), "{:?}", stage.alive());
}

#[tokio::test]
async fn a_polite_app_gets_the_time_to_clean_up() {
    let stage = Stage::new();
    let kept = stage
        .keep(
            "trap 'sleep 0.3; echo cleaned > cleaned; exit 0' TERM; echo > up; while :; do sleep 0.05; done",
        )
        .await;
    stage.wait_for_file("up").await;
    kept.stop_within(PATIENCE).await;
    assert_eq!(stage.read("cleaned"), "cleaned\n");
    assert!(stage.alive().is_empty(), "{:?}", stage.alive());
}

#[tokio::test]
async fn daemons_that_fork_twice_into_sessions_of_their_own_are_kept_and_ended() {
    let stage = Stage::new();
    let mut kept = stage
        .keep("setsid sh -c 'setsid sh -c \"sleep 1000; true\" & setsid sleep 1001 & exit 0' & exit 0")
        .await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let tree: BTreeSet<u32> = kept.tree().into_iter().collect();
        let alive: BTreeSet<u32> = stage.alive().into_iter().collect();
        if tree.len() == 3 && tree == alive {
            break;
        }
        assert!(Instant::now() < deadline, "tree {tree:?}, alive {alive:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!lives(kept.pid()), "the launcher has left");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(kept.died(), None, "a launcher that leaves with success while its daemons live has not died");
    kept.stop().await;
    assert!(stage.alive().is_empty(), "{:?}", stage.alive());
}

#[tokio::test]
async fn an_app_whose_daemons_all_end_has_died() {
    let stage = Stage::new();
    let mut kept = stage.keep("setsid sh -c 'sleep 0.3' & exit 0").await;
    let deadline = Instant::now() + PATIENCE;
    let how = loop {
        if let Some(how) = kept.died() {
            break how;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(how, "exit status 0");
    assert!(kept.tree().is_empty());
    kept.stop().await;
}

#[tokio::test]
async fn a_tree_that_keeps_forking_is_ended() {
    let stage = Stage::new();
    let kept = stage
        .keep("trap '' TERM; f() { (trap '' TERM; sleep 1000 & sleep 0.02; f) & }; f; f; f; sleep 1000; true")
        .await;
    stage.wait_for(20).await;
    kept.stop_within(Duration::from_millis(100)).await;
    assert!(stage.alive().is_empty(), "{:?}", stage.alive());
}

#[tokio::test]
async fn a_paused_tree_is_ended() {
    let stage = Stage::new();
    let kept = stage.keep("sleep 1000 & sleep 1000; true").await;
    for pid in stage.wait_for(3).await {
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::STOP).unwrap();
    }
    kept.stop().await;
    assert!(stage.alive().is_empty(), "{:?}", stage.alive());
}

#[tokio::test]
async fn dropping_is_enough() {
    let stage = Stage::new();
    let kept = stage.keep("sleep 1000 & sleep 1000; true").await;
    stage.wait_for(3).await;
    drop(kept);
    stage.wait_until_gone().await;
}

// Killed

/// Not a test by itself: the process that `a_killed_fissure_leaves_nothing` starts and kills.
#[tokio::test]
async fn a_parent_to_be_killed() {
    let Ok(marker) = std::env::var("FISSURE_TEST_PARENT") else { return };
    let mut stage = Stage::new();
    stage.marker = marker;
    let command = "trap '' TERM; setsid sh -c 'sleep 1000 & exit 0'; sh -c 'trap \"\" TERM; sleep 1000; true' & sleep 1000; true";
    let _kept = stage.keep(command).await;
    tokio::time::sleep(Duration::from_secs(1000)).await;
}

/// What it writes goes away with the stage: itself it will not have the time.
fn start_parent(stage: &Stage) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_parent_to_be_killed", "--nocapture"])
        .env("FISSURE_TEST_PARENT", &stage.marker)
        .env("TMPDIR", stage.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_killed_fissure_leaves_nothing() {
    // Side by side, since each waits for the grace of an app that ignores SIGTERM.
    futures_util::future::join_all((0..4).map(async |moment| {
        for round in 0..5 {
            let stage = Stage::new();
            let mut parent = start_parent(&stage);
            // At ever other moments: while the guard starts, while the app does, when all stands.
            match moment {
                0 => drop(stage.wait_for(1).await),
                1 => drop(stage.wait_for(3).await),
                2 => drop(stage.wait_for(5).await),
                _ => tokio::time::sleep(Duration::from_millis(30 + 40 * round)).await,
            }
            kill_9(parent.id());
            parent.wait().unwrap();
            stage.wait_until_gone().await;
            // A guard that was just beginning must not start the app late.
            tokio::time::sleep(Duration::from_millis(50)).await;
            stage.wait_until_gone().await;
        }
    }))
    .await;
}

#[tokio::test]
async fn a_killed_guard_leaves_nothing_while_fissure_lives() {
    let stage = Stage::new();
    let mut kept = stage.keep("setsid sh -c 'sleep 1000 & exit 0'; sleep 1000 & sleep 1000; true").await;
    stage.wait_for(4).await;
    kill_9(kept.guard_pid());
    stage.wait_until_gone().await;
    assert!(kept.died().unwrap().contains("guard was killed"));
    kept.stop().await;
}

#[tokio::test]
async fn what_outlives_both_fissure_and_guard_is_swept_at_the_next_start() {
    let stage = Stage::new();
    let mut parent = start_parent(&stage);
    let alive = stage.wait_for(5).await;
    // Parent pids: the guard is the one above the oldest of ours.
    let guard = alive
        .iter()
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
        })
        .find(|pid| !alive.contains(pid))
        .unwrap();
    // The guard first, frozen parent: nobody is left who could clean up.
    kill_process(Pid::from_raw(i32::try_from(parent.id()).unwrap()).unwrap(), Signal::STOP).unwrap();
    kill_9(guard);
    kill_9(parent.id());
    parent.wait().unwrap();
    sweep();
    stage.wait_until_gone().await;
}

/// What a JVM does when a tool has asked for its socket, and one that is too busy to end within the grace.
const JVM: &str = "
import os, signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
path = f'/tmp/.java_pid{os.getpid()}'
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
with open('up', 'w') as up: print(path, file=up)
while 1: time.sleep(1000)";

#[tokio::test]
async fn the_socket_of_a_killed_jvm_goes_with_it() {
    for guard_is_killed in [false, true] {
        let stage = Stage::new();
        let Some(kept) = keep_python(&stage, JVM, 0).await else { return };
        let socket = PathBuf::from(stage.wait_for_file("up").await.trim_end());
        assert!(socket.exists(), "{socket:?}");
        if guard_is_killed {
            kill_9(kept.guard_pid());
        }
        kept.stop_within(Duration::from_millis(100)).await;
        assert!(!socket.exists(), "{socket:?}");
    }
}

// Starting

#[tokio::test]
async fn the_last_lines_of_an_app_that_dies_at_once_are_shown() {
    let stage = Stage::new();
    let mut kept = stage.keep("echo one; echo two >&2; exit 3").await;
    let port = free_port().unwrap();
    let not_ready = wait_ready(&mut kept, port, PLAIN, "/", PATIENCE).await.unwrap_err();
    assert_eq!(
        not_ready,
        NotReady::Died {
            how: "exit status 3".to_owned(),
            last_lines: vec!["one".to_owned(), "two".to_owned()]
        }
    );
    kept.stop().await;
}

#[tokio::test]
async fn a_command_that_does_not_exist_says_so_in_its_last_lines() {
    let stage = Stage::new();
    let mut kept = stage.keep("no-such-program-of-mine --serve").await;
    let not_ready = wait_ready(&mut kept, 1, PLAIN, "/", PATIENCE).await.unwrap_err();
    assert!(matches!(&not_ready, NotReady::Died { how, .. } if how == "exit status 127"), "{not_ready:?}");
    assert!(not_ready.last_lines()[0].contains("no-such-program-of-mine"));
    kept.stop().await;
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_an_error_before_anything_runs() {
    let stage = Stage::new();
    let mut launch = stage.launch("true");
    launch.folder = PathBuf::from("/no/such/folder");
    let error = Kept::start(Path::new(HANDS), &launch).await.unwrap_err().to_string();
    assert!(error.contains("/no/such/folder") && error.contains("does not exist"), "{error}");
}

#[tokio::test]
async fn an_app_that_starts_late_is_waited_for() {
    let (stage, port) = (Stage::new(), free_port().unwrap());
    let Some(mut kept) = keep_python(&stage, &server("127.0.0.1", OUR_PORT, 404, "1"), port).await else {
        return;
    };
    wait_ready(&mut kept, port, PLAIN, "/health?x=1", PATIENCE).await.unwrap();
    kept.stop().await;
    assert_eq!(port_taken(port), None);
}

#[tokio::test]
async fn another_port_is_named() {
    let (stage, port, other) = (Stage::new(), free_port().unwrap(), free_port().unwrap());
    let Some(mut kept) = keep_python(&stage, &server("127.0.0.1", &other.to_string(), 200, "0"), port).await
    else {
        return;
    };
    let not_ready = wait_ready(&mut kept, port, PLAIN, "/", Duration::from_secs(8)).await.unwrap_err();
    assert_eq!(not_ready, NotReady::OtherPort { wanted: port, listening: vec![other] });
    let sentence = not_ready.to_string();
    assert!(sentence.contains(&format!("listens on port {other}, not on $PORT={port}")), "{sentence}");
    kept.stop().await;
}

#[tokio::test]
async fn an_app_that_rests_on_another_port_is_not_waited_for_to_the_end() {
    let (stage, port, other) = (Stage::new(), free_port().unwrap(), free_port().unwrap());
    let Some(mut kept) = keep_python(&stage, &server("127.0.0.1", &other.to_string(), 200, "0"), port).await
    else {
        return;
    };
    let began = Instant::now();
    let within = Duration::from_secs(600);
    wait_ready(&mut kept, port, PLAIN, "/", within).await.unwrap_err();
    assert!(began.elapsed() < within / 2);
    kept.stop().await;
}

#[tokio::test]
async fn an_address_that_127_0_0_1_does_not_reach_is_named() {
    let (stage, port) = (Stage::new(), free_port().unwrap());
    if TcpListener::bind("[::1]:0").is_err() {
        return; // a machine without IPv6
    }
    let Some(mut kept) = keep_python(&stage, &server("::1", OUR_PORT, 200, "0"), port).await else { return };
    let not_ready = wait_ready(&mut kept, port, PLAIN, "/", Duration::from_secs(8)).await.unwrap_err();
    assert_eq!(not_ready, NotReady::OtherAddress { wanted: port, listening: vec!["::1".parse().unwrap()] });
    kept.stop().await;
}

#[tokio::test]
async fn an_app_that_never_listens_is_told_from_one_that_never_answers() {
    let (stage, port) = (Stage::new(), free_port().unwrap());
    let mut kept = stage.keep("echo thinking; sleep 1000").await;
    let not_ready = wait_ready(&mut kept, port, PLAIN, "/", Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(&not_ready, NotReady::NeverListened { .. }), "{not_ready:?}");
    assert_eq!(not_ready.last_lines(), ["thinking"]);
    kept.stop().await;

    let silent = "import socket, os, time\ns = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\nopen('up', 'w').write('\\n')\nwhile 1: c = s.accept(); time.sleep(1000)";
    let Some(mut kept) = keep_python(&stage, silent, port).await else { return };
    stage.wait_for_file("up").await;
    let not_ready = wait_ready(&mut kept, port, PLAIN, "/", Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(&not_ready, NotReady::NeverAnswered { .. }), "{not_ready:?}");
    kept.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_no_answer() {
    let (stage, port) = (Stage::new(), free_port().unwrap());
    let program = "import socket, os\ns = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\nopen('up', 'w').write('\\n')\nwhile 1:\n  c, _ = s.accept(); c.sendall(b'220 mail ready\\r\\n'); c.close()";
    let Some(mut kept) = keep_python(&stage, program, port).await else { return };
    stage.wait_for_file("up").await;
    let not_ready = wait_ready(&mut kept, port, PLAIN, "/", Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(&not_ready, NotReady::NeverAnswered { .. }), "{not_ready:?}");
    kept.stop().await;
}

#[tokio::test]
async fn an_app_that_speaks_tls_or_http2_only_is_recognised_and_awaited() {
    let stage = Stage::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(stage.folder.path().join("pem"), made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
    let two = Protocol { tls: false, http: Some(HttpVersion::Two) };
    for (program, protocol) in [(TLS_ONLY, Protocol { tls: true, http: None }), (HTTP2_ONLY, two)] {
        let port = free_port().unwrap();
        let Some(mut kept) = keep_python(&stage, program, port).await else { return };
        let not_ready = wait_ready(&mut kept, port, PLAIN, "/", PATIENCE).await.unwrap_err();
        assert_eq!(not_ready, NotReady::SpeaksOtherwise { port, speaks: protocol });
        wait_ready(&mut kept, port, protocol, "/", PATIENCE).await.unwrap();
        kept.stop().await;
    }
}

const TLS_ONLY: &str = "
import http.server, os, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('pem')
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()";

/// Just enough of HTTP/2 for one answer on each stream.
const HTTP2_ONLY: &str = r"
import os, socket
def frame(kind, flags, stream, payload=b''):
    return len(payload).to_bytes(3, 'big') + bytes([kind, flags]) + stream + payload
server = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
while 1:
    connection, _ = server.accept()
    with connection, connection.makefile('rb') as stream:
        read = stream.read
        if read(24) == b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n':
            connection.sendall(frame(4, 0, bytes(4)) + frame(4, 1, bytes(4)))
            while len(head := read(9)) == 9:
                read(int.from_bytes(head[:3], 'big'))
                if head[3] == 1:
                    connection.sendall(frame(1, 5, head[5:], b'\x88'))";

#[tokio::test]
async fn an_app_that_is_up_but_not_well_shows_its_answer() {
    let (stage, port) = (Stage::new(), free_port().unwrap());
    let program = server("127.0.0.1", OUR_PORT, 503, "0").replace("S((", "open('up', 'w').write('\\n')\nS((");
    let Some(mut kept) = keep_python(&stage, &program, port).await else { return };
    stage.wait_for_file("up").await;
    let not_ready = wait_ready(&mut kept, port, PLAIN, "/", Duration::from_secs(4)).await.unwrap_err();
    let NotReady::Answers5xx { status, body_start, .. } = not_ready else { panic!("{not_ready:?}") };
    assert_eq!((status, body_start.as_str()), (503, "the database is away"));
    kept.stop().await;
}

#[tokio::test]
async fn somebody_elses_server_is_never_taken_for_the_app() {
    let (stage, port) = (Stage::new(), free_port().unwrap());
    let (other, python) = (Stage::new(), python());
    if python.is_none() {
        return;
    }
    let mut stranger = keep_python(&other, &server("127.0.0.1", OUR_PORT, 200, "0"), port).await.unwrap();
    wait_ready(&mut stranger, port, PLAIN, "/", PATIENCE).await.unwrap();
    let mut kept = stage.keep("sleep 1000").await;
    let not_ready = wait_ready(&mut kept, port, PLAIN, "/", PATIENCE).await.unwrap_err();
    assert!(
        matches!(&not_ready, NotReady::SomebodyElse { who, .. } if who.contains("app.py")),
        "{not_ready:?}"
    );
    kept.stop().await;
    stranger.stop().await;
}

// Surroundings

#[tokio::test]
async fn the_cpu_set_is_inherited_and_the_guard_keeps_off_it() {
    let stage = Stage::new();
    let app = cpu_split(None).app;
    let mut launch =
        stage.launch("setsid sh -c 'grep Cpus_allowed_list /proc/self/status > cpus'; sleep 1000");
    launch.cpus = vec![app[app.len() - 1]];
    let kept = Kept::start(Path::new(HANDS), &launch).await.unwrap();
    let line = stage.wait_for_file("cpus").await;
    assert_eq!(line.split_whitespace().nth(1), Some(launch.cpus[0].to_string().as_str()), "{line}");
    let allowed = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find(|l| l.starts_with("Cpus_allowed_list")).unwrap().to_owned()
    };
    assert_eq!(allowed(kept.guard_pid()), allowed(std::process::id()));
    kept.stop().await;
}

#[tokio::test]
async fn the_environment_is_what_was_asked_for() {
    let stage = Stage::new();
    let mut launch = stage.launch("echo \"$A|${HOME-unset}|$PWD|$PATH\" > env; sleep 1000");
    launch.env.push(("A".to_owned(), "x \"y\"\nz".to_owned()));
    launch.clear_env.push("HOME".to_owned());
    let kept = Kept::start(Path::new(HANDS), &launch).await.unwrap();
    let line = stage.wait_for_file("env").await;
    let path = std::env::var("PATH").unwrap();
    assert_eq!(line, format!("x \"y\"\nz|unset|{}|{path}\n", stage.folder.path().display()));
    kept.stop().await;
}

#[tokio::test]
async fn ctrl_c_on_the_terminal_does_not_reach_the_app() {
    let stage = Stage::new();
    let kept = stage.keep("sleep 1000; true").await;
    let field = |pid: u32, n: usize| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(n).unwrap().parse::<u32>().unwrap()
    };
    let (group, session) = (2, 3);
    assert_eq!(field(kept.pid(), group), kept.pid());
    assert_eq!(field(kept.pid(), session), kept.guard_pid());
    assert_ne!(field(kept.guard_pid(), session), field(std::process::id(), session));
    kept.stop().await;
}

#[tokio::test]
async fn cpu_of_ended_workers_is_told_by_the_guard() {
    let stage = Stage::new();
    let burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    let mut kept = stage.keep(&format!("setsid sh -c '{burn}; times > times' & exit 0")).await;
    let times = stage.wait_for_file("times").await;
    stage.wait_until_gone().await;
    let deadline = Instant::now() + PATIENCE;
    while kept.died().is_none() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = kept.reaped_cpu().await.unwrap();
    assert!(told.as_secs_f64() >= seconds_of(&times) - 0.02, "{told:?} told, {times:?} used");
    kept.stop().await;
}

/// User and system time of the shell itself, from the first line of `times`: `0m0.10s 0m0.02s`.
fn seconds_of(times: &str) -> f64 {
    let one = |text: &str| {
        let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    times.lines().next().unwrap().split_whitespace().map(one).sum()
}

// Setup

#[tokio::test]
async fn setup_runs_to_its_end_and_leaves_nothing_running() {
    let stage = Stage::new();
    let launch = stage.launch("setsid sleep 1000 & echo seeded > seed");
    setup(Path::new(HANDS), &launch, PATIENCE).await.unwrap();
    assert_eq!(stage.read("seed"), "seeded\n");
    assert!(stage.alive().is_empty(), "{:?}", stage.alive());
}

#[tokio::test]
async fn a_setup_that_fails_or_never_ends_says_so() {
    let stage = Stage::new();
    let error =
        setup(Path::new(HANDS), &stage.launch("echo no database; exit 4"), PATIENCE).await.unwrap_err();
    assert!(matches!(&error, SetupError::Failed { how, .. } if how == "exit status 4"), "{error:?}");
    assert_eq!(error.last_lines(), ["no database"]);
    let error =
        setup(Path::new(HANDS), &stage.launch("sleep 1000"), Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(&error, SetupError::TooLong { .. }), "{error:?}");
    assert!(stage.alive().is_empty(), "{:?}", stage.alive());
}

/// Answers a request for `/` with its own process, and `/self` with what it is told when it asks itself by the port of its code.
const ON_A_FIXED_PORT: &str = r"
import os, sys, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
PORT = int(sys.argv[1])
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        own = f'http://127.0.0.1:{PORT}/'
        answer = urllib.request.urlopen(own).read() if self.path == '/self' else str(os.getpid()).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *args): pass
ThreadingHTTPServer(('', PORT), Handler).serve_forever()
";

#[tokio::test]
async fn copies_of_an_app_on_a_fixed_port_stand_side_by_side() {
    if let Err(why) = can_intercept() {
        println!("not tried: {why}");
        return;
    }
    let stage = Stage::new();
    fs::write(stage.folder.path().join("server.py"), ON_A_FIXED_PORT).unwrap();
    // Somebody else has the port already.
    let somebody = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let from = somebody.local_addr().unwrap().port();
    let mut copies = Vec::new();
    for copy in 0..2 {
        let moved = MovedPort { from, to: free_port().unwrap() };
        let mut launch = stage.launch(&format!("exec python3 server.py {from}"));
        launch.output = stage.folder.path().join(format!("output-{copy}"));
        launch.moved = Some(moved);
        copies.push((Kept::start(Path::new(HANDS), &launch).await.unwrap(), moved.to));
    }
    for (kept, port) in &mut copies {
        let deadline = Instant::now() + PATIENCE;
        let address = (Ipv4Addr::LOCALHOST, *port);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{:?}", kept.last_lines(5));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for path in ["/", "/self"] {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with(&format!("\r\n\r\n{}", kept.pid())), "{path}: {answer}");
        }
    }
    for (kept, _) in copies {
        kept.stop().await;
    }
}
