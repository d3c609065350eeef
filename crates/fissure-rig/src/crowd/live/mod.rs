//! What a user keeps open while the journey goes on: a WebSocket, a stream of events.
//!
//! While the user thinks, what comes is taken in, so that it has the instant of its arrival, pings are answered, and the app's
//! writes never wait for the user, as in a browser.

mod event_stream;
mod events;
mod inbox;
mod websocket;

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::time::Duration;

use fissure_facts::fact::ErrorClass;
use fissure_facts::journey::{Body, Expected, Source, StepKind};
use fissure_facts::{HttpVersion, Protocol};
use hyper::HeaderMap;
use hyper::header::{ACCEPT, HeaderValue};

use self::events::Events;
use self::inbox::{Inbox, Received};
use self::websocket::WebSocket;
use super::connection::{Connection, Failure, Reply};
use super::recorder::Outcome;
use super::script::ScriptStep;
use super::timer::{Alarm, monotonic_ns};
use super::user::User;
use crate::journey::{Answer, fits, judge};

#[derive(Default)]
pub(super) struct Live {
    websocket: Option<Inbox<WebSocket>>,
    events: Option<Inbox<Events>>,
}

impl Live {
    /// Waits for an instant, and takes in what comes meanwhile.
    pub(super) async fn until(&mut self, alarm: &Alarm, at_ns: u64) {
        let mut rings = pin!(alarm.until(at_ns));
        poll_fn(|cx| {
            if let Some(inbox) = &mut self.websocket {
                inbox.fill(cx);
            }
            if let Some(inbox) = &mut self.events {
                inbox.fill(cx);
            }
            rings.as_mut().poll(cx)
        })
        .await;
    }

    async fn next(&mut self, source: Source) -> Result<Received, Failure> {
        match source {
            Source::WebSocket => open(&mut self.websocket)?.next().await,
            Source::Events => open(&mut self.events)?.next().await,
        }
    }
}

fn open<F>(inbox: &mut Option<Inbox<F>>) -> Result<&mut Inbox<F>, Failure> {
    // Journeys that use what they never opened are refused; this one opened it, and the answer was another.
    inbox.as_mut().ok_or_else(|| Failure {
        class: ErrorClass::Assert,
        sentence: "nothing is open here: the step that was to open it was answered in another way".to_owned(),
    })
}

/// How long a step may take, if it says so itself.
pub(super) fn limit_of(step: &ScriptStep) -> Option<Duration> {
    step.step.kind.expected()?.within
}

/// What a timeout means when something was waited for.
pub(super) fn nothing_came(expected: &Expected, seen: u64, within_s: f64) -> String {
    let what = match (&expected.event, expected.from) {
        (Some(kind), _) => format!("no event `{kind}`"),
        (None, Source::Events) => "no event".to_owned(),
        (None, Source::WebSocket) => "no message".to_owned(),
    };
    match seen {
        0 => format!("{what} came within {within_s} s"),
        _ => format!("{what} that fits came within {within_s} s, among {seen} that came"),
    }
}

impl User {
    /// A step over something that stays open. `seen` counts what came.
    pub(super) async fn attempt_live(
        &mut self,
        step: &ScriptStep,
        planned_ns: u64,
        outcome: &mut Outcome,
        seen: &mut u64,
    ) -> Result<(), Failure> {
        match &step.step.kind {
            StepKind::Request => Ok(()),
            StepKind::WebSocket => self.open_websocket(step, planned_ns, outcome).await,
            StepKind::Events => self.open_events(step, planned_ns, outcome).await,
            StepKind::Send(expected) => {
                let is_text = !matches!(step.step.body, Body::Bytes(_));
                let message = step.draft(&mut self.personal())?.body;
                outcome.sent_ns = Some(monotonic_ns());
                let inbox = open(&mut self.live().websocket)?;
                if expected.is_some() {
                    inbox.clear(); // what came before is no answer
                }
                inbox.open_feed()?.send(message, is_text).await?;
                outcome.ended_ns = monotonic_ns();
                match expected {
                    Some(expected) => self.receive(step, expected, planned_ns, outcome, seen).await,
                    None => Ok(()),
                }
            }
            StepKind::Receive(expected) => {
                step.draft(&mut self.personal())?; // sets its variables
                outcome.sent_ns = Some(monotonic_ns());
                self.receive(step, expected, planned_ns, outcome, seen).await
            }
            StepKind::Close(source) => {
                outcome.sent_ns = Some(monotonic_ns());
                match source {
                    Source::Events => self.live().events = None,
                    Source::WebSocket => {
                        if let Some(mut inbox) = self.live().websocket.take() {
                            inbox.open_feed()?.close().await?;
                        }
                    }
                }
                outcome.ended_ns = monotonic_ns();
                Ok(())
            }
        }
    }

    fn live(&mut self) -> &mut Live {
        self.live.get_or_insert_default()
    }

    async fn open_websocket(
        &mut self,
        step: &ScriptStep,
        planned_ns: u64,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let draft = step.draft(&mut self.personal())?;
        outcome.sent_ns = Some(monotonic_ns());
        let replica = step.role.choose();
        // Browsers, too, give it a connection of its own, unless the app offers WebSocket inside of HTTP/2, which is rare.
        let protocol = Protocol { http: Some(HttpVersion::One), ..step.protocol };
        let connection = self.connect(&replica.0, protocol, false).await?;
        let Some(stream) = connection.into_stream() else { return Ok(()) };
        let (websocket, headers) = WebSocket::open(stream, &draft, replica).await?;
        outcome.ended_ns = monotonic_ns();
        self.live().websocket = Some(Inbox::new(websocket));
        let reply = Reply { status: 101, headers, ..Reply::default() };
        self.opened(step, draft.path(), reply, planned_ns, outcome)
    }

    async fn open_events(
        &mut self,
        step: &ScriptStep,
        planned_ns: u64,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let mut draft = step.draft(&mut self.personal())?;
        if draft.own.iter().all(|(name, _)| name != ACCEPT) {
            draft.own.push((ACCEPT, HeaderValue::from_static("text/event-stream")));
        }
        outcome.sent_ns = Some(monotonic_ns());
        let replica = step.role.choose();
        let known = self.take(&replica.0, draft.protocol);
        let had_one = known.is_some();
        let mut begun = None;
        if let Some(connection) = known.and_then(Connection::ready) {
            begun = match connection.begin(&draft).await {
                // The app closed it in the moment in which it was used.
                Err(failure) if failure.class == ErrorClass::Reset => None,
                other => Some(other?),
            };
        }
        let (response, connection) = match begun {
            Some(begun) => begun,
            None => self.connect(&replica.0, draft.protocol, had_one).await?.begin(&draft).await?,
        };
        if let Some(connection) = connection {
            self.keep(&replica.0, connection);
        }
        outcome.ended_ns = monotonic_ns();
        let (head, body) = response.into_parts();
        let version =
            if head.version == hyper::Version::HTTP_2 { HttpVersion::Two } else { HttpVersion::One };
        let status = head.status.as_u16();
        let events = (status == 200).then(|| Events::new(&head.headers, body, replica));
        let reply = Reply { version, status, headers: head.headers, ..Reply::default() };
        self.opened(step, draft.path(), reply, planned_ns, outcome)?;
        self.live().events = events.transpose()?.map(Inbox::new);
        Ok(())
    }

    /// Judges the answer that opens something.
    fn opened(
        &mut self,
        step: &ScriptStep,
        path: &str,
        reply: Reply,
        planned_ns: u64,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        outcome.status = Some(reply.status);
        self.jar.store(&reply.headers, path);
        let duration = Duration::from_nanos(outcome.ended_ns.saturating_sub(planned_ns));
        let mut answer = Answer::new(reply.status, &reply.headers, &[], "", duration);
        answer.version = reply.version;
        Ok(judge(&step.step, &answer, &mut self.variables)?)
    }

    /// Waits for what is expected; what does not fit is passed over.
    async fn receive(
        &mut self,
        step: &ScriptStep,
        expected: &Expected,
        planned_ns: u64,
        outcome: &mut Outcome,
        seen: &mut u64,
    ) -> Result<(), Failure> {
        let (headers, turned_ns) = (HeaderMap::new(), outcome.ended_ns);
        let mut fitting = 0;
        loop {
            let received = self.live().next(expected.from).await?;
            *seen += 1;
            outcome.body_bytes += received.data.len() as u64;
            let ended_ns = received.at_ns.max(turned_ns);
            let duration = Duration::from_nanos(ended_ns.saturating_sub(planned_ns));
            let answer = Answer::new(200, &headers, &received.data, "", duration);
            let is_kind = expected.event.as_ref().is_none_or(|kind| received.kind.as_ref() == Some(kind));
            if !is_kind || !fits(&expected.wanted, &answer, &self.variables) {
                continue;
            }
            fitting += 1;
            if fitting == expected.nth {
                outcome.ended_ns = ended_ns;
                return Ok(judge(&step.step, &answer, &mut self.variables)?);
            }
        }
    }
}
