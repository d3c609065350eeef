//! Traffic into users: whose requests are whose, by cookies, authorization and address.

use std::collections::BTreeMap;

use fissure_facts::Exchange;

use super::looks_random;

/// A user who was away for so long comes back as another one: the half hour by which web analytics ends a visit.
const VISIT_ENDS_AFTER_US: u64 = 30 * 60 * 1_000_000;

#[derive(Debug, Default)]
struct Person {
    /// Address and program.
    client: (String, String),
    /// Cookies as this user has them.
    jar: BTreeMap<String, String>,
    /// The paths to which those are sent that the app gave for a part of it only.
    paths: BTreeMap<String, String>,
    has_sent_cookies: bool,
    authorization: Option<String>,
    last_us: u64,
    visits: Vec<usize>,
}

/// The places of each user's exchanges, in time; users in the order in which they came.
pub fn split(exchanges: &[Exchange]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..exchanges.len()).collect();
    order.sort_by_key(|n| exchanges[*n].at_us);
    let mut people: Vec<Person> = Vec::new();
    for n in order {
        let exchange = &exchanges[n];
        let known = whose(&people, exchange);
        let person = match known {
            Some(known) => &mut people[known],
            None => {
                people.push(Person { client: client(exchange), ..Person::default() });
                let last = people.len() - 1;
                &mut people[last]
            }
        };
        person.take(exchange, n);
    }
    people.into_iter().map(|person| person.visits).collect()
}

fn client(exchange: &Exchange) -> (String, String) {
    (exchange.client.clone(), exchange.request.header("user-agent").unwrap_or_default().to_owned())
}

/// The user of this request among those who are there.
fn whose(people: &[Person], exchange: &Exchange) -> Option<usize> {
    let asked = &exchange.request;
    let here = || {
        people.iter().enumerate().rev().filter(|(_, person)| {
            exchange.at_us.saturating_sub(person.last_us) < VISIT_ENDS_AFTER_US
                && person.client.0 == exchange.client
        })
    };
    let client = client(exchange);
    let present = || here().filter(|(_, person)| person.client == client);
    let cookies = cookies_of(asked.header("cookie").unwrap_or_default());
    if !cookies.is_empty() {
        // The one whose jar says the same most often; somebody who never was given another value of it.
        let agreement = |person: &Person| -> Option<usize> {
            let same = cookies.iter().filter(|(name, value)| person.jar.get(*name) == Some(value)).count();
            let other =
                cookies.iter().any(|(name, value)| person.jar.get(name).is_some_and(|held| held != value));
            (!other || same > 0).then_some(same)
        };
        let best = present().filter_map(|(n, person)| agreement(person).map(|same| (same, n)));
        let best = best.max_by_key(|(same, n)| (*same, *n));
        // A session that was given to one user is that user's, whatever its program calls itself: some requests (beacons, workers) name
        // another one than the page does.
        let is_session = |person: &Person| {
            cookies.iter().any(|(name, value)| looks_random(value) && person.jar.get(name) == Some(value))
        };
        let by_session = || here().find(|(_, person)| is_session(person)).map(|(n, _)| n);
        return match best {
            Some((same, n)) if same > 0 => Some(n),
            other => by_session().or(other.map(|(_, n)| n)),
        };
    }
    if let Some(authorization) = asked.header("authorization") {
        let same = present().find(|(_, person)| person.authorization.as_deref() == Some(authorization));
        // The first request with a token belongs to whoever was given it, or had none yet.
        return same.or_else(|| present().find(|(_, person)| person.authorization.is_none())).map(|(n, _)| n);
    }
    let opens_a_page = asked.header("accept").is_none_or(|accept| accept.contains("text/html"));
    let (n, last) = present().next()?;
    // A browser that has cookies for the page sends them; without them it is somebody else's, or another test's.
    (!(last.has_cookies_for(&asked.target) && opens_a_page)).then_some(n)
}

impl Person {
    fn has_cookies_for(&self, target: &str) -> bool {
        let path = target.split('?').next().unwrap_or_default();
        self.has_sent_cookies
            && self.jar.keys().any(|name| self.paths.get(name).is_none_or(|of| is_below(path, of)))
    }

    fn take(&mut self, exchange: &Exchange, n: usize) {
        self.visits.push(n);
        self.last_us = self.last_us.max(exchange.at_us + exchange.took_us);
        let sent = cookies_of(exchange.request.header("cookie").unwrap_or_default());
        self.has_sent_cookies |= !sent.is_empty();
        self.jar.extend(sent);
        if let Some(authorization) = exchange.request.header("authorization") {
            self.authorization = Some(authorization.to_owned());
        }
        for (name, value) in exchange.answer.iter().flat_map(|answer| &answer.headers) {
            let mut parts = value.split(';').filter_map(|part| part.split_once('='));
            if name.eq_ignore_ascii_case("set-cookie")
                && let Some((name, value)) = parts.next()
            {
                let name = name.trim().to_owned();
                let path = parts.find(|(what, _)| what.trim().eq_ignore_ascii_case("path"));
                if let Some((_, path)) = path.filter(|(_, path)| path.trim() != "/") {
                    self.paths.insert(name.clone(), path.trim().to_owned());
                }
                self.jar.insert(name, value.trim().to_owned());
            }
        }
    }
}

/// RFC 6265, section 5.1.4.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.ends_with('/'))
}

/// `a=1; b=2`.
pub fn cookies_of(header: &str) -> BTreeMap<String, String> {
    let pairs = header.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}
