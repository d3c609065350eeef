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
fn nothing_stays_stopped_when_fissure_is_killed_in_the_middle_of_a_pause() {
    let folder = linked();
    let mut running = folder.start(&["chaos", "--only", "pause"]);
    running.wait_for("pause on web");
    let stopped = || {
        let pids = processes_of(folder.path())
            .into_iter()
            .filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
        pids.filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok())
            .any(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    };
    let until = Instant::now() + Duration::from_secs(60);
    while !stopped() {
        assert!(Instant::now() < until, "nobody was ever paused");
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal("KILL");
    running.finish().leaves_no_process();
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_there_is() {
    let folder = linked();
    folder.fissure(&["chaos", "--only", "lightning"]).exits(64).says("half-open");
    folder.fissure(&["chaos", "--split", "thumbs"]).exits(64).says("names no `thumbs`");
    folder.fissure(&["chaos", "--on", "nobody"]).exits(64).says("nothing that these faults could befall");
    folder.fissure(&["chaos", "--list"]).exits(0).says("slow-close");
}
