//! One keep-alive HTTP/1.1 connection of one user.
//!
//! hyper's connection future is driven by the user's own task, not by a task of its own: that saves two wake-ups for
//! every request, and nothing happens on the connection behind the user's back.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use fissure_facts::fact::ErrorClass;
use http_body_util::Full;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::stream::Stream;
use super::{Failure, KEPT_BODY_BYTES_MAX, Reply};

/// Bounds the head of an answer, and the memory of a connection.
const BUFFER_BYTES_MAX: usize = 64 << 10;

type Driver = http1::Connection<TokioIo<Stream>, Full<Bytes>>;

pub(super) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
    /// Set once the driver has ended, with its error if it had one.
    ended: Option<Option<hyper::Error>>,
}

impl Http1 {
    pub(super) async fn over(stream: Stream) -> Result<Self, Failure> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER_BYTES_MAX).title_case_headers(true);
        let (sender, driver) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|e| Failure::of_exchange(&e))?;
        Ok(Self { sender, driver, ended: None })
    }

    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            let is_at_rest = matches!(self.sender.poll_ready(&mut idle()), Poll::Ready(Ok(())));
            Poll::Ready(self.ended.is_none() && is_at_rest)
        })
        .await
    }

    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        keep_body: bool,
    ) -> Result<Reply, Failure> {
        let mut answer = pin!(self.sender.try_send_request(request));
        // Only the driver can bring the answer nearer, and this task polls the driver: so the answer needs no waker, and
        // the task is not woken by itself.
        let response = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(&mut idle())
        })
        .await
        .map_err(|e| Failure::of_exchange(e.error()))?;

        let (head, mut incoming) = response.into_parts();
        let mut reply =
            Reply { status: head.status.as_u16(), headers: head.headers, body: Vec::new(), body_bytes: 0 };
        poll_fn(|cx| self.poll_body(cx, &mut incoming, keep_body, &mut reply)).await?;
        // Lets the connection come to rest. What the app sent beyond the end of its answer shows here.
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        match &self.ended {
            Some(Some(error)) if io_error(error).is_none() => Err(Failure {
                class: ErrorClass::Malformed,
                sentence: format!("the app sent more than its answer's length allows ({error})"),
            }),
            _ => Ok(reply),
        }
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Incoming,
        keep: bool,
        reply: &mut Reply,
    ) -> Poll<Result<(), Failure>> {
        let mut has_driven = false;
        loop {
            match Pin::new(&mut *incoming).poll_frame(&mut idle()) {
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Failure::of_exchange(&error))),
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    reply.body_bytes += data.len() as u64;
                    if keep && reply.body_bytes > KEPT_BODY_BYTES_MAX {
                        return Poll::Ready(Err(Failure {
                            class: ErrorClass::Malformed,
                            sentence: format!(
                                "the body is larger than {} MB, too large for a capture or an assert",
                                KEPT_BODY_BYTES_MAX >> 20
                            ),
                        }));
                    }
                    if keep {
                        reply.body.extend_from_slice(&data);
                    }
                    has_driven = false;
                }
                Poll::Pending if has_driven => return Poll::Pending,
                Poll::Pending => {
                    self.drive(cx);
                    has_driven = true;
                }
            }
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.ended.is_none()
            && let Poll::Ready(end) = Pin::new(&mut self.driver).poll(cx)
        {
            self.ended = Some(end.err());
        }
    }
}

/// A context whose waker wakes nobody.
fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref() {
            return Some(io);
        }
        source = inner.source();
    }
    None
}

impl Failure {
    fn of_exchange(error: &hyper::Error) -> Self {
        // A request that was never taken off the queue carries the reason inside.
        if let Some(reason) = error.source().and_then(|e| e.downcast_ref()).filter(|_| error.is_canceled()) {
            return Self::of_exchange(reason);
        }
        let kind = io_error(error).map(io::Error::kind);
        let bad_framing = matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
        if error.is_parse() || error.is_parse_too_large() || bad_framing {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            return Self {
                class: ErrorClass::Malformed,
                sentence: format!("the answer is not proper HTTP/1.1 ({reason})"),
            };
        }
        let is_closed = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        if kind.is_none() && !is_closed && !error.is_user() {
            // hyper has no name of its own for it: bytes came when none were due.
            let sentence = format!("the app sent bytes that no request asked for ({error})");
            return Self { class: ErrorClass::Malformed, sentence };
        }
        if error.is_user() {
            let sentence = format!("the crowd could not write the request ({error})");
            return Self { class: ErrorClass::Crowd, sentence };
        }
        let sentence = format!("the app closed the connection before its answer was whole ({error})");
        Self { class: ErrorClass::Reset, sentence }
    }
}
