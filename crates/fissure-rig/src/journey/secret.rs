//! What must not reach a report: sentences of problems are written to disk and shown.

use std::sync::LazyLock;

use regex::Regex;

use super::html::unescaped;

const WORDS: [&str; 8] =
    ["cookie", "authorization", "token", "secret", "password", "csrf", "session", "api_key"];

/// A name that says that its value is nobody's business.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    WORDS.iter().any(|word| name.contains(word))
}

/// The query of a URL may hold a token; where it leads does not depend on it.
pub(super) fn without_query(url: &str) -> String {
    match url.split_once('?') {
        Some((path, _)) => format!("{}?...", cut(path)),
        None => cut(url),
    }
}

/// The beginning of a text, on one line, with values of secret-looking names left out.
pub(super) fn excerpt(text: &str) -> String {
    // Only what can be shown is searched: a body may be many megabytes. A secret that the cut halves is still masked.
    let head: String = text.chars().take(4 * EXCERPT_CHARACTERS).collect();
    let masked = match SECRET_VALUE.as_ref() {
        Some(pattern) => pattern.replace_all(&head, "$1***").into_owned(),
        None => return "(not shown)".to_owned(),
    };
    let words: Vec<&str> = masked.split_whitespace().collect();
    let short = cut(&words.join(" "));
    if head.len() < text.len() && !short.ends_with("...") { format!("{short}...") } else { short }
}

/// What an answer begins with: of a page its title, because the first letters of all pages are the same.
pub(super) fn beginning(text: &str) -> String {
    page(text).unwrap_or_else(|| excerpt(text))
}

/// A page, by its title.
pub(super) fn page(text: &str) -> Option<String> {
    let title = PAGE_TITLE.as_ref()?.captures(text)?.get(1)?.as_str();
    let title = unescaped(title).unwrap_or_else(|_| title.to_owned());
    (!title.trim().is_empty()).then(|| format!("a page with the title \"{}\"", excerpt(&title)))
}

/// The values behind secret-looking names in a text that is no JSON.
pub(crate) fn values(text: &str) -> impl Iterator<Item = &str> {
    let found = SECRET_VALUE.as_ref().into_iter().flat_map(move |pattern| pattern.captures_iter(text));
    found.filter_map(|found| Some(&found.get(0)?.as_str()[found.get(1)?.len()..]))
}

/// The text with each of those values replaced.
pub(crate) fn replace(text: &str, with: impl Fn(&str) -> String) -> String {
    let Some(pattern) = SECRET_VALUE.as_ref() else { return String::new() };
    let veiled = |found: &regex::Captures<'_>| {
        let name = found.get(1).map_or("", |name| name.as_str());
        format!("{name}{}", with(&found[0][name.len()..]))
    };
    pattern.replace_all(text, veiled).into_owned()
}

const EXCERPT_CHARACTERS: usize = 120;

/// The title of a text that begins as a page does.
static PAGE_TITLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?is)\A\s*(?:<!--.{0,999}?-->\s*)?<(?:!doctype\s+html|html|head).{0,4000}?<title[^>]*>([^<]*)</title").ok()
});

/// A secret name as a JSON field, form field, attribute or header, and its value.
static SECRET_VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "cookie|authorization|token|secret|password|csrf|session|api[_-]?key";
    Regex::new(&format!(
        r#"(?i)((?:[\w-]*(?:{words})[\w-]*)["']?\s*(?:[:=]|value=|content=)+\s*["']?(?:(?:bearer|basic)\s+)?(?:value=["']?|content=["']?)?)[^"'&,;\s}}<>]+"#
    ))
    .ok()
});

fn cut(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARACTERS) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_names_are_left_out_of_excerpts() {
        for (text, shown) in [
            (
                r#"{"error":"no","access_token":"abc.def","n":1}"#,
                r#"{"error":"no","access_token":"***","n":1}"#,
            ),
            (r#"<input name="csrf_token" value="s3cr3t">"#, r#"<input name="csrf_token" value="***">"#),
            ("Set-Cookie: sid=s3cr3t", "Set-Cookie: ***"),
            ("password=hunter2&user=ann", "password=***&user=ann"),
            ("Authorization: Bearer abcdef", "Authorization: Bearer ***"),
            ("a  plain\n answer", "a plain answer"),
        ] {
            assert_eq!(excerpt(text), shown);
        }
    }

    #[test]
    fn a_page_is_told_by_its_title() {
        let page =
            "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>Log in &lsaquo; Notes</title>";
        assert_eq!(beginning(page), "a page with the title \"Log in ‹ Notes\"");
        assert_eq!(
            beginning("<html><head><title> </title></head>No"),
            "<html><head><title> </title></head>No"
        );
        assert_eq!(
            beginning("{\"error\":\"<html><title>x</title>\"}"),
            "{\"error\":\"<html><title>x</title>\"}"
        );
    }

    #[test]
    fn an_excerpt_is_short_and_cuts_between_characters() {
        assert_eq!(excerpt(&"é".repeat(500)), format!("{}...", "é".repeat(120)));
        assert_eq!(excerpt(&"x".repeat(120)), "x".repeat(120));
        assert_eq!(excerpt(&format!("ab{}", " ".repeat(600))), "ab...");
        assert_eq!(without_query("/reset?token=s3cr3t"), "/reset?...");
    }
}
