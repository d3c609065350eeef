//! What the witness of the door is told.

use std::io::{Read, Write};

use fissure_rig::door::Passed;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::app::{app, full, raw};
use super::{door, hear};

#[test]
fn an_exchange_is_what_the_client_sent_and_what_the_app_said() {
    let door = door(app(async |request: Request<Incoming>| {
        request.into_body().collect().await.unwrap();
        Response::builder()
            .status(303)
            .header("location", "/b")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("content-type", "text/html")
            .body(full("<p>hi"))
            .unwrap()
    }));
    door.talk(
        b"POST /a?q=1 HTTP/1.1\r\nHost: x\r\nCookie: s=3\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\
          Content-Length: 7\r\n\r\nuser=me",
        |_| false,
    );
    let exchange = door.exchange();
    assert_eq!((exchange.client.as_str(), exchange.request.method.as_str()), ("127.0.0.1", "POST"));
    assert_eq!(
        (exchange.request.target.as_str(), &exchange.request.body.bytes[..]),
        ("/a?q=1", &b"user=me"[..])
    );
    // As it came, not as the door passes it on.
    assert_eq!(exchange.request.header("x-forwarded-for"), Some("6.6.6.6"));
    assert_eq!(exchange.request.header("traceparent"), None);
    let answer = exchange.answer.unwrap();
    assert_eq!(
        (answer.status, answer.header("location"), &answer.body.bytes[..]),
        (303, Some("/b"), &b"<p>hi"[..])
    );
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
    assert_eq!(cookies, 2, "{:?}", answer.headers);
}

#[test]
fn of_large_bodies_the_beginning_is_kept_and_the_length_told() {
    let door = door(app(async |request: Request<Incoming>| {
        let kind = if request.uri().path() == "/page" { "text/html; charset=utf-8" } else { "image/png" };
        Response::builder().header("content-type", kind).body(full(vec![b'x'; 2 << 20])).unwrap()
    }));
    door.get("/page");
    door.get("/image");
    let kept = |passed: &Passed| match passed {
        Passed::Answered(exchange) => {
            let body = &exchange.answer.as_ref().unwrap().body;
            (body.bytes.len(), body.cut_from)
        }
        other => panic!("{other:?}"),
    };
    let passed = door.passed(2);
    assert_eq!(kept(&passed[0]), (1 << 20, Some(2 << 20)));
    assert_eq!(kept(&passed[1]), (4 << 10, Some(2 << 20)));
}

#[test]
fn refusals_and_silence_are_told_with_their_reason() {
    let door = door(raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
    }));
    door.talk(b"GET / HTTP/1.1\r\n\r\n", |_| false);
    let heard = door
        .talk(b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", |_| false);
    assert!(heard.starts_with("HTTP/1.1 502"), "{heard}");
    let passed = door.passed(2);
    assert!(matches!(passed[0], Passed::Refused { why: "it has no Host", .. }), "{passed:?}");
    match &passed[1] {
        Passed::Unanswered(exchange, why) => {
            assert_eq!((exchange.request.target.as_str(), &exchange.answer), ("/x", &None));
            assert!(why.contains("no answer"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_leaves_before_the_answer_is_told_as_such() {
    let door = door(raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        std::thread::sleep(std::time::Duration::from_secs(60));
    }));
    let mut stream = door.connect();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    match &door.passed(1)[0] {
        Passed::Unanswered(exchange, why) => {
            assert_eq!(exchange.request.target, "/slow");
            assert!(why.contains("client left"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    hear(&mut stream, |_| true);
}
