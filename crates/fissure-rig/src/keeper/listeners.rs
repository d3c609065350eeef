//! Which TCP addresses a set of processes listens on: their sockets' inodes, looked up in `/proc/net/tcp{,6}`.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// State of a listening socket in `/proc/net/tcp` (TCP_LISTEN in the kernel's tcp_states.h).
const LISTEN: &str = "0A";

/// The addresses that these processes listen on, in the network namespace of the first that can be read.
pub(super) fn of(pids: &[u32]) -> Vec<SocketAddr> {
    let inodes: HashSet<u64> = pids.iter().flat_map(|&pid| socket_inodes(pid)).collect();
    if inodes.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<SocketAddr> = all_listeners()
        .into_iter()
        .filter(|(_, inode)| inodes.contains(inode))
        .map(|(address, _)| address)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// A connection to 127.0.0.1 reaches a listener on this address. `::` takes IPv4 too unless it was told not to,
/// which `/proc` does not show: such a one counts as reachable.
pub(super) fn reachable_from_loopback(address: &SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => v4.is_unspecified() || v4 == Ipv4Addr::LOCALHOST,
        IpAddr::V6(v6) => v6.is_unspecified(),
    }
}

fn socket_inodes(pid: u32) -> Vec<u64> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|fd| {
            let target = fs::read_link(fd.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

fn all_listeners() -> Vec<(SocketAddr, u64)> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().skip(1).filter_map(parse).collect::<Vec<_>>())
        .collect()
}

/// `  0: 0100007F:1F90 00000000:0000 0A ... inode ...`: local address and port in hexadecimal, the address as the
/// kernel's 32-bit words in the machine's byte order.
fn parse(line: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
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
    Some((SocketAddr::new(ip, port), fields.get(9)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn this_process_sees_its_own_listeners_and_not_its_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let found = of(&[std::process::id()]);
        assert!(found.contains(&address), "{found:?}");
        assert!(!found.contains(&client.local_addr().unwrap()));
    }

    #[test]
    fn what_127_0_0_1_reaches() {
        let reaches = |text: &str| reachable_from_loopback(&text.parse().unwrap());
        for yes in ["0.0.0.0:80", "127.0.0.1:80", "[::]:80", "[::ffff:127.0.0.1]:80", "[::ffff:0.0.0.0]:80"] {
            assert!(reaches(yes), "{yes}");
        }
        for no in ["127.0.0.2:80", "192.168.1.4:80", "[::1]:80", "[fe80::1]:80"] {
            assert!(!reaches(no), "{no}");
        }
    }

    #[test]
    fn a_line_of_tcp6_is_read() {
        let line = "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0";
        let expected = if cfg!(target_endian = "little") {
            Some(("[::1]:8080".parse().unwrap(), 4242))
        } else {
            parse(line)
        };
        assert_eq!(parse(line), expected);
        assert_eq!(parse("  sl  local_address"), None);
    }
}
