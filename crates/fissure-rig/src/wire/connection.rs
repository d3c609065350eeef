//! One connection through the relay: two directions, each with pieces on their way.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fissure_facts::{FaultKind, Trigger};
use rand::RngExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::pace::Pace;
use super::request::{of_http, strikes};
use super::state::State;
use crate::timerfd::{Timerfd, monotonic_ns};

const PIECE_BYTES: usize = 16 * 1024;
/// Pieces on their way in one direction: enough that a delay does not become a limit of bandwidth.
const PIECES: usize = 256;
/// A limited link carries its bytes in portions of this much time, so that it trickles rather than bursts.
const PORTION: Duration = Duration::from_millis(10);
/// How long whoever was told that the connection ends may go on sending.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To whom the link leads.
    Up,
    /// Back: answers.
    Down,
}

/// How a connection ends.
enum End {
    Politely,
    ByReset,
    /// With an answer of this status, which is not the app's.
    Saying(u32),
}

struct Piece {
    bytes: Vec<u8>,
    release: Instant,
}

impl Line {
    pub(super) fn new(number: u64, state: watch::Receiver<State>, pace: Arc<Pace>, counts: Counts) -> Self {
        Self { number, state, pace, counts, struck: watch::Sender::new(false) }
    }

    pub(super) async fn serve(self, mut client: TcpStream, upstream: SocketAddr) {
        let mut watched = self.state.clone();
        loop {
            let now = watched.borrow_and_update().clone();
            match now.befalls(self.number, false) {
                Some(FaultKind::Reset | FaultKind::Refuse) => return reset(&client),
                Some(FaultKind::Fin) => return say_goodbye(client).await,
                Some(FaultKind::Blackhole | FaultKind::SynHang) => now.over(&mut watched).await,
                _ => break,
            }
        }
        let Ok(mut server) = connect(&client, upstream).await else { return reset(&client) };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let end = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            // An error ends both directions at once; an end of one lets the other go on (half-closed).
            let both = async {
                tokio::try_join!(
                    self.carry(Way::Up, from_client, to_server),
                    self.carry(Way::Down, from_server, to_client),
                )
            };
            tokio::select! {
                ended = both => ended.err().unwrap_or(End::Politely),
                end = self.torn() => end,
            }
        };
        match end {
            End::ByReset => {
                reset(&client);
                reset(&server);
            }
            End::Politely => say_goodbye(client).await,
            End::Saying(code) => {
                let answer = format!(
                    "HTTP/1.1 {code} Injected by fissure\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = client.write_all(answer.as_bytes()).await; // whoever has gone needs no answer
                say_goodbye(client).await;
            }
        }
    }
}

/// Connects as the client: with its address, so that the app sees who came, and ports do not run out.
async fn connect(client: &TcpStream, upstream: SocketAddr) -> io::Result<TcpStream> {
    let socket = if upstream.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (client.peer_addr()?.ip(), upstream.ip())
        && from.is_loopback()
        && to.is_loopback()
    {
        socket.bind(SocketAddr::new(from.into(), 0))?;
    }
    socket.connect(upstream).await
}

/// The next close of it is a reset.
fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)); // it was reset already
}

/// Ends politely, and reads what still comes: a close with unread bytes would be a reset.
async fn say_goodbye(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut rest = [0; 1024];
    let read_rest = async { while stream.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {} };
    let _ = tokio::time::timeout(LAST_WORDS, read_rest).await;
}

/// What all connections of a link count together.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    /// Requests that were seen while a trigger looked at them.
    pub(super) requests: Arc<AtomicU64>,
    pub(super) carried: Arc<AtomicU64>,
}

pub(super) struct Line {
    number: u64,
    state: watch::Receiver<State>,
    pace: Arc<Pace>,
    counts: Counts,
    /// What passed over this connection makes the fault befall it.
    struck: watch::Sender<bool>,
}

impl Line {
    fn fault(&self) -> Option<FaultKind> {
        self.state.borrow().befalls(self.number, *self.struck.borrow())
    }

    /// A piece is about to pass: it may decide whether the connection is struck.
    fn look_at(&self, way: Way, bytes: &[u8]) {
        let now = self.state.borrow();
        let Some(broken) = now.broken_now() else { return };
        let strikes = match way {
            Way::Up => strikes(broken, bytes, || self.counts.requests.fetch_add(1, Ordering::Relaxed) + 1),
            Way::Down => None,
        };
        if let Some(is_struck) = strikes {
            self.struck.send_replace(is_struck);
        }
    }

    /// The first bytes of an answer have passed.
    fn has_answered(&self) {
        let waits_for_it = self.state.borrow().broken_now().is_some_and(|b| b.trigger == Trigger::FirstByte);
        if waits_for_it {
            self.struck.send_replace(true);
        }
    }

    /// Ends when a fault tears a connection that stands, busy or idle.
    async fn torn(&self) -> End {
        let (mut watched, mut struck) = (self.state.clone(), self.struck.subscribe());
        loop {
            let now = watched.borrow_and_update().clone();
            let is_struck = *struck.borrow_and_update();
            match now.befalls(self.number, is_struck) {
                Some(FaultKind::Refuse) => return End::ByReset,
                // Who was open when the fault began; who is struck by its own request is torn by `write`.
                Some(FaultKind::Reset) if is_struck => return End::ByReset,
                Some(FaultKind::Fin) => return End::Politely,
                _ => tokio::select! {
                    () = now.over(&mut watched) => {}
                    _ = struck.changed() => {}
                },
            }
        }
    }

    /// Carries one direction to its end; an error ends the connection.
    async fn carry(
        &self,
        way: Way,
        from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), End> {
        let (send, mut pieces) = mpsc::channel(PIECES);
        let write = async {
            while let Some(piece) = pieces.recv().await {
                self.write(way, piece, &mut to).await?;
            }
            if let (Way::Down, Some(FaultKind::SlowClose { ms })) = (way, self.fault()) {
                pause(Duration::from_millis(u64::from(ms))).await;
            }
            self.through_blackhole().await;
            to.shutdown().await.map_err(|_| End::ByReset)
        };
        tokio::try_join!(self.read(way, from, send), write).map(|_| ())
    }

    /// Reads pieces and stamps each with the instant at which it is to be passed on.
    async fn read(
        &self,
        way: Way,
        mut from: impl AsyncRead + Unpin,
        send: mpsc::Sender<Piece>,
    ) -> Result<(), End> {
        let mut random = self.state.borrow().random(self.number);
        let mut last = Instant::now();
        let mut bytes = vec![0; PIECE_BYTES];
        loop {
            let count = from.read(&mut bytes).await.map_err(|_| End::ByReset)?;
            if count == 0 {
                return Ok(());
            }
            self.counts.carried.fetch_add(count as u64, Ordering::Relaxed);
            let later_us = match (way, self.fault()) {
                (Way::Down, Some(FaultKind::Latency { ms })) => u64::from(ms) * 1000,
                (Way::Down, Some(FaultKind::Jitter { ms })) => random.random_range(0..=u64::from(ms) * 1000),
                _ => 0,
            };
            // TCP keeps the order, so a piece never overtakes the one before.
            last = last.max(Instant::now() + Duration::from_micros(later_us));
            let piece = Piece { bytes: bytes[..count].to_vec(), release: last };
            if send.send(piece).await.is_err() {
                return Ok(()); // the writer ended, and said why
            }
        }
    }

    async fn write(&self, way: Way, piece: Piece, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), End> {
        pause(piece.release.saturating_duration_since(Instant::now())).await;
        let bytes = piece.bytes.as_slice();
        self.look_at(way, bytes);
        self.through_blackhole().await;
        let sent = match (way, self.fault()) {
            (Way::Up, Some(FaultKind::Status { code })) if of_http(bytes).is_some() => {
                return Err(End::Saying(code));
            }
            (Way::Up, Some(FaultKind::Delay { ms })) if of_http(bytes).is_some() => {
                pause(Duration::from_millis(u64::from(ms))).await;
                to.write_all(bytes).await
            }
            (Way::Down, Some(FaultKind::Truncate)) => {
                let _ = to.write_all(&bytes[..middle_of(bytes)]).await; // it ends in any case
                let _ = to.flush().await;
                return Err(End::Politely);
            }
            (Way::Down, Some(FaultKind::HalfOpen)) => return Err(self.lose_answers().await),
            (Way::Down, Some(FaultKind::Cut)) => {
                let _ = to.write_all(&bytes[..middle_of(bytes)]).await; // it is torn in any case
                let _ = to.flush().await;
                return Err(End::ByReset);
            }
            (_, Some(FaultKind::Bandwidth { kib_per_s })) => self.paced(way, bytes, kib_per_s, to).await,
            (Way::Down, Some(FaultKind::Slicer { bytes: size, pause_us })) => {
                sliced(bytes, size as usize, Duration::from_micros(u64::from(pause_us)), to).await
            }
            _ => to.write_all(bytes).await,
        };
        if way == Way::Down {
            self.has_answered();
        }
        sent.map_err(|_| End::ByReset)
    }

    /// What is on its way into a black hole comes out when the hole is gone, as TCP sends again what was not confirmed.
    async fn through_blackhole(&self) {
        let mut watched = self.state.clone();
        loop {
            let now = watched.borrow_and_update().clone();
            if now.befalls(self.number, *self.struck.borrow()) != Some(FaultKind::Blackhole) {
                return;
            }
            now.over(&mut watched).await;
        }
    }

    /// Keeps silent until the fault is over. Then the connection is torn: bytes of it are missing.
    async fn lose_answers(&self) -> End {
        let mut watched = self.state.clone();
        loop {
            let now = watched.borrow_and_update().clone();
            if now.befalls(self.number, *self.struck.borrow()) != Some(FaultKind::HalfOpen) {
                return End::ByReset;
            }
            now.over(&mut watched).await;
        }
    }

    async fn paced(
        &self,
        way: Way,
        bytes: &[u8],
        kib_per_s: u32,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let bytes_per_s = f64::from(kib_per_s) * 1024.0;
        let portion = ((bytes_per_s * PORTION.as_secs_f64()) as usize).max(1);
        for portion in bytes.chunks(portion) {
            // Lifted in the middle of a long answer: the rest is free to go.
            if matches!(self.fault(), Some(FaultKind::Bandwidth { .. })) {
                sleep_until(self.pace.reserve(way, portion.len(), bytes_per_s)).await;
            }
            to.write_all(portion).await?;
        }
        Ok(())
    }
}

async fn sliced(
    bytes: &[u8],
    size: usize,
    between: Duration,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    for slice in bytes.chunks(size.max(1)) {
        to.write_all(slice).await?;
        pause(between).await;
    }
    Ok(())
}

/// A timer of its own for each pause: connections move between threads, and only what is delayed pays for it.
async fn pause(time: Duration) {
    if time.is_zero() {
        return;
    }
    let until_ns = monotonic_ns() + time.as_nanos() as u64;
    let exact = async { Timerfd::new()?.until(until_ns).await };
    if exact.await.is_err() {
        tokio::time::sleep(Duration::from_nanos(until_ns.saturating_sub(monotonic_ns()))).await;
    }
}

/// Where an answer is cut: in the middle of its body, where it looks like one of HTTP, else in the middle.
fn middle_of(bytes: &[u8]) -> usize {
    const HEAD_ENDS: &[u8] = b"\r\n\r\n";
    let body =
        bytes.windows(HEAD_ENDS.len()).position(|part| part == HEAD_ENDS).map(|at| at + HEAD_ENDS.len());
    let body = body.filter(|&at| at < bytes.len()).unwrap_or(0);
    body + (bytes.len() - body) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_in_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\n\r\n0123456789";
        assert_eq!(&answer[..middle_of(answer)], b"HTTP/1.1 200 OK\r\n\r\n01234");
        assert_eq!(middle_of(b"+PONG\r\n"), 3);
        assert_eq!(middle_of(b"HTTP/1.1 204 No\r\n\r\n"), 9);
        assert_eq!(middle_of(b""), 0);
    }
}
