//! A URL on the command line, and the journey of a user who opens it.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// `http://host:port/path?query`, or `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// Path and query, percent-encoded, beginning with a slash.
    pub target: String,
}

/// What every request to a URL carries.
#[derive(Debug, Default)]
pub struct Requests {
    pub method: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    pub think: Duration,
}

impl Url {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{text}` is not a URL that can be loaded: {what}");
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(wrong("it begins with `http://` or `https://`")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("a name and password go into a header: -H 'Authorization: Basic ...'"));
        }
        let bracket = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[bracket..].find(':') {
            Some(colon) => {
                let (host, port) = authority.split_at(bracket + colon);
                (
                    host,
                    port[1..]
                        .parse()
                        .ok()
                        .filter(|p| *p > 0)
                        .ok_or_else(|| wrong("the port is a number up to 65535"))?,
                )
            }
            None => (authority, default_port(tls)),
        };
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let target = behind.split('#').next().unwrap_or_default();
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { tls, host: host.to_owned(), port, target: format!("{slash}{}", encoded(target)) })
    }

    /// What `Host` says.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.tls) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Where it begins.
    pub fn base(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    /// The journey of one user who opens it.
    pub fn journey(&self, requests: &Requests) -> String {
        let method = requests
            .method
            .clone()
            .unwrap_or_else(|| if requests.body.is_some() { "POST" } else { "GET" }.to_owned());
        let mut text = format!("{method} {{{{base}}}}{}\n", self.target);
        for (name, value) in &requests.headers {
            let _ = writeln!(text, "{name}: {}", quoted(value));
        }
        if !requests.think.is_zero() {
            let _ = writeln!(text, "[Options]\ndelay: {}ms", requests.think.as_millis());
        }
        if let Some(body) = &requests.body {
            let _ = writeln!(text, "base64,{};", BASE64.encode(body));
        }
        text
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// `name: value`, as in curl.
pub fn header(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{text}` is not a header: write `name: value`");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let is_clean =
        !name.is_empty() && name.chars().all(is_token) && !value.contains(|c: char| c.is_control());
    if is_clean { Ok((name.to_owned(), value.trim().to_owned())) } else { Err(wrong()) }
}

/// What may not stand in a URL of a journey, percent-encoded (RFC 3986); what is encoded already stays.
fn encoded(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        if byte.is_ascii_alphanumeric() || b":/.-?=&_%*,@~+!$'();[]".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Text that means itself in a journey: neither comment nor variable.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' | '#' => out.extend(['\\', c]),
            '{' => out.push_str("\\u{7b}"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use fissure_facts::journey;
    use proptest::prelude::*;

    use super::*;

    fn parsed(url: &str, requests: &Requests) -> fissure_facts::journey::JourneyStep {
        let text = Url::parse(url).unwrap().journey(requests);
        let no_files = |_: &str| Err(std::io::Error::other("none"));
        journey::parse(url, &text, &no_files).unwrap_or_else(|e| panic!("{e}\n{text}")).steps.remove(0)
    }

    #[test]
    fn urls_of_every_kind_are_read() {
        let url = |text| Url::parse(text).unwrap();
        assert_eq!(url("http://127.0.0.1:8000/a?b=c#d").target, "/a?b=c");
        assert_eq!((url("https://h/").port, url("https://h/").base().as_str()), (443, "https://h"));
        assert_eq!((url("http://localhost").port, url("http://localhost").target.as_str()), (80, "/"));
        assert_eq!(
            (url("http://[::1]:81?q").host.as_str(), url("http://[::1]:81?q").authority().as_str()),
            ("[::1]", "[::1]:81")
        );
        assert_eq!(url("http://h/a b/{{base}}\u{e4}").target, "/a%20b/%7B%7Bbase%7D%7D%C3%A4");
        for wrong in [
            "",
            "127.0.0.1:80",
            "ftp://h/",
            "http://",
            "http:///x",
            "http://h:0/",
            "http://h:99999/",
            "http://a:b@h/",
        ] {
            assert!(Url::parse(wrong).unwrap_err().contains("not a URL"), "{wrong}");
        }
    }

    #[test]
    fn a_body_makes_it_a_post_and_the_method_can_be_said() {
        let body = || Some(b"{\"a\": \"```\"}".to_vec());
        let post = parsed("http://h/a", &Requests { body: body(), ..Requests::default() });
        assert_eq!(post.route.to_string(), "POST /a");
        assert!(matches!(&post.body, journey::Body::Bytes(bytes) if Some(bytes) == body().as_ref()));
        let put = Requests { body: body(), method: Some("PUT".to_owned()), ..Requests::default() };
        assert_eq!(parsed("http://h/a", &put).method, "PUT");
    }

    #[test]
    fn headers_are_taken_as_they_are() {
        assert_eq!(header("Accept:text/html").unwrap(), ("Accept".to_owned(), "text/html".to_owned()));
        for wrong in ["", "Accept", ": x", "a b: c", "a: b\r\nc: d"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_url_and_header_becomes_a_journey_that_means_the_same(path in "[a-z/?&=#{} \\\\\"%.]{0,30}", value in "\\PC{1,40}") {
            prop_assume!(!path.split(['/', '?', '#']).any(|s| s == "." || s == ".."));
            let headers = vec![("x-test".to_owned(), value.trim().to_owned())];
            prop_assume!(!headers[0].1.is_empty());
            let step = parsed(&format!("http://h/{path}"), &Requests { headers: headers.clone(), think: Duration::from_millis(5), ..Requests::default() });
            prop_assert_eq!(step.think, Duration::from_millis(5));
            prop_assert_eq!(&step.headers[0].1.0, &vec![journey::Piece::Text(headers[0].1.clone())]);
        }
    }
}
