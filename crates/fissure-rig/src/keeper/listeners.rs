//! Which TCP addresses a set of processes listens on: their sockets' inodes, looked up in the table of TCP sockets.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::tcp_table;

/// The addresses that these processes listen on, in the network namespace of the first that can be read.
pub(super) fn of(pids: &[u32]) -> Vec<SocketAddr> {
    let inodes: HashSet<u64> = pids.iter().flat_map(|&pid| tcp_table::inodes(pid)).collect();
    if inodes.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<SocketAddr> =
        all_listeners().filter(|(_, inode)| inodes.contains(inode)).map(|(address, _)| address).collect();
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

fn all_listeners() -> impl Iterator<Item = (SocketAddr, u64)> {
    let sockets = tcp_table::own().into_iter();
    sockets.filter(|socket| socket.listens).map(|socket| (socket.local, socket.inode))
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
}
