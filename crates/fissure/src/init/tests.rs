//! Small app folders, one of each kind, and what is guessed of them.

use std::fs;
use std::path::Path;

use fissure_facts::Config;
use fissure_facts::config::LinkKind;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        put(folder.path(), path, text.as_bytes());
    }
    folder
}

fn put(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The guess for these files; what is written of it must be read back as the same.
fn of(files: &[(&str, &str)]) -> Guess {
    let guess = guess(folder(files).path());
    let text = write_toml(&guess);
    if guess.app.command.is_empty() {
        return guess;
    }
    let config = Config::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!((&config.app, &config.links), (&guess.app, &guess.links), "{text}");
    assert_eq!(config.goal.users, Some(50.0));
    guess
}

fn command(files: &[(&str, &str)]) -> String {
    of(files).app.command
}

const EXPRESS: &str =
    r#"{"scripts":{"start":"node server.js","dev":"nodemon server.js"},"dependencies":{"express":"4"}}"#;

#[test]
fn express() {
    let guess = of(&[("package.json", EXPRESS), ("server.js", "app.listen(process.env.PORT || 3000)")]);
    assert_eq!(guess.app.command, "node server.js");
    assert_eq!(guess.app.port, None);
    assert_eq!(guess.app.env["NODE_ENV"], "production");
    assert!(guess.facts[0].why.contains("express"), "{:?}", guess.facts);
    assert!(guess.missing[0].contains("npm install"), "{:?}", guess.missing);
}

#[test]
fn express_with_a_fixed_port() {
    let guess = of(&[
        ("package.json", EXPRESS),
        ("server.js", "\napp.listen(3000)"),
        ("node_modules/x/i.js", "process.env.PORT"),
    ]);
    assert_eq!(guess.app.port, Some(3000));
    assert!(guess.facts.iter().any(|f| f.what == "port = 3000" && f.why.contains("server.js:2") && !f.sure));
    assert!(!guess.missing.iter().any(|m| m.contains("install")));
}

#[test]
fn a_port_under_another_name_is_passed_on() {
    let guess = of(&[("package.json", EXPRESS), ("server.js", "app.listen(process.env.HTTP_PORT || 3000)")]);
    assert_eq!(guess.app.command, "HTTP_PORT=$PORT node server.js");
    assert_eq!(guess.app.port, None);
}

#[test]
fn a_development_script_is_never_used() {
    let server = ("server.js", "require('http').createServer().listen(process.env.PORT)");
    let script = |script: &str| format!(r#"{{"main":"server.js","scripts":{{"start":"{script}"}}}}"#);
    assert_eq!(command(&[("package.json", &script("nodemon server.js")), server]), "node server.js");
    assert_eq!(
        command(&[("package.json", &script("nodemon --inspect server.js")), server]),
        "node server.js"
    );
    assert_eq!(command(&[("package.json", &script("node --watch server.js")), server]), "node server.js");
    assert_eq!(command(&[("package.json", &script("react-scripts start"))]), "");
    assert_eq!(command(&[("package.json", r#"{"scripts":{"dev":"vite"}}"#)]), "");
}

#[test]
fn a_script_with_several_parts_is_left_to_npm() {
    let package = r#"{"scripts":{"start":"node migrate.js && node server.js"}}"#;
    assert_eq!(command(&[("package.json", package), ("yarn.lock", "")]), "yarn start");
    let package = r#"{"scripts":{"start":"nest start","start:prod":"node dist/main","build":"nest build"}}"#;
    let guess = of(&[("package.json", package)]);
    assert_eq!(guess.app.command, "node dist/main");
    assert_eq!(guess.app.setup.as_deref(), Some("npm run build"));
}

#[test]
fn next() {
    let package = r#"{"scripts":{"dev":"next dev","build":"next build","start":"next start"},"dependencies":{"next":"15"}}"#;
    let guess = of(&[("package.json", package), ("pnpm-lock.yaml", "")]);
    assert_eq!((guess.app.command.as_str(), guess.app.port), ("pnpm start", None));
    assert_eq!(guess.app.setup.as_deref(), Some("pnpm run build"));
    let built =
        of(&[("package.json", package), (".next/BUILD_ID", "x"), ("node_modules/next/package.json", "{}")]);
    assert_eq!((built.app.setup, built.missing.len()), (None, 0));
    let fixed = package.replace("next start", "next start -p 4000");
    assert_eq!(command(&[("package.json", &fixed)]), "node_modules/.bin/next start -p $PORT");
}

#[test]
fn vite_is_served_as_built() {
    let package = r#"{"scripts":{"dev":"vite","build":"vite build","preview":"vite preview"}}"#;
    let guess = of(&[("package.json", package)]);
    assert!(guess.app.command.starts_with("node_modules/.bin/vite preview"), "{}", guess.app.command);
    assert_eq!(guess.app.setup.as_deref(), Some("npm run build"));
}

const MANAGE: &str = "import os\nfrom django.core import x\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n";

#[test]
fn django() {
    let files =
        [("manage.py", MANAGE), ("shop/wsgi.py", ""), ("shop/settings.py", "NAME = BASE_DIR / 'db.sqlite3'")];
    let guess = of(&files);
    assert_eq!(guess.app.command, "python3 manage.py runserver --noreload 127.0.0.1:$PORT");
    assert_eq!(guess.app.setup.as_deref(), Some("python3 manage.py migrate --noinput"));
    let with = |more: &[(&'static str, &'static str)]| of(&[&files[..], more].concat());
    assert_eq!(
        with(&[("requirements.txt", "Django\nGunicorn>=20")]).app.command,
        "gunicorn --bind 127.0.0.1:$PORT shop.wsgi"
    );
    let venv = with(&[(".venv/bin/python", ""), (".venv/bin/gunicorn", ""), ("package.json", EXPRESS)]);
    assert_eq!(venv.app.command, ".venv/bin/gunicorn --bind 127.0.0.1:$PORT shop.wsgi");
    assert!(venv.missing.is_empty(), "{:?}", venv.missing);
    assert!(
        !with(&[("requirements.txt", "django # gunicornish\ndjango-gunicorn-x")])
            .app
            .command
            .contains("gunicorn")
    );
}

#[test]
fn django_in_a_folder_below_with_split_settings() {
    let guess = of(&[
        ("src/manage.py", &MANAGE.replace("shop.settings", "shop.config.settings.production")),
        ("src/shop/config/wsgi.py", ""),
        ("pyproject.toml", "dependencies = [\"django\", \"gunicorn\"]"),
        ("uv.lock", ""),
    ]);
    assert_eq!(guess.app.command, "uv run gunicorn --chdir src --bind 127.0.0.1:$PORT shop.config.wsgi");
}

#[test]
fn flask() {
    let app = "from flask import Flask\napp = Flask(__name__)\nif __name__ == '__main__':\n    app.run(port=5000)\n";
    let guess = of(&[("app.py", app), ("requirements.txt", "flask")]);
    assert_eq!(
        (guess.app.command.as_str(), guess.app.port),
        ("flask --app app run --host 127.0.0.1 --port $PORT", None)
    );
    assert_eq!(
        command(&[("app.py", app), ("requirements.txt", "flask\ngunicorn==22")]),
        "gunicorn --bind 127.0.0.1:$PORT app:app"
    );
    let factory = "from flask import Flask\ndef create_app():\n    app = Flask(__name__)\n    return app\n";
    let files = [("shop/__init__.py", factory), ("venv/bin/python", ""), ("venv/bin/flask", "")];
    assert_eq!(command(&files), "venv/bin/flask --app shop run --host 127.0.0.1 --port $PORT");
    let wsgi =
        [("wsgi.py", "from shop import create_app\napp = create_app()\n"), ("requirements.txt", "gunicorn")];
    assert_eq!(command(&wsgi), "gunicorn --bind 127.0.0.1:$PORT wsgi:app");
}

#[test]
fn fastapi() {
    let app = "from fastapi import FastAPI\napi: FastAPI = FastAPI(title='x')\n";
    assert_eq!(command(&[("main.py", app)]), "uvicorn --host 127.0.0.1 --port $PORT main:api");
    let nested = [("src/shop/main.py", app), ("poetry.lock", "")];
    assert_eq!(
        command(&nested),
        "poetry run uvicorn --app-dir src --host 127.0.0.1 --port $PORT shop.main:api"
    );
}

#[test]
fn a_python_program_that_serves_by_itself() {
    let guess =
        of(&[("serve.py", "from http.server import HTTPServer\nHTTPServer(('', 8123), H).serve_forever()")]);
    assert_eq!((guess.app.command.as_str(), guess.app.port), ("python3 serve.py", Some(8123)));
    assert!(!guess.facts[0].sure);
}

#[test]
fn rails() {
    let guess = of(&[
        ("Gemfile", "gem \"rails\"\ngem \"puma\"\n"),
        ("config/application.rb", ""),
        ("bin/rails", ""),
        ("config/routes.rb", "  get \"up\" => \"rails/health#show\", as: :rails_health_check\n"),
        ("config/database.yml", "production:\n  database: storage/production.sqlite3\n"),
        ("config/environments/production.rb", "  config.force_ssl = true\n"),
        ("package.json", EXPRESS),
    ]);
    assert_eq!(guess.app.command, "bin/rails server -b 127.0.0.1 -p $PORT");
    assert_eq!(
        (guess.app.health.as_str(), guess.app.setup.as_deref()),
        ("/up", Some("bin/rails db:prepare"))
    );
    assert_eq!(guess.app.env["RAILS_ENV"], "production");
    assert!(
        guess.missing.iter().any(|m| m.contains("force_ssl"))
            && guess.missing.iter().any(|m| m.contains("bundle install"))
    );
}

#[test]
fn rack_and_sinatra() {
    assert_eq!(
        command(&[("config.ru", "run App"), ("Gemfile", "gem 'puma', '~> 6'")]),
        "bundle exec puma -b tcp://127.0.0.1:$PORT config.ru"
    );
    assert_eq!(command(&[("config.ru", "run App")]), "rackup -o 127.0.0.1 -p $PORT config.ru");
    assert_eq!(command(&[("app.rb", "require 'sinatra'")]), "ruby app.rb -o 127.0.0.1 -p $PORT");
}

#[test]
fn php() {
    let guess = of(&[("public/index.php", "<?php"), ("composer.json", r#"{"require":{"slim/slim":"4"}}"#)]);
    assert_eq!(guess.app.command, "php -S 127.0.0.1:$PORT -t public");
    assert_eq!(guess.app.env["PHP_CLI_SERVER_WORKERS"], "4");
    assert!(guess.missing[0].contains("composer install"));
    assert_eq!(command(&[("index.php", "")]), "php -S 127.0.0.1:$PORT -t .");
    let routed = command(&[("index.php", ""), ("router.php", "")]);
    assert_eq!(routed, "php -S 127.0.0.1:$PORT -t . router.php");
}

#[test]
fn laravel_with_its_assets() {
    let guess = of(&[
        ("artisan", ""),
        ("public/index.php", ""),
        ("package.json", r#"{"scripts":{"dev":"vite","build":"vite build"}}"#),
        ("composer.json", r#"{"require":{"laravel/framework":"11"}}"#),
        (
            ".env",
            "APP_KEY=base64:x\nAPP_URL=http://localhost\nDB_CONNECTION=mysql\nDB_HOST=127.0.0.1\nREDIS_HOST=127.0.0.1\n",
        ),
    ]);
    assert_eq!(guess.app.command, "php -S 127.0.0.1:$PORT -t public");
    assert_eq!(guess.links["db"].kind, LinkKind::Mysql);
    assert!(!guess.app.env.contains_key("APP_KEY"));
}

#[test]
fn go() {
    let guess = of(&[
        ("go.mod", "module example.com/shop/v2\n\ngo 1.22\n"),
        ("main.go", "package main\nfunc main() { http.ListenAndServe(\":8080\", nil) }\n"),
    ]);
    assert_eq!((guess.app.command.as_str(), guess.app.port), (".fissure/shop", Some(8080)));
    assert_eq!(guess.app.setup.as_deref(), Some("go build -o .fissure/shop ."));
    let guess = of(&[
        ("go.mod", "module shop\n"),
        ("cmd/migrate/main.go", "package main\nfunc main() {}\n"),
        ("cmd/server/main.go", "package main\nfunc main() { os.Getenv(\"PORT\") }\n"),
    ]);
    assert_eq!(guess.app.setup.as_deref(), Some("go build -o .fissure/server ./cmd/server"));
    assert_eq!(guess.app.port, None);
    let beside_a_seeder = of(&[
        ("go.mod", "module example.net/stockroom\n"),
        ("cmd/seed/main.go", "package main\nfunc main() {}\n"),
        ("cmd/stockroom/main.go", "package main\nfunc main() { server.ListenAndServe() }\n"),
    ]);
    assert_eq!(beside_a_seeder.app.command, ".fissure/stockroom");
}

const POM: &str = "<project><parent><artifactId>spring-boot-starter-parent</artifactId><version>3.4.1</version></parent>
    <artifactId>shop</artifactId><version>0.3</version><dependencies><dependency><artifactId>spring-boot-starter-web</artifactId>
    </dependency></dependencies></project>";

#[test]
fn java_by_maven() {
    let guess = of(&[("pom.xml", POM), ("mvnw", "")]);
    assert_eq!(guess.app.command, "java -jar target/shop-0.3.jar --server.port=$PORT");
    assert_eq!(guess.app.setup.as_deref(), Some("./mvnw -q -DskipTests package"));
    assert_eq!(of(&[("pom.xml", POM), ("target/shop-0.3.jar", "")]).app.setup, None);
    let of_parent = POM.replace("<version>0.3</version>", "");
    assert!(command(&[("pom.xml", &of_parent)]).contains("shop-3.4.1.jar"));
    let quarkus = of(&[
        ("pom.xml", &POM.replace("spring-boot", "quarkus")),
        ("target/quarkus-app/quarkus-run.jar", ""),
    ]);
    assert_eq!(quarkus.app.command, "java -Dquarkus.http.port=$PORT -jar target/quarkus-app/quarkus-run.jar");
    assert_eq!(quarkus.app.setup, None, "what it starts is there, whatever else is not");
}

#[test]
fn java_by_gradle() {
    let build = "plugins {\n  id(\"org.springframework.boot\") version \"3.4.1\"\n}\nversion = \"1.0\"\n";
    let guess = of(&[("build.gradle.kts", build), ("settings.gradle.kts", "rootProject.name = \"shop\"\n")]);
    assert_eq!(guess.app.command, "java -jar build/libs/shop-1.0.jar --server.port=$PORT");
    assert_eq!(guess.app.setup.as_deref(), Some("gradle -q bootJar"));
}

#[test]
fn a_rack_app_with_a_file_of_puma_is_started_by_puma() {
    let guess = of(&[("config.ru", "run App"), ("config/puma.rb", "threads 5, 5")]);
    assert_eq!(guess.app.command, "puma -b tcp://127.0.0.1:$PORT config.ru");
}

#[test]
fn java_without_a_build_tool() {
    let main = "public class Bank { public static void main(String[] args) { System.getenv(\"PORT\"); } }";
    let guess = of(&[("Bank.java", main), ("Account.java", "class Account {}")]);
    assert_eq!(guess.app.command, "java -cp .fissure/classes Bank");
    assert_eq!(guess.app.setup.as_deref(), Some("javac -d .fissure/classes Account.java Bank.java"));
    assert_eq!(guess.app.port, None);
    let depot = "package depot;\nimport com.sun.net.httpserver.HttpServer;\nimport depot.goods.Goods;\nclass Main { public static void main(String[] a) {} }";
    let goods =
        ("src/depot/goods/Goods.java", "package depot.goods;\nimport java.util.List;\npublic class Goods {}");
    let guess = of(&[("src/depot/Main.java", depot), goods]);
    assert_eq!(guess.app.command, "java -cp .fissure/classes depot.Main");
    let sources = "src/depot/Main.java src/depot/goods/Goods.java";
    assert_eq!(guess.app.setup, Some(format!("javac -d .fissure/classes {sources}")));
    let needs_more = goods.1.replace("java.util.List", "com.google.gson.Gson");
    assert_eq!(of(&[("src/depot/Main.java", depot), (goods.0, &needs_more)]).app.command, "");
}

#[test]
fn rust() {
    let manifest = "[package]\nname = \"shop\"\n[dependencies]\naxum = \"0.8\"\n";
    let main = "TcpListener::bind(\"127.0.0.1:3001\")";
    let guess = of(&[("Cargo.toml", manifest), ("src/main.rs", main)]);
    assert_eq!((guess.app.command.as_str(), guess.app.port), ("target/release/shop", Some(3001)));
    assert_eq!(guess.app.setup.as_deref(), Some("cargo build --release --bin shop"));
    assert_eq!(
        of(&[("Cargo.toml", manifest), ("src/main.rs", main), ("target/release/shop", "")]).app.setup,
        None
    );
    let workspace = of(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"),
        ("crates/cli/Cargo.toml", "[package]\nname = \"cli\"\n"),
        ("crates/cli/src/main.rs", ""),
        (
            "crates/web/Cargo.toml",
            "[package]\nname = \"web\"\n[[bin]]\nname = \"web-server\"\n[dependencies]\nrocket = \"0.5\"\n",
        ),
    ]);
    assert_eq!(workspace.app.command, "ROCKET_PORT=$PORT target/release/web-server");
}

#[test]
fn a_rust_library_is_not_an_app() {
    assert_eq!(command(&[("Cargo.toml", "[package]\nname = \"shop\"\n"), ("src/lib.rs", "")]), "");
}

#[test]
fn procfile_wins() {
    let guess = of(&[
        ("Procfile", "release: python manage.py migrate\nweb: gunicorn shop.wsgi --log-file -\nworker: x\n"),
        ("package.json", EXPRESS),
        ("manage.py", MANAGE),
        (".venv/bin/gunicorn", ""),
    ]);
    assert_eq!(
        (guess.app.command.as_str(), guess.app.port),
        (".venv/bin/gunicorn shop.wsgi --log-file -", None)
    );
    assert!(guess.facts[0].sure && guess.facts[0].why.contains("Procfile"));
    assert_eq!(command(&[("Procfile", "web: bin/serve --port=8000\n")]), "bin/serve --port=$PORT");
}

#[test]
fn docker_only() {
    let guess = of(&[(
        "Dockerfile",
        "FROM golang AS build\nCMD [\"no\"]\nFROM debian\nWORKDIR /srv/app\nEXPOSE 9000/tcp\nHEALTHCHECK CMD curl -f http://localhost:9000/healthz || exit 1\nENTRYPOINT [\"/srv/app/shop\"]\nCMD [\"--verbose\", \\\n  \"a b\"]\n",
    )]);
    assert_eq!((guess.app.command.as_str(), guess.app.port), ("shop --verbose 'a b'", Some(9000)));
    assert_eq!(guess.app.health, "/healthz");
    assert!(!guess.facts[0].sure);
    let shell = "FROM x\nENTRYPOINT [\"docker-entrypoint.sh\"]\nCMD [\"sh\", \"-c\", \"./run --bind 0.0.0.0:8000\"]\n";
    assert_eq!(command(&[("Dockerfile", shell)]), "./run --bind 0.0.0.0:$PORT");
}

#[test]
fn compose_with_postgres() {
    let compose = "services:\n  db:\n    image: postgres:16-alpine\n    ports:\n      - \"5433:5432\"\n  cache:\n    image: redis:7\n  web:\n    build: .\n    command: node server.js\n    ports: [\"8080:3000\"]\n    environment:\n      DATABASE_URL: postgres://me:pw@db:5432/shop\n";
    let guess = of(&[("compose.yaml", compose)]);
    assert_eq!((guess.app.command.as_str(), guess.app.port), ("node server.js", Some(3000)));
    assert_eq!(
        (guess.links["db"].kind, guess.links["db"].env.as_deref()),
        (LinkKind::Postgres, Some("DATABASE_URL"))
    );
    assert_eq!((guess.links["cache"].kind, guess.links["cache"].env.as_deref()), (LinkKind::Redis, None));
    assert_eq!(guess.app.env["DATABASE_URL"], "postgres://me:pw@127.0.0.1:5433/shop");
    let hidden = of(&[("docker-compose.yml", &compose.replace("5433:5432", "5433:1"))]);
    assert!(hidden.missing.iter().any(|m| m.contains("publishes no port")), "{:?}", hidden.missing);
}

#[test]
fn an_installed_package_and_a_script_are_started_as_they_are() {
    let directus = of(&[
        ("package.json", r#"{"dependencies":{"directus":"11"}}"#),
        (".env", "SECRET=x\nPORT=8055\n"),
        ("node_modules/x/y", ""),
    ]);
    assert_eq!(directus.app.command, "node_modules/.bin/directus start");
    assert!(directus.missing.is_empty(), "it reads .env itself: {:?}", directus.missing);
    assert_eq!(command(&[("run.sh", "#!/bin/sh\nexec ./server --port $PORT\n")]), "sh run.sh");
    assert!(guess(folder(&[("start.sh", "docker compose up\n")]).path()).app.command.is_empty());
    assert!(guess(folder(&[("start.sh", "pg_ctl -D data start\n")]).path()).app.command.is_empty());
}

/// A page written through the door landed in the developer's own database: nothing but a default in the code told of it.
#[test]
fn an_address_that_is_a_default_in_the_code_is_a_link() {
    for (file, text, kind, variable) in [
        (
            "server.js",
            "const url = process.env.DATABASE_URL || 'postgres://me:it@127.0.0.1:5432/shop';",
            LinkKind::Postgres,
            "DATABASE_URL",
        ),
        (
            "app.py",
            "CACHE = os.environ.get(\"REDIS_URL\", \"redis://localhost:6379/0\")",
            LinkKind::Redis,
            "REDIS_URL",
        ),
        (
            "app.rb",
            "DB = Sequel.connect(ENV.fetch('DATABASE_URL', 'mysql2://root@localhost/shop'))",
            LinkKind::Mysql,
            "DATABASE_URL",
        ),
        (
            "App.java",
            "String rates = env.getOrDefault(\"RATES_URL\", \"http://127.0.0.1:9000\");",
            LinkKind::Http,
            "RATES_URL",
        ),
        (
            "config/database.yml",
            "  url: <%= ENV.fetch(\"DATABASE_URL\", \"postgresql://me@localhost/desk\") %>",
            LinkKind::Postgres,
            "DATABASE_URL",
        ),
    ] {
        let guess = of(&[("Procfile", "web: ./run\n"), (file, text)]);
        let links: Vec<_> = guess.links.values().map(|l| (l.kind, l.env.as_deref())).collect();
        assert_eq!(links, [(kind, Some(variable))], "{text}");
    }
    for text in [
        "fetch('https://example.org/api')",
        "// see https://docs.example.org/env",
        "const HOME = 'http://localhost:3000'",
    ] {
        assert!(of(&[("Procfile", "web: ./run\n"), ("server.js", text)]).links.is_empty(), "{text}");
    }
}

#[test]
fn links_come_from_the_environment_file() {
    let env = "PORT=3000\nDATABASE_URL=postgres://me:pw@localhost/shop\nREDIS_URL=redis://localhost\nGEO_API_URL=https://geo.example\nAPP_NAME=Shop\nSESSION_SECRET=hush\n";
    let guess = of(&[("package.json", EXPRESS), ("server.js", "listen(process.env.PORT)"), (".env", env)]);
    let links: Vec<_> =
        guess.links.iter().map(|(n, l)| (n.as_str(), l.kind, l.env.as_deref().unwrap())).collect();
    assert_eq!(
        links,
        [
            ("db", LinkKind::Postgres, "DATABASE_URL"),
            ("geo_api", LinkKind::Http, "GEO_API_URL"),
            ("redis", LinkKind::Redis, "REDIS_URL")
        ]
    );
    assert_eq!(guess.app.env["APP_NAME"], "Shop");
    assert!(
        !write_toml(&guess).contains("hush")
            && !write_toml(&guess).contains("me:pw")
            && !guess.app.env.contains_key("PORT")
    );
    assert!(
        guess.missing.iter().any(|m| m.contains("SESSION_SECRET") && m.contains("DATABASE_URL")),
        "{:?}",
        guess.missing
    );
    let loaded = of(&[("package.json", &EXPRESS.replace("express", "dotenv")), (".env", env)]);
    assert!(!loaded.app.env.contains_key("APP_NAME") && loaded.links.len() == 3);
    let sqlite = of(&[(".env.example", "DATABASE_URL=sqlite:///data/shop.db")]);
    assert_eq!(sqlite.links["db"].path.as_deref(), Some("data/shop.db"));
}

#[test]
fn a_database_file_is_known_by_its_first_bytes() {
    let folder = folder(&[("index.php", ""), ("notes.db", "not one")]);
    put(folder.path(), "data/shop.db", b"SQLite format 3\0....");
    let guess = guess(folder.path());
    assert_eq!(guess.links.len(), 1);
    assert_eq!(guess.links["db"].path.as_deref(), Some("data/shop.db"));
}

#[test]
fn nothing_found_is_a_sentence_that_says_what_to_write() {
    let guess = guess(folder(&[("notes.txt", "hello")]).path());
    assert_eq!(guess.app.command, "");
    assert!(guess.missing[0].contains("command = ") && guess.missing[0].contains("$PORT"));
    // What is written is refused by the next verb with a sentence, not by a parser.
    let error = Config::parse(&write_toml(&guess)).unwrap_err().to_string();
    assert!(error.contains("command is empty"), "{error}");
}

#[test]
fn links_in_circles_and_pipes_end() {
    let folder = folder(&[("go.mod", "module x\n"), ("main.go", "package main\nfunc main() {}")]);
    std::os::unix::fs::symlink("..", folder.path().join("loop")).unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    std::os::unix::fs::symlink("../a", folder.path().join("a/again")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("Procfile")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("package.json")).unwrap();
    assert!(guess(folder.path()).app.command.starts_with(".fissure/"));
}

#[test]
fn a_hostile_file_name_cannot_break_out_of_its_word() {
    let package = r#"{"main":"x; touch pwned.js"}"#;
    let guess = of(&[("package.json", package), ("x; touch pwned.js", "http.createServer().listen(3000)")]);
    assert_eq!(guess.app.command, "node 'x; touch pwned.js'");
}

#[test]
fn a_hostile_file_cannot_send_escape_sequences_to_the_terminal() {
    let guess = of(&[("Procfile", "web: ./run \u{1b}]0;pwned\u{7}\n"), (".env", "A=\u{1b}[2J\n")]);
    let shown = format!("{} {:?} {:?}", guess.app.command, guess.facts, guess.missing);
    assert!(!shown.contains(char::is_control), "{shown:?}");
}

#[test]
fn the_first_journey_is_one_that_fissure_reads() {
    let none = |name: &str| panic!("it names no files, but asks for {name}");
    let journey = fissure_facts::journey::parse("first.hurl", first_journey(), &none).unwrap();
    assert_eq!(journey.steps.len(), 1);
    assert_eq!(journey.steps[0].route.to_string(), "GET /");
    assert_eq!(journey.steps[0].asserts.len(), 1);
}

const FILES: &[&str] = &[
    "Procfile",
    "package.json",
    "manage.py",
    "app.py",
    "requirements.txt",
    "Cargo.toml",
    "src/main.rs",
    "go.mod",
    "main.go",
    "Gemfile",
    "config.ru",
    "config/application.rb",
    "config/database.yml",
    "composer.json",
    "Dockerfile",
    "compose.yaml",
    ".env",
    "server.js",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(
        files in proptest::collection::vec((proptest::sample::select(FILES), proptest::collection::vec(any::<u8>(), 0..200)), 1..5)
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in &files {
            put(folder.path(), path, bytes);
        }
        let guess = guess(folder.path());
        prop_assert!(guess.app.command.is_empty() || Config::parse(&write_toml(&guess)).is_ok());
    }

    /// Whatever was found, what is written is TOML and says the same.
    #[test]
    fn whatever_stands_in_a_procfile_is_written_and_read_back(line in "\\PC{1,60}", value in "\\PC{0,30}", tail in "[\"'\\\\#\t ]{0,6}") {
        let procfile = format!("web: {line}{tail}");
        let environment = format!("A={value}{tail}\n");
        let guess = guess(folder(&[("Procfile", &procfile), (".env", &environment)]).path());
        if !guess.app.command.is_empty() {
            let config = Config::parse(&write_toml(&guess)).unwrap();
            prop_assert_eq!(config.app, guess.app);
        }
    }
}
