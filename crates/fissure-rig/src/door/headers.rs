//! What a proxy takes out of a head and puts into it (RFC 9110 7.6, RFC 7239, W3C Trace Context).

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
];

/// Removes what is meant for the next neighbour only. `Connection` cannot name away what frames, routes or tells who
/// asked.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Most heads hold none or one of them, and every request asks twice.
    let found: Vec<HeaderName> = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned().collect();
    if found.is_empty() {
        return;
    }
    // Trailers outlive the hop, as bodies do; who asks for another coding of transfer asks this neighbour.
    let wants_trailers = has_token(headers, &TE, "trailers");
    let named: Vec<HeaderName> = options(headers)
        .filter_map(|option| option.parse().ok())
        .filter(|name| ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER].contains(name))
        .collect();
    for name in named.into_iter().chain(found) {
        headers.remove(name);
    }
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).any(|v| v.trim().eq_ignore_ascii_case(token))
}

/// The gate holds back what follows such a request until it hears how it was answered.
pub(super) fn asks_to_switch<B>(request: &Request<B>) -> bool {
    request.method() == Method::CONNECT
        || (request.headers().contains_key(UPGRADE) && has_token(request.headers(), &CONNECTION, "upgrade"))
}

/// The protocols that a request asks for. HTTP/2 is no matter of the app's: the door speaks it itself.
pub(super) fn wanted_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(UPGRADE)?;
    let speaks_http2 = wanted.to_str().is_ok_and(|v| v.to_ascii_lowercase().contains("h2c"));
    (!speaks_http2).then(|| wanted.clone())
}

pub(super) fn ask_to_switch(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// What the door says of a client, made once and used for all of its requests to one host.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    host: HeaderValue,
    is_tls: bool,
    node: Option<HeaderValue>,
    forwarded: Option<HeaderValue>,
}

impl Origin {
    pub(super) fn new(client: IpAddr, is_tls: bool, host: &HeaderValue) -> Self {
        let node = if client.is_ipv6() { format!("\"[{client}]\"") } else { client.to_string() };
        let mut forwarded = format!("for={node};proto={}", proto(is_tls)).into_bytes();
        if !host.as_bytes().contains(&b'"') {
            forwarded = [&forwarded, &b";host=\""[..], host.as_bytes(), b"\""].concat();
        }
        Self {
            host: host.clone(),
            is_tls,
            node: client.to_string().try_into().ok(),
            forwarded: HeaderValue::from_bytes(&forwarded).ok(),
        }
    }

    pub(super) fn is_of(&self, host: &HeaderValue) -> bool {
        self.host == host
    }
}

fn proto(is_tls: bool) -> &'static str {
    if is_tls { "https" } else { "http" }
}

/// Makes the handshake of a WebSocket over HTTP/2 (RFC 8441) one of HTTP/1.1, which is what apps know; gives what the app
/// has to answer to it.
pub(super) fn open_websocket(head: &mut Parts, nonce: [u8; 16]) -> String {
    let key = STANDARD.encode(nonce);
    let accept = derive_accept_key(key.as_bytes());
    head.method = Method::GET;
    if let Ok(key) = HeaderValue::try_from(key) {
        head.headers.insert(SEC_WEBSOCKET_KEY, key);
    }
    head.headers.entry(SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
    ask_to_switch(&mut head.headers, HeaderValue::from_static(WEBSOCKET));
    accept
}

/// The protocol of a WebSocket.
pub(super) fn is_websocket(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())
}

const WEBSOCKET: &str = "websocket";

/// Who asked, how, and for which host. The door is the first proxy, unless its user says that another one stands
/// before it: what a client says of itself counts for nothing, and never under another spelling that an app would take
/// for the same (`X_Forwarded_For`).
pub(super) fn say_who_asked(headers: &mut HeaderMap, origin: &Origin, behind_proxy: bool) {
    let known = [&FORWARDED_FOR, &FORWARDED_PROTO, &FORWARDED_HOST];
    let claimed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().contains('_'))
        .filter(|name| known.iter().any(|k| k.as_str() == name.as_str().replace('_', "-")))
        .cloned()
        .collect();
    for name in claimed {
        headers.remove(name);
    }
    if behind_proxy {
        return add_to_who_asked(headers, origin);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto(origin.is_tls)));
    headers.insert(FORWARDED_HOST, origin.host.clone());
    for (name, value) in [(FORWARDED_FOR, &origin.node), (FORWARDED, &origin.forwarded)] {
        match value {
            Some(value) => headers.insert(name, value.clone()),
            None => headers.remove(name),
        };
    }
}

/// The proxy before the door knows how and for which host it was asked; both lists of who asked go on with the proxy itself.
fn add_to_who_asked(headers: &mut HeaderMap, origin: &Origin) {
    let proto = HeaderValue::from_static(proto(origin.is_tls));
    headers.entry(FORWARDED_PROTO).or_insert(proto);
    headers.entry(FORWARDED_HOST).or_insert_with(|| origin.host.clone());
    for (name, own) in [(FORWARDED_FOR, &origin.node), (FORWARDED, &origin.forwarded)] {
        let Some(own) = own else { continue };
        let said: Vec<&[u8]> =
            headers.get_all(&name).iter().chain([own]).map(HeaderValue::as_bytes).collect();
        if let Ok(all) = HeaderValue::from_bytes(&said.join(&b", "[..])) {
            headers.insert(name, all);
        }
    }
}

/// Passes a trace on, or begins one with the two random numbers.
pub(super) fn trace(headers: &mut HeaderMap, trace: u128, span: u64) {
    let known = headers.get(TRACEPARENT).and_then(|v| v.to_str().ok()).is_some_and(is_traceparent);
    if known {
        return;
    }
    headers.remove(TRACESTATE); // it belongs to a trace that nobody understands
    let mut value = *b"00-................................-................-01";
    write_hex(&mut value[3..35], trace.max(1));
    write_hex(&mut value[36..52], span.max(1).into());
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(TRACEPARENT, value);
    }
}

/// As many digits as there is place for. `format!` costs five times as much, and every request pays it.
fn write_hex(place: &mut [u8], mut number: u128) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

/// `00-` trace `-` span `-` flags; later versions may go on behind that.
fn is_traceparent(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let not_zero = |part: &str| part.bytes().any(|b| b != b'0');
    match parts[..] {
        [version, trace, span, flags, ..] => {
            hex(version, 2)
                && version != "ff"
                && (version != "00" || parts.len() == 4)
                && hex(trace, 32)
                && not_zero(trace)
                && hex(span, 16)
                && not_zero(span)
                && hex(flags, 2)
        }
        _ => false,
    }
}

/// HTTP/2 may send a cookie header in crumbs; HTTP/1.1 has one (RFC 9113 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

/// Values that HTTP/2 forbids and that its reader lets pass (RFC 9113 8.2.1).
pub(super) fn has_blanks_around_a_value(headers: &HeaderMap) -> bool {
    headers.values().any(|v| v.as_bytes().trim_ascii().len() != v.len())
}

/// Asks for no packing that nobody here can read: a recording of brotli holds no value that could be carried over.
pub(super) fn ask_for_what_is_read(headers: &mut HeaderMap) {
    const READ: [&str; 4] = ["gzip", "x-gzip", "deflate", "identity"];
    let Some(asked) = headers.get(ACCEPT_ENCODING) else { return };
    let is_read = |coding: &&str| READ.contains(&coding.split(';').next().unwrap_or_default().trim());
    let left: Vec<&str> =
        asked.to_str().unwrap_or_default().split(',').filter(is_read).map(str::trim).collect();
    let left = if left.is_empty() { "identity".to_owned() } else { left.join(", ") };
    if let Ok(left) = HeaderValue::try_from(left) {
        headers.insert(ACCEPT_ENCODING, left);
    }
}

/// An app that names its own port in a redirect would lead people past the door.
pub(super) fn keep_redirects_here(headers: &mut HeaderMap, app_port: u16, is_tls: bool, host: &HeaderValue) {
    let Some(Ok(url)) = headers.get(LOCATION).map(HeaderValue::to_str) else { return };
    let own = [format!("127.0.0.1:{app_port}"), format!("localhost:{app_port}")];
    let path = url.split_once("://").and_then(|(_, rest)| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        own.iter().any(|o| *o == rest[..end]).then(|| &rest[end..])
    });
    let Ok(host) = host.to_str() else { return };
    let here = path.map(|path| format!("{}://{host}{path}", proto(is_tls)));
    if let Some(here) = here.and_then(|here| HeaderValue::try_from(here).ok()) {
        headers.insert(LOCATION, here);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    fn names(map: &HeaderMap) -> Vec<&str> {
        map.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn no_packing_is_asked_for_that_nobody_reads() {
        let asks = |line: &str| {
            let mut map = headers(&[("accept-encoding", line)]);
            ask_for_what_is_read(&mut map);
            map[ACCEPT_ENCODING].to_str().unwrap().to_owned()
        };
        assert_eq!(asks("gzip, deflate, br, zstd"), "gzip, deflate");
        assert_eq!(asks("br;q=1.0, gzip;q=0.8"), "gzip;q=0.8");
        assert_eq!(asks("br"), "identity");
        let mut none = headers(&[]);
        ask_for_what_is_read(&mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn connection_names_headers_away_but_none_that_frames_or_tells_who_asked() {
        let mut map = headers(&[
            ("host", "x"),
            ("connection", "close, TE, X-Mine, Content-Length, X-Forwarded-For"),
            ("x-mine", "1"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers"),
            ("accept", "*/*"),
        ]);
        remove_hop_by_hop(&mut map);
        let origin = Origin::new([127, 0, 0, 9].into(), false, &HeaderValue::from_static("x"));
        say_who_asked(&mut map, &origin, false);
        assert!(map.contains_key("x-forwarded-for"));
        let mut left = names(&map);
        left.sort_unstable();
        let expected = [
            "accept",
            "content-length",
            "forwarded",
            "host",
            "te",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
        ];
        assert_eq!(left, expected);
        assert_eq!(map["te"], "trailers");
    }

    #[test]
    fn what_a_client_claims_of_itself_is_not_passed_on() {
        let mut map = headers(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x_forwarded_for", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x_mine", "stays"),
        ]);
        say_who_asked(
            &mut map,
            &Origin::new("::1".parse().unwrap(), true, &HeaderValue::from_static("a:1")),
            false,
        );
        assert!(!format!("{map:?}").contains("6.6.6.6"), "{map:?}");
        assert_eq!(map["forwarded"], "for=\"[::1]\";proto=https;host=\"a:1\"");
        assert!(map.contains_key("x_mine"));
    }

    #[test]
    fn what_a_proxy_of_the_users_own_says_is_added_to() {
        let origin = Origin::new([127, 0, 0, 1].into(), false, &HeaderValue::from_static("shop.test"));
        let mut map = headers(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x_forwarded_for", "7.7.7.7"),
            ("x-forwarded-proto", "https"),
        ]);
        say_who_asked(&mut map, &origin, true);
        assert_eq!(map["x-forwarded-for"], "6.6.6.6, 127.0.0.1");
        assert_eq!(
            (&map["x-forwarded-proto"], &map["x-forwarded-host"]),
            (&"https".parse().unwrap(), &origin.host)
        );
        assert_eq!(map["forwarded"], "for=127.0.0.1;proto=http;host=\"shop.test\"");
        assert!(!map.contains_key("x_forwarded_for"));
    }

    #[test]
    fn a_trace_goes_on_and_nonsense_begins_a_new_one() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut map = headers(&[("traceparent", good), ("tracestate", "a=1")]);
        trace(&mut map, 7, 9);
        assert_eq!(
            (map["traceparent"].to_str().unwrap(), &map["tracestate"]),
            (good, &"a=1".parse().unwrap())
        );
        for wrong in
            ["", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", &good.to_uppercase()]
        {
            let mut map = headers(&[("traceparent", wrong), ("tracestate", "a=1")]);
            trace(&mut map, 7, 9);
            assert_eq!(map["traceparent"], "00-00000000000000000000000000000007-0000000000000009-01");
            assert!(!map.contains_key("tracestate"));
        }
        let later = format!("01{}-more", &good[2..]);
        assert!(is_traceparent(&later) && !is_traceparent(&format!("{good}-more")));
    }

    #[test]
    fn redirects_to_the_apps_own_port_stay_at_the_door() {
        let led = |to: &str| {
            let mut map = headers(&[("location", to)]);
            keep_redirects_here(&mut map, 4321, false, &HeaderValue::from_static("127.0.0.1:8080"));
            map["location"].to_str().unwrap().to_owned()
        };
        assert_eq!(led("http://localhost:4321/a?b"), "http://127.0.0.1:8080/a?b");
        assert_eq!(led("http://127.0.0.1:4321"), "http://127.0.0.1:8080");
        for elsewhere in ["/a", "http://127.0.0.1:43210/", "https://example.test/?http://127.0.0.1:4321/"] {
            assert_eq!(led(elsewhere), elsewhere);
        }
    }

    #[test]
    fn crumbs_of_cookies_become_one() {
        let mut map = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut map);
        assert_eq!(map["cookie"], "a=1; b=2");
    }
}
