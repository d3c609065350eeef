//! A user's visit as the steps of a journey: requests with variables, think times, captures, and what shows that the
//! answer is the right one.

use std::time::Duration;

use fissure_facts::Exchange;
use fissure_facts::journey::{
    Assert, Capture, ExpectedStatus, JourneyStep, Piece, Predicate, Query, Template, route_of,
};

use super::Row;
use super::carried::{Correlation, Visited, correlate};
use super::fresh::{Fresh, is_password};
use super::html;
use super::live;
use super::people::cookies_of;
use super::random::looks_random;
use super::sent::joined;
use super::unique;

/// Shorter pauses are the browser's, not the person's.
const THINK_MIN: Duration = Duration::from_millis(200);

/// The steps, and what a person should know of each.
pub fn of_visit(visit: &[&Exchange], rows: &[Row]) -> (Vec<JourneyStep>, Vec<Vec<String>>) {
    let visits: Vec<Visited<'_>> = visit.iter().map(|exchange| Visited::read(exchange)).collect();
    let correlation = correlate(&visits, rows);
    let mut given_cookies: Vec<String> = Vec::new();
    let (mut steps, mut notes) = (Vec::<JourneyStep>::new(), Vec::new());
    let drawn = Piece::Variable(unique::NAME.to_owned());
    let first_drawn = correlation
        .fresh
        .iter()
        .filter(|f| f.template.iter().flatten().any(|piece| *piece == drawn))
        .map(|f| f.step)
        .min();
    let mut ended_us = None;
    for (n, visited) in visits.iter().enumerate() {
        let exchange = visited.exchange;
        let mut step = JourneyStep::empty(0);
        step.method = exchange.request.method.to_ascii_uppercase();
        visited.sent.write(&mut step, &correlation.templates[n]);
        let Some(route) = route_of(&step.method, &step.target) else { continue };
        step.route = route;
        step.think = think(ended_us, exchange.at_us);
        ended_us = ended_us.max(Some(exchange.at_us + exchange.took_us));
        if first_drawn == Some(n)
            && let Some(before) = steps.last_mut()
        {
            unique::drawn_at(before);
        }
        for fresh in correlation.fresh.iter().filter(|f| f.step == n) {
            step.variables.extend(fresh.template.clone().map(|made| (fresh.name.clone(), Template(made))));
        }
        let mut note = Vec::new();
        step.cookies = own_cookies(exchange, &given_cookies, &mut note);
        given_cookies.extend(set_by(exchange));
        for name in &correlation.unexplained[n] {
            note.push(format!(
                "`{name}` looks random and no answer before gave it: it is sent as it was recorded"
            ));
        }
        if exchange.request.body.cut_from.is_some() {
            note.push("the recording holds only a part of this request's body".to_owned());
        }
        expect(&mut step, n, &visits, &correlation);
        live::make(&mut step, exchange);
        if live::is_worth_it(&step, steps.last()) {
            steps.push(step);
            notes.push(note);
        }
    }
    (steps, notes)
}

fn think(ended_us: Option<u64>, at_us: u64) -> Duration {
    let pause = Duration::from_micros(ended_us.map_or(0, |ended| at_us.saturating_sub(ended)));
    if pause < THINK_MIN {
        Duration::ZERO
    } else {
        Duration::from_millis(pause.as_millis() as u64 / 100 * 100)
    }
}

fn set_by(exchange: &Exchange) -> Vec<String> {
    let headers = exchange.answer.iter().flat_map(|answer| &answer.headers);
    let set = headers.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    set.filter_map(|(_, cookie)| Some(cookie.split('=').next()?.trim().to_owned())).collect()
}

/// Cookies that no answer set: a script did, or they are older than the recording. The others are the jar's.
fn own_cookies(exchange: &Exchange, given: &[String], note: &mut Vec<String>) -> Vec<(String, Template)> {
    let sent = cookies_of(exchange.request.header("cookie").unwrap_or_default());
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic() && !"#\\{}\"".contains(c));
    let mut own = Vec::new();
    for (name, value) in sent.into_iter().filter(|(name, _)| !given.contains(name)) {
        if looks_random(&value) || !is_plain(&value) {
            note.push(format!(
                "the cookie `{name}` is older than this recording and is not sent: begin a recording with the login"
            ));
        } else if !value.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
            own.push((name, Template::text(&value)));
        }
    }
    own
}

/// Status, captures and asserts.
fn expect(step: &mut JourneyStep, n: usize, visits: &[Visited<'_>], correlation: &Correlation) {
    let Some(given) = &visits[n].given else { return };
    step.status = match given.status {
        // The browser had it in its cache; a new user has not.
        304 => ExpectedStatus::Exactly(200),
        status if (100..=999).contains(&status) => ExpectedStatus::Exactly(status),
        _ => ExpectedStatus::Unsaid,
    };
    for carried in correlation.carried.iter().filter(|c| c.step == n) {
        let (query, filters) = (carried.way.query.clone(), carried.way.filters.clone());
        step.captures.push(Capture { line: 0, name: carried.name.clone(), query, filters });
    }
    let known = |text: &str| with_variables(text, n, correlation);
    let contains = |text: Template| assert(Query::Body, Predicate::Contains(text));
    if (300..400).contains(&given.status) {
        step.asserts.extend(given.header("location").and_then(|to| leads_to(to, n, visits, &known)));
    } else if given.status == 200 && given.is_html {
        // MediaWiki's page `Moving_desks` is called "Moving desks".
        let spelled = |f: &Fresh| f.value.replace(['_', '-', '+'], " ").to_lowercase();
        let own: Vec<String> = correlation.fresh.iter().filter(|f| f.step <= n).map(spelled).collect();
        let is_own = |title: &str| own.iter().any(|value| value.contains(' ') && title.contains(value));
        step.asserts.extend(title(&given.text, &known, &is_own).map(contains));
    }
    let is_read = step.route.is_read() && given.status == 200;
    // A list of the newest shows what a user made until others have made more; an account's own name, and a page that is asked for by what was
    // made, are there for good.
    let asks_for_own = step.target.0.iter().chain(step.query.iter().flat_map(|(_, value)| &value.0));
    let asks_for_own = asks_for_own.into_iter().any(|piece| matches!(piece, Piece::Variable(_)));
    let is_account = |f: &Fresh| visits[f.step].slots.iter().any(|slot| is_password(&slot.name));
    let read_back = correlation
        .fresh
        .iter()
        .filter(|f| f.template.is_some() && f.step < n && f.value.len() >= 3)
        .filter(|f| asks_for_own || is_account(f))
        .find(|f| given.text.contains(&f.value));
    if let Some(fresh) = read_back.filter(|_| is_read) {
        let value = Template(vec![Piece::Variable(fresh.name.clone())]);
        let is_said = step
            .asserts
            .iter()
            .any(|a| matches!(&a.predicate, Predicate::Contains(t) if t.0.contains(&value.0[0])));
        if !is_said {
            step.asserts.push(contains(value));
        }
    }
}

fn assert(query: Query, predicate: Predicate) -> Assert {
    Assert { line: 0, query, filters: Vec::new(), not: false, predicate }
}

/// Where a redirect leads, without host and query: another user must come to the same place.
fn leads_to(
    location: &str,
    n: usize,
    visits: &[Visited<'_>],
    known: &dyn Fn(&str) -> Template,
) -> Option<Assert> {
    let path = location.find("://").map_or(location, |at| {
        let rest = &location[at + 3..];
        rest.find('/').map_or("/", |slash| &rest[slash..])
    });
    if location.contains(['?', '#']) || !path.starts_with('/') {
        return None;
    }
    let template = known(path);
    let was_seen = |segment: &str| visits[..=n].iter().any(|v| v.sent.path.split('/').any(|s| s == segment));
    // A number that is only known from here is this user's own.
    let is_own = template.0.iter().any(|piece| match piece {
        Piece::Text(text) => text.split('/').any(|segment| {
            (looks_random(segment) || segment.bytes().any(|b| b.is_ascii_digit())) && !was_seen(segment)
        }),
        _ => false,
    });
    let query = Query::Header("Location".to_owned());
    (!is_own).then(|| assert(query, Predicate::EndsWith(template)))
}

/// The page's title, where it is the same for everybody: no number is in it, and nothing of the user's own in another spelling.
fn title(page: &str, known: &dyn Fn(&str) -> Template, is_own: &dyn Fn(&str) -> bool) -> Option<Template> {
    let at = page.find("<title>")?;
    let length = page[at..].find("</title>")?;
    let title = &page[at..at + length + "</title>".len()];
    let is_short =
        title.len() > "<title></title>".len() && title.len() < 100 && !title.contains(['\n', '\r', '{']);
    if !is_short {
        return None;
    }
    let template = known(title);
    let varies = |piece: &Piece| match piece {
        Piece::Text(text) => {
            let said = html::unescaped(text).to_lowercase();
            said.bytes().any(|b| b.is_ascii_digit()) || is_own(&said)
        }
        _ => false,
    };
    (!template.0.iter().any(varies)).then_some(template)
}

/// Text of an answer of step `n` with the variables that have a value then.
fn with_variables(text: &str, n: usize, correlation: &Correlation) -> Template {
    let fresh = correlation.fresh.iter().filter(|f| f.step <= n).map(|f| (&f.value, &f.name));
    let carried = correlation.carried.iter().filter(|c| c.step <= n);
    // Of several values under one name the last is the one that it has.
    let is_current = |name: &str, step: usize| {
        !correlation.carried.iter().any(|c| c.name == name && c.step > step && c.step <= n)
    };
    let carried = carried.filter(|c| is_current(&c.name, c.step)).map(|c| (&c.value, &c.name));
    let mut pieces = vec![Piece::Text(text.to_owned())];
    for (value, name) in fresh.chain(carried).filter(|(value, _)| !value.is_empty()) {
        let mut next = Vec::new();
        for piece in pieces {
            let Piece::Text(text) = piece else {
                next.push(piece);
                continue;
            };
            let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
            let mut from = 0;
            for (at, _) in text.match_indices(value.as_str()) {
                let alone = !is_part(text[..at].chars().next_back())
                    && !is_part(text[at + value.len()..].chars().next());
                if alone && at >= from {
                    next.push(Piece::Text(text[from..at].to_owned()));
                    next.push(Piece::Variable(name.clone()));
                    from = at + value.len();
                }
            }
            next.push(Piece::Text(text[from..].to_owned()));
        }
        pieces = next;
    }
    joined(Template(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_of_a_person_are_kept_in_tenths_of_a_second() {
        assert_eq!(think(None, 5_000_000), Duration::ZERO);
        assert_eq!(think(Some(1_000_000), 1_150_000), Duration::ZERO);
        assert_eq!(think(Some(1_000_000), 3_460_000), Duration::from_millis(2_400));
        assert_eq!(think(Some(5_000_000), 1_000_000), Duration::ZERO);
    }
}
