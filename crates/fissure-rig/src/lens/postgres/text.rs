//! The text of a statement without the values in it, which are nobody's business and make equal statements look different.

/// Bytes that are kept; the server itself cuts at 1,024.
const BYTES_MAX: usize = 400;

/// Values become `?`, several in a row `?, ...`; comments go, and any white space is one space.
pub fn without_values(sql: &str) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        rest = match c {
            _ if rest.starts_with("--") || rest.starts_with("/*") => {
                space(&mut out);
                after(rest, if c == '-' { "\n" } else { "*/" }, 2)
            }
            '\'' => {
                value(&mut out);
                quoted(behind, out_ends_with_escape(&out))
            }
            '$' => match dollar_quoted(rest) {
                Some(behind) => {
                    value(&mut out);
                    behind
                }
                None => {
                    // `$1`: the value is not in the text.
                    value(&mut out);
                    behind.trim_start_matches(|c: char| c.is_ascii_digit())
                }
            },
            '"' => {
                let end = behind.find('"').map_or(behind.len(), |at| at + 1);
                out.push('"');
                out.push_str(&behind[..end]);
                &behind[end..]
            }
            _ if c.is_ascii_digit() && !out.ends_with(is_word) => {
                value(&mut out);
                behind.trim_start_matches(|c: char| is_word(c) || c == '.')
            }
            _ if c.is_whitespace() => {
                space(&mut out);
                behind
            }
            _ => {
                out.push(c);
                behind
            }
        };
    }
    shortened(out.trim_end())
}

fn space(out: &mut String) {
    if !out.ends_with([' ', '(']) && !out.is_empty() {
        out.push(' ');
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A `?`, or after `?, ` three points that stand for any more.
fn value(out: &mut String) {
    let so_far = out.trim_end();
    if let Some(list) = so_far.strip_suffix(',').map(str::trim_end)
        && (list.ends_with('?') || list.ends_with("?, ..."))
    {
        let end = list.trim_end_matches("...").trim_end_matches([',', ' ']).len();
        out.truncate(end);
        out.push_str(", ...");
    } else {
        out.push('?');
    }
}

/// `E'...'` and `e'...'` know a backslash; the letter itself goes with the value.
fn out_ends_with_escape(out: &str) -> bool {
    out.ends_with("E?") || out.ends_with("e?")
}

/// What follows a text whose opening quote is behind.
fn quoted(text: &str, has_escapes: bool) -> &str {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if has_escapes => drop(chars.next()),
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => drop(chars.next()),
            '\'' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// What follows `$tag$ ... $tag$`, if that is what stands here.
fn dollar_quoted(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let tag = &text[..end];
    let name = &tag[1..end - 1];
    let is_tag = name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| after(text, tag, end))
}

/// What follows the next `end`, looked for behind so many bytes; nothing where the text was cut before.
fn after<'t>(text: &'t str, end: &str, from: usize) -> &'t str {
    text.get(from..).and_then(|rest| rest.find(end).map(|at| &rest[at + end.len()..])).unwrap_or("")
}

fn shortened(text: &str) -> String {
    if text.len() <= BYTES_MAX {
        return text.to_owned();
    }
    let mut end = BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ...", &text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_statements_look_the_same_whatever_they_ask_for() {
        for (sql, wanted) in [
            ("SELECT * FROM t WHERE a = 'it''s' AND b = 12.5", "SELECT * FROM t WHERE a = ? AND b = ?"),
            ("select *\n  from t -- all\n where x=$1", "select * from t where x=?"),
            ("INSERT INTO t2 VALUES ($1, $2,$3), (4, 'x')", "INSERT INTO t2 VALUES (?, ...), (?, ...)"),
            ("SELECT E'a\\'b', $$ it's $$, $x$ 1 $x$ /* why */", "SELECT E?, ..."),
            ("SELECT \"order 66\", col1 FROM a.b3 LIMIT 10", "SELECT \"order 66\", col1 FROM a.b3 LIMIT ?"),
            ("SELECT 'cut off by the serv", "SELECT ?"),
            ("WHERE id IN (1,2 , 3)", "WHERE id IN (?, ...)"),
            ("SELECT 0x1F, 1e5, 10::text", "SELECT ?, ...::text"),
            ("COMMIT", "COMMIT"),
            ("", ""),
        ] {
            assert_eq!(without_values(sql), wanted, "{sql}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_none_becomes_much_longer(sql in "\\PC{0,80}", like in "[a-z0-9 '\"$,()\\\\*/-]{0,80}") {
            for sql in [sql, like] {
                let short = without_values(&sql);
                prop_assert!(short.len() <= 2 * sql.len() + 8, "{short}");
            }
        }

        #[test]
        fn no_value_is_kept(value in "[a-z]{8}", number in 1_000_000u32..) {
            let short = without_values(&format!("SELECT a FROM t WHERE b = '{value}' AND c IN ({number}, {number}) AND d = $q${value}$q$"));
            prop_assert!(!short.contains(&value) && !short.contains(&number.to_string()), "{short}");
        }
    }
}
