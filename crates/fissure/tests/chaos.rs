//! `fissure chaos` on a small app with a known answer, and killed in the middle of a fault.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use support::{Folder, processes_of};

fn linked() -> Folder {
    let stock = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Folder::empty()
        .file("linked.py", include_str!("apps/linked.py"))
        .file("journeys/home.hurl", "GET {{base}}/\nHTTP 200\n")
        .file("journeys/stock.hurl", "GET {{base}}/stock\nHTTP 200\n")
        .file(
            "fissure.toml",
            &format!(
                "[app]\ncommand = \"python3 linked.py {stock} & exec python3 linked.py $PORT\"\nhealth = \"/stock\"\n\
                 env = {{ STOCK_URL = \"http://127.0.0.1:{stock}\" }}\n[users]\n[goal]\nrequests_per_s = 30\np95 = \"900ms\"\n\
                 [links.stock]\nenv = \"STOCK_URL\"\nkind = \"http\"\n"
            ),
        )
}

#[test]
fn a_link_that_refuses_spoils_the_route_that_needs_it_and_no_other() {
    let seen = linked().fissure(&["chaos", "--only", "refuse", "--on", "stock", "--json", "--seed", "7"]);
    seen.exits(0).says("\"outcome\": \"measured\"").leaves_nothing();
    let json = &seen.said[seen.said.find("\n{\n").unwrap()..];
    let report: serde_json::Value = serde_json::from_str(json).unwrap();
    let routes = report["blast_radius"]["trials"][0]["routes"].as_array().unwrap();
    let class = |route: &str| routes.iter().find(|r| r["route"] == route).unwrap()["class"].clone();
    assert_eq!(class("GET /stock"), "fails_fast", "{json}");
    assert!(["unaffected", "within_slo"].contains(&class("GET /").as_str().unwrap()), "{json}");
}

#[test]
fn an_acknowledged_write_that_a_restart_loses_is_told_with_how_it_was_looked_for() {
    let journey = "POST {{base}}/notes\n{ \"text\": \"{{newUuid}}\" }\nHTTP 201\n[Captures]\nid: jsonpath \"$.id\"\n\n\
                   GET {{base}}/notes/{{id}}\nHTTP 200\n";
    let folder = Folder::empty()
        .file("notes.py", include_str!("../../../bench/durability/notes.py"))
        .file("journeys/note.hurl", journey)
        .file("journeys/same.hurl", "POST {{base}}/notes\n{ \"text\": \"same\" }\nHTTP 201\n")
        .file(
            "fissure.toml",
            "[app]\ncommand = \"exec python3 notes.py $PORT ack-before-commit\"\nhealth = \"/\"\n[users]\n\
             [goal]\njourneys_per_s = 60\np95 = \"900ms\"\n",
        );
    let seen = folder.fissure(&["chaos", "--only", "restart"]);
    seen.exits(1).says("of 1 faults measured").says("acknowledged writes are gone").leaves_nothing();
    seen.says("`POST /notes` by `GET /notes/{id}`").says("it carries no value of its own");
}

/// The signals and the victims of `bench/undo.py`, which does the same two hundred times.
#[test]
fn nothing_stays_when_fissure_or_its_guard_is_killed_in_the_middle_of_a_fault() {
    let trials = [("pause", "fissure"), ("files", "guard"), ("disk-full", "both"), ("syn-hang", "ctrl-c")];
    std::thread::scope(|scope| {
        for (fault, victim) in trials {
            scope.spawn(move || kill_in_the_middle(fault, victim));
        }
    });
}

fn kill_in_the_middle(fault: &str, victim: &str) {
    let folder = linked();
    let mut running = folder.start(&["chaos", "--only", fault, "--on", "web"]);
    running.wait_for(&format!("{fault} on"));
    let until = Instant::now() + Duration::from_secs(90);
    let runs = folder.path().join(".fissure/runs");
    let is_in_force = || {
        let journals = std::fs::read_dir(&runs).into_iter().flatten().flatten();
        let mut texts =
            journals.filter_map(|run| std::fs::read_to_string(run.path().join("journal.jsonl")).ok());
        texts.any(|text| text.contains("fault_injected"))
    };
    while !is_in_force() {
        assert!(Instant::now() < until, "{fault} was never injected");
        std::thread::sleep(Duration::from_millis(20));
    }
    let guards = processes_of(folder.path()).into_iter().filter(|line| line.contains("__guard"));
    let guards: Vec<String> = guards.filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect();
    assert!(!guards.is_empty());
    if ["guard", "both"].contains(&victim) {
        guards.iter().for_each(|pid| drop(std::process::Command::new("kill").args(["-KILL", pid]).status()));
    }
    match victim {
        "fissure" | "both" => running.signal("KILL"),
        _ => running.signal("INT"),
    }
    let seen = running.finish();
    if victim == "both" {
        // Nobody was left to undo anything: the next start does.
        folder.fissure(&["load", ".", "--rate", "5", "--for", "1s"]);
    }
    seen.leaves_no_process();
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_there_is() {
    let folder = linked();
    folder.fissure(&["chaos", "--only", "lightning"]).exits(64).says("half-open");
    folder.fissure(&["chaos", "--split", "thumbs"]).exits(64).says("names no `thumbs`");
    folder.fissure(&["chaos", "--on", "nobody"]).exits(64).says("nothing that these faults could befall");
    folder.fissure(&["chaos", "--when", "thunder"]).exits(64).says("request:5");
    folder.fissure(&["chaos", "--route", "stock"]).exits(64).says("is not a route");
    folder.fissure(&["chaos", "--list"]).exits(0).says("slow-close").says("syn-hang");
}
