//! What is wrong with a journey, and where.

use std::fmt;

/// A mistake in a journey, or something that its language has and fissure does not support.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JourneyError {
    /// Path of the file as the configuration names it.
    pub name: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    pub message: String,
    /// The line itself, to point into.
    pub source_line: String,
}

impl std::error::Error for JourneyError {}

impl fmt::Display for JourneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, line, column, message, source_line } = self;
        writeln!(f, "{name}:{line}:{column}: {message}")?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands below its character however wide a tab is.
        let before = source_line.chars().take(*column as usize - 1);
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {source_line}")?;
        write!(f, "{margin} | {indent}^")
    }
}

/// A place in the text of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub line: u32,
    pub column: u32,
}

/// A mistake before it knows its file.
#[derive(Debug)]
pub(super) struct Wrong {
    pub at: Place,
    pub message: String,
}

pub(super) type Parsed<T> = Result<T, Wrong>;

impl Wrong {
    pub fn in_file(self, name: &str, text: &str) -> JourneyError {
        let Place { line, column } = self.at;
        let source_line = text.split('\n').nth(line as usize - 1).unwrap_or_default();
        JourneyError {
            name: name.to_owned(),
            line,
            column,
            message: self.message,
            source_line: source_line.trim_end_matches('\r').to_owned(),
        }
    }
}
