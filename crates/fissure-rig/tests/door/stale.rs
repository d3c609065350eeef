//! Connections to the app that die while nobody looks. What may be sent again is, what may not never.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::app::raw;
use super::{door, hear, statuses};

/// How often each target was asked for.
type Counts = Arc<Mutex<HashMap<String, u32>>>;

/// Reads a head with its body, whose length is single-digit; gives method and target.
fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut heard = Vec::new();
    let mut some = [0; 1];
    while !heard.ends_with(b"\r\n\r\n") {
        if stream.read(&mut some).ok()? == 0 {
            return None;
        }
        heard.push(some[0]);
    }
    let text = String::from_utf8(heard).unwrap().to_lowercase();
    if let Some((_, rest)) = text.split_once("content-length: ") {
        let mut body = vec![0; rest[..1].parse().unwrap()];
        stream.read_exact(&mut body).ok()?;
    }
    let mut words = text.split(' ');
    Some((words.next()?.to_owned(), words.next()?.to_owned()))
}

fn count(counts: &Counts, method: &str, target: &str) -> u32 {
    let mut counts = counts.lock().unwrap();
    let count = counts.entry(format!("{method} {target}")).or_default();
    *count += 1;
    *count
}

fn ask(stream: &mut TcpStream, method: &str, target: &str) -> u16 {
    let body = if method == "GET" { "" } else { "Content-Length: 2\r\n\r\nab" };
    let end = if method == "GET" { "\r\n" } else { "" };
    stream.write_all(format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{body}{end}").as_bytes()).unwrap();
    let heard = hear(stream, |heard| heard.ends_with("\r\n\r\n.") || heard.contains("fissure's front door"));
    statuses(&heard)[0]
}

/// Counts and answers until either side ends.
fn answer_all(mut stream: TcpStream, counts: &Counts) {
    while let Some((method, target)) = request(&mut stream) {
        count(counts, &method, &target);
        if stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.";

#[test]
fn an_app_that_closes_idle_connections_costs_no_request_and_doubles_none() {
    let counts = Counts::default();
    let own = Arc::clone(&counts);
    // Closes every connection a moment after its second answer, which is about when the next request comes.
    let door = door(raw(move |mut stream| {
        for _ in 0..2 {
            let Some((method, target)) = request(&mut stream) else { return };
            count(&own, &method, &target);
            stream.write_all(ANSWER).unwrap();
        }
        thread::sleep(Duration::from_micros(200));
    }));
    let mut stream = door.connect();
    let mut failed = Vec::new();
    for n in 0..400u32 {
        let method = if n % 4 == 0 { "POST" } else { "GET" };
        match ask(&mut stream, method, &format!("/{n}")) {
            200 => {}
            status => failed.push((method, n, status)),
        }
        thread::sleep(Duration::from_micros(u64::from(n % 7) * 100));
    }
    let doubled: Vec<_> = counts
        .lock()
        .unwrap()
        .iter()
        .filter(|(t, n)| t.starts_with("post") && **n > 1)
        .map(|(t, _)| t.clone())
        .collect();
    assert!(doubled.is_empty(), "sent twice: {doubled:?}");
    assert!(failed.iter().all(|(method, ..)| *method == "POST"), "{failed:?}");
    assert!(door.passed(400).len() == 400);
}

/// An app that takes a request on a used connection and hangs up without a word.
#[test]
fn a_get_that_got_no_answer_is_sent_again_and_a_post_is_not() {
    let counts = Counts::default();
    let own = Arc::clone(&counts);
    let door = door(raw(move |mut stream| {
        let mut answered = 0;
        while let Some((method, target)) = request(&mut stream) {
            count(&own, &method, &target);
            if answered == 1 {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
            answered += 1;
            stream.write_all(ANSWER).unwrap();
        }
    }));
    let mut stream = door.connect();
    assert_eq!(ask(&mut stream, "GET", "/1"), 200);
    assert_eq!(ask(&mut stream, "GET", "/2"), 200);
    assert_eq!(ask(&mut stream, "POST", "/3"), 502);
    let counts = counts.lock().unwrap();
    assert_eq!((counts["get /1"], counts["get /2"], counts["post /3"]), (1, 2, 1), "{counts:?}");
}

/// Somebody who got the first byte of an answer may have been told something.
#[test]
fn an_answer_that_broke_off_in_its_head_is_not_asked_for_again() {
    let counts = Counts::default();
    let own = Arc::clone(&counts);
    let door = door(raw(move |mut stream| {
        if let Some((method, target)) = request(&mut stream) {
            count(&own, &method, &target);
            stream.write_all(b"HTTP/1.1 200 O").unwrap();
        }
    }));
    let mut stream = door.connect();
    assert_eq!(ask(&mut stream, "GET", "/1"), 502);
    assert_eq!(counts.lock().unwrap()["get /1"], 1);
}

#[test]
fn an_app_that_starts_again_under_load_costs_no_idempotent_request_and_doubles_no_post() {
    let counts = Counts::default();
    let own = Arc::clone(&counts);
    // Not a port that a client's connection could sit on meanwhile.
    let address: SocketAddr = ([127, 0, 0, 1], fissure_rig::keeper::free_port().unwrap()).into();
    let done = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&done);
    // Each life of the app ends by closing its listener and all of its connections in the midst of what they do.
    let app = thread::spawn(move || {
        for _life in 0..4 {
            let listener = TcpListener::bind(address).unwrap();
            let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
            let opened = Arc::clone(&open);
            let ended = Arc::new(AtomicBool::new(false));
            let end = Arc::clone(&ended);
            let counts = Arc::clone(&own);
            let accepting = thread::spawn(move || {
                for stream in listener.incoming() {
                    if end.load(SeqCst) {
                        return;
                    }
                    let stream = stream.unwrap();
                    opened.lock().unwrap().push(stream.try_clone().unwrap());
                    let counts = Arc::clone(&counts);
                    thread::spawn(move || answer_all(stream, &counts));
                }
            });
            thread::sleep(Duration::from_millis(150));
            ended.store(true, SeqCst);
            let _ = TcpStream::connect(address); // wakes it
            accepting.join().unwrap();
            for stream in open.lock().unwrap().iter() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            thread::sleep(Duration::from_millis(60));
        }
        let listener = TcpListener::bind(address).unwrap();
        over.store(true, SeqCst);
        for stream in listener.incoming() {
            let counts = Arc::clone(&own);
            thread::spawn(move || answer_all(stream.unwrap(), &counts));
        }
    });
    thread::sleep(Duration::from_millis(30));
    let door = door(address);
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (mut stream, done) = (door.connect(), Arc::clone(&done));
            thread::spawn(move || {
                let mut statuses = Vec::new();
                for n in 0.. {
                    if done.load(SeqCst) {
                        break;
                    }
                    statuses.push(ask(&mut stream, "GET", &format!("/{client}")));
                    // It may fail, and be answered or not: what counts is how often the app hears it.
                    ask(&mut stream, "POST", &format!("/{client}/{n}"));
                }
                statuses
            })
        })
        .collect();
    let statuses: Vec<u16> = clients.into_iter().flat_map(|c| c.join().unwrap()).collect();
    let counts = counts.lock().unwrap();
    let doubled: Vec<_> = counts.iter().filter(|(t, n)| t.starts_with("post") && **n > 1).collect();
    assert!(doubled.is_empty() && counts.len() > 20, "sent twice: {doubled:?}");
    let failed = statuses.iter().filter(|&&s| s != 200).count();
    assert!(statuses.len() > 20 && failed == 0, "{failed} of {} failed", statuses.len());
    drop(app); // it ends with the test's process
}
