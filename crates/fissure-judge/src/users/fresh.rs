//! Values that must differ from user to user: who signs up, what is created under a name of its own, keys of the client.

use fissure_facts::journey::Piece;

use super::names;
use super::sent::{Place, Slot};

/// A value that every user gets anew.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The first request that sends it, as a place in the user's steps.
    pub step: usize,
    pub value: String,
    pub name: String,
    pub template: Vec<Piece>,
}

/// What one request sends, as far as this file looks at it.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub slots: &'a [Slot],
    pub status: u16,
}

impl Request<'_> {
    pub fn changes(&self) -> bool {
        !matches!(self.method, "GET" | "HEAD" | "OPTIONS")
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

/// Finds them in a user's requests; `passwords` are the names of fields that pages say take one, and `is_given` tells
/// whether an answer before that step gave the value.
pub fn find(
    requests: &[Request<'_>],
    passwords: &[String],
    is_given: &dyn Fn(usize, &str) -> bool,
) -> Vec<Fresh> {
    let mut found: Vec<Fresh> = Vec::new();
    for (step, request) in requests.iter().enumerate() {
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
                Some(like(value))
            } else if request.changes() && is_key_of_a_thing(slot, step, requests) {
                Some(vec![Piece::Text(format!("{}-", stem(value))), Piece::NewUuid])
            } else if is_uuid(value) && !matches!(slot.place, Place::Path) {
                Some(vec![Piece::NewUuid])
            } else {
                None
            };
            if let Some(template) = template {
                let name = names::of_value(&slot.name, "", None);
                found.push(Fresh { step, value: value.to_owned(), name, template });
            }
        }
    }
    found
}

/// A user's name or address, as a sign-up asks for it.
fn is_identity(slot: &Slot) -> bool {
    if !matches!(slot.place, Place::Field(_) | Place::Json(_) | Place::Part(_)) || slot.text.trim().is_empty()
    {
        return false;
    }
    let name = names::word(&slot.name);
    let words = [
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
        "phone",
    ];
    slot.text.contains('@') || words.iter().any(|word| name == *word || name.ends_with(&format!("_{word}")))
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
    let is_called_so =
        ["slug", "permalink", "sku", "handle"].iter().any(|w| name == *w || name.ends_with(&format!("_{w}")));
    let in_path = |request: &Request<'_>| request.path.split('/').any(|segment| segment == value);
    let was_visited = requests[..step].iter().any(|r| in_path(r) && r.status < 400);
    let is_visited = requests[step..].iter().any(in_path);
    (is_called_so || is_visited) && !was_visited
}

/// Another value of the same kind: an address stays an address.
fn like(value: &str) -> Vec<Piece> {
    let text = |text: &str| Piece::Text(text.to_owned());
    match value.split_once('@') {
        Some((_, host)) => vec![text("u"), Piece::NewUuid, text(&format!("@{host}"))],
        None => vec![text("u"), Piece::NewUuid],
    }
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
