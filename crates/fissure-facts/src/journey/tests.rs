//! The language: a table of what is read, a table of what is refused and where, and texts that nobody would write.

use std::io;

use proptest::prelude::*;

use super::*;

fn files(name: &str) -> io::Result<Vec<u8>> {
    match name {
        "photo.jpg" | "img/a photo.png" | "cat.jpg" => Ok(b"\xff\xd8pixels".to_vec()),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
    }
}

fn read(text: &str) -> Journey {
    parse("journeys/t.hurl", text, &files).unwrap_or_else(|e| panic!("{e}"))
}

fn only(text: &str) -> JourneyStep {
    let mut steps = read(text).steps;
    assert_eq!(steps.len(), 1, "{text}");
    steps.remove(0)
}

fn variable(name: &str) -> Template {
    Template(vec![Piece::Variable(name.to_owned())])
}

const LOGIN_AND_WRITE: &str = r#"# A user signs in, uploads a photo and orders a print.
GET {{base}}/login   # the form has a token
HTTP 200
[Captures]
csrf: regex "name=\"csrf\" value=\"([^\"]+)\""
seen: cookie "visit[Max-Age]"

POST {{base}}/login
Accept: text/html
[Form]
user: {{user}}
password: p4ss \# word   # a comment
csrf: {{csrf}}
[Options]
delay: 2s
location: true
HTTP/1.1 200
Content-Type: text/html; charset=utf-8
[Asserts]
body contains "Hello, {{user}}"
cookie "sid[HttpOnly]" exists
duration < 5000

POST {{base}}/photos
X-Csrf: {{csrf}}
[Multipart]
title: my \u{e9}tude
file: file,photo.jpg;
other: file,img/a\ photo.png; image/x-png
[Options]
variable: size=12
variable: note="12"
variable: day={{newDate}}
delay: 250
HTTP 201
[Captures]
photo: jsonpath "$.photo.id"
last: jsonpath "$.photos[*].id" last toString

POST {{base}}/orders?from={{photo}}&x=1
[Query]
q: a b&c
[Cookies]
theme: dark
[BasicAuth]
{{user}}: secret:with:colons
{
  "photo": {{photo}},
  "note": "for {{user}} \"now\"\u00e9",
  "key": "{{newUuid}}", "sizes": [1, -2.5e3, true, null, []]
}
HTTP *
[Asserts]
status >= 200
status != 500
jsonpath "$.order.id" not == {{photo}}
jsonpath "$.order.state" == `paid`
jsonpath "$.lines" count == 3
jsonpath "$.total" isFloat
header "Location" matches /^\/orders\/\d+$/
header "Location" regex "(\\d+)$" toInt > -1
bytes count > 10
bytes base64Encode startsWith "AA"
url endsWith "/done"
variable "csrf" isString
jsonpath "$.gone" not exists
body htmlUnescape replace "a" "b" replaceRegex /\s+/ " " split "," nth 0 isEmpty

GET {{base}}/photos/{{photo}}/thumb
"#;

#[test]
fn a_whole_journey_is_read() {
    let journey = read(LOGIN_AND_WRITE);
    let routes: Vec<String> = journey.steps.iter().map(|s| s.route.to_string()).collect();
    assert_eq!(
        routes,
        ["GET /login", "POST /login", "POST /photos", "POST /orders", "GET /photos/{photo}/thumb"]
    );
    let lines: Vec<u32> = journey.steps.iter().map(|s| s.line).collect();
    assert_eq!(lines, [2, 8, 24, 40, 69]);

    let [form, login, upload, order, thumb] = <[JourneyStep; 5]>::try_from(journey.steps).unwrap();
    assert_eq!(form.status, ExpectedStatus::Exactly(200));
    assert_eq!(form.captures[0].name, "csrf");
    assert_eq!(form.captures[0].line, 5);
    assert!(
        matches!(&form.captures[0].query, Query::Regex(r) if r.as_str() == "name=\"csrf\" value=\"([^\"]+)\"")
    );
    assert!(
        matches!(&form.captures[1].query, Query::Cookie { name, attribute: Some(a) } if name == "visit" && a == "Max-Age")
    );

    assert_eq!(login.think, std::time::Duration::from_secs(2));
    assert!(login.follow_redirects);
    assert_eq!(login.headers, [("Accept".to_owned(), Template::text("text/html"))]);
    let Body::Form(fields) = &login.body else { panic!("{:?}", login.body) };
    assert_eq!(fields[0], ("user".to_owned(), variable("user")));
    assert_eq!(fields[1], ("password".to_owned(), Template::text("p4ss # word")));
    assert_eq!(
        login.expected_headers,
        [("Content-Type".to_owned(), Template::text("text/html; charset=utf-8"))]
    );
    assert_eq!(login.asserts.iter().map(|a| a.line).collect::<Vec<_>>(), [20, 21, 22]);
    let Predicate::Contains(text) = &login.asserts[0].predicate else { panic!("{:?}", login.asserts) };
    assert_eq!(text.0, [Piece::Text("Hello, ".into()), Piece::Variable("user".into())]);

    let Body::Multipart(parts) = &upload.body else { panic!("{:?}", upload.body) };
    assert!(matches!(&parts[0].content, PartContent::Text(t) if *t == Template::text("my étude")));
    let PartContent::File { file_name, content_type, bytes } = &parts[1].content else { panic!("{parts:?}") };
    assert_eq!((file_name.as_str(), content_type.as_str(), bytes.len()), ("photo.jpg", "image/jpeg", 8));
    let PartContent::File { file_name, content_type, .. } = &parts[2].content else { panic!("{parts:?}") };
    assert_eq!((file_name.as_str(), content_type.as_str()), ("a photo.png", "image/x-png"));
    assert_eq!(upload.variables[0], ("size".to_owned(), Template(vec![Piece::Literal(12.into())])));
    assert_eq!(upload.variables[1], ("note".to_owned(), Template::text("12")));
    assert_eq!(upload.variables[2], ("day".to_owned(), Template(vec![Piece::NewDate])));
    assert_eq!(upload.think, std::time::Duration::from_millis(250));
    assert!(matches!(upload.captures[1].filters[..], [Filter::Last, Filter::ToString]));

    assert_eq!(order.status, ExpectedStatus::Any);
    assert_eq!(order.query, [("q".to_owned(), Template::text("a b&c"))]);
    assert_eq!(order.cookies, [("theme".to_owned(), Template::text("dark"))]);
    assert_eq!(order.basic_auth, Some((variable("user"), Template::text("secret:with:colons"))));
    let Body::Text { content_type: Some("application/json"), text } = &order.body else {
        panic!("{:?}", order.body)
    };
    assert!(
        text.0.contains(&Piece::JsonValue("photo".into()))
            && text.0.contains(&Piece::JsonString("user".into()))
    );
    assert!(text.0.contains(&Piece::NewUuid));
    assert_eq!(text.0[0], Piece::Text("{\n  \"photo\": ".into()));
    assert_eq!(order.asserts.len(), 14);
    assert!(
        order.asserts[2].not
            && matches!(&order.asserts[2].predicate, Predicate::Equals(Operand::Variable(_)))
    );
    assert!(matches!(&order.asserts[6].predicate, Predicate::Matches(r) if r.as_str() == "^/orders/\\d+$"));
    assert!(matches!(order.asserts[7].predicate, Predicate::Greater(Operand::Number(n)) if n == -1.0));
    assert_eq!(order.asserts[13].filters.len(), 5);

    assert_eq!(thumb.status, ExpectedStatus::Unsaid);
    assert!(matches!(thumb.body, Body::None));
}

#[test]
fn every_kind_of_body_is_read() {
    let text_of = |body: &str| match only(&format!("POST {{{{base}}}}/\n{body}\n")).body {
        Body::Text { content_type, text } => (content_type.unwrap_or("-"), text),
        other => panic!("{body}: {other:?}"),
    };
    let json = "application/json";
    assert_eq!(text_of("`one \\u{20ac} line` # comment"), ("-", Template::text("one € line")));
    assert_eq!(text_of("```\na # b \\n\n```"), ("-", Template::text("a # b \\n\n")));
    assert_eq!(
        text_of("```json\n{{x}}\n```"),
        (json, Template(vec![Piece::Variable("x".into()), Piece::Text("\n".into())]))
    );
    assert_eq!(text_of("```xml\r\n<a/>\r\n```"), ("application/xml", Template::text("<a/>\r\n")));
    assert_eq!(text_of("```inline```"), ("-", Template::text("inline")));
    assert_eq!(text_of("``````"), ("-", Template::default()));
    assert_eq!(text_of("[]"), (json, Template::text("[]")));
    assert_eq!(text_of("[ {\"a\" : [ ] } ,\n{} ]"), (json, Template::text("[ {\"a\" : [ ] } ,\n{} ]")));
    assert_eq!(text_of("\"text\""), (json, Template::text("\"text\"")));
    assert_eq!(text_of("{{x}}"), (json, Template(vec![Piece::JsonValue("x".into())])));
    assert_eq!(text_of("-12.5e-3"), (json, Template::text("-12.5e-3")));
    assert_eq!(text_of("null"), (json, Template::text("null")));

    let bytes_of = |body: &str| match only(&format!("PUT {{{{base}}}}/\n{body}")).body {
        Body::Bytes(bytes) => bytes,
        other => panic!("{body}: {other:?}"),
    };
    assert_eq!(bytes_of("base64, aGVs\n bG8= ;"), b"hello");
    assert_eq!(bytes_of("hex,C0ffEE;"), [0xc0, 0xff, 0xee]);
    assert_eq!(bytes_of("file,photo.jpg ; # bytes"), b"\xff\xd8pixels");
}

#[test]
fn line_ends_of_windows_comments_and_indents_change_nothing() {
    let plain = format!("{:?}", read(LOGIN_AND_WRITE).steps);
    // The JSON body is sent as it is written, so only its line ends may differ.
    let same = |text: &str| assert_eq!(format!("{:?}", read(text).steps).replace("\\r\\n", "\\n"), plain);
    same(&LOGIN_AND_WRITE.replace('\n', "\r\n"));
    same(&format!("\u{feff}{LOGIN_AND_WRITE}"));
    same(LOGIN_AND_WRITE.trim_end());
    same(&LOGIN_AND_WRITE.replace("\nuser: ", "\n \t user : ").replace("[Form]", " [FormParams]  # now\t"));
}

#[test]
fn options_that_ask_for_what_is_done_anyway_are_taken() {
    let step =
        only("GET {{base}}/\n[Options]\nverbose: true\ninsecure: true\ncompressed: true\nipv4: false\n");
    assert_eq!(step.headers, [("Accept-Encoding".to_owned(), Template::text("gzip, deflate"))]);
    assert!(!step.follow_redirects);
}

/// A text with its mistake, the place of the mistake, and a part of what is said about it.
#[rustfmt::skip]
const MISTAKES: &[(&str, u32, u32, &str)] = &[
    ("", 1, 1, "has no request"),
    ("# only a comment\n", 1, 1, "has no request"),
    ("get {{base}}/", 1, 1, "expected a request like `GET {{base}}/`, found `get`"),
    ("CONNECT {{base}}/", 1, 1, "for proxies"),
    ("GET http://127.0.0.1:80/", 1, 5, "begins with `{{base}}`"),
    ("GET https://example.org/", 1, 5, "sends load nowhere else"),
    ("GET {{host}}/", 1, 5, "begins with `{{base}}`"),
    ("GET {{base}}x", 1, 13, "expected `/`, or a link"),
    ("GET {{base}}/a b", 1, 16, "expected the end of the line, found `b`"),
    ("GET {{base}}/a|b", 1, 15, "`|` may not stand in a URL"),
    ("GET {{base}}/a/../b", 1, 13, "`..`"),
    ("GET {{base}}/{{}}", 1, 16, "expected the name of a variable"),
    ("GET {{base}}/{{a b}}", 1, 17, "only a name may stand between"),
    ("GET {{base}}/{{getEnv \"HOME\"}}", 1, 16, "`getEnv` is not supported"),
    ("GET {{base}}/{{a", 1, 17, "expected `}}`"),
    ("GET {{base}}/\nContent Type: x", 2, 1, "found `Content`"),
    ("GET {{base}}/\n{{x}}: y", 2, 1, "variables in the name of a header"),
    ("GET {{base}}/\nA: a\tb", 2, 5, "write `\\t`"),
    ("GET {{base}}/\nA: \\q", 2, 4, "a backslash stands for nothing"),
    ("GET {{base}}/\nA: \\u{d800}", 2, 4, "this is not a character"),
    ("GET {{base}}/\n[Forms]\na: b", 2, 1, "`[Forms]` is not a section of a request"),
    ("GET {{base}}/\n[Asserts]\nstatus == 200", 2, 1, "put a line `HTTP 200` before it"),
    ("GET {{base}}/\nHTTP 200\n[Options]\ndelay: 1s", 3, 1, "belongs to a request"),
    ("GET {{base}}/\nHTTP 200\n[Magic]", 3, 1, "is not a section of an answer"),
    ("GET {{base}}/\n[Query]\na: b\n[QueryStringParams]\nc: d", 4, 1, "for the second time"),
    ("GET {{base}}/\n[Form]\na: b\n[Multipart]\nc: d", 4, 1, "not both"),
    ("GET {{base}}/\n[Form]\na: b\n{}", 4, 1, "either a form or a body"),
    ("GET {{base}}/\n{}\n[Form]\na: b", 3, 1, "sections come before the body"),
    ("GET {{base}}/\n[BasicAuth]\n", 2, 1, "needs one line"),
    ("GET {{base}}/\n[BasicAuth]\na: b\nc: d", 4, 1, "only one line"),
    ("GET {{base}}/\n[Options]\nretry: 3", 3, 1, "`retry` is not supported: a retry would hide an error"),
    ("GET {{base}}/\n[Options]\nmax-time: 3s", 3, 1, "set `timeout` in [users]"),
    ("GET {{base}}/\n[Options]\nproxy: localhost:8", 3, 1, "`proxy` is not supported"),
    ("GET {{base}}/\n[Options]\ndelay: soon", 3, 8, "expected a time like `500ms` or `2s`, found `soon`"),
    ("GET {{base}}/\n[Options]\ndelay: 99999999999999999999h", 3, 8, "expected a time"),
    ("GET {{base}}/\n[Options]\ndelay: 2s later", 3, 11, "expected the end of the line, found `later`"),
    ("GET {{base}}/\n[Options]\nlocation: {{x}}", 3, 11, "expected `true` or `false`"),
    ("GET {{base}}/\n[Options]\nvariable: =1", 3, 11, "expected `name=value`"),
    ("GET {{base}}/\n[Options]\nvariable: base=http://elsewhere", 3, 11, "`base` is the app's address"),
    ("GET {{base}}/\n[Multipart]\na: file,gone.jpg;", 3, 9, "the file `gone.jpg` cannot be read (no such file)"),
    ("GET {{base}}/\n[Multipart]\na: file,../photo.jpg;", 3, 9, "outside the journey's folder"),
    ("GET {{base}}/\n[Multipart]\na: file,/etc/passwd;", 3, 9, "outside the journey's folder"),
    ("GET {{base}}/\n[Multipart]\na: file,photo.jpg", 3, 18, "expected `;`"),
    ("GET {{base}}/\n[Multipart]\na: file,{{x}}.jpg;", 3, 9, "variables in the name of a file"),
    ("POST {{base}}/\nfile,a b;", 2, 7, "write `\\ `"),
    ("POST {{base}}/\nhex,abc;", 2, 1, "two digits"),
    ("POST {{base}}/\nbase64,a;", 2, 1, "not base64"),
    ("POST {{base}}/\nbase64,aGVsbG8=", 2, 1, "expected `;`"),
    ("POST {{base}}/\n`open", 2, 6, "no closing"),
    ("POST {{base}}/\n```\nopen", 3, 5, "no closing ```"),
    ("POST {{base}}/\n```graphql\n{ a }\n```", 2, 1, "a GraphQL body is not supported"),
    ("POST {{base}}/\n```csv\na\n```", 2, 1, "`csv` after ``` is not supported"),
    ("POST {{base}}/\n<a/>", 2, 1, "a bare XML body is not supported"),
    ("POST {{base}}/\n{\"a\": 1,}", 2, 8, "no comma behind the last element"),
    ("POST {{base}}/\n{\"a\" 1}", 2, 6, "expected `:`"),
    ("POST {{base}}/\n{a: 1}", 2, 2, "expected a name in quotes"),
    ("POST {{base}}/\n{\"a\": yes}", 2, 7, "`yes` is not a JSON value"),
    ("POST {{base}}/\n[01]", 2, 2, "`01` is not a JSON value"),
    ("POST {{base}}/\n[1", 2, 3, "expected `]`"),
    ("POST {{base}}/\n[\"a]", 2, 5, "no closing `\"`"),
    ("POST {{base}}/\n[\"\\x\"]", 2, 3, "not an escape of JSON"),
    ("POST {{base}}/\n{\"a\": {{newUuid}}}", 2, 7, "put quotes around it"),
    ("POST {{base}}/\n{} x", 2, 4, "expected the end of the line"),
    ("GET {{base}}/\nHTTP/3 200", 2, 1, "the crowd speaks HTTP/1.1 and HTTP/2"),
    ("GET {{base}}/\nHTTP/* 200", 2, 1, "so write `HTTP`"),
    ("GET {{base}}/\nHTTP", 2, 5, "expected a status like `HTTP 200`"),
    ("GET {{base}}/\nHTTP 20", 2, 6, "three digits"),
    ("GET {{base}}/\nHTTP 2OO", 2, 6, "three digits"),
    ("GET {{base}}/\nHTTP 200\n{\"a\": 1}", 3, 1, "an expected answer body is not supported"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na: jsonpath \"$.user-id\"", 4, 13, "`$['user-id']`"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na: jsonpath \"$.{{x}}\"", 4, 13, "variables are not supported in the string after `jsonpath`"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na: regex \"abc\"", 4, 10, "put parentheses around"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na: regex /(a/", 4, 10, "unclosed group"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na: regex \"(\\d)\"", 4, 12, "write `\\\\`"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na: bytes", 4, 4, "add the filter `decode"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\nbase: body", 4, 1, "cannot be changed"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\nnewUuid: body", 4, 1, "is a function"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na.b: body", 4, 1, "only letters, digits"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na: body == 1", 4, 9, "`==` is not supported at the end of a capture"),
    ("GET {{base}}/\nHTTP 200\n[Captures]\na: cookie \"a[Expires]\"", 4, 11, "attribute `Expires` is not supported"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nstatus", 4, 7, "expected a predicate"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nstatus is 200", 4, 8, "expected a predicate like `== 200`"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nstatus == 200 now", 4, 15, "`now` is not supported at the end of an assert"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nstatus == ok", 4, 11, "expected a string, number"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nbody == {{newUuid}}", 4, 9, "a fresh value cannot be in an answer"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nbody contains \"{{newDate}}\"", 4, 15, "a fresh value"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nbody == \"open", 4, 14, "no closing `\"`"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nstatus > \"1\"", 4, 10, "expected a number or a variable after `>`"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nheader Location exists", 4, 8, "expected a string in quotes after `header`, found `Location`"),
    ("GET {{base}}/\nHTTP 200\n[Asserts]\nfoo == 1", 4, 1, "expected a query"),
];

#[test]
fn every_mistake_is_told_with_its_place() {
    let mut untold = Vec::new();
    for (text, line, column, part) in MISTAKES {
        let Err(error) = parse("journeys/t.hurl", text, &files) else { panic!("accepted: {text}") };
        if (error.line, error.column) != (*line, *column) || !error.message.contains(part) {
            untold.push(format!("{error}\nwanted {line}:{column}: {part}\n"));
        }
    }
    assert!(untold.is_empty(), "{}", untold.join("\n"));
}

/// What the real language has and fissure does not: each is named, none is skipped.
#[test]
fn unsupported_features_are_errors_that_name_them_and_an_alternative() {
    for (line, name, alternative) in [
        ("xpath \"//a/following::b\" exists", "this XPath is not supported", "regex"),
        ("certificate \"Subject\" exists", "`certificate` is not supported", "every certificate is taken"),
        ("sha256 == hex,00;", "`sha256` is not supported", "bytes count"),
        ("md5 == hex,00;", "`md5` is not supported", "body contains"),
        ("version == \"1.1\"", "`version` is not supported", ""),
        ("ip == \"127.0.0.1\"", "`ip` is not supported", ""),
        ("redirects count == 1", "`redirects` is not supported", ""),
        ("body xpath \"//a\" exists", "filter `xpath` is not supported", "`regex`"),
        ("body toDate \"%Y\" exists", "filter `toDate` is not supported", "`matches`"),
        ("header \"Date\" daysAfterNow > 1", "filter `daysAfterNow` is not supported", "`regex`"),
        ("body toHex == \"00\"", "filter `toHex` is not supported", ""),
        ("bytes decode \"gb2312\" == \"a\"", "`gb2312` is not supported", "utf-8"),
        ("body replace /a/ \"b\" == \"b\"", "`replace` takes text", "`replaceRegex`"),
        ("status equals 200", "`equals` is the old way", "=="),
        ("status greaterThan 200", "`greaterThan` is the old way", ">"),
        ("jsonpath \"$.a\" includes 1", "`includes` is not supported", "count > 0"),
        ("body isIsoDate", "`isIsoDate` is not supported", "`matches`"),
        ("bytes == hex,00;", "other values are not supported", ""),
        ("bytes == \"a\"", "bytes are compared with bytes only", "`count`"),
        ("bytes startsWith hex,00;", "expected a string in quotes", ""),
        ("body == file,a.txt;", "other values are not supported", ""),
        ("body == ```a```", "``` is not supported in an assert", "quotes"),
    ] {
        let text = format!("GET {{{{base}}}}/\nHTTP 200\n[Asserts]\n{line}\n");
        let Err(error) = parse("t.hurl", &text, &files) else { panic!("accepted: {line}") };
        assert_eq!(error.line, 4, "{error}");
        assert!(error.message.contains(name) && error.message.contains(alternative), "{error}");
    }
}

#[test]
fn an_error_points_into_its_line() {
    let text = "GET {{base}}/\nHTTP 200\n[Asserts]\n\tmd5 == hex,00;\n";
    let error = parse("journeys/buy.hurl", text, &files).unwrap_err().to_string();
    let (first, picture) = error.split_once('\n').unwrap();
    assert!(first.starts_with("journeys/buy.hurl:4:2: `md5` is not supported: "), "{error}");
    assert_eq!(picture, "  |\n4 | \tmd5 == hex,00;\n  | \t^");
}

#[test]
fn what_varies_in_a_path_becomes_a_parameter() {
    for (path, template) in [
        ("", "/"),
        ("?page=2", "/"),
        ("/photos/{{photo}}/thumb?w=1", "/photos/{photo}/thumb"),
        ("/photos/photo-{{id}}.jpg", "/photos/photo-{id}.jpg"),
        ("/photos/17", "/photos/{id}"),
        ("{{link}}", "/{link}"),
        ("{{link}}/edit", "/{link}/edit"),
        ("{{link}}?page=2", "/{link}"),
        ("{{link}}&digest=1", "/{link}"),
        ("/photos/17.jpg", "/photos/17.jpg"),
        ("/v2/users", "/v2/users"),
        ("/k/123e4567-e89b-12d3-a456-426614174000", "/k/{uuid}"),
        ("/k/{{newUuid}}", "/k/{uuid}"),
        ("/k/d41d8cd98f00b204e980", "/k/{token}"),
        ("/k/dGhpcy1pcy1-YS10b2tl_bg0", "/k/{token}"),
        ("/blog/how-we-moved-house-in-2024", "/blog/how-we-moved-house-in-2024"),
        ("/internationalization", "/internationalization"),
        ("/a//b/", "/a//b/"),
        ("/search?next=/photos/1", "/search"),
    ] {
        assert_eq!(only(&format!("GET {{{{base}}}}{path}")).route.template(), template, "{path}");
    }
    assert_eq!(only("PUT {{link}}&part=2").route.template(), "/{link}");
    assert_eq!(only("GET {{link}}").route.template(), "/{link}");
}

#[test]
fn the_first_spelling_of_a_route_wins_in_all_journeys() {
    let mut journeys =
        [read("GET {{base}}/a/{{one}}\nGET {{base}}/a/7\nPOST {{base}}/a/7"), read("GET {{base}}/a/{{two}}")];
    unify_routes(&mut journeys, &[]);
    let routes: Vec<String> = journeys.iter().flat_map(|j| &j.steps).map(|s| s.route.to_string()).collect();
    assert_eq!(routes, ["GET /a/{one}", "GET /a/{one}", "POST /a/{id}", "GET /a/{one}"]);
}

/// A forecast of each of two leagues was two routes, and to run one of them apart helped nobody.
#[test]
fn values_behind_a_plural_are_one_route_and_the_user_may_name_others() {
    let mut journeys = [read(
        "GET {{base}}/leagues/north/table\nGET {{base}}/leagues/west/table\nGET {{base}}/leagues/south/fixtures\n\
         GET {{base}}/users/new\nGET {{base}}/users/search\nGET {{base}}/admin/users/list\nGET {{base}}/admin/posts/list\n\
         GET {{base}}/companies/acme/staff\nGET {{base}}/companies/zeta/staff\nGET {{base}}/pages/about\nGET {{base}}/status/db/now\n\
         GET {{base}}/status/web/now\nPOST {{base}}/leagues/north/table\nGET {{base}}/cities/rome/weather\n\
         GET {{base}}/cities/oslo/weather",
    )];
    // A goal for one of the values.
    let named = ["GET /pages/{page}", "GET /companies/zeta/staff"].map(|route| route.parse().unwrap());
    unify_routes(&mut journeys, &named);
    let routes: Vec<String> = journeys[0].steps.iter().map(|s| s.route.to_string()).collect();
    let wanted = [
        "GET /leagues/{league}/table",
        "GET /leagues/{league}/table",
        "GET /leagues/south/fixtures",
        "GET /users/new",
        "GET /users/search",
        "GET /admin/users/list",
        "GET /admin/posts/list",
        "GET /companies/acme/staff",
        "GET /companies/zeta/staff",
        "GET /pages/{page}",
        "GET /status/db/now",
        "GET /status/web/now",
        "POST /leagues/north/table",
        "GET /cities/{city}/weather",
        "GET /cities/{city}/weather",
    ];
    assert_eq!(routes, wanted);
    // The crowd reads the journeys again and names them once more.
    let before = routes;
    unify_routes(&mut journeys, &named);
    assert!(journeys[0].steps.iter().map(|s| s.route.to_string()).eq(before));
}

#[test]
fn variables_without_a_value_are_found_before_anybody_plays() {
    let journey = read(LOGIN_AND_WRITE);
    assert_eq!(unbound_variables(&journey, &[]), [(8, "user".to_owned())]);
    assert_eq!(unbound_variables(&journey, &["user".to_owned()]), []);

    let late = read(
        "GET {{base}}/{{id}}\n[Options]\nvariable: b={{a}}\nHTTP 200\nX: {{h}}\n[Captures]\nid: body\n[Asserts]\nbody == {{z}}\nbody replace \"a\" \"{{r}}\" exists\nGET {{base}}/{{id}}{{b}}\n{\"k\": \"{{s}}\", \"v\": {{v}}}",
    );
    let expected = [(1, "a"), (1, "id"), (1, "h"), (9, "z"), (10, "r"), (11, "s"), (11, "v")];
    assert_eq!(unbound_variables(&late, &[]), expected.map(|(line, name)| (line, name.to_owned())));
}

/// The page that people read is held to what the parser does.
#[test]
fn the_page_about_journeys_tells_the_truth() {
    let page = include_str!("../../../../docs/journeys.md");
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0
    };
    let journey = read(block("hurl"));
    assert_eq!(journey.steps.len(), 4);
    let columns = ["user".to_owned(), "password".to_owned()];
    assert_eq!(unbound_variables(&journey, &columns), []);

    let (_, live) = page.split_once("## WebSocket").unwrap();
    let live = read(live.split_once("```hurl\n").unwrap().1.split_once("```").unwrap().0);
    assert_eq!(unbound_variables(&live, &columns), []);
    let routes: Vec<String> = live.steps.iter().map(|s| s.route.to_string()).collect();
    assert_eq!(
        routes,
        [
            "GET /rooms",
            "WEBSOCKET /rooms/{room}/live",
            "SEND /rooms/{room}/live#join",
            "SEND /rooms/{room}/live#talk",
            "EVENTS /notices",
            "POST /orders",
            "RECEIVE /notices#paid",
            "CLOSE /notices",
            "CLOSE /rooms/{room}/live",
        ]
    );
    for route in [1, 2, 6] {
        assert!(page.contains(&format!("`{}`", routes[route])), "{}", routes[route]);
    }

    let text =
        format!("{}sha256 == hex,00;", "GET {{base}}/\nHTTP 200\n[Asserts]\n".to_owned() + &"\n".repeat(8));
    let error = parse("journeys/buy.hurl", &text, &files).unwrap_err().to_string();
    assert_eq!(error, block("text").trim_end());

    for (mark, example) in [
        ("`count`", "jsonpath \"$.a\" count == 1"),
        ("`first`", "jsonpath \"$.a\" first exists"),
        ("`last`", "jsonpath \"$.a\" last exists"),
        ("`nth`", "jsonpath \"$.a\" nth 0 exists"),
        ("`split`", "body split \",\" exists"),
        ("`replaceRegex`", "body replaceRegex /a/ \"b\" exists"),
        ("`toInt`", "body toInt exists"),
        ("`toFloat`", "body toFloat exists"),
        ("`toString`", "status toString exists"),
        ("`urlDecode`", "body urlDecode exists"),
        ("`urlEncode`", "body urlEncode exists"),
        ("`htmlUnescape`", "body htmlUnescape exists"),
        ("`htmlEscape`", "body htmlEscape exists"),
        ("`base64Decode`", "body base64Decode exists"),
        ("`base64Encode`", "bytes base64Encode exists"),
        ("`decode`", "bytes decode \"iso-8859-1\" exists"),
        ("`isCollection`", "bytes isCollection"),
        ("`endsWith`", "url endsWith \"a\""),
        ("`duration`", "duration < 3"),
    ] {
        assert!(page.contains(mark), "{mark}");
        only(&format!("GET {{{{base}}}}/\nHTTP 200\n[Asserts]\n{example}"));
    }
}

/// A stack that overflows ends the whole program, so depth is refused, not tried.
#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = "[".repeat(100_000);
    let error = parse("t.hurl", &format!("POST {{{{base}}}}/\n{deep}"), &files).unwrap_err();
    assert!(error.message.contains("nested deeper"), "{}", error.message);
    for path in ["(".repeat(300), "[".repeat(300), "[?(".repeat(100), "[?!".repeat(5), "[?".repeat(6)] {
        let text = format!("GET {{{{base}}}}/\nHTTP 200\n[Asserts]\njsonpath \"${path}\" exists");
        assert!(parse("t.hurl", &text, &files).is_err());
    }
}

/// Hundreds of thousands of lines of a recorded day are still read in one go.
#[test]
fn a_long_journey_is_read_without_recursion() {
    let text = "GET {{base}}/a # x\nHTTP 200\n\n# comment\n".repeat(20_000);
    assert_eq!(read(&text).steps.len(), 20_000);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse("t.hurl", &text, &files);
    }

    #[test]
    fn no_text_of_the_language_panics(words in proptest::collection::vec(
        prop_oneof![
            Just("GET "), Just("{{base}}"), Just("/"), Just("\n"), Just("HTTP 200\n"), Just("[Asserts]\n"), Just("[Captures]\n"),
            Just("[Form]\n"), Just("[Multipart]\n"), Just("[Options]\n"), Just("a: "), Just("{{"), Just("}}"), Just("\""), Just("`"),
            Just("```"), Just("jsonpath "), Just("regex "), Just("\"$.a\""), Just(" == "), Just("1"), Just("file,"), Just(";"),
            Just("\\"), Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just("é"), Just("\r\n"), Just("\t"), Just("#"), Just("nth "),
        ], 0..60)) {
        let _ = parse("t.hurl", &words.concat(), &files);
    }

    /// One character more, less or changed; and the place that is told lies in the text.
    #[test]
    fn no_mutation_of_a_good_journey_panics(at in 0..LOGIN_AND_WRITE.len(), with in "\\PC{0,2}", less in 0usize..3) {
        let mut text: Vec<char> = LOGIN_AND_WRITE.chars().collect();
        let end = (at + less).min(text.len());
        text.splice(at.min(end)..end, with.chars());
        let text: String = text.into_iter().collect();
        if let Err(error) = parse("t.hurl", &text, &files) {
            let line = text.split('\n').nth(error.line as usize - 1);
            prop_assert!(line.is_some_and(|l| error.column as usize <= l.chars().count() + 1), "{}", error);
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// Whatever is cut off at the end, the parser comes back.
    #[test]
    fn no_beginning_of_a_good_journey_panics(at in 0..LOGIN_AND_WRITE.len()) {
        let text: String = LOGIN_AND_WRITE.chars().take(at).collect();
        let _ = parse("t.hurl", &text, &files);
    }
}
