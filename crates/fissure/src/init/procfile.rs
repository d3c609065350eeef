//! `Procfile`: a line that somebody wrote to run the app for real.

use super::Start;
use super::folder::Folder;
use super::python;

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let text = folder.text("Procfile")?;
    let command = text.lines().find_map(|line| line.trim_start().strip_prefix("web:"))?.trim();
    if command.is_empty() {
        return None;
    }
    // These bind to $PORT of their own accord.
    let reads_port = ["gunicorn", "puma", "unicorn", "heroku-php", "rails s"]
        .iter()
        .any(|server| command.contains(server));
    Some(Start {
        command: python::in_environment(folder, command),
        why: "the web line of Procfile".to_owned(),
        sure: true,
        reads_port,
        code: &["js", "mjs", "cjs", "ts", "py", "rb", "go", "rs", "java", "php", "ex", "exs"],
        ..Start::default()
    })
}
