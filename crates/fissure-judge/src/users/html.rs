//! As much of HTML as is needed to find values in it: tags with their attributes, as they are written.

/// A start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    /// In small letters.
    pub name: String,
    /// From `<` to behind `>`.
    pub text: &'a str,
    pub attributes: Vec<Attribute<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// As it is written.
    pub name: &'a str,
    /// As it is written, with its character references.
    pub raw: &'a str,
    /// `"`, `'`, or nothing.
    pub quote: Option<char>,
}

impl<'a> Tag<'a> {
    pub fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))
    }

    /// The value of an attribute, with its references resolved.
    pub fn value(&self, name: &str) -> Option<String> {
        self.attribute(name).map(|a| unescaped(a.raw))
    }

    /// Does `first` stand before `second`?
    pub fn has_in_order(&self, first: &str, second: &str) -> bool {
        let place = |name: &str| self.attributes.iter().position(|a| a.name.eq_ignore_ascii_case(name));
        place(first) < place(second)
    }
}

/// The start tags of a page, in order. Comments, scripts and styles hold none.
pub fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if !rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            rest = &rest[1..];
            continue;
        }
        let tag = tag(rest);
        rest = &rest[tag.text.len()..];
        if tag.name == "script" || tag.name == "style" {
            let close = format!("</{}", tag.name);
            rest = rest.find(&close).map_or("", |end| &rest[end..]);
        }
        tags.push(tag);
    }
    tags
}

/// The tag that begins here.
fn tag(text: &str) -> Tag<'_> {
    let is_space = |c: char| c.is_ascii_whitespace();
    let name_end =
        text[1..].find(|c: char| is_space(c) || c == '>' || c == '/').map_or(text.len(), |at| at + 1);
    let mut attributes = Vec::new();
    let mut rest = &text[name_end..];
    loop {
        rest = rest.trim_start_matches(|c: char| is_space(c) || c == '/');
        if rest.is_empty() {
            break;
        }
        if let Some(behind) = rest.strip_prefix('>') {
            rest = behind;
            break;
        }
        // A stray `=` counts as part of the name (HTML, 13.2.5.32), so there is always one step forward.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..]
            .find(|c: char| is_space(c) || "=>/".contains(c))
            .map_or(rest.len(), |at| at + first);
        let (name, behind) = rest.split_at(end);
        let spaced = behind.trim_start_matches(is_space);
        let Some(value) = spaced.strip_prefix('=') else {
            attributes.push(Attribute { name, raw: "", quote: None });
            rest = behind;
            continue;
        };
        let value = value.trim_start_matches(is_space);
        let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'');
        let (raw, behind) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => value.split_at(value.find(|c: char| is_space(c) || c == '>').unwrap_or(value.len())),
        };
        attributes.push(Attribute { name, raw, quote });
        rest = behind;
    }
    let length = text.len() - rest.len();
    Tag { name: text[1..name_end].to_ascii_lowercase(), text: &text[..length], attributes }
}

/// The references that attributes of real pages hold, as characters; others stay as they are.
pub fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|end| *end <= 8);
        let c = end.and_then(|end| match &rest[1..end] {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            name => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok(),
                    None => number.parse().ok(),
                };
                code.and_then(char::from_u32)
            }
        });
        match (c, end) {
            (Some(c), Some(end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_found_however_they_are_written() {
        let page = "<!-- <input name=no> --><script>if (a<b) '<input name=no>'</script>\n\
                    <INPUT type=hidden name='csrf'\n value=\"a&amp;b\" disabled><br/><a href=/x?y=1&amp;z>x</a>";
        let found = tags(page);
        assert_eq!(found.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["script", "input", "br", "a"]);
        assert_eq!(found[1].value("VALUE").unwrap(), "a&b");
        assert_eq!(found[1].attribute("name").unwrap().quote, Some('\''));
        assert!(found[1].has_in_order("name", "value") && !found[1].has_in_order("value", "name"));
        assert_eq!(found[3].value("href").unwrap(), "/x?y=1&z");
        assert_eq!(found[3].text, "<a href=/x?y=1&amp;z>");
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in "[<>/=!a-c \"'&;#x-é-]{0,60}", text in "\\PC{0,40}") {
            for page in [page, text] {
                tags(&page).iter().for_each(|t| drop(t.value("a")));
                let _ = unescaped(&page);
            }
        }
    }
}
