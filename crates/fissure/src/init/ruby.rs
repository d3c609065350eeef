//! Ruby: Rails, or a Rack app by its `config.ru`, or a Sinatra file.

use super::Start;
use super::folder::Folder;

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let gemfile = folder.text("Gemfile").unwrap_or_default();
    let mut start = if folder.has("config/application.rb") {
        rails(folder)
    } else if folder.has("config.ru") {
        rack(folder, &gemfile)
    } else {
        sinatra(folder, &gemfile)?
    };
    if gemfile.is_empty() {
        start.command = start.command.replacen("bundle exec ", "", 1);
    } else if !folder.has("Gemfile.lock") {
        start.missing.push("Gemfile.lock is not there: run `bundle install` once".to_owned());
    }
    Some(start)
}

fn rails(folder: &Folder) -> Start {
    let program = if folder.has("bin/rails") { "bin/rails" } else { "bundle exec rails" };
    let mut start = Start {
        command: format!("{program} server -b 127.0.0.1 -p $PORT"),
        why: "config/application.rb is Rails'".to_owned(),
        sure: true,
        ..Start::default()
    };
    start.env.insert("RAILS_ENV", "production".to_owned());
    start.env.insert("RAILS_SERVE_STATIC_FILES", "1".to_owned());
    // Rails 7.1 makes up a secret when this is set, so that none has to be known here.
    if !folder.has("config/master.key") {
        start.env.insert("SECRET_KEY_BASE_DUMMY", "1".to_owned());
    }
    let settings = folder.text("config/environments/production.rb").unwrap_or_default();
    let says = |setting: &str| settings.lines().any(|line| line.trim().starts_with(setting));
    if says("config.force_ssl = true") && !says("config.assume_ssl = true") {
        start.missing.push(
            "config/environments/production.rb has force_ssl: without TLS in front every answer is a redirect; let it depend on a variable, or set RAILS_ENV to an environment without it".to_owned(),
        );
    }
    let routes = folder.text("config/routes.rb").unwrap_or_default();
    if routes.lines().any(|line| {
        line.trim_start().starts_with("get") && line.contains("rails/health#show") && line.contains("\"up\"")
    }) {
        start.health = Some(("/up".to_owned(), "config/routes.rb has Rails' health check".to_owned()));
    }
    let database = folder.text("config/database.yml").unwrap_or_default();
    let file = database
        .lines()
        .filter_map(|line| line.trim().strip_prefix("database:"))
        .map(str::trim)
        .find(|f| f.ends_with("production.sqlite3"));
    if let Some(file) = file.filter(|file| !folder.has(file)) {
        start.setup = Some((
            format!("{program} db:prepare"),
            format!("config/database.yml names {file}, which is not there"),
        ));
    }
    start
}

fn rack(folder: &Folder, gemfile: &str) -> Start {
    let names = ["puma", "unicorn", "thin", "falcon"];
    let of_gemfile = names.into_iter().find(|name| has_gem(gemfile, name)).map(|name| (name, "the Gemfile"));
    let is_set_up = folder.has("config/puma.rb");
    let server = of_gemfile.or(is_set_up.then_some(("puma", "config/puma.rb")));
    let command = match server.map(|(name, _)| name) {
        Some("puma") => "bundle exec puma -b tcp://127.0.0.1:$PORT config.ru",
        Some("unicorn") => "bundle exec unicorn -l 127.0.0.1:$PORT config.ru",
        Some("thin") => "bundle exec thin start -a 127.0.0.1 -p $PORT -R config.ru",
        Some("falcon") => "bundle exec falcon serve --bind http://127.0.0.1:$PORT",
        _ => "bundle exec rackup -o 127.0.0.1 -p $PORT config.ru",
    };
    let mut start = Start {
        command: command.to_owned(),
        why: format!(
            "config.ru is a Rack app; {}",
            server.map_or("no server in the Gemfile, so rackup".to_owned(), |(name, place)| format!(
                "{place} names {name}"
            ))
        ),
        sure: true,
        ..Start::default()
    };
    start.env.insert("RACK_ENV", "production".to_owned());
    start
}

fn sinatra(folder: &Folder, gemfile: &str) -> Option<Start> {
    let file = ["app.rb", "main.rb", "server.rb"].into_iter().find(|file| {
        folder
            .text(file)
            .is_some_and(|code| code.contains("require 'sinatra'") || code.contains("require \"sinatra\""))
    })?;
    let bundle = if gemfile.is_empty() { "" } else { "bundle exec " };
    let mut start = Start {
        command: format!("{bundle}ruby {file} -o 127.0.0.1 -p $PORT"),
        why: format!("{file} is a Sinatra app"),
        sure: true,
        ..Start::default()
    };
    start.env.insert("APP_ENV", "production".to_owned());
    Some(start)
}

fn has_gem(gemfile: &str, name: &str) -> bool {
    gemfile.lines().any(|line| {
        let rest = line.trim().strip_prefix("gem ").unwrap_or_default().trim_start_matches(['"', '\'', ' ']);
        rest.strip_prefix(name).is_some_and(|rest| rest.starts_with(['"', '\'']))
    })
}
