//! Strings, templates, regular expressions and numbers of the language.

use regex::Regex;

use super::cursor::Cursor;
use super::error::Parsed;
use super::{Piece, Template};

/// Where a template stands decides which characters end it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// `"..."`; the opening quote is behind the cursor.
    Quote,
    /// `` `...` ``; the opening one is behind the cursor.
    Backtick,
    /// A value behind a colon: up to a comment or the end of the line, without trailing spaces.
    LineEnd,
    /// ```` ```...``` ````: everything is taken as it is, only `{{...}}` means something.
    Fence,
}

/// Reads a template up to its end and steps over the closing mark, if it has one.
pub(super) fn template(cursor: &mut Cursor<'_>, until: Until) -> Parsed<Template> {
    let mut pieces = Pieces::default();
    // Trailing spaces of an unquoted value do not belong to it.
    let mut held_spaces = 0;
    loop {
        match until {
            Until::Quote if cursor.eat("\"") => break,
            Until::Backtick if cursor.eat("`") => break,
            Until::Fence if cursor.eat("```") => break,
            Until::LineEnd if cursor.is_at_line_end() || cursor.starts_with("#") => break,
            Until::Quote | Until::Backtick if cursor.is_at_line_end() => {
                let mark = if until == Until::Quote { '"' } else { '`' };
                return Err(cursor.wrong(format!("this string has no closing `{mark}` on its line")));
            }
            Until::Fence if cursor.is_at_end() => {
                return Err(cursor.wrong("this text has no closing ```"));
            }
            _ => {}
        }
        if until == Until::LineEnd && cursor.starts_with("\t") {
            if is_blank_to_line_end(cursor) {
                cursor.spaces();
                break;
            }
            return Err(cursor.wrong("a tab stands inside a value: write `\\t`"));
        }
        if cursor.starts_with("{{") {
            pieces.spaces(&mut held_spaces);
            pieces.0.push(placeholder(cursor)?);
            continue;
        }
        if until == Until::LineEnd && cursor.eat(" ") {
            held_spaces += 1;
            continue;
        }
        pieces.spaces(&mut held_spaces);
        if until != Until::Fence && cursor.starts_with("\\") {
            pieces.push(escape(cursor, "\"`#\\/bfnrtu")?);
        } else if let Some(c) = cursor.next() {
            pieces.push(c);
        }
    }
    Ok(Template(pieces.0))
}

/// Collects characters into as few pieces as possible.
#[derive(Default)]
pub(super) struct Pieces(pub Vec<Piece>);

impl Pieces {
    pub fn push(&mut self, c: char) {
        if let Some(Piece::Text(text)) = self.0.last_mut() {
            text.push(c);
        } else {
            self.0.push(Piece::Text(c.to_string()));
        }
    }

    fn spaces(&mut self, count: &mut usize) {
        for _ in 0..std::mem::take(count) {
            self.push(' ');
        }
    }
}

fn is_blank_to_line_end(cursor: &Cursor<'_>) -> bool {
    let mut ahead = *cursor;
    ahead.spaces();
    ahead.is_at_line_end() || ahead.starts_with("#")
}

/// `{{name}}` or a function.
pub(super) fn placeholder(cursor: &mut Cursor<'_>) -> Parsed<Piece> {
    cursor.expect("{{", "before a variable")?;
    cursor.spaces();
    let start = *cursor;
    let name = cursor.take_while(is_name_character);
    if name.is_empty() {
        return Err(cursor.wrong("expected the name of a variable after `{{`"));
    }
    if name == "getEnv" {
        return Err(start.wrong(
            "`getEnv` is not supported: journeys do not read the environment; give users a column in the data file",
        ));
    }
    let end = *cursor;
    cursor.spaces();
    if !cursor.eat("}}") {
        return Err(if cursor.is_at_line_end() || cursor.starts_with("}") {
            cursor.wrong("expected `}}` after the name of a variable")
        } else {
            end.wrong(
                "only a name may stand between `{{` and `}}`: filters and arguments are not supported there",
            )
        });
    }
    Ok(match name {
        "newUuid" => Piece::NewUuid,
        "newDate" => Piece::NewDate,
        name => Piece::Variable(name.to_owned()),
    })
}

pub(super) fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// A backslash and what it stands for; `allowed` names the letters that may follow.
pub(super) fn escape(cursor: &mut Cursor<'_>, allowed: &str) -> Parsed<char> {
    let start = *cursor;
    cursor.expect("\\", "before an escaped character")?;
    let letter = cursor.peek().filter(|c| allowed.contains(*c));
    let Some(letter) = letter else {
        return Err(start.wrong("a backslash stands for nothing here: write `\\\\` for one backslash"));
    };
    cursor.next();
    Ok(match letter {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            cursor.expect("{", "after `\\u`")?;
            let digits = cursor.take_while(|c| c.is_ascii_hexdigit());
            let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
            let Some(c) = c else { return Err(start.wrong("this is not a character: write `\\u{e9}`")) };
            cursor.expect("}", "after the number of the character")?;
            c
        }
        itself => itself,
    })
}

/// A quoted string in which variables are allowed.
pub(super) fn quoted_template(cursor: &mut Cursor<'_>, of: &str) -> Parsed<Template> {
    if !cursor.eat("\"") {
        let found = cursor.shown();
        return Err(cursor.wrong(format!("expected a string in quotes after {of}, found {found}")));
    }
    template(cursor, Until::Quote)
}

/// A quoted string that must be known before the journey is played.
pub(super) fn quoted(cursor: &mut Cursor<'_>, of: &str) -> Parsed<String> {
    let start = *cursor;
    let template = quoted_template(cursor, of)?;
    plain(template)
        .ok_or_else(|| start.wrong(format!("variables are not supported in the string after {of}")))
}

/// The text of a template without variables.
pub(super) fn plain(template: Template) -> Option<String> {
    match <[Piece; 1]>::try_from(template.0) {
        Ok([Piece::Text(text)]) => Some(text),
        Ok(_) => None,
        Err(pieces) => pieces.is_empty().then(String::new),
    }
}

/// The key before a colon, as text or a template.
pub(super) fn key(cursor: &mut Cursor<'_>) -> Parsed<Option<Template>> {
    let mut pieces = Pieces::default();
    if cursor.starts_with("[") {
        return Ok(None);
    }
    loop {
        if cursor.starts_with("{{") {
            pieces.0.push(placeholder(cursor)?);
        } else if cursor.starts_with("\\") {
            pieces.push(escape(cursor, "#:\\/bfnrtu")?);
        } else if let Some(c) = cursor.peek().filter(|c| c.is_alphanumeric() || "_-.[]@$".contains(*c)) {
            cursor.next();
            pieces.push(c);
        } else {
            break;
        }
    }
    Ok((!pieces.0.is_empty()).then_some(Template(pieces.0)))
}

/// `/.../` or `"..."`.
pub(super) fn regex(cursor: &mut Cursor<'_>, of: &str) -> Parsed<Regex> {
    let start = *cursor;
    let pattern = if cursor.eat("/") {
        let mut pattern = String::new();
        loop {
            if cursor.is_at_line_end() {
                return Err(start.wrong("this regular expression has no closing `/` on its line"));
            }
            // Only the closing slash is escaped by the language; every other backslash belongs to the expression.
            if cursor.eat("\\/") {
                pattern.push('/');
            } else if cursor.eat("/") {
                break;
            } else if let Some(c) = cursor.next() {
                pattern.push(c);
            }
        }
        pattern
    } else if cursor.starts_with("\"") {
        quoted(cursor, of)?
    } else {
        let found = cursor.shown();
        return Err(cursor.wrong(format!("expected /a regular expression/ after {of}, found {found}")));
    };
    Regex::new(&pattern).map_err(|e| {
        let text = e.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        start.wrong(format!("this is not a regular expression: {reason}"))
    })
}

/// An integer or decimal number; `None` when no number stands here.
pub(super) fn number(cursor: &mut Cursor<'_>) -> Option<f64> {
    let mut ahead = *cursor;
    ahead.eat("-");
    if ahead.take_while(|c| c.is_ascii_digit()).is_empty() {
        return None;
    }
    let whole = ahead;
    if !ahead.eat(".") || ahead.take_while(|c| c.is_ascii_digit()).is_empty() {
        ahead = whole;
    }
    let number = ahead.since(cursor).parse().ok()?;
    *cursor = ahead;
    Some(number)
}
