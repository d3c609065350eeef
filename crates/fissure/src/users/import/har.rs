//! HAR 1.2: what the developer tools of browsers and Playwright's `recordHar` write.
//!
//! Tolerant where tools differ (missing times, sizes, texts), strict where guessing would make another journey.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fissure_facts::traffic::{Answered, Asked, Content, Exchange, Message, Side};
use jiff::Timestamp;
use serde_json::Value;

use super::{Imported, Wrong};

/// Is it one, by its first words?
pub fn is_one(text: &str) -> bool {
    serde_json::from_str::<Value>(text)
        .is_ok_and(|value| value.get("log").is_some_and(|log| log.get("entries").is_some()))
}

pub fn read(text: &str) -> Result<Imported, Wrong> {
    let file: Value =
        serde_json::from_str(text).map_err(|e| Wrong::at(e.line(), format!("this is no JSON: {e}")))?;
    let entries = file
        .pointer("/log/entries")
        .and_then(Value::as_array)
        .ok_or_else(|| Wrong::new("a HAR file has a list `log.entries`, and this one has none"))?;
    let mut read = Vec::new();
    let mut imported = Imported::default();
    for (n, entry) in entries.iter().enumerate() {
        let wrong = |what: String| Wrong::new(format!("entry {} of `log.entries`: {what}", n + 1));
        let request = entry.get("request").ok_or_else(|| wrong("it has no `request`".to_owned()))?;
        let url = text_of(request, "url").ok_or_else(|| wrong("its request has no `url`".to_owned()))?;
        let Some((origin, target)) = split_url(url) else {
            imported.leave_out("data and blob URLs");
            continue;
        };
        if entry.get("_fromCache").is_some_and(|from| !from.is_null()) {
            imported.leave_out("answers from the browser's cache");
            continue;
        }
        let status = entry.pointer("/response/status").and_then(Value::as_i64).unwrap_or(0);
        let started = match text_of(entry, "startedDateTime") {
            Some(time) => Some(
                time.parse::<Timestamp>()
                    .map_err(|_| wrong(format!("`startedDateTime` {time:?} is no time")))?,
            ),
            None => None,
        };
        let method = text_of(request, "method").unwrap_or("GET").to_owned();
        let exchange = Exchange {
            at_us: started.map_or(n as u64, |at| at.as_microsecond().max(0) as u64),
            client: "har".to_owned(),
            request: Asked {
                method,
                target,
                headers: headers_of(request, origin),
                body: Content::whole(sent(request)),
            },
            // The status is 0 when the browser gave up, or was not let.
            answer: u16::try_from(status).ok().filter(|s| *s >= 100).map(|status| Answered {
                status,
                headers: answer_headers(entry),
                body: Content::whole(got(entry)),
            }),
            took_us: entry
                .get("time")
                .and_then(Value::as_f64)
                .filter(|t| *t > 0.0)
                .map_or(0, |ms| (ms * 1e3) as u64),
        };
        imported.messages.extend(messages_of(entry, exchange.at_us));
        read.push((origin.to_owned(), exchange));
    }
    imported.of_one_host(read);
    imported.exchanges.sort_by_key(|exchange| exchange.at_us);
    let first = imported.exchanges.first().map_or(0, |exchange| exchange.at_us);
    imported.exchanges.iter_mut().for_each(|exchange| exchange.at_us -= first);
    for message in &mut imported.messages {
        message.at_us = message.at_us.saturating_sub(first);
        message.opened_us = message.opened_us.saturating_sub(first);
    }
    Ok(imported)
}

/// What was said over a WebSocket, which Chromium's developer tools write beside the standard's fields.
fn messages_of(entry: &Value, opened_us: u64) -> impl Iterator<Item = Message> {
    const TEXT: u64 = 1; // opcodes of RFC 6455
    const BINARY: u64 = 2;
    let list = entry.get("_webSocketMessages").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(move |message| {
        let from = match text_of(message, "type")? {
            "send" => Side::Client,
            "receive" => Side::App,
            _ => return None,
        };
        let data = text_of(message, "data")?;
        let opcode = message.get("opcode").and_then(Value::as_u64).unwrap_or(TEXT);
        let body = match opcode {
            TEXT => data.as_bytes().to_vec(),
            BINARY => BASE64.decode(data).ok()?,
            _ => return None,
        };
        let at_s = message.get("time").and_then(Value::as_f64).unwrap_or(0.0);
        // In the order of the list, should two have one time or none.
        let at_us = ((at_s * 1e6) as u64).max(opened_us);
        Some(Message { at_us, opened_us, from, binary: opcode == BINARY, body: Content::whole(body) })
    })
}

fn text_of<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// `http://host` and what is asked of it.
pub fn split_url(url: &str) -> Option<(&str, String)> {
    let scheme =
        ["http://", "https://", "ws://", "wss://"].into_iter().find(|scheme| url.starts_with(scheme))?;
    let end = url[scheme.len()..].find(['/', '?', '#']).map_or(url.len(), |at| at + scheme.len());
    let (origin, target) = url.split_at(end);
    let target = target.split('#').next().unwrap_or_default();
    if origin.len() == scheme.len() {
        return None;
    }
    Some((origin, if target.starts_with('/') { target.to_owned() } else { format!("/{target}") }))
}

fn pairs_of(value: Option<&Value>) -> Vec<(String, String)> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    let pair = |item: &Value| Some((text_of(item, "name")?.to_owned(), text_of(item, "value")?.to_owned()));
    // `:method` and its kin are HTTP/2's own.
    list.filter_map(pair).filter(|(name, _)| !name.starts_with(':')).collect()
}

fn headers_of(request: &Value, origin: &str) -> Vec<(String, String)> {
    let mut headers = pairs_of(request.get("headers"));
    let has =
        |headers: &[(String, String)], name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !has(&headers, "host") {
        let host = origin.split("://").nth(1).unwrap_or_default();
        headers.push(("Host".to_owned(), host.to_owned()));
    }
    if !has(&headers, "cookie") {
        let cookies = pairs_of(request.get("cookies"));
        if !cookies.is_empty() {
            let pairs: Vec<String> =
                cookies.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.push(("Cookie".to_owned(), pairs.join("; ")));
        }
    }
    if !has(&headers, "content-type")
        && let Some(kind) =
            request.pointer("/postData/mimeType").and_then(Value::as_str).filter(|k| !k.is_empty())
    {
        headers.push(("Content-Type".to_owned(), kind.to_owned()));
    }
    headers
}

fn sent(request: &Value) -> Vec<u8> {
    let Some(data) = request.get("postData") else { return Vec::new() };
    let text = text_of(data, "text").unwrap_or_default();
    if text_of(data, "encoding") == Some("base64")
        && let Ok(bytes) = BASE64.decode(text)
    {
        return bytes;
    }
    if !text.is_empty() {
        return text.as_bytes().to_vec();
    }
    // Some tools give the fields only.
    let fields = pairs_of(data.get("params"));
    let pairs: Vec<String> = fields.iter().map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect();
    pairs.join("&").into_bytes()
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
pub fn encoded(text: &str) -> String {
    let byte = |b: u8| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

fn answer_headers(entry: &Value) -> Vec<(String, String)> {
    let mut headers = pairs_of(entry.pointer("/response/headers"));
    // The text is unpacked already, whatever the header says.
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-encoding"));
    // Several cookies of one answer are lines of one value in what Chromium writes.
    let (cookies, mut rest): (Vec<_>, Vec<_>) =
        headers.into_iter().partition(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    for (name, value) in cookies {
        rest.extend(value.lines().map(|line| (name.clone(), line.to_owned())));
    }
    let has = |name: &str| rest.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let kind =
        entry.pointer("/response/content/mimeType").and_then(Value::as_str).filter(|k| k.contains('/'));
    let to = entry.pointer("/response/redirectURL").and_then(Value::as_str).filter(|to| !to.is_empty());
    let more = [("Content-Type", kind), ("Location", to)];
    let more: Vec<_> = more.into_iter().filter(|(name, _)| !has(name)).collect();
    rest.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    rest
}

fn got(entry: &Value) -> Vec<u8> {
    let Some(content) = entry.pointer("/response/content") else { return Vec::new() };
    let text = text_of(content, "text").unwrap_or_default();
    match text_of(content, "encoding") {
        Some("base64") => BASE64.decode(text).unwrap_or_default(),
        _ => text.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn entry(url: &str, more: &Value) -> Value {
        let mut entry = json!({
            "startedDateTime": "2026-11-25T12:00:01.500Z", "time": 12.5,
            "request": { "method": "GET", "url": url, "headers": [{ "name": ":path", "value": "/" }, { "name": "accept", "value": "text/html" }] },
            "response": { "status": 200, "headers": [{ "name": "set-cookie", "value": "a=1; Path=/\nb=2" }], "content": { "mimeType": "text/html", "text": "aGk=", "encoding": "base64" } }
        });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    }

    #[test]
    fn an_entry_becomes_an_exchange_and_other_hosts_are_counted() {
        let entries = [
            entry("http://127.0.0.1:8000/a?b=1#c", &json!({})),
            entry("http://127.0.0.1:8000/b", &json!({ "startedDateTime": "2026-11-25T12:00:00.500Z" })),
            entry("https://cdn.example/x.js", &json!({})),
            entry("data:text/plain,a", &json!({})),
            entry("http://127.0.0.1:8000/c", &json!({ "_fromCache": "disk" })),
            entry("http://127.0.0.1:8000/d", &json!({ "response": { "status": 0 } })),
        ];
        let imported = read(&json!({ "log": { "entries": entries } }).to_string()).unwrap();
        let seen: Vec<(&str, u64)> =
            imported.exchanges.iter().map(|e| (e.request.target.as_str(), e.at_us)).collect();
        assert_eq!(seen, [("/b", 0), ("/a?b=1", 1_000_000), ("/d", 1_000_000)]);
        let answer = imported.exchanges[1].answer.as_ref().unwrap();
        assert_eq!(answer.body, Content::whole("hi"));
        assert_eq!(answer.headers.iter().filter(|(n, _)| n == "set-cookie").count(), 2);
        assert_eq!(imported.exchanges[1].request.header("host"), Some("127.0.0.1:8000"));
        assert!(imported.exchanges[2].answer.is_none());
        assert_eq!(imported.left_out.values().sum::<usize>(), 3, "{:?}", imported.left_out);
    }

    #[test]
    fn messages_of_a_websocket_come_along() {
        let talk = json!([
            { "type": "send", "time": 1795608002.25, "opcode": 1, "data": "{\"say\":\"hi\"}" },
            { "type": "receive", "time": 1795608002.5, "opcode": 2, "data": "aGk=" },
            { "type": "receive", "time": 1795608002.6, "opcode": 8, "data": "" },
        ]);
        let entries = [
            entry("http://127.0.0.1:8000/", &json!({})),
            entry(
                "ws://127.0.0.1:8000/chat",
                &json!({ "startedDateTime": "2026-11-25T12:00:02Z", "response": { "status": 101 }, "_webSocketMessages": talk }),
            ),
        ];
        let imported = read(&json!({ "log": { "entries": entries } }).to_string()).unwrap();
        assert_eq!(imported.exchanges[1].at_us, 500_000);
        let said: Vec<_> =
            imported.messages.iter().map(|m| (m.at_us, m.from, m.binary, &m.body.bytes[..])).collect();
        assert_eq!(
            said,
            [
                (750_000, Side::Client, false, &b"{\"say\":\"hi\"}"[..]),
                (1_000_000, Side::App, true, &b"hi"[..])
            ]
        );
        assert!(imported.messages.iter().all(|m| m.opened_us == 500_000));
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, place) in [
            ("{\n\"log\": {\n", "line 3"),
            (r#"{"log":{}}"#, "log.entries"),
            (r#"{"log":{"entries":[{}]}}"#, "entry 1"),
            (
                r#"{"log":{"entries":[{"request":{"url":"http://a/"},"startedDateTime":"now"}]}}"#,
                "\"now\" is no time",
            ),
        ] {
            let wrong = read(text).unwrap_err().to_string();
            assert!(wrong.contains(place), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(url in "(https?://)?[a-z:/?#é]{0,12}", text in "\\PC{0,40}", status: i64, time: f64, name in "[a-z-]{0,12}") {
            let odd = entry(&url, &json!({
                "startedDateTime": if status % 2 == 0 { "-009999-01-02T00:00:00Z".to_owned() } else { text.clone() },
                "time": time,
                "response": { "status": status, "headers": [{ "name": name, "value": text }], "content": { "text": text, "encoding": "base64" } },
                "_webSocketMessages": [{ "type": "send", "time": time, "opcode": status, "data": text }, { "type": name }, 1],
            }));
            let _ = read(&json!({ "log": { "entries": [odd, entry(&url, &json!({}))] } }).to_string());
            let _ = read(&text);
        }
    }
}
