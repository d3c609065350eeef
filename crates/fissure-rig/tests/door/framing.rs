//! The published ways to make two programs read one request differently. Each is sent in one piece; of a refused one
//! not a byte reaches the app, and the connection is closed.

use super::app::noting;
use super::{door, statuses};

const TWO: &str = "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n";

/// Name, first line, headers behind `Host: x`, body.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("CL.TE", "POST / HTTP/1.1", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", TWO),
    ("TE.CL", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", TWO),
    ("two different lengths", "POST / HTTP/1.1", "Content-Length: 4\r\nContent-Length: 5\r\n", "abcde"),
    ("the same length twice", "POST / HTTP/1.1", "Content-Length: 4\r\nContent-Length: 4\r\n", "abcd"),
    ("a list of lengths", "POST / HTTP/1.1", "Content-Length: 4, 4\r\n", "abcd"),
    ("a signed length", "POST / HTTP/1.1", "Content-Length: +4\r\n", "abcd"),
    ("a negative length", "POST / HTTP/1.1", "Content-Length: -1\r\n", "abcd"),
    ("an empty length", "POST / HTTP/1.1", "Content-Length:\r\n", "abcd"),
    ("a length in hexadecimal", "POST / HTTP/1.1", "Content-Length: 0x4\r\n", "abcd"),
    ("a length beyond all numbers", "POST / HTTP/1.1", "Content-Length: 18446744073709551620\r\n", "abcd"),
    (
        "unknown coding with length",
        "POST / HTTP/1.1",
        "Content-Length: 4\r\nTransfer-Encoding: xchunked\r\n",
        "abcd",
    ),
    ("identity after chunked", "POST / HTTP/1.1", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
    ("chunked twice", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TWO),
    ("TE.TE", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n", TWO),
    ("vertical tab in coding", "POST / HTTP/1.1", "Transfer-Encoding: \x0bchunked\r\n", TWO),
    ("coding in quotes", "POST / HTTP/1.1", "Transfer-Encoding: \"chunked\"\r\n", TWO),
    ("coding in HTTP/1.0", "POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n", TWO),
    (
        "both in HTTP/1.0",
        "POST / HTTP/1.0",
        "Connection: keep-alive\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        TWO,
    ),
    ("blank before the colon", "POST / HTTP/1.1", "Content-Length : 4\r\n", "abcd"),
    ("underscore for the hyphen", "POST / HTTP/1.1", "Content_Length: 4\r\n", ""),
    ("header without colon", "GET / HTTP/1.1", "X\r\n", ""),
    ("header without name", "GET / HTTP/1.1", ": x\r\n", ""),
    ("bad header name", "GET / HTTP/1.1", "X(y): x\r\n", ""),
    ("folded line", "GET / HTTP/1.1", "X-A: b\r\n Transfer-Encoding: chunked\r\n", ""),
    ("folded first header", "GET / HTTP/1.1\r\n X: y", "", ""),
    ("NUL in a value", "GET / HTTP/1.1", "X-A: a\0b\r\n", ""),
    ("bare CR in a value", "GET / HTTP/1.1", "X-A: a\rb\r\n", ""),
    ("bare LF in a value", "GET / HTTP/1.1", "X-A: a\nTransfer-Encoding: chunked\r\n", ""),
    ("two hosts", "GET / HTTP/1.1", "Host: evil\r\n", ""),
    ("absolute target of another host", "GET http://evil/ HTTP/1.1", "", ""),
    ("absolute target of another scheme", "GET ftp://x/ HTTP/1.1", "", ""),
    ("target that is no path", "GET x HTTP/1.1", "", ""),
    ("two blanks in the first line", "GET  / HTTP/1.1", "", ""),
    ("blank at the end of the first line", "GET / HTTP/1.1 ", "", ""),
    ("tab in the first line", "GET\t/ HTTP/1.1", "", ""),
    ("no version", "GET /", "", ""),
    ("version in small letters", "GET / http/1.1", "", ""),
    ("method that is no word", "G(T / HTTP/1.1", "", ""),
    ("chunk size with 0x", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", "0x2\r\nab\r\n0\r\n\r\n"),
    (
        "chunk size beyond all numbers",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\n",
        "10000000000000002\r\nab\r\n0\r\n\r\n",
    ),
    ("empty chunk size", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", "\r\nab\r\n0\r\n\r\n"),
    ("signed chunk size", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", "+2\r\nab\r\n0\r\n\r\n"),
    (
        "blank behind the chunk size",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\n",
        "2 \r\nab\r\n0\r\n\r\n",
    ),
    (
        "bare LF behind the chunk size",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\n",
        "2\nab\r\n0\r\n\r\n",
    ),
    (
        "bare LF in a chunk extension",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\n",
        "2;a\nxx\r\nab\r\n0\r\n\r\n",
    ),
    (
        "bare CR in a chunk extension",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\n",
        "2;a\rxx\r\nab\r\n0\r\n\r\n",
    ),
    (
        "chunk longer than its size",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "length in a trailer",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\n",
        "0\r\nContent-Length: 4\r\n\r\n",
    ),
    ("bare LF in a trailer", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\r\n"),
];

#[test]
fn what_can_be_read_in_two_ways_never_reaches_the_app() {
    let (app, notes) = noting();
    let door = door(app);
    let mut wrong = Vec::new();
    let mut send = |name: &str, bytes: &[u8], expected: u16| {
        let heard = door.talk(bytes, |_| false);
        let reached = std::mem::take(&mut *notes.lock().unwrap());
        if statuses(&heard) != [expected] || !reached.is_empty() {
            wrong.push(format!("{name}: {heard:?}, {:?}", String::from_utf8_lossy(&reached)));
        }
    };
    for (name, line, headers, body) in REFUSED {
        send(name, format!("{line}\r\nHost: x\r\n{headers}\r\n{body}").as_bytes(), 400);
    }
    send("bare LF everywhere", b"GET / HTTP/1.1\nHost: x\n\n", 400);
    send("no host", b"GET / HTTP/1.1\r\n\r\n", 400);
    send("a host that is none", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400);
    send("two hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    send("HTTP/1.7", b"GET / HTTP/1.7\r\nHost: x\r\n\r\n", 505);
    send(
        "a word of the door's own",
        b"FISSURE-REFUSED / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        400,
    );
    let large = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    send("a head beyond all measure", large.as_bytes(), 431);
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(101));
    send("too many headers", many.as_bytes(), 431);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_refusal_takes_its_turn_behind_the_answers_before_it() {
    let (app, notes) = noting();
    let door = door(app);
    let good = "GET /good HTTP/1.1\r\nHost: x\r\n\r\n";
    let bad =
        "POST /evil HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let heard = door.talk(format!("{good}{good}{bad}{good}").as_bytes(), |_| false);
    assert_eq!(statuses(&heard), [200, 200, 400], "{heard}");
    assert!(heard.contains("both Content-Length and Transfer-Encoding"), "{heard}");
    let reached = String::from_utf8(notes.lock().unwrap().clone()).unwrap();
    assert_eq!(reached.matches("GET /good").count(), 2, "{reached}");
    assert!(!reached.contains("evil"), "{reached}");
}

/// Of a body that goes wrong after its beginning has been passed on, the app sees no end.
#[test]
fn a_chunk_that_comes_late_and_broken_is_refused_and_never_finished() {
    use std::io::Write;
    let (app, notes) = noting();
    let door = door(app);
    let mut stream = door.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n").unwrap();
    for _ in 0..1_000 {
        if notes.lock().unwrap().ends_with(b"ab\r\n") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let notes_then = notes.lock().unwrap().clone();
    assert!(notes_then.ends_with(b"ab\r\n"), "{:?}", String::from_utf8_lossy(&notes_then));
    stream.write_all(b"zz\r\n").unwrap();
    super::hear(&mut stream, |_| false);
    assert_eq!(*notes.lock().unwrap(), notes_then);
}

#[test]
fn what_can_be_read_in_one_way_only_passes_however_odd() {
    let (app, _) = noting();
    let door = door(app);
    for (name, bytes, expected) in [
        ("GET with a body", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd", 1),
        ("an empty line before", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        ("absolute target of the host", "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        ("an asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        ("text beyond ASCII", "GET / HTTP/1.1\r\nHost: x\r\nX: gr\u{fc}n\r\n\r\n", 1),
        (
            "an upgrade that the app ignores",
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
            2,
        ),
        (
            "connection names the length",
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: Content-Length\r\nContent-Length: 4\r\n\r\nabcdGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
            2,
        ),
    ] {
        let heard = door.talk(bytes.as_bytes(), |heard| heard.matches("\r\n\r\nok").count() == expected);
        assert_eq!(statuses(&heard), vec![200; expected], "{name}: {heard}");
    }
}
