//! Connections to the app that wait for the next request, the latest used first.
//!
//! An app may close a connection at the moment at which the next request is sent on it. Nobody can prevent that; the
//! pool lets go of connections before most apps do, and tells the caller what is needed to decide about a replay.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fissure_facts::{HttpVersion, Protocol};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::body::Lent;
use crate::tls;

/// Node closes after five seconds, most others later.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// A request that must not be sent twice takes a connection only while hardly any app would close it.
const IDLE_MAX_ONCE: Duration = Duration::from_millis(500);
/// How often an app that does not listen is tried.
const TRY_EVERY: Duration = Duration::from_millis(20);

pub(super) struct Pool {
    protocol: Protocol,
    places: Mutex<HashMap<SocketAddr, Arc<Place>>>,
}

/// One process of the app.
pub(super) struct Place {
    address: SocketAddr,
    idle: Mutex<Vec<Idle>>,
    /// Requests and tunnels under way.
    busy: AtomicUsize,
    /// The table names it.
    is_served: AtomicBool,
}

struct Idle {
    wire: Wire,
    since: Instant,
}

/// A connection.
struct Wire {
    sender: Sender,
    /// Bytes that came from the app.
    heard: Arc<AtomicU64>,
}

enum Sender {
    One(http1::SendRequest<Lent>),
    Two(http2::SendRequest<Lent>),
}

/// Counts as a request under way until it is dropped.
pub(super) struct Busy {
    place: Arc<Place>,
}

/// A connection for one request.
pub(super) struct Lease {
    wire: Wire,
    busy: Busy,
}

/// A request without an answer.
pub(super) struct Failed {
    pub(super) why: String,
    /// Not one byte of the request was sent.
    pub(super) was_unsent: bool,
    /// Not one byte of an answer came.
    pub(super) was_unheard: bool,
}

impl Pool {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { protocol, places: Mutex::default() }
    }

    pub(super) fn speaks_http2(&self) -> bool {
        self.protocol.http == Some(HttpVersion::Two)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.protocol.tls
    }

    /// The place of an address, from now on served.
    pub(super) fn place(&self, address: SocketAddr) -> Arc<Place> {
        let mut places = self.lock();
        let place = places.entry(address).or_insert_with(|| Arc::new(Place::new(address)));
        place.is_served.store(true, SeqCst);
        Arc::clone(place)
    }

    /// How many requests and tunnels an address has under way.
    pub(super) fn busy(&self, address: SocketAddr) -> usize {
        self.lock().get(&address).map_or(0, |place| place.busy.load(SeqCst))
    }

    /// Closes idle connections to addresses that are no longer served.
    pub(super) fn keep(&self, is_served: impl Fn(SocketAddr) -> bool) {
        let mut places = self.lock();
        for (_, place) in places.iter().filter(|(address, _)| !is_served(**address)) {
            place.is_served.store(false, SeqCst);
            place.idle().clear();
        }
        // One that a request has just been sent to is still held by the table that named it.
        places.retain(|_, place| {
            let is_held = Arc::strong_count(place) > 1;
            is_held || place.is_served.load(SeqCst) || place.busy.load(SeqCst) > 0
        });
    }

    /// A new connection. An app that does not listen is given `patience`: it may be starting again.
    pub(super) async fn connect(&self, busy: Busy, patience: Duration) -> Result<Lease, String> {
        let until = Instant::now() + patience;
        let address = busy.place.address;
        let tcp = loop {
            match TcpStream::connect(address).await {
                Ok(tcp) => break tcp,
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < until => {
                    sleep(TRY_EVERY).await;
                }
                Err(e) => return Err(format!("the app cannot be reached at {address} ({e})")),
            }
        };
        let wire = self.over(tcp, &busy.place).await?;
        Ok(Lease { wire, busy })
    }

    async fn over(&self, tcp: TcpStream, place: &Place) -> Result<Wire, String> {
        let address = place.address;
        let _ = tcp.set_nodelay(true); // only a matter of speed
        let heard = Arc::new(AtomicU64::new(0));
        let version = self.protocol.http.unwrap_or(HttpVersion::One);
        let stream: Box<dyn Stream> = if self.protocol.tls {
            Box::new(tls::shake_hands(tcp, &address.ip().to_string(), &[version]).await?)
        } else {
            Box::new(tcp)
        };
        let io = TokioIo::new(Counted { stream, heard: Arc::clone(&heard) });
        let broken = |e: hyper::Error| format!("the app at {address} breaks off at once ({e})");
        let sender = match version {
            HttpVersion::One => {
                let mut builder = http1::Builder::new();
                builder.title_case_headers(true); // where nothing tells how the client wrote a name
                let (sender, connection) = builder.handshake(io).await.map_err(broken)?;
                tokio::spawn(connection.with_upgrades());
                Sender::One(sender)
            }
            HttpVersion::Two => {
                let builder = http2::Builder::new(TokioExecutor::new());
                let (sender, connection) = builder.handshake(io).await.map_err(broken)?;
                tokio::spawn(connection);
                let wire = Wire { sender: Sender::Two(sender.clone()), heard: Arc::clone(&heard) };
                place.idle().push(Idle { wire, since: Instant::now() });
                Sender::Two(sender)
            }
        };
        Ok(Wire { sender, heard })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn new(address: SocketAddr) -> Self {
        let (busy, is_served) = (AtomicUsize::new(0), AtomicBool::new(true));
        Self { address, idle: Mutex::default(), busy, is_served }
    }

    /// Of these, the one with the fewest requests under way.
    pub(super) fn choose(places: &[Arc<Self>]) -> Option<Busy> {
        let place = match places {
            [one] => one,
            several => several.iter().min_by_key(|place| place.busy.load(Relaxed))?,
        };
        place.busy.fetch_add(1, SeqCst);
        Some(Busy { place: Arc::clone(place) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    /// A connection that was used before.
    pub(super) fn reuse(self, may_be_replayed: bool) -> Result<Lease, Self> {
        let idle_max = if may_be_replayed { IDLE_MAX } else { IDLE_MAX_ONCE };
        let mut waiting = self.place.idle();
        while let Some(idle) = waiting.pop() {
            if idle.wire.sender.is_closed() {
                continue;
            }
            let age = idle.since.elapsed();
            if age > IDLE_MAX {
                waiting.clear(); // those below have waited longer
                break;
            }
            if age > idle_max {
                waiting.push(idle);
                break;
            }
            let wire = match idle.wire.sender.shared() {
                None => idle.wire,
                Some(sender) => {
                    let heard = Arc::clone(&idle.wire.heard);
                    waiting.push(idle);
                    Wire { sender, heard }
                }
            };
            drop(waiting);
            return Ok(Lease { wire, busy: self });
        }
        drop(waiting);
        Err(self)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.place.busy.fetch_sub(1, SeqCst);
    }
}

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Self::One(sender) => sender.is_closed(),
            Self::Two(sender) => sender.is_closed(),
        }
    }

    /// Another one on the same connection, where a connection carries many requests.
    fn shared(&self) -> Option<Self> {
        match self {
            Self::One(_) => None,
            Self::Two(sender) => Some(Self::Two(sender.clone())),
        }
    }
}

impl Lease {
    pub(super) async fn send(&mut self, request: Request<Lent>) -> Result<Response<Incoming>, Failed> {
        let heard_before = self.wire.heard.load(Relaxed);
        let sent = match &mut self.wire.sender {
            Sender::One(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(e) => return Err(Failed { why: e.to_string(), was_unsent: true, was_unheard: true }),
            },
            Sender::Two(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(e) => return Err(Failed { why: e.to_string(), was_unsent: true, was_unheard: true }),
            },
        };
        sent.map_err(|mut e| {
            let was_unsent = e.take_message().is_some();
            let is_shared = matches!(self.wire.sender, Sender::Two(_));
            let was_unheard = is_shared || self.wire.heard.load(Relaxed) == heard_before;
            Failed { why: reason(e.error()), was_unsent, was_unheard }
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.busy.place.address()
    }

    /// The answer has been read to its end.
    pub(super) fn give_back(self) {
        let Self { wire, busy } = self;
        let is_shared = matches!(wire.sender, Sender::Two(_));
        if !is_shared && busy.place.is_served.load(SeqCst) {
            busy.place.idle().push(Idle { wire, since: Instant::now() });
        }
    }

    /// The connection becomes a tunnel: what is left is that it is under way.
    pub(super) fn into_busy(self) -> Busy {
        self.busy
    }
}

/// hyper's words with their cause.
fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

struct Counted {
    stream: Box<dyn Stream>,
    heard: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.heard.fetch_add((buf.filled().len() - before) as u64, Relaxed);
        done
    }
}

impl AsyncWrite for Counted {
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

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
