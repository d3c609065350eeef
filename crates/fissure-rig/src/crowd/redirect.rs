//! Where a redirect leads.

use hyper::Method;

/// `location` seen from `current` (path and query) of an app that speaks `scheme`: the authority, if it names one, and the path with its query.
pub(super) fn resolve<'a>(
    scheme: &str,
    current: &str,
    location: &'a str,
) -> Result<(Option<&'a str>, String), String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let (authority, rest) = if let Some(rest) = strip_scheme(location, scheme) {
        split_authority(rest)
    } else if let Some(rest) = location.strip_prefix("//") {
        split_authority(rest)
    } else if let Some((scheme, _)) = location.split_once(':')
        && !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    {
        return Err(format!(
            "the redirect to `{location}` leaves the app: only {scheme} to the app itself is followed"
        ));
    } else {
        (None, location)
    };
    let (current_path, current_query) = split_query(current);
    let (path, query) = split_query(rest);
    let target = match path {
        "" if authority.is_some() => format!("/{query}"),
        "" if query.is_empty() => format!("{current_path}{current_query}"),
        "" => format!("{current_path}{query}"),
        _ if path.starts_with('/') => format!("{}{query}", without_dots(path)),
        _ => {
            let folder = &current_path[..=current_path.rfind('/').unwrap_or(0)];
            format!("{}{query}", without_dots(&format!("{folder}{path}")))
        }
    };
    Ok((authority, target))
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let start = text.get(..scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| text[scheme.len()..].strip_prefix("://"))?
}

fn split_authority(text: &str) -> (Option<&str>, &str) {
    let end = text.find(['/', '?']).unwrap_or(text.len());
    (Some(&text[..end]), &text[end..])
}

/// The query keeps its question mark.
fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find('?').unwrap_or(text.len()))
}

/// RFC 3986, section 5.2.4, for a path that begins with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// The method of the next request (RFC 9110, section 15.4, as browsers do it): POST becomes GET, except for 307 and 308.
pub(super) fn next_method(status: u16, method: &Method) -> Method {
    match status {
        303 if *method != Method::HEAD => Method::GET,
        301 | 302 if *method == Method::POST => Method::GET,
        _ => method.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_location_is_understood() {
        for (location, authority, target) in [
            ("/login", None, "/login"),
            ("/login?next=/a#top", None, "/login?next=/a"),
            ("edit", None, "/shop/edit"),
            ("../x", None, "/x"),
            ("./", None, "/shop/"),
            ("?page=2", None, "/shop/item?page=2"),
            ("", None, "/shop/item?page=1"),
            ("http://127.0.0.1:80/a/../b", Some("127.0.0.1:80"), "/b"),
            ("HTTP://localhost:3000", Some("localhost:3000"), "/"),
            ("http://h:1?q=http://other/", Some("h:1"), "/?q=http://other/"),
            ("//h:1/x", Some("h:1"), "/x"),
            ("/a:b", None, "/a:b"),
        ] {
            let got = resolve("http", "/shop/item?page=1", location).unwrap();
            assert_eq!(got, (authority, target.to_owned()), "{location}");
        }
        assert!(resolve("http", "/", "https://127.0.0.1/").unwrap_err().contains("leaves the app"));
        assert_eq!(resolve("https", "/", "https://h:1/x").unwrap(), (Some("h:1"), "/x".to_owned()));
        assert!(resolve("http", "/", "mailto:a@b").is_err());
    }

    #[test]
    fn only_307_and_308_keep_a_post() {
        for (status, method) in
            [(301, Method::GET), (302, Method::GET), (303, Method::GET), (307, Method::POST)]
        {
            assert_eq!(next_method(status, &Method::POST), method);
        }
        assert_eq!(next_method(303, &Method::PUT), Method::GET);
        assert_eq!(next_method(302, &Method::PUT), Method::PUT);
    }
}
