//! A request and its answer as a fact: for the few who look at whole answers.

use std::time::Duration;

use fissure_facts::Exchange;
use fissure_facts::traffic::{Answered, Asked, Content};
use hyper::header::{HOST, HeaderName, HeaderValue, ORIGIN, REFERER};

use super::connection::Reply;
use super::draft::Draft;
use crate::journey::Answer;

/// Of the request's headers those that may carry back what an answer gave: the cookies and the user's own. What names the
/// stack that is asked is left out.
pub(super) fn exchange(draft: &Draft<'_>, reply: Option<&Reply>, at_us: u64, took_us: u64) -> Exchange {
    Exchange {
        at_us,
        client: String::new(),
        request: Asked {
            method: draft.method.to_string(),
            target: draft.target.to_string(),
            headers: draft.personal().filter(|(name, _)| !names_the_stack(name)).map(text).collect(),
            body: Content::whole(draft.body.to_vec()),
        },
        answer: reply.map(answered),
        took_us,
    }
}

fn names_the_stack(name: &HeaderName) -> bool {
    [HOST, ORIGIN, REFERER].contains(name)
}

fn text((name, value): (&HeaderName, &HeaderValue)) -> (String, String) {
    (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The body without its content coding, if that can be undone: how it is packed is no difference.
fn answered(reply: &Reply) -> Answered {
    let answer = Answer::new(reply.status, &reply.headers, &reply.body, "", Duration::ZERO);
    Answered {
        status: reply.status,
        headers: reply.headers.iter().map(text).collect(),
        body: Content::whole(answer.bytes().unwrap_or(&reply.body)),
    }
}
