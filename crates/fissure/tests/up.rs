//! `fissure up` from the command line: the app behind the door, the recording, and what is left when it is killed.

#![expect(clippy::unwrap_used, reason = "tests may")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fissure_facts::{Recording, recording};
use support::{Folder, processes_of, program};

struct Up {
    child: Child,
    out: BufReader<ChildStdout>,
    said: String,
    address: String,
    folder: PathBuf,
}

impl Up {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(arguments)
            .current_dir(folder.path())
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut up = Self {
            child,
            out,
            said: String::new(),
            address: String::new(),
            folder: folder.path().to_owned(),
        };
        let line = up.wait_for("answers at");
        up.address = line.split("://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        up
    }

    fn wait_for(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "`{part}` was never said:\n{}", self.said);
            self.said += &line;
            if line.contains(part) {
                return line;
            }
        }
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nCookie: sid=s3cr3t\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}",
            self.address
        )
        .unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        heard
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    fn recorded(&self) -> Recording {
        let folder = self.folder.join(".fissure/recordings");
        let one = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        recording::read(&one).unwrap()
    }

    fn nothing_runs(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while !processes_of(&self.folder).is_empty() {
            assert!(Instant::now() < until, "still running: {:?}", processes_of(&self.folder));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

const APP: &str = r#"
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length) + b" from " + self.headers.get("X-Forwarded-Proto", "nobody").encode() + b" by " + os.environ["FISSURE_ROLE"].encode()
        open("visits.txt", "a").write(self.path + "\n")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn app() -> Folder {
    let config = "[app]\ncommand = \"exec python3 app.py\"\n[users]\n[goal]\nusers = 2\np95 = \"500ms\"\n";
    Folder::empty().file("app.py", APP).file("fissure.toml", config).file("visits.txt", "")
}

#[test]
fn what_came_through_is_there_after_kill_9_and_the_app_is_not() {
    let folder = app();
    let mut up = Up::start(&folder, &["up"]);
    let heard = up.ask("POST", "/orders?n=1", "item=7");
    assert!(heard.contains("item=7 from http"), "{heard}");
    up.wait_for("/orders?n=1");
    // Whatever was answered more than a second ago is safe.
    std::thread::sleep(Duration::from_millis(1_500));
    up.signal("KILL");
    up.child.wait().unwrap();
    up.nothing_runs();

    let recording = up.recorded();
    assert_eq!(recording.header.base, format!("http://{}", up.address));
    let order = &recording.exchanges[0];
    assert_eq!((order.request.method.as_str(), order.request.target.as_str()), ("POST", "/orders?n=1"));
    assert_eq!(order.request.body.bytes, b"item=7");
    assert_eq!(order.request.header("cookie"), Some("sid=s3cr3t"));
    assert_eq!(order.answer.as_ref().unwrap().status, 200);
    // The app ran in a copy: the user's own file is as it was.
    assert_eq!(std::fs::read_to_string(folder.path().join("visits.txt")).unwrap(), "");
}

#[test]
fn ctrl_c_ends_everything_and_says_what_was_recorded() {
    let folder = app();
    let mut up = Up::start(&folder, &["up", "--in-place"]);
    up.ask("GET", "/a", "");
    up.ask("GET", "/b", "");
    up.signal("INT");
    up.wait_for("Recorded 2 requests in .fissure/recordings/");
    up.wait_for("fissure users");
    assert_eq!(up.child.wait().unwrap().code(), Some(0), "{}", up.said);
    up.nothing_runs();
    assert_eq!(up.recorded().exchanges.len(), 2);
    let visits = std::fs::read_to_string(folder.path().join("visits.txt")).unwrap();
    assert!(visits.contains("/a\n/b\n"), "{visits}");
}

#[test]
fn the_live_page_is_for_who_has_its_address() {
    let folder = app();
    let mut up = Up::start(&folder, &["up", "--no-record"]);
    let line = up.wait_for("What comes through");
    let (address, path) = line.trim().split_once("http://").unwrap().1.split_once('/').unwrap();
    up.ask("GET", "/orders/7", "");
    up.ask("GET", "/orders/8", "");
    up.wait_for("/orders/8");
    let look = |host: &str, path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        heard
    };
    let page = look(address, path);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("GET /orders/{id}"), "{page}");
    assert!(page.contains("<td class=\"number\">2</td>"), "{page}");
    for (host, path) in [("evil.test", path), (address, ""), (address, "0/")] {
        let heard = look(host, path);
        assert!(heard.starts_with("HTTP/1.1 404") && !heard.contains("orders"), "{heard}");
    }
    up.signal("INT");
    assert_eq!(up.child.wait().unwrap().code(), Some(0), "{}", up.said);
}

#[test]
fn without_a_recording_nothing_is_written_down() {
    let folder = app();
    let mut up = Up::start(&folder, &["up", "--no-record"]);
    up.ask("GET", "/secret", "");
    up.signal("INT");
    assert_eq!(up.child.wait().unwrap().code(), Some(0), "{}", up.said);
    assert!(!folder.path().join(".fissure/recordings").exists());
}

#[test]
fn a_split_app_answers_each_route_by_its_process() {
    let folder = app();
    let mut up = Up::start(&folder, &["split", "GET /photos/{id},POST /photos", "--no-record"]);
    for (method, target, role) in
        [("GET", "/", "web"), ("GET", "/photos/7", "photos"), ("POST", "/photos", "photos")]
    {
        let heard = up.ask(method, target, "");
        assert!(heard.ends_with(&format!(" by {role}")), "{method} {target}: {heard}");
    }
    up.wait_for("GET    /photos/7  (by photos)");
    up.signal("INT");
    assert_eq!(up.child.wait().unwrap().code(), Some(0), "{}", up.said);
    up.nothing_runs();
}

#[test]
fn what_cannot_be_done_is_told_with_a_reason() {
    let folder = app().file("app.py", "raise SystemExit('no database today')");
    folder.fissure(&["up"]).exits(69).says("no database today").leaves_nothing();
    let folder = folder.file(".env", "DATABASE_URL=postgres://127.0.0.1/shop");
    folder.fissure(&["up"]).exits(65).says("database server").says("--in-place");
    folder.fissure(&["split", "thumbs"]).exits(64).says("`thumbs` is neither an area");
}
