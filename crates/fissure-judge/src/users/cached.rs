//! What a journey leaves out: files that a browser keeps, and what only the browser itself wants.

use fissure_facts::Exchange;
use fissure_facts::traffic::Answered;

/// Why an exchange is no step of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// An image, script, style or font that a browser's cache holds.
    Cached,
    /// Asked for by the browser, not by the page: its icon, what its tools look for, a preflight.
    Browsers,
    /// A stream of events, or a WebSocket over which nothing was heard.
    Live,
    /// No answer came.
    Unanswered,
}

pub fn why_left_out(exchange: &Exchange) -> Option<LeftOut> {
    let asked = &exchange.request;
    let path = asked.target.split('?').next().unwrap_or_default();
    let Some(answer) = &exchange.answer else { return Some(LeftOut::Unanswered) };
    let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if answer.status == 101 || kind.starts_with("text/event-stream") {
        return Some(LeftOut::Live);
    }
    let is_browsers = asked.method == "OPTIONS"
        || asked.method == "CONNECT"
        || ["/favicon.ico", "/robots.txt", "/apple-touch-icon.png"].contains(&path)
        || path.starts_with("/.well-known/appspecific/");
    if is_browsers {
        return Some(LeftOut::Browsers);
    }
    let is_file = matches!(asked.method.as_str(), "GET" | "HEAD") && is_asset(&kind, path, answer.status);
    (is_file && is_kept(answer, path)).then_some(LeftOut::Cached)
}

fn is_asset(kind: &str, path: &str, status: u16) -> bool {
    let by_kind = ["image/", "font/", "video/", "audio/", "text/css", "application/font", "application/wasm"]
        .iter()
        .any(|prefix| kind.starts_with(prefix))
        || kind.contains("javascript");
    // An answer without a body says no type (304), and a missing file says another one (404).
    by_kind || (has_name_of_a_file(path) && (kind.is_empty() || status == 304 || status == 404))
}

fn has_name_of_a_file(path: &str) -> bool {
    const ENDINGS: [&str; 18] = [
        ".css", ".js", ".mjs", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico",
        ".woff", ".woff2", ".ttf", ".otf", ".mp4", ".wasm",
    ];
    ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// Would a browser have kept it (RFC 9111)? What has neither the name of a file nor an age nor a version is made anew for
/// everybody. (Servers for development often send files without either.)
fn is_kept(answer: &Answered, path: &str) -> bool {
    if answer.status == 304 || answer.status == 404 {
        return true;
    }
    let control = answer.header("cache-control").unwrap_or_default().to_ascii_lowercase();
    if control.contains("no-store") {
        return false;
    }
    let is_of_age = control
        .split(',')
        .filter_map(|part| part.trim().strip_prefix("max-age="))
        .any(|age| age.parse::<u64>().is_ok_and(|age| age > 0));
    let has_version = answer.header("etag").is_some() || answer.header("last-modified").is_some();
    is_of_age
        || has_name_of_a_file(path)
        || control.contains("immutable")
        || has_version
        || answer.header("expires").is_some_and(|e| e != "0")
}
