//! Where a connection of the app leads.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address of the network, or a socket file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Address {
    Tcp(SocketAddr),
    /// A Unix socket, by its path; an abstract one begins with `@`.
    Unix(String),
}

impl Address {
    /// None of a socket file.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }

    /// Does this text, an environment variable's value, lead there? By the port; a socket by its folder at least: that is what
    /// PostgreSQL's clients are given.
    pub fn is_named_by(&self, value: &str) -> bool {
        match self {
            Self::Tcp(address) => {
                let port = address.port().to_string();
                value.split(|c: char| !c.is_ascii_digit()).any(|number| number == port)
            }
            Self::Unix(path) => {
                path.rsplit_once('/').is_some_and(|(folder, _)| !folder.is_empty() && value.contains(folder))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.fmt(f),
        }
    }
}

impl FromStr for Address {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Unix(text.to_owned()), Self::Tcp))
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        let Ok(address) = text.parse();
        address
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for text in ["127.0.0.1:5432", "[::1]:5432", "/var/run/postgresql/.s.PGSQL.5432", "@shop", ""] {
            let Ok(address) = text.parse::<Address>();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.port().is_some(), text.ends_with(":5432"));
            let json = serde_json::to_string(&address).unwrap();
            assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
        }
    }
}
