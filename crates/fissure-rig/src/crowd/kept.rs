//! A request and its answer as a fact: for the few who look at whole answers.

use std::time::Duration;

use fissure_facts::Exchange;
use fissure_facts::traffic::{Answered, Asked, Content};

use super::connection::Reply;
use super::draft::Draft;
use crate::journey::Answer;

/// Without the request's headers: they are the journey's own.
pub(super) fn exchange(draft: &Draft<'_>, reply: Option<&Reply>, at_us: u64, took_us: u64) -> Exchange {
    Exchange {
        at_us,
        client: String::new(),
        request: Asked {
            method: draft.method.to_string(),
            target: draft.target.to_string(),
            headers: Vec::new(),
            body: Content::whole(draft.body.to_vec()),
        },
        answer: reply.map(answered),
        took_us,
    }
}

/// The body without its content coding, if that can be undone: how it is packed is no difference.
fn answered(reply: &Reply) -> Answered {
    let answer = Answer::new(reply.status, &reply.headers, &reply.body, "", Duration::ZERO);
    let headers = reply.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    Answered {
        status: reply.status,
        headers: headers.collect(),
        body: Content::whole(answer.bytes().unwrap_or(&reply.body)),
    }
}
