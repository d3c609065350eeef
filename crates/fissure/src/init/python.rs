//! Python: Django by `manage.py`, Flask and FastAPI by the line that makes the app, otherwise the file that serves.

use super::Start;
use super::command::quote;
use super::folder::Folder;

/// Where a virtual environment usually lies.
const ENVIRONMENTS: &[&str] = &[".venv", "venv", "env", ".env"];
const MANIFESTS: &[&str] = &[
    "requirements.txt",
    "requirements/base.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "setup.cfg",
];

/// Django, whose `manage.py` is unmistakable.
pub(super) fn django(folder: &Folder) -> Option<Start> {
    let manage = folder.first(&[
        "manage.py",
        "src/manage.py",
        "backend/manage.py",
        "app/manage.py",
        "server/manage.py",
    ])?;
    let code = folder.text(manage)?;
    if !code.contains("django") {
        return None;
    }
    let base = manage.strip_suffix("manage.py").unwrap_or_default();
    let settings = quoted_after(&code, "DJANGO_SETTINGS_MODULE");
    let python = program(folder, "python");
    let module = wsgi_module(folder, base, settings.as_deref());
    let mut start = match module {
        Some(module) if has_package(folder, "gunicorn") => {
            let chdir = if base.is_empty() {
                String::new()
            } else {
                format!("--chdir {} ", base.trim_end_matches('/'))
            };
            Start {
                command: format!(
                    "{} {chdir}--bind 127.0.0.1:$PORT {}",
                    program(folder, "gunicorn"),
                    quote(&module)
                ),
                why: format!(
                    "{manage} is Django's and gunicorn is installed or required; {}",
                    workers(folder)
                ),
                sure: true,
                ..Start::default()
            }
        }
        _ => Start {
            command: format!("{python} {manage} runserver --noreload 127.0.0.1:$PORT"),
            why: format!(
                "{manage} is Django's, and no gunicorn is installed or required: this is Django's own development server"
            ),
            sure: true,
            ..Start::default()
        },
    };
    let settings_file = settings.map(|module| format!("{base}{}.py", module.replace('.', "/")));
    let uses_sqlite =
        settings_file.and_then(|f| folder.text(&f)).is_some_and(|text| text.contains("db.sqlite3"));
    // Only a file that does not exist yet: a migration of the user's own database is not ours to make.
    if uses_sqlite && !folder.has(&format!("{base}db.sqlite3")) {
        start.setup = Some((
            format!("{python} {manage} migrate --noinput"),
            "the settings name db.sqlite3, which is not there".to_owned(),
        ));
    }
    environment_is_there(folder, &mut start);
    Some(start)
}

/// `mysite.wsgi`: beside the settings, or the only one below `manage.py`.
fn wsgi_module(folder: &Folder, base: &str, settings: Option<&str>) -> Option<String> {
    let mut package = settings.map(|s| s.rsplit_once('.').map_or("", |(package, _)| package));
    // Settings may be a package of their own (`mysite.settings.production`).
    while let Some(name) = package.filter(|name| !name.is_empty()) {
        if folder.has(&format!("{base}{}/wsgi.py", name.replace('.', "/"))) {
            return Some(format!("{name}.wsgi"));
        }
        package = name.rsplit_once('.').map(|(parent, _)| parent);
    }
    let file = folder.files(&["py"]).into_iter().find(|f| f.starts_with(base) && f.ends_with("/wsgi.py"))?;
    Some(file.strip_prefix(base)?.strip_suffix(".py")?.replace('/', "."))
}

/// Other Python apps.
pub(super) fn start(folder: &Folder) -> Option<Start> {
    let files = candidates(folder);
    let mut start = files
        .iter()
        .find_map(|file| asgi(folder, file))
        .or_else(|| files.iter().find_map(|file| wsgi(folder, file)));
    if start.is_none() {
        start = files.iter().find_map(|file| script(folder, file));
    }
    let mut start = start?;
    environment_is_there(folder, &mut start);
    Some(start)
}

/// Files that may make the app, the usual names first.
fn candidates(folder: &Folder) -> Vec<String> {
    let usual = [
        "wsgi.py",
        "asgi.py",
        "app.py",
        "main.py",
        "application.py",
        "server.py",
        "run.py",
        "app/main.py",
        "app/__init__.py",
        "src/main.py",
        "src/app.py",
        "api/main.py",
    ];
    let mut files: Vec<String> =
        usual.iter().filter(|file| folder.has(file)).map(|&file| file.to_owned()).collect();
    for file in folder.files(&["py"]) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files.truncate(200);
    files
}

/// FastAPI, Starlette and their like: `app = FastAPI(`.
fn asgi(folder: &Folder, file: &str) -> Option<Start> {
    let code = folder.text(file)?;
    let (framework, name) = ["FastAPI(", "Starlette(", "Litestar(", "Quart(", "Sanic("]
        .iter()
        .find_map(|call| Some((call.trim_end_matches('('), assigned(&code, call)?)))?;
    let (module, app_dir) = module_of(folder, file);
    let app_dir = if app_dir.is_empty() { String::new() } else { format!("--app-dir {} ", quote(&app_dir)) };
    Some(Start {
        command: format!(
            "{} {app_dir}--host 127.0.0.1 --port $PORT {}",
            program(folder, "uvicorn"),
            quote(&format!("{module}:{name}"))
        ),
        why: format!("{file} makes a {framework} app"),
        sure: true,
        ..Start::default()
    })
}

/// Flask and its like: `app = Flask(`, or a factory `create_app`.
fn wsgi(folder: &Folder, file: &str) -> Option<Start> {
    let code = folder.text(file)?;
    let is_flask = code.contains("Flask(");
    let name = if let Some(name) = assigned(&code, "Flask(") {
        name
    } else if let Some(factory) =
        ["create_app", "make_app"].into_iter().find(|f| is_flask && code.contains(&format!("def {f}(")))
    {
        format!("{factory}()")
    } else if file == "wsgi.py" {
        assigned(&code, "create_app(")
            .or_else(|| ["application", "app"].into_iter().find(|n| code.contains(n)).map(str::to_owned))?
    } else {
        return None;
    };
    let (module, app_dir) = module_of(folder, file);
    let what = if is_flask { "a Flask app" } else { "a WSGI app" };
    if has_package(folder, "gunicorn") || !(is_flask || code.contains("create_app")) {
        let chdir = if app_dir.is_empty() { String::new() } else { format!("--chdir {} ", quote(&app_dir)) };
        return Some(Start {
            command: format!(
                "{} {chdir}--bind 127.0.0.1:$PORT {}",
                program(folder, "gunicorn"),
                quote(&format!("{module}:{name}"))
            ),
            why: format!("{file} makes {what} for gunicorn; {}", workers(folder)),
            sure: true,
            ..Start::default()
        });
    }
    // `flask --app` finds files by path and factories by name.
    let target = if name == "app" || name == "application" || name == "create_app()" {
        module
    } else {
        format!("{module}:{name}")
    };
    Some(Start {
        command: format!(
            "{} --app {} run --host 127.0.0.1 --port $PORT",
            program(folder, "flask"),
            quote(&target)
        ),
        why: format!(
            "{file} makes {what}, and no gunicorn is installed or required: this is Flask's own development server"
        ),
        sure: true,
        ..Start::default()
    })
}

/// A program that serves by itself.
fn script(folder: &Folder, file: &str) -> Option<Start> {
    let code = folder.text(file)?;
    let serves = [
        "serve_forever(",
        "HTTPServer(",
        "web.run_app(",
        ".listen(",
        "bottle",
        "waitress",
        "cherrypy.quickstart(",
    ];
    let call = serves.iter().find(|call| code.contains(**call))?;
    Some(Start {
        command: format!("{} {}", program(folder, "python"), quote(file)),
        why: format!("{file} serves by itself ({})", call.trim_matches(['.', '('])),
        code: &["py"],
        entry: Some(file.to_owned()),
        ..Start::default()
    })
}

/// `app` in `app = FastAPI(`. Indented lines are inside functions: nothing outside can import what they make.
fn assigned(code: &str, call: &str) -> Option<String> {
    let dotted = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    code.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.split(':').next()?.trim_end();
        let (before, _) = value.trim_start().split_once(call)?;
        (!name.is_empty() && dotted(name) && !name.contains('.') && dotted(before)).then(|| name.to_owned())
    })
}

/// Dotted module of a file and the folder from which it can be imported (empty: this one).
fn module_of(folder: &Folder, file: &str) -> (String, String) {
    let path = file.strip_suffix("/__init__.py").or_else(|| file.strip_suffix(".py")).unwrap_or(file);
    match path.strip_prefix("src/") {
        // The src layout keeps packages one folder below.
        Some(inner) if !folder.has("src/__init__.py") => (inner.replace('/', "."), "src".to_owned()),
        _ => (path.replace('/', "."), String::new()),
    }
}

/// The text in quotes behind `name`.
fn quoted_after(code: &str, name: &str) -> Option<String> {
    let rest = code[code.find(name)? + name.len()..].trim_start_matches(['"', '\'', ']', ',', ' ', '=', ')']);
    let end = rest.find(['"', '\'', '\n'])?;
    let word = &rest[..end];
    (!word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .then(|| word.to_owned())
}

/// Installed in a virtual environment here, or required by a manifest.
fn has_package(folder: &Folder, name: &str) -> bool {
    ENVIRONMENTS.iter().any(|env| folder.has(&format!("{env}/bin/{name}")))
        || MANIFESTS.iter().any(|file| folder.text(file).is_some_and(|text| requires(&text, name)))
}

/// A line that is not a comment names the package.
fn requires(manifest: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    manifest.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
        let line = line.to_ascii_lowercase();
        line.match_indices(name).any(|(at, _)| {
            !line[..at].ends_with(part_of_name) && !line[at + name.len()..].starts_with(part_of_name)
        })
    })
}

/// The program in the app's virtual environment, or behind the tool that manages one, or from the path.
fn program(folder: &Folder, name: &str) -> String {
    if let Some(env) = ENVIRONMENTS.iter().find(|env| folder.has(&format!("{env}/bin/python"))) {
        return format!("{env}/bin/{name}");
    }
    match name {
        _ if folder.has("poetry.lock") => format!("poetry run {name}"),
        _ if folder.has("uv.lock") => format!("uv run {name}"),
        _ if folder.has("Pipfile.lock") => format!("pipenv run {name}"),
        "python" => "python3".to_owned(),
        _ => name.to_owned(),
    }
}

/// Gunicorn reads this file by itself; what the command line says counts more.
fn workers(folder: &Folder) -> &'static str {
    if folder.has("gunicorn.conf.py") {
        "gunicorn.conf.py says the rest"
    } else {
        "one worker unless --workers says more"
    }
}

/// A command of somebody else (`gunicorn app:app`), taken from the virtual environment where it has the program.
pub(super) fn in_environment(folder: &Folder, command: &str) -> String {
    let first = command.split(' ').next().unwrap_or_default();
    let is_name =
        !first.is_empty() && first.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let inside =
        ENVIRONMENTS.iter().map(|env| format!("{env}/bin/{first}")).find(|path| is_name && folder.has(path));
    inside.map_or_else(|| command.to_owned(), |path| format!("{path}{}", &command[first.len()..]))
}

/// Says what to install when the environment lacks the program.
fn environment_is_there(folder: &Folder, start: &mut Start) {
    let program = start.command.split(' ').next().unwrap_or_default();
    if program.contains("/bin/") && !folder.has(program) {
        start
            .missing
            .push(format!("{program} is not there: install the app's requirements into that environment"));
    } else if !program.contains("/bin/") && !["poetry", "uv", "pipenv"].contains(&program) {
        start.why.push_str("; there is no virtual environment here, so it comes from the path");
    }
}
