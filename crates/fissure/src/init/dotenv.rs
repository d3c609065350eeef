//! `.env`: variables that the app expects. Read for its links, and for whether anything loads it.

use super::Guess;
use super::folder::Folder;

/// Names in manifests of libraries and frameworks that load `.env` themselves.
const LOADERS: &[(&str, &[&str])] = &[
    (
        "package.json",
        &[
            "dotenv",
            "--env-file",
            "\"next\"",
            "\"nuxt\"",
            "@nestjs/config",
            "env-cmd",
            "prisma",
            "\"bun\"",
            "@adonisjs/core",
            "\"directus\"",
            "@strapi/strapi",
            "\"vite\"",
            "\"astro\"",
        ],
    ),
    ("requirements.txt", &["python-dotenv", "environ", "python-decouple", "pydantic-settings", "starlette"]),
    ("pyproject.toml", &["python-dotenv", "environ", "python-decouple", "pydantic-settings", "starlette"]),
    ("Pipfile", &["python-dotenv", "environ", "python-decouple", "pydantic-settings"]),
    ("Cargo.toml", &["dotenv"]),
    ("go.mod", &["godotenv", "viper", "cleanenv"]),
    ("Gemfile", &["dotenv"]),
    ("composer.json", &["dotenv", "laravel/framework", "symfony/runtime"]),
];

/// Name and value of each line; quotes are taken off, comments dropped.
pub(super) fn parse(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
            let name = name.trim();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let value = value.trim();
            let quoted = ['"', '\''].into_iter().find_map(|quote| {
                let inside = value.strip_prefix(quote)?;
                inside.find(quote).map(|end| &inside[..end])
            });
            let value = quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim_end());
            is_name.then(|| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Fissure does not load `.env`; when the app does not either, its plain values go to `[app.env]`. Secrets do not:
/// `fissure.toml` is meant to be committed.
pub(super) fn load(folder: &Folder, guess: &mut Guess) {
    let Some(text) = folder.text(".env") else {
        if let Some(example) = folder
            .first(&[".env.example", ".env.sample", ".env.dist"])
            .filter(|_| !guess.app.command.is_empty())
        {
            guess.suppose(
                "env",
                format!("{example} is there but no .env: copy it when the app needs what it names"),
            );
        }
        return;
    };
    let loader = LOADERS.iter().find_map(|(file, names)| {
        let manifest = folder.text(file)?;
        names.iter().find(|name| manifest.contains(*name)).map(|name| (file, name.trim_matches('"')))
    });
    if let Some((file, name)) = loader {
        guess.know("env from .env", format!("{file} has {name}, which reads it"));
        return;
    }
    let mut kept_back = Vec::new();
    let mut copied = Vec::new();
    for (name, value) in parse(&text) {
        if name == "PORT"
            || guess.app.env.contains_key(&name)
            || value.is_empty()
            || value.contains(char::is_control)
        {
            continue;
        }
        if is_secret(&name, &value) {
            kept_back.push(name);
        } else {
            guess.app.env.insert(name.clone(), value);
            copied.push(name);
        }
    }
    if !copied.is_empty() {
        guess.suppose(
            format!("env {}", copied.join(", ")),
            "copied from .env, because nothing that I know loads it",
        );
    }
    if !kept_back.is_empty() {
        guess.missing.push(format!(
            "nothing that I know loads .env, and its secrets are not copied ({}): export them before `fissure check`, or write them under [app.env]",
            kept_back.join(", ")
        ));
    }
}

fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words =
        ["secret", "password", "passwd", "pwd", "token", "key", "credential", "dsn", "salt", "private"];
    words.iter().any(|word| name.contains(word)) || value.contains('@')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_and_comments_are_taken_off() {
        let pairs = parse("# c\nexport A=1 # one\nB=\"x # y\"\nC='q'\nbroken\n=x\nD=\n");
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}:{v}")).collect();
        assert_eq!(pairs, ["A:1", "B:x # y", "C:q", "D:"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}", line in "[A-Z= #'\"é\n]{0,60}") {
            let _ = parse(&format!("{text}\n{line}"));
        }
    }
}
