//! The part of XPath 1.0 by which journeys find a form's token, a link, a heading: paths of elements with tests of their attributes and
//! texts. Parsed here, followed in a page by whoever has one.

use std::fmt;

/// A path, and what is wanted of what it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XPath {
    written: String,
    pub wants: Wanted,
    pub steps: Vec<Step>,
    pub of: Of,
    /// `(...)[2]`: of all that was found, counted from 1.
    pub nth: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All texts.
    Nodes,
    /// `string(...)`: the first one's text.
    First,
    /// `normalize-space(...)`: the same, with single spaces.
    FirstInOneLine,
    /// `count(...)`
    Count,
    /// `boolean(...)`
    Any,
}

/// `//form[@id='login']`, or `/form...` for a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub at_any_depth: bool,
    /// None for `*`.
    pub name: Option<String>,
    pub tests: Vec<Test>,
}

/// What stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Counted from 1, among those of the same parent that passed the tests before.
    Nth(usize),
    /// `[last()]`
    Last,
    /// `[@href]`
    Has(Of),
    Is(Of, String),
    IsNot(Of, String),
    Contains(Of, String),
    StartsWith(Of, String),
}

/// Of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Its text, with that of the elements in it: `.` in brackets.
    All,
    /// Its own text: `text()`.
    Text,
    Attribute(String),
}

impl XPath {
    /// The error is a part of a sentence.
    pub fn parse(written: &str) -> Result<Self, String> {
        let mut rest = Rest(written.trim());
        let functions = [
            ("string(", Wanted::First),
            ("normalize-space(", Wanted::FirstInOneLine),
            ("count(", Wanted::Count),
            ("boolean(", Wanted::Any),
        ];
        let called = functions.into_iter().find(|(name, _)| rest.takes(name));
        let is_grouped = rest.takes("(");
        let (steps, mut of) = rest.path()?;
        let mut nth = None;
        if is_grouped {
            rest.expect(")")?;
            if rest.takes("[") {
                nth = Some(rest.number()?);
                rest.expect("]")?;
            }
            if of == Of::All && rest.takes("/") {
                of = rest.of()?;
            }
        }
        if called.is_some() {
            rest.expect(")")?;
        }
        if !rest.0.is_empty() {
            return Err(format!("`{}` is not understood there", rest.0));
        }
        let wants = called.map_or(Wanted::Nodes, |(_, wants)| wants);
        Ok(Self { written: written.to_owned(), wants, steps, of, nth })
    }
}

impl fmt::Display for XPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What is not read yet.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    fn takes(&mut self, text: &str) -> bool {
        let found = self.0.strip_prefix(text);
        self.0 = found.map_or(self.0, str::trim_start);
        found.is_some()
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.takes(text) { Ok(()) } else { Err(format!("`{text}` is missing before `{}`", self.0)) }
    }

    fn while_(&mut self, keep: impl Fn(char) -> bool) -> &'t str {
        let end = self.0.find(|c| !keep(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        word
    }

    fn name(&mut self) -> Result<String, String> {
        let before = self.0;
        let name = self.while_(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        // Another axis or a function that is not known here.
        if name.is_empty() || self.0.starts_with(['(', ':']) {
            return Err(format!(
                "`{before}` is not understood: elements are found by `//name`, `/name` and `*`"
            ));
        }
        Ok(name.to_ascii_lowercase())
    }

    fn number(&mut self) -> Result<usize, String> {
        let before = self.0;
        let number = self.while_(|c| c.is_ascii_digit()).parse().ok().filter(|n| *n > 0);
        number.ok_or_else(|| format!("a number from 1 is expected, not `{before}`"))
    }

    fn quoted(&mut self) -> Result<String, String> {
        let missing = || format!("a text in quotes is expected, not `{}`", self.0);
        let quote = self.0.chars().next().filter(|c| matches!(c, '\'' | '"')).ok_or_else(missing)?;
        let (text, rest) = self.0[1..].split_once(quote).ok_or_else(missing)?;
        self.0 = rest.trim_start();
        Ok(text.to_owned())
    }

    fn path(&mut self) -> Result<(Vec<Step>, Of), String> {
        let mut steps = Vec::new();
        loop {
            let at_any_depth = if self.takes("//") {
                true
            } else if self.takes("/") {
                false
            } else if steps.is_empty() {
                return Err(format!("a path begins with `/` or `//`, not with `{}`", self.0));
            } else {
                return Ok((steps, Of::All));
            };
            if self.takes("text()") {
                return if steps.is_empty() {
                    Err("an element is missing before `text()`".to_owned())
                } else {
                    Ok((steps, Of::Text))
                };
            }
            if self.takes("@") {
                let attribute = Of::Attribute(self.name()?);
                if steps.is_empty() {
                    // `//@href`
                    steps.push(Step {
                        at_any_depth: true,
                        name: None,
                        tests: vec![Test::Has(attribute.clone())],
                    });
                }
                return Ok((steps, attribute));
            }
            let name = if self.takes("*") { None } else { Some(self.name()?) };
            let mut tests = Vec::new();
            while self.takes("[") {
                loop {
                    tests.push(self.test()?);
                    if !self.takes("and ") {
                        break;
                    }
                }
                self.expect("]")?;
            }
            steps.push(Step { at_any_depth, name, tests });
        }
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.0.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Test::Nth(self.number()?));
        }
        if self.takes("last()") {
            return Ok(Test::Last);
        }
        for (name, is_start) in [("contains(", false), ("starts-with(", true)] {
            if self.takes(name) {
                let of = self.of()?;
                self.expect(",")?;
                let text = self.quoted()?;
                self.expect(")")?;
                return Ok(if is_start { Test::StartsWith(of, text) } else { Test::Contains(of, text) });
            }
        }
        let of = if self.takes("normalize-space(") {
            let of = if self.0.starts_with(')') { Of::All } else { self.of()? };
            self.expect(")")?;
            of
        } else {
            self.of()?
        };
        if self.takes("!=") {
            return Ok(Test::IsNot(of, self.quoted()?));
        }
        if self.takes("=") { Ok(Test::Is(of, self.quoted()?)) } else { Ok(Test::Has(of)) }
    }

    fn of(&mut self) -> Result<Of, String> {
        if self.takes("text()") {
            return Ok(Of::Text);
        }
        if self.takes("@") {
            return Ok(Of::Attribute(self.name()?));
        }
        if self.takes(".") {
            return Ok(Of::All);
        }
        Err(format!("`{}` is not understood in brackets: `@name`, `text()` or `.` is", self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_journeys_use_is_understood() {
        for path in [
            "string(//meta[@name='_csrf_token']/@content)",
            "string((//input[@name='token'])[1]/@value)",
            "(//input[@name='token'])[2]",
            "//form[@id='login' and @method=\"post\"]//input[@type='hidden'][2]/@value",
            "count(//table/tr[td])",
            "normalize-space(//h1)",
            "boolean(//a[contains(@class, 'on') and starts-with(@href,'/x')])",
            "//*[text()='Sign in']/@href",
            "//li[last()][normalize-space(.)='x']/text()",
            "//@href",
            "/html/body",
        ] {
            let parsed = XPath::parse(path);
            let is_known = !path.contains("tr[td]");
            assert_eq!(parsed.is_ok(), is_known, "{path}: {parsed:?}");
            assert!(parsed.is_err() || parsed.unwrap().to_string() == path);
        }
        let token = XPath::parse("string(//form[@id='a']//input/@value)").unwrap();
        assert_eq!(
            (token.wants, token.of, token.steps.len()),
            (Wanted::First, Of::Attribute("value".to_owned()), 2)
        );
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (path, said) in [
            ("//a/following-sibling::b", "elements are found by"),
            ("a", "begins with"),
            ("string(//a", "`)` is missing"),
            ("//a[0]", "from 1"),
            ("//a[@b=c]", "in quotes"),
            ("//a[position()<3]", "in brackets"),
            ("//a | //b", "not understood there"),
            ("", "begins with"),
        ] {
            assert!(XPath::parse(path).unwrap_err().contains(said), "{path}: {:?}", XPath::parse(path));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused(path in "(//|/|\\(|string\\()?[a-z@*\\[\\]()='\"/., 0-9:|!-]{0,40}|\\PC{0,30}") {
            let _ = XPath::parse(&path);
        }
    }
}
