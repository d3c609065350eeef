//! Values that must differ from user to user: who signs up, what is created under a name of its own, keys of the client.

use fissure_facts::journey::Piece;

use super::given::Given;
use super::live;
use super::names;
use super::sent::{Place, Slot, decoded};
use super::unique;

/// A value that every user gets anew.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The first request that sends it, as a place in the user's steps.
    pub step: usize,
    pub value: String,
    pub name: String,
    /// How it is made; None for a column of the users' data.
    pub template: Option<Vec<Piece>>,
    /// A path had a part of this name before anybody had said it: `/admin/` is no account.
    pub is_of_paths: bool,
}

impl Fresh {
    /// Is it this text, as it stands at that place? In a path it may be percent-encoded.
    pub fn is_at(&self, text: &str, slot: &Slot) -> bool {
        let is_path = slot.place == Place::Path;
        if is_path && self.is_of_paths {
            return false;
        }
        self.value == text
            || (is_path && text.contains('%') && decoded(text, false).as_ref() == Some(&self.value))
    }
}

/// What one request sends, as far as this file looks at it.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub slots: &'a [Slot],
    pub status: u16,
    pub given: Option<&'a Given>,
}

impl Request<'_> {
    pub fn changes(&self) -> bool {
        !matches!(self.method, "GET" | "HEAD" | "OPTIONS") && !live::CHANGES_NOTHING.contains(&self.method)
    }

    fn fields(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|s| matches!(s.place, Place::Field(_) | Place::Json(_) | Place::Part(_)))
    }

    /// How many passwords are sent. A page may call the field as it likes; then its form has told.
    fn passwords(&self, known: &[String]) -> usize {
        self.fields().filter(|s| is_password(&s.name) || known.contains(&s.name)).count()
    }

    pub fn is_sign_up(&self, known: &[String]) -> bool {
        let passwords = self.passwords(known);
        let words = [
            "register",
            "registration",
            "signup",
            "sign-up",
            "sign_up",
            "join",
            "adduser",
            "users",
            "accounts",
        ];
        let path = self.path.to_ascii_lowercase();
        let by_path = path.split('/').any(|segment| words.contains(&segment))
            && !path.split('/').any(|segment| segment.contains("login") || segment.contains("session"));
        // `PUT /users/ann` with a password makes ann.
        let puts_one = self.method == "PUT" && path.contains("/user");
        self.changes() && (passwords > 1 || (passwords == 1 && (by_path || puts_one)))
    }

    pub fn is_login(&self, known: &[String]) -> bool {
        self.changes() && !self.is_sign_up(known) && self.passwords(known) == 1
    }
}

pub fn is_password(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["passw", "pwd", "passphrase"].iter().any(|word| name.contains(word)) || name == "pass"
}

/// Adds those of a user's requests to the accounts that are `found` already; `passwords` are the names of fields that pages say take one, and `is_given` tells
/// whether an answer before that step gave the value.
pub fn find(
    requests: &[Request<'_>],
    passwords: &[String],
    is_given: &dyn Fn(usize, &str) -> bool,
    mut found: Vec<Fresh>,
) -> Vec<Fresh> {
    for (step, request) in requests.iter().enumerate() {
        for value in typed_names(step, requests, passwords) {
            if !found.iter().any(|f| f.value == value) {
                let template = Some(called_after(&value, step));
                found.push(Fresh { step, value, name: "name".to_owned(), template, is_of_paths: false });
            }
        }
        let signs_up = request.is_sign_up(passwords);
        for slot in request.slots {
            let value = slot.text.as_str();
            if found.iter().any(|f| f.value == value) || is_given(step, value) || slot.is_number {
                continue;
            }
            let template = if signs_up
                && is_identity(slot)
                && !is_password(&slot.name)
                && !passwords.contains(&slot.name)
            {
                let pages = requests[..step].iter().filter_map(|r| r.given);
                like(value, step, pages.filter_map(|page| page.longest(&slot.name)).min())
            } else if request.changes()
                && !request.is_login(passwords)
                && is_key_of_a_thing(slot, step, requests)
            {
                called_after(value, step)
            } else if is_uuid(value) && !matches!(slot.place, Place::Path) {
                vec![Piece::NewUuid]
            } else {
                continue;
            };
            let name = names::of_value(&slot.name, "", None);
            found.push(Fresh {
                step,
                value: value.to_owned(),
                name,
                template: Some(template),
                is_of_paths: false,
            });
        }
    }
    found
}

/// What makes it another one: cut from a UUID at the step before, if there is one.
fn drawn(step: usize) -> Piece {
    if step > 0 { Piece::Variable(unique::NAME.to_owned()) } else { Piece::NewUuid }
}

fn called_after(value: &str, step: usize) -> Vec<Piece> {
    vec![Piece::Text(format!("{}-", stem(value))), drawn(step)]
}

/// Names that the user made up by typing an address: no page had told them, nothing was there, and the user then made it.
fn typed_names(step: usize, requests: &[Request<'_>], passwords: &[String]) -> Vec<String> {
    let request = &requests[step];
    let mut names = Vec::new();
    let segments: Vec<String> =
        request.path.split('/').filter_map(|segment| decoded(segment, false)).collect();
    let asked = request.slots.iter().filter(|s| matches!(s.place, Place::Query(_))).map(|s| s.text.clone());
    let last = segments.len().saturating_sub(1);
    // What stands earlier in a path is mostly the app's own word.
    let candidates = segments.into_iter().enumerate().map(|(n, name)| (name, n == last));
    for (name, may_name_a_thing) in candidates.chain(asked.map(|name| (name, true))) {
        let is_name = name.len() >= 3
            && name.chars().all(|c| c.is_alphanumeric() || "-_.:".contains(c))
            && name.chars().any(char::is_alphabetic);
        let was_told = || {
            requests[..step].iter().any(|r| {
                r.given.is_some_and(|given| given.may_hold(&name))
                    || r.slots.iter().any(|s| s.text.contains(&name))
            })
        };
        if !is_name || was_told() {
            continue;
        }
        let was_missing = request.status == 404 || (request.method == "PUT" && request.status == 201);
        let is_made = requests[step..].iter().enumerate().any(|(after, later)| {
            if !later.changes() || later.status >= 400 || later.is_login(passwords) {
                return false;
            }
            let is_field = later.fields().any(|s| s.text == name);
            let names_it = is_field
                || later.path.split('/').any(|segment| decoded(segment, false).as_ref() == Some(&name))
                || later.slots.iter().any(|s| s.text == name);
            // A form for it whose text is still empty: nothing is there yet.
            let was_empty = || {
                let mut pages = requests[step..step + after].iter().filter_map(|r| r.given);
                pages.any(|page| page.has_empty_form_for(&name, is_field))
            };
            names_it && (may_name_a_thing || is_field) && (was_missing || was_empty())
        });
        if is_made {
            names.push(name);
        }
    }
    names
}

/// What the name or address of a user is called where a sign-up asks for it.
pub(super) const OF_SOMEBODY: [&str; 12] = [
    "user",
    "username",
    "user_name",
    "login",
    "name",
    "nick",
    "nickname",
    "handle",
    "email",
    "mail",
    "e_mail",
    "account",
];
/// What the own name of a thing is called, by which it is found from then on.
pub(super) const OF_A_THING: [&str; 4] = ["slug", "permalink", "sku", "handle"];

/// `email`, and `billing_email`, too.
fn is_called(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| name == *word || name.ends_with(&format!("_{word}")))
}

/// A user's name or address, as a sign-up asks for it.
fn is_identity(slot: &Slot) -> bool {
    if !matches!(slot.place, Place::Field(_) | Place::Json(_) | Place::Part(_)) || slot.text.trim().is_empty()
    {
        return false;
    }
    let name = names::word(&slot.name);
    // A box that is ticked (`hide_mail=1`) says nothing of who it is.
    let is_switch = !slot.text.chars().any(char::is_alphabetic)
        || ["on", "off", "true", "false", "yes", "no"].contains(&slot.text.to_ascii_lowercase().as_str());
    if is_switch {
        return false;
    }
    slot.text.contains('@') || is_called(&name, &OF_SOMEBODY)
}

/// A word that the user typed and that is the thing's own name from then on: its slug, or a part of later paths.
fn is_key_of_a_thing(slot: &Slot, step: usize, requests: &[Request<'_>]) -> bool {
    let value = slot.text.as_str();
    let is_slug = value.len() >= 3
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && value.chars().any(|c| c.is_ascii_alphabetic());
    if !is_slug || !matches!(slot.place, Place::Field(_) | Place::Json(_) | Place::Part(_)) {
        return false;
    }
    let name = names::word(&slot.name);
    let is_called_so = is_called(&name, &OF_A_THING);
    let in_path = |request: &Request<'_>| request.path.split('/').any(|segment| segment == value);
    let was_visited = requests[..step].iter().any(|r| in_path(r) && r.status < 400);
    let is_visited = requests[step..].iter().any(in_path);
    (is_called_so || is_visited) && !was_visited
}

/// Another value of the same kind, no longer than the page takes: an address stays an address.
fn like(value: &str, step: usize, longest: Option<usize>) -> Vec<Piece> {
    const STEM_MAX: usize = 8;
    let (local, end) =
        value.split_once('@').map_or((value, String::new()), |(local, host)| (local, format!("@{host}")));
    let length = if step > 0 { unique::LENGTH } else { unique::LENGTH_WHOLE };
    let room =
        longest.map_or(STEM_MAX, |longest| longest.saturating_sub(length + end.len()).clamp(1, STEM_MAX));
    let stem: String = local.chars().filter(char::is_ascii_alphanumeric).take(room).collect();
    // Names begin with a letter nearly everywhere.
    let stem = if stem.starts_with(|c: char| c.is_ascii_alphabetic()) { stem } else { "u".to_owned() };
    let mut pieces = vec![Piece::Text(stem), drawn(step)];
    if !end.is_empty() {
        pieces.push(Piece::Text(end));
    }
    pieces
}

/// The beginning of a name, short enough for what is added to it.
fn stem(value: &str) -> &str {
    let end = value.char_indices().nth(20).map_or(value.len(), |(at, _)| at);
    value[..end].trim_end_matches(['-', '_', '.'])
}

pub fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|g| g.chars().all(|c| c.is_ascii_hexdigit()))
}
