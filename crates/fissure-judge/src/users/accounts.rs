//! Accounts: who logged in while it was recorded has a row in the users' data, and every other user logs in as their own row.

use super::Row;
use super::fresh::{Fresh, Request, is_password};
use super::sent::{Place, Slot};

/// The name and the password of a login, where both stand in one row: columns of the users' data from then on.
pub fn of_logins(requests: &[Request<'_>], passwords: &[String], rows: &[Row]) -> Vec<Fresh> {
    let is_secret = |slot: &Slot| {
        slot.place == Place::BasicPassword || is_password(&slot.name) || passwords.contains(&slot.name)
    };
    let mut found: Vec<Fresh> = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let (secrets, others): (Vec<&Slot>, Vec<&Slot>) =
            request.slots.iter().partition(|slot| is_secret(slot));
        let column = |row: &Row, slots: &[&Slot]| {
            let is_sent = |value: &str| !value.is_empty() && slots.iter().any(|slot| slot.text == value);
            row.iter().find(|(_, value)| is_sent(value)).map(|(name, value)| (name.clone(), value.clone()))
        };
        let whose = rows.iter().find_map(|row| Some([column(row, &others)?, column(row, &secrets)?]));
        for (name, value) in whose.into_iter().flatten() {
            if !found.iter().any(|known| known.value == value) {
                let has_part = |request: &Request<'_>| {
                    let paths = request.slots.iter().filter(|slot| slot.place == Place::Path);
                    paths.flat_map(|slot| slot.text.split('/')).any(|part| part == value)
                };
                let is_of_paths = requests[..=number].iter().any(has_part);
                found.push(Fresh { step: 0, value, name, template: None, is_of_paths });
            }
        }
    }
    found
}
