//! `package.json`: the start script, or the file that is the program.

use serde_json::Value;

use super::Start;
use super::command::{free_port, is_simple, quote};
use super::folder::Folder;

const CODE: &[&str] = &["js", "mjs", "cjs", "ts"];
/// Words of scripts that watch files or serve a development build: measuring those would measure the wrong thing.
const DEVELOPMENT: &[&str] = &[
    "nodemon",
    "--watch",
    "ts-node-dev",
    "react-scripts start",
    "webpack serve",
    "webpack-dev-server",
    "next dev",
    "nuxt dev",
    "nuxi dev",
    "ng serve",
    "gatsby develop",
    "astro dev",
    "remix dev",
    "vue-cli-service serve",
    "parcel",
    "tsx watch",
    "vite dev",
    "vite serve",
    "node-dev",
    "nest start --debug",
];

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let text = folder.text("package.json")?;
    let package: Value = serde_json::from_str(&text).unwrap_or_default();
    let mut start = from_script(folder, &package)
        .or_else(|| from_file(folder, &package))
        .or_else(|| from_package(&package))
        .or_else(|| preview(folder, &package))?;
    start.code = CODE;
    start.env.insert("NODE_ENV", "production".to_owned());
    if let Some(framework) =
        ["next", "nuxt", "@nestjs/core", "express", "fastify", "koa", "hono", "@hapi/hapi"]
            .iter()
            .find(|name| depends_on(&package, name))
    {
        start.why = format!("{}, with {framework}", start.why);
    }
    let needs_modules = package["dependencies"].as_object().is_some_and(|d| !d.is_empty());
    if needs_modules && !folder.has_folder("node_modules") {
        start.missing.push(format!("node_modules is not there: run `{} install` once", manager(folder)));
    }
    built(folder, &package, &mut start);
    Some(start)
}

/// The script meant for production.
fn from_script(folder: &Folder, package: &Value) -> Option<Start> {
    let scripts = package["scripts"].as_object()?;
    let (name, script) = ["start:prod", "start:production", "start"]
        .iter()
        .find_map(|&name| Some((name, scripts.get(name)?.as_str()?.trim())))
        .filter(|(_, script)| !script.is_empty())?;
    let why = format!("the script `{name}` of package.json");
    let entry = entry_of(script);
    let (command, why) = if let Some(rest) =
        script.strip_prefix("nodemon ").filter(|rest| is_simple(rest) && !rest.starts_with('-'))
    {
        (format!("node {rest}"), format!("{why}, without nodemon, which is for development"))
    } else if is_development(script) {
        return None;
    } else if script.starts_with("node ") && is_simple(script) && !scripts.contains_key(&format!("pre{name}"))
    {
        (script.to_owned(), why)
    } else if is_simple(script) && free_port(script).is_some() {
        // A port in the script can only be changed by writing the script out.
        (format!("node_modules/.bin/{script}"), why)
    } else if name == "start" {
        (format!("{} start", manager(folder)), format!("{why}: {script}"))
    } else {
        (format!("{} run {name}", manager(folder)), format!("{why}: {script}"))
    };
    let reads_port = script.contains("next start")
        || script.contains(".output/server")
        || script.contains("react-router-serve");
    Some(Start { command, why, sure: true, entry, reads_port, ..Start::default() })
}

/// The program is a package that was installed, and the folder holds its data.
fn from_package(package: &Value) -> Option<Start> {
    depends_on(package, "directus").then(|| Start {
        command: "node_modules/.bin/directus start".to_owned(),
        why: "package.json has directus".to_owned(),
        sure: true,
        health: Some(("/server/ping".to_owned(), "Directus answers there".to_owned())),
        reads_port: true,
        ..Start::default()
    })
}

/// No script: the program itself.
fn from_file(folder: &Folder, package: &Value) -> Option<Start> {
    let main = package["main"].as_str().filter(|main| folder.has(main) && starts_server(folder, main));
    let usual = [
        "server.js",
        "server.mjs",
        "index.js",
        "index.mjs",
        "app.js",
        "src/server.js",
        "src/index.js",
        "src/app.js",
    ];
    let file = main.or_else(|| usual.into_iter().find(|file| starts_server(folder, file)))?;
    Some(Start {
        command: format!("node {}", quote(file)),
        why: format!("package.json has no start script for production, and {file} starts a server"),
        sure: false,
        entry: Some(file.to_owned()),
        ..Start::default()
    })
}

/// A Vite app without a server of its own: its build, served.
fn preview(folder: &Folder, package: &Value) -> Option<Start> {
    let script = package["scripts"]["preview"].as_str()?;
    (script.trim() == "vite preview" || script.trim().starts_with("vite preview ")).then_some(())?;
    let mut start = Start {
        command: "node_modules/.bin/vite preview --host 127.0.0.1 --strictPort --port $PORT".to_owned(),
        why: "package.json has no start script for production; `preview` serves what vite built".to_owned(),
        ..Start::default()
    };
    if !folder.has_folder("dist") {
        start.setup = Some((format!("{} run build", manager(folder)), "dist is not there".to_owned()));
    }
    Some(start)
}

/// Frameworks that serve what a build made: when that is missing, build in the scratch copy.
fn built(folder: &Folder, package: &Value, start: &mut Start) {
    if !package["scripts"]["build"].is_string() || start.setup.is_some() {
        return;
    }
    let output = [("next", ".next"), ("nuxt", ".output"), ("@nestjs/core", "dist")]
        .into_iter()
        .find(|(name, _)| depends_on(package, name))
        .map(|(_, output)| output)
        .or_else(|| {
            start
                .entry
                .as_deref()?
                .split_once('/')
                .map(|(first, _)| first)
                .filter(|f| ["dist", "build"].contains(f))
        });
    if let Some(output) = output.filter(|output| !folder.has_folder(output)) {
        let why = format!(
            "{output} is not there; build once in this folder and drop this line, and every start is quicker"
        );
        start.setup = Some((format!("{} run build", manager(folder)), why));
    }
}

fn is_development(script: &str) -> bool {
    DEVELOPMENT.iter().any(|word| script.contains(word))
        || script.split("&&").any(|part| part.trim() == "vite")
}

/// The file in `node --flag dist/main.js --more`.
fn entry_of(script: &str) -> Option<String> {
    let mut words = script.split_whitespace();
    words.find(|word| ["node", "nodemon", "tsx", "ts-node", "bun"].contains(word))?;
    let file = words.find(|word| !word.starts_with('-'))?;
    Some(file.trim_start_matches("./").to_owned())
}

fn starts_server(folder: &Folder, file: &str) -> bool {
    folder
        .text(file)
        .is_some_and(|code| ["listen(", "createServer", "serve("].iter().any(|call| code.contains(call)))
}

fn depends_on(package: &Value, name: &str) -> bool {
    ["dependencies", "devDependencies"].iter().any(|kind| package[kind].get(name).is_some())
}

/// The package manager whose lock file lies here.
fn manager(folder: &Folder) -> &'static str {
    [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lockb", "bun"), ("bun.lock", "bun")]
        .iter()
        .find(|(file, _)| folder.has(file))
        .map_or("npm", |(_, name)| name)
}
