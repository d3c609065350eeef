//! TCP sockets as the kernel itself describes them (`sock_diag(7)`, what `ss -ti` prints), of this network namespace. No privilege is needed.
//!
//! `/proc/net/tcp` tells the same as text, the hundred thousand that are over included: behind a load of many connections one read took the
//! kernel half a second.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// The kernel answers at once; this only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(1);
/// As much as the kernel puts into one piece of an answer.
const BUFFER_BYTES: usize = 32 * 1024;

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h.
const HEADER_BYTES: usize = 16;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_AND_DUMP: u16 = 0x301;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const INET_DIAG_INFO: u16 = 2;
const MESSAGE_BYTES: usize = 72;

// net/tcp_states.h.
pub const ESTABLISHED: u8 = 1;
pub const SYN_SENT: u8 = 2;
pub const TIME_WAIT: u8 = 6;
pub const LISTEN: u8 = 10;

/// A connection to whoever answers for sockets.
pub struct SockDiag(OwnedFd);

/// One TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    pub state: u8,
    pub local: SocketAddr,
    /// An IPv4 address that was mapped into IPv6 is IPv4 again.
    pub remote: SocketAddr,
    /// User whose process opened it.
    pub uid: u32,
    /// 0 of one that nobody holds any more.
    pub inode: u64,
}

impl SockDiag {
    pub fn open() -> io::Result<Self> {
        let close = SocketFlags::CLOEXEC;
        let protocol = Some(netlink::SOCK_DIAG);
        let kernel = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, close, protocol)?;
        set_socket_timeout(&kernel, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self(kernel))
    }

    /// Every socket in one of these states (a bit for each), with its counters (`struct tcp_info`) if they are wanted.
    pub fn each(
        &self,
        states: u32,
        with_counters: bool,
        visit: &mut dyn FnMut(Described, &[u8]),
    ) -> io::Result<()> {
        for family in [AddressFamily::INET, AddressFamily::INET6] {
            rustix::net::send(&self.0, &question(family, states, with_counters), SendFlags::empty())?;
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                let (bytes, _) = rustix::net::recv(&self.0, &mut buffer, RecvFlags::empty())?;
                if bytes == 0 || understand(&buffer[..bytes], visit)? {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn question(family: AddressFamily, states: u32, with_counters: bool) -> Vec<u8> {
    const TCP: u8 = 6;
    let body = HEADER_BYTES + 56;
    let more = if with_counters { 1 << (INET_DIAG_INFO - 1) } else { 0 };
    let mut question = Vec::with_capacity(body);
    question.extend((body as u32).to_ne_bytes());
    question.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    question.extend(REQUEST_AND_DUMP.to_ne_bytes());
    question.extend([0; 8]); // sequence number and port
    question.extend([family.as_raw() as u8, TCP, more, 0]);
    question.extend(states.to_ne_bytes());
    question.resize(body, 0); // any address
    question
}

/// Reads one piece of the answer; true when it was the last.
fn understand(mut piece: &[u8], visit: &mut dyn FnMut(Described, &[u8])) -> io::Result<bool> {
    while let (Some(length), Some(kind)) = (u32_at(piece, 0), u16_at(piece, 4)) {
        let length = (length as usize).clamp(HEADER_BYTES, piece.len().max(HEADER_BYTES));
        let body = piece.get(HEADER_BYTES..length).unwrap_or_default();
        match kind {
            DONE => return Ok(true),
            ERROR => {
                let code = u32_at(body, 0).map_or(0, |code| -(code as i32));
                return Err(io::Error::from_raw_os_error(code));
            }
            SOCK_DIAG_BY_FAMILY => {
                if let Some((socket, counters)) = described(body) {
                    visit(socket, counters);
                }
            }
            _ => {}
        }
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg` and the counters among the attributes behind it.
fn described(body: &[u8]) -> Option<(Described, &[u8])> {
    let family = i32::from(*body.first()?);
    let ip = |at: usize| match family {
        libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::from(array::<4>(body, at)?))),
        libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(array::<16>(body, at)?))),
        _ => None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(array(body, at)?));
    let mut attributes = body.get(MESSAGE_BYTES..)?;
    let mut counters: &[u8] = &[];
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length).max(4);
        if kind == INET_DIAG_INFO {
            counters = attributes.get(4..).unwrap_or_default();
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    let socket = Described {
        state: *body.get(1)?,
        local: SocketAddr::new(ip(8)?, port(4)?),
        remote: SocketAddr::new(ip(24)?.to_canonical(), port(6)?),
        uid: u32_at(body, 64)?,
        inode: u64::from(u32_at(body, 68)?),
    };
    Some((socket, counters))
}

pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in prop_oneof![Just(20u16), Just(2), Just(3), any::<u16>()], length in 0u32..400) {
            let mut piece = length.to_ne_bytes().to_vec();
            piece.extend(kind.to_ne_bytes());
            piece.extend(&bytes);
            let _ = understand(&piece, &mut |_, _| {});
            let _ = described(&bytes);
        }
    }
}
