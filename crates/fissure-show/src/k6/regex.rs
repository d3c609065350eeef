//! Regular expressions: the part of the language that means the same in JavaScript, written so.
//!
//! `\d`, `\w`, `\s` and `\b` know ASCII only there. What would mean something else is refused.

/// Pattern and flags for JavaScript, or what is not translated.
pub(super) fn translated(pattern: &str) -> Result<(String, &'static str), String> {
    let (mut rest, mut ignores_case, mut dot_is_all) = (pattern, false, false);
    while let Some((flags, behind)) = rest.strip_prefix("(?").and_then(|r| r.split_once(')'))
        && !flags.is_empty()
        && flags.chars().all(|c| matches!(c, 'i' | 's'))
    {
        ignores_case |= flags.contains('i');
        dot_is_all |= flags.contains('s');
        rest = behind;
    }
    let mut reader = Reader { rest, out: String::new(), dot_is_all };
    reader.run()?;
    Ok((reader.out, if ignores_case { "i" } else { "" }))
}

struct Reader<'a> {
    rest: &'a str,
    out: String,
    dot_is_all: bool,
}

/// May what was read last be repeated?
#[derive(PartialEq)]
enum Last {
    Thing,
    Other,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        true
    }

    fn run(&mut self) -> Result<(), String> {
        let mut last = Last::Other;
        while let Some(c) = self.next() {
            last = match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => self.put(")", Last::Thing),
                '|' => self.put("|", Last::Other),
                '^' => self.put("^", Last::Other),
                '$' => self.put("$", Last::Other),
                '.' => self.put(if self.dot_is_all { "[^]" } else { "[^\\n]" }, Last::Thing),
                '*' | '+' | '?' if last == Last::Thing => self.repeated(&c.to_string()),
                '{' if last == Last::Thing => {
                    let Some((times, rest)) = self.rest.split_once('}') else { return Err(refused("{")) };
                    self.rest = rest;
                    let is_plain = times.starts_with(|c: char| c.is_ascii_digit())
                        && times.chars().all(|c| c.is_ascii_digit() || c == ',');
                    if !is_plain {
                        return Err(refused(&format!("{{{times}}}")));
                    }
                    self.repeated(&format!("{{{times}}}"))
                }
                '*' | '+' | '?' | '{' => return Err(refused(&c.to_string())),
                '}' | ']' | '/' => self.put(&format!("\\{c}"), Last::Thing),
                c if c.len_utf16() > 1 => return Err(refused(&c.to_string())),
                c => self.put(&c.to_string(), Last::Thing),
            };
        }
        Ok(())
    }

    fn put(&mut self, text: &str, last: Last) -> Last {
        self.out.push_str(text);
        last
    }

    fn repeated(&mut self, mark: &str) -> Last {
        self.out.push_str(mark);
        if self.eat("?") {
            self.out.push('?');
        }
        // A repetition of a repetition is one in Rust, and a mistake in JavaScript.
        Last::Other
    }

    fn group(&mut self) -> Result<Last, String> {
        self.out.push('(');
        if self.eat("?:") {
            self.out.push_str("?:");
        } else if self.eat("?P<") || self.eat("?<") {
            // A name is of no use where only the first group is looked at.
            let Some((_, rest)) = self.rest.split_once('>') else { return Err(refused("(?<")) };
            self.rest = rest;
        } else if self.rest.starts_with('?') {
            let flags: String = self.rest.chars().take_while(|c| !matches!(c, ')' | ':')).collect();
            return Err(refused(&format!("({flags}")));
        }
        Ok(Last::Other)
    }

    fn class(&mut self) -> Result<Last, String> {
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        if self.rest.starts_with(']') {
            return Err(refused("[]"));
        }
        loop {
            match self.next() {
                None => return Err(refused("[")),
                Some(']') => break,
                Some('[') => return Err(refused("[ inside [ ]")),
                Some('\\') => {
                    self.escape(true)?;
                }
                Some(c @ ('&' | '~' | '-')) if self.rest.starts_with(c) => {
                    return Err(refused(&format!("{c}{c}")));
                }
                Some(c) if c.len_utf16() > 1 => return Err(refused(&c.to_string())),
                Some(c) => self.out.push(c),
            }
        }
        self.out.push(']');
        Ok(Last::Thing)
    }

    fn escape(&mut self, in_class: bool) -> Result<Last, String> {
        let Some(c) = self.next() else { return Err(refused("\\")) };
        let is_plain_mark = c.is_ascii_punctuation() && !matches!(c, '<' | '>');
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'n' | 'r' | 't' | 'f' | 'v' => {}
            'b' | 'B' if !in_class && !self.rest.starts_with('{') => {
                self.out.push('\\');
                self.out.push(c);
                return Ok(Last::Other);
            }
            _ if is_plain_mark => {}
            _ => return Err(refused(&format!("\\{c}"))),
        }
        self.out.push('\\');
        self.out.push(c);
        Ok(Last::Thing)
    }
}

fn refused(what: &str) -> String {
    format!("`{what}` of this regular expression may mean something else in k6: write it more plainly")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_expressions_mean_the_same() {
        let js = |pattern: &str| translated(pattern).unwrap();
        assert_eq!(
            js(r#"name="csrf" value="([0-9a-f]+)""#),
            (r#"name="csrf" value="([0-9a-f]+)""#.into(), "")
        );
        assert_eq!(js(r"/photos/(\d+)?$"), (r"\/photos\/(\d+)?$".into(), ""));
        assert_eq!(js("(?i)a.b{2,3}?"), (r"a[^\n]b{2,3}?".into(), "i"));
        assert_eq!(js("(?s)<p>(?P<all>.*)</p>"), (r"<p>([^]*)<\/p>".into(), ""));
        assert_eq!(js(r#"[^"\]\\-]+(?:x|})"#), (r#"[^"\]\\-]+(?:x|\})"#.into(), ""));
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        for pattern in [
            "(?x) a",
            "(?m)^a",
            "a(?i)b",
            r"\pL",
            r"\x41",
            r"\A",
            r"\<",
            r"[[:alpha:]]",
            "[a&&b]",
            "[]a]",
            "a**",
            "^*",
            r"\b{start}",
            "a{,3}",
            "\u{1f600}+",
        ] {
            assert!(translated(pattern).is_err(), "{pattern}");
        }
    }
}
