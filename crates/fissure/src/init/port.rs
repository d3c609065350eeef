//! Where the app listens, read from its code without running it.

use super::folder::Folder;

/// What the code says about the port.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listens {
    /// It reads `PORT` from the environment.
    WherePortSays {
        place: String,
    },
    /// It reads another variable, such as `APP_PORT`.
    WhereNameSays {
        name: &'static str,
        place: String,
    },
    Fixed {
        port: u16,
        place: String,
    },
    Unsaid,
}

/// Other names that people give to the variable.
const NAMES: &[&str] = &[
    "APP_PORT",
    "HTTP_PORT",
    "SERVER_PORT",
    "WEB_PORT",
    "LISTEN_PORT",
    "NODE_PORT",
    "API_PORT",
    "ROCKET_PORT",
];

/// A call or setting on whose line the port stands. Lower case.
const LISTENING: &[&str] = &[
    "listen(",
    "listenandserve(",
    "listen_and_serve(",
    ".run(",
    "bind(",
    "serve(",
    "httpserver(",
    "setport(",
    "set :port",
    "addr:",
];

/// Ports of databases, mail and caches: on a line of configuration they are the other side of a link.
const OTHERS: &[u16] = &[
    110, 143, 389, 465, 587, 993, 1025, 1433, 1521, 1883, 2379, 3306, 4317, 4318, 5432, 5433, 5672, 6379,
    8086, 9042, 9092, 9200, 11211, 27017,
];

/// Looks at `entry` and the source files with these extensions. Reading `PORT` anywhere outweighs a fixed number, which
/// is then its fallback.
pub(super) fn seek(folder: &Folder, extensions: &[&str], entry: Option<&str>) -> Listens {
    let mut files = folder.files(extensions);
    if let Some(entry) = entry {
        files.retain(|file| file != entry);
        files.insert(0, entry.to_owned());
    }
    let mut other_name = None;
    let mut listening = None;
    let mut setting = None;
    for file in files {
        let Some(text) = folder.text(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            // A minified bundle is not what somebody wrote.
            if line.len() > 400
                || line.trim_start().starts_with(['#', '*'])
                || line.trim_start().starts_with("//")
            {
                continue;
            }
            let place = || format!("{file}:{}", number + 1);
            let lower = line.to_ascii_lowercase();
            if lower.contains("env") {
                if has_word(line, "PORT") {
                    return Listens::WherePortSays { place: place() };
                }
                if other_name.is_none() {
                    other_name = NAMES.iter().find(|name| has_word(line, name)).map(|&name| (name, place()));
                }
            }
            if listening.is_none() && LISTENING.iter().any(|call| lower.contains(call)) {
                listening =
                    LISTENING.iter().find_map(|call| port_after(&lower, call)).map(|port| (port, place()));
            }
            if setting.is_none() {
                setting = port_setting(&lower).map(|port| (port, place()));
            }
        }
    }
    if let Some((name, place)) = other_name {
        return Listens::WhereNameSays { name, place };
    }
    match listening.or(setting) {
        Some((port, place)) => {
            Listens::Fixed { port, place: format!("{place} listens there and nothing reads $PORT") }
        }
        None => Listens::Unsaid,
    }
}

/// `word` stands in `line` and is not part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(part_of_name) && !line[at + word.len()..].starts_with(part_of_name)
    })
}

/// The first number behind `call` that can be the port of an HTTP server.
fn port_after(line: &str, call: &str) -> Option<u16> {
    let rest = &line[line.find(call)? + call.len()..];
    rest.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .find(|port: &u16| (*port == 80 || *port >= 1024) && !OTHERS.contains(port))
}

/// `port = 3000`, `"port": 3000`, `const PORT: u16 = 3000;`: the name alone, then nothing but punctuation and a type.
fn port_setting(line: &str) -> Option<u16> {
    let at = line.find("port")?;
    if line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
        return None;
    }
    let rest = line[at + 4..].trim_start_matches(['"', '\'', ' ']);
    let rest = rest.strip_prefix([':', '='])?.trim_start_matches([' ', '=', '"', '\'']);
    let rest = ["u16", "int", "number"].iter().find_map(|kind| rest.strip_prefix(kind)).unwrap_or(rest);
    let digits = rest.trim_start_matches([' ', '=']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().filter(|port| (*port == 80 || *port >= 1024) && !OTHERS.contains(port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listens(code: &str) -> Listens {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("app.js"), code).unwrap();
        seek(&Folder::new(folder.path()), &["js"], None)
    }

    fn fixed(code: &str) -> Option<u16> {
        match listens(code) {
            Listens::Fixed { port, .. } => Some(port),
            _ => None,
        }
    }

    #[test]
    fn a_fixed_port_is_seen_in_many_languages() {
        for (code, port) in [
            ("app.listen(3000, () => {})", 3000),
            ("server.listen({ port: 4000, host: '0.0.0.0' })", 4000),
            ("app.run(debug=True, port=5000)", 5000),
            ("uvicorn.run(app, host='0.0.0.0', port=8000)", 8000),
            ("http.ListenAndServe(\":8080\", nil)", 8080),
            ("TcpListener::bind(\"127.0.0.1:3001\").await", 3001),
            ("let addr = ([127, 0, 0, 1], 3002); Server::bind(&(x, 3002))", 3002),
            ("const PORT: u16 = 8081;", 8081),
            ("  port: 9000,", 9000),
            ("set :port, 4567", 4567),
        ] {
            assert_eq!(fixed(code), Some(port), "{code}");
        }
    }

    #[test]
    fn the_port_of_a_database_is_not_the_apps() {
        for code in [
            "createPool({ port: 5432 })",
            "redis_port = 6379",
            "dbport: 3000",
            "app.listen(config)",
            "// app.listen(3000)",
        ] {
            assert_eq!(listens(code), Listens::Unsaid, "{code}");
        }
    }

    #[test]
    fn reading_the_environment_outweighs_its_fallback() {
        for code in [
            "const port = process.env.PORT || 3000;\napp.listen(port)",
            "const { PORT = 3000 } = process.env",
            "app.listen(3000)\nport = int(os.environ.get('PORT', 5000))",
            "std::env::var(\"PORT\")",
            "port ENV.fetch(\"PORT\") { 3000 }",
        ] {
            assert!(matches!(listens(code), Listens::WherePortSays { .. }), "{code}: {:?}", listens(code));
        }
        assert!(matches!(
            listens("process.env.DB_PORT\napp.listen(3000)"),
            Listens::Fixed { port: 3000, .. }
        ));
        assert!(matches!(
            listens("process.env.APP_PORT || 3000"),
            Listens::WhereNameSays { name: "APP_PORT", .. }
        ));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC{0,40}(listen\\(|port|PORT|env)\\PC{0,40}") {
            let lower = line.to_ascii_lowercase();
            let _ = (has_word(&line, "PORT"), port_after(&lower, "listen("), port_setting(&lower));
        }
    }
}
