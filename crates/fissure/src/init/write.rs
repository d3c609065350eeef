//! A guess as text: `fissure.toml` and a first journey.

use std::fmt::Write as _;

use fissure_facts::config::LinkKind;
use toml::Value;

use super::{Guess, link};

/// A `fissure.toml`, as short as the guess allows. Everything that is not in it has a default or is found.
pub fn write_toml(guess: &Guess) -> String {
    let app = &guess.app;
    let mut out = String::from(
        "# What fissure knows about this app. Written by `fissure init`; what is not here has a default or is found.\n\n[app]\n",
    );
    if app.command.is_empty() {
        // Refused by every verb with a sentence until somebody fills it in.
        out.push_str("command = \"\"  # how the app is started; it must listen on 127.0.0.1:$PORT\n");
    } else {
        entry(
            &mut out,
            "command",
            &text(&app.command),
            doubt(guess, "command").or(Some("run in this folder".to_owned())),
        );
    }
    if let Some(port) = app.port {
        entry(
            &mut out,
            "port",
            &port.to_string(),
            Some("in the app's code; leave it out once the app reads $PORT".to_owned()),
        );
    }
    if app.health != "/" {
        entry(&mut out, "health", &text(&app.health), Some("answers when the app is ready".to_owned()));
    }
    if let Some(setup) = &app.setup {
        entry(&mut out, "setup", &text(setup), Some("run once in every scratch copy".to_owned()));
    }
    if !app.env.is_empty() {
        out.push_str("\n[app.env]\n");
        for (name, value) in &app.env {
            entry(&mut out, &text_key(name), &text(value), None);
        }
    }
    out.push_str("\n[users]\njourneys = [\"journeys/*.hurl\"]  # what one user does, one file each\n");
    out.push_str("\n[goal]\nusers = 50       # at once\np95 = \"300ms\"    # of every route's answers\nerrors = \"1%\"\n");
    for (name, found) in &guess.links {
        let _ = write!(out, "\n[links.{}]\n", text_key(name));
        if let Some(env) = &found.env {
            entry(&mut out, "env", &text(env), None);
        }
        entry(&mut out, "kind", &text(link::written(found.kind)), None);
        if !matches!(found.kind, LinkKind::Sqlite | LinkKind::Http) {
            out.push_str(
                "disposable = false  # true once it is a scratch database, which experiments may write\n",
            );
        }
        if let Some(path) = &found.path {
            entry(&mut out, "path", &text(path), None);
        }
    }
    out
}

/// The journey to begin with: the front page. Anything but a failure of the server is right, because nothing is known
/// of the app: its front page may be a redirect to a login, or an API may have none. The user thinks for a second: the goal counts users, and
/// users that never pause would be tens of thousands of requests a second.
pub fn first_journey() -> &'static str {
    "# What one user does: requests in order. Replace this by what your users really do.\n\
     GET {{base}}/\n[Options]\ndelay: 1s\nHTTP *\n[Asserts]\nstatus < 500\n"
}

fn entry(out: &mut String, key: &str, value: &str, comment: Option<String>) {
    let comment = comment.map(|c| format!("  # {}", printable(&c))).unwrap_or_default();
    let _ = writeln!(out, "{key} = {value}{comment}");
}

/// Why the user should look at `key`.
fn doubt(guess: &Guess, key: &str) -> Option<String> {
    let reason = guess.facts.iter().find(|fact| !fact.sure && fact.what.starts_with(&format!("{key} =")))?;
    Some(format!("a guess: {}", reason.why))
}

fn text(value: &str) -> String {
    Value::String(value.to_owned()).to_string()
}

fn text_key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { text(&printable(name)) }
}

/// Comments end at a line break, and TOML allows no other control characters in them.
fn printable(comment: &str) -> String {
    comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
