//! Connections that stay open: WebSocket and server-sent events, kind servers and unkind ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use fissure_facts::Protocol;
use fissure_facts::fact::ErrorClass;
use fissure_rig::crowd::Mode;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::modern::{acceptor, listen};
use crate::{closed, open, plan, run};

const CHAT: &str = r#"
#> WEBSOCKET {{base}}/rooms/7/live?as={{newUuid}}
#> Sec-WebSocket-Protocol: chat.v2
#> [Cookies]
#> session: s1
#> HTTP 101
#> [Asserts]
#> header "Sec-WebSocket-Protocol" == "chat.v2"
#> SEND join
#> [Options]
#> variable: me={{newUuid}}
#> {"type": "join", "as": "{{me}}"}
#> MESSAGE
#> [Where]
#> jsonpath "$.type" == "joined"
#> [Captures]
#> seat: jsonpath "$.seat"
#> [Asserts]
#> jsonpath "$.as" == "{{me}}"
#> SEND
#> [Options]
#> delay: 20ms
#> hex,00ff;
#> MESSAGE
#> [Asserts]
#> bytes count == 2
#> body contains "never" 
#> CLOSE
"#;

/// A room: the first message is noise, text that joins is answered with a seat, the rest is an echo.
async fn chat(stream: impl AsyncRead + AsyncWrite + Unpin, left: &AtomicUsize) {
    #[expect(clippy::result_large_err, reason = "the library says how it wants to be called back")]
    let greet = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let header = |name| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(header("cookie").as_deref(), Some("session=s1"));
        assert!(request.uri().path() == "/rooms/7/live" && request.uri().query().unwrap().starts_with("as="));
        let protocol = header("sec-websocket-protocol").unwrap().parse().unwrap();
        response.headers_mut().insert("sec-websocket-protocol", protocol);
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, greet).await else { return };
    let _ = socket.send(Message::text("welcome, this is not JSON")).await;
    while let Some(Ok(message)) = socket.next().await {
        let answer = match message {
            Message::Text(text) if text.contains("join") => {
                let _ = socket.send(Message::Ping("are you there".into())).await;
                Message::text(text.replace("\"join\"", "\"joined\", \"seat\": 4"))
            }
            Message::Close(frame) => {
                // 1001 is from users who were still there when the window ended.
                left.fetch_add(usize::from(u16::from(frame.unwrap().code) == 1000), SeqCst);
                continue;
            }
            Message::Text(_) | Message::Binary(_) => message,
            _ => continue,
        };
        let _ = socket.send(answer).await;
    }
}

fn rooms(tls: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(0));
    let (own, acceptor) = (Arc::clone(&left), acceptor(&["h2", "http/1.1"]));
    let address = listen(async move |stream| {
        if tls {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            chat(stream, &own).await;
        } else {
            chat(stream, &own).await;
        }
    });
    (address, left)
}

#[test]
fn a_conversation_over_a_websocket_has_a_latency_for_each_exchange() {
    for tls in [false, true] {
        let (web, left) = rooms(tls);
        let journey = CHAT.replace("#> body contains \"never\" \n", "");
        let mut plan = plan(web, open(20.0, 2), &[&journey]);
        plan.protocol = Protocol { tls, http: None };
        let heard = run(&plan);
        heard.assert_clean();
        let count = |route| heard.route(route).latency.count();
        for route in [
            "WEBSOCKET /rooms/{id}/live",
            "SEND /rooms/{id}/live#join",
            "SEND /rooms/{id}/live",
            "CLOSE /rooms/{id}/live",
        ] {
            assert!(count(route) > 0, "{route} {heard:?}");
        }
        assert!((left.load(SeqCst) as u64) >= count("CLOSE /rooms/{id}/live"));
        assert!(heard.route("SEND /rooms/{id}/live").bytes >= 2 * count("SEND /rooms/{id}/live"));
    }
}

#[test]
fn an_assert_on_a_message_fails_at_its_line() {
    let (web, _) = rooms(false);
    // 00 ff is no text.
    assert_fails(web, CHAT, ErrorClass::Assert, "line 27: the body is not UTF-8 text");
}

/// Goes over to WebSocket and then says `bytes`, whatever they are, and closes, if so it shall.
fn says(bytes: Vec<u8>, closes: bool) -> SocketAddr {
    listen(async move |mut stream| {
        let mut head = vec![0; 4096];
        let Ok(length) = stream.read(&mut head).await else { return };
        let head = String::from_utf8_lossy(&head[..length]).into_owned();
        let key = head
            .lines()
            .find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case("sec-websocket-key")));
        let accept = derive_accept_key(key.unwrap().1.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        let _ = stream.write_all(&[answer.as_bytes(), &bytes].concat()).await;
        if !closes {
            sleep(Duration::from_secs(5)).await;
        }
    })
}

/// Plays the journey once, to its end.
#[track_caller]
fn assert_plays(web: SocketAddr, journey: &str) {
    let heard = run(&plan(web, Mode::Play, &[journey]));
    assert!(heard.problems.is_empty() && heard.played.len() == 1, "{heard:?}");
}

/// Plays the journey once; it fails.
#[track_caller]
fn assert_fails(web: SocketAddr, journey: &str, class: ErrorClass, with: &str) {
    let mut plan = plan(web, Mode::Play, &[journey]);
    plan.timeout_s = if class == ErrorClass::Timeout { 0.5 } else { 20.0 };
    let heard = run(&plan);
    let [problem] = heard.problems.as_slice() else { panic!("{heard:?}") };
    assert!(problem.class == class && problem.sentence.contains(with), "{problem:?}");
}

const ASK: &str = "#> WEBSOCKET {{base}}/\n#> SEND\n#> `hi`\n#> MESSAGE\n";

#[test]
fn a_websocket_against_the_rules_is_an_error_of_its_own_class() {
    let mut too_large = vec![0x82, 127];
    too_large.extend((64_u64 << 20).to_be_bytes());
    for (bytes, class, with) in [
        (vec![0x81, 0x81, 1, 2, 3, 4, b'a' ^ 1], ErrorClass::Malformed, "mask"),
        (vec![0x83, 0x00], ErrorClass::Malformed, "broke the rules of WebSocket"),
        (vec![0xc1, 0x00], ErrorClass::Malformed, "broke the rules of WebSocket"),
        (vec![0x81, 0x02, 0xff, 0xfe], ErrorClass::Malformed, "broke the rules of WebSocket"),
        (vec![0x80, 0x01, b'a'], ErrorClass::Malformed, "broke the rules of WebSocket"),
        (
            vec![0x88, 0x05, 0x03, 0xf3, b'o', b'o', b'm'],
            ErrorClass::Reset,
            "closed the WebSocket (code 1011, `oom`)",
        ),
        (too_large, ErrorClass::TooLarge, "larger than 4 MB"),
        (b"HTTP/1.1 200 OK\r\n".repeat(20), ErrorClass::Malformed, "broke the rules of WebSocket"),
    ] {
        assert_fails(says(bytes, false), ASK, class, with);
    }
    for cut in [vec![], vec![0x81], vec![0x81, 0x05, b'h', b'e'], vec![0x01, 0x01, b'h']] {
        assert_fails(says(cut, true), ASK, ErrorClass::Reset, "closed the connection of the WebSocket");
    }
}

/// Says `head` to whoever asks, and `then` for as long as somebody listens.
fn drones(head: &'static [u8], then: &'static [u8]) -> SocketAddr {
    let then = then.repeat(1_000);
    listen(async move |mut stream| {
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(head).await;
        while !then.is_empty() && stream.write_all(&then).await.is_ok() {}
        let _ = stream.read(&mut asked).await;
    })
}

#[test]
fn an_app_that_never_comes_to_the_point_is_an_error_and_fills_no_memory() {
    const EVENTS: &str = "#> EVENTS {{base}}/\n#> RECEIVE\n#> EVENT\n";
    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    const HEADER: &[u8] = b"a-header: with a value\r\n";
    for (head, then, journey, class, with) in [
        (&b""[..], &b""[..], ASK, ErrorClass::Timeout, "no whole answer"),
        (b"", b"", EVENTS, ErrorClass::Timeout, "no whole answer"),
        (b"", b"\x00\xff garbage \n", ASK, ErrorClass::Malformed, "broke the rules"),
        (b"", b"\x00\xff garbage \n", EVENTS, ErrorClass::Malformed, "not proper HTTP/1.1"),
        (b"HTTP/1.1 101 Fine\r\n", HEADER, ASK, ErrorClass::Malformed, "broke the rules"),
        (b"HTTP/1.1 200 OK\r\n", HEADER, EVENTS, ErrorClass::Malformed, "not proper HTTP/1.1"),
        (STREAM, b"data: and so on and on ", EVENTS, ErrorClass::TooLarge, "an event is larger than 1 MB"),
        (STREAM, b"data: and so on and on\n", EVENTS, ErrorClass::TooLarge, "an event is larger than 1 MB"),
        (STREAM, b": nothing but comments\n\n", EVENTS, ErrorClass::Timeout, "no event came within 0.5 s"),
    ] {
        assert_fails(drones(head, then), journey, class, with);
    }
    let cut = listen(async move |mut stream| {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\nff\r\ndata: a\n")
            .await;
    });
    assert_fails(cut, EVENTS, ErrorClass::CutShort, "the stream of events broke off");
}

#[test]
fn an_app_that_does_not_go_over_to_websocket_says_its_status() {
    let (web, _) = crate::server::serve(|_| crate::server::status(403, "no"));
    assert_fails(web, ASK, ErrorClass::Status, "expected status 101, the beginning of a WebSocket, got 403");
}

#[test]
fn a_message_that_never_fits_is_a_timeout_that_says_how_many_came() {
    let web = listen(async move |stream| {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        for number in 0..3 {
            let _ = socket.send(Message::text(format!("{{\"n\": {number}}}"))).await;
        }
        sleep(Duration::from_secs(5)).await;
    });
    let journey = "#> WEBSOCKET {{base}}/\n#> RECEIVE far\n#> [Options]\n#> within: 200ms\n#> MESSAGE\n#> [Where]\n#> jsonpath \"$.n\" > 5\n";
    assert_fails(
        web,
        journey,
        ErrorClass::Timeout,
        "no message that fits came within 0.2 s, among 3 that came",
    );
}

#[test]
fn a_flood_of_messages_does_not_keep_its_user_from_going_on() {
    let web = listen(async move |stream| {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while socket.send(Message::text("x".repeat(64 << 10))).await.is_ok() {}
    });
    let journey = "#> WEBSOCKET {{base}}/\n#> SEND\n#> [Options]\n#> delay: 100ms\n#> `enough`\n";
    let heard = run(&plan(web, closed(1, 1), &[journey]));
    heard.assert_clean();
    assert!(heard.route("SEND /").latency.count() > 0);
}

#[test]
fn what_came_before_a_message_was_sent_is_not_its_answer() {
    let web = listen(async move |stream| {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        // In one piece: who has read the one has read the other.
        let _ = socket.feed(Message::text("one")).await;
        let _ = socket.send(Message::text("two")).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                let _ = socket.send(message).await;
            }
        }
    });
    let is = |text| format!("#> MESSAGE\n#> [Asserts]\n#> body == \"{text}\"\n");
    let start = format!("#> WEBSOCKET {{{{base}}}}/\n#> RECEIVE\n{}", is("one"));
    assert_plays(web, &format!("{start}#> SEND\n#> `hi`\n{}", is("hi")));
    assert_plays(web, &format!("{start}#> SEND\n#> `hi`\n#> RECEIVE\n{}#> RECEIVE\n{}", is("two"), is("hi")));
}

/// Events in pieces that end anywhere, over HTTP/1.1 in chunks.
fn notices() -> SocketAddr {
    listen(async move |mut stream| {
        let mut head = [0; 4096];
        let Ok(length) = stream.read(&mut head).await else { return };
        if !String::from_utf8_lossy(&head[..length]).to_lowercase().contains("accept: text/event-stream") {
            return;
        }
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream;charset=utf-8\r\nset-cookie: seen=1\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        let text = ": hello\n\ndata: first\n\nevent: order\ndata: {\"n\": 1}\n\nevent: order\ndata: {\"n\":\ndata: 2}\n\nevent: order\ndata: {\"n\": 3, \"id\": \"o3\"}\n\n";
        for piece in text.as_bytes().chunks(7) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
        let _ = stream.read(&mut head).await;
    })
}

const LISTEN: &str = r#"
#> EVENTS {{base}}/notices
#> HTTP 200
#> [Asserts]
#> header "Content-Type" startsWith "text/event-stream"
#> RECEIVE first
#> EVENT
#> [Asserts]
#> body == "first"
#> RECEIVE second
#> [Options]
#> nth: 2
#> EVENT order
#> [Asserts]
#> jsonpath "$.n" == 2
#> RECEIVE
#> EVENT order
#> [Where]
#> jsonpath "$.n" == 3
#> [Captures]
#> order: jsonpath "$.id"
#> [Asserts]
#> variable "order" == "o3"
#> CLOSE
"#;

#[test]
fn events_are_waited_for_by_number_type_and_content() {
    let heard = run(&plan(notices(), open(20.0, 2), &[LISTEN]));
    heard.assert_clean();
    let count = |route| heard.route(route).latency.count();
    for route in [
        "EVENTS /notices",
        "RECEIVE /notices#first",
        "RECEIVE /notices#second",
        "RECEIVE /notices",
        "CLOSE /notices",
    ] {
        assert!(count(route) > 0, "{route} {heard:?}");
    }
}

#[test]
fn events_share_the_http2_connection_of_their_user_with_its_requests() {
    use http_body_util::{BodyExt, StreamBody};
    let connections = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&connections);
    let web = listen(async move |stream| {
        own.fetch_add(1, SeqCst);
        let service = hyper::service::service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
            let is_stream = request.uri().path() == "/notices";
            let first = hyper::body::Frame::data(bytes::Bytes::from_static(b"data: one\n\n"));
            let first = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(first)]);
            let body = if is_stream {
                StreamBody::new(first.chain(futures_util::stream::pending())).boxed_unsync()
            } else {
                http_body_util::Full::from("fine").boxed_unsync()
            };
            let kind = if is_stream { "text/event-stream" } else { "text/plain" };
            hyper::Response::builder().header("content-type", kind).body(body)
        });
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let _ = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await;
    });
    let journey = "GET {{base}}/\n#> EVENTS {{base}}/notices\n#> HTTP/2 200\nGET {{base}}/\nHTTP/2 200\n#> RECEIVE\n#> EVENT\n#> [Asserts]\n#> body == \"one\"\n#> CLOSE\nGET {{base}}/\n";
    let mut plan = plan(web, Mode::Play, &[journey]);
    plan.protocol = Protocol { tls: false, http: Some(fissure_facts::HttpVersion::Two) };
    let heard = run(&plan);
    assert!(heard.problems.is_empty() && heard.played[0].1.len() == 6, "{heard:?}");
    assert_eq!(connections.load(SeqCst), 1);
}

#[test]
fn a_stream_of_events_that_is_none_or_ends_early_is_an_error() {
    let journey = "#> EVENTS {{base}}/\n#> RECEIVE\n#> EVENT\n";
    let (plain, _) = crate::server::serve(|_| crate::server::ok("hello").with("content-type", "text/html"));
    assert_fails(plain, journey, ErrorClass::Malformed, "its content type is `text/html`");
    let (ends, _) =
        crate::server::serve(|_| crate::server::ok("data: cut").with("content-type", "text/event-stream"));
    assert_fails(ends, journey, ErrorClass::Reset, "ended the stream of events");
    let (missing, _) = crate::server::serve(|_| crate::server::status(404, ""));
    assert_fails(missing, journey, ErrorClass::Status, "got 404");
    let silent = "#> EVENTS {{base}}/\n#> RECEIVE\n#> EVENT never\n";
    assert_fails(
        notices(),
        silent,
        ErrorClass::Timeout,
        "no event `never` that fits came within 0.5 s, among 4",
    );
}

#[test]
fn a_user_who_leaves_says_goodbye() {
    let away = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&away);
    let web = listen(async move |stream| {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if matches!(message, Message::Close(Some(CloseFrame { code, .. })) if u16::from(code) == 1001) {
                own.fetch_add(1, SeqCst);
            }
        }
    });
    run(&plan(web, closed(1, 1), &["#> WEBSOCKET {{base}}/\n"])).assert_clean();
    assert!(away.load(SeqCst) > 0);
}
