//! The reader of answers against every fault we know, every split, garbage, and hyper.

use bytes::Bytes;
use fissure_facts::fact::ErrorClass::{self, CutShort, Malformed, Reset, TooLarge};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::answer::Answer;
use crate::crowd::connection::{Failure, Keep};

const ALL: Keep = Keep { headers: true, body: true };

/// Status, headers and body of an answer, and whether the connection stays usable.
type Read = (u16, HeaderMap, Vec<u8>, bool);

/// What an answer is that comes in these pieces, before the app closes; `Err` also when something is left over.
fn read(pieces: &[&[u8]], method: &Method) -> Result<Read, Failure> {
    let mut answer = Answer::to(method, ALL);
    for piece in pieces {
        let rest = answer.take(piece)?;
        if !rest.is_empty() {
            return Err(Failure { class: Malformed, sentence: "left over".to_owned() });
        }
    }
    answer.end()?;
    assert!(answer.is_whole());
    let (reply, keeps_open) = answer.into_reply();
    assert_eq!(reply.body.len() as u64, reply.body_bytes);
    Ok((reply.status, reply.headers, reply.body, keeps_open))
}

fn get(text: &[u8]) -> Result<Read, Failure> {
    read(&[text], &Method::GET)
}

fn body(text: &str) -> String {
    String::from_utf8(get(text.as_bytes()).unwrap().2).unwrap()
}

#[track_caller]
fn fails(text: &str, class: ErrorClass, word: &str) {
    let failure = get(text.as_bytes()).unwrap_err();
    assert!(failure.class == class && failure.sentence.contains(word), "{failure:?} for {text:?}");
}

#[test]
fn every_way_to_say_where_a_body_ends_is_understood() {
    assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), "abc");
    assert_eq!(body("HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\nContent-Length:3\r\n\r\nabc"), "abc");
    assert_eq!(body("HTTP/1.1 200\r\n\r\nup to the end"), "up to the end");
    assert_eq!(body("HTTP/1.0 200 OK\r\n\r\n"), "");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    assert_eq!(body(&format!("{chunked}3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\n")), "abc0123456789");
    assert_eq!(body(&format!("{chunked}3;a=\"b;c\" \r\nabc\r\n0 ; last\r\nX-Sum: 1\r\nY: 2\r\n\r\n")), "abc");
    assert_eq!(
        body(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n"
        ),
        ""
    );
    for text in
        ["HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n"]
    {
        assert_eq!(body(text), "");
    }
    let to_head = |text: &[u8]| read(&[text], &Method::HEAD).unwrap().2;
    assert!(to_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").is_empty());
    assert!(to_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_empty());
}

#[test]
fn a_connection_stays_open_only_when_both_sides_know_where_the_answer_ended() {
    let stays = |text: &str| get(text.as_bytes()).unwrap().3;
    assert!(stays("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(stays("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n"));
    assert!(!stays("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(!stays("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n"));
    assert!(!stays("HTTP/1.1 200 OK\r\n\r\nabc"));
    assert!(!stays("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
}

#[test]
fn every_fault_of_framing_is_refused_with_its_reason() {
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nabcdefgh");
    for (headers, word) in [
        ("Content-Length: 3\r\nContent-Length: 4", "two lengths"),
        ("Content-Length: 3, 4", "two lengths"),
        ("Content-Length: +8", "`+8`"),
        ("Content-Length: -8", "`-8`"),
        ("Content-Length: 8 8", "`8 8`"),
        ("Content-Length: 0x8", "`0x8`"),
        ("Content-Length:", "length is ``"),
        ("Content-Length: 99999999999999999999", "999"),
        ("Transfer-Encoding: gzip, chunked", "gzip, chunked"),
        ("Transfer-Encoding: identity", "identity"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "once"),
        ("Content-Length : 8", "header name"),
        ("Content-Length: 8\r\n folded", "header name"),
        ("Content-Length: 8\r X: y", "header value"),
        ("X: a\rb", "header value"),
        ("X: a\0b", "header value"),
        (": nameless", "header name"),
    ] {
        fails(&with(headers), Malformed, word);
    }
    for (text, word) in [
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "another protocol"),
        ("HTTP/1.1 099 Low\r\n\r\n", "not a status"),
        ("HTTP/2.0 200 OK\r\n\r\n", "version"),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "version"),
        ("HTTP/1.1 OK fine\r\n\r\n", "status"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "left over"),
    ] {
        fails(text, Malformed, word);
    }
    for (chunks, word) in [
        ("\r\nabc", "size of a chunk"),
        ("3\nabc\r\n0\r\n\r\n", "size of a chunk"),
        (" 3\r\nabc\r\n0\r\n\r\n", "size of a chunk"),
        ("-3\r\nabc\r\n0\r\n\r\n", "size of a chunk"),
        ("0x3\r\nabc\r\n0\r\n\r\n", "size of a chunk"),
        ("3 3\r\nabc\r\n0\r\n\r\n", "size of a chunk"),
        ("10000000000000000\r\nabc", "size of a chunk"),
        ("3;a\rb\r\nabc\r\n0\r\n\r\n", "size of a chunk"),
        ("3;a\nb\r\nabc\r\n0\r\n\r\n", "size of a chunk"),
        ("3\r\nabcd\r\n0\r\n\r\n", "line end"),
        ("3\r\nabc\n0\r\n\r\n", "line end"),
        ("0\r\nno trailer\r\n\r\n", "header name"),
        ("0\r\nX: y\n\r\n", "carriage return"),
        ("0\r\n\n", "carriage return"),
        ("0\r\n\r\nmore", "left over"),
    ] {
        fails(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"), Malformed, word);
    }
}

#[test]
fn an_answer_that_ends_early_is_told_from_one_that_never_began() {
    fails("", Reset, "did not answer");
    for text in [
        "H",
        "HTTP/1.1 200 OK\r\nContent-",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ] {
        fails(text, CutShort, "middle");
    }
}

#[test]
fn nothing_that_an_app_sends_without_end_is_held_without_end() {
    let endless = |begin: &str, piece: &str, word: &str| {
        let mut answer = Answer::to(&Method::GET, ALL);
        answer.take(begin.as_bytes()).unwrap();
        let error = (0..1 << 20).find_map(|_| answer.take(piece.as_bytes()).err()).unwrap();
        assert!(error.class == TooLarge && error.sentence.contains(word), "{error:?}");
    };
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    endless("HTTP/1.1 200 OK\r\nx: ", "x", "64 kB");
    endless("HTTP/1.1 200 OK\r\n", "x: y\r\n", "100 headers");
    endless("\r\n", "\r\n", "64 kB");
    endless(chunked, "0", "4 kB");
    endless(&format!("{chunked}1;"), "x", "4 kB");
    endless(&format!("{chunked}0\r\n"), "x: y\r\n", "100 headers");
    endless(&format!("{chunked}0\r\nx: "), "x", "64 kB");
}

/// A right answer to a GET, in any of the forms that there are.
fn right_answer() -> impl Strategy<Value = Vec<u8>> {
    let header = ("[a-zA-Z][a-zA-Z0-9-]{0,12}", "[!-~]([ -~]{0,20}[!-~])?")
        .prop_filter("framing is drawn apart", |(name, _)| {
            !["content-length", "transfer-encoding", "connection"]
                .contains(&name.to_ascii_lowercase().as_str())
        })
        .prop_map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = prop::collection::vec(header, 0..6).prop_map(|lines| lines.concat());
    let body = prop::collection::vec(any::<u8>(), 0..60);
    let bodies = prop_oneof![
        body.clone().prop_map(|body| { (format!("Content-Length: {}\r\n", body.len()), body) }),
        body.clone().prop_map(|body| (String::new(), body)),
        (prop::collection::vec((body, "(;[a-z]{1,5}(=[a-z0-9]{1,5})?)?"), 0..4), "(X-Sum: [a-z]{1,5}\r\n)?")
            .prop_map(|(chunks, trailers)| {
                let mut out = Vec::new();
                for (chunk, extension) in chunks.iter().filter(|(chunk, _)| !chunk.is_empty()) {
                    out.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
                    out.extend(chunk);
                    out.extend(b"\r\n");
                }
                out.extend(format!("0\r\n{trailers}\r\n").into_bytes());
                ("Transfer-Encoding: chunked\r\n".to_owned(), out)
            }),
    ];
    let early = prop_oneof![3 => Just(""), 1 => Just("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")];
    (early, 200u16..600, "[ -~]{0,10}", headers, bodies).prop_map(
        |(early, status, reason, headers, (framing, body))| {
            let status = if status == 204 || status == 304 { 200 } else { status };
            let head = format!("{early}HTTP/1.1 {status} {reason}\r\n{headers}{framing}\r\n");
            [head.into_bytes(), body].concat()
        },
    )
}

/// What hyper makes of the same bytes.
fn hyper_reads(bytes: &[u8]) -> Option<(u16, HeaderMap, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (client, mut app) = tokio::io::duplex(1 << 16);
        let bytes = bytes.to_vec();
        tokio::spawn(async move {
            let mut request = [0; 1024];
            let _ = app.read(&mut request).await;
            let _ = app.write_all(&bytes).await;
        });
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(Request::new(Full::<Bytes>::default())).await.ok()?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some((head.status.as_u16(), head.headers, body.to_vec()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_the_same_however_it_is_split(text in right_answer(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = get(&text).unwrap();
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(read(&bytes, &Method::GET).unwrap(), whole.clone());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        cuts.sort_unstable();
        cuts.push(text.len());
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&text[from..cut]);
            from = cut;
        }
        prop_assert_eq!(read(&pieces, &Method::GET).unwrap(), whole);
    }

    #[test]
    fn a_right_answer_is_read_as_hyper_reads_it(text in right_answer()) {
        let (status, headers, body, _) = get(&text).unwrap();
        prop_assert_eq!(hyper_reads(&text), Some((status, headers, body)));
    }

    #[test]
    fn what_is_not_quite_right_is_never_read_otherwise_than_hyper_reads_it(
        text in right_answer(),
        hurts in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' '), Just(b','), Just(b'0')], 0u8..3), 1..4),
    ) {
        let mut text = text;
        for (place, byte, how) in hurts {
            if text.is_empty() { break; }
            let place = place.index(text.len());
            match how {
                0 => text[place] = byte,
                1 => text.insert(place, byte),
                _ => drop(text.remove(place)),
            }
        }
        if let Ok((status, headers, body, _)) = get(&text) {
            prop_assert_eq!(hyper_reads(&text), Some((status, headers, body)), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn garbage_makes_no_panic(
        begin in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
    ) {
        let mut all = vec![begin.as_bytes()];
        all.extend(pieces.iter().map(Vec::as_slice));
        let _ = read(&all, &Method::GET);
        let _ = read(&all, &Method::HEAD);
    }
}
