//! Short links: a few thousand of them, followed by many, added by few.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, RwLock};
use std::thread;

struct Link {
    target: String,
    followed: u64,
}

#[derive(Default)]
struct Links {
    by_name: HashMap<String, Link>,
}

impl Links {
    fn with_examples(count: usize) -> Self {
        let mut links = Self::default();
        for n in 0..count {
            links.add(&format!("l{n}"), &format!("https://example.org/articles/{n}"));
        }
        links
    }

    fn add(&mut self, name: &str, target: &str) -> bool {
        if name.is_empty() || self.by_name.contains_key(name) {
            return false;
        }
        self.by_name.insert(name.to_owned(), Link { target: target.to_owned(), followed: 0 });
        true
    }

    fn follow(&mut self, name: &str) -> Option<String> {
        let link = self.by_name.get_mut(name)?;
        link.followed += 1;
        Some(link.target.clone())
    }

    /// The links that were followed most.
    fn popular(&self, count: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.by_name.iter().map(|(name, link)| (name.as_str(), link.followed)).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.truncate(count);
        all
    }
}

struct Request {
    method: String,
    path: String,
    body: String,
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method, path, body: String::from_utf8_lossy(&body).into_owned() }))
}

fn field<'a>(form: &'a str, name: &str) -> &'a str {
    form.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name)).map_or("", |(_, value)| value)
}

fn answer(links: &RwLock<Links>, request: &Request) -> (u16, String) {
    let Ok(mut links) = links.write() else { return (500, "{}".to_owned()) };
    match (request.method.as_str(), request.path.as_str()) {
        (_, "/health") => (200, r#"{"open":true}"#.to_owned()),
        ("GET", "/popular") => {
            let rows: Vec<String> = links.popular(10).iter().map(|(name, n)| format!(r#"{{"link":"{name}","followed":{n}}}"#)).collect();
            (200, format!("[{}]", rows.join(",")))
        }
        ("POST", "/links") => {
            let (name, target) = (field(&request.body, "name"), field(&request.body, "target"));
            if links.add(name, target) { (200, format!(r#"{{"link":"{name}"}}"#)) } else { (409, r#"{"error":"it is taken"}"#.to_owned()) }
        }
        ("GET", path) => match links.follow(path.trim_start_matches('/')) {
            Some(target) => (200, format!(r#"{{"target":"{target}"}}"#)),
            None => (404, r#"{"error":"no such link"}"#.to_owned()),
        },
        _ => (404, r#"{"error":"there is no such page"}"#.to_owned()),
    }
}

fn converse(links: &RwLock<Links>, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        let (status, text) = answer(links, &request);
        let head = format!("HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.write_all((head + &text).as_bytes())?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    let links = Arc::new(RwLock::new(Links::with_examples(2000)));
    for stream in listener.incoming().flatten() {
        let links = Arc::clone(&links);
        thread::spawn(move || converse(&links, stream));
    }
    Ok(())
}
