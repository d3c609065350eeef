//! The cache that is rehearsed, in front of an app that counts how often it is asked.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads one message: its first line, its headers in lower case, its body.
fn message(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<String>, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let first = lines.remove(0);
    let headers: Vec<String> = lines.iter().map(|l| l.to_lowercase()).collect();
    let length = headers.iter().find_map(|h| h.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((first, headers, body))
}

/// Answers every request with how many it has answered; what is not for everybody says so.
fn app(asked: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let asked = Arc::clone(&asked);
            std::thread::spawn(move || {
                let mut writes = stream.try_clone().unwrap();
                let mut reads = BufReader::new(stream);
                while let Some((first, ..)) = message(&mut reads) {
                    let n = asked.fetch_add(1, SeqCst) + 1;
                    let more = if first.contains("/mine") { "Set-Cookie: a=b\r\n" } else { "" };
                    let body = n.to_string();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len());
                    if writes.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

fn connect(port: u16) -> BufReader<TcpStream> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return BufReader::new(stream),
            Err(e) => assert!(Instant::now() < until, "the cache does not listen: {e}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> String {
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let (first, _, body) = message(stream).unwrap();
    assert!(first.contains("200"), "{first}");
    String::from_utf8(body).unwrap()
}

#[test]
fn what_is_for_everybody_is_fetched_once_and_the_rest_each_time() {
    let asked = Arc::new(AtomicU64::new(0));
    let upstream = app(Arc::clone(&asked));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _cache = Ended(
        Command::new(env!("CARGO_BIN_EXE_fissure-hands"))
            .arg("__cache")
            .env("PORT", port.to_string())
            .env("WEB_URL", format!("http://127.0.0.1:{upstream}"))
            .env("FISSURE_CACHE_MS", "3600000")
            .spawn()
            .unwrap(),
    );
    let mut user = connect(port);
    let get = |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nHost: shop\r\n{more}\r\n");
    let first = ask(&mut user, &get("/menu", ""));
    for _ in 0..20 {
        assert_eq!(ask(&mut user, &get("/menu", "")), first);
    }
    assert_eq!(ask(&mut connect(port), &get("/menu", "")), first, "another user's is the same");
    assert_eq!(asked.load(SeqCst), 1);
    for (request, times) in [
        (get("/menu?day=2", ""), 1),
        (get("/mine", ""), 3),
        (get("/menu", "Authorization: Bearer x\r\n"), 3),
        ("POST /menu HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi".to_owned(), 3),
    ] {
        let before = asked.load(SeqCst);
        for _ in 0..3 {
            ask(&mut user, &request);
        }
        assert_eq!(asked.load(SeqCst) - before, times, "{request}");
    }
}
