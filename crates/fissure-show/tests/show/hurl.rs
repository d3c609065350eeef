//! Journeys written as text and read again are the same journeys.

use std::time::Duration;

use fissure_facts::journey::{
    self, Assert, Body, Capture, ExpectedStatus, Filter, Journey, JourneyStep, JsonPath, Operand, Part,
    PartContent, Piece, Predicate, Query, StepKind, Template, route_of,
};
use fissure_show::hurl;
use proptest::prelude::*;

/// Written, read, and compared as far as a journey has a meaning (lines differ).
fn comes_back(journey: &Journey) -> Result<(), String> {
    let written = hurl::write(journey, &["made by\na test".to_owned()], &[], "files");
    let files = |name: &str| {
        let found = written.files.iter().find(|(known, _)| known == name);
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    };
    let mut read =
        journey::parse("x", &written.text, &files).map_err(|e| format!("{e}\n{}", written.text))?;
    for step in &mut read.steps {
        step.line = 0;
        step.captures.iter_mut().for_each(|c| c.line = 0);
        step.asserts.iter_mut().for_each(|a| a.line = 0);
        if let StepKind::Send(Some(expected)) | StepKind::Receive(expected) = &mut step.kind {
            expected.wanted.iter_mut().for_each(|a| a.line = 0);
        }
    }
    let (was, is) = (format!("{:#?}", journey.steps), format!("{:#?}", read.steps));
    match was.lines().zip(is.lines()).find(|(was, is)| was != is) {
        None if was.len() == is.len() => Ok(()),
        difference => Err(format!("{difference:?} in\n{}", written.text)),
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[ #{}\\\\`\"\n\r\t;:é\u{7}]{0,8}",
        Just("file,a;".to_owned()),
        Just("```".to_owned()),
        Just("true".to_owned()),
    ]
}

fn template() -> impl Strategy<Value = Template> {
    let piece = prop_oneof![
        text().prop_map(Piece::Text),
        "[a-z][a-z_]{0,5}".prop_map(|name| Piece::Variable(format!("v_{name}"))),
        Just(Piece::NewUuid),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| {
        let mut out: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (out.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, Piece::Text(text)) if text.is_empty() => {}
                (_, piece) => out.push(piece),
            }
        }
        Template(out)
    })
}

/// Answers are not compared with what is new each time.
fn settled() -> impl Strategy<Value = Template> {
    template().prop_map(|t| {
        Template(t.0.into_iter().filter(|p| *p != Piece::NewUuid).fold(Vec::new(), |mut out, piece| {
            match (out.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, piece) => out.push(piece),
            }
            out
        }))
    })
}

fn pairs() -> impl Strategy<Value = Vec<(String, Template)>> {
    prop::collection::vec(("[A-Za-z_.$@\\[\\]-]{1,8}:?", template()), 0..3)
}

fn body() -> impl Strategy<Value = Body> {
    let json = (text(), "[a-z]{1,4}").prop_map(|(text, name)| {
        let quoted = serde_json::Value::from(text).to_string().replace("{{", "{\\u007b");
        Body::Text {
            content_type: Some("application/json"),
            text: Template(vec![
                Piece::Text(format!("{{\n  \"a\": {quoted},\n  \"b\": \"")),
                Piece::JsonString(name.clone()),
                Piece::Text("\",\n  \"c\": ".to_owned()),
                Piece::JsonValue(name),
                Piece::Text("\n}".to_owned()),
            ]),
        }
    });
    let part =
        ("[a-z\\[\\]]{1,6}", text(), template(), any::<bool>()).prop_map(|(name, file, text, is_file)| {
            let file_name: String =
                file.chars().filter(|c| c.is_ascii_alphanumeric() || "# ;{}.".contains(*c)).collect();
            let file_name = if file_name.trim_matches(['.', ' ']) == file_name && !file_name.is_empty() {
                file_name
            } else {
                "a.txt".to_owned()
            };
            let content = if is_file {
                PartContent::File {
                    file_name,
                    content_type: "text/plain".to_owned(),
                    bytes: file.into_bytes(),
                }
            } else {
                PartContent::Text(text)
            };
            Part { name, content }
        });
    prop_oneof![
        Just(Body::None),
        template().prop_map(|text| Body::Text { content_type: None, text }),
        json,
        pairs().prop_filter("a form has fields", |p| !p.is_empty()).prop_map(Body::Form),
        prop::collection::vec(part, 1..4).prop_map(Body::Multipart),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Body::Bytes),
        Just(Body::Bytes(vec![7; 5_000])),
    ]
}

prop_compose! {
    fn step()(
        method in "(GET|POST|PUT)",
        // A `.` for itself is refused in a path.
        path in "/[a-z0-9/%-]{0,10}[a-z.]{0,3}[a-z]",
        headers in pairs(), query in pairs(), cookies in pairs(), body in body(),
        variable in proptest::option::of(template()),
        think in 0u64..5_000, follow in any::<bool>(), status in proptest::option::of(100u16..600),
        pattern in text(), answer in settled(), number in -5i32..5000, not in any::<bool>(),
    ) -> JourneyStep {
        let mut step = JourneyStep::empty(0);
        step.method = method;
        step.target = Template(vec![Piece::Text(format!("{path}/")), Piece::Variable("v_id".to_owned())]);
        step.route = route_of(&step.method, &step.target).unwrap();
        (step.headers, step.query, step.cookies, step.body) = (headers, query, cookies, body);
        step.variables = variable.into_iter().map(|v| ("v_own".to_owned(), v)).collect();
        step.think = Duration::from_millis(think);
        step.follow_redirects = follow;
        step.status = status.map_or(ExpectedStatus::Any, ExpectedStatus::Exactly);
        let regex = regex::Regex::new(&format!("({})", regex::escape(&pattern))).unwrap();
        let capture = |name: &str, query, filters| Capture { line: 0, name: name.to_owned(), query, filters };
        step.captures = vec![
            capture("one", Query::JsonPath(JsonPath::parse("$.a['b-c'][0]").unwrap()), vec![]),
            capture("two", Query::Header("Location".to_owned()), vec![Filter::Regex(regex.clone()), Filter::UrlDecode]),
            capture("three", Query::Regex(regex.clone()), vec![Filter::HtmlUnescape]),
            capture("four", Query::JsonPath(JsonPath::parse("$.list[0].id").unwrap()), vec![Filter::Nth(-1), Filter::ToString]),
        ];
        let assert = |query, predicate| Assert { line: 0, query, filters: vec![], not, predicate };
        step.asserts = vec![
            assert(Query::Body, Predicate::Contains(answer.clone())),
            assert(Query::Cookie { name: "sid".to_owned(), attribute: Some("Path".to_owned()) }, Predicate::Equals(Operand::Text(answer))),
            assert(Query::Status, Predicate::Less(Operand::Number(f64::from(number)))),
            assert(Query::Url, Predicate::Matches(regex)),
        ];
        step
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn what_is_written_is_read_back_as_the_same(steps in prop::collection::vec(step(), 1..3)) {
        let journey = Journey { name: "x".to_owned(), steps };
        if let Err(difference) = comes_back(&journey) {
            return Err(TestCaseError::fail(difference));
        }
    }
}

#[test]
fn a_journey_of_a_person_comes_back_and_is_readable() {
    let text = "POST {{base}}/orders\nAccept: text/html\n[Options]\nvariable: key=\"k-{{newUuid}}\"\ndelay: 1500ms\n\
                {\n  \"photo\": {{photo}},\n  \"key\": \"{{key}}\"\n}\nHTTP 201\n[Captures]\norder_id: jsonpath \"$.id\"\n\
                [Asserts]\nheader \"Location\" endsWith \"/orders/{{order_id}}\"\n";
    let read = journey::parse("x", text, &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
    assert_eq!(hurl::write(&read, &[], &[], "files").text, text);
}

#[test]
fn what_goes_over_an_open_connection_comes_back_in_comments() {
    let text = "GET {{base}}/rooms\nHTTP 200\n[Captures]\nroom: jsonpath \"$.id\"\n\n\
                #> WEBSOCKET {{base}}/rooms/{{room}}/live\n#> Sec-WebSocket-Protocol: chat.v2\n#> HTTP 101\n\n\
                #> SEND join\n#> [Options]\n#> variable: key=\"{{newUuid}}\"\n#> delay: 1500ms\n#> within: 2000ms\n\
                #> {\"type\": \"join\", \"room\": {{room}}}\n#> MESSAGE\n#> [Where]\n#> jsonpath \"$.type\" == \"joined\"\n\
                #> [Captures]\n#> seat: jsonpath \"$.seat\"\n\n\
                #> SEND\n#> `two\\nlines {{seat}}`\n\n#> EVENTS {{base}}/notices\n\n\
                #> RECEIVE paid\n#> [Options]\n#> nth: 2\n#> EVENT order\n#> [Asserts]\n#> body contains \"paid\"\n\n#> CLOSE\n";
    let read = journey::parse("x", text, &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
    assert_eq!(hurl::write(&read, &[], &[], "files").text, text);
}
