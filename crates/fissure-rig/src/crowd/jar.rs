//! A user's cookies, by RFC 6265 as far as one host needs it.
//!
//! `Domain` is not looked at: the user only ever speaks to the app, on loopback, under whatever name it thinks it has.
//! `Secure` cookies are sent, as browsers do for localhost.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;
use hyper::header::SET_COOKIE;

/// Browsers keep about so many per site; more would let a hostile app fill the memory.
const COOKIES_MAX: usize = 180;
const COOKIE_BYTES_MAX: usize = 4096;

#[derive(Debug, Clone, Default)]
pub(super) struct Jar {
    /// In the order in which they were made.
    cookies: Vec<Cookie>,
}

#[derive(Debug, Clone)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    /// Seconds since 1970; None lives as long as the user.
    expires_s: Option<i64>,
}

impl Jar {
    /// Takes the cookies of an answer to a request for `path`.
    pub(super) fn store(&mut self, headers: &HeaderMap, path: &str) {
        for value in headers.get_all(SET_COOKIE) {
            self.set(&String::from_utf8_lossy(value.as_bytes()), path, now_s());
        }
    }

    fn set(&mut self, text: &str, request_path: &str, now_s: i64) {
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let Some((name, value)) = pair.split_once('=') else { return };
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.len() + value.len() > COOKIE_BYTES_MAX {
            return;
        }
        let mut path = default_path(request_path);
        let (mut expires_s, mut max_age_s) = (None, None);
        for attribute in attributes.split(';') {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => path = value,
                "path" => path = default_path(request_path),
                "expires" => expires_s = parse_date(value).or(expires_s),
                "max-age" => max_age_s = parse_max_age(value).or(max_age_s),
                _ => {}
            }
        }
        // Max-Age goes before Expires, wherever they stand.
        let expires_s = max_age_s
            .map(|age: i64| if age <= 0 { i64::MIN } else { now_s.saturating_add(age) })
            .or(expires_s);
        let known = self.cookies.iter().position(|c| c.name == name && c.path == path);
        if expires_s.is_some_and(|at| at <= now_s) {
            if let Some(index) = known {
                self.cookies.remove(index);
            }
            return;
        }
        match known {
            Some(index) => {
                // Its place in the order stays: the creation time of a replaced cookie is kept.
                self.cookies[index].value = value.to_owned();
                self.cookies[index].expires_s = expires_s;
            }
            None => {
                if self.cookies.len() >= COOKIES_MAX {
                    self.cookies.remove(0);
                }
                let (name, value, path) = (name.to_owned(), value.to_owned(), path.to_owned());
                self.cookies.push(Cookie { name, value, path, expires_s });
            }
        }
    }

    /// A cookie of the other jar is missing here, or has another value.
    pub(super) fn has_lost_any_of(&self, other: &Self) -> bool {
        let is_kept = |old: &Cookie| {
            self.cookies.iter().any(|c| c.name == old.name && c.path == old.path && c.value == old.value)
        };
        !other.cookies.iter().all(is_kept)
    }

    /// Writes `name=value; name=value` for a request for `path`; longer cookie paths first.
    pub(super) fn write(&self, path: &str, out: &mut String) {
        if self.cookies.is_empty() {
            return;
        }
        let now_s = now_s();
        let is_sent = |c: &&Cookie| path_matches(path, &c.path) && c.expires_s.is_none_or(|at| at > now_s);
        let mut sent: Vec<&Cookie> = self.cookies.iter().filter(is_sent).collect();
        sent.sort_by_key(|c| std::cmp::Reverse(c.path.len())); // stable: among equals the elder first
        for cookie in sent {
            let separator = if out.is_empty() { "" } else { "; " };
            let _ = write!(out, "{separator}{}={}", cookie.name, cookie.value);
        }
    }
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

/// RFC 6265, section 5.1.4: up to the last slash, but not with it.
fn default_path(request_path: &str) -> &str {
    match request_path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &request_path[..end],
    }
}

fn path_matches(request: &str, cookie: &str) -> bool {
    request
        .strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// Digits with an optional minus; what is too large for the number is as good as for ever.
fn parse_max_age(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}

/// The forgiving date algorithm of RFC 6265, section 5.1.1: seconds since 1970.
fn parse_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let is_delimiter = |c: char| matches!(c, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~');
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|t| !t.is_empty()) {
        let digits = token.bytes().take_while(u8::is_ascii_digit).count();
        let number = || token[..digits].parse::<i16>().ok();
        if time.is_none()
            && let Some(found) = parse_time(token)
        {
            time = Some(found);
        } else if day.is_none() && matches!(digits, 1..=2) {
            day = number();
        } else if month.is_none()
            && let Some(start) = token.get(..3)
            && let Some(index) = MONTHS.iter().position(|m| start.eq_ignore_ascii_case(m))
        {
            month = Some(index as i8 + 1);
        } else if year.is_none() && matches!(digits, 2..=4) {
            year = number().map(|y| match y {
                70..=99 if digits == 2 => y + 1900,
                0..=69 if digits == 2 => y + 2000,
                _ => y,
            });
        }
    }
    let (hour, minute, second) = time?;
    let date = jiff::civil::Date::new(year.filter(|y| *y >= 1601)?, month?, day?.try_into().ok()?).ok()?;
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    let days = date.duration_since(jiff::civil::date(1970, 1, 1)).as_secs();
    Some(days + time.duration_since(jiff::civil::Time::midnight()).as_secs())
}

fn parse_time(token: &str) -> Option<(i8, i8, i8)> {
    let mut fields = token.splitn(3, ':');
    let mut field = || {
        let text = fields.next()?;
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if matches!(digits, 1..=2) { text[..digits].parse::<i8>().ok() } else { None }
    };
    Some((field()?, field()?, field()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_S: i64 = 1_700_000_000;

    fn sent(jar: &Jar, path: &str) -> String {
        let mut out = String::new();
        jar.write(path, &mut out);
        out
    }

    #[test]
    fn cookies_go_where_their_path_says_longest_first() {
        let mut jar = Jar::default();
        jar.set("a=1; Path=/", "/x/y", NOW_S);
        jar.set("b=2", "/x/y", NOW_S);
        jar.set("c=3; Path=/x/y; Secure; HttpOnly; Domain=elsewhere.example", "/", NOW_S);
        assert_eq!(sent(&jar, "/x/y/z"), "c=3; b=2; a=1");
        assert_eq!(sent(&jar, "/x"), "b=2; a=1");
        assert_eq!(sent(&jar, "/xy"), "a=1");
    }

    #[test]
    fn a_cookie_is_replaced_and_deleted() {
        let mut jar = Jar::default();
        jar.set("s=old; Path=/", "/", NOW_S);
        jar.set("t=1; Path=/", "/", NOW_S);
        jar.set("s=new; Path=/", "/", NOW_S);
        assert_eq!(sent(&jar, "/"), "s=new; t=1");
        jar.set("s=; Path=/; Max-Age=0; Expires=Wed, 21 Oct 2099 07:28:00 GMT", "/", NOW_S);
        jar.set("t=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "/", NOW_S);
        assert_eq!(sent(&jar, "/"), "");
    }

    #[test]
    fn dates_are_read_in_every_form_that_servers_write() {
        for text in [
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Wed, 21-Oct-15 07:28:00 GMT",
            "Wed Oct 21 07:28:00 2015",
            "21 october 2015 7:28:0",
        ] {
            assert_eq!(parse_date(text), Some(1_445_412_480), "{text}");
        }
        for text in ["", "never", "Wed, 31 Feb 2015 07:28:00 GMT", "21 Oct 2015", "21 Oct 2015 27:28:00"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn an_app_that_sets_cookies_without_end_does_not_fill_the_memory() {
        let mut jar = Jar::default();
        for n in 0..10_000 {
            jar.set(&format!("c{n}=1"), "/", NOW_S);
        }
        jar.set(&format!("huge={}", "x".repeat(10_000)), "/", NOW_S);
        assert_eq!(jar.cookies.len(), COOKIES_MAX);
    }

    proptest! {
        #[test]
        fn no_cookie_makes_the_jar_panic(text in "\\PC{0,80}", date in "\\PC{0,40}", path in "\\PC{0,20}") {
            let mut jar = Jar::default();
            jar.set(&text, &path, NOW_S);
            jar.set(&format!("a=b; Expires={date}; Max-Age={date}; Path={text}"), &path, NOW_S);
            sent(&jar, &path);
        }
    }
}
