//! What was said over WebSockets, woven in among a user's requests: the opening, what the user sent with what the app answered,
//! what the app said by itself. So a message gives and takes values as an answer and a request do.

use std::time::Duration;

use fissure_facts::journey::{
    Assert, Body, Expected, ExpectedStatus, JourneyStep, JsonPath, Operand, Predicate, Query, Source,
    StepKind, Template,
};
use fissure_facts::traffic::{Answered, Asked, Message, Side};
use fissure_facts::{Exchange, Route};
use serde_json::Value;

use super::names;

/// The journeys' own words for such steps stand where requests have their method.
const OPENING: &str = "WEBSOCKET";
const SEND: &str = "SEND";
const RECEIVE: &str = "RECEIVE";
const CLOSE: &str = "CLOSE";
/// Said without being asked, or by the browser alone.
pub const CHANGES_NOTHING: [&str; 3] = [OPENING, RECEIVE, CLOSE];

/// What comes later was no answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// Of one WebSocket; a game or a pen sends thousands.
const SENT_MAX: usize = 100;
/// What the app says between two messages of the user, and may give something that is sent later.
const HEARD_MAX: usize = 4;
/// What JSON calls the kind of a message.
const KINDS: [&str; 7] = ["type", "event", "kind", "action", "op", "method", "cmd"];

/// Did anybody say something over the WebSocket that this exchange opened?
pub fn is_opening(exchange: &Exchange, messages: &[Message]) -> bool {
    exchange.answer.as_ref().is_some_and(|answer| answer.status == 101)
        && messages.iter().any(|message| message.opened_us == exchange.at_us)
}

/// A visit with what was said, in time. A user of a journey has one WebSocket at a time, so the next one closes it.
pub fn woven(visit: &[&Exchange], messages: &[Message]) -> Vec<Exchange> {
    let openings: Vec<&Exchange> =
        visit.iter().copied().filter(|exchange| is_opening(exchange, messages)).collect();
    let mut woven: Vec<Exchange> =
        visit.iter().filter(|exchange| !is_opening(exchange, messages)).map(|e| (*e).clone()).collect();
    for (n, opening) in openings.iter().enumerate() {
        let next_us = openings.get(n + 1).map_or(u64::MAX, |next| next.at_us);
        let of_it = |message: &&Message| message.opened_us == opening.at_us && message.at_us < next_us;
        let mut said: Vec<&Message> = messages.iter().filter(of_it).collect();
        said.sort_by_key(|message| message.at_us);
        let mut opened = (*opening).clone();
        opened.request.method = OPENING.to_owned();
        opened.took_us = 0;
        woven.push(opened);
        woven.extend(conversation(opening, &said));
        if next_us < u64::MAX {
            woven.push(step(CLOSE, opening, next_us));
        }
    }
    woven.sort_by_key(|exchange| exchange.at_us);
    woven
}

fn conversation(opening: &Exchange, said: &[&Message]) -> Vec<Exchange> {
    let mut steps: Vec<Exchange> = Vec::new();
    let (mut sent, mut heard) = (0, 0);
    for message in said.iter().filter(|message| !message.body.is_empty()) {
        if message.from == Side::Client {
            sent += 1;
            heard = 0;
            if sent > SENT_MAX {
                break;
            }
            let mut step = step(SEND, opening, message.at_us);
            step.request.headers.extend(content_type(message));
            step.request.body = message.body.clone();
            steps.push(step);
            continue;
        }
        heard += 1;
        let answer = Answered { status: 0, headers: Vec::new(), body: message.body.clone() };
        match steps.last_mut().filter(|last| last.request.method == SEND && last.answer.is_none()) {
            Some(last) if message.at_us - last.at_us <= ANSWERED_WITHIN.as_micros() as u64 => {
                last.took_us = message.at_us - last.at_us;
                last.answer = Some(answer);
            }
            _ if heard <= HEARD_MAX => {
                let mut step = step(RECEIVE, opening, message.at_us);
                step.answer = Some(answer);
                steps.push(step);
            }
            _ => {}
        }
    }
    steps
}

fn step(method: &str, opening: &Exchange, at_us: u64) -> Exchange {
    let host = opening.request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    Exchange {
        at_us,
        client: opening.client.clone(),
        request: Asked {
            method: method.to_owned(),
            target: opening.request.target.clone(),
            headers: host.cloned().collect(),
            ..Asked::default()
        },
        answer: None,
        took_us: 0,
    }
}

fn content_type(message: &Message) -> Option<(String, String)> {
    let kind = if message.binary {
        "application/octet-stream"
    } else if serde_json::from_slice::<Value>(&message.body.bytes)
        .is_ok_and(|json| json.is_object() || json.is_array())
    {
        "application/json"
    } else {
        return None;
    };
    Some(("Content-Type".to_owned(), kind.to_owned()))
}

/// Makes the step that was written as a request what it is.
pub fn make(step: &mut JourneyStep, exchange: &Exchange) {
    let expected = || {
        let answer = exchange.answer.as_ref()?;
        let wanted = kind(&answer.body.bytes).map(|(_, wanted)| wanted).into_iter().collect();
        Some(Expected { from: Source::WebSocket, event: None, within: None, nth: 1, wanted })
    };
    let name = match exchange.request.method.as_str() {
        OPENING => {
            step.kind = StepKind::WebSocket;
            step.method = "GET".to_owned();
            return;
        }
        SEND => {
            step.kind = StepKind::Send(expected());
            if exchange.request.header("content-type") == Some("application/octet-stream") {
                step.body = Body::Bytes(exchange.request.body.bytes.clone());
            }
            kind(&exchange.request.body.bytes)
        }
        RECEIVE => {
            let Some(expected) = expected() else { return };
            step.kind = StepKind::Receive(expected);
            step.think = Duration::ZERO;
            kind(exchange.answer.as_ref().map_or(&[][..], |answer| &answer.body.bytes[..]))
        }
        CLOSE => {
            step.kind = StepKind::Close(Source::WebSocket);
            step.think = Duration::ZERO;
            None
        }
        _ => return,
    };
    if let Some((name, _)) = name
        && let Ok(route) = Route::new(step.route.method(), &format!("{}#{name}", step.route.template()))
    {
        step.route = route;
    }
    step.status = ExpectedStatus::Any;
    step.headers.clear();
    step.query.clear();
}

/// The kind of a message, if it says one, as a name and as what tells it from others.
fn kind(message: &[u8]) -> Option<(String, Assert)> {
    let json: Value = serde_json::from_slice(message).ok()?;
    let (key, kind) = KINDS.iter().find_map(|key| Some((*key, json.get(key)?.as_str()?)))?;
    let is_plain = kind.len() <= 40 && kind.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c));
    let name = names::word(kind).replace('_', "-");
    if !is_plain || name.is_empty() {
        return None;
    }
    let query = Query::JsonPath(JsonPath::parse(&format!("$.{key}")).ok()?);
    let predicate = Predicate::Equals(Operand::Text(Template::text(kind)));
    Some((name, Assert { line: 0, query, filters: Vec::new(), not: false, predicate }))
}

/// What the app said by itself is waited for where it gives something, and as a greeting.
pub fn is_worth_it(step: &JourneyStep, before: Option<&JourneyStep>) -> bool {
    !matches!(step.kind, StepKind::Receive(_))
        || !step.captures.is_empty()
        || before.is_some_and(|before| matches!(before.kind, StepKind::WebSocket))
}
