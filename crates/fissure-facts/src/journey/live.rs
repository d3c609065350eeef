//! Steps over a connection that stays open: WebSocket and server-sent events.
//!
//! The language has no words for them, so these are fissure's own. They stand in lines that begin with `#>`, which the real
//! program takes for comments (`docs/journeys.md`).

use super::cursor::Cursor;
use super::error::{Parsed, Place, Wrong};
use super::request::{self, next_key, section};
use super::response::{asserts, captures};
use super::{
    Assert, Body, Capture, Expected, ExpectedStatus, Files, JourneyStep, Query, Source, StepKind, Template,
    body, text,
};
use crate::Route;

/// Takes the mark from lines that begin with `#>`, so that what stands behind it keeps its column. Lines of a body between
/// ``` that began without the mark are left alone.
pub(super) fn unmarked(text: &str) -> String {
    let (mut out, mut is_in_body, mut body_is_marked) = (String::with_capacity(text.len()), false, false);
    for line in text.split_inclusive('\n') {
        let marked = line.strip_prefix("#>").filter(|_| !is_in_body || body_is_marked);
        match marked {
            Some(rest) => out.extend(["  ", rest]),
            None => out.push_str(line),
        }
        if line.matches("```").count() % 2 == 1 {
            is_in_body = !is_in_body;
            body_is_marked = marked.is_some();
        }
    }
    out
}

/// What the steps so far have left open, in the order of opening: at most one of each kind.
#[derive(Default)]
pub(super) struct Open(Vec<Opened>);

struct Opened {
    source: Source,
    target: Template,
    route: Route,
}

impl Open {
    fn of(&self, source: Source) -> Option<&Opened> {
        self.0.iter().find(|opened| opened.source == source)
    }

    /// Makes a request with the method `WEBSOCKET` or `EVENTS` the opening that it stands for.
    pub(super) fn take_note(&mut self, step: &mut JourneyStep, at: Place) -> Parsed<()> {
        let wrong = |message: &str| Err(Wrong { at, message: message.to_owned() });
        let source = match step.method.as_str() {
            "WEBSOCKET" => Source::WebSocket,
            "EVENTS" => Source::Events,
            _ => return Ok(()),
        };
        if self.of(source).is_some() {
            return wrong("one is open already, and a user has one of a kind: put a `CLOSE` before this");
        }
        if !matches!(step.body, Body::None) || step.follow_redirects {
            return wrong("what stays open is opened without a body and without redirects");
        }
        if queries(&step.captures, &step.asserts).any(Query::reads_body) {
            return wrong("the answer that opens it has no body: look at what is received");
        }
        step.kind = match source {
            Source::WebSocket
                if !matches!(step.status, ExpectedStatus::Unsaid | ExpectedStatus::Exactly(101)) =>
            {
                return wrong("a WebSocket is opened with `HTTP 101`");
            }
            Source::WebSocket => StepKind::WebSocket,
            Source::Events => StepKind::Events,
        };
        step.method = "GET".to_owned();
        self.0.push(Opened { source, target: step.target.clone(), route: step.route.clone() });
        Ok(())
    }

    /// Reads `SEND`, `RECEIVE` or `CLOSE`, if one stands here.
    pub(super) fn step(&mut self, cursor: &mut Cursor<'_>, files: &Files<'_>) -> Parsed<Option<JourneyStep>> {
        let start = *cursor;
        let mut ahead = *cursor;
        let word = ahead.take_while(|c| c.is_ascii_uppercase());
        if !["SEND", "RECEIVE", "CLOSE"].contains(&word) {
            return Ok(None);
        }
        *cursor = ahead;
        let mut step = JourneyStep::empty(start.line());
        step.status = ExpectedStatus::Any;
        if word == "CLOSE" {
            cursor.line_end()?;
            let Some(last) = self.0.pop() else {
                return Err(start.wrong("nothing is open that could be closed"));
            };
            step.kind = StepKind::Close(last.source);
            last.name(&mut step, word, "", start)?;
            return Ok(Some(step));
        }
        let name = name(cursor, word)?;
        let waits = options(cursor, &mut step)?;
        if word == "SEND" {
            cursor.blank_lines();
            let place = *cursor;
            step.body = body::body(cursor, files)?.ok_or_else(|| {
                place.wrong("expected what is to be sent: JSON, or `text` between backticks, or `hex,...;`")
            })?;
            cursor.line_end()?;
        }
        let expected = expected(cursor, &mut step, waits)?;
        let (source, kind) = match expected {
            Some(Expected { from: Source::Events, .. }) if word == "SEND" => {
                return Err(
                    start.wrong("events only come: what is sent over a WebSocket is answered by a `MESSAGE`")
                );
            }
            Some(expected) if word == "RECEIVE" => (expected.from, StepKind::Receive(expected)),
            expected if word == "SEND" => (Source::WebSocket, StepKind::Send(expected)),
            _ => return Err(cursor.wrong("expected `MESSAGE` or `EVENT` and what is to be received")),
        };
        let Some(opened) = self.of(source) else {
            return Err(start.wrong(match source {
                Source::WebSocket => "no WebSocket is open here: open it with `WEBSOCKET {{base}}/...`",
                Source::Events => "no stream of events is open here: open it with `EVENTS {{base}}/...`",
            }));
        };
        step.kind = kind;
        opened.name(&mut step, word, name, start)?;
        Ok(Some(step))
    }
}

impl Opened {
    /// The step's route is that of the opening, with the name behind it.
    fn name(&self, step: &mut JourneyStep, word: &str, name: &str, start: Cursor<'_>) -> Parsed<()> {
        let mark = if name.is_empty() { "" } else { "#" };
        let route = Route::new(word, &format!("{}{mark}{name}", self.route.template()));
        step.route = route.map_err(|e| start.wrong(e.to_string()))?;
        step.target = self.target.clone();
        Ok(())
    }
}

fn name<'a>(cursor: &mut Cursor<'a>, word: &str) -> Parsed<&'a str> {
    cursor.spaces();
    let place = *cursor;
    let name = cursor.take_while(text::is_name_character);
    if cursor.line_end().is_err() {
        return Err(place.wrong(format!(
            "expected a name of letters, digits, `_` and `-` after `{word}`, or nothing: it goes over what is open"
        )));
    }
    Ok(name)
}

/// How it is waited for.
struct Waits {
    within: Option<std::time::Duration>,
    nth: u32,
}

fn options(cursor: &mut Cursor<'_>, step: &mut JourneyStep) -> Parsed<Waits> {
    let mut waits = Waits { within: None, nth: 1 };
    let Some((start, name)) = section(cursor)? else { return Ok(waits) };
    if name != "Options" {
        return Err(start.wrong(format!("`[{name}]` does not belong here: there is [Options]")));
    }
    while let Some((start, key)) = next_key(cursor)? {
        match text::plain(key).as_deref() {
            Some("delay") => step.think = request::delay(cursor)?,
            Some("variable") => step.variables.push(request::variable(cursor)?),
            Some("within") => waits.within = Some(request::delay(cursor)?),
            Some("nth") => {
                let place = *cursor;
                let number = cursor.take_while(|c| c.is_ascii_digit()).parse().ok().filter(|n| *n > 0);
                waits.nth = number.ok_or_else(|| place.wrong("expected a number from 1"))?;
            }
            _ => return Err(start.wrong("the options here are delay, variable, within and nth")),
        }
        cursor.line_end()?;
    }
    Ok(waits)
}

/// `MESSAGE` or `EVENT type`, and the sections behind it.
fn expected(cursor: &mut Cursor<'_>, step: &mut JourneyStep, waits: Waits) -> Parsed<Option<Expected>> {
    let mut ahead = *cursor;
    ahead.blank_lines();
    let word = ahead.take_while(|c| c.is_ascii_uppercase());
    let from = match word {
        "MESSAGE" => Source::WebSocket,
        "EVENT" => Source::Events,
        _ => return Ok(None),
    };
    *cursor = ahead;
    cursor.spaces();
    let place = *cursor;
    let event = cursor.take_while(|c| !c.is_whitespace() && c != '#');
    let event = (!event.is_empty()).then(|| event.to_owned());
    if from == Source::WebSocket && event.is_some() {
        return Err(place.wrong("a message has no type: say which one it is in a section [Where]"));
    }
    cursor.line_end()?;
    let mut wanted = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    while let Some((start, name)) = section(cursor)? {
        if seen.contains(&name) {
            return Err(start.wrong(format!("`[{name}]` stands here for the second time")));
        }
        seen.push(name);
        match name {
            "Where" => wanted = asserts(cursor)?,
            "Captures" => step.captures = captures(cursor)?,
            "Asserts" => step.asserts = asserts(cursor)?,
            _ => {
                return Err(start.wrong(format!(
                    "`[{name}]` does not belong here: there are [Where], [Captures] and [Asserts]"
                )));
            }
        }
        let of_an_answer =
            |q: &Query| matches!(q, Query::Status | Query::Header(_) | Query::Cookie { .. } | Query::Url);
        if queries(&step.captures, &step.asserts).chain(wanted.iter().map(|a| &a.query)).any(of_an_answer) {
            return Err(start.wrong(
                "what is received has no status, header, cookie or url: there are body, bytes, jsonpath, regex, variable and duration",
            ));
        }
    }
    Ok(Some(Expected { from, event, within: waits.within, nth: waits.nth, wanted }))
}

fn queries<'a>(captures: &'a [Capture], asserts: &'a [Assert]) -> impl Iterator<Item = &'a Query> {
    captures.iter().map(|c| &c.query).chain(asserts.iter().map(|a| &a.query))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::{Journey, JourneyError, parse, unbound_variables};

    const CHAT: &str = r#"
GET {{base}}/rooms
HTTP 200
[Captures]
room: jsonpath "$[0].id"

#> WEBSOCKET {{base}}/rooms/{{room}}/live?v=2
#> Sec-WebSocket-Protocol: chat.v2
#> HTTP 101
#> [Asserts]
#> header "Sec-WebSocket-Protocol" == "chat.v2"
#> EVENTS {{base}}/notices
#>
#> SEND join
#> [Options]
#> delay: 1s
#> within: 2s
#> {
#>   "type": "join", "as": "{{user}}"
#> }
#> MESSAGE
#> [Where]
#> jsonpath "$.type" == "joined"
#> [Captures]
#> seat: jsonpath "$.seat"
#> SEND
#> `bye {{seat}}`

POST {{base}}/orders
```
#> this is text of the order
```
#> RECEIVE paid
#> [Options]
#> nth: 3
#> EVENT order   # of any kind
#> [Asserts]
#> body contains "{{seat}}"
#> CLOSE
#> CLOSE
"#;

    fn read(text: &str) -> Result<Journey, JourneyError> {
        parse("t.hurl", text, &|_| Err(std::io::ErrorKind::NotFound.into()))
    }

    #[test]
    fn every_step_over_an_open_connection_has_a_route_and_a_line_of_its_own() {
        let journey = read(CHAT).unwrap();
        let steps: Vec<String> = journey.steps.iter().map(|s| format!("{} {}", s.line, s.route)).collect();
        assert_eq!(
            steps,
            [
                "2 GET /rooms",
                "7 WEBSOCKET /rooms/{room}/live",
                "12 EVENTS /notices",
                "14 SEND /rooms/{room}/live#join",
                "26 SEND /rooms/{room}/live",
                "29 POST /orders",
                "33 RECEIVE /notices#paid",
                "39 CLOSE /notices",
                "40 CLOSE /rooms/{room}/live",
            ]
        );
        let join = journey.steps[3].kind.expected().unwrap();
        assert_eq!(
            (join.within, join.nth, join.wanted.len()),
            (Some(std::time::Duration::from_secs(2)), 1, 1)
        );
        let paid = journey.steps[6].kind.expected().unwrap();
        assert_eq!((paid.event.as_deref(), paid.nth, paid.from), (Some("order"), 3, Source::Events));
        let Body::Text { text, .. } = &journey.steps[5].body else { panic!("{:?}", journey.steps[5].body) };
        assert_eq!(*text, Template::text("#> this is text of the order\n"), "a body is nobody's comment");
        assert_eq!(unbound_variables(&journey, &[]), [(14, "user".to_owned())]);
        assert_eq!(journey.steps[3].route.first_segment(), Some("rooms"));
    }

    #[test]
    fn every_mistake_over_an_open_connection_is_told_with_its_place() {
        let socket = "WEBSOCKET {{base}}/s\n";
        for (text, line, column, part) in [
            ("SEND\n`a`", 1, 1, "no WebSocket is open"),
            ("EVENTS {{base}}/s\nRECEIVE\nMESSAGE", 2, 1, "no WebSocket is open"),
            (&format!("{socket}RECEIVE\nEVENT"), 2, 1, "no stream of events is open"),
            (&format!("{socket}SEND {{{{base}}}}/s\n`a`"), 2, 6, "expected a name"),
            (&format!("{socket}SEND\nMESSAGE"), 3, 1, "expected what is to be sent"),
            (&format!("{socket}SEND\n`a`\nEVENT x"), 2, 1, "events only come"),
            (&format!("{socket}RECEIVE\n"), 3, 1, "expected `MESSAGE` or `EVENT`"),
            (&format!("{socket}#> RECEIVE\n#> MESSAGE hello"), 3, 12, "a message has no type"),
            (
                &format!("{socket}#> RECEIVE\n#> MESSAGE\n#> [Captures]\n#> a: header \"b\""),
                4,
                4,
                "has no status",
            ),
            (&format!("{socket}RECEIVE\nMESSAGE\n[When]\nbody exists"), 4, 1, "there are [Where]"),
            (&format!("{socket}RECEIVE\n[Options]\nretry: 1\nMESSAGE"), 4, 1, "the options here are"),
            (&format!("{socket}RECEIVE\n[Options]\nnth: 0\nMESSAGE"), 4, 6, "a number from 1"),
            (&format!("{socket}{socket}"), 2, 1, "one is open already"),
            (&format!("{socket}HTTP 200"), 1, 1, "`HTTP 101`"),
            (&format!("{socket}HTTP 101\n[Asserts]\nbody exists"), 1, 1, "has no body"),
            ("EVENTS {{base}}/s\n[Form]\na: b", 1, 1, "without a body"),
            ("CLOSE", 1, 1, "nothing is open"),
        ] {
            let Err(error) = read(text) else { panic!("accepted: {text}") };
            assert!(error.message.contains(part), "{error}");
            assert_eq!((error.line, error.column), (line, column), "{error}");
        }
    }
}
