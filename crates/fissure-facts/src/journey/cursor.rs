//! A place in the text, and the smallest steps forward: spaces, words, ends of lines.

use super::error::{Parsed, Place, Wrong};

/// Cheap to copy: a copy is a bookmark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
    at: Place,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text, at: Place { line: 1, column: 1 } }
    }

    pub fn place(&self) -> Place {
        self.at
    }

    pub fn line(&self) -> u32 {
        self.at.line
    }

    pub fn rest(&self) -> &'a str {
        self.rest
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub fn starts_with(&self, text: &str) -> bool {
        self.rest.starts_with(text)
    }

    pub fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.at = Place { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    /// Steps over `text` if it stands here.
    pub fn eat(&mut self, text: &str) -> bool {
        let found = self.rest.starts_with(text);
        if found {
            for _ in text.chars() {
                self.next();
            }
        }
        found
    }

    pub fn expect(&mut self, text: &str, why: &str) -> Parsed<()> {
        if self.eat(text) { Ok(()) } else { Err(self.wrong(format!("expected `{text}` {why}"))) }
    }

    pub fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let before = self.rest;
        while self.peek().is_some_and(&accept) {
            self.next();
        }
        &before[..before.len() - self.rest.len()]
    }

    /// The text between an earlier bookmark and here.
    pub fn since(&self, earlier: &Self) -> &'a str {
        &earlier.rest[..earlier.rest.len() - self.rest.len()]
    }

    /// Spaces and tabs; says whether there was one.
    pub fn spaces(&mut self) -> bool {
        !self.take_while(|c| c == ' ' || c == '\t').is_empty()
    }

    pub fn is_at_line_end(&self) -> bool {
        self.is_at_end() || self.starts_with("\n") || self.starts_with("\r\n")
    }

    /// Blank rest of a line, perhaps with a comment, and its end.
    pub fn line_end(&mut self) -> Parsed<()> {
        self.spaces();
        if self.starts_with("#") {
            while !self.is_at_line_end() {
                self.next();
            }
        }
        if !self.is_at_line_end() {
            let found = self.shown();
            return Err(self.wrong(format!("expected the end of the line, found {found}")));
        }
        self.eat("\r");
        self.eat("\n");
        Ok(())
    }

    /// Blank lines and comments.
    pub fn blank_lines(&mut self) {
        while !self.is_at_end() {
            let mut ahead = *self;
            if ahead.line_end().is_err() {
                break;
            }
            *self = ahead;
        }
        // The indent of the first line that says something.
        self.spaces();
    }

    /// What stands here, short, for a message.
    pub fn shown(&self) -> String {
        if self.is_at_line_end() {
            return "the end of the line".to_owned();
        }
        let word = self.rest.split(|c: char| c.is_whitespace()).next().unwrap_or_default();
        let word: String = if word.is_empty() {
            self.rest.chars().take(1).collect()
        } else {
            word.chars().take(30).collect()
        };
        format!("`{}`", word.escape_debug())
    }

    pub fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong { at: self.at, message: message.into() }
    }
}
