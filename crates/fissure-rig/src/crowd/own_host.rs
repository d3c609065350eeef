//! Where load may go: this machine, and hosts that the user's configuration names as their own. Anything else is refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// A server that may be loaded, with what its name stood for when it was looked up: once, so that no answer of a name
/// server counts as the app's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub address: SocketAddr,
    /// For the plan; empty for this machine.
    pub own_hosts: BTreeMap<String, Vec<IpAddr>>,
}

/// Looks `host` up and refuses it with a sentence unless it is this machine or one of `own`.
pub fn resolve(host: &str, port: u16, own: &[String]) -> Result<Destination, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = (bare, port)
        .to_socket_addrs()
        .map_err(|e| format!("the host `{host}` is not known ({e}): look at the spelling"))?
        .collect();
    let is_own = own.iter().any(|name| name.eq_ignore_ascii_case(bare));
    let own_hosts: BTreeMap<_, _> = is_own
        .then(|| (bare.to_owned(), addresses.iter().map(SocketAddr::ip).collect()))
        .into_iter()
        .collect();
    let allowed = addresses.iter().filter(|a| may_be_loaded(a.ip(), &own_hosts));
    // IPv4 first, as most development servers listen there only.
    match allowed.min_by_key(|a| a.is_ipv6()) {
        Some(&address) => Ok(Destination { address, own_hosts }),
        None => Err(format!(
            "`{host}` is not this machine: fissure sends load only to loopback and to hosts that are yours. If it is yours, say so \
             in fissure.toml: `[load]` `own_hosts = [\"{bare}\"]`"
        )),
    }
}

pub(super) fn may_be_loaded(ip: IpAddr, own_hosts: &BTreeMap<String, Vec<IpAddr>>) -> bool {
    ip.to_canonical().is_loopback() || own_hosts.values().flatten().any(|own| *own == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_always_allowed_and_needs_no_name() {
        for host in ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"] {
            let found = resolve(host, 80, &[]).unwrap();
            assert!(found.address.ip().is_loopback() && found.own_hosts.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn a_foreign_address_is_refused_until_it_is_named() {
        let refused = resolve("192.0.2.1", 80, &["192.0.2.2".to_owned()]).unwrap_err();
        assert!(refused.contains("own_hosts") && refused.contains("192.0.2.1"), "{refused}");
        let found = resolve("192.0.2.1", 80, &["192.0.2.1".to_owned()]).unwrap();
        assert!(may_be_loaded(found.address.ip(), &found.own_hosts));
        assert!(!may_be_loaded([192, 0, 2, 9].into(), &found.own_hosts));
    }

    #[test]
    fn a_name_that_does_not_exist_is_said() {
        let said = resolve("no-such-host.invalid", 80, &[]).unwrap_err();
        assert!(said.contains("not known"), "{said}");
    }
}
