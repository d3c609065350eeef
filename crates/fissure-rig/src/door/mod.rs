//! The front door: people, browsers and test suites use the app through it. It passes everything on as it is, tells
//! a witness of it, and lets the arrangement behind it change without anybody noticing.
//!
//! hyper serves the clients, behind a gate (`gate`) that lets through nothing that two programs could understand in two
//! ways; a pool (`pool`) of connections of hyper's client leads to the app. Bodies are passed on frame by frame.
//!
//! **Invariant:** a request that may have been heard is never sent twice, unless that changes nothing.

mod body;
mod certificate;
mod forward;
mod framing;
mod gate;
mod headers;
mod messages;
mod page;
mod pool;
mod table;
mod witness;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fissure_facts::Protocol;
use hyper::header::HeaderValue;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

pub use certificate::{Certificate, CertificateError};
pub use page::Page;
pub use table::Table;
pub use witness::{Passed, Witness};

use forward::Visit;
use gate::{First, Gate};
use pool::Pool;
use table::InForce;

/// How long an app that does not listen is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The kind of record with which TLS begins.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a door is opened with.
pub struct Opening {
    /// How the app is spoken to.
    pub protocol: Protocol,
    pub table: Table,
    /// For clients that speak TLS; the others are served as well.
    pub certificate: Option<Certificate>,
    /// Clients are proxies of the user's own: what they say of who asked is believed.
    pub behind_proxy: bool,
    /// Headers and bodies go to the witness, too.
    pub keeps_bodies: bool,
    pub witness: Witness,
}

/// An open front door; closed on drop.
pub struct Door {
    inside: Arc<Inside>,
    address: SocketAddr,
    accepting: AbortHandle,
}

/// What all connections share.
struct Inside {
    pool: Pool,
    table: RwLock<Arc<InForce>>,
    witness: Witness,
    behind_proxy: bool,
    keeps_bodies: bool,
    opened: Instant,
    patience: Duration,
    /// For requests that name no host.
    host: HeaderValue,
    closing: watch::Sender<()>,
}

impl Inside {
    fn table(&self) -> Arc<InForce> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Door {
    /// Begins to serve on `listener`. Runs on the current tokio runtime.
    pub fn open(listener: std::net::TcpListener, opening: Opening) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let pool = Pool::new(opening.protocol);
        let table = InForce::new(opening.table, &pool);
        let inside = Arc::new(Inside {
            pool,
            table: RwLock::new(Arc::new(table)),
            witness: opening.witness,
            behind_proxy: opening.behind_proxy,
            keeps_bodies: opening.keeps_bodies,
            opened: Instant::now(),
            patience: PATIENCE,
            host: HeaderValue::try_from(address.to_string()).map_err(io::Error::other)?,
            closing: watch::Sender::new(()),
        });
        let accepting =
            tokio::spawn(accept(listener, Arc::clone(&inside), opening.certificate)).abort_handle();
        Ok(Self { inside, address, accepting })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends what comes from now on by another table. What is under way ends where it began.
    pub fn swap(&self, table: Table) {
        let table = Arc::new(InForce::new(table, &self.inside.pool));
        *self.inside.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&table);
        self.inside.pool.keep(|address| table.has(address));
    }

    /// How many requests and open streams an address has under way: when a swap has taken it out of the table and this
    /// is zero, its process can be ended without anybody noticing.
    pub fn under_way(&self, address: SocketAddr) -> usize {
        self.inside.pool.busy(address)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = self.inside.closing.send(()); // nobody listens when no tunnel is open
    }
}

async fn accept(listener: TcpListener, inside: Arc<Inside>, certificate: Option<Certificate>) {
    // Dropped with this future, which ends them.
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    visits.spawn(visit(stream, peer.ip(), Arc::clone(&inside), certificate.clone()));
                }
                // Out of files or of memory: what ends gives some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = visits.join_next() => {}
        }
    }
}

async fn visit(stream: TcpStream, client: IpAddr, inside: Arc<Inside>, certificate: Option<Certificate>) {
    let _ = stream.set_nodelay(true); // only a matter of speed
    let Some(certificate) = certificate else { return serve(stream, client, false, inside).await };
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first[0] == TLS_HANDSHAKE => {
            // A browser that does not trust the certificate breaks off here, and says so to its user.
            if let Ok(stream) = certificate.accept(stream).await {
                serve(stream, client, true, inside).await;
            }
        }
        Ok(1) => serve(stream, client, false, inside).await,
        _ => {}
    }
}

async fn serve<S>(stream: S, client: IpAddr, is_tls: bool, inside: Arc<Inside>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut gate, word) = Gate::new(stream);
    let Ok(first) = gate.first().await else { return };
    let visit = Arc::new(Visit::new(inside, client, is_tls, word));
    let service = service_fn(move |request| Arc::clone(&visit).answer(request));
    let io = TokioIo::new(gate);
    // A client that breaks off is no news.
    if first == First::Http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.enable_connect_protocol(); // WebSockets (RFC 8441)
        let _ = builder.serve_connection(io, service).await;
    } else {
        let mut builder = http1::Builder::new();
        // To remember how each name was written costs a tenth of a request, and most are written like `Content-Type`.
        builder.title_case_headers(true).preserve_header_case(first == First::OtherCase);
        let _ = builder.serve_connection(io, service).with_upgrades().await;
    }
}
