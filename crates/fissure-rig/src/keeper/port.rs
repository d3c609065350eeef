//! Ports on 127.0.0.1: one that is free, and who holds one that is not.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use super::listeners;
use crate::process;

/// Where the search for free ports begins. Below lie ports that people choose by hand.
const FIRST: u16 = 20_000;

/// A port that nobody listens on now, another one at every call. It lies below the range from which the kernel takes
/// ports for outgoing connections: the crowd opens thousands of those, and one of them could otherwise sit on the
/// port at the moment at which a restarted app wants it.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = u32::from(first_ephemeral().saturating_sub(FIRST));
    // Two fissures at once begin at different places.
    let begin = std::process::id().wrapping_mul(31);
    for _ in 0..range.min(2_000) {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = begin.wrapping_add(step) % range;
        let port = FIRST + u16::try_from(offset).unwrap_or(0);
        if bind(port).is_ok() {
            return Ok(port);
        }
    }
    Ok(bind(0)?.local_addr()?.port())
}

/// None when the port can be had; otherwise who has it, as far as this user may see.
pub fn port_taken(port: u16) -> Option<String> {
    match bind(port) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        _ => return None,
    }
    let holder = process::all().find(|&pid| listeners::of(&[pid]).iter().any(|l| l.port() == port));
    Some(holder.map_or_else(|| "a process that this user may not see".to_owned(), process::describe))
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
}

fn first_ephemeral() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_never_handed_out_twice_in_a_row() {
        let ports: std::collections::BTreeSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|&port| port < first_ephemeral()), "{ports:?}");
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let port = free_port().unwrap();
        assert_eq!(port_taken(port), None);
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let holder = port_taken(port).unwrap();
        assert!(holder.contains(&format!("pid {}", std::process::id())), "{holder}");
    }
}
