//! Faults of links, through the relay.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fissure_facts::{FaultKind, Trigger};
use fissure_rig::wire::Relay;

use super::*;

/// A server that counts requests; `/N` is answered with N bytes more.
struct Server {
    relay: Relay,
    asked: Arc<AtomicU32>,
}

fn server() -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let upstream = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                let mut bytes = [0; 1024];
                let Ok(length @ 1..) = stream.read(&mut bytes) else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let more = request.split(['/', ' ']).nth(2).and_then(|n| n.parse().ok()).unwrap_or(0);
                let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{}ok", "x".repeat(more)).as_bytes());
            });
        }
    });
    Server { relay: Relay::start(0, upstream, &[]).unwrap(), asked }
}

impl Server {
    fn ask(&self, path: &str) -> Result<(String, Duration), std::io::Error> {
        ask(self.relay.port(), path, SILENCE)
    }

    fn disturb(&self, kind: FaultKind) -> fissure_rig::wire::Disturbed {
        self.relay.disturb(kind, Trigger::Always, 1, PATIENCE)
    }
}

fn median(mut spans: Vec<f64>) -> f64 {
    spans.sort_by(f64::total_cmp);
    spans[spans.len() / 2]
}

#[test]
fn an_undisturbed_relay_changes_no_byte() {
    let server = server();
    let (answer, _) = server.ask("/300000").unwrap();
    assert_eq!(answer.len(), "HTTP/1.0 200 OK\r\n\r\nok".len() + 300_000);
}

#[test]
fn latency_is_added_once_and_not_to_every_piece() {
    let server = server();
    let typical = |path: &str| {
        median((0..9).map(|_| ask(server.relay.port(), path, PATIENCE).unwrap().1.as_secs_f64()).collect())
    };
    // Three hundred kilobytes are many pieces; each is to come later, not after the one before it came later.
    let (small, large) = (typical("/"), typical("/300000"));
    let _later = server.disturb(FaultKind::Latency { ms: 100 });
    let (small, large) = (typical("/") - small, typical("/300000") - large);
    for added in [small, large] {
        // Never less. More only where the machine is busy: a delay for each piece would be seconds.
        assert!((0.095..0.5).contains(&added), "{added} s instead of 0.1 s");
    }
}

#[test]
fn bandwidth_is_what_was_asked_for() {
    let server = server();
    let _narrow = server.disturb(FaultKind::Bandwidth { kib_per_s: 512 });
    let took = ask(server.relay.port(), "/524288", PATIENCE).unwrap().1.as_secs_f64();
    // Half a mebibyte takes a second, and longer only where the machine is busy.
    assert!((0.95..3.0).contains(&took), "{took} s");
}

#[test]
fn jitter_varies_and_keeps_the_order() {
    let server = server();
    let _jitter = server.disturb(FaultKind::Jitter { ms: 60 });
    let spans: Vec<f64> = (0..20).map(|_| server.ask("/").unwrap().1.as_secs_f64()).collect();
    let (least, most) =
        (spans.iter().copied().fold(f64::MAX, f64::min), spans.iter().copied().fold(0.0, f64::max));
    assert!(most - least > 0.01, "{spans:?}");
    let (answer, _) = server.ask("/100000").unwrap();
    assert!(answer.ends_with("xok") && answer.starts_with("HTTP"));
}

#[test]
fn slices_arrive_slowly_and_whole() {
    let server = server();
    let _slices = server.disturb(FaultKind::Slicer { bytes: 10, pause_us: 2000 });
    let (answer, took) = ask(server.relay.port(), "/1000", PATIENCE).unwrap();
    assert!(answer.ends_with("xok"));
    assert!(took > Duration::from_millis(200), "a hundred pauses of two milliseconds took {took:?}");
}

#[test]
fn a_slow_close_delays_the_end_only() {
    let server = server();
    let _slow = server.disturb(FaultKind::SlowClose { ms: 300 });
    let (answer, took) = server.ask("/").unwrap();
    assert!(answer.ends_with("ok") && took >= Duration::from_millis(295), "{took:?}");
}

#[test]
fn connections_that_break_say_how() {
    let server = server();
    let fails = |kind: FaultKind, expected: &str| {
        let _broken = server.disturb(kind);
        // The relay learns of it a moment later, and what was open by then may end in another way.
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = match server.ask("/1000") {
                Err(error) => format!("{:?}", error.kind()),
                Ok((answer, _)) => format!("{} bytes", answer.len()),
            };
            if seen == expected {
                return;
            }
            assert!(Instant::now() < until, "{kind}: {seen} instead of {expected}");
        }
    };
    fails(FaultKind::Reset, "ConnectionReset");
    fails(FaultKind::Cut, "ConnectionReset");
    fails(FaultKind::Fin, "0 bytes");
    fails(FaultKind::Blackhole, "WouldBlock");
    // The head, and half of the body.
    fails(FaultKind::Truncate, &format!("{} bytes", "HTTP/1.0 200 OK\r\n\r\n".len() + 501));
    fails(FaultKind::Refuse, "ConnectionRefused");
    wait_until_it_answers(server.relay.port());
}

#[test]
fn half_open_lets_the_request_in_and_loses_its_answer() {
    let server = server();
    wait_until_it_answers(server.relay.port());
    let before = server.asked.load(Ordering::SeqCst);
    let lost = server.disturb(FaultKind::HalfOpen);
    assert_eq!(server.ask("/").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(server.asked.load(Ordering::SeqCst), before + 1, "the request did not arrive");
    drop(lost);
    wait_until_it_answers(server.relay.port());
}

#[test]
fn what_was_on_its_way_comes_out_of_a_black_hole() {
    let server = server();
    let hole = server.disturb(FaultKind::Blackhole);
    let port = server.relay.port();
    let waiting = std::thread::spawn(move || ask(port, "/", PATIENCE).unwrap().0);
    std::thread::sleep(Duration::from_millis(200));
    assert!(!waiting.is_finished());
    drop(hole);
    assert!(waiting.join().unwrap().ends_with("ok"));
}

#[test]
fn a_disturbed_link_heals_by_itself_when_the_time_is_over() {
    let server = server();
    let _gone = server.relay.disturb(FaultKind::Refuse, Trigger::Always, 1, Duration::from_millis(150));
    wait_until_it_answers(server.relay.port());
}

#[test]
fn a_trigger_picks_connections() {
    let server = server();
    let _every_third = server.relay.disturb(FaultKind::Reset, Trigger::EveryNth(3), 1, PATIENCE);
    let failed = (0..30).filter(|_| server.ask("/").is_err()).count();
    assert_eq!(failed, 10);
    let share = |seed| {
        let _half = server.relay.disturb(FaultKind::Reset, Trigger::Percent(50), seed, PATIENCE);
        (0..60).filter(|_| server.ask("/").is_err()).count()
    };
    let failed = share(7);
    assert!((10..50).contains(&failed), "{failed} of 60");
}

#[test]
fn nobody_is_taken_while_the_queue_is_full_and_everybody_afterwards() {
    let server = server();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.relay.port()));
    let connect = || TcpStream::connect_timeout(&address, SILENCE).map(drop).map_err(|e| e.kind());
    let hung = server.disturb(FaultKind::SynHang);
    let until = Instant::now() + PATIENCE;
    while connect() != Err(ErrorKind::TimedOut) {
        assert!(Instant::now() < until, "connections are still made");
    }
    drop(hung);
    wait_until_it_answers(server.relay.port());
}

#[test]
fn a_status_is_the_relays_and_the_request_never_arrives() {
    let server = server();
    let only = "GET /1".parse().unwrap();
    let kind = FaultKind::Status { code: 503 };
    let _broken = server.relay.disturb_route(Some(only), kind, Trigger::Always, 1, PATIENCE);
    let before = server.asked.load(Ordering::SeqCst);
    assert!(server.ask("/1").unwrap().0.starts_with("HTTP/1.1 503 "));
    assert_eq!(server.asked.load(Ordering::SeqCst), before);
    assert!(server.ask("/2").unwrap().0.ends_with("ok"), "another route was met");
}

#[test]
fn a_delay_comes_before_the_app_and_only_where_it_is_meant() {
    let server = server();
    let only = "GET /1".parse().unwrap();
    let kind = FaultKind::Delay { ms: 200 };
    let _broken = server.relay.disturb_route(Some(only), kind, Trigger::Always, 1, PATIENCE);
    let (answer, took) = ask(server.relay.port(), "/1", PATIENCE).unwrap();
    assert!(answer.ends_with("ok") && took >= Duration::from_millis(195), "{took:?}");
    // Ten that are not meant are faster than ten that are.
    let began = Instant::now();
    (0..10).for_each(|_| drop(ask(server.relay.port(), "/2", PATIENCE).unwrap()));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn every_third_request_is_met_whatever_its_connection() {
    let server = server();
    let kind = FaultKind::Status { code: 500 };
    let _broken = server.relay.disturb(kind, Trigger::Request(3), 1, PATIENCE);
    let failed: Vec<usize> =
        (1..=9).filter(|_| server.ask("/").unwrap().0.starts_with("HTTP/1.1 500 ")).collect();
    assert_eq!(failed, [3, 6, 9]);
}

#[test]
fn from_the_first_byte_on_an_answer_stops_in_its_middle() {
    let server = server();
    let _hole = server.relay.disturb(FaultKind::Blackhole, Trigger::FirstByte, 1, PATIENCE);
    let mut stream = TcpStream::connect(("127.0.0.1", server.relay.port())).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    stream.write_all(b"GET /300000 HTTP/1.0\r\n\r\n").unwrap();
    let mut got = 0;
    let end = loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => break ErrorKind::UnexpectedEof,
            Ok(bytes) => got += bytes,
            Err(error) => break error.kind(),
        }
    };
    assert!(matches!(end, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{end:?} after {got} bytes");
    assert!((1..300_000).contains(&got), "{got} bytes");
}

#[test]
fn at_a_commit_the_answer_is_lost_and_other_statements_are_answered() {
    // Speaks lines: what it is sent it says again.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let upstream = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 256];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let _ = stream.write_all(&bytes[..count]);
                }
            });
        }
    });
    let relay = Relay::start(0, upstream, &[]).unwrap();
    let _lost = relay.disturb(FaultKind::HalfOpen, Trigger::Commit, 1, PATIENCE);
    let mut stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let mut say = |line: &str| {
        stream.write_all(line.as_bytes()).unwrap();
        stream.read(&mut [0; 256]).map_err(|e| e.kind())
    };
    assert_eq!(say("BEGIN"), Ok(5));
    assert_eq!(say("INSERT INTO notes VALUES (1)"), Ok(28));
    assert!(matches!(say("COMMIT"), Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)));
}
