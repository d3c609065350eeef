//! Traffic: requests with their answers, as the front door saw them, a file told them, or a copy of the app gave them.

use serde::{Deserialize, Serialize};

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Exchange {
    /// When the request's first byte came, in microseconds since the recording began.
    pub at_us: u64,
    /// Who asked: the peer's address without its port, or what stands for it where no address is known.
    #[serde(default)]
    pub client: String,
    pub request: Asked,
    /// None when no answer came, or where the source does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
    /// From the request's first byte to the answer's last.
    #[serde(default)]
    pub took_us: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Asked {
    pub method: String,
    /// Path and query, as they were sent.
    pub target: String,
    /// In the order in which they came; names as they came.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub body: Content,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Answered {
    pub status: u16,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Without transfer coding; with its content coding (gzip, ...), if it had one.
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub body: Content,
}

/// The bytes of a body, or as many of them as were kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    /// On disk: text where it is UTF-8, else Base64 under another name.
    #[serde(flatten, with = "on_disk")]
    pub bytes: Vec<u8>,
    /// How many bytes the body had, if more than were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_from: Option<u64>,
}

/// A message of a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When its last byte came, in microseconds since the recording began.
    pub at_us: u64,
    /// `at_us` of the exchange that opened the WebSocket.
    pub opened_us: u64,
    pub from: Side,
    #[serde(default, skip_serializing_if = "is_false")]
    pub binary: bool,
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub body: Content,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Client,
    App,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Content {
    pub fn whole(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), cut_from: None }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.cut_from.is_none()
    }
}

impl Asked {
    /// The value of the first header of this name; names compare without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }
}

impl Answered {
    /// The value of the first header of this name; names compare without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }
}

fn first<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

mod on_disk {
    use std::borrow::Cow;

    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Spelled<'a> {
        Text(Cow<'a, str>),
        Base64(Cow<'a, str>),
    }

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Spelled::Text(text.into()),
            Err(_) => Spelled::Base64(STANDARD.encode(bytes).into()),
        }
        .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Spelled::deserialize(deserializer)? {
            Spelled::Text(text) => Ok(text.into_owned().into_bytes()),
            Spelled::Base64(text) => STANDARD.decode(text.as_bytes()).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_as_a_person_would_write_it() {
        let line = r#"{"at_us":5,"request":{"method":"POST","target":"/a?b=1","headers":[["Host","x"]],"body":{"text":"a=1"}},"answer":{"status":200}}"#;
        let exchange: Exchange = serde_json::from_str(line).unwrap();
        assert_eq!(exchange.request.body, Content::whole("a=1"));
        assert_eq!(exchange.request.header("host"), Some("x"));
        assert_eq!(exchange.answer.unwrap().body, Content::default());
    }

    proptest! {
        #[test]
        fn comes_back_from_disk_whatever_its_bytes(bytes: Vec<u8>, cut_from: Option<u64>) {
            let content = Content { bytes, cut_from };
            let exchange = Exchange { request: Asked { body: content, ..Asked::default() }, ..Exchange::default() };
            let line = serde_json::to_string(&exchange).unwrap();
            prop_assert_eq!(serde_json::from_str::<Exchange>(&line).unwrap(), exchange);
        }
    }
}
