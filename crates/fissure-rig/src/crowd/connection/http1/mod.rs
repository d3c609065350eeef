//! One keep-alive HTTP/1.1 connection of one user.
//!
//! The client is our own because it is what the crowd spends its time on: hyper's, good as it is, takes as much CPU for a
//! request as everything else that the crowd does outside of the kernel. It has no buffers while nothing is under way,
//! so that a user who thinks costs a socket and nothing else.

mod answer;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use fissure_facts::fact::ErrorClass;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::answer::Answer;
use super::stream::Stream;
use super::{Failure, Keep, Reply};
use crate::crowd::draft::Draft;

const READ_BYTES: usize = 64 << 10;
/// A body up to this size goes out in one piece with its head.
const JOINED_BODY_BYTES_MAX: usize = 16 << 10;

thread_local! {
    /// Used only while a connection is polled, so one of each serves all connections of a thread.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
    static WRITE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Http1 {
    stream: Stream,
    /// At rest between two answers.
    is_at_rest: bool,
}

impl Http1 {
    pub(super) fn over(stream: Stream) -> Self {
        Self { stream, is_at_rest: true }
    }

    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Neither closed by the app nor full of bytes that no request asked for.
    pub(super) fn is_ready(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        self.is_at_rest
            && Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Sends a request and reads its answer to the last byte.
    pub(super) async fn exchange(&mut self, draft: &Draft<'_>, keep: Keep) -> Result<Reply, Failure> {
        self.is_at_rest = false;
        let mut answer = Answer::to(&draft.method, keep);
        let mut unsent = poll_fn(|cx| Poll::Ready(Unsent::begin(&mut self.stream, cx, draft))).await;
        let mut is_sent = false;
        poll_fn(|cx| {
            // An app may answer before it has read the whole request, and then close: so both directions are looked at,
            // and a request that can go no further leaves it to the answer to say why.
            if !is_sent && let Poll::Ready(Ok(())) = unsent.poll_send(&mut self.stream, cx) {
                is_sent = true;
            }
            self.poll_answer(cx, &mut answer)
        })
        .await?;
        let (reply, keeps_open) = answer.into_reply();
        self.is_at_rest = keeps_open && is_sent;
        if !self.is_at_rest {
            // Some apps wait for the client's end before they take the next one (gunicorn with few workers, up to two seconds).
            poll_fn(|cx| Poll::Ready(Pin::new(&mut self.stream).poll_shutdown(cx).is_ready())).await;
        }
        Ok(reply)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, answer: &mut Answer) -> Poll<Result<(), Failure>> {
        READ.with_borrow_mut(|buffer| {
            while !answer.is_whole() {
                let mut read = ReadBuf::new(buffer);
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))
                    .map_err(|e| answer.cut_short(&e.to_string()))?;
                let bytes = read.filled();
                if bytes.is_empty() {
                    answer.end()?;
                } else if !answer.take(bytes)?.is_empty() {
                    let sentence = "the app sent more than its answer's length allows".to_owned();
                    return Poll::Ready(Err(Failure { class: ErrorClass::Malformed, sentence }));
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}

/// What of a request has not gone out yet.
#[derive(Default)]
struct Unsent {
    head: Bytes,
    body: Bytes,
}

impl Unsent {
    /// Sends what the socket takes at once, which is nearly always all.
    fn begin(stream: &mut Stream, cx: &mut Context<'_>, draft: &Draft<'_>) -> Self {
        WRITE.with_borrow_mut(|head| {
            head.clear();
            draft.write_head(head);
            let mut body = draft.body.clone();
            if body.len() <= JOINED_BODY_BYTES_MAX {
                head.extend_from_slice(&body);
                body.clear();
            }
            let sent = match Pin::new(stream).poll_write(cx, head) {
                Poll::Ready(Ok(bytes)) => bytes,
                // An error comes again with the next attempt.
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            Self { head: Bytes::copy_from_slice(&head[sent..]), body }
        })
    }

    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }

    fn poll_send(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let part = if self.head.is_empty() { &mut self.body } else { &mut self.head };
            let sent = ready!(Pin::new(&mut *stream).poll_write(cx, part))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            part.advance(sent);
        }
        Pin::new(stream).poll_flush(cx)
    }
}

#[cfg(test)]
mod tests;
