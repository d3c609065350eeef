//! Where a request begins, and what it asks for: as much of a protocol as triggers need.

use fissure_facts::{Route, Trigger};

use super::state::Broken;

/// The method and the path of a request of HTTP/1, when these bytes begin with one.
pub(super) fn of_http(bytes: &[u8]) -> Option<(&str, &str)> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line.get(..line.len().min(8192))?).ok()?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let path = target.split(['?', '#']).next().unwrap_or(target);
    (is_method && version.starts_with("HTTP/1.") && words.next().is_none()).then_some((method, path))
}

/// Does a transaction end in these bytes on their way to a database? The word as a whole, in whatever protocol it travels.
pub(super) fn commits(bytes: &[u8]) -> bool {
    const WORD: &[u8] = b"COMMIT";
    let is_part_of_a_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    bytes.windows(WORD.len()).enumerate().any(|(at, part)| {
        part.eq_ignore_ascii_case(WORD)
            && !is_part_of_a_word(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && !is_part_of_a_word(bytes.get(at + WORD.len()))
    })
}

/// What passes by on its way up decides whether the connection is struck from here on; None: as before. `number` is that of
/// the request on its link, if this begins one.
pub(super) fn strikes(broken: &Broken, bytes: &[u8], number: impl FnOnce() -> u64) -> Option<bool> {
    let serves = |route: &Option<Route>, (method, path): (&str, &str)| {
        route.as_ref().is_none_or(|route| route.serves(method, path))
    };
    match broken.trigger {
        Trigger::Commit => Some(commits(bytes)),
        Trigger::Request(n) => {
            let request = of_http(bytes)?;
            let is_meant = serves(&broken.route, request);
            Some(is_meant && number().is_multiple_of(u64::from(n.max(1))))
        }
        Trigger::Always if broken.kind.is_of_http() || broken.route.is_some() => {
            of_http(bytes).map(|request| serves(&broken.route, request))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_known_by_its_first_line() {
        assert_eq!(of_http(b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n"), Some(("GET", "/a")));
        for other in [
            &b"GET /a\r\n"[..],
            b"+PONG\r\n",
            b"get / HTTP/1.1\r\n",
            b"\x16\x03\x01",
            b"",
            b"HTTP/1.1 200 OK\r\n",
        ] {
            assert_eq!(of_http(other), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn a_commit_is_a_word() {
        assert!(commits(b"Q\0\0\0\x0bCOMMIT\0") && commits(b"insert into t; commit"));
        assert!(!commits(b"select committed_at") && !commits(b"precommit") && !commits(b"ROLLBACK"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes: Vec<u8>) {
            let _ = (of_http(&bytes), commits(&bytes));
        }
    }
}
