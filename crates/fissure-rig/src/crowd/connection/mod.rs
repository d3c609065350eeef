//! One connection of one user: what the user needs of it, whichever protocol is spoken on it.

mod endless;
mod http1;
mod http2;
mod stream;

use std::io;
use std::net::SocketAddr;

use fissure_facts::fact::ErrorClass;
use fissure_facts::{HttpVersion, Protocol};
use hyper::body::Incoming;
use hyper::{HeaderMap, Response};

use self::http1::Http1;
use self::http2::Http2;
pub(super) use self::stream::Stream;
use self::stream::Traffic;
use super::draft::Draft;
use super::timer::monotonic_ns;

/// Bodies that somebody looks at are kept up to this size.
const KEPT_BODY_BYTES_MAX: u64 = 64 << 20;
/// So much of an answer that tells of an error is kept for the sentence about it.
const ERROR_BYTES_MAX: usize = 4 << 10;

pub(super) struct Connection {
    pub(super) protocol: Protocol,
    speaks: Speaks,
    traffic: Traffic,
}

enum Speaks {
    Http1(Http1),
    Http2(Http2),
}

/// Opens connections; what all of them share.
pub(super) struct Opener {
    /// Without a port.
    host: String,
    acknowledges_at_once: bool,
}

/// How long the parts of opening took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) connect_ns: u64,
    /// Of TLS, where there was one.
    pub(super) handshake_ns: Option<u64>,
}

/// What of an answer is looked at; the rest is read and thrown away. Cookies and the status are always kept, and of an answer that
/// tells of an error its beginning, which says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keep {
    pub(super) headers: bool,
    pub(super) body: bool,
}

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// The connection was opened for it.
    pub(super) is_first: bool,
    pub(super) version: HttpVersion,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Empty unless it was to be kept, or tells of an error.
    pub(super) body: Vec<u8>,
    pub(super) body_bytes: u64,
}

/// Why a request is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) class: ErrorClass,
    pub(super) sentence: String,
}

/// A request that got no whole answer, with what a decision to send it again rests on.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) failure: Failure,
    pub(super) nothing_read: bool,
    pub(super) nothing_written: bool,
}

impl Opener {
    /// For an app whose `Host` is this.
    pub(super) fn new(host: &str, acknowledges_at_once: bool) -> Self {
        // The colons inside of `[::1]` are no port's.
        let name =
            host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |(name, _)| name);
        Self { host: name.to_owned(), acknowledges_at_once }
    }

    /// Connects as `user`, whose number gives it an address of its own.
    pub(super) async fn open(
        &self,
        address: SocketAddr,
        protocol: Protocol,
        user: u64,
    ) -> Result<(Connection, Opening), Failure> {
        let (stream, version, took) = self.stream(address, protocol, user).await?;
        let traffic = stream.traffic();
        let speaks = match version {
            HttpVersion::One => Speaks::Http1(Http1::over(stream)),
            HttpVersion::Two => Speaks::Http2(Http2::over(stream).await?),
        };
        Ok((Connection { protocol, speaks, traffic }, took))
    }

    /// A stream on which nothing has been said yet, and the version of HTTP that is to be spoken on it.
    async fn stream(
        &self,
        address: SocketAddr,
        protocol: Protocol,
        user: u64,
    ) -> Result<(Stream, HttpVersion, Opening), Failure> {
        let began_ns = monotonic_ns();
        let stream = Stream::connect(address, user, self.acknowledges_at_once)
            .await
            .map_err(|e| Failure::of_connecting(address, &e))?;
        let connected_ns = monotonic_ns();
        let mut took = Opening { connect_ns: connected_ns - began_ns, handshake_ns: None };
        if !protocol.tls {
            return Ok((stream, protocol.http.unwrap_or(HttpVersion::One), took));
        }
        // Boxed: a handshake is rare and large, and would make every user's task larger.
        let secured = Box::pin(stream.secured(&self.host, protocol.offers())).await;
        let (stream, version) = secured.map_err(|sentence| Failure { class: ErrorClass::Tls, sentence })?;
        took.handshake_ns = Some(monotonic_ns() - connected_ns);
        Ok((stream, version, took))
    }
}

impl Connection {
    /// The connection again, if the app has kept it open, with nothing left over from the answer before.
    pub(super) fn ready(mut self) -> Option<Self> {
        let is_ready = match &mut self.speaks {
            Speaks::Http1(http1) => http1.is_ready(),
            Speaks::Http2(http2) => http2.is_ready(),
        };
        is_ready.then_some(self)
    }

    /// Sends a request and reads its answer to the last byte.
    pub(super) async fn exchange(&mut self, draft: &Draft<'_>, keep: Keep) -> Result<Reply, Broken> {
        let (read, written) = (self.traffic.read(), self.traffic.written());
        match &mut self.speaks {
            Speaks::Http1(http1) => http1.exchange(draft, keep).await.map_err(|failure| Broken {
                failure,
                nothing_read: self.traffic.read() == read,
                nothing_written: self.traffic.written() == written,
            }),
            // Boxed, so that it does not make the task of a user larger who speaks HTTP/1.1.
            Speaks::Http2(http2) => Box::pin(http2.exchange(draft, keep)).await,
        }
    }
}

impl Connection {
    /// Sends a request whose answer has no end. It takes all of a connection, or one stream of HTTP/2.
    pub(super) async fn begin(
        self,
        draft: &Draft<'_>,
    ) -> Result<(Response<Incoming>, Option<Self>), Failure> {
        let Self { protocol, speaks, traffic } = self;
        match speaks {
            Speaks::Http1(http1) => Ok((endless::answer(http1.into_stream(), draft).await?, None)),
            Speaks::Http2(mut http2) => {
                let response = http2.send(draft).await.map_err(|broken| broken.failure)?;
                Ok((response, Some(Self { protocol, speaks: Speaks::Http2(http2), traffic })))
            }
        }
    }

    /// For another protocol, once HTTP/1.1 is over; an HTTP/2 connection cannot be left.
    pub(super) fn into_stream(self) -> Option<Stream> {
        match self.speaks {
            Speaks::Http1(http1) => Some(http1.into_stream()),
            Speaks::Http2(_) => None,
        }
    }
}

impl Reply {
    fn tells_of_an_error(&self) -> bool {
        self.status >= 400
    }

    fn take_body(&mut self, bytes: &[u8], keep: Keep) -> Result<(), Failure> {
        self.body_bytes += bytes.len() as u64;
        if !keep.body {
            if self.tells_of_an_error() {
                let room = ERROR_BYTES_MAX.saturating_sub(self.body.len());
                self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            return Ok(());
        }
        if self.body_bytes > KEPT_BODY_BYTES_MAX {
            let sentence = format!(
                "the body is larger than {} MB, too large for a capture or an assert",
                KEPT_BODY_BYTES_MAX >> 20
            );
            return Err(Failure { class: ErrorClass::TooLarge, sentence });
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }
}

impl Failure {
    fn of_connecting(address: SocketAddr, error: &io::Error) -> Self {
        use rustix::io::Errno;
        let class = match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE) => {
                return Self {
                    class: ErrorClass::Crowd,
                    sentence: "the crowd ran out of file descriptors: raise the limit (`ulimit -n 65536`)"
                        .to_owned(),
                };
            }
            Some(
                Errno::ADDRNOTAVAIL
                | Errno::ADDRINUSE
                | Errno::NOBUFS
                | Errno::NOMEM
                | Errno::PERM
                | Errno::ACCESS,
            ) => {
                return Self {
                    class: ErrorClass::Crowd,
                    sentence: format!("the crowd could not make a connection to {address} ({error})"),
                };
            }
            Some(Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE) => ErrorClass::Reset,
            Some(Errno::TIMEDOUT) => ErrorClass::Timeout,
            _ => ErrorClass::Refused,
        };
        let sentence = match class {
            ErrorClass::Refused => format!("nobody listens on {address} ({error})"),
            _ => format!("the connection to {address} did not come about ({error})"),
        };
        Self { class, sentence }
    }
}
