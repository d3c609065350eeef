//! `Cargo.toml`: the binary of the package, or of the workspace member that is a server.

use toml::{Table, Value};

use super::Start;
use super::command::quote;
use super::folder::Folder;

const FRAMEWORKS: &[&str] =
    &["axum", "actix-web", "rocket", "warp", "poem", "salvo", "tide", "ntex", "loco-rs", "hyper"];

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let manifest = manifest(folder, "Cargo.toml")?;
    let (place, package) = binary_packages(folder, &manifest)
        .into_iter()
        // A server framework outweighs the order of the members.
        .max_by_key(|(place, package)| (framework(package).is_some(), std::cmp::Reverse(place.len())))?;
    let name = binary(&package)?;
    let framework = framework(&package);
    let built = format!("target/release/{}", quote(&name));
    let command =
        if framework == Some("rocket") { format!("ROCKET_PORT=$PORT {built}") } else { built.clone() };
    let why = match framework {
        Some(framework) => format!("{place}Cargo.toml has the binary {name} with {framework}"),
        None => format!("{place}Cargo.toml has the binary {name}; no web framework that I know"),
    };
    let setup = (!folder.has(&format!("target/release/{name}"))).then(|| {
        let why = "the release build is not there; build it once in this folder and drop this line, and every start is quicker";
        (format!("cargo build --release --bin {}", quote(&name)), why.to_owned())
    });
    let main = format!("{place}src/main.rs");
    Some(Start {
        command,
        why,
        sure: framework.is_some(),
        setup,
        code: &["rs"],
        entry: folder.has(&main).then_some(main),
        ..Start::default()
    })
}

fn manifest(folder: &Folder, path: &str) -> Option<Table> {
    folder.text(path)?.parse().ok()
}

/// The package here and those of the members, each with its folder (`` or `crates/web/`), that make a program.
fn binary_packages(folder: &Folder, manifest_here: &Table) -> Vec<(String, Table)> {
    let mut packages = vec![(String::new(), manifest_here.clone())];
    if manifest_here.contains_key("workspace") {
        // Walking finds them whatever patterns `members` holds.
        for path in folder.files(&["toml"]) {
            if let Some(place) = path.strip_suffix("Cargo.toml").filter(|place| place.ends_with('/')) {
                packages.extend(manifest(folder, &path).map(|member| (place.to_owned(), member)));
            }
        }
    }
    packages.retain(|(place, package)| {
        package.contains_key("package")
            && (package.contains_key("bin") || folder.has(&format!("{place}src/main.rs")))
    });
    packages
}

fn framework(package: &Table) -> Option<&'static str> {
    let dependencies = package.get("dependencies")?.as_table()?;
    FRAMEWORKS.iter().copied().find(|name| dependencies.contains_key(*name))
}

fn binary(package: &Table) -> Option<String> {
    let own = package.get("package")?.as_table()?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let named = || {
        let bins = package.get("bin")?.as_array()?;
        text(bins.first()?.as_table()?.get("name"))
    };
    text(own.get("default-run")).or_else(named).or_else(|| text(own.get("name")))
}
