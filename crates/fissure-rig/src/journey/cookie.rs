//! The cookies that an answer sets.

use hyper::HeaderMap;
use hyper::header::SET_COOKIE;
use serde_json::Value;

use super::filter::Seen;

/// The value of a cookie that the answer sets, or of one of its attributes.
pub(super) fn find(headers: &HeaderMap, name: &str, attribute: Option<&str>) -> Option<Seen> {
    headers.get_all(SET_COOKIE).iter().find_map(|header| {
        let header = String::from_utf8_lossy(header.as_bytes());
        let mut parts = header.split(';').map(str::trim);
        let (found, value) = parts.next()?.split_once('=')?;
        if found.trim() != name {
            return None;
        }
        let Some(wanted) = attribute.filter(|a| *a != "Value") else { return Some(Seen::text(value.trim())) };
        let (_, value) = parts
            .map(|part| part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value.trim()))))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted))?;
        match (wanted, value) {
            ("Secure" | "HttpOnly", _) => Some(Seen::Present),
            ("Max-Age", Some(seconds)) => seconds.parse::<i64>().ok().map(|s| Seen::Json(Value::from(s))),
            (_, value) => value.map(Seen::text),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_and_attributes_of_the_right_cookie_are_found() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, "other=1".parse().unwrap());
        headers.append(SET_COOKIE, "sid=a=b; Path=/; max-age=60; Secure; SameSite=Lax".parse().unwrap());
        let at = |attribute: Option<&str>| find(&headers, "sid", attribute);
        assert_eq!(at(None), Some(Seen::text("a=b")));
        assert_eq!(at(Some("Value")), Some(Seen::text("a=b")));
        assert_eq!(at(Some("Path")), Some(Seen::text("/")));
        assert_eq!(at(Some("Max-Age")), Some(Seen::Json(json!(60))));
        assert_eq!(at(Some("Secure")), Some(Seen::Present));
        assert_eq!(at(Some("HttpOnly")), None);
        assert_eq!(at(Some("SameSite")), Some(Seen::text("Lax")));
        assert_eq!(find(&headers, "SID", None), None);
    }
}
