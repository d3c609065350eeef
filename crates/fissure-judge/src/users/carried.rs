//! Correlation: which values of a request were given by an earlier answer, and how they are found there.

use fissure_facts::Exchange;
use fissure_facts::journey::{Piece, Template};

use super::Row;
use super::accounts;
use super::fresh::{self, Fresh};
use super::given::{Given, Kind, Way};
use super::names;
use super::random::looks_random;
use super::sent::{Place, Sent, Slot, joined};
use super::unique;

/// One exchange of a user, read once.
pub struct Visited<'a> {
    pub exchange: &'a Exchange,
    pub sent: Sent,
    pub slots: Vec<Slot>,
    pub given: Option<Given>,
    /// Where its user finds the app, as it stands in URLs: `http://127.0.0.1:8000`.
    origins: Vec<String>,
}

/// A value that is taken out of an answer.
#[derive(Debug)]
pub struct Carried {
    /// The step whose answer gives it.
    pub step: usize,
    pub value: String,
    pub name: String,
    pub way: Way,
    /// It is how something is found that was made behind the first change.
    is_id: bool,
    /// The last step that sends it.
    last_use: usize,
}

/// What a user's visit carries from answers into requests.
pub struct Correlation {
    pub fresh: Vec<Fresh>,
    pub carried: Vec<Carried>,
    /// For each step, what stands at the places that are not as they were sent.
    pub templates: Vec<Vec<(Place, Template)>>,
    /// For each step, what looks random and comes from nowhere.
    pub unexplained: Vec<Vec<String>>,
}

impl Carried {
    /// Does this word name the thing whose id it is (`post`, for `post_ID`)?
    fn is_of(&self, word: &str) -> bool {
        let given = names::word(&self.way.name);
        given.strip_suffix("_id").is_some_and(|thing| names::singular(&names::word(word)) == thing)
    }
}

impl<'a> Visited<'a> {
    pub fn read(exchange: &'a Exchange) -> Self {
        let sent = Sent::read(&exchange.request);
        let host = exchange.request.header("host").unwrap_or_default();
        let origins = if host.is_empty() {
            Vec::new()
        } else {
            vec![format!("http://{host}"), format!("https://{host}")]
        };
        let given = exchange.answer.as_ref().map(Given::read);
        Self { exchange, slots: sent.slots(), sent, given, origins }
    }

    fn ended_us(&self) -> u64 {
        self.exchange.at_us + self.exchange.took_us
    }

    fn status(&self) -> u16 {
        self.given.as_ref().map_or(0, |given| given.status)
    }

    /// Does this request send the value? A short number is many things, so it must stand behind the same word.
    fn brings(&self, value: &str, before: Option<&str>) -> bool {
        match before.filter(|_| value.len() < 4 && value.bytes().all(|b| b.is_ascii_digit())) {
            Some(before) => {
                let target = &self.exchange.request.target;
                ["/", "="].iter().any(|mark| target.contains(&format!("{before}{mark}{value}")))
            }
            None => self.sends(value),
        }
    }

    fn sends(&self, value: &str) -> bool {
        let holds =
            |slot: &Slot| slot.text == value || slot.text.split(is_between_parts).any(|part| part == value);
        self.slots.iter().any(holds)
    }
}

/// What stands between the parts of a URL.
fn is_between_parts(c: char) -> bool {
    "/?&=#:;,@ ".contains(c)
}

/// Is a query's parameter called as those by which lists are read in pages?
fn is_paging(name: &str) -> bool {
    ["page", "p", "limit", "offset", "sort", "tab", "per_page"].contains(&name)
}

/// A mark that no name has: variables are named when all of them are known.
const UNNAMED: char = '\u{0}';

pub fn correlate(visits: &[Visited<'_>], rows: &[Row]) -> Correlation {
    let passwords: Vec<String> =
        visits.iter().filter_map(|v| v.given.as_ref()).flat_map(Given::password_fields).collect();
    let requests: Vec<fresh::Request<'_>> = visits
        .iter()
        .map(|v| fresh::Request {
            method: &v.exchange.request.method,
            path: &v.sent.path,
            slots: &v.slots,
            status: v.status(),
            given: v.given.as_ref(),
        })
        .collect();
    let is_given = |step: usize, value: &str| {
        let mut before = visits[..step].iter().filter_map(|v| v.given.as_ref());
        before.any(|given| {
            given.may_hold(value) && given.ways(value, "").iter().any(|w| w.kind <= Kind::Cookie)
        })
    };
    let fresh =
        fresh::find(&requests, &passwords, &is_given, accounts::of_logins(&requests, &passwords, rows));
    let changes = requests.iter().position(|r| r.changes() && !r.is_login(&passwords)).unwrap_or(usize::MAX);
    let mut work = Work { visits, changes, fresh, carried: Vec::new(), unexplained: Vec::new(), passwords };
    let mut templates: Vec<Vec<(Place, Template)>> = Vec::new();
    for (step, visit) in visits.iter().enumerate() {
        work.unexplained.push(Vec::new());
        let slots = visit.slots.iter();
        templates
            .push(slots.filter_map(|slot| Some((slot.place.clone(), work.template(step, slot)?))).collect());
    }
    let Work { mut fresh, mut carried, unexplained, .. } = work;
    name_all(&mut fresh, &mut carried);
    for (_, template) in templates.iter_mut().flatten() {
        for piece in &mut template.0 {
            if let Piece::Variable(name) = piece
                && let Some(number) = name.strip_prefix(UNNAMED)
            {
                let (kind, number) = number.split_at(1);
                let number: usize = number.parse().unwrap_or_default();
                *name = if kind == "f" { fresh[number].name.clone() } else { carried[number].name.clone() };
            }
        }
    }
    Correlation { fresh, carried, templates, unexplained }
}

/// A name may serve again for another value once nobody sends the one before: a token of each form.
fn name_all(fresh: &mut [Fresh], carried: &mut [Carried]) {
    let own = [unique::NAME, unique::WHOLE].map(|name| (name.to_owned(), usize::MAX));
    let mut taken: Vec<(String, usize)> = own.to_vec();
    let mut order: Vec<usize> = (0..carried.len()).collect();
    order.sort_by_key(|n| carried[*n].step);
    let free = |base: &str, step: usize, taken: &[(String, usize)]| {
        let is_free = |name: &str| taken.iter().all(|(known, last_use)| known != name || *last_use <= step);
        let mut name = base.to_owned();
        for number in 2.. {
            if is_free(&name) {
                break;
            }
            name = format!("{base}_{number}");
        }
        name
    };
    for value in fresh {
        value.name = free(&value.name, 0, &taken);
        taken.push((value.name.clone(), usize::MAX));
    }
    for n in order {
        let value = &mut carried[n];
        value.name = free(&value.name, value.step, &taken);
        taken.push((value.name.clone(), value.last_use));
    }
}

struct Work<'w, 'a> {
    visits: &'w [Visited<'a>],
    /// The first step that changes something and is no login.
    changes: usize,
    fresh: Vec<Fresh>,
    carried: Vec<Carried>,
    unexplained: Vec<Vec<String>>,
    passwords: Vec<String>,
}

/// A part of what stands at a place.
struct Part<'s> {
    text: &'s str,
    /// The part before it in a URL: `orders` of `/orders/17`, `page` of `?page=2`.
    before: Option<&'s str>,
    is_whole: bool,
}

impl Work<'_, '_> {
    /// What stands at a place of the request, if it is not what was sent.
    fn template(&mut self, step: usize, slot: &Slot) -> Option<Template> {
        let lower = slot.name.to_ascii_lowercase();
        if slot.text.is_empty() || ["accept", "content-type"].contains(&lower.as_str()) {
            return None;
        }
        let mut pieces = Vec::new();
        let origin = self.visits[step].origins.iter().find(|o| slot.text.contains(o.as_str())).cloned();
        match origin.filter(|_| slot.place != Place::Path) {
            Some(origin) => {
                for (n, part) in slot.text.split(origin.as_str()).enumerate() {
                    if n > 0 {
                        pieces.push(Piece::Variable("base".to_owned()));
                    }
                    self.part_by_part(step, slot, part, &mut pieces);
                }
            }
            None => self.whole_or_parts(step, slot, &mut pieces),
        }
        let template = joined(Template(pieces));
        template.0.iter().any(|p| !matches!(p, Piece::Text(_))).then_some(template)
    }

    fn whole_or_parts(&mut self, step: usize, slot: &Slot, pieces: &mut Vec<Piece>) {
        let whole = Part { text: &slot.text, before: None, is_whole: true };
        if slot.place != Place::Path {
            if let Some(piece) = self.resolve(step, slot, &whole) {
                pieces.push(piece);
                return;
            }
            let lower = slot.name.to_ascii_lowercase();
            let is_typed = fresh::is_password(&lower) || self.passwords.contains(&slot.name);
            let token = slot.text.rsplit(' ').next().unwrap_or_default();
            let may_hold_one =
                ["authorization", "cookie"].contains(&lower.as_str()) || looks_random(&slot.text);
            if may_hold_one && looks_random(token) && !is_typed && self.peek(step, slot, token).is_none() {
                self.unexplained[step].push(slot.name.clone());
            }
        }
        self.part_by_part(step, slot, &slot.text, pieces);
    }

    /// Texts between separators, each of which may be a value.
    fn part_by_part(&mut self, step: usize, slot: &Slot, text: &str, pieces: &mut Vec<Piece>) {
        const PARTS_MAX: usize = 400;
        let is_url = slot.place == Place::Path
            || text.starts_with('/')
            || text.starts_with('?')
            || text.contains("://");
        let is_between = |c: char| {
            if is_url { "/?&=#".contains(c) } else { c.is_whitespace() || "\"'<>,;:()[]{}&\\".contains(c) }
        };
        let mut before: Option<&str> = None;
        let mut rest = text;
        for _ in 0..PARTS_MAX {
            let end = rest.find(is_between).unwrap_or(rest.len());
            let part = Part { text: &rest[..end], before, is_whole: false };
            // In prose only what cannot be a word is looked for.
            let is_worth_it =
                is_url || looks_random(part.text) || self.fresh.iter().any(|f| f.is_at(part.text, slot));
            match self.resolve(step, slot, &part).filter(|_| is_worth_it) {
                Some(piece) => pieces.push(piece),
                None if is_url && part.text.contains([':', '@', ',', ';']) => {
                    self.inside_a_segment(step, slot, part.text, pieces);
                }
                None => pieces.push(Piece::Text(part.text.to_owned())),
            }
            if end > 0 {
                before = Some(&rest[..end]);
            }
            rest = &rest[end..];
            let Some(mark) = rest.chars().next() else { return };
            pieces.push(Piece::Text(mark.to_string()));
            rest = &rest[mark.len_utf8()..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
    }

    /// `org.couchdb.user:ann`, `notes:first`.
    fn inside_a_segment(&mut self, step: usize, slot: &Slot, text: &str, pieces: &mut Vec<Piece>) {
        let mut rest = text;
        loop {
            let end = rest.find([':', '@', ',', ';']).unwrap_or(rest.len());
            let part = Part { text: &rest[..end], before: None, is_whole: false };
            let known = self.fresh.iter().any(|f| f.is_at(part.text, slot)) || looks_random(part.text);
            match self.resolve(step, slot, &part).filter(|_| known) {
                Some(piece) => pieces.push(piece),
                None => pieces.push(Piece::Text(part.text.to_owned())),
            }
            rest = &rest[end..];
            let Some(mark) = rest.chars().next() else { return };
            pieces.push(Piece::Text(mark.to_string()));
            rest = &rest[mark.len_utf8()..];
        }
    }

    /// The variable that stands for a part.
    fn resolve(&mut self, step: usize, slot: &Slot, part: &Part<'_>) -> Option<Piece> {
        let value = part.text;
        if let Some(n) = self.fresh.iter().position(|f| f.is_at(value, slot) && f.step <= step) {
            return Some(Piece::Variable(format!("{UNNAMED}f{n}")));
        }
        let way = self.way(step, slot, part);
        // In a path the page's own link says more; an equal number in a list is somebody else's.
        let is_better =
            |way: &(usize, Way)| !part.is_whole || matches!(way.1.kind, Kind::SameField | Kind::Meta);
        if !way.as_ref().is_some_and(is_better)
            && let Some(known) = self.known_id(slot, part)
        {
            self.carried[known].last_use = self.carried[known].last_use.max(step);
            return Some(Piece::Variable(format!("{UNNAMED}c{known}")));
        }
        let (from, way) = way?;
        let known = self.carried.iter().position(|c| {
            c.step == from && c.value == value && format!("{:?}", c.way.query) == format!("{:?}", way.query)
        });
        let number = match known {
            Some(known) => known,
            None => {
                let before = part
                    .before
                    .filter(|_| !part.is_whole && (slot.place == Place::Path || slot.text.starts_with('/')));
                let name = names::of_value(&slot.name, &way.name, before);
                let is_id =
                    from >= self.changes && (way.kind == Kind::Location || names::is_of_id(&way.name));
                self.carried.push(Carried {
                    step: from,
                    value: value.to_owned(),
                    name,
                    way,
                    is_id,
                    last_use: step,
                });
                self.carried.len() - 1
            }
        };
        self.carried[number].last_use = self.carried[number].last_use.max(step);
        Some(Piece::Variable(format!("{UNNAMED}c{number}")))
    }

    fn peek(&self, step: usize, slot: &Slot, value: &str) -> Option<()> {
        if self.fresh.iter().any(|f| f.value == value && f.step <= step) {
            return Some(());
        }
        self.way(step, slot, &Part { text: value, before: None, is_whole: false }).map(|_| ())
    }

    /// The answer that gives a part and the way to it there, if it has to be carried.
    fn way(&self, step: usize, slot: &Slot, part: &Part<'_>) -> Option<(usize, Way)> {
        let value = part.text;
        let is_random = looks_random(value);
        let has_digit = value.bytes().any(|b| b.is_ascii_digit());
        if value.is_empty()
            || value.len() > 4_000
            || !(is_random || has_digit || value.contains(['-', '_']) || value.len() >= 16)
        {
            return None;
        }
        let began_us = self.visits[step].exchange.at_us;
        let mut first = None;
        let mut ways: Vec<(usize, Way)> = Vec::new();
        for (n, visit) in self.visits[..step].iter().enumerate() {
            // What was not there yet cannot have been sent back. (Not every source knows how long an answer took.)
            let Some(given) = visit.given.as_ref().filter(|_| visit.ended_us() <= began_us + 2_000) else {
                continue;
            };
            if !given.may_hold(value) {
                continue;
            }
            let mut found = given.ways(value, &slot.name);
            found.retain(|way| is_random || self.is_due(n, way, slot, part, true));
            if found.is_empty() {
                continue;
            }
            if first.is_none() {
                // The user brought it: the answer only repeats it.
                if self.visits[..=n].iter().any(|v| v.brings(value, part.before)) {
                    return None;
                }
                first = Some(n);
            }
            ways.extend(found.into_iter().map(|way| (n, way)));
        }
        let is_new = first? >= self.changes;
        ways.retain(|(n, way)| is_random || self.is_due(*n, way, slot, part, is_new));
        // A form and a page's head hold their own value each time; what was made is best taken where it was made.
        ways.sort_by_key(|(n, way)| {
            let is_of_page = matches!(way.kind, Kind::SameField | Kind::FormField | Kind::Meta);
            (way.kind, if is_of_page { usize::MAX - n } else { *n })
        });
        ways.into_iter().next()
    }

    /// What was carried as the id of something that was made is that thing wherever it is asked for again, even where no answer
    /// shows how: a script puts the addresses together.
    fn known_id(&self, slot: &Slot, part: &Part<'_>) -> Option<usize> {
        let value = part.text;
        let known = self.carried.iter().position(|c| c.is_id && c.value == value && value.len() >= 2)?;
        let before = part.before.unwrap_or(&slot.name);
        let is_segment = !part.is_whole && part.before.is_some();
        // `?p=25` is a page in one app and a post in another: then an answer has said so.
        let is_link = || {
            let mut answers = self.visits.iter().filter_map(|v| v.given.as_ref());
            answers.any(|given| given.text.contains(&format!("{before}={value}")))
        };
        let is_asked_for = if is_paging(before) {
            matches!(slot.place, Place::Query(_) | Place::Header(_)) && is_link()
        } else {
            is_segment || names::is_of_id(&slot.name) || self.carried[known].is_of(before)
        };
        is_asked_for.then_some(known)
    }

    /// Must a value that may be a word or a number be carried?
    fn is_due(&self, from: usize, way: &Way, slot: &Slot, part: &Part<'_>, is_new: bool) -> bool {
        let value = part.text;
        let has_digit = value.bytes().any(|b| b.is_ascii_digit());
        let name = names::word(&slot.name);
        let is_path = slot.place == Place::Path;
        match way.kind {
            Kind::SameField | Kind::FormField | Kind::Meta => {
                let tells_a_version = ["version", "revision", "lock", "stamp", "etag", "nonce"]
                    .iter()
                    .any(|w| name.contains(w));
                let is_weighty =
                    value.len() >= 2 && has_digit || value.len() >= 16 && !value.contains([' ', '/']);
                // The id of what was made under another name (`post_ID`), where just that is asked for (`/posts/25`).
                let is_id = || {
                    let given = names::word(&way.name);
                    let thing = given.strip_suffix("_id").unwrap_or_default();
                    let is_asked_for = match part.before {
                        Some(before) => names::singular(&names::word(before)) == thing,
                        None => name == "id" || name.ends_with(&given),
                    };
                    is_new && value.len() >= 2 && has_digit && names::is_of_id(&given) && is_asked_for
                };
                match way.kind {
                    Kind::FormField => is_id(),
                    _ => part.is_whole && (is_weighty || tells_a_version),
                }
            }
            Kind::JsonField => {
                let given = names::word(&way.name);
                let is_id = names::is_of_id(&given);
                let is_paging = ["page", "limit", "offset", "size", "per_page", "count", "total"]
                    .contains(&name.as_str());
                // A short number is many things: then both must call it the same id, or the path asks for the thing itself, of which the
                // answer told. A row of permissions has the number of a sighting, too.
                let is_short = value.len() < 4 && !value.bytes().any(|b| b.is_ascii_alphabetic());
                let tells_of = |thing: &str| {
                    let told_by = &self.visits[from];
                    let made_it = from >= self.changes && told_by.exchange.request.method != "GET";
                    made_it
                        || told_by.sent.path.split('/').any(|segment| segment == thing)
                        || way.is_below(thing)
                };
                let agrees = !is_short
                    || (given == name && given.ends_with("id"))
                    || (is_path && given == "id" && part.before.is_some_and(tells_of));
                // A word that both call the same (`fields=first_name`) is a name of something and no value.
                let is_same = given == name && is_new && has_digit;
                !is_paging && agrees && (is_id || is_same) && (is_path || part.is_whole)
            }
            Kind::Location | Kind::Link | Kind::JsonText => {
                let Some(before) = part.before else { return false };
                let is_paging = !is_path && is_paging(before);
                let is_name = way.kind == Kind::Location && value.contains(['-', '_']);
                let stands_there = |mark: &str| {
                    let link = format!("{before}{mark}{value}");
                    let given = self.visits[from].given.as_ref();
                    given.is_some_and(|g| {
                        g.text.contains(&link) || g.header("location").is_some_and(|l| l.contains(&link))
                    })
                };
                is_new && !is_paging && (has_digit || is_name) && (stands_there("/") || stands_there("="))
            }
            Kind::Header | Kind::Cookie => part.is_whole && value.len() >= 4 && has_digit,
            // A number of that length (a time, a revision) is no other one by chance.
            Kind::Attribute | Kind::Text => {
                part.is_whole && value.bytes().filter(u8::is_ascii_digit).count() >= 8
            }
        }
    }
}
