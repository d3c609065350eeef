//! What is told of everything that comes through the door.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use fissure_facts::Exchange;
use fissure_facts::traffic::{Answered, Asked, Content, Message};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::{request, response};

/// Bodies in which values for later requests are looked for, and what clients send, are kept up to this.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// What is kept of the others: enough to see what they were.
const OTHER_KEPT_BYTES_MAX: usize = 4 << 10;

/// One thing that came through the door.
#[derive(Debug, Clone, PartialEq)]
pub enum Passed {
    /// The answer has ended, or its client has left in its middle.
    Answered(Exchange),
    /// The app gave no answer, for this reason.
    Unanswered(Exchange, String),
    /// It could be understood in more than one way, so the app never saw it.
    Refused { client: IpAddr, why: &'static str },
    /// Said over a WebSocket, when bodies are kept.
    Said(Message),
}

/// Hears of everything, on the door's own thread: it must not wait.
pub type Witness = Arc<dyn Fn(Passed) + Send + Sync>;

/// An exchange while it happens. Told when it is finished, or when nobody holds it any more.
pub(super) struct Draft {
    began: Instant,
    at_us: u64,
    keeps_bodies: bool,
    witness: Witness,
    written: Mutex<Option<Written>>,
}

struct Written {
    exchange: Exchange,
    why_not: Option<String>,
    asked: Tally,
    answered: Tally,
}

/// How much of a body came, and how much of it may be kept.
#[derive(Default)]
struct Tally {
    came: u64,
    room: usize,
}

impl Tally {
    fn add(&mut self, content: &mut Content, bytes: &Bytes) {
        self.came += bytes.len() as u64;
        let kept = bytes.len().min(self.room);
        self.room -= kept;
        content.bytes.extend_from_slice(&bytes[..kept]);
        if (content.bytes.len() as u64) < self.came {
            content.cut_from = Some(self.came);
        }
    }
}

impl Draft {
    pub(super) fn new(
        witness: &Witness,
        keeps_bodies: bool,
        opened: Instant,
        client: &str,
        head: &request::Parts,
    ) -> Arc<Self> {
        let began = Instant::now();
        let at_us = began.duration_since(opened).as_micros() as u64;
        let target = match head.uri.path_and_query() {
            Some(path) => path.as_str().to_owned(),
            None => head.uri.to_string(),
        };
        let mut headers = if keeps_bodies { copied(&head.headers) } else { Vec::new() };
        // HTTP/2 has the host in its target; a recording has it where people look for it.
        if let (true, Some(host)) = (keeps_bodies && head.uri.scheme().is_some(), head.uri.authority())
            && !head.headers.contains_key("host")
        {
            headers.insert(0, ("host".to_owned(), host.to_string()));
        }
        let exchange = Exchange {
            at_us,
            client: client.to_owned(),
            request: Asked {
                method: head.method.as_str().to_owned(),
                target,
                headers,
                body: Content::default(),
            },
            ..Exchange::default()
        };
        let asked = Tally { came: 0, room: if keeps_bodies { KEPT_BYTES_MAX } else { 0 } };
        let written = Written { exchange, why_not: None, asked, answered: Tally::default() };
        Arc::new(Self {
            began,
            at_us,
            keeps_bodies,
            witness: Arc::clone(witness),
            written: Mutex::new(Some(written)),
        })
    }

    pub(super) fn at_us(&self) -> u64 {
        self.at_us
    }

    pub(super) fn asked(&self, bytes: &Bytes) {
        if self.keeps_bodies {
            self.write(|w| w.asked.add(&mut w.exchange.request.body, bytes));
        }
    }

    pub(super) fn answers(&self, head: &response::Parts) {
        self.write(|w| {
            let headers = if self.keeps_bodies { copied(&head.headers) } else { Vec::new() };
            w.answered.room = if self.keeps_bodies { room_for(&head.headers) } else { 0 };
            w.exchange.answer =
                Some(Answered { status: head.status.as_u16(), headers, body: Content::default() });
        });
    }

    pub(super) fn answered(&self, bytes: &Bytes) {
        if self.keeps_bodies {
            self.write(|w| {
                if let Some(answer) = &mut w.exchange.answer {
                    w.answered.add(&mut answer.body, bytes);
                }
            });
        }
    }

    /// There will be no answer of the app's.
    pub(super) fn fail(&self, why: &str) {
        self.write(|w| w.why_not = Some(why.to_owned()));
        self.finish();
    }

    /// Tells it; the first time counts.
    pub(super) fn finish(&self) {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Written { mut exchange, why_not, .. }) = written else { return };
        exchange.took_us = self.began.elapsed().as_micros() as u64;
        (self.witness)(match why_not {
            None if exchange.answer.is_some() => Passed::Answered(exchange),
            None => Passed::Unanswered(
                exchange,
                "its client left, or the door was closed, before the answer came".to_owned(),
            ),
            Some(why) => Passed::Unanswered(exchange, why),
        });
    }

    fn write(&self, change: impl FnOnce(&mut Written)) {
        if let Some(written) = self.written.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            change(written);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.finish();
    }
}

fn copied(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
}

/// Values that later requests repeat come in pages, JSON and forms.
fn room_for(headers: &HeaderMap) -> usize {
    let kind =
        headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let may_hold_values = ["html", "json", "xml", "form", "text/plain"].iter().any(|k| kind.contains(k));
    if may_hold_values { KEPT_BYTES_MAX } else { OTHER_KEPT_BYTES_MAX }
}
