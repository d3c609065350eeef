//! A script with one of the names that people give to the one that starts their program.

use super::Start;
use super::folder::Folder;

const NAMES: [&str; 4] = ["start.sh", "run.sh", "serve.sh", "bin/start"];

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let (name, text) = NAMES.into_iter().find_map(|name| Some((name, folder.text(name)?)))?;
    // What only starts containers is asked for its own file.
    let starts_containers = text.contains("docker") || text.contains("podman");
    // Nor what has a database started and does not go on as a program.
    let starts_a_database =
        ["pg_ctl", "mysqld", "mariadbd", "redis-server"].iter().any(|name| text.contains(name));
    let is_app = !starts_containers && (!starts_a_database || text.contains("exec "));
    is_app.then(|| Start {
        command: format!(
            "{} {name}",
            if text.starts_with("#!/bin/bash") || text.contains("env bash") { "bash" } else { "sh" }
        ),
        why: format!("{name} is called like what starts the program"),
        reads_port: text.contains("PORT"),
        ..Start::default()
    })
}
