//! Access logs: the common and combined formats, and the JSON lines of Caddy and nginx.
//!
//! A log tells who asked for what and when, so it gives journeys that read, how often each is played, and think times.
//! It holds no bodies: a request that changes something cannot be played from it, and is counted instead.

use fissure_facts::traffic::{Answered, Asked, Exchange};
use jiff::{Timestamp, fmt::strtime};
use serde_json::Value;

use super::{Imported, Wrong};

struct Line {
    at_us: i64,
    client: String,
    agent: String,
    method: String,
    target: String,
    status: u16,
}

pub fn is_one(line: &str) -> bool {
    parse(line).is_some()
}

/// When the request of this line came, in seconds since 1970, whatever its method.
pub fn time_of(line: &str) -> Option<i64> {
    parse(line).map(|line| line.at_us.div_euclid(1_000_000))
}

pub fn read(text: &str) -> Result<Imported, Wrong> {
    let mut imported = Imported::default();
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match parse(line) {
            Some(line) if matches!(line.method.as_str(), "GET" | "HEAD") => lines.push(line),
            Some(line) => imported.leave_out(&format!("{} requests, whose bodies no log holds", line.method)),
            // Logs hold the lines of every broken client.
            None => imported.leave_out("lines of another kind"),
        }
    }
    let first = lines.iter().map(|line| line.at_us).min();
    let first = first.ok_or_else(|| Wrong::new("no line is a GET request with a time"))?;
    imported.exchanges = lines
        .into_iter()
        .map(|line| Exchange {
            at_us: line.at_us.saturating_sub(first).max(0) as u64,
            client: line.client,
            request: Asked {
                method: line.method,
                target: line.target,
                headers: vec![("User-Agent".to_owned(), line.agent)],
                ..Asked::default()
            },
            // A file of a browser's cache is told by its name here, so it counts as one that has a version.
            answer: Some(Answered {
                status: line.status,
                headers: vec![("ETag".to_owned(), "\"log\"".to_owned())],
                ..Answered::default()
            }),
            took_us: 0,
        })
        .collect();
    Ok(imported)
}

fn parse(line: &str) -> Option<Line> {
    if line.trim_start().starts_with('{') { of_json(line) } else { of_text(line) }
}

/// `host ident user [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "referer" "agent"`.
fn of_text(line: &str) -> Option<Line> {
    let client = line.split(' ').next()?;
    let (_, behind) = line.split_once('[')?;
    let (time, behind) = behind.split_once(']')?;
    let time = strtime::parse("%d/%b/%Y:%H:%M:%S %z", time).ok()?.to_timestamp().ok()?;
    let mut quoted = behind.split('"');
    let mut request = quoted.nth(1)?.split(' ');
    let (method, target) = (request.next()?, request.next()?);
    let status = quoted.next()?.split_whitespace().next()?.parse().ok()?;
    let agent = quoted.nth(2).unwrap_or_default();
    line_of(time.as_microsecond(), client, agent, method, target, status)
}

fn line_of(at_us: i64, client: &str, agent: &str, method: &str, target: &str, status: u16) -> Option<Line> {
    let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
    if !is_method || !target.starts_with('/') || !(100..=999).contains(&status) {
        return None;
    }
    let own = str::to_owned;
    Some(Line {
        at_us,
        client: own(client),
        agent: own(agent),
        method: own(method),
        target: own(target),
        status,
    })
}

/// What Caddy writes, and the names that nginx configurations commonly give.
fn of_json(line: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| value.pointer(name))
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    };
    let time = text(&["/ts", "/time_iso8601", "/time", "/timestamp", "/@timestamp", "/msec", "/time_local"])?;
    let at_us = match time.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds.abs() < 1e11 => (seconds * 1e6) as i64,
        Ok(_) => return None,
        Err(_) => match time.parse::<Timestamp>() {
            Ok(time) => time.as_microsecond(),
            Err(_) => {
                strtime::parse("%d/%b/%Y:%H:%M:%S %z", &time).ok()?.to_timestamp().ok()?.as_microsecond()
            }
        },
    };
    let (mut method, mut target) = (
        text(&["/request/method", "/request_method", "/method"]),
        text(&["/request/uri", "/request_uri", "/uri"]),
    );
    if let Some(request) = value.get("request").and_then(Value::as_str) {
        let mut words = request.split(' ').map(str::to_owned);
        (method, target) = (method.or_else(|| words.next()), target.or_else(|| words.next()));
        if value.get("request_method").is_some() || value.get("method").is_some() {
            target = target.filter(|t| t.starts_with('/'));
        }
    }
    let client = text(&["/request/client_ip", "/request/remote_ip", "/remote_addr", "/client", "/remote_ip"])
        .unwrap_or_default();
    let agent =
        text(&["/request/headers/User-Agent/0", "/http_user_agent", "/user_agent"]).unwrap_or_default();
    let status = text(&["/status"])?.parse().ok()?;
    line_of(at_us, &client, &agent, &method?, &target?, status)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_format_gives_the_same_exchange() {
        for line in [
            "192.0.2.7 - - [25/Nov/2026:10:00:00 +0000] \"GET /a?b=1 HTTP/1.1\" 200 17",
            "192.0.2.7 - ann [25/Nov/2026:11:00:00 +0100] \"GET /a?b=1 HTTP/2.0\" 200 17 \"http://h/\" \"browser\"",
            r#"{"ts":1795600800.0,"request":{"remote_ip":"192.0.2.7","method":"GET","uri":"/a?b=1","headers":{"User-Agent":["browser"]}},"status":200}"#,
            r#"{"time_iso8601":"2026-11-25T10:00:00+00:00","remote_addr":"192.0.2.7","request":"GET /a?b=1 HTTP/1.1","status":"200","http_user_agent":"browser"}"#,
        ] {
            let parsed = parse(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(
                (parsed.client.as_str(), parsed.method.as_str(), parsed.target.as_str(), parsed.status),
                ("192.0.2.7", "GET", "/a?b=1", 200),
                "{line}"
            );
            assert_eq!(parsed.at_us, 1_795_600_800_000_000, "{line}");
        }
        let text = "a - - [25/Nov/2026:10:00:01 +0000] \"GET / HTTP/1.1\" 200 1\n\u{16}\u{3}\na - - [25/Nov/2026:10:00:00 +0000] \"POST /x HTTP/1.1\" 302 1\n";
        let imported = read(text).unwrap();
        assert_eq!((imported.exchanges.len(), imported.left_out.len()), (1, 2));
        assert!(read("hello").unwrap_err().to_string().contains("no line"));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "\\PC{0,60}", like in "[0-9./:\\[\\]\" A-Za-z{}-]{0,60}", n: f64) {
            for line in [&text, &like, &format!("a [25/Nov/2026:10:00:00 +0000]{like}"), &format!("{{\"ts\":{n:?},\"status\":{n:?}}}")] {
                let _ = read(line);
            }
        }
    }
}
