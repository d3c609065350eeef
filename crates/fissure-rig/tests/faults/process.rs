//! Faults of processes.

use std::io::ErrorKind;
use std::path::Path;

use fissure_facts::FaultKind;
use fissure_rig::faults::{NotInjected, clock, inject, shift_clock};
use fissure_rig::keeper::{Intercept, Kept, Launch, can_intercept, free_port};

use super::*;

const HANDS: &str = env!("CARGO_BIN_EXE_fissure-hands");
/// A thread for each connection; `/grow` maps 64 MiB, `/open` opens a file.
const SERVER: &str = r#"
import http.server, mmap, os, socketserver, time
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 64
    def handle_error(self, request, address): pass
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path == "/grow": mmap.mmap(-1, 64 << 20).close()
            if self.path == "/open": open("/dev/null").close()
            if self.path == "/write":
                with open("note", "a") as file: file.write("x")
            if self.path == "/sync":
                with open("note", "a") as file: file.write("x"); file.flush(); os.fsync(file.fileno())
            body = str(int(time.time())).encode() if self.path == "/time" else b"ok"
        except OSError as error:
            body = os.strerror(error.errno).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

struct App {
    kept: Kept,
    port: u16,
    _folder: tempfile::TempDir,
}

async fn app() -> App {
    app_with(None, Vec::new()).await
}

async fn app_with(intercept: Option<Intercept>, more: Vec<(String, String)>) -> App {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.py"), SERVER).unwrap();
    let port = free_port().unwrap();
    let launch = Launch {
        label: "web".to_owned(),
        command: "exec python3 server.py".to_owned(),
        folder: folder.path().to_owned(),
        env: [vec![("PORT".to_owned(), port.to_string())], more].concat(),
        intercept,
        output: folder.path().join("output"),
        ..Launch::default()
    };
    let kept = Kept::start(Path::new(HANDS), &launch).await.unwrap();
    wait_until_it_answers(port);
    App { kept, port, _folder: folder }
}

fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

/// The soft and hard limit of open files and of address space, as the kernel prints them.
fn limits(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let of = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    vec![of("Max open files"), of("Max address space")]
}

#[tokio::test]
async fn a_paused_app_is_silent_and_comes_back() {
    let app = app().await;
    let paused = inject(FaultKind::Pause, app.kept.guard_pid(), PATIENCE).unwrap();
    // The kernel stops it at the next chance, not before the signal has been sent.
    let until = Instant::now() + PATIENCE;
    while state(app.kept.pid()) != 'T' {
        assert!(Instant::now() < until, "it was not stopped");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = ask(app.port, "/", SILENCE).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    drop(paused);
    wait_until_it_answers(app.port);
    assert_ne!(state(app.kept.pid()), 'T');
    app.kept.stop().await;
}

#[tokio::test]
async fn a_fault_ends_by_itself_when_its_time_is_over() {
    let app = app().await;
    let paused = inject(FaultKind::Pause, app.kept.guard_pid(), Duration::from_millis(100)).unwrap();
    wait_until_it_answers(app.port);
    // It answers a moment before the fault has seen that all is undone.
    let until = Instant::now() + PATIENCE;
    while !paused.is_over() {
        assert!(Instant::now() < until, "it answers, and the fault is still in force");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.kept.stop().await;
}

#[tokio::test]
async fn a_killed_or_terminated_app_refuses() {
    for kind in [FaultKind::Kill, FaultKind::Restart, FaultKind::Terminate] {
        let mut app = app().await;
        let _ended = inject(kind, app.kept.guard_pid(), PATIENCE).unwrap();
        let until = Instant::now() + PATIENCE;
        while app.kept.died().is_none() {
            assert!(Instant::now() < until, "{kind} did not end it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(ask(app.port, "/", SILENCE).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let again = inject(kind, app.kept.guard_pid(), PATIENCE);
        assert_eq!(again.unwrap_err(), NotInjected::NobodyThere);
        app.kept.stop().await;
    }
}

#[tokio::test]
async fn a_squeezed_app_gets_about_its_share_of_the_cpu() {
    let output = tempfile::NamedTempFile::new().unwrap();
    let burner = Launch {
        label: "burner".to_owned(),
        command: "while :; do :; done".to_owned(),
        folder: std::env::temp_dir(),
        output: output.path().to_owned(),
        ..Launch::default()
    };
    let kept = Kept::start(Path::new(HANDS), &burner).await.unwrap();
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", kept.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(11).unwrap().parse().unwrap()
    };
    let used_in = |span: Duration| {
        let before = ticks();
        std::thread::sleep(span);
        ticks() - before
    };
    let span = Duration::from_millis(1500);
    let free = used_in(span);
    let squeezed = inject(FaultKind::Cpu { percent: 20 }, kept.guard_pid(), PATIENCE).unwrap();
    let share = used_in(span) as f64 / free as f64;
    drop(squeezed);
    assert!(share < 0.6, "of {free} ticks it kept a share of {share}");
    assert_ne!(state(kept.pid()), 'T');
    kept.stop().await;
}

#[tokio::test]
async fn a_cap_of_files_stops_new_ones_and_is_taken_back() {
    let app = app().await;
    // The connection that was answered last would leave its number free when the app closes it.
    let open = || std::fs::read_dir(format!("/proc/{}/fd", app.kept.pid())).unwrap().count();
    let mut seen = 0;
    while seen != open() {
        seen = open();
        std::thread::sleep(Duration::from_millis(200));
    }
    let before = limits(app.kept.pid());
    let capped = inject(FaultKind::Files, app.kept.guard_pid(), PATIENCE).unwrap();
    assert_ne!(limits(app.kept.pid()), before);
    assert!(ask(app.port, "/open", SILENCE).is_err(), "a connection was accepted beyond the cap");
    drop(capped);
    assert_eq!(limits(app.kept.pid()), before);
    wait_until_it_answers(app.port);
    app.kept.stop().await;
}

#[tokio::test]
async fn a_cap_of_memory_stops_its_growth_and_is_taken_back() {
    let app = app().await;
    let grows =
        || ask(app.port, "/grow", PATIENCE).map(|(answer, _)| answer.ends_with("ok")).unwrap_or(false);
    assert!(grows());
    let before = limits(app.kept.pid());
    // A thread's stack must fit, so that the server still answers and says what went wrong.
    let capped = inject(FaultKind::Memory { more_mib: 32 }, app.kept.guard_pid(), PATIENCE).unwrap();
    assert!(!grows());
    drop(capped);
    assert_eq!(limits(app.kept.pid()), before);
    assert!(grows());
    app.kept.stop().await;
}

#[tokio::test]
async fn a_disk_is_full_or_fails_for_the_app_alone_and_is_mended() {
    if let Err(why) = can_intercept() {
        println!("not tried: {why}");
        return;
    }
    for (intercept, path, other, says) in [
        (Intercept::Writes, "/write", "/", "No space left on device"),
        (Intercept::Syncs, "/sync", "/write", "Input/output error"),
    ] {
        let mut app = app_with(Some(intercept), Vec::new()).await;
        let said = |path: &str| ask(app.port, path, PATIENCE).unwrap().0;
        assert!(said(path).ends_with("ok"));
        app.kept.fail_calls(PATIENCE).await;
        let until = Instant::now() + PATIENCE;
        while !said(path).ends_with(says) {
            assert!(Instant::now() < until, "{}", said(path));
        }
        assert!(said(other).ends_with("ok"), "{}", said(other));
        app.kept.mend_calls().await;
        while !said(path).ends_with("ok") {
            assert!(Instant::now() < until, "it was not mended: {}", said(path));
        }
        // It ends by itself, too.
        app.kept.fail_calls(Duration::from_millis(100)).await;
        std::thread::sleep(Duration::from_millis(300));
        assert!(said(path).ends_with("ok"));
        app.kept.stop().await;
    }
}

#[tokio::test]
async fn a_clock_runs_ahead_and_comes_back() {
    let Some(library) = clock::library() else {
        println!("not tried: libfaketime is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clock");
    let app = app_with(None, clock::environment(&library, &file, None).unwrap()).await;
    let now = || -> i64 {
        let answer = ask(app.port, "/time", PATIENCE).unwrap().0;
        answer.lines().last().unwrap().parse().unwrap()
    };
    let before = now();
    let shifted = shift_clock(app.kept.guard_pid(), &file, 3600, PATIENCE).unwrap();
    let ahead = now() - before;
    assert!((3600..3700).contains(&ahead), "{ahead} s ahead");
    drop(shifted);
    assert!((0..100).contains(&(now() - before)), "{} s", now() - before);
    app.kept.stop().await;
}

#[tokio::test]
async fn a_clock_of_who_does_not_listen_is_said_not_to_be_shifted() {
    let app = app().await;
    let folder = tempfile::tempdir().unwrap();
    let refused = shift_clock(app.kept.guard_pid(), &folder.path().join("clock"), 3600, PATIENCE);
    assert_eq!(refused.unwrap_err(), NotInjected::OwnClock);
    app.kept.stop().await;
}

#[tokio::test]
async fn a_kill_meets_who_serves_and_not_what_was_started_after_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.py"), SERVER).unwrap();
    let port = free_port().unwrap();
    let launch = Launch {
        label: "web".to_owned(),
        command: "python3 server.py & sleep 0.3; sleep 1000".to_owned(),
        folder: folder.path().to_owned(),
        env: vec![("PORT".to_owned(), port.to_string())],
        output: folder.path().join("output"),
        ..Launch::default()
    };
    let kept = Kept::start(Path::new(HANDS), &launch).await.unwrap();
    wait_until_it_answers(port);
    std::thread::sleep(Duration::from_millis(600));
    let processes = kept.tree().len();
    assert!(processes >= 3, "{processes}");
    let _killed = inject(FaultKind::Kill, kept.guard_pid(), PATIENCE).unwrap();
    let until = Instant::now() + PATIENCE;
    while ask(port, "/", SILENCE).is_ok() {
        assert!(Instant::now() < until, "the server was not the one");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Nobody listens any more a moment before its parent has taken note of its end.
    while kept.tree().len() >= processes {
        assert!(Instant::now() < until, "nobody is gone");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(kept.tree().len(), processes - 1);
    kept.stop().await;
}
