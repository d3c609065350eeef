//! A route: method and path template, such as `GET /photos/{id}`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Method and path template. Written `GET /photos/{id}` everywhere: code, configuration, reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Route {
    method: String,
    template: String,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a route: write the method, a space and the path, like `GET /photos/{{id}}`")]
pub struct NotARoute(String);

impl Route {
    /// `method` is upper-cased; `template` must begin with a slash.
    pub fn new(method: &str, template: &str) -> Result<Self, NotARoute> {
        let method = method.trim().to_ascii_uppercase();
        let template = template.trim();
        let wrong = || NotARoute(format!("{method} {template}"));
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
            return Err(wrong());
        }
        if !template.starts_with('/') || template.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { method, template: template.to_owned() })
    }

    /// `GET /`.
    pub fn root() -> Self {
        Self { method: "GET".to_owned(), template: "/".to_owned() }
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    pub fn template(&self) -> &str {
        &self.template
    }

    /// The template without the name of a message, which stands behind `#`.
    pub fn path(&self) -> &str {
        self.template.split_once('#').map_or(&self.template, |(path, _)| path)
    }

    /// Goes over a connection that stays open: a WebSocket, a stream of events.
    pub fn is_live(&self) -> bool {
        matches!(self.method.as_str(), "WEBSOCKET" | "EVENTS" | "SEND" | "RECEIVE" | "CLOSE")
    }

    /// A route that reads and changes nothing, by its method.
    pub fn is_read(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// The same route up to the names of its parameters: `/photos/{id}` and `/photos/{photo}` match.
    pub fn matches(&self, other: &Self) -> bool {
        let shape = |segment: &str| -> String {
            let mut out = String::new();
            let mut depth = 0u32;
            for c in segment.chars() {
                match c {
                    '{' => {
                        if depth == 0 {
                            out.push_str("{}");
                        }
                        depth += 1;
                    }
                    '}' => depth = depth.saturating_sub(1),
                    _ if depth == 0 => out.push(c),
                    _ => {}
                }
            }
            out
        };
        self.method == other.method && shape(&self.template) == shape(&other.template)
    }

    /// Serves a request with this method and path: `GET /photos/{id}` serves `GET /photos/7`.
    pub fn serves(&self, method: &str, path: &str) -> bool {
        let (mut template, mut path) = (self.path().split('/'), path.split('/'));
        let fits = |t: &str, p: &str| t == p || (t.contains('{') && !p.is_empty());
        self.method == method
            && loop {
                match (template.next(), path.next()) {
                    (None, None) => break true,
                    (Some(t), Some(p)) if fits(t, p) => {}
                    _ => break false,
                }
            }
    }

    /// The first path segment, as an area's natural name: `/photos/{id}` gives `photos`, `/` gives nothing.
    pub fn first_segment(&self) -> Option<&str> {
        self.path().split('/').find(|s| !s.is_empty()).filter(|s| !s.starts_with('{'))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

impl FromStr for Route {
    type Err = NotARoute;

    fn from_str(text: &str) -> Result<Self, NotARoute> {
        let (method, template) = text.trim().split_once(' ').ok_or_else(|| NotARoute(text.to_owned()))?;
        Self::new(method, template)
    }
}

impl TryFrom<String> for Route {
    type Error = NotARoute;

    fn try_from(text: String) -> Result<Self, NotARoute> {
        text.parse()
    }
}

impl From<Route> for String {
    fn from(route: Route) -> Self {
        route.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_names_do_not_make_another_route() {
        let a: Route = "GET /photos/{id}/thumb".parse().unwrap();
        let b: Route = "get /photos/{photo_id}/thumb".parse().unwrap();
        assert!(a.matches(&b));
        assert!(!a.matches(&"POST /photos/{id}/thumb".parse().unwrap()));
        assert!(!a.matches(&"GET /photos/{id}".parse().unwrap()));
    }

    #[test]
    fn a_template_serves_paths_of_its_shape() {
        let route: Route = "GET /photos/{id}".parse().unwrap();
        assert!(route.serves("GET", "/photos/7") && Route::root().serves("GET", "/"));
        assert!(!route.serves("POST", "/photos/7") && !route.serves("GET", "/photos/"));
        assert!(!route.serves("GET", "/photos/7/thumb") && !route.serves("GET", "/photos"));
    }

    #[test]
    fn a_route_survives_its_own_text() {
        let route: Route = "POST /orders".parse().unwrap();
        assert_eq!(route.to_string().parse::<Route>().unwrap(), route);
        assert!("nonsense".parse::<Route>().is_err());
        assert!("GET orders".parse::<Route>().is_err());
    }
}
