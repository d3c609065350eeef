//! PHP: the built-in server with several workers, on the folder that holds `index.php`.

use super::Start;
use super::folder::Folder;

/// As many requests at once as a small php-fpm pool.
const WORKERS: &str = "4";

/// Laravel keeps a package.json for its assets, so it is asked before Node.
pub(super) fn laravel(folder: &Folder) -> Option<Start> {
    (folder.has("artisan") && folder.has("public/index.php"))
        .then(|| serve(folder, "public", "artisan is Laravel's"))
}

pub(super) fn start(folder: &Folder) -> Option<Start> {
    let place = ["public", "web", "htdocs", "."]
        .into_iter()
        .find(|place| folder.has(&format!("{place}/index.php")))?;
    let file = if place == "." { "index.php".to_owned() } else { format!("{place}/index.php") };
    Some(serve(folder, place, &format!("{file} is the front of a PHP app")))
}

fn serve(folder: &Folder, place: &str, why: &str) -> Start {
    // What nginx or Apache rewrites, a script of this name does for PHP's own server.
    let router = ["router.php".to_owned(), format!("{place}/router.php")];
    let router = router.into_iter().find(|file| folder.has(file)).map(|file| format!(" {file}"));
    let mut start = Start {
        command: format!("php -S 127.0.0.1:$PORT -t {place}{}", router.unwrap_or_default()),
        why: format!("{why}; PHP's own server with {WORKERS} workers stands in for php-fpm"),
        ..Start::default()
    };
    start.env.insert("PHP_CLI_SERVER_WORKERS", WORKERS.to_owned());
    if folder.has("composer.json") && !folder.has("vendor/autoload.php") {
        let needs = folder.text("composer.json").is_some_and(|text| text.contains("\"require\""));
        if needs {
            start.missing.push("vendor/autoload.php is not there: run `composer install` once".to_owned());
        }
    }
    start
}
