//! Does a text look as if a program had drawn it by lot?

use super::fresh::is_uuid;

/// Tokens, hashes, keys: long enough, and without the order of words, dates and file names.
pub fn looks_random(text: &str) -> bool {
    if is_uuid(text) {
        return true;
    }
    let is_of_tokens = |c: char| c.is_ascii_alphanumeric() || "_-=+/.~|:".contains(c);
    if text.len() < 8 || text.starts_with('/') || text.contains("://") || !text.chars().all(is_of_tokens) {
        return false;
    }
    let (digits, letters) = (count(text, char::is_ascii_digit), count(text, char::is_ascii_alphabetic));
    if text.chars().all(|c| c.is_ascii_hexdigit()) && digits > 0 && letters > 0 {
        return true;
    }
    let changes = changes_of_class(text);
    let words = text.split(['-', '_', '.', '/', ':', '|']).filter(|w| is_word(w)).count();
    // A date, a slug or a file name is mostly words and numbers.
    if text.len() >= 12 && digits > 0 && letters > 0 && changes >= 4 && words * 6 < text.len() {
        return true;
    }
    text.len() >= 20 && changes >= 6 && words * 8 < text.len()
}

fn count(text: &str, of: fn(&char) -> bool) -> usize {
    text.chars().filter(of).count()
}

/// How often small letters, capitals and digits take turns within words.
fn changes_of_class(text: &str) -> usize {
    let class = |c: char| match c {
        'a'..='z' => Some(0),
        'A'..='Z' => Some(1),
        '0'..='9' => Some(2),
        _ => None,
    };
    let classes: Vec<Option<i32>> = text.chars().map(class).collect();
    classes.windows(2).filter(|pair| matches!(pair, [Some(a), Some(b)] if a != b)).count()
}

/// Letters of one case (perhaps with a capital first), or a number.
fn is_word(text: &str) -> bool {
    let rest = text.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or(text);
    !text.is_empty()
        && (rest.chars().all(|c| c.is_ascii_lowercase())
            || text.chars().all(|c| c.is_ascii_digit())
            || text.chars().all(|c| c.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_from_words_dates_and_names() {
        for token in [
            "a1b2c3d4",
            "8f14e45fceea167a5a36dedd4bea2543",
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "gK7dPq2LxW9zRt4V",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dQw4w9WgXcQ",
            "IjY4ZTk4N2Yi.aOmXxA.q1w2E3r4T5",
            "kJhGfDsApOiUyTrEwQaZ",
        ] {
            assert!(looks_random(token), "{token}");
        }
        for plain in [
            "password",
            "my-summer-of-2024-trip",
            "2026-11-25T10:00:00Z",
            "text/html",
            "1700000000000",
            "/notes/17/edit",
            "photo-2024-01-02.jpg",
            "en-US",
            "XMLHttpRequest",
            "application/json",
            "street-12",
            "A note by Ada",
            "comments-TOTAL_FORMS",
            "http://127.0.0.1:8000/a1b2c3d4",
            "2026-11-25",
            "org.couchdb.user:ann",
        ] {
            assert!(!looks_random(plain), "{plain}");
        }
    }
}
