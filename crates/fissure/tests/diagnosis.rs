//! Two lessons, checked in a hurry and held against their truths: one that computes, one that waits. All of them, with time:
//! `cargo xtask bench diagnosis`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::process::{Command, Stdio};

use serde_json::Value;
use support::lesson::Lesson;
use support::program;

/// One test, because two checks at once would be each other's neighbours.
#[test]
fn a_hurried_check_names_the_resource_of_two_lessons_and_no_wrong_route() {
    for number in ["04", "07"] {
        let lesson = Lesson::named(number);
        let folder = lesson.copy();
        let _beside = lesson.start_beside();
        let seen = Command::new(program())
            .args(["check", "--json", "--budget", "40s", "--seed", "1"])
            .current_dir(folder.path())
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let json: Value = serde_json::from_slice(&seen.stdout).unwrap();
        let (measured, void) =
            (json["windows"]["measured"].as_u64().unwrap(), json["windows"]["void"].as_u64().unwrap());
        if void * 2 > measured {
            // Neighbours: then only the manners can be tested.
            assert_eq!(json["verdict"]["kind"], "NotEnoughEvidence", "{json:#}");
            continue;
        }
        assert_ne!(json["verdict"]["kind"], "HoldingUp", "{json:#}");
        let resource = json["limit"]["resource"].as_str().unwrap();
        assert!(lesson.strings("resource").iter().any(|r| r == resource), "{}: {json:#}", lesson.name);
        // Forty seconds may be too few to name a route, but not to name a wrong one.
        if let Some(route) = json["limit"]["routes"][0].as_str() {
            assert_eq!(route, lesson.strings("routes")[0], "{}: {json:#}", lesson.name);
        }
    }
}
