//! Whatever is wrong with the app, the journeys, the configuration or the machine: a clear sentence that says whose fault
//! it is, the published exit status, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use support::{Folder, processes_of};

/// What the journey expects, one request.
const HOME: &str = "GET {{base}}/\nHTTP 200\n";

fn hostile(habit: &str) -> Folder {
    Folder::with_hostile_app(habit, HOME)
}

#[test]
fn an_app_that_does_not_start_shows_its_last_lines() {
    let seen = hostile("does_not_start").check();
    seen.exits(69).says("No module named 'flask'").leaves_nothing();
}

#[test]
fn an_app_that_starts_late_is_waited_for() {
    hostile("starts_late").check().exits_one_of(&[0, 2]).leaves_nothing();
}

#[test]
fn an_app_on_another_port_is_told_which_port_was_expected() {
    hostile("other_port")
        .configured("start_within = \"3s\"")
        .check()
        .exits(69)
        .says("$PORT")
        .leaves_nothing();
}

#[test]
fn an_app_that_dies_under_load_is_named_with_its_last_lines() {
    let seen = hostile("dies_under_load").fissure(&["check", "--budget", "15s"]);
    seen.exits(2).says("full of bees").leaves_nothing();
}

#[test]
fn an_app_that_answers_500_fails_its_journey_by_line() {
    hostile("answers_500")
        .check()
        .exits(2)
        .says("500")
        .says("journeys/home.hurl")
        .says("line 1")
        .leaves_nothing();
}

#[test]
fn an_app_that_never_answers_is_not_waited_for_longer_than_the_timeout() {
    hostile("never_answers").users("timeout = \"1s\"").check().exits(2).says("GET /").leaves_nothing();
}

#[test]
fn connections_that_close_without_an_answer_are_an_error() {
    hostile("closes").check().exits(2).says("GET /").leaves_nothing();
}

#[test]
fn an_answer_shorter_than_its_content_length_is_an_error() {
    hostile("wrong_length").check().exits(2).says("GET /").leaves_nothing();
}

#[test]
fn an_endless_body_ends_in_a_timeout() {
    hostile("endless").users("timeout = \"1s\"").check().exits(2).says("GET /").leaves_nothing();
}

#[test]
fn an_app_that_does_not_speak_http_is_told_so() {
    hostile("not_http").check().exits(2).says("GET /").leaves_nothing();
}

#[test]
fn an_unexpected_redirect_is_not_a_success() {
    hostile("redirects").check().exits(2).says("302").leaves_nothing();
}

#[test]
fn an_expected_redirect_is_followed() {
    let journey = "GET {{base}}/\n[Options]\nlocation: true\nHTTP 200\n";
    Folder::with_hostile_app("redirects", journey).check().exits_one_of(&[0, 2]).leaves_nothing();
}

#[test]
fn compressed_answers_are_read() {
    let journey = "GET {{base}}/\nHTTP 200\n[Asserts]\njsonpath \"$.id\" == 7\n";
    Folder::with_hostile_app("gzip", journey)
        .check()
        .exits_one_of(&[0, 2])
        .does_not_say("home.hurl:")
        .leaves_nothing();
}

#[test]
fn chunked_answers_are_read() {
    hostile("chunked").check().exits_one_of(&[0, 2]).does_not_say("home.hurl:").leaves_nothing();
}

#[test]
fn a_body_of_100_mb_is_streamed_not_kept() {
    let seen = hostile("large").goal("users = 1\np95 = \"30s\"").check();
    seen.exits_one_of(&[0, 1, 2]).does_not_say("home.hurl:").leaves_nothing();
}

#[test]
fn a_port_that_is_taken_is_named_by_the_door_and_moved_in_an_experiment() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = hostile("none").configured(&format!("port = {port}"));
    folder.fissure(&["up"]).exits(69).says(&format!("port {port} is taken")).leaves_nothing();
    let seen = folder.check();
    seen.exits_one_of(&[0, 2]).does_not_say(&format!("port {port} is taken")).leaves_nothing();
}

#[test]
fn an_absurd_goal_is_refused_before_anything_starts() {
    hostile("none").goal("users = 10\np95 = \"1us\"").check().exits(65).says("100us").leaves_nothing();
    hostile("none")
        .goal("users = -3\np95 = \"1s\"")
        .check()
        .exits(65)
        .says("more than zero")
        .leaves_nothing();
}

#[test]
fn a_goal_that_no_machine_can_meet_is_not_met_but_answered() {
    let seen = hostile("none").goal("users = 100000000\np95 = \"100ms\"").check();
    seen.exits_one_of(&[1, 2]).leaves_nothing();
}

#[test]
fn a_journey_with_a_mistake_is_shown_by_line_and_column() {
    let journey = "GET {{base}}/\nHTTP 200\n[Asserts]\nmd5 == hex,00;\n";
    Folder::with_hostile_app("none", journey)
        .check()
        .exits(65)
        .says("home.hurl:4:1")
        .says("md5")
        .leaves_nothing();
}

#[test]
fn a_variable_without_a_value_is_found_before_the_app_starts() {
    let journey = "GET {{base}}/{{id}}\nHTTP 200\n";
    Folder::with_hostile_app("none", journey)
        .check()
        .exits(65)
        .says("id")
        .says("home.hurl:1")
        .leaves_nothing();
}

#[test]
fn missing_files_say_what_to_do() {
    let folder = Folder::empty();
    folder.check().exits(65).says("fissure init");
    hostile("none").without("journeys/home.hurl").check().exits(65).says("journeys/*.hurl");
}

#[test]
fn a_database_that_cannot_be_copied_is_refused() {
    let folder = hostile("none").file(".env", "DATABASE_URL=postgres://me@localhost/shop\n");
    folder.check().exits(65).says("DATABASE_URL").says("disposable").leaves_nothing();
}

/// WordPress has its server in a file of its own, where no environment tells of it: its posts would have been written by thousands.
#[test]
fn a_database_that_only_the_app_knows_is_refused() {
    let elsewhere = tempfile::tempdir().unwrap();
    let place = elsewhere.path().join(".s.PGSQL.5432");
    let _server = std::os::unix::net::UnixListener::bind(&place).unwrap();
    let asks = || hostile("asks_a_server").file("server.txt", place.to_str().unwrap());
    asks().check().exits(65).says("PostgreSQL").says("disposable").leaves_nothing();
    let link = "[links.db]\nkind = \"postgres\"\ndisposable = true";
    asks().configured(link).check().exits_one_of(&[0, 2]).leaves_nothing();
}

#[test]
fn the_users_data_is_never_written() {
    let folder = hostile("writes").file("data.txt", "precious\n");
    let seen = folder.check();
    seen.exits_one_of(&[0, 2]).leaves_nothing();
    assert_eq!(std::fs::read_to_string(folder.path().join("data.txt")).unwrap(), "precious\n");
}

#[test]
fn workers_that_were_forked_end_with_the_run() {
    hostile("forks").check().exits_one_of(&[0, 2]).leaves_nothing();
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // A file where a folder must be: the same error for root and everybody else, unlike permissions.
    hostile("none").file(".fissure", "in the way").check().exits(2).says(".fissure").leaves_nothing();
}

#[test]
fn a_wrong_command_line_is_status_64() {
    Folder::empty().fissure(&["chekc"]).exits(64);
    Folder::empty().fissure(&["check", "--budget", "soon"]).exits(64).says("300ms");
}

#[test]
fn a_proof_without_two_programs_is_refused() {
    let app = hostile("none");
    let command = "exec python3 hostile.py";
    app.fissure(&["check", "--before-command", command]).exits(64).says("nothing to prove").leaves_nothing();
    app.fissure(&["check", "--before-folder", "../gone"]).exits(65).says("--before-folder").leaves_nothing();
    app.fissure(&["check", "--in-place", "--before-command", "x"])
        .exits(64)
        .says("side by side")
        .leaves_nothing();
    app.fissure(&["check", "--against", "gone"]).exits(65).leaves_nothing();
}

#[test]
fn an_old_program_that_does_not_start_is_said_to_be_the_reason() {
    // Both have the port of the code.
    for port in ["", "port = 4321"] {
        let app = hostile("none").configured(port);
        let seen = app.fissure(&["check", "--budget", "15s", "--before-command", "exit 3"]);
        seen.exits(2).says("because of the old program").leaves_nothing();
    }
}

#[test]
fn ctrl_c_leaves_no_child_and_still_reports() {
    let folder = hostile("none");
    let mut running = folder.start(&["check", "--budget", "60s"]);
    running.wait_for("flat out");
    running.signal("INT");
    running.finish().exits(130).says("report:").leaves_nothing();
    assert!(processes_of(folder.path()).is_empty());
}

#[test]
fn kill_minus_nine_leaves_no_child_and_the_next_start_sweeps() {
    let folder = hostile("forks");
    let mut running = folder.start(&["check", "--budget", "60s"]);
    running.wait_for("flat out");
    running.signal("KILL");
    running.finish().leaves_no_process();
    folder.check().exits_one_of(&[0, 2]).leaves_nothing();
}
