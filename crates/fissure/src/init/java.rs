//! Java and Kotlin: what Maven or Gradle builds, or the one class with a `main`.

use std::collections::{BTreeMap, BTreeSet};

use super::Start;
use super::command::quote;
use super::folder::Folder;

pub(super) fn start(folder: &Folder) -> Option<Start> {
    built(folder).or_else(|| classes(folder))
}

/// A project of a build tool, and the program that it makes.
struct Project {
    file: &'static str,
    text: String,
    jar: String,
    build: String,
}

fn built(folder: &Folder) -> Option<Start> {
    let Project { file, text, jar, build } = maven(folder).or_else(|| gradle(folder))?;
    let has = |word: &str| text.contains(word);
    let is_spring = has("spring-boot") || has("springframework.boot");
    let (framework, before, behind) = if is_spring {
        ("Spring Boot", "", " --server.port=$PORT")
    } else if has("quarkus") {
        ("Quarkus", "-Dquarkus.http.port=$PORT ", "")
    } else if has("micronaut") {
        ("Micronaut", "-Dmicronaut.server.port=$PORT ", "")
    } else {
        ("", "", "")
    };
    let jar = match jar.split_once('/') {
        Some((built, _)) if framework == "Quarkus" => format!("{built}/quarkus-app/quarkus-run.jar"),
        _ => jar,
    };
    let mut env = BTreeMap::new();
    if is_spring && has("spring-boot-devtools") {
        // Devtools restarts the app when a file changes; what users get does not.
        env.insert("SPRING_DEVTOOLS_RESTART_ENABLED", "false".to_owned());
    }
    let is_known = !framework.is_empty();
    Some(Start {
        why: if is_known { format!("{file} names {framework}") } else { file.to_owned() },
        sure: is_known,
        reads_port: is_known,
        command: format!("java {before}-jar {}{behind}", quote(&jar)),
        setup: (!folder.has(&jar)).then(|| (build, format!("{jar} is not there"))),
        env,
        code: &["java", "kt"],
        ..Start::default()
    })
}

fn maven(folder: &Folder) -> Option<Project> {
    let text = folder.text("pom.xml")?;
    // The parent's name and version stand in the same tags as the project's own, and so do those of whatever it builds with.
    let mut own = text.clone();
    for block in ["parent", "dependencies", "dependencyManagement", "plugins", "profiles"] {
        while let Some((before, rest)) = own.split_once(&format!("<{block}>")) {
            let after = rest.split_once(&format!("</{block}>")).map_or("", |(_, after)| after);
            own = format!("{before}{after}");
        }
    }
    let parent = between(&text, "<parent>", "</parent>").unwrap_or_default();
    let tag = |text: &str, name: &str| {
        between(text, &format!("<{name}>"), &format!("</{name}>")).map(|value| value.trim().to_owned())
    };
    let name = tag(&own, "finalName").filter(|name| !name.contains("${")).or_else(|| {
        let version = tag(&own, "version").or_else(|| tag(parent, "version"))?;
        Some(format!("{}-{version}", tag(&own, "artifactId")?))
    })?;
    let program = if folder.has("mvnw") { "./mvnw" } else { "mvn" };
    Some(Project {
        file: "pom.xml",
        text,
        jar: format!("target/{name}.jar"),
        build: format!("{program} -q -DskipTests package"),
    })
}

fn gradle(folder: &Folder) -> Option<Project> {
    let file = folder.first(&["build.gradle.kts", "build.gradle"])?;
    let text = folder.text(file)?;
    let settings = folder.first(&["settings.gradle.kts", "settings.gradle"]).and_then(|f| folder.text(f));
    let name = settings.as_deref().and_then(|text| setting(text, "rootProject.name"))?;
    let version = setting(&text, "version").map(|version| format!("-{version}")).unwrap_or_default();
    let task = if text.contains("spring-boot") || text.contains("springframework.boot") {
        "bootJar"
    } else {
        "build -x test"
    };
    let program = if folder.has("gradlew") { "./gradlew" } else { "gradle" };
    Some(Project {
        file,
        text,
        jar: format!("build/libs/{name}{version}.jar"),
        build: format!("{program} -q {task}"),
    })
}

/// `name = "value"`, with either quotes.
fn setting(text: &str, name: &str) -> Option<String> {
    let value =
        text.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    text.split_once(open)?.1.split_once(close).map(|(inside, _)| inside)
}

/// No build tool: all classes are compiled, which takes a second, if they need nothing but Java.
fn classes(folder: &Folder) -> Option<Start> {
    let read = |file: String| folder.text(&file).map(|code| (file, code));
    let files: Vec<(String, String)> = folder.files(&["java"]).into_iter().filter_map(read).collect();
    let packages: BTreeSet<&str> = files.iter().filter_map(|(_, code)| package(code)).collect();
    let is_there = |import: &str| {
        ["java.", "javax.", "jdk.", "com.sun."].iter().any(|own| import.starts_with(own))
            || packages
                .iter()
                .any(|package| import.strip_prefix(package).is_some_and(|rest| rest.starts_with('.')))
    };
    files.iter().all(|(_, code)| imports(code).all(is_there)).then_some(())?;
    let mains: Vec<&(String, String)> =
        files.iter().filter(|(_, code)| code.contains("void main(")).collect();
    let (entry, code) = mains.first()?;
    let stem = entry.rsplit('/').next()?.strip_suffix(".java")?;
    let class = package(code).map_or_else(|| stem.to_owned(), |package| format!("{package}.{stem}"));
    let sources = files.iter().map(|(file, _)| file);
    let listed: Vec<String> = sources.map(|file| quote(file)).collect();
    Some(Start {
        command: format!("java -cp .fissure/classes {}", quote(&class)),
        why: format!("{entry} has a main method"),
        sure: mains.len() == 1,
        setup: Some((
            format!("javac -d .fissure/classes {}", listed.join(" ")),
            "the classes are compiled in the scratch copy".to_owned(),
        )),
        code: &["java"],
        entry: Some(entry.clone()),
        ..Start::default()
    })
}

fn package(code: &str) -> Option<&str> {
    said(code, "package ").next()
}

fn imports(code: &str) -> impl Iterator<Item = &str> {
    said(code, "import ").map(|import| import.strip_prefix("static ").unwrap_or(import))
}

/// What stands behind a word at the beginning of a line, up to the semicolon.
fn said<'c>(code: &'c str, word: &'static str) -> impl Iterator<Item = &'c str> {
    code.lines().filter_map(move |line| Some(line.trim().strip_prefix(word)?.split_once(';')?.0.trim()))
}
