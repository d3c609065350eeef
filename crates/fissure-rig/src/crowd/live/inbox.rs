//! What came and nobody has looked at yet.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::crowd::connection::Failure;

/// So much is held; beyond it the oldest is forgotten.
const HELD_MAX: usize = 1_000;
const HELD_BYTES_MAX: usize = 1 << 20;

/// A message or an event.
pub(super) struct Received {
    pub(super) at_ns: u64,
    /// Type of an event.
    pub(super) kind: Option<String>,
    pub(super) data: Bytes,
}

/// Something that brings messages. After an error it is not asked again.
pub(super) trait Feed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, Failure>>;
}

pub(super) struct Inbox<F> {
    feed: F,
    held: VecDeque<Received>,
    held_bytes: usize,
    ended: Option<Failure>,
}

impl<F: Feed> Inbox<F> {
    pub(super) fn new(feed: F) -> Self {
        Self { feed, held: VecDeque::new(), held_bytes: 0, ended: None }
    }

    /// Takes in what there is.
    pub(super) fn fill(&mut self, cx: &mut Context<'_>) {
        while self.ended.is_none() {
            match self.feed.poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(received)) => self.hold(received),
                Poll::Ready(Err(failure)) => self.ended = Some(failure),
            }
        }
    }

    pub(super) async fn next(&mut self) -> Result<Received, Failure> {
        poll_fn(|cx| {
            self.fill(cx);
            match (self.take(), &self.ended) {
                (Some(received), _) => Poll::Ready(Ok(received)),
                (None, Some(failure)) => Poll::Ready(Err(failure.clone())),
                (None, None) => Poll::Pending,
            }
        })
        .await
    }

    /// What brings the messages, unless it has ended.
    pub(super) fn open_feed(&mut self) -> Result<&mut F, Failure> {
        match &self.ended {
            Some(failure) => Err(failure.clone()),
            None => Ok(&mut self.feed),
        }
    }

    /// Forgets what came so far.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.held_bytes = 0;
    }

    fn hold(&mut self, received: Received) {
        self.held_bytes += received.bytes();
        self.held.push_back(received);
        // One alone may be larger: somebody may be waiting for it.
        while self.held.len() > HELD_MAX || (self.held_bytes > HELD_BYTES_MAX && self.held.len() > 1) {
            self.take();
        }
    }

    fn take(&mut self) -> Option<Received> {
        let received = self.held.pop_front()?;
        self.held_bytes -= received.bytes();
        Some(received)
    }
}

impl Received {
    fn bytes(&self) -> usize {
        self.data.len() + self.kind.as_ref().map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use fissure_facts::fact::ErrorClass;

    use super::*;

    /// Brings so many messages of so many bytes, and then nothing or an end.
    struct Flood {
        number: u64,
        until: u64,
        bytes: usize,
        ends: bool,
    }

    impl Feed for Flood {
        fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Received, Failure>> {
            if self.number == self.until {
                assert!(!self.ends || self.bytes > 0, "asked again after the end");
                let end = Failure { class: ErrorClass::Reset, sentence: "the end".to_owned() };
                return if self.ends { Poll::Ready(Err(end)) } else { Poll::Pending };
            }
            self.number += 1;
            let data = vec![b'x'; self.bytes].into();
            Poll::Ready(Ok(Received { at_ns: self.number, kind: Some("kind".to_owned()), data }))
        }
    }

    fn held_of(flood: Flood) -> (Inbox<Flood>, Vec<u64>) {
        let mut inbox = Inbox::new(flood);
        inbox.fill(&mut Context::from_waker(Waker::noop()));
        let held = inbox.held.iter().map(|r| r.at_ns).collect();
        (inbox, held)
    }

    #[test]
    fn a_flood_that_nobody_takes_does_not_fill_the_memory() {
        let (_, held) = held_of(Flood { number: 0, until: 5_000, bytes: 1, ends: false });
        assert_eq!(held, (4_001..=5_000).collect::<Vec<_>>(), "the newest are held");
        let (inbox, held) = held_of(Flood { number: 0, until: 500, bytes: 100 << 10, ends: false });
        assert_eq!(held.last(), Some(&500));
        assert!(inbox.held_bytes <= HELD_BYTES_MAX && held.len() == 10, "{held:?}");
        let (_, held) = held_of(Flood { number: 0, until: 2, bytes: 2 << 20, ends: false });
        assert_eq!(held, [2], "one that is too large alone is held");
    }

    #[test]
    fn what_came_before_the_end_is_still_there() {
        let (mut inbox, _) = held_of(Flood { number: 0, until: 2, bytes: 1, ends: true });
        assert!(inbox.open_feed().is_err());
        let mut next = || {
            let mut next = std::pin::pin!(inbox.next());
            match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(received) => received.map(|r| r.at_ns).map_err(|f| f.sentence),
                Poll::Pending => panic!("waits for nothing"),
            }
        };
        assert_eq!(
            [next(), next(), next(), next()],
            [Ok(1), Ok(2), Err("the end".to_owned()), Err("the end".to_owned())]
        );
    }
}
