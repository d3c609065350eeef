//! `Dockerfile`: what its last stage runs, as far as that makes sense outside of a container.

use serde_json::Value;

use super::Start;
use super::command::quote;
use super::folder::Folder;
use super::python;

const NAMES: &[&str] = &["Dockerfile", "Containerfile", "docker/Dockerfile"];

/// One instruction: upper-case name and the rest of its line.
struct Instruction {
    name: String,
    rest: String,
}

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let file = folder.first(NAMES)?;
    let stage = last_stage(&folder.text(file)?);
    let last = |name: &str| stage.iter().rfind(|i| i.name == name).map(|i| i.rest.as_str());
    let workdir = last("WORKDIR").unwrap_or("/");
    let local = |words: Vec<String>| -> Vec<String> {
        words.into_iter().map(|w| without_workdir(&w, workdir)).collect()
    };
    // An entrypoint script that the image brings along is not here; what it would start stands in CMD.
    let entrypoint = last("ENTRYPOINT")
        .map(|rest| local(words(rest)))
        .filter(|words| words.first().is_some_and(|first| !first.ends_with(".sh") || folder.has(first)));
    let mut all = entrypoint.unwrap_or_default();
    all.extend(last("CMD").map(|rest| local(words(rest))).unwrap_or_default());
    let command = match all.as_slice() {
        [] => return None,
        [shell, flag, line] if shell.ends_with("sh") && flag.ends_with('c') => line.clone(),
        [line] => line.clone(),
        _ => all.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" "),
    };
    let port = last("EXPOSE").and_then(|rest| rest.split(['/', ' ']).next()?.parse().ok());
    Some(Start {
        command: python::in_environment(folder, &command),
        why: format!("what {file} runs; nothing more telling was found"),
        port,
        reads_port: stage
            .iter()
            .any(|i| i.name == "ENV" && (i.rest.starts_with("PORT=") || i.rest.starts_with("PORT ")))
            || command.contains("gunicorn"),
        code: &["js", "mjs", "cjs", "ts", "py", "rb", "go", "rs", "php"],
        ..Start::default()
    })
}

/// The path that `HEALTHCHECK` asks for.
pub(super) fn health(folder: &Folder) -> Option<(String, String)> {
    let file = folder.first(NAMES)?;
    let stage = last_stage(&folder.text(file)?);
    let check = stage.iter().rfind(|i| i.name == "HEALTHCHECK")?;
    Some((path_of_url(&check.rest)?, format!("HEALTHCHECK of {file}")))
}

/// `/healthz` in `curl -f http://localhost:3000/healthz || exit 1`.
pub(super) fn path_of_url(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("http://")?;
    let end = rest.find(|c: char| c.is_whitespace() || "\"'`,;|)]".contains(c)).unwrap_or(rest.len());
    let url = &rest[..end];
    let path = &url[url.find('/')?..];
    (path.len() > 1 && path.chars().all(|c| c.is_ascii_graphic())).then(|| path.to_owned())
}

fn last_stage(text: &str) -> Vec<Instruction> {
    let mut stage = Vec::new();
    let mut joined = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(part) = line.strip_suffix('\\') {
            joined.push_str(part);
            continue;
        }
        joined.push_str(line);
        let line = std::mem::take(&mut joined);
        let Some((name, rest)) = line.trim().split_once(char::is_whitespace) else { continue };
        let name = name.to_ascii_uppercase();
        if name == "FROM" {
            // The runtime settings of earlier stages are not inherited unless a stage is named; a guess may say so.
            stage.clear();
        }
        stage.push(Instruction { name, rest: rest.trim().to_owned() });
    }
    stage
}

/// The JSON form as words; the shell form as one.
fn words(rest: &str) -> Vec<String> {
    match serde_json::from_str::<Value>(rest) {
        Ok(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => vec![rest.to_owned()],
    }
}

/// `/app/server.js` -> `server.js` when `/app` is where the image keeps this folder.
fn without_workdir(word: &str, workdir: &str) -> String {
    let inside = word.strip_prefix(workdir.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
    inside.filter(|rest| !rest.is_empty() && workdir != "/").unwrap_or(word).to_owned()
}

/// Variables stay variables (`$PORT`); everything else is quoted when it has to be.
fn shell_word(word: &str) -> String {
    if word.contains("PORT") && word.contains('$') {
        format!("\"{}\"", word.replace('"', ""))
    } else {
        quote(word)
    }
}
