//! `fissure isolate` on a small app with planted state that journeys alone do not show, and on the same app without it.
//! bench/isolation.py does it with 33 kinds of state, in three languages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use support::Folder;

fn app(planted: &str) -> Folder {
    Folder::empty()
        .file("app.py", include_str!("../../../bench/isolation/app.py"))
        .file(
            "journeys/join.hurl",
            "POST {{base}}/members\n[Options]\nvariable: who={{newUuid}}\n{ \"name\": \"{{who}}\" }\nHTTP 201\n",
        )
        .file(
            "fissure.toml",
            &format!(
                "[app]\ncommand = \"exec python3 app.py\"\nhealth = \"/health\"\nenv = {{ PLANTED = \"{planted}\" }}\n\
                 [users]\n[goal]\nusers = 5\np95 = \"500ms\"\n"
            ),
        )
}

fn findings(said: &str) -> Vec<(String, String)> {
    let report: serde_json::Value = serde_json::from_str(&said[said.find('{').unwrap()..]).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    report["findings"].as_array().unwrap().iter().map(|f| (text(&f["state"]), text(&f["by"]))).collect()
}

#[test]
fn a_lock_that_holds_in_one_process_only_is_found_by_two_requests_at_the_same_instant() {
    let seen = app("lock").fissure(&["isolate", "--json", "--seed", "7"]);
    seen.exits(1).leaves_nothing();
    assert!(findings(&seen.said).contains(&("lock".to_owned(), "twins".to_owned())), "{}", seen.said);
}

#[test]
#[ignore = "half a minute: cargo test -p fissure --test isolate -- --ignored; bench/isolation.py tries much more"]
fn where_the_database_decides_nothing_is_found() {
    let seen = app("").fissure(&["isolate", "--json", "--seed", "7"]);
    seen.exits(0).leaves_nothing();
    assert_eq!(findings(&seen.said), [], "{}", seen.said);
}
