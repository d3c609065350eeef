//! A stream of server-sent events: the answer to a GET that does not end.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fissure_facts::fact::ErrorClass;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::event_stream::EventStream;
use super::inbox::{Feed, Received};
use crate::crowd::connection::Failure;
use crate::crowd::dispatch::Outstanding;
use crate::crowd::timer::monotonic_ns;

pub(super) struct Events {
    body: Incoming,
    stream: EventStream,
    /// What the last bytes brought and nobody has taken yet.
    complete: VecDeque<Received>,
    /// Counts for the choice of replicas as long as it is open.
    _outstanding: Outstanding,
}

impl Events {
    pub(super) fn new(
        headers: &HeaderMap,
        body: Incoming,
        outstanding: Outstanding,
    ) -> Result<Self, Failure> {
        let text =
            |name| headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).to_ascii_lowercase());
        let malformed = |sentence: String| Failure { class: ErrorClass::Malformed, sentence };
        let content_type = text(CONTENT_TYPE).unwrap_or_default();
        if content_type.split(';').next().map(str::trim) != Some("text/event-stream") {
            return Err(malformed(format!(
                "the answer is no stream of events: its content type is `{content_type}`, not `text/event-stream`"
            )));
        }
        match text(CONTENT_ENCODING) {
            Some(encoding) if encoding != "identity" => Err(malformed(format!(
                "the stream of events is encoded as `{encoding}`, which nobody asked for"
            ))),
            _ => Ok(Self {
                body,
                stream: EventStream::default(),
                complete: VecDeque::new(),
                _outstanding: outstanding,
            }),
        }
    }
}

impl Feed for Events {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, Failure>> {
        loop {
            if let Some(event) = self.complete.pop_front() {
                return Poll::Ready(Ok(event));
            }
            let failure =
                |class, sentence: &str| Poll::Ready(Err(Failure { class, sentence: sentence.to_owned() }));
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return failure(ErrorClass::Reset, "the app ended the stream of events");
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(e) => {
                    return failure(ErrorClass::CutShort, &format!("the stream of events broke off ({e})"));
                }
            };
            let Ok(bytes) = frame.into_data() else { continue };
            let at_ns = monotonic_ns();
            let complete = &mut self.complete;
            let taken = self.stream.take(&bytes, |event| {
                complete.push_back(Received { at_ns, kind: Some(event.kind), data: event.data });
            });
            if taken.is_err() {
                return failure(ErrorClass::TooLarge, "an event is larger than 1 MB");
            }
        }
    }
}
