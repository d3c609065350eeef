//! On which line a function calls another. V8 tells the line of the innermost function only; of a caller it tells where the
//! function begins, and the text tells the rest, as long as only one line of it names what is called.

/// No function that a person wrote is longer; a bundle may be one line of megabytes.
const MOST_BYTES: usize = 64 * 1024;

/// The line (from 0) of the one call of `callee` in the function that begins at this place. None where it is called on several
/// lines or on none: by another name, or by the language.
pub(super) fn line_of_call(text: &str, line: u32, column: u32, callee: &str) -> Option<u32> {
    let name = callee.rsplit(['.', ' ', '#']).next().filter(|name| !name.is_empty())?;
    if !name.chars().all(is_of_name) {
        return None; // (anonymous), (program)
    }
    let start = text.split_inclusive('\n').take(line as usize).map(str::len).sum::<usize>();
    let function = text.get(start.checked_add(column as usize)?..)?;
    let code = body(function)?;
    let mut lines = calls(&code, name).map(|at| line + newlines(&code[..at]));
    let first = lines.next()?;
    lines.all(|line| line == first).then_some(first)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn newlines(text: &str) -> u32 {
    text.bytes().filter(|&b| b == b'\n').count() as u32
}

/// Where the names of calls stand.
fn calls<'t>(code: &'t str, name: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_call = move |at: usize| {
        let is_whole = !code[..at].ends_with(is_of_name);
        is_whole && code[at + name.len()..].trim_start().starts_with('(')
    };
    code.match_indices(name).map(|(at, _)| at).filter(move |&at| is_call(at))
}

/// The function's text up to the brace that closes it, with blanks for its head, strings and comments. A regular expression with a
/// quote or a brace in it may make it too long, and a call that is then found twice is none.
fn body(function: &str) -> Option<String> {
    let mut code = function.as_bytes()[..function.len().min(MOST_BYTES)].to_vec();
    let (mut depth, mut parentheses, mut at, mut begun) = (0_u32, 0_u32, 0, None);
    let end = loop {
        let rest = code.get(at..).filter(|rest| !rest.is_empty())?;
        let skipped = match rest[0] {
            b'/' if rest.starts_with(b"//") => rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => {
                rest.windows(2).skip(2).position(|w| w == b"*/").map_or(rest.len(), |end| end + 4)
            }
            quote @ (b'"' | b'\'') => string(rest, quote),
            // A template holds calls.
            b'`' => {
                at += string(rest, b'`');
                continue;
            }
            _ => 0,
        };
        if skipped > 0 {
            code[at..at + skipped].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
            at += skipped;
            continue;
        }
        match rest[0] {
            b'(' => parentheses += 1,
            b')' => parentheses = parentheses.saturating_sub(1),
            // Braces among the parameters take objects apart.
            b'{' if parentheses == 0 || begun.is_some() => {
                begun.get_or_insert(at);
                depth += 1;
            }
            b'}' if begun.is_some() => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break at + 1;
                }
            }
            // `(a) => total(a)`: an expression, to the end of its statement.
            b';' if begun.is_none() && parentheses == 0 => {
                begun = code.windows(2).position(|w| w == b"=>");
                break at;
            }
            _ => {}
        }
        at += 1;
    };
    code[..begun?].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    code.truncate(end);
    String::from_utf8(code).ok()
}

/// How long a string is, with both quotes.
fn string(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHOP: &str = "function price({ id }) { return id }\n\
        async function seal(text) { // scryptSync(no)\n\
        \x20 const salt = 'scryptSync(';\n\
        \x20 const key = crypto.scryptSync(text, salt, 64);\n\
        \x20 for (const one of all) { sum += price(one) + price(one) }\n\
        \x20 trim(key);\n\
        \x20 return trim(sum);\n\
        }\n\
        scryptSync(1)\n\
        const total = all => all.reduce((a, b) => add(a, b), 0);\n";

    #[test]
    fn a_call_is_found_in_its_function_alone() {
        let seal = |callee| line_of_call(SHOP, 1, 0, callee);
        assert_eq!(seal("scryptSync"), Some(3), "strings and comments call nobody");
        assert_eq!(seal("price"), Some(4), "twice on one line");
        assert_eq!(seal("trim"), None, "on two lines");
        assert_eq!(seal("ice"), None);
        assert_eq!(seal("(anonymous)"), None);
        assert_eq!(line_of_call(SHOP, 9, 14, "add"), Some(9));
        assert_eq!(line_of_call(SHOP, 0, 0, "price"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z(){}/*'\"`\\\\\n=>;ä ]{0,120}", line in 0u32..6, column in 0u32..30, callee in "[a-z.(]{0,3}") {
            let found = line_of_call(&text, line, column, &callee);
            prop_assert!(found.is_none_or(|found| found >= line && found <= newlines(&text)));
        }
    }
}
