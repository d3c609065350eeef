//! Templates, keys and strings, escaped for the place where they stand.

use fissure_facts::journey::{Piece, Template};

/// A template with `text` for what is written as it is; braces that are no variable's are escaped there.
fn template(of: &Template, text: impl Fn(char) -> String) -> String {
    let mut out = String::new();
    for piece in &of.0 {
        match piece {
            Piece::Text(written) => {
                for c in written.chars() {
                    out.push_str(&text(c));
                }
            }
            Piece::Variable(name) | Piece::JsonString(name) | Piece::JsonValue(name) => {
                out.push_str(&format!("{{{{{name}}}}}"));
            }
            Piece::NewUuid => out.push_str("{{newUuid}}"),
            Piece::NewDate => out.push_str("{{newDate}}"),
            Piece::Literal(literal) => out.push_str(&literal.to_string()),
        }
    }
    out
}

fn escaped(c: char, special: &str) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        // Twice in a row it would begin a variable.
        '{' => "\\u{7b}".to_owned(),
        c if c.is_control() => format!("\\u{{{:x}}}", c as u32),
        c if special.contains(c) => format!("\\{c}"),
        c => c.to_string(),
    }
}

/// Behind a colon, up to the end of the line.
pub fn value(of: &Template) -> String {
    let out = template(of, |c| escaped(c, "\\#"));
    // Spaces at both ends would be lost.
    let trimmed = out.trim_matches(' ');
    let (before, after) =
        (out.len() - out.trim_start_matches(' ').len(), out.len() - out.trim_end_matches(' ').len());
    if trimmed.is_empty() {
        return "\\u{20}".repeat(out.len());
    }
    format!("{}{trimmed}{}", "\\u{20}".repeat(before), "\\u{20}".repeat(after))
}

/// Between quotes, with them.
pub fn quoted(of: &Template) -> String {
    format!("\"{}\"", template(of, |c| escaped(c, "\\\"")))
}

pub fn quoted_text(text: &str) -> String {
    quoted(&Template::text(text))
}

/// Between backticks, with them.
pub fn one_line(of: &Template) -> String {
    format!("`{}`", template(of, |c| escaped(c, "\\`")))
}

/// As it is; None when its text would be taken for a variable.
pub fn as_it_is(of: &Template) -> Option<String> {
    let is_plain = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains("{{"));
    (!of.0.iter().any(is_plain)).then(|| template(of, |c| c.to_string()))
}

/// Behind `variable: name=`: in quotes, unless it is no text.
pub fn variable(of: &Template) -> String {
    match of.0.as_slice() {
        [Piece::Literal(literal)] => literal.to_string(),
        _ => quoted(of),
    }
}

/// Before a colon.
pub fn key(name: &str) -> String {
    template_key(&Template::text(name))
}

pub fn template_key(of: &Template) -> String {
    let out = template(of, |c| match c {
        c if c.is_alphanumeric() || "_-.]@$[".contains(c) => c.to_string(),
        ':' => "\\:".to_owned(),
        c => format!("\\u{{{:x}}}", c as u32),
    });
    // A bracket in front begins a section.
    out.strip_prefix('[').map_or(out.clone(), |rest| format!("\\u{{5b}}{rest}"))
}

/// Behind `{{base}}`; what may not stand in a URL is percent-encoded, as it goes over the wire.
pub fn url(of: &Template) -> String {
    template(of, |c| {
        if c.is_alphanumeric() || ":/.-?=&_%*,@~+!$'();[]".contains(c) {
            return c.to_string();
        }
        let mut bytes = [0; 4];
        c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
    })
}

/// Behind `file,`.
pub fn file_name(name: &str) -> String {
    name.chars().map(|c| if "#; {}\\".contains(c) { format!("\\{c}") } else { c.to_string() }).collect()
}
