//! Servers that misbehave: each kind is an error class of its own, nothing hangs, nothing grows without end.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fissure_facts::fact::ErrorClass;

use crate::server::{ok, raw, read_request, serve, status};
use crate::{Heard, closed, open, plan, run};

/// Reads one request, says `bytes`, and lets `then` decide what becomes of the connection.
fn says(bytes: &'static [u8], then: fn(&mut TcpStream)) -> SocketAddr {
    raw(move |mut stream| {
        let peer = stream.peer_addr().unwrap();
        if matches!(read_request(&mut BufReader::new(&stream), peer), Ok(Some(_))) {
            let _ = stream.write_all(bytes);
            then(&mut stream);
        }
    })
}

fn hold(_: &mut TcpStream) {
    sleep(Duration::from_secs(30));
}

fn hang_up(_: &mut TcpStream) {}

/// A load that is short of patience.
fn heard(web: SocketAddr, journey: &str) -> Heard {
    let mut plan = plan(web, closed(2, 1), &[journey]);
    plan.timeout_s = 0.4;
    run(&plan)
}

#[track_caller]
fn assert_only(web: SocketAddr, class: ErrorClass) {
    let heard = heard(web, "GET {{base}}/\n");
    let errors = heard.errors();
    assert_eq!(errors.keys().copied().collect::<Vec<_>>(), [class], "{heard:#?}");
    assert!(heard.route("GET /").latency.is_empty());
    let [problem] = &heard.problems[..] else { panic!("one example of one class: {:?}", heard.problems) };
    assert!(problem.class == class && problem.sentence.starts_with("line 1: "), "{problem:?}");
}

/// Gunicorn's workers wait for the client's end before they take the next client: one that thinks for a second held one up for as long.
#[test]
fn an_app_that_closes_is_not_kept_waiting_until_the_user_has_thought() {
    let (told, waited) = std::sync::mpsc::channel();
    let web = raw(move |mut stream| {
        let peer = stream.peer_addr().unwrap();
        if matches!(read_request(&mut BufReader::new(&stream), peer), Ok(Some(_))) {
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            let answered = Instant::now();
            let _ = stream.read(&mut [0]);
            let _ = told.send(answered.elapsed());
        }
    });
    const THINKS: Duration = Duration::from_secs(1);
    let journey = "GET {{base}}/\n\nGET {{base}}/later\n[Options]\ndelay: 1s\n";
    let heard = run(&plan(web, open(4.0, 3), &[journey]));
    assert!(heard.route("GET /later").latency.count() > 0, "nobody thought: {heard:#?}");
    let mut waited: Vec<Duration> = waited.try_iter().collect();
    waited.sort_unstable();
    assert!(waited[waited.len() / 2] < THINKS / 2, "{waited:?}");
}

#[test]
fn nobody_listens() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_only(nobody, ErrorClass::Refused);
}

#[test]
fn the_connection_is_closed_at_once() {
    assert_only(raw(drop), ErrorClass::Reset);
}

#[test]
fn the_connection_is_closed_after_the_request() {
    assert_only(says(b"", hang_up), ErrorClass::Reset);
}

#[test]
fn the_connection_is_closed_inside_the_head() {
    assert_only(says(b"HTTP/1.1 200 OK\r\ncontent-le", hang_up), ErrorClass::CutShort);
}

#[test]
fn the_answer_is_shorter_than_it_says() {
    assert_only(says(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", hang_up), ErrorClass::CutShort);
}

#[test]
fn the_answer_is_longer_than_it_says() {
    assert_only(says(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdefgh", hold), ErrorClass::Malformed);
}

#[test]
fn a_chunked_answer_is_cut_off() {
    assert_only(
        says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", hang_up),
        ErrorClass::CutShort,
    );
}

#[test]
fn chunk_sizes_are_nonsense() {
    let web = says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n", hold);
    assert_only(web, ErrorClass::Malformed);
}

#[test]
fn the_length_is_nonsense() {
    assert_only(
        says(b"HTTP/1.1 200 OK\r\ncontent-length: minus one\r\n\r\nabc", hold),
        ErrorClass::Malformed,
    );
}

#[test]
fn the_status_line_is_not_http() {
    assert_only(says(b"SSH-2.0-OpenSSH_9.2p1\r\n", hold), ErrorClass::Malformed);
}

#[test]
fn the_app_speaks_before_it_is_asked() {
    let web = raw(|mut stream| {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
        hold(&mut stream);
    });
    assert_only(web, ErrorClass::Malformed);
}

#[test]
fn the_status_is_not_a_number() {
    assert_only(says(b"HTTP/1.1 OK fine\r\n\r\n", hold), ErrorClass::Malformed);
}

#[test]
fn headers_do_not_end() {
    let web = says(b"HTTP/1.1 200 OK\r\n", |stream| {
        while stream.write_all(b"x-again: and again and again and again and again and again\r\n").is_ok() {}
    });
    assert_only(web, ErrorClass::TooLarge);
}

#[test]
fn one_header_does_not_end() {
    let web = says(b"HTTP/1.1 200 OK\r\nx: ", |stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    assert_only(web, ErrorClass::TooLarge);
}

#[test]
fn the_body_does_not_end() {
    let web = says(b"HTTP/1.1 200 OK\r\n\r\n", |stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    assert_only(web, ErrorClass::Timeout);
}

#[test]
fn bytes_come_slowly() {
    let web = says(b"", |stream| {
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx".iter().cycle() {
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            sleep(Duration::from_millis(50));
        }
    });
    assert_only(web, ErrorClass::Timeout);
}

#[test]
fn no_answer_comes() {
    assert_only(says(b"", hold), ErrorClass::Timeout);
}

#[test]
fn the_status_is_another() {
    assert_only(serve(|_| status(404, "")).0, ErrorClass::Status);
    assert_only(serve(|_| status(500, "")).0, ErrorClass::Status);
}

#[test]
fn the_content_is_another() {
    let (web, _) = serve(|_| ok("Sorry, something went wrong"));
    let heard = heard(web, "GET {{base}}/\nHTTP 200\n[Asserts]\nbody contains \"Welcome\"\n");
    assert_eq!(heard.errors().keys().copied().collect::<Vec<_>>(), [ErrorClass::Assert]);
    assert!(heard.route("GET /").latency.is_empty(), "a wrong answer was counted as a fast success");
}

#[test]
fn a_body_that_nobody_looks_at_is_thrown_away_however_large() {
    const LARGE: usize = 100 << 20;
    let (web, _) = serve(|_| ok(vec![b'x'; LARGE]));
    let mut plan = plan(web, closed(1, 2), &["GET {{base}}/\n"]);
    plan.timeout_s = 30.0;
    let mut most = 0;
    let heard = crate::run_with(&plan, async |crowd| {
        let pid = crowd.pid();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        most = peak_kb(pid);
    });
    heard.assert_clean();
    let seen = heard.route("GET /");
    assert_eq!(seen.bytes, seen.latency.count() * LARGE as u64);
    assert!(most > 0 && most < 60_000, "{most} kB");
}

#[test]
fn a_body_that_is_looked_at_is_kept_only_up_to_a_limit() {
    let (web, _) = serve(|_| ok(vec![b'x'; 70 << 20]));
    let mut plan = plan(web, closed(1, 1), &["GET {{base}}/\nHTTP 200\n[Asserts]\nbody contains \"y\"\n"]);
    plan.timeout_s = 30.0;
    let heard = run(&plan);
    assert_eq!(heard.errors().keys().copied().collect::<Vec<_>>(), [ErrorClass::TooLarge]);
    assert!(heard.problems[0].sentence.contains("64 MB"), "{:?}", heard.problems);
}

#[test]
fn a_body_that_unpacks_to_more_than_anybody_looks_at_is_too_large() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..70).for_each(|_| gzip.write_all(&[b' '; 1 << 20]).unwrap());
    let bomb = gzip.finish().unwrap();
    let (web, _) = serve(move |r| match r.target.as_str() {
        "/one" => ok(bomb.clone()).with("content-encoding", "gzip"),
        _ => ok("x").with("content-encoding", "gzip, ".repeat(1000)),
    });
    for (target, word) in [("one", "unpacks to more than 64 MB"), ("many", "1001 times over")] {
        let journey = format!("GET {{{{base}}}}/{target}\nHTTP 200\n[Asserts]\nbody contains \"y\"\n");
        let mut plan = plan(web, closed(1, 1), &[&journey]);
        plan.timeout_s = 30.0;
        let heard = run(&plan);
        assert_eq!(heard.errors().keys().copied().collect::<Vec<_>>(), [ErrorClass::TooLarge]);
        assert!(heard.problems[0].sentence.contains(word), "{:?}", heard.problems);
    }
}

fn peak_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
