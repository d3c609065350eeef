//! A request before it goes onto a connection.

use std::borrow::Cow;

use bytes::Bytes;
use fissure_facts::Protocol;
use fissure_facts::fact::ErrorClass;
use http_body_util::Full;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Uri};

use super::connection::Failure;

/// Says nothing that only one version of HTTP has, and can be sent again.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// How the app is to be spoken to.
    pub(super) protocol: Protocol,
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: Cow<'a, str>,
    pub(super) common: Cow<'a, CommonHeaders>,
    /// Headers of this user.
    pub(super) own: Vec<(HeaderName, HeaderValue)>,
    pub(super) cookies: Option<HeaderValue>,
    pub(super) body: Bytes,
}

/// Headers that are the same for every user, also as HTTP/1.1 writes them.
#[derive(Debug, Clone)]
pub(super) struct CommonHeaders {
    map: HeaderMap,
    lines: Vec<u8>,
}

impl CommonHeaders {
    pub(super) fn new(map: HeaderMap) -> Self {
        let mut lines = Vec::new();
        for (name, value) in &map {
            write_line(&mut lines, name, value);
        }
        Self { map, lines }
    }
}

impl Draft<'_> {
    /// The head as HTTP/1.1 writes it.
    pub(super) fn write_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(&self.common.lines);
        for (name, value) in self.personal() {
            write_line(out, name, value);
        }
        if let Some(length) = self.length() {
            write_line(out, &CONTENT_LENGTH, &length);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The same for clients that write it themselves.
    pub(super) fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri(&self.target)?;
        let headers = request.headers_mut();
        headers.clone_from(&self.common.map);
        headers.extend(self.personal().map(|(name, value)| (name.clone(), value.clone())));
        headers.extend(self.length().map(|length| (CONTENT_LENGTH, length)));
        Ok(request)
    }

    /// What this user sends of its own, cookies included.
    pub(super) fn personal(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let cookies = self.cookies.as_ref().map(|cookies| (&COOKIE, cookies));
        self.own.iter().map(|(name, value)| (name, value)).chain(cookies)
    }

    /// A server may insist on a length even when there is nothing (RFC 9110, section 8.6).
    fn length(&self) -> Option<HeaderValue> {
        let has_body_by_nature = [Method::POST, Method::PUT, Method::PATCH].contains(&self.method);
        (!self.body.is_empty() || has_body_by_nature).then(|| self.body.len().into())
    }

    /// May it be sent twice without doing its work twice (RFC 9110, section 9.2.2)?
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// What a redirect makes of it.
    pub(super) fn redirected(&mut self, method: Method, target: String) -> Result<(), Failure> {
        uri(&target)?;
        self.target = target.into();
        if method != self.method {
            self.method = method;
            self.body.clear();
            self.own.retain(|(name, _)| name != CONTENT_TYPE);
            if self.common.map.contains_key(CONTENT_TYPE) {
                let mut map = self.common.map.clone();
                map.remove(CONTENT_TYPE);
                self.common = Cow::Owned(CommonHeaders::new(map));
            }
        }
        Ok(())
    }
}

/// With the name in title case: there are servers that know no other.
fn write_line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let mut begins_word = true;
    for byte in name.as_str().bytes() {
        out.push(if begins_word { byte.to_ascii_uppercase() } else { byte });
        begins_word = byte == b'-';
    }
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Refuses what cannot stand in a request line.
pub(super) fn uri(target: &str) -> Result<Uri, Failure> {
    Uri::try_from(target).map_err(|e| Failure {
        class: ErrorClass::Crowd,
        sentence: format!("`{target}` cannot be asked for ({e})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(common: &CommonHeaders) -> Draft<'_> {
        Draft {
            protocol: Protocol::default(),
            method: Method::POST,
            target: "/a?b=1".into(),
            common: Cow::Borrowed(common),
            own: vec![(HeaderName::from_static("x-csrf-token"), HeaderValue::from_static("t"))],
            cookies: Some(HeaderValue::from_static("s=1")),
            body: Bytes::from_static(b"{}"),
        }
    }

    fn common() -> CommonHeaders {
        let pairs = [("host", "127.0.0.1:80"), ("content-type", "application/json")];
        CommonHeaders::new(
            pairs
                .into_iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect(),
        )
    }

    #[test]
    fn both_forms_of_a_request_say_the_same() {
        let common = common();
        let draft = draft(&common);
        let mut head = Vec::new();
        draft.write_head(&mut head);
        assert_eq!(
            String::from_utf8(head).unwrap(),
            "POST /a?b=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Type: application/json\r\nX-Csrf-Token: t\r\nCookie: s=1\r\nContent-Length: 2\r\n\r\n"
        );
        let request = draft.request().unwrap();
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        assert_eq!((method, uri.to_string().as_str(), headers.len()), (&Method::POST, "/a?b=1", 5));
        assert_eq!(
            (&headers["content-length"], &headers["cookie"]),
            (&"2".parse().unwrap(), &"s=1".parse().unwrap())
        );
    }

    #[test]
    fn a_post_that_becomes_a_get_leaves_its_body_behind() {
        let common = common();
        let mut draft = draft(&common);
        draft.redirected(Method::GET, "/b".to_owned()).unwrap();
        let mut head = Vec::new();
        draft.write_head(&mut head);
        let head = String::from_utf8(head).unwrap();
        assert_eq!(head, "GET /b HTTP/1.1\r\nHost: 127.0.0.1:80\r\nX-Csrf-Token: t\r\nCookie: s=1\r\n\r\n");
        assert!(draft.redirected(Method::GET, "/a b\r\nX: y".to_owned()).is_err());
    }
}
