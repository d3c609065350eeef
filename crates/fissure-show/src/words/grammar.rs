//! Lists, full stops, and other people's words inside our sentences.

use std::collections::BTreeMap;

use fissure_facts::Route;

use crate::units::count;

/// A route or a name, as a person types it.
pub fn code(text: impl std::fmt::Display) -> String {
    format!("`{text}`")
}

/// The first three routes, and how many more there are.
pub fn routes_text(routes: &[Route]) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<String> = routes.iter().take(NAMED).map(code).collect();
    if routes.len() > NAMED {
        names.push(count((routes.len() - NAMED) as u64, "more route", "more routes"));
    }
    if names.is_empty() { "no route".to_owned() } else { and(&names) }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

pub(super) fn of_windows(void: u32, windows: u32) -> String {
    let verb = if void == 1 { "is" } else { "are" };
    format!("{void} of {} {verb}", count(u64::from(windows), "window", "windows"))
}

/// ` (crowd late: 2, steal: 1)`.
pub(super) fn reasons(why: &BTreeMap<String, u32>) -> String {
    if why.is_empty() {
        return String::new();
    }
    let list: Vec<String> = why.iter().map(|(reason, n)| format!("{}: {n}", fragment(reason))).collect();
    format!(" ({})", list.join(", "))
}

/// Somebody else's words as a sentence of their own.
pub fn full_stop(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// The same, beginning with a capital letter.
pub(super) fn sentence(text: &str) -> String {
    let text = full_stop(text);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Somebody else's words inside a sentence of ours.
pub(super) fn fragment(text: &str) -> &str {
    text.trim().trim_end_matches('.')
}
