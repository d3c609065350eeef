//! The kernel's table of TCP sockets, `/proc/net/tcp{,6}`, and which of them a process holds.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::sock_diag::{self, SockDiag};

/// State of a listening socket (TCP_LISTEN in the kernel's tcp_states.h).
const LISTEN: &str = "0A";
/// State of one that is over and belongs to nobody (TCP_TIME_WAIT). After a load there are thousands of them.
const TIME_WAIT: &str = "06";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpSocket {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub listens: bool,
    /// User whose process opened it.
    pub uid: u32,
    pub inode: u64,
}

/// All sockets of our network namespace that somebody holds.
pub fn own() -> Vec<TcpSocket> {
    let states = !(1 << sock_diag::TIME_WAIT);
    let mut found = Vec::new();
    let asked = SockDiag::open().and_then(|kernel| {
        kernel.each(states, false, &mut |socket, _| {
            let sock_diag::Described { state, local, remote, uid, inode } = socket;
            found.push(TcpSocket { local, remote, listens: state == sock_diag::LISTEN, uid, inode });
        })
    });
    match asked {
        Ok(()) => found,
        // A sandbox may forbid to ask.
        Err(_) => of_namespace("/proc/net"),
    }
}

/// The same of a process's, which may live in another one.
pub fn of(pid: u32) -> Vec<TcpSocket> {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    if namespace("self") == namespace(&pid.to_string()) {
        own()
    } else {
        of_namespace(&format!("/proc/{pid}/net"))
    }
}

fn of_namespace(net: &str) -> Vec<TcpSocket> {
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("{net}/{table}")));
    tables.iter().flatten().flat_map(|text| text.lines().filter_map(parse)).collect()
}

/// The sockets of every kind that a process holds.
pub fn inodes(pid: u32) -> Vec<u64> {
    held(pid).into_iter().map(|(_, inode)| inode).collect()
}

/// The same with the file descriptor of each: `(fd, inode)`.
pub fn held(pid: u32) -> Vec<(u64, u64)> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let socket = |file: &fs::DirEntry| {
        let fd = file.file_name().to_str()?.parse().ok()?;
        Some((fd, inode(fs::read_link(file.path()).ok()?.to_str()?)?))
    };
    files.filter_map(|file| socket(&file)).collect()
}

/// What a link in `/proc/PID/fd` says of a socket: `socket:[4242]`.
pub fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// `  0: 0100007F:1F90 00000000:0000 0A ... inode ...`: local and remote address and the state. The first line is a heading.
fn parse(line: &str) -> Option<TcpSocket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    (state != TIME_WAIT).then_some(())?;
    Some(TcpSocket {
        local: address(local)?,
        remote: address(remote)?,
        listens: state == LISTEN,
        uid: fields.nth(3)?.parse().ok()?,
        inode: fields.nth(1)?.parse().ok()?,
    })
}

/// Address and port in hexadecimal, the address as the kernel's 32-bit words in the machine's byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u8> = address
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
        .collect::<Option<Vec<u32>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = match words.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(words).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let here = client.local_addr().unwrap();
        let held = inodes(std::process::id());
        for sockets in [own(), of_namespace("/proc/net")] {
            let found = |keep: &dyn Fn(&TcpSocket) -> bool| {
                sockets.iter().filter(|s| keep(s) && held.contains(&s.inode)).count()
            };
            assert_eq!(found(&|s| s.listens && s.local == address), 1);
            assert_eq!(found(&|s| !s.listens && s.local == here && s.remote == address), 1);
        }
    }

    #[test]
    fn a_line_of_tcp6_is_read() {
        let line = "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0";
        let socket = parse(line).unwrap();
        assert!(socket.listens && socket.inode == 4242 && socket.local.port() == 8080);
        if cfg!(target_endian = "little") {
            assert_eq!(socket.local, "[::1]:8080".parse().unwrap());
        }
        assert_eq!(parse(&line.replace(" 0A ", " 06 ")), None, "it is over");
        assert_eq!(
            parse("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"),
            None
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9A-F: ]{0,120}|\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
