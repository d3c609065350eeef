//! HTTP/2: one connection for each user, and every way in which an app can end a stream.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use fissure_facts::fact::ErrorClass;
use fissure_facts::{HttpVersion, Protocol};
use hyper::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::modern::{listen, serve};
use crate::{Heard, closed, open, plan, run};

const TWO: Protocol = Protocol { tls: false, http: Some(HttpVersion::Two) };

fn heard(web: std::net::SocketAddr, journey: &str) -> Heard {
    let mut plan = plan(web, closed(2, 1), &[journey]);
    plan.protocol = TWO;
    plan.timeout_s = 1.0;
    run(&plan)
}

#[track_caller]
fn assert_fails(web: std::net::SocketAddr, class: ErrorClass, with: &str) {
    let heard = heard(web, "POST {{base}}/\n{\"a\": 1}\n");
    assert_eq!(heard.errors().keys().copied().collect::<Vec<_>>(), [class], "{heard:#?}");
    assert!(heard.problems[0].sentence.contains(with), "{:?}", heard.problems);
}

/// A server that lets `act` decide what becomes of a stream.
fn streams(
    act: impl AsyncFn(
        h2::RecvStream,
        h2::server::SendResponse<Bytes>,
        u32,
        &mut h2::server::Connection<TcpStream, Bytes>,
    ) + Send
    + 'static,
) -> std::net::SocketAddr {
    listen(async move |stream| {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        let mut number = 0;
        while let Some(Ok((request, respond))) = connection.accept().await {
            number += 1;
            act(request.into_body(), respond, number, &mut connection).await;
        }
    })
}

fn answer(mut respond: h2::server::SendResponse<Bytes>) {
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(b"well"), true).unwrap();
}

#[test]
fn one_connection_serves_all_requests_of_a_user_with_prior_knowledge() {
    let (web, counted) = serve(None, true);
    let journey = format!(
        "GET {{{{base}}}}/a\nHTTP/2 200\n[Asserts]\nbody == \"HTTP/2.0 /a 127.0.0.1:{}\"\n",
        web.port()
    ) + &"GET {{base}}/b?x=1\nHTTP/2 200\nPOST {{base}}/c\n[Form]\na: b\nHTTP/2 200\n"
        .repeat(5);
    let mut plan = plan(web, open(20.0, 1), &[&journey]);
    plan.protocol = TWO;
    run(&plan).assert_clean();
    let (requests, connections) = (counted.requests.load(SeqCst), counted.connections.load(SeqCst));
    assert!(requests > 8 * connections, "{requests} requests on {connections} connections");
}

#[test]
fn an_app_that_takes_leave_after_every_answer_makes_no_error() {
    let web = streams(async |_, respond, _, connection| {
        answer(respond);
        connection.graceful_shutdown();
    });
    let heard = heard(web, "POST {{base}}/\n{\"a\": 1}\n\nPOST {{base}}/\n{\"a\": 2}\n");
    heard.assert_clean();
}

#[test]
fn a_stream_that_was_refused_is_sent_again_once() {
    let web = streams(async |_, mut respond, number, _| {
        // The second stream of a connection is refused: RFC 9113, section 8.7, promises that nothing was done.
        if number == 2 { respond.send_reset(h2::Reason::REFUSED_STREAM) } else { answer(respond) }
    });
    heard(web, "POST {{base}}/\n{\"a\": 1}\n\nPOST {{base}}/\n{\"a\": 2}\n").assert_clean();
}

#[test]
fn a_reset_stream_is_an_error_with_its_code() {
    let web = streams(async |_, mut respond, _, _| respond.send_reset(h2::Reason::INTERNAL_ERROR));
    assert_fails(web, ErrorClass::Reset, "RST_STREAM (INTERNAL_ERROR");
}

#[test]
fn a_goaway_with_a_reason_is_an_error_with_its_code() {
    let web =
        streams(async |_, _respond, _, connection| connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM));
    assert_fails(web, ErrorClass::Reset, "GOAWAY (ENHANCE_YOUR_CALM");
}

/// Frames: length, type, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[test]
fn frames_against_the_rules_are_malformed() {
    let settings = frame(4, 0, 0, &[]);
    let overflow = frame(8, 0, 0, &0x7fff_ffff_u32.to_be_bytes());
    let odd = frame(0, 0, 0, b"data on stream 0");
    for (bytes, with) in [
        (overflow, "FLOW_CONTROL_ERROR"),
        (odd, "PROTOCOL_ERROR"),
        (frame(0, 0, 1, &[0; 40_000]), "broke the rules of HTTP/2"),
        (frame(1, 4, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "broke the rules of HTTP/2"),
    ] {
        let bytes = [settings.clone(), bytes].concat();
        let web = listen(async move |mut stream| {
            let _ = stream.write_all(&bytes).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        });
        assert_fails(web, ErrorClass::Malformed, with);
    }
}

#[test]
fn an_app_that_speaks_only_http1_is_an_error_not_a_hang() {
    let (web, _) = serve(None, false);
    let heard = heard(web, "GET {{base}}/\n");
    let classes: Vec<ErrorClass> = heard.errors().keys().copied().collect();
    assert!(classes == [ErrorClass::Malformed] || classes == [ErrorClass::Reset], "{heard:#?}");
}
