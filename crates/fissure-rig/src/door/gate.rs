//! The gate in front of hyper's server: bytes of HTTP/1.x are let through once [`Framing`] has judged them, so that
//! nothing behind it ever sees a request that can be read in two ways.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::framing::{Found, Framing, Refusal};

/// Stands in for a request that was refused, so that its answer takes its turn behind those of the requests before it.
pub(super) const REFUSED: &str = "FISSURE-REFUSED";
const STAND_IN: &[u8] = b"FISSURE-REFUSED / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

const LINGER: Duration = Duration::from_secs(1);

/// What gate and handler of one connection tell each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Word(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    refusal: Option<Refusal>,
    /// The app's answer to a request for another protocol.
    switched: Option<bool>,
    waiting: Option<Waker>,
}

impl Word {
    /// Why the gate let no more requests in.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.lock().refusal
    }

    /// The app has agreed to another protocol, or has not.
    pub(super) fn decide(&self, switched: bool) {
        let mut said = self.lock();
        said.switched = Some(switched);
        if let Some(waiting) = said.waiting.take() {
            waiting.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        // Each change is one assignment: a panic leaves nothing in halves.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Gate<S> {
    stream: S,
    framing: Framing,
    word: Word,
    /// Read and not yet judged.
    unjudged: Vec<u8>,
    /// Judged and not yet taken.
    let_in: Vec<u8>,
    /// Where in `let_in` the last request begins, as long as nothing of it was taken.
    begins: Option<usize>,
    refused: bool,
    /// A request was refused of which a part had been taken.
    broken: bool,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Gate<S> {
    pub(super) fn new(stream: S) -> (Self, Word) {
        let word = Word::default();
        let gate = Self {
            stream,
            framing: Framing::new(),
            word: word.clone(),
            unjudged: Vec::new(),
            let_in: Vec::new(),
            begins: None,
            refused: false,
            broken: false,
            lingering: None,
        };
        (gate, word)
    }

    /// Judges what has come; gives how much of its beginning may pass, and where in that the last request begins.
    fn judge(&mut self, came: &[u8]) -> (usize, Option<usize>) {
        let (mut judged, mut begins) = (0, None);
        while !self.refused {
            match self.framing.read(&came[judged..]) {
                Ok(Found::Head(length)) => {
                    begins = Some(judged);
                    judged += length;
                }
                Ok(Found::More(length)) => judged += length,
                Ok(Found::Nothing) => break,
                Err(refusal) => {
                    self.refused = true;
                    self.word.lock().refusal = Some(refusal);
                    break;
                }
            }
        }
        (judged, begins)
    }

    /// Judges what lies here.
    fn judge_kept(&mut self) {
        let unjudged = std::mem::take(&mut self.unjudged);
        let (judged, begins) = self.judge(&unjudged);
        if let Some(begins) = begins {
            self.begins = Some(self.let_in.len() + begins);
        }
        self.let_in.extend_from_slice(&unjudged[..judged]);
        self.unjudged = unjudged;
        self.unjudged.drain(..judged);
        if self.refused {
            self.refuse(self.begins);
        }
    }

    /// Judges what has come into the reader's buffer: mostly whole requests, which stay where they are.
    fn judge_in(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let came = &buf.filled()[before..];
        let (judged, begins) = self.judge(came);
        self.unjudged.extend_from_slice(&came[judged..]);
        let mut given = judged;
        if self.refused
            && !self.framing.is_between_requests()
            && let Some(begins) = begins
        {
            given = begins;
        }
        buf.set_filled(before + given);
        if self.refused {
            self.refuse(begins.map(|_| 0));
        }
    }

    /// Lets the stand-in take the place of what was refused: of the request that begins at `begins` of what was let in,
    /// if a part of it was judged to be right.
    fn refuse(&mut self, begins: Option<usize>) {
        if !self.framing.is_between_requests() {
            let Some(begins) = begins else {
                self.broken = true;
                return;
            };
            self.let_in.truncate(begins);
        }
        self.let_in.extend_from_slice(STAND_IN);
    }

    /// Gives of what was let in as much as fits.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let given = self.let_in.len().min(buf.remaining());
        buf.put_slice(&self.let_in[..given]);
        self.let_in.drain(..given);
        self.begins = self.begins.and_then(|at| at.checked_sub(given));
    }
}

/// What a client's first request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    Http2,
    /// HTTP/1.x, with names written like `Content-Type`.
    TitleCase,
    /// HTTP/1.x, with other names.
    OtherCase,
}

impl First {
    fn of(head: &[u8]) -> Self {
        if head.starts_with(b"PRI ") {
            return Self::Http2;
        }
        let mut lines = head.split(|&b| b == b'\n').skip(1).take_while(|line| *line != b"\r");
        let is_title_case = lines.all(|line| {
            let name = line.split(|&b| b == b':').next().unwrap_or_default();
            let mut before = b'-';
            name.iter().all(|&b| {
                let fits = if before == b'-' { !b.is_ascii_lowercase() } else { !b.is_ascii_uppercase() };
                before = b;
                fits
            })
        });
        if is_title_case { Self::TitleCase } else { Self::OtherCase }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Waits for the first request; it stays here for the one who reads.
    pub(super) async fn first(&mut self) -> io::Result<First> {
        let mut some = [0; 2048];
        while self.let_in.is_empty() && !self.refused {
            let mut buf = ReadBuf::new(&mut some);
            poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut buf)).await?;
            if buf.filled().is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.unjudged.extend_from_slice(buf.filled());
            self.judge_kept();
        }
        Ok(First::of(&self.let_in))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        loop {
            if !gate.let_in.is_empty() {
                gate.give(buf);
                return Poll::Ready(Ok(()));
            }
            if gate.broken {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if gate.refused {
                // Its answer ends the connection; what the client still sends is nobody's business.
                return Poll::Pending;
            }
            if gate.framing.is_undecided() {
                let mut said = gate.word.lock();
                let Some(switched) = said.switched.take() else {
                    said.waiting = Some(cx.waker().clone());
                    return Poll::Pending;
                };
                drop(said);
                gate.framing.decide(switched);
                gate.judge_kept();
                continue;
            }
            let unread = gate.framing.unread();
            if unread > 0 && gate.unjudged.is_empty() {
                return gate.pass(cx, buf, unread);
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut gate.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            if gate.unjudged.is_empty() {
                gate.judge_in(buf, before);
                if buf.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
            } else {
                gate.unjudged.extend_from_slice(&buf.filled()[before..]);
                buf.set_filled(before);
                gate.judge_kept();
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Bytes of a body whose length is known, straight from the network.
    fn pass(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, at_most: u64) -> Poll<io::Result<()>> {
        let room = usize::try_from(at_most).unwrap_or(usize::MAX).min(buf.remaining());
        let filled = {
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
            part.filled().len()
        };
        buf.advance(filled);
        self.framing.passed(filled as u64);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Who closes a socket in which something unread lies destroys what it has just written (RFC 9112 9.6): so what
    /// the client still sends is read and thrown away, for a moment.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.lingering.is_none() {
            ready!(Pin::new(&mut gate.stream).poll_shutdown(cx))?;
        }
        if gate.framing.is_free() {
            return Poll::Ready(Ok(()));
        }
        let patience = gate.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut thrown_away = [0; 4096];
        while patience.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut thrown_away);
            ready!(Pin::new(&mut gate.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_head_shows_how_its_client_writes_names() {
        for (head, first) in [
            ("GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a:b\r\n\r\nlower: body", First::TitleCase),
            ("GET / HTTP/1.0\r\n\r\n", First::TitleCase),
            ("GET / HTTP/1.1\r\nHost: x\r\nsec-ch-ua: 1\r\n\r\n", First::OtherCase),
            ("GET / HTTP/1.1\r\nHost: x\r\nX-MiXed: 1\r\n\r\n", First::OtherCase),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", First::Http2),
        ] {
            assert_eq!(First::of(head.as_bytes()), first, "{head}");
        }
    }
}
