//! One connection of one user: what the user needs of it, whichever protocol is spoken on it.

mod http1;
mod stream;

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use fissure_facts::fact::ErrorClass;
use http_body_util::Full;
use hyper::{HeaderMap, Request};

use http1::Http1;
use stream::{Stream, Traffic};

/// Bodies that somebody looks at are kept up to this size.
const KEPT_BODY_BYTES_MAX: u64 = 64 << 20;

pub(super) struct Connection {
    protocol: Http1,
    traffic: Traffic,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Empty unless it was to be kept.
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

impl Connection {
    /// Connects as `user`, whose number gives it an address of its own.
    pub(super) async fn open(address: SocketAddr, user: u64) -> Result<Self, Failure> {
        let stream = Stream::connect(address, user).await.map_err(|e| Failure::of_connecting(address, &e))?;
        let traffic = stream.traffic();
        Ok(Self { protocol: Http1::over(stream).await?, traffic })
    }

    /// Has the app kept it open, with nothing left over from the answer before?
    pub(super) async fn is_ready(&mut self) -> bool {
        self.protocol.is_ready().await
    }

    /// Sends a request and reads its answer to the last byte; the body is thrown away unless it is to be kept.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        keep_body: bool,
    ) -> Result<Reply, Broken> {
        let (read, written) = (self.traffic.read(), self.traffic.written());
        self.protocol.exchange(request, keep_body).await.map_err(|failure| Broken {
            failure,
            nothing_read: self.traffic.read() == read,
            nothing_written: self.traffic.written() == written,
        })
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
