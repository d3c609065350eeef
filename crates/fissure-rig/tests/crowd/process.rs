//! The crowd as a process: how it starts, is refused, stops, and never outlives its parent.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fissure_rig::crowd::{Crowd, CrowdError, Mode};

use crate::server::{ok, serve};
use crate::{HANDS, listen, open, plan, run_with};

fn refusal(plan: &fissure_rig::crowd::CrowdPlan) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut crowd = Crowd::start(Path::new(HANDS), plan).await.unwrap();
        listen(&mut crowd).await.error.unwrap()
    })
}

#[test]
fn what_is_wrong_with_a_plan_is_said_in_a_sentence() {
    let web = "127.0.0.1:9".parse().unwrap();
    let foreign = refusal(&plan("192.0.2.1:80".parse().unwrap(), open(1.0, 1), &["GET {{base}}/\n"]));
    assert!(foreign.contains("192.0.2.1:80") && foreign.contains("only to loopback"), "{foreign}");
    let unreadable = refusal(&plan(web, open(1.0, 1), &["FETCH THE THING\n"]));
    assert!(unreadable.contains("journey-0.hurl"), "{unreadable}");
    assert!(refusal(&plan(web, open(1.0, 1), &[])).contains("no journey"));
    let mut early = plan(web, open(1.0, 1), &["GET {{base}}/\n"]);
    early.start_at_ns = Some(1);
    assert!(refusal(&early).contains("start too early"));
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let plan = plan("127.0.0.1:9".parse().unwrap(), Mode::Play, &[]);
    let error = runtime.block_on(Crowd::start(Path::new("/nowhere/fissure"), &plan)).unwrap_err();
    assert!(
        matches!(error, CrowdError::Start { .. }) && error.to_string().contains("/nowhere/fissure"),
        "{error}"
    );
}

#[test]
fn a_crowd_that_is_asked_to_stop_says_what_it_has_and_why_it_ended() {
    let (web, seen) = serve(|_| ok("x"));
    let began = Instant::now();
    let heard = run_with(&plan(web, open(100.0, 60), &["GET {{base}}/\n"]), async |crowd| {
        tokio::time::sleep(Duration::from_millis(1700)).await;
        crowd.stop("the app\ndied").await;
    });
    let end = heard.end.unwrap();
    assert_eq!(end.cut_short.as_deref(), Some("the app died"));
    assert!(!heard.seconds.is_empty() && heard.seconds.len() < 60);
    assert!(end.planned > 0 && end.planned as usize <= seen.count() + 1, "{} {}", end.planned, seen.count());
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_crowd_that_was_killed_is_an_error_not_an_end() {
    let (web, _) = serve(|_| ok("x"));
    let heard = run_with(&plan(web, open(10.0, 60), &["GET {{base}}/\n"]), async |crowd| {
        Command::new("kill").args(["-9", &crowd.pid().to_string()]).status().unwrap();
    });
    assert!(heard.end.is_none() && heard.error.as_ref().unwrap().contains("signal: 9"), "{heard:?}");
}

#[test]
fn dropping_a_crowd_ends_its_process() {
    let (web, _) = serve(|_| ok("x"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pid = runtime.block_on(async {
        let crowd =
            Crowd::start(Path::new(HANDS), &plan(web, open(10.0, 60), &["GET {{base}}/\n"])).await.unwrap();
        crowd.pid()
    });
    assert_gone(pid);
}

#[test]
fn a_crowd_is_held_on_its_cpus() {
    let (web, _) = serve(|_| ok("x"));
    let mut plan = plan(web, open(10.0, 2), &["GET {{base}}/\n"]);
    plan.cpus = vec![0];
    let mut allowed = String::new();
    run_with(&plan, async |crowd| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", crowd.pid())).unwrap();
        allowed =
            status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned();
    });
    assert_eq!(allowed, "0");
}

/// Not a test: the parent that the next test kills.
#[test]
#[ignore = "is started by the test below"]
fn parent_to_be_killed() {
    let Ok(web) = std::env::var("CROWD_TEST_WEB") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let plan = plan(web.parse().unwrap(), open(10.0, 600), &["GET {{base}}/\n"]);
        let mut crowd = Crowd::start(Path::new(HANDS), &plan).await.unwrap();
        crowd.next().await;
        println!("\ncrowd {}", crowd.pid());
        listen(&mut crowd).await;
    });
}

#[test]
fn a_crowd_dies_with_its_parent_even_when_that_is_killed() {
    let (web, _) = serve(|_| ok("x"));
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["process::parent_to_be_killed", "--exact", "--ignored", "--nocapture"])
        .env("CROWD_TEST_WEB", web.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let pid: u32 = lines.filter_map(|l| l.strip_prefix("crowd ")?.parse().ok()).next().unwrap();
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert_gone(pid);
}

#[track_caller]
fn assert_gone(pid: u32) {
    let until = Instant::now() + Duration::from_secs(20);
    while is_alive(pid) {
        assert!(Instant::now() < until, "the crowd {pid} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ended children that nobody waited for yet do not count.
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
}
