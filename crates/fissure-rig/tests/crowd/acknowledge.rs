//! A server that sends head and body in two small writes and has not switched Nagle's algorithm off.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use fissure_rig::crowd::{CrowdPlan, Mode};

use crate::{plan, run};

fn serve_in_two_writes() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").unwrap();
            stream.write_all(b"hello").unwrap();
        }
    }
}

#[test]
fn a_user_who_acknowledges_at_once_does_not_wait_for_nagle() {
    let web = serve_in_two_writes();
    let journey = "GET {{base}}/a\nHTTP 200\n".repeat(6);
    // The least of several: a busy machine makes some of them late, but none of those that wait for an acknowledgement early.
    let least_us = |acknowledges_at_once: bool| {
        let plan = CrowdPlan { acknowledges_at_once, ..plan(web, Mode::Play, &[&journey]) };
        let heard = run(&plan);
        let steps = &heard.played[0].1;
        assert!(steps.iter().all(|s| s.problem.is_none()), "{steps:?}");
        // The kernel acknowledges the first packets of a connection at once.
        steps[3..].iter().map(|s| s.latency_us).min().unwrap()
    };
    let (late, at_once) = (least_us(false), least_us(true));
    assert!(late > 3 * at_once, "{late} us, and {at_once} us when acknowledged at once");
}
