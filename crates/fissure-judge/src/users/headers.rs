//! Which headers of a request belong to the journey, and which only to the browser that sent it.

use fissure_facts::traffic::Asked;

/// What the crowd says by itself, what a cache asks for, what proxies add, and what only describes a browser.
const LEFT_OUT: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "user-agent",
    "accept-encoding",
    "accept-language",
    "cookie",
    "cache-control",
    "pragma",
    "if-none-match",
    "if-modified-since",
    "if-range",
    "range",
    "upgrade-insecure-requests",
    "dnt",
    "priority",
    "purpose",
    "x-purpose",
    "via",
    "forwarded",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-request-id",
    "traceparent",
    "tracestate",
    "save-data",
    "http2-settings",
    "proxy-connection",
];

/// In the order in which they were sent.
pub fn kept(asked: &Asked) -> Vec<(String, String)> {
    // A WebSocket, too, looks from where it is opened.
    let changes = !matches!(asked.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in &asked.headers {
        let lower = name.to_ascii_lowercase();
        let value = value.trim();
        let is_token =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !is_token
            || LEFT_OUT.contains(&lower.as_str())
            || (lower.starts_with("sec-") && lower != "sec-websocket-protocol")
        {
            continue;
        }
        match lower.as_str() {
            // Where a form stands matters to those who look whether it is their own.
            "origin" | "referer" if !changes => {}
            "accept" if value.starts_with("*/*") => {}
            "accept" if value.starts_with("text/html,application/xhtml") => {
                kept.push((name.clone(), "text/html".to_owned()));
            }
            _ => kept.push((canonical(name), value.to_owned())),
        }
    }
    kept
}

/// HTTP/2 has small letters only; a person reads `Content-Type`.
fn canonical(name: &str) -> String {
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        return name.to_owned();
    }
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    });
    words.collect::<Vec<_>>().join("-")
}
