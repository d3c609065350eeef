//! Journeys as they are written, against answers as servers send them.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use fissure_facts::fact::ErrorClass;
use fissure_facts::journey::{JourneyStep, Variables, parse};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn step(text: &str) -> JourneyStep {
    let files = |_: &str| Ok(b"\x00\xffpixels".to_vec());
    let mut journey = parse("t.hurl", text, &files).unwrap_or_else(|e| panic!("{e}"));
    journey.steps.remove(0)
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn vars(pairs: serde_json::Value) -> Variables {
    serde_json::from_value(pairs).unwrap()
}

fn now() -> String {
    "2026-01-02T03:04:05Z".to_owned()
}

/// Judges an answer by the lines below `GET {{base}}/`.
fn judged(
    expected: &str,
    status: u16,
    sent: &[(&str, &str)],
    body: &[u8],
    vars: &mut Variables,
) -> Result<(), Problem> {
    let headers = headers(sent);
    let answer =
        Answer::new(status, &headers, body, "http://127.0.0.1:9/done?t=1", Duration::from_millis(12));
    judge(&step(&format!("GET {{{{base}}}}/\n{expected}")), &answer, vars)
}

fn html(expected: &str, body: &str) -> Result<(), Problem> {
    judged(
        expected,
        200,
        &[("content-type", "text/html; charset=utf-8")],
        body.as_bytes(),
        &mut Variables::new(),
    )
}

#[test]
fn a_user_signs_in_with_the_token_of_the_form_and_follows_the_id_of_the_answer() {
    let mut user = vars(json!({ "user": "ann" }));
    let form = "<form><input type=hidden name=\"csrf\" value=\"t0k&amp;n\"></form>";
    judged(
        "HTTP 200\n[Captures]\ncsrf: regex \"name=\\\"csrf\\\" value=\\\"([^\\\"]+)\\\"\" htmlUnescape\nsid: cookie \"sid\"",
        200,
        &[("set-cookie", "sid=s3cr3t; Path=/")],
        form.as_bytes(),
        &mut user,
    )
    .unwrap();
    assert_eq!((&user["csrf"], &user["sid"]), (&json!("t0k&n"), &json!("s3cr3t")));

    let login = step("POST {{base}}/login\n[Form]\nuser: {{user}}\ncsrf: {{csrf}}\nmore: ü +&=");
    let (content_type, body) = body_bytes(&login.body, &user, &mut || 0, &now).unwrap();
    assert_eq!(content_type.unwrap(), "application/x-www-form-urlencoded");
    assert_eq!(body, "user=ann&csrf=t0k%26n&more=%C3%BC%20%2B%26%3D");

    judged(
        "HTTP 201\nLocation: /orders/{{order}}\n[Captures]\norder: jsonpath \"$.order.id\"\n[Asserts]\njsonpath \"$.order.id\" == {{order}}\njsonpath \"$.order.lines[*].n\" count == 2\njsonpath \"$.order.user\" == \"{{user}}\"",
        201,
        &[("location", "/orders/17")],
        br#"{"order":{"id":17,"user":"ann","lines":[{"n":1},{"n":2}]}}"#,
        &mut user,
    )
    .unwrap();
    assert_eq!(target(&step("GET {{base}}/orders/{{order}}"), &user, &mut || 0, &now).unwrap(), "/orders/17");
}

#[test]
fn a_wrong_status_says_where_it_was_sent_but_not_what_the_query_held() {
    let problem =
        judged("HTTP 200", 302, &[("location", "/login?next=/a&token=x")], b"", &mut Variables::new())
            .unwrap_err();
    assert_eq!(problem.class, ErrorClass::Status);
    assert_eq!(problem.sentence, "line 1: expected status 200, got 302 (Location: /login?...)");
    let problem = judged("", 503, &[], b"", &mut Variables::new()).unwrap_err();
    assert_eq!(problem.sentence, "line 1: expected a status below 400, got 503");
    let problem =
        judged("HTTP 201", 400, &[], br#"{"error":"no title"}"#, &mut Variables::new()).unwrap_err();
    assert_eq!(problem.sentence, r#"line 1: expected status 201, got 400 ({"error":"no title"})"#);
    judged("", 302, &[], b"", &mut Variables::new()).unwrap();
    judged("HTTP *", 503, &[], b"", &mut Variables::new()).unwrap();
}

#[test]
fn what_was_not_found_is_told_with_the_beginning_of_the_answer() {
    let problem =
        html("HTTP 200\n[Captures]\na: jsonpath \"$.id\"", r#"{"error":"no","session_token":"s3cr3t"}"#);
    assert_eq!(
        problem.unwrap_err().sentence,
        r#"line 4: jsonpath "$.id" found nothing in {"error":"no","session_token":"***"}"#
    );
    let problem = html("HTTP 200\n[Captures]\na: jsonpath \"$.id\"", "<html>").unwrap_err();
    assert_eq!(problem.class, ErrorClass::Assert);
    assert!(problem.sentence.starts_with("line 4: the body is not JSON ("), "{problem}");
    let problem = html("HTTP 200\n[Asserts]\nbody contains \"Hello\"", "Good bye").unwrap_err();
    assert_eq!(problem.sentence, "line 4: expected body contains \"Hello\", but body is \"Good bye\"");
    let problem = html("HTTP 200\n[Asserts]\nheader \"X-None\" == \"1\"", "").unwrap_err();
    assert_eq!(
        problem.sentence,
        "line 4: expected header \"X-None\" == \"1\", but header \"X-None\" is not in the answer"
    );
    let problem = html("HTTP 200\n[Captures]\na: header \"X-None\" toInt", "").unwrap_err();
    assert!(problem.sentence.contains("its filters have nothing to work on"), "{problem}");
}

/// Lines of `[Asserts]` that hold for one and the same answer.
const TRUE: &str = r#"status == 200
status != 404
status isInteger
header "Content-Type" startsWith "application/json"
header "content-type" endsWith "utf-8"
header "X-Twice" count == 2
header "X-Twice" nth 1 == "b"
header "X-None" not exists
header "X-None" not == "x"
cookie "sid" exists
cookie "sid" == "v"
cookie "sid[HttpOnly]" exists
cookie "sid[Secure]" not exists
cookie "sid[Max-Age]" > 59
body contains "caf\u{e9}"
body matches /"n":\s*3/
bytes count == 109
bytes isCollection
bytes decode "utf-8" contains "café"
url == "http://127.0.0.1:9/done?t=1"
duration < 1000
duration >= 12
jsonpath "$.n" == 3
jsonpath "$.n" == 3.0
jsonpath "$.n" > 2
jsonpath "$.n" <= 3
jsonpath "$.n" not isFloat
jsonpath "$.f" isFloat
jsonpath "$.f" isNumber
jsonpath "$.f" toInt == 1
jsonpath "$.n" toString == "3"
jsonpath "$.n" != "3"
jsonpath "$.none" == null
jsonpath "$.none" exists
jsonpath "$.gone" not exists
jsonpath "$.yes" == true
jsonpath "$.yes" isBoolean
jsonpath "$.list" count == 2
jsonpath "$.list" isCollection
jsonpath "$.list" not isEmpty
jsonpath "$.list[*]" last == "b"
jsonpath "$.empty" isEmpty
jsonpath "$.blank" isEmpty
jsonpath "$.object" isEmpty
jsonpath "$.n" == {{three}}
jsonpath "$.n" >= {{three}}
jsonpath "$.f" < {{three}}
jsonpath "$.list[0]" == "{{letter}}"
jsonpath "$.list[0]" == {{letter}}
jsonpath "$.list" == {{letters}}
variable "letter" isString
variable "nobody" not exists
regex "\"f\":(\\d)" == "1""#;

const BODY: &str = r#"{"n":3,"f":1.5,"none":null,"yes":true,"list":["a","b"],"empty":[],"blank":"","object":{},"word":"café"}     "#;

fn holds(line: &str) -> Result<(), Problem> {
    let sent = [
        ("content-type", "application/json; charset=utf-8"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("set-cookie", "sid=v; Max-Age=60; HttpOnly"),
    ];
    let mut vars = vars(json!({ "three": 3, "letter": "a", "letters": ["a", "b"] }));
    judged(&format!("HTTP 200\n[Asserts]\n{line}"), 200, &sent, BODY.as_bytes(), &mut vars)
}

#[test]
fn every_predicate_can_hold_and_fails_when_it_is_turned_around() {
    assert_eq!(BODY.len(), 109, "the table below counts its bytes");
    for line in TRUE.lines() {
        holds(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let predicates = [
            "not exists",
            "not ==",
            "not isFloat",
            "not isEmpty",
            "exists",
            "==",
            "!=",
            ">=",
            "<=",
            ">",
            "<",
            "isInteger",
            "isFloat",
            "isNumber",
            "isBoolean",
            "isString",
            "isCollection",
            "isEmpty",
            "startsWith",
            "endsWith",
            "contains",
            "matches",
        ];
        let turned = predicates.iter().find_map(|p| {
            let at = line.find(&format!(" {p}"))? + 1;
            let turned = p.strip_prefix("not ").map_or_else(|| format!("not {p}"), str::to_owned);
            Some(format!("{}{turned}{}", &line[..at], &line[at + p.len()..]))
        });
        let turned = turned.unwrap();
        let problem = holds(&turned).expect_err(&turned);
        assert!(
            problem.class == ErrorClass::Assert && problem.sentence.starts_with("line 4: expected "),
            "{problem}"
        );
    }
}

/// As in the language: comparing what cannot be compared is wrong with and without `not`.
#[test]
fn kinds_that_do_not_fit_fail_even_with_not() {
    for line in [
        "jsonpath \"$.n\" contains \"3\"",
        "jsonpath \"$.word\" > 1",
        "jsonpath \"$.n\" > {{letter}}",
        "status isEmpty",
        "jsonpath \"$.list\" matches /a/",
    ] {
        assert!(holds(line).is_err(), "{line}");
        let (subject, predicate) = line.split_at(
            line.rfind(" isEmpty")
                .or(line.find(" contains"))
                .or(line.find(" >"))
                .or(line.find(" matches"))
                .unwrap(),
        );
        assert!(holds(&format!("{subject} not{predicate}")).is_err(), "{line}");
    }
}

#[test]
fn no_cookie_token_or_variable_reaches_a_sentence() {
    let mut user = vars(json!({ "mine": "s3cr3t" }));
    let sent = [("set-cookie", "sid=s3cr3t"), ("authorization", "s3cr3t"), ("x-csrf-token", "s3cr3t")];
    let body = br#"{"token":"s3cr3t","a":"b"}"#;
    for lines in [
        "[Asserts]\ncookie \"sid\" == \"x\"",
        "[Asserts]\ncookie \"sid\" not exists",
        "[Asserts]\nheader \"Set-Cookie\" == \"x\"",
        "[Asserts]\nheader \"X-CSRF-Token\" == \"x\"",
        "[Asserts]\nvariable \"mine\" == \"x\"",
        "[Asserts]\njsonpath \"$.token\" == \"x\"",
        "[Asserts]\nregex /token\":\"([^\"]+)/ == \"x\"",
        "[Asserts]\nbody == \"{{mine}}\"",
        "[Asserts]\nbody contains \"nothing\"",
        "[Asserts]\njsonpath \"$.none\" == \"{{mine}}\"",
        "Authorization: x",
        "Set-Cookie: {{mine}}",
        "X-None: {{mine}}",
    ] {
        let problem = judged(&format!("HTTP 200\n{lines}"), 200, &sent, body, &mut user).unwrap_err();
        assert!(!problem.sentence.contains("s3cr3t"), "{problem}");
    }
}

fn packed(encoding: &str, body: &[u8]) -> Vec<u8> {
    fn write<W: Write>(mut to: W, body: &[u8]) -> W {
        to.write_all(body).unwrap();
        to
    }
    match encoding {
        "gzip" => write(GzEncoder::new(Vec::new(), Compression::best()), body).finish().unwrap(),
        "deflate" => write(ZlibEncoder::new(Vec::new(), Compression::best()), body).finish().unwrap(),
        _ => write(DeflateEncoder::new(Vec::new(), Compression::best()), body).finish().unwrap(),
    }
}

#[test]
fn compressed_answers_are_read() {
    let body = r#"{"word":"café"}"#.as_bytes();
    let expected = "HTTP 200\n[Asserts]\njsonpath \"$.word\" == \"café\"\nbytes count == 16";
    for (encoding, bytes) in [
        ("gzip", packed("gzip", body)),
        ("x-gzip", packed("gzip", body)),
        ("GZIP", packed("gzip", body)),
        ("deflate", packed("deflate", body)),
        ("deflate", packed("raw", body)),
        ("identity", body.to_vec()),
        ("deflate, gzip", packed("gzip", &packed("deflate", body))),
        ("gzip", [packed("gzip", &body[..5]), packed("gzip", &body[5..])].concat()),
    ] {
        judged(expected, 200, &[("content-encoding", encoding)], &bytes, &mut Variables::new())
            .unwrap_or_else(|e| panic!("{encoding}: {e}"));
    }
}

#[test]
fn a_compression_bomb_and_broken_compression_are_problems_and_not_memory() {
    let bomb = packed("gzip", &vec![b' '; (64 << 20) + 1]);
    assert!(bomb.len() < 1 << 20);
    let say = |encoding: &str, body: &[u8]| {
        judged(
            "HTTP 200\n[Asserts]\nbody exists",
            200,
            &[("content-encoding", encoding)],
            body,
            &mut Variables::new(),
        )
        .unwrap_err()
        .sentence
    };
    assert_eq!(say("gzip", &bomb), "line 4: the gzip body unpacks to more than 64 MB");
    assert!(say("gzip", b"not gzip").contains("is not right gzip"));
    assert!(say("gzip", &packed("gzip", BODY.as_bytes())[..40]).contains("is not right gzip"));
    assert!(say("br", b"x").contains("encoded as `br`"));
}

#[test]
fn text_is_read_in_its_own_character_set() {
    let read = |content_type: &str, body: &[u8]| {
        let sent = [("content-type", content_type)];
        judged("HTTP 200\n[Asserts]\nbody == \"café\"", 200, &sent, body, &mut Variables::new())
    };
    read("text/plain", "café".as_bytes()).unwrap();
    read("text/plain; charset=\"UTF-8\"", "café".as_bytes()).unwrap();
    read("text/html; charset=ISO-8859-1", b"caf\xe9").unwrap();
    assert!(read("text/plain", b"caf\xe9").unwrap_err().sentence.contains("not UTF-8 text (byte 4)"));
    assert!(read("text/plain; charset=koi8-r", b"cafe").unwrap_err().sentence.contains("`koi8-r`"));
}

#[test]
fn a_body_that_nobody_looks_at_is_not_needed() {
    let needs = |lines: &str| needs_body(&step(&format!("GET {{{{base}}}}/\nHTTP 200\n{lines}")));
    assert!(!needs(""));
    assert!(!needs(
        "X: y\n[Captures]\na: header \"X\"\nb: cookie \"c\"\n[Asserts]\nstatus == 200\nurl exists\nduration < 1"
    ));
    for query in ["body", "bytes", "jsonpath \"$.a\"", "regex /(a)/"] {
        assert!(needs(&format!("[Asserts]\n{query} exists")), "{query}");
    }
    assert!(needs("[Captures]\na: body"));
}

#[test]
fn a_link_out_of_an_answer_is_followed() {
    let at = |text: &str, link: &str| {
        let user = Variables::from([("link".to_owned(), json!(link))]);
        target(&step(text), &user, &mut || 0, &String::new).unwrap()
    };
    assert_eq!(at("GET {{base}}{{link}}", "/posts/7?a=b#c"), "/posts/7?a=b");
    assert_eq!(at("GET {{base}}{{link}}/edit", "/posts/7"), "/posts/7/edit");
    assert_eq!(at("GET {{link}}", "http://127.0.0.1:9000/posts/7"), "/posts/7");
    assert_eq!(at("GET {{link}}", "https://shop.example"), "/");
    assert_eq!(at("GET {{link}} # the new one", "posts/7"), "/posts/7");
}

#[test]
fn a_target_is_legal_and_keeps_what_is_encoded_already() {
    let user = vars(json!({ "q": "a b/ü?&", "id": 7 }));
    let at = |text: &str| target(&step(text), &user, &mut || 0, &now).unwrap();
    assert_eq!(at("GET {{base}}"), "/");
    assert_eq!(at("GET {{base}}?x=1\n[Query]\ny: a b"), "/?x=1&y=a%20b");
    assert_eq!(
        at("GET {{base}}/a%20b/{{id}}\n[Query]\nq: {{q}}\nempty:"),
        "/a%20b/7?q=a%20b%2F%C3%BC%3F%26&empty="
    );
    assert_eq!(at("GET {{base}}/ü/{{q}}"), "/%C3%BC/a%20b/%C3%BC?&");
    assert_eq!(at("GET {{base}}/x?"), "/x?");
    assert_eq!(at("GET {{base}}/x?\n[Query]\nfilter[a]: 1"), "/x?filter[a]=1");
}

#[test]
fn json_bodies_escape_values_inside_strings_and_refuse_text_as_a_value() {
    let user = vars(json!({ "say": "\"hi\"\n\\", "n": 3, "digits": "4", "list": [1], "ok": true }));
    let body = |text: &str| {
        let step = step(&format!("POST {{{{base}}}}/\n{text}"));
        body_bytes(&step.body, &user, &mut || 0, &now)
    };
    let (content_type, bytes) =
        body("{\"a\": \"{{say}}{{n}}\", \"b\": [{{n}}, {{digits}}, {{ok}}]}").unwrap();
    assert_eq!(content_type.unwrap(), "application/json");
    let sent: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(sent, json!({ "a": "\"hi\"\n\\3", "b": [3, 4, true] }));
    assert!(body("{\"a\": {{say}}}").unwrap_err().to_string().contains("put quotes around it"));
    assert!(body("{\"a\": {{list}}}").unwrap_err().to_string().contains("a list or an object"));
    assert_eq!(body("{\"a\": {{nobody}}}").unwrap_err().name, "nobody");
    assert_eq!(body("`raw {{say}}`").unwrap(), (None, Bytes::from("raw \"hi\"\n\\")));
    assert_eq!(body("hex,00ff;").unwrap(), (None, Bytes::from_static(b"\x00\xff")));
}

#[test]
fn a_multipart_body_frames_its_parts_by_the_boundary_it_names() {
    let step = step("POST {{base}}/\n[Multipart]\ntitle: my {{t}}\nfile: file,a.png;");
    let (content_type, body) = body_bytes(&step.body, &vars(json!({ "t": "cat" })), &mut || 5, &now).unwrap();
    let content_type = content_type.unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = [
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nmy cat\r\n")
            .as_bytes(),
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n")
            .as_bytes(),
        b"Content-Type: image/png\r\n\r\n\x00\xffpixels\r\n",
        format!("--{boundary}--\r\n").as_bytes(),
    ]
    .concat();
    assert_eq!(body, expected);
}

/// A journey by somebody who knew hurl was told to be wrong: `--variable leaf=38` is a number there, and in a table of users it is text.
#[test]
fn a_number_in_a_table_of_users_equals_the_same_number_in_an_answer() {
    let mut user = vars(json!({ "leaf": "38", "code": "038", "name": "Ada" }));
    let mut is_right = |assert: &str, body: &str| {
        judged(&format!("HTTP 200\n[Asserts]\n{assert}"), 200, &[], body.as_bytes(), &mut user).is_ok()
    };
    assert!(is_right("jsonpath \"$.leaf\" == {{leaf}}", r#"{"leaf": 38}"#));
    assert!(is_right("jsonpath \"$.leaf\" == {{leaf}}", r#"{"leaf": "38"}"#));
    assert!(is_right("jsonpath \"$.leaf\" >= {{leaf}}", r#"{"leaf": 39}"#));
    assert!(is_right("jsonpath \"$.code\" == {{code}}", r#"{"code": "038"}"#));
    assert!(!is_right("jsonpath \"$.code\" == {{code}}", r#"{"code": "38"}"#), "texts are compared as texts");
    assert!(!is_right("jsonpath \"$.leaf\" == {{name}}", r#"{"leaf": 38}"#));
    assert!(!is_right("jsonpath \"$.leaf\" == {{leaf}}", r#"{"leaf": 37}"#));
}

#[test]
fn options_set_variables_with_their_kind_before_the_request() {
    let step = step(
        "GET {{base}}/\n[Options]\nvariable: n=3\nvariable: text=\"3\"\nvariable: on=true\nvariable: key={{newUuid}}\nvariable: both={{text}}-{{n}}",
    );
    let mut user = Variables::new();
    set_variables(&step, &mut user, &mut || 0, &now).unwrap();
    let expected = json!({ "n": 3, "text": "3", "on": true, "both": "3-3", "key": "00000000-0000-4000-8000-000000000000" });
    assert_eq!(serde_json::to_value(&user).unwrap(), expected);
}

proptest! {
    /// What a server sends is never trusted: whatever it is, judging comes back.
    #[test]
    fn no_answer_panics(
        status in 100u16..600,
        body in prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), "\\PC{0,80}".prop_map(String::into_bytes)],
        encoding in prop_oneof![Just(""), Just("gzip"), Just("deflate"), Just("br")],
        cookie in "[ -~]{0,30}",
    ) {
        let sent = [("content-encoding", encoding), ("set-cookie", cookie.as_str())];
        for expected in [
            "HTTP *\n[Asserts]\nbody contains \"a\"",
            "HTTP *\n[Asserts]\nbytes base64Encode urlDecode htmlUnescape exists",
            "HTTP *\n[Captures]\na: cookie \"a[Max-Age]\"",
            "HTTP *\n[Captures]\na: regex /(.)/\nb: jsonpath \"$..a\"",
        ] {
            if let Err(problem) = judged(expected, status, &sent, &body, &mut Variables::new()) {
                prop_assert!(problem.sentence.starts_with("line "), "{}", problem);
            }
        }
    }

    /// A form that a browser's rules take apart again gives the same fields.
    #[test]
    fn form_fields_survive_their_encoding(value in "\\PC{0,40}") {
        let step = step("POST {{base}}/\n[Form]\na: {{v}}");
        let (_, body) = body_bytes(&step.body, &vars(json!({ "v": value })), &mut || 0, &now).unwrap();
        let body = std::str::from_utf8(&body).unwrap();
        prop_assert!(body.bytes().all(|b| b.is_ascii_graphic()));
        let problem = judged("HTTP 200\n[Asserts]\nbody urlDecode == {{expected}}", 200, &[], body.as_bytes(),
            &mut vars(json!({ "expected": format!("a={value}") })));
        prop_assert_eq!(problem, Ok(()));
    }
}
