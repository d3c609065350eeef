//! From what a browser recorded to fifty users, without a hand edit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use support::Folder;

/// Recorded by a headless Chromium (Playwright's `recordHar`) on `notes.py`: sign up, log in, write a note, edit it.
const HAR: &str = include_str!("apps/notes.har");
const APP: &str = include_str!("apps/notes.py");
const CONFIG: &str = "# mine\n[app]\ncommand = \"exec python3 notes.py\"\nhealth = \"/health\"\n[users]\n[goal]\nusers = 5\np95 = \"5s\"\n";

fn app() -> Folder {
    Folder::empty().file("notes.py", APP).file("fissure.toml", CONFIG)
}

#[test]
fn a_browsers_har_replays_for_fifty_users_without_a_hand_edit() {
    let folder = app().file("notes.har", HAR);
    let seen = folder.fissure(&["users", "import", "notes.har"]);
    seen.exits(0)
        .says("1 user of 16 requests in 1 journey")
        .says("left out: 5 images, scripts, styles and fonts")
        .says("carries csrf_token, note_id, version; new for each user: username")
        .says("replays alone, 11 steps answered as the journey says")
        .says("50 users at the same time:")
        .does_not_say("does not replay")
        .leaves_nothing();
    let config = std::fs::read_to_string(folder.path().join("fissure.toml")).unwrap();
    assert!(
        config.starts_with("# mine\n") && config.contains("\"journeys/post-notes-edit.hurl\" = 1"),
        "{config}"
    );

    folder
        .fissure(&["users"])
        .exits(0)
        .says("POST /notes/{note_id}/edit")
        .says("replays for 50 users at the same time");
    // What is there stays there.
    folder
        .fissure(&["users", "import", "notes.har", "--no-replay"])
        .exits(64)
        .says("is there already: --force");

    // A step that does not replay is told with what was expected, what came, and a guess.
    let journey = folder.path().join("journeys/post-notes-edit.hurl");
    let text = std::fs::read_to_string(&journey).unwrap();
    std::fs::write(&journey, text.replacen("csrf: {{csrf_token}}", "csrf: recorded", 1)).unwrap();
    folder
        .fissure(&["users", "replay"])
        .exits(1)
        .says("POST /signup does not replay: line 13: expected status 302, got 403")
        .says("guess: a token was refused")
        .leaves_nothing();
}

/// Recorded by `fissure up` from a page in a headless Chromium that talks to `chat.py`.
#[test]
fn what_a_page_said_over_a_websocket_is_said_by_fifty_users_with_values_of_their_own() {
    let folder = Folder::empty()
        .file("chat.py", include_str!("apps/chat.py"))
        .file("fissure.toml", &CONFIG.replace("notes.py", "chat.py"))
        .file("talk/traffic.jsonl", include_str!("apps/chat.traffic.jsonl"))
        .file("talk/messages.jsonl", include_str!("apps/chat.messages.jsonl"));
    folder
        .fissure(&["users", "import", "talk"])
        .exits(0)
        .says("wrote ./journeys/post-orders.hurl: 8 steps; carries seat, ticket")
        .says("replays alone, 8 steps answered as the journey says")
        .says("50 users at the same time:")
        .does_not_say("goes wrong")
        .leaves_nothing();
}

#[test]
fn what_the_app_refuses_of_a_description_is_left_out_and_the_rest_is_proved() {
    let description = "openapi: 3.0.3\ninfo: {title: Notes, version: '1'}\npaths:\n  /health:\n    get: {tags: [all], responses: {'200': {description: up}}}\n  \
                       /signup:\n    post: {tags: [all], responses: {'201': {description: made}}}\n";
    let folder = app().file("notes.yaml", description);
    folder
        .fissure(&["users", "import", "notes.yaml"])
        .exits(0)
        .says("left out of journeys/all.hurl: POST /signup: line ")
        .says("journeys/all.hurl: replays alone, 1 step answered as the journey says")
        .leaves_nothing();
    let journey = std::fs::read_to_string(folder.path().join("journeys/all.hurl")).unwrap();
    assert!(journey.contains("/health") && !journey.contains("/signup"), "{journey}");
}

#[test]
fn files_of_every_kind_are_told_apart_and_bad_ones_get_a_sentence() {
    let log = "192.0.2.7 - - [25/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 17 \"-\" \"one\"\n\
               192.0.2.8 - - [25/Nov/2026:10:00:01 +0000] \"GET /a HTTP/1.1\" 200 17 \"-\" \"two\"\n\
               192.0.2.8 - - [25/Nov/2026:10:00:09 +0000] \"POST /b HTTP/1.1\" 302 17 \"-\" \"two\"\n";
    let folder = Folder::empty()
        .file("access.log", log)
        .file("commands.sh", "curl 'http://127.0.0.1:8000/items?x=1' -H 'accept: application/json'\n")
        .file("broken.har", "{\"log\":\n")
        .file("novel.txt", "It was a dark and stormy night.\n")
        .file("empty.har", "{\"log\":{\"entries\":[]}}");
    folder
        .fissure(&["users", "import", "access.log"])
        .exits(0)
        .says("2 users")
        .says("1 POST requests, whose bodies no log holds");
    folder.fissure(&["users", "import", "commands.sh"]).exits(0).says("wrote ./journeys/items.hurl: 1 step");
    folder.fissure(&["users", "import", "broken.har"]).exits(65).says("broken.har: line 2");
    folder.fissure(&["users", "import", "novel.txt"]).exits(65).says("of no kind that fissure reads");
    folder.fissure(&["users", "import", "empty.har"]).exits(65).says("holds no request");
    folder.fissure(&["users", "import"]).exits(65).says("there is no recording");
}
