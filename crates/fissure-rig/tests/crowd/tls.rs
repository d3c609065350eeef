//! https, as a developer has it on the own machine: certificates that nobody signed.

use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;

use fissure_facts::fact::ErrorClass;
use fissure_facts::{HttpVersion, Protocol};

use crate::modern::{acceptor, serve};
use crate::server::{self, ok, raw};
use crate::{Heard, closed, open, plan, run};

const HTTPS: Protocol = Protocol { tls: true, http: None };

#[track_caller]
fn assert_fails(heard: &Heard, class: ErrorClass, with: &str) {
    assert_eq!(heard.errors().keys().copied().collect::<Vec<_>>(), [class], "{heard:#?}");
    assert!(heard.problems[0].sentence.contains(with), "{:?}", heard.problems);
}

#[test]
fn a_self_signed_certificate_on_loopback_is_taken_and_the_app_chooses_the_version() {
    for (offered, version) in
        [(&["h2", "http/1.1"][..], "HTTP/2"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let (web, counted) = serve(Some(acceptor(offered)), false);
        let journey = format!(
            "GET {{{{base}}}}/a\n{version} 200\n[Asserts]\nbody startsWith \"{version}\"\nbody endsWith \" 127.0.0.1:{}\"\nurl startsWith \"https://\"\nGET {{{{base}}}}/b\nHTTP 200\n",
            web.port()
        );
        let mut plan = plan(web, open(20.0, 1), &[&journey]);
        plan.protocol = HTTPS;
        let heard = run(&plan);
        heard.assert_clean();
        let connects: u64 = heard.seconds.iter().map(|s| s.connects).sum();
        assert!(connects > 0 && connects <= counted.connections.load(SeqCst) as u64);
        let connected: u64 = heard.seconds.iter().map(|s| s.connect.count()).sum();
        let shaken: u64 = heard.seconds.iter().map(|s| s.handshake.count()).sum();
        assert_eq!((connected, shaken), (connects, connects), "each part of each connection once");
        assert!(counted.requests.load(SeqCst) > counted.connections.load(SeqCst), "connections are kept");
    }
}

#[test]
fn a_version_can_be_asked_for_in_the_plan_and_in_a_step() {
    let (web, _) = serve(Some(acceptor(&["h2", "http/1.1"])), false);
    let both = "GET {{base}}/\nHTTP/1.1 200\nGET {{base}}/two\n[Options]\nhttp2: true\nHTTP/2 200\nGET {{base}}/\nHTTP/1.1 200\n";
    let mut plan = plan(web, open(20.0, 1), &[both]);
    plan.protocol = Protocol { tls: true, http: Some(HttpVersion::One) };
    run(&plan).assert_clean();

    plan.journeys[0].text = "GET {{base}}/\nHTTP/2 200\n".to_owned();
    assert_fails(&run(&plan), ErrorClass::Assert, "line 1: expected HTTP/2, got HTTP/1.1");
}

#[test]
fn an_app_that_offers_another_version_only_is_told_so() {
    let (web, _) = serve(Some(acceptor(&["http/1.1"])), false);
    let mut plan = plan(web, closed(1, 1), &["GET {{base}}/\n"]);
    plan.protocol = Protocol { tls: true, http: Some(HttpVersion::Two) };
    assert_fails(&run(&plan), ErrorClass::Tls, "does not speak HTTP/2 over TLS");
}

#[test]
fn tls_to_an_app_that_speaks_plain_http_is_explained() {
    let says_400 = raw(|mut stream| drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
    for (web, with) in [(says_400, "plain http"), (raw(drop), "does this port speak TLS")] {
        let mut plan = plan(web, closed(1, 1), &["GET {{base}}/\n"]);
        plan.protocol = HTTPS;
        assert_fails(&run(&plan), ErrorClass::Tls, with);
    }
}

#[test]
fn a_redirect_within_https_is_followed_and_one_to_plain_http_is_not() {
    let (plain, _) = server::serve(|_| ok("plain"));
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: http://{plain}/\r\ncontent-length: 0\r\n\r\n");
    let tls = acceptor(&["http/1.1"]);
    let web = crate::modern::listen(async move |stream| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tls.accept(stream).await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    });
    let mut plan = plan(web, closed(1, 1), &["GET {{base}}/\n[Options]\nlocation: true\nHTTP 200\n"]);
    plan.protocol = HTTPS;
    assert_fails(&run(&plan), ErrorClass::Assert, "leaves the app");
}
