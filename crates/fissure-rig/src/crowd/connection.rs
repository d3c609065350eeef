//! One keep-alive HTTP/1.1 connection of one user.
//!
//! hyper's connection future is driven by the user's own task, not by a task of its own: that saves two wake-ups for
//! every request, and nothing happens on the connection behind the user's back.

use std::cell::Cell;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use fissure_facts::fact::ErrorClass;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// Bodies that somebody looks at are kept up to this size.
const KEPT_BODY_BYTES_MAX: u64 = 64 << 20;
/// Bounds the head of an answer, and the memory of a connection.
const BUFFER_BYTES_MAX: usize = 64 << 10;

type Driver = http1::Connection<TokioIo<Counted>, Full<Bytes>>;

pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
    /// Set once the driver has ended, with its error if it had one.
    ended: Option<Option<hyper::Error>>,
    traffic: Rc<Traffic>,
    /// Requests that it has carried to the end.
    pub(super) carried: u64,
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
        let stream = connect(address, user).await.map_err(|e| Failure::of_connecting(address, &e))?;
        let traffic = Rc::new(Traffic::default());
        let io = TokioIo::new(Counted { stream, traffic: Rc::clone(&traffic) });
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER_BYTES_MAX).title_case_headers(true);
        let (sender, driver) = builder.handshake(io).await.map_err(|e| Failure::of_exchange(&e))?;
        Ok(Self { sender, driver, ended: None, traffic, carried: 0 })
    }

    /// Has the app kept it open, with nothing left over from the answer before?
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            let is_at_rest = matches!(self.sender.poll_ready(&mut idle()), Poll::Ready(Ok(())));
            Poll::Ready(self.ended.is_none() && is_at_rest)
        })
        .await
    }

    /// Sends a request and reads its answer to the last byte; the body is thrown away unless it is to be kept.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        keep_body: bool,
    ) -> Result<Reply, Broken> {
        let (read, written) = (self.traffic.read.get(), self.traffic.written.get());
        let reply = self.run(request, keep_body).await;
        reply.map_err(|failure| Broken {
            failure,
            nothing_read: self.traffic.read.get() == read,
            nothing_written: self.traffic.written.get() == written,
        })
    }

    async fn run(&mut self, request: Request<Full<Bytes>>, keep_body: bool) -> Result<Reply, Failure> {
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
        self.carried += 1;
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

async fn connect(address: SocketAddr, user: u64) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if cfg!(target_os = "linux")
        && let IpAddr::V4(ip) = address.ip()
        && ip.is_loopback()
    {
        socket.bind(SocketAddr::new(own_address(user).into(), 0))?;
    }
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// An address of 127.0.0.0/8 for each user. One address has only some 28,000 ports, and each rests for a minute after
/// use; sixteen million addresses do not run out. The app also sees each user come from elsewhere, as in life.
fn own_address(user: u64) -> Ipv4Addr {
    let n = user % (254 * 256 * 254);
    Ipv4Addr::new(127, (1 + n / (254 * 256)) as u8, (n / 254 % 256) as u8, (1 + n % 254) as u8)
}

#[derive(Debug, Default)]
struct Traffic {
    read: Cell<u64>,
    written: Cell<u64>,
}

/// A stream that counts its bytes.
struct Counted {
    stream: TcpStream,
    traffic: Rc<Traffic>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.traffic.read.set(self.traffic.read.get() + (buf.filled().len() - before) as u64);
        done
    }
}

impl Counted {
    fn wrote(&self, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = done {
            self.traffic.written.set(self.traffic.written.get() + bytes as u64);
        }
        done
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(done)
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_user_has_an_address_of_its_own_and_none_is_the_apps() {
        let mut seen = HashSet::new();
        for user in (0..200_000).chain([254 * 256 * 254 - 1]) {
            let address = own_address(user);
            assert!(address.is_loopback() && address.octets()[1] > 0, "{address}");
            assert!(![0, 255].contains(&address.octets()[3]), "{address}");
            assert!(seen.insert(address), "{address} twice");
        }
        assert_eq!(own_address(254 * 256 * 254), own_address(0));
    }
}
