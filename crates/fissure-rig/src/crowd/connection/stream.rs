//! TCP, perhaps with TLS in it, with an address of its own for each user and its bytes counted.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use fissure_facts::HttpVersion;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::tls;

pub(in crate::crowd) struct Stream {
    transport: Transport,
    traffic: Traffic,
    acknowledges_at_once: bool,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Does the same with either transport.
macro_rules! transport {
    ($stream:expr, $transport:ident => $act:expr) => {
        match &mut $stream.transport {
            Transport::Plain($transport) => {
                let $transport = Pin::new($transport);
                $act
            }
            Transport::Tls($transport) => {
                let $transport = Pin::new(&mut **$transport);
                $act
            }
        }
    };
}

/// Bytes that went over a stream, before TLS seals them.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(Rc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    read: Cell<u64>,
    written: Cell<u64>,
}

impl Traffic {
    pub(super) fn read(&self) -> u64 {
        self.0.read.get()
    }

    pub(super) fn written(&self) -> u64 {
        self.0.written.get()
    }

    fn add_read(&self, bytes: usize) {
        self.0.read.set(self.read() + bytes as u64);
    }

    fn add_written(&self, bytes: usize) {
        self.0.written.set(self.written() + bytes as u64);
    }
}

impl Stream {
    /// Connects as `user`, whose number gives it an address of its own.
    pub(super) async fn connect(
        address: SocketAddr,
        user: u64,
        acknowledges_at_once: bool,
    ) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if cfg!(target_os = "linux")
            && let IpAddr::V4(ip) = address.ip()
            && ip.is_loopback()
        {
            socket.bind(SocketAddr::new(own_address(user).into(), 0))?;
        }
        socket.set_nodelay(true)?;
        let tcp = socket.connect(address).await?;
        Ok(Self { transport: Transport::Plain(tcp), traffic: Traffic::default(), acknowledges_at_once })
    }

    /// Agrees on TLS with `host` and says which version of HTTP the app chose.
    pub(super) async fn secured(
        self,
        host: &str,
        offers: &[HttpVersion],
    ) -> Result<(Self, HttpVersion), String> {
        let Transport::Plain(tcp) = self.transport else {
            return Err("TLS in TLS is not supported".to_owned());
        };
        let stream = tls::shake_hands(tcp, host, offers).await?;
        let version = tls::chosen(&stream);
        Ok((Self { transport: Transport::Tls(Box::new(stream)), ..self }, version))
    }

    /// The counters, which live on when the stream is handed to a protocol.
    pub(super) fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// The kernel forgets it with every packet or two (tcp(7), TCP_QUICKACK), so it is said before every read.
    fn acknowledge(&self) {
        let tcp = match &self.transport {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => tls.get_ref().0,
        };
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_quickack(tcp, true); // without it only what it is there to find is not found
    }

    fn wrote(&self, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = done {
            self.traffic.add_written(bytes);
        }
        done
    }
}

/// An address of 127.0.0.0/8 for each user. One address has only some 28,000 ports, and each rests for a minute after
/// use; sixteen million addresses do not run out. The app also sees each user come from elsewhere, as in life.
fn own_address(user: u64) -> Ipv4Addr {
    let n = user % (254 * 256 * 254);
    Ipv4Addr::new(127, (1 + n / (254 * 256)) as u8, (n / 254 % 256) as u8, (1 + n % 254) as u8)
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.acknowledges_at_once {
            self.acknowledge();
        }
        let before = buf.filled().len();
        let done = transport!(self, t => t.poll_read(cx, buf));
        self.traffic.add_read(buf.filled().len() - before);
        done
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = transport!(self, t => t.poll_write(cx, buf));
        self.wrote(done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = transport!(self, t => t.poll_write_vectored(cx, bufs));
        self.wrote(done)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        transport!(self, t => t.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        transport!(self, t => t.poll_shutdown(cx))
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
