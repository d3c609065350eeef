//! How an app is spoken to: with or without TLS, in which version of HTTP.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Protocol {
    #[serde(default)]
    pub tls: bool,
    /// None as browsers do it: over TLS whichever version the app prefers, and HTTP/1.1 in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpVersion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HttpVersion {
    #[default]
    #[serde(rename = "1.1")]
    One,
    #[serde(rename = "2")]
    Two,
}

impl Protocol {
    pub fn scheme(self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// What is offered to the app in the handshake of TLS (ALPN), the best first.
    pub fn offers(self) -> &'static [HttpVersion] {
        match self.http {
            Some(HttpVersion::One) => &[HttpVersion::One],
            Some(HttpVersion::Two) => &[HttpVersion::Two],
            None => &[HttpVersion::Two, HttpVersion::One],
        }
    }
}

impl fmt::Display for HttpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "HTTP/1.1",
            Self::Two => "HTTP/2",
        })
    }
}
