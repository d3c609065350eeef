//! `fissure load` as people use it: on a server that runs already, with every wrong input, and on an app of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde_json::Value;
use support::{Folder, Seen};

/// A keep-alive server: 200 for every path, 500 below `/bad`. While the lock is written nobody is answered.
fn server() -> (String, Arc<RwLock<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let gate = Arc::new(RwLock::new(()));
    let shared = Arc::clone(&gate);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let gate = Arc::clone(&shared);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut out = stream;
                let mut head = String::new();
                while reader.read_line(&mut head).is_ok_and(|n| n > 0) {
                    if !head.ends_with("\r\n\r\n") {
                        continue;
                    }
                    drop(gate.read());
                    let status = if head.contains(" /bad") { "500 Oh" } else { "200 OK" };
                    if write!(out, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nhi").is_err() {
                        return;
                    }
                    head.clear();
                }
            });
        }
    });
    (base, gate)
}

fn load(arguments: &[&str]) -> Seen {
    Folder::empty().fissure(&[&["load"], arguments].concat())
}

fn json(seen: &Seen) -> Value {
    let begin = seen.said.find("\n{").map_or(0, |at| at + 1);
    serde_json::from_str(&seen.said[begin..]).unwrap_or_else(|e| panic!("{e}:\n{}", seen.said))
}

#[test]
fn every_threshold_is_shown_with_its_value_and_sets_the_status() {
    let (base, _) = server();
    let url = format!("{base}/a?b=c");
    // A busy machine may make any run void, never turn a broken threshold into one that holds.
    let held = load(&[&url, "--rate", "100", "--for", "2s", "--require", "p95<5s", "--require", "errors<1%"]);
    held.exits_one_of(&[0, 2]).says("p95<5s · measured").says("GET /a");
    let broken = load(&[
        &url,
        "--rate",
        "100",
        "--for",
        "2s",
        "--require",
        "p50 of GET /a < 1us",
        "--require",
        "rate>1",
    ]);
    broken.exits_one_of(&[1, 2]).says("p50 of GET /a < 1us · measured");
}

#[test]
fn the_json_holds_what_was_planned_sent_and_answered() {
    let (base, _) = server();
    let seen = load(&[&base, "--rate", "50..150", "--even", "--for", "2s", "--json", "--seed", "7"]);
    let value = json(&seen);
    assert_eq!(value["schema"], "fissure.load/1");
    assert_eq!(value["users"]["planned"], 200);
    assert_eq!(value["users"]["arrived"], 200);
    assert_eq!(value["requests"]["answered"], 200);
    assert_eq!(value["routes"][0]["route"], "GET /");
    assert_eq!(value["series"].as_array().unwrap().len(), 2);
    assert!(value["total"]["latency_ms"]["p99"].is_number() && value["exit_status"].is_number());
}

/// A tool that counts from the send reports a p99 below a millisecond for this server.
#[test]
fn a_server_that_stood_still_for_a_second_cannot_hide_it() {
    let (base, gate) = server();
    let folder = Folder::empty();
    let mut running = folder.start(&[
        "load",
        &base,
        "--rate",
        "200",
        "--even",
        "--connections",
        "5",
        "--for",
        "4s",
        "--json",
    ]);
    running.wait_for("hold the load");
    std::thread::sleep(Duration::from_millis(1500));
    {
        let _nobody_is_answered = gate.write();
        std::thread::sleep(Duration::from_secs(1));
    }
    let value = json(&running.finish());
    assert_eq!(value["requests"]["planned"], 800);
    assert!(value["crowd"]["connects"].as_u64().unwrap() <= 6);
    let stall_share = |key: &str| value["total"][key]["p95"].as_f64().unwrap();
    // A quarter of the time it stood still: one request in twenty waited for more than 0.8 s. Few were sent meanwhile.
    assert!(stall_share("latency_ms") > 600.0, "{}", value["total"]);
    assert!(stall_share("service_ms") * 3.0 < stall_share("latency_ms"), "{}", value["total"]);
}

#[test]
fn wrong_inputs_are_sentences() {
    let (base, _) = server();
    let says = |arguments: &[&str], status, part: &str| {
        load(arguments).exits(status).says(part);
    };
    says(&[], 64, "say what to load");
    says(&["nonsense"], 64, "neither a URL");
    says(&["ftp://127.0.0.1/"], 64, "begins with `http");
    says(&["http://192.0.2.7/"], 64, "own_hosts");
    says(&["http://127.0.0.1:1/"], 69, "nobody listens");
    says(&[&base, "http://127.0.0.1:1/"], 64, "two servers");
    says(&[&base, "--for", "0s"], 64, "whole number of seconds");
    says(&[&base, "--rate", "0"], 64, "no load");
    says(&[&base, "--rate", "1e12"], 64, "no rate");
    says(&[&base, "--closed", "0"], 64, "no load");
    says(&[&base, "--rate", "5", "--closed", "5"], 64, "cannot be used with");
    says(&[&base, "--think", "1s", "--closed", "5"], 64, "cannot be used with");
    says(&[&base, "--rate", "5", "--spike", "10@9s+2s"], 64, "spike ends after");
    says(&[&base, "--require", "p95"], 64, "column 4");
    says(&[&base, "--require", "p95 of GET /x<1s"], 64, "nobody visits");
    says(&[&base, "--header", "nonsense"], 64, "not a header");
    says(&[&base, "--body", "@nowhere"], 65, "cannot be read");
    says(&[&base, "--profile", "nowhere"], 65, "cannot be used");
    says(&[&base, "--start-at", "2001-01-01T00:00:00Z"], 2, "--start-at has passed");
    says(&[&format!("{base}/bad")], 2, "got 500");
    says(&["a.hurl"], 64, "--base");
}

#[test]
fn files_and_cpu_that_will_not_do_are_foreseen() {
    let (base, _) = server();
    load(&[&base, "--rate", "1000000"]).exits(2).says("ask for less");
    let program = support::program();
    let command = format!("ulimit -n 40; exec '{}' load {base} --closed 500 --for 2s", program.display());
    let out = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.code() == Some(2) && said.contains("ulimit"), "{said}");
}

#[test]
fn own_hosts_are_named_in_the_configuration() {
    let folder = Folder::empty().file("fissure.toml", "[load]\nown_hosts = [\"192.0.2.7\"]\n");
    // Nobody is there; but it is allowed to knock.
    let seen = folder.fissure(&["load", "http://192.0.2.7/", "--timeout", "300ms"]);
    seen.exits(69).does_not_say("own_hosts");
}

#[test]
fn runs_of_two_machines_are_added_up_and_strangers_refused() {
    let (base, _) = server();
    let folder = Folder::empty();
    let run = |out: &str, rate: &str| {
        folder.fissure(&["load", &base, "--rate", rate, "--for", "1s", "--out", out]).exits_one_of(&[0, 2]);
        let text = std::fs::read_to_string(folder.path().join(out).join("report.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["total"]["requests"].as_u64().unwrap()
    };
    let (a, b) = (run("a", "60"), run("b", "60"));
    run("c", "70");
    let merged = folder.fissure(&["report", "--merge", "a", "b", "--json"]);
    assert_eq!(json(&merged)["total"]["requests"].as_u64(), Some(a + b));
    assert_eq!(json(&merged)["crowd"]["machines"], 2);
    folder.fissure(&["report", "--merge", "a", "c"]).exits(65).says("they differ in their load");
    folder.fissure(&["report", "--merge", "a", "a"]).exits(65).says("given twice");
    folder.fissure(&["report", "a"]).exits_one_of(&[0, 2]).says("60 users/s for 1 s");
    assert!(Path::new(&folder.path().join("a/report.html")).exists());
}

#[test]
fn ctrl_c_tells_what_is_known() {
    let (base, _) = server();
    let folder = Folder::empty();
    let mut running = folder.start(&["load", &base, "--rate", "50", "--for", "60s"]);
    running.wait_for("hold the load");
    std::thread::sleep(Duration::from_millis(3500));
    running.signal("INT");
    running.finish().exits(130).says("Interrupted").says("GET /");
}

#[test]
fn the_app_of_a_project_is_started_loaded_and_ended() {
    let journey = "GET {{base}}/\nHTTP 200\n";
    let folder = Folder::with_hostile_app("none", journey);
    let seen = folder.fissure(&["load", "--rate", "20", "--for", "2s"]);
    seen.exits_one_of(&[0, 1, 2])
        .says("GET /<500ms · measured")
        .says("errors<1% · measured")
        .leaves_nothing();
    let again = folder.fissure(&["report"]);
    again.exits_one_of(&[0, 1, 2]).says("20 users/s for 2 s");
    let dead = Folder::with_hostile_app("does_not_start", journey);
    dead.fissure(&["load", "--for", "2s"]).exits(69).says("No module named 'flask'").leaves_nothing();
}
