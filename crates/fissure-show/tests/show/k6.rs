//! The script for k6: a golden text, and that no text of a journey escapes from its literal.

use std::collections::BTreeMap;
use std::time::Duration;

use fissure_facts::journey::{self, Journey};
use fissure_facts::{Arrivals, Load, Protocol, Spacing, Stretch};
use fissure_show::k6::{Export, NotTranslated, Source, script};
use proptest::prelude::*;

use crate::golden::compare;

const BUY: &str = r#"# Signs in, uploads, orders.
GET {{base}}/login
HTTP 200
[Captures]
csrf: regex "name=\"csrf\" value=\"([^\"]+)\""

POST {{base}}/login
X-Csrf: {{csrf}}
[Form]
user: {{user}}
[Cookies]
theme: dark
[Options]
delay: 2s
location: true
variable: key={{newUuid}}
HTTP/1.1 200
Content-Type: text/html
[Asserts]
body contains "Hello, {{user}}"
cookie "sid" not isEmpty
url endsWith "/home"

POST {{base}}/photos?page=1
[Query]
q: a b
[BasicAuth]
ann: {{key}}
[Multipart]
title: "it's" `${x}` \\
file: file,dot.bin; image/png
HTTP *
[Captures]
photo: header "Location" regex /photos\/(\d+)/ toInt

PUT {{base}}/photos/{{photo}}
{ "id": {{photo}}, "by": "{{user}}" }
HTTP 204

GET {{base}}/photos/{{photo}}.png
HTTP 200
[Asserts]
bytes count > 1000
"#;

fn read(name: &str, text: &str) -> Option<Journey> {
    journey::parse(name, text, &|_| Ok(vec![0, 255, 10])).ok()
}

fn export<'a>(
    journeys: &'a [(Journey, &'a str, f64)],
    rows: &'a [BTreeMap<String, String>],
    load: Load,
    require: &'a [String],
) -> Result<String, NotTranslated> {
    script(&Export {
        journeys: journeys
            .iter()
            .map(|(journey, text, weight)| Source { journey, text, weight: *weight })
            .collect(),
        rows,
        load,
        seconds: 60.0,
        think_max: Duration::from_secs(1),
        timeout: Duration::from_secs(10),
        protocol: Protocol::default(),
        base: Some("http://127.0.0.1:8000".to_owned()),
        hand_on: false,
        require,
    })
}

#[test]
fn the_script_says_what_it_said() {
    let home = "GET {{base}}/\n";
    let journeys = [
        (read("journeys/buy.hurl", BUY).unwrap(), BUY, 1.0),
        (read("journeys/home.hurl", home).unwrap(), home, 3.0),
    ];
    let rows = ["ann", "o'brien \u{2028}\"</script>"]
        .map(|user| BTreeMap::from([("user".to_owned(), user.to_owned())]));
    let ramp = Stretch { seconds: 40.0, from_per_s: 10.0, to_per_s: 50.0 };
    let spike = Stretch::steady(5.0, 200.0);
    let load = Load::Arriving(Arrivals { spacing: Spacing::Even, stretches: vec![ramp, spike] });
    let require = ["p95<300ms", "p99.9 of PUT /photos/{id}<=1s", "max of every route<2s", "errors<1%"];
    let text = export(&journeys, &rows, load, &require.map(str::to_owned)).unwrap();
    compare("k6.js", &text);
}

/// What is generated has strings, numbers, names and brackets: the strings end on their line, and the brackets fit.
fn is_well_formed(script: &str) -> Result<(), String> {
    let begin = script.find("export const options").ok_or("no options")?;
    let end = script.find("// What the language of journeys means").ok_or("no runtime")?;
    let mut open = Vec::new();
    let mut rest = &script[begin..end];
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '"' => {
                let mut is_escaped = false;
                let inside = rest[1..].find(|c| {
                    let ends = c == '"' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    ends
                });
                length = inside.ok_or("a string without an end")? + 2;
                // Every string is JSON's, which JavaScript reads as JSON does, except for these two.
                serde_json::from_str::<String>(&rest[..length])
                    .map_err(|e| format!("{e}: {}", &rest[..length]))?;
                if rest[..length].contains(['\u{2028}', '\u{2029}']) {
                    return Err("a raw line separator".to_owned());
                }
            }
            '/' => {
                length = if rest.starts_with("/**") {
                    rest.find("*/").ok_or("comment")? + 2
                } else {
                    return Err("a slash".to_owned());
                }
            }
            '(' | '[' | '{' => open.push(c),
            ')' | ']' | '}' => {
                let fits = matches!((open.pop(), c), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}'));
                if !fits {
                    return Err(format!("`{c}` too much"));
                }
            }
            c if c.is_ascii_alphanumeric() || " \n_.,;:=+-%*<>!".contains(c) => {}
            c => return Err(format!("`{c}` outside of a string")),
        }
        rest = &rest[length..];
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} still open")) }
}

fn any_text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\"",
        "\\\"",
        "\\",
        "'",
        "`",
        "${x}",
        "*/",
        "//",
        "</script>",
        "\u{2028}",
        "\\u{2029}",
        "\\n",
        "{{user}}",
        "{{newUuid}}",
        "\u{1f600}",
        "a",
        " ",
        "1",
    ]);
    prop::collection::vec(prop_oneof![nasty.prop_map(str::to_owned), "\\PC{0,4}"], 0..8)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_text_of_a_journey_escapes_from_its_literal(texts in prop::collection::vec(any_text(), 6), name in any_text()) {
        let [header, field, json, pattern, assert, column] = texts.as_slice() else { return Ok(()) };
        let variants = [
            format!("GET {{{{base}}}}/a\nX-A: {header}\n[Query]\nq: {assert}\nHTTP 200\nX-B: {header}\n"),
            format!("POST {{{{base}}}}/\n[Multipart]\na: {field}\nb: file,x.bin; {header}\nHTTP 200\n[Asserts]\nbody contains \"{assert}\"\n"),
            format!("POST {{{{base}}}}/\n{{\"a\": \"{json}\"}}\nHTTP 200\n[Captures]\na: regex \"({pattern})\" replace \"{header}\" \"{assert}\"\n"),
            format!("POST {{{{base}}}}/\n```\n{json}\n{field}\n```\nHTTP 200\n[Asserts]\nbody matches /{pattern}/\njsonpath \"$['{field}']\" == `{assert}`\n"),
        ];
        let rows = [BTreeMap::from([("user".to_owned(), header.clone()), (column.clone(), json.clone())])];
        for text in &variants {
            let Some(journey) = read(&name, text) else { continue };
            let journeys = [(journey, text.as_str(), 1.0)];
            if let Ok(script) = export(&journeys, &rows, Load::Open { users_per_s: 3.0 }, &[]) {
                prop_assert_eq!(is_well_formed(&script), Ok(()), "{}", text);
            }
        }
    }
}
