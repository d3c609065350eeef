//! What a PostgreSQL server works at: a real one, a planted table without an index, and a transaction that rests.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fissure_rig::lens::{Database, Profiler, Subject};
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::{Client, NoTls};

/// A server refuses to run as root, so then it is nobody's.
const NOBODY: u32 = 65_534;

struct Server {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    /// None where PostgreSQL is not installed.
    fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let is_root = rustix::process::getuid().is_root();
        let run = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        if is_root {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = run("initdb")
            .args(["-D", "data", "-A", "trust", "-U", "shop", "--no-sync", "--no-locale", "-E", "UTF8"])
            .status();
        assert!(made.unwrap().success(), "initdb failed");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = run("postgres")
            .args([
                "-D",
                "data",
                "-p",
                &port.to_string(),
                "-k",
                "",
                "-c",
                "fsync=off",
                "-c",
                "listen_addresses=127.0.0.1",
            ])
            .spawn()
            .unwrap();
        Some(Self { child, url: format!("postgres://shop@127.0.0.1:{port}/postgres"), _folder: folder })
    }

    async fn connect(&self) -> Client {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match tokio_postgres::connect(&self.url, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(e) => assert!(Instant::now() < until, "{e}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once, with all its processes.
        let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let _ = self.child.wait();
    }
}

/// Debian keeps them outside the path, for several versions side by side.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.flatten().map(|version| version.path().join("bin")).collect();
    found.retain(|folder| Path::new(folder).join("initdb").is_file());
    found.sort();
    found.pop()
}

#[test]
fn the_statement_the_full_reads_and_the_resting_transaction_are_seen_without_any_value() {
    let Some(server) = Server::start() else {
        eprintln!("skipped: PostgreSQL is not installed");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let seen = local.block_on(&runtime, async {
        let first = server.connect().await;
        let planted = "CREATE TABLE records (id int PRIMARY KEY, label text);
            INSERT INTO records SELECT n, 'label ' || n FROM generate_series(1, 50000) n; ANALYZE records";
        first.batch_execute(planted).await.unwrap();
        first.batch_execute("BEGIN; SELECT 'kept open'").await.unwrap();
        for n in 0..3 {
            let client = server.connect().await;
            let search = format!("SELECT id FROM records WHERE label = 'secret {n}'");
            tokio::task::spawn_local(async move { while client.batch_execute(&search).await.is_ok() {} });
        }
        let database =
            Database { link: "db".to_owned(), variable: "DATABASE_URL".to_owned(), url: server.url.clone() };
        let profiler = Profiler::start(&Subject { databases: vec![database], ..Subject::default() });
        tokio::time::sleep(Duration::from_secs(3)).await;
        profiler.finish(7)
    });
    assert_eq!(seen.blind, []);
    let [seen] = seen.statements.as_slice() else { panic!("{seen:?}") };
    assert_eq!((seen.window, &*seen.link), (7, "db"));
    assert!(seen.looks > 10, "{seen:?}");
    let active: u64 = seen.statements.iter().map(|s| s.active).sum();
    let search = seen.statements.iter().find(|s| s.text == "SELECT id FROM records WHERE label = ?").unwrap();
    // Three clients ask without a pause; how many of them a look finds at work is up to the machine's other work.
    assert!(search.active * 10 >= active * 9 && search.active * 2 >= seen.looks, "{seen:?}");
    let resting = seen.statements.iter().find(|s| s.idle_in_transaction > 0).unwrap();
    assert!(
        resting.idle_in_transaction * 10 >= seen.looks * 9 && resting.text.ends_with("SELECT ?"),
        "{seen:?}"
    );
    let reads = seen.reads.iter().find(|reads| reads.table == "records").unwrap();
    assert!(reads.rows.abs_diff(50_000) < 1_000 && reads.rows_read > 3 * reads.rows, "{seen:?}");
    let written = serde_json::to_string(&seen).unwrap();
    assert!(!written.contains("secret") && !written.contains("kept open"), "{written}");
}
