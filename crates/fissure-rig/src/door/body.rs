//! Bodies on their way through the door: passed on frame by frame, seen by the witness, never held.

use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::pool::Lease;
use super::witness::Draft;

/// A request's body, kept by the door and lent to the connection that sends it, so that it can be lent again as long
/// as nothing of it was sent.
///
/// None: there is no body.
#[derive(Clone)]
pub(super) struct Lender(Option<Arc<Mutex<Kept>>>);

/// The body as one connection has it.
pub(super) struct Lent {
    kept: Option<Arc<Mutex<Kept>>>,
    attempt: u32,
}

struct Kept {
    /// None once nobody wants it any more.
    body: Option<Incoming>,
    waiting: Option<Waker>,
    draft: Arc<Draft>,
    /// The app has not yet said that it wants it.
    held: Option<Arc<Hold>>,
    attempt: u32,
    was_touched: bool,
    has_ended: bool,
    failed: bool,
}

/// Holds a body back until the app answers `100 Continue`, as its client does.
#[derive(Default)]
pub(super) struct Hold {
    open: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Hold {
    pub(super) fn lift(&self) {
        self.open.store(true, SeqCst);
        if let Some(waker) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    pub(super) fn is_lifted(&self) -> bool {
        self.open.load(SeqCst)
    }

    fn poll_lifted(&self, cx: &mut Context<'_>) -> Poll<()> {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if self.is_lifted() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Lender {
    pub(super) fn new(body: Incoming, draft: Arc<Draft>, held: Option<Arc<Hold>>) -> Self {
        if body.is_end_stream() {
            return Self(None);
        }
        let kept = Kept {
            body: Some(body),
            waiting: None,
            draft,
            held,
            attempt: 0,
            was_touched: false,
            has_ended: false,
            failed: false,
        };
        Self(Some(Arc::new(Mutex::new(kept))))
    }

    /// For the next attempt; those before it get nothing more.
    pub(super) fn lend(&self) -> Lent {
        let attempt = self.kept().map_or(0, |mut kept| {
            kept.attempt += 1;
            kept.attempt
        });
        Lent { kept: self.0.clone(), attempt }
    }

    pub(super) fn was_touched(&self) -> bool {
        self.kept().is_some_and(|kept| kept.was_touched)
    }

    /// The answer has ended: what was not sent by then is not wanted, and who still sends it breaks off.
    fn take_back(&self) {
        let Some(mut kept) = self.kept() else { return };
        kept.body = None;
        if let Some(waiting) = kept.waiting.take() {
            waiting.wake();
        }
    }

    /// Everything of it has been sent.
    pub(super) fn has_ended(&self) -> bool {
        self.kept().is_none_or(|kept| kept.has_ended)
    }

    /// The client broke off, or framed it wrongly.
    pub(super) fn has_failed(&self) -> bool {
        self.kept().is_some_and(|kept| kept.failed)
    }

    fn kept(&self) -> Option<MutexGuard<'_, Kept>> {
        self.0.as_ref().map(|kept| lock(kept))
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body that was taken back.
#[derive(Debug, thiserror::Error)]
#[error("the answer ended before the request")]
struct TakenBack;

impl Body for Lent {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(kept) = &self.kept else { return Poll::Ready(None) };
        let mut kept = lock(kept);
        if kept.attempt != self.attempt || kept.body.is_none() {
            return Poll::Ready(Some(Err(TakenBack.into())));
        }
        kept.waiting = Some(cx.waker().clone());
        if let Some(hold) = &kept.held {
            ready!(hold.poll_lifted(cx));
            kept.held = None;
        }
        let Some(body) = &mut kept.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let is_over = body.is_end_stream();
        match &frame {
            None => kept.has_ended = true,
            Some(Err(_)) => kept.failed = true,
            Some(Ok(frame)) => {
                kept.was_touched = true;
                if let Some(bytes) = frame.data_ref() {
                    kept.draft.asked(bytes);
                }
                kept.has_ended = is_over;
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        let ended = |kept: &Arc<Mutex<Kept>>| lock(kept).body.as_ref().is_some_and(Incoming::is_end_stream);
        self.kept.as_ref().is_none_or(ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kept {
            None => SizeHint::with_exact(0),
            Some(kept) => lock(kept).body.as_ref().map(Incoming::size_hint).unwrap_or_default(),
        }
    }
}

/// An answer's body: the app's, or what the door says itself.
pub(super) enum Answer {
    App(Box<FromApp>),
    Own(Full<Bytes>),
}

pub(super) struct FromApp {
    body: Incoming,
    draft: Arc<Draft>,
    request: Lender,
    /// Goes back to the pool when the answer has ended.
    lease: Option<Lease>,
}

impl Answer {
    pub(super) fn own(text: impl Into<Bytes>) -> Self {
        Self::Own(Full::new(text.into()))
    }

    pub(super) fn from_app(body: Incoming, draft: Arc<Draft>, request: Lender, lease: Lease) -> Self {
        let mut answer = FromApp { body, draft, request, lease: Some(lease) };
        if answer.body.is_end_stream() {
            answer.end();
        }
        Self::App(Box::new(answer))
    }
}

impl FromApp {
    fn end(&mut self) {
        // A connection on which the request is still being sent cannot carry the next one.
        match self.lease.take() {
            Some(lease) if self.request.has_ended() => lease.give_back(),
            _ => self.request.take_back(),
        }
        self.draft.finish();
    }
}

/// A client that leaves, or an app that breaks off, ends the request too.
impl Drop for FromApp {
    fn drop(&mut self) {
        self.request.take_back();
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let answer = match self.get_mut() {
            Self::Own(text) => return Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Self::App(answer) => answer,
        };
        let frame = ready!(Pin::new(&mut answer.body).poll_frame(cx));
        if let Some(bytes) = frame.as_ref().and_then(|f| f.as_ref().ok()).and_then(Frame::data_ref) {
            answer.draft.answered(bytes);
        }
        if frame.is_none() || answer.body.is_end_stream() {
            answer.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(text) => text.is_end_stream(),
            Self::App(answer) => answer.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(text) => text.size_hint(),
            Self::App(answer) => answer.body.size_hint(),
        }
    }
}
