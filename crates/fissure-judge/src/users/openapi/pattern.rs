//! A text that a regular expression takes.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Repetitions of one part.
const TIMES_MAX: u32 = 300;
/// Bytes of a text; a pattern can ask for repetitions of repetitions.
const LENGTH_MAX: usize = 4_000;

/// A text that `pattern` takes, of at least `shortest` and at most `longest` characters. None where there is none, or where the
/// pattern is of another language (looking ahead, back references).
pub fn taken_by(pattern: &str, shortest: usize, longest: usize) -> Option<String> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let regex = Regex::new(pattern).ok()?;
    (0..=64).chain([128, 256]).find_map(|more| {
        let mut text = String::new();
        write(&hir, more, &mut text)?;
        let length = text.chars().count();
        (length >= shortest && length <= longest && regex.is_match(&text)).then_some(text)
    })
}

/// With `more` repetitions than are needed, where they are free.
fn write(hir: &Hir, more: u32, into: &mut String) -> Option<()> {
    if into.len() > LENGTH_MAX {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => into.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => into.push(one_of(class)?),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(TIMES_MAX).min(TIMES_MAX);
            let times = repetition.min.saturating_add(more).min(most).max(repetition.min);
            if times > TIMES_MAX {
                return None;
            }
            for _ in 0..times {
                write(&repetition.sub, more, into)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, more, into)?,
        HirKind::Concat(parts) => {
            for part in parts {
                write(part, more, into)?;
            }
        }
        HirKind::Alternation(choices) => write(choices.first()?, more, into)?,
    }
    Some(())
}

/// A letter or a digit where one may stand.
fn one_of(class: &Class) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.ranges().iter().map(|r| (r.start(), r.end())).collect(),
        Class::Bytes(class) => {
            let ranges = class.ranges().iter().filter(|r| r.end() < 0x80);
            ranges.map(|r| (char::from(r.start()), char::from(r.end()))).collect()
        }
    };
    let holds = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
    let plain = ('a'..='z').chain('A'..='Z').chain('1'..='9').chain(['0', '-', '_', '.', ' ']);
    plain.into_iter().find(|c| holds(*c)).or_else(|| ranges.first().map(|(from, _)| *from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_fit_their_patterns() {
        for (pattern, shortest, longest) in [
            ("^[A-Z]{2}\\d{4}$", 0, 100),
            ("^\\+?[1-9]\\d{6,14}$", 0, 100),
            ("^[a-z0-9_-]+$", 8, 30),
            ("^(red|green)-[0-9a-f]{8}$", 0, 100),
            ("[A-Z]", 0, 100),
        ] {
            let text = taken_by(pattern, shortest, longest).unwrap_or_else(|| panic!("{pattern}"));
            assert!(Regex::new(pattern).unwrap().is_match(&text), "{pattern}: {text}");
            assert!((shortest..=longest).contains(&text.chars().count()), "{pattern}: {text}");
        }
        assert_eq!(taken_by("^(?=.*[0-9]).{8,}$", 0, 100), None);
        assert_eq!(taken_by("^a{5}$", 6, 100), None);
    }

    proptest! {
        #[test]
        fn whatever_is_found_fits(pattern in "[\\^$a-c0-9()\\[\\]{},+*?|.\\\\d-]{0,16}", shortest in 0usize..12) {
            if let Some(text) = taken_by(&pattern, shortest, 100) {
                prop_assert!(Regex::new(&pattern).unwrap().is_match(&text));
                prop_assert!(text.chars().count() >= shortest);
            }
        }
    }
}
