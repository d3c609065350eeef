//! `go.mod`: the main package, built in the scratch copy (Go's build cache makes that quick).

use super::Start;
use super::command::quote;
use super::folder::Folder;

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let module = folder.text("go.mod")?;
    let module = module.lines().find_map(|line| line.trim().strip_prefix("module "))?.trim();
    let mains: Vec<String> = folder
        .files(&["go"])
        .into_iter()
        .filter(|file| !file.ends_with("_test.go") && folder.text(file).is_some_and(|code| is_main(&code)))
        .collect();
    let is_called_so = |file: &&String| {
        ["/server/", "/web/", "/api/", "/http", "/app/"].iter().any(|word| file.contains(word))
    };
    let listens = |file: &&String| folder.text(file).is_some_and(|code| listens(&code));
    let file = mains
        .iter()
        .find(|file| !file.contains('/'))
        .or_else(|| mains.iter().find(listens))
        .or_else(|| mains.iter().find(is_called_so))
        .or(mains.first())?;
    let package = file.rsplit_once('/').map(|(package, _)| package);
    let last = package.unwrap_or(module).rsplit('/').find(|part| !is_version(part)).unwrap_or("app");
    // `.fissure` is ours, so no folder of the app has that name.
    let program = format!(".fissure/{}", quote(last));
    let target = package.map_or_else(|| ".".to_owned(), |package| quote(&format!("./{package}")));
    Some(Start {
        command: program.clone(),
        why: format!("go.mod, and {file} is the main package"),
        sure: mains.len() == 1 || package.is_none() || mains.iter().filter(listens).count() == 1,
        setup: Some((
            format!("go build -o {program} {target}"),
            "the program is built in the scratch copy".to_owned(),
        )),
        code: &["go"],
        entry: Some(file.clone()),
        ..Start::default()
    })
}

fn is_main(code: &str) -> bool {
    code.lines().any(|line| line.trim() == "package main") && code.contains("func main()")
}

/// A program beside it (a seeder, a migration) is a main package, too.
fn listens(code: &str) -> bool {
    ["ListenAndServe", "net.Listen(", "http.Serve(", ".Listen(\":", ".Run(\":"]
        .iter()
        .any(|call| code.contains(call))
}

/// `v2` at the end of a module path.
fn is_version(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}
