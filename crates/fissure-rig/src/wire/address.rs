//! The address in an environment variable, and the same by way of a relay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a link leads, and how its address is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkAddress {
    pub upstream: SocketAddr,
    before: String,
    host: String,
    after: String,
}

/// Why fissure does not put itself in between.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    #[error("its address is not on this machine")]
    Elsewhere,
    #[error("its address has no host and port that could be read")]
    Unreadable,
}

impl LinkAddress {
    /// Reads `scheme://user:password@host:port/rest`, or `host:port`.
    pub fn parse(value: &str) -> Result<Self, NotOurs> {
        let (scheme, rest_at) = match value.find("://") {
            Some(at) => (&value[..at], at + 3),
            None => ("", 0),
        };
        let rest = &value[rest_at..];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let host_at = authority.rfind('@').map_or(0, |at| at + 1);
        let host_and_port = &authority[host_at..];
        let (host, port) = match host_and_port.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| NotOurs::Unreadable)?)
            }
            _ => (host_and_port, usual_port(scheme).ok_or(NotOurs::Unreadable)?),
        };
        let ip: IpAddr = match host.trim_matches(['[', ']']) {
            "" => return Err(NotOurs::Unreadable),
            "localhost" => Ipv4Addr::LOCALHOST.into(),
            "::1" => Ipv6Addr::LOCALHOST.into(),
            other => other.parse().map_err(|_| NotOurs::Elsewhere)?,
        };
        if !ip.is_loopback() {
            return Err(NotOurs::Elsewhere);
        }
        Ok(Self {
            upstream: SocketAddr::new(ip, port),
            before: value[..rest_at + host_at].to_owned(),
            // A certificate may name it; the relay listens on 127.0.0.1, which `localhost` finds too.
            host: if host == "localhost" { host.to_owned() } else { Ipv4Addr::LOCALHOST.to_string() },
            after: rest[authority.len()..].to_owned(),
        })
    }

    /// The same by way of a relay on this port.
    pub fn through(&self, port: u16) -> String {
        let Self { before, host, after, .. } = self;
        format!("{before}{host}:{port}{after}")
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    // `postgresql+asyncpg` and its like name a driver behind the plus.
    match scheme.split('+').next()? {
        "postgres" | "postgresql" => Some(5432),
        "mysql" | "mariadb" => Some(3306),
        "redis" | "rediss" => Some(6379),
        "amqp" => Some(5672),
        "mongodb" => Some(27017),
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_as_people_write_them_lead_through_the_relay() {
        let through =
            |value: &str| LinkAddress::parse(value).map(|a| (a.upstream.to_string(), a.through(99)));
        let is = |upstream: &str, value: &str| Ok((upstream.to_owned(), value.to_owned()));
        assert_eq!(
            through("postgres://me:p%40ss@localhost:5433/shop?sslmode=disable"),
            is("127.0.0.1:5433", "postgres://me:p%40ss@localhost:99/shop?sslmode=disable")
        );
        assert_eq!(
            through("postgresql+asyncpg://me@127.0.0.1/shop"),
            is("127.0.0.1:5432", "postgresql+asyncpg://me@127.0.0.1:99/shop")
        );
        assert_eq!(through("redis://[::1]:6380/0"), is("[::1]:6380", "redis://127.0.0.1:99/0"));
        assert_eq!(through("127.0.0.1:7000"), is("127.0.0.1:7000", "127.0.0.1:99"));
        assert_eq!(through("http://localhost"), is("127.0.0.1:80", "http://localhost:99"));
    }

    #[test]
    fn what_is_not_here_is_left_alone() {
        assert_eq!(LinkAddress::parse("postgres://db.example.com:5432/x"), Err(NotOurs::Elsewhere));
        assert_eq!(LinkAddress::parse("redis://10.0.0.4:6379"), Err(NotOurs::Elsewhere));
        assert_eq!(LinkAddress::parse("app.db"), Err(NotOurs::Unreadable));
        assert_eq!(LinkAddress::parse(""), Err(NotOurs::Unreadable));
        assert_eq!(LinkAddress::parse("http://localhost:99999/"), Err(NotOurs::Unreadable));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(value in "\\PC{0,60}") {
            let _ = LinkAddress::parse(&value);
        }
    }
}
