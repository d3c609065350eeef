//! HTML's character references, as far as forms and links of real pages use them.

/// `&`, `<` and `>` as references, as the language's `htmlEscape` writes them.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// References back to characters. Of the 2231 names of HTML those of Latin-1 and of common typography are known; an
/// unknown name is an error, because a wrong value would be worse.
pub(super) fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(rest)? {
            Some((c, length)) => {
                out.push(c);
                rest = &rest[length..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The character of the reference at the beginning of `text`, and the reference's length. A lone `&` is none.
fn reference(text: &str) -> Result<Option<(char, usize)>, String> {
    let name_length =
        text[1..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '#')).unwrap_or(text.len() - 1);
    let name = &text[1..=name_length];
    if name.is_empty() || !text[1 + name_length..].starts_with(';') {
        return Ok(None);
    }
    let length = name_length + 2;
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        };
        return Ok(code.and_then(char::from_u32).map(|c| (c, length)));
    }
    match NAMED.iter().find(|(known, _)| *known == name) {
        Some((_, c)) => Ok(Some((*c, length))),
        None => Err(format!("`htmlUnescape` does not know the reference `&{name};`")),
    }
}

#[rustfmt::skip]
const NAMED: &[(&str, char)] = &[
    ("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", '\u{a0}'),
    ("iexcl", '¡'), ("cent", '¢'), ("pound", '£'), ("curren", '¤'), ("yen", '¥'), ("brvbar", '¦'), ("sect", '§'),
    ("uml", '¨'), ("copy", '©'), ("ordf", 'ª'), ("laquo", '«'), ("not", '¬'), ("shy", '\u{ad}'), ("reg", '®'),
    ("macr", '¯'), ("deg", '°'), ("plusmn", '±'), ("sup2", '²'), ("sup3", '³'), ("acute", '´'), ("micro", 'µ'),
    ("para", '¶'), ("middot", '·'), ("cedil", '¸'), ("sup1", '¹'), ("ordm", 'º'), ("raquo", '»'), ("frac14", '¼'),
    ("frac12", '½'), ("frac34", '¾'), ("iquest", '¿'), ("Agrave", 'À'), ("Aacute", 'Á'), ("Acirc", 'Â'),
    ("Atilde", 'Ã'), ("Auml", 'Ä'), ("Aring", 'Å'), ("AElig", 'Æ'), ("Ccedil", 'Ç'), ("Egrave", 'È'), ("Eacute", 'É'),
    ("Ecirc", 'Ê'), ("Euml", 'Ë'), ("Igrave", 'Ì'), ("Iacute", 'Í'), ("Icirc", 'Î'), ("Iuml", 'Ï'), ("ETH", 'Ð'),
    ("Ntilde", 'Ñ'), ("Ograve", 'Ò'), ("Oacute", 'Ó'), ("Ocirc", 'Ô'), ("Otilde", 'Õ'), ("Ouml", 'Ö'), ("times", '×'),
    ("Oslash", 'Ø'), ("Ugrave", 'Ù'), ("Uacute", 'Ú'), ("Ucirc", 'Û'), ("Uuml", 'Ü'), ("Yacute", 'Ý'), ("THORN", 'Þ'),
    ("szlig", 'ß'), ("agrave", 'à'), ("aacute", 'á'), ("acirc", 'â'), ("atilde", 'ã'), ("auml", 'ä'), ("aring", 'å'),
    ("aelig", 'æ'), ("ccedil", 'ç'), ("egrave", 'è'), ("eacute", 'é'), ("ecirc", 'ê'), ("euml", 'ë'), ("igrave", 'ì'),
    ("iacute", 'í'), ("icirc", 'î'), ("iuml", 'ï'), ("eth", 'ð'), ("ntilde", 'ñ'), ("ograve", 'ò'), ("oacute", 'ó'),
    ("ocirc", 'ô'), ("otilde", 'õ'), ("ouml", 'ö'), ("divide", '÷'), ("oslash", 'ø'), ("ugrave", 'ù'), ("uacute", 'ú'),
    ("ucirc", 'û'), ("uuml", 'ü'), ("yacute", 'ý'), ("thorn", 'þ'), ("yuml", 'ÿ'), ("OElig", 'Œ'), ("oelig", 'œ'),
    ("Scaron", 'Š'), ("scaron", 'š'), ("ndash", '–'), ("mdash", '—'), ("lsquo", '‘'), ("rsquo", '’'), ("sbquo", '‚'),
    ("ldquo", '“'), ("rdquo", '”'), ("bdquo", '„'), ("dagger", '†'), ("bull", '•'), ("hellip", '…'), ("prime", '′'),
    ("lsaquo", '‹'), ("rsaquo", '›'), ("euro", '€'), ("trade", '™'), ("larr", '←'), ("uarr", '↑'), ("rarr", '→'),
    ("darr", '↓'), ("minus", '−'), ("ne", '≠'), ("le", '≤'), ("ge", '≥'), ("infin", '∞'), ("check", '✓'),
    ("sol", '/'), ("equals", '='), ("plus", '+'), ("colon", ':'), ("comma", ','), ("quest", '?'), ("num", '#'),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_become_characters_and_a_lone_ampersand_stays() {
        assert_eq!(
            unescaped("Foo &copy; bar &#x1D306; &#62; &amp;amp; a & b &c").unwrap(),
            "Foo © bar 𝌆 > &amp; a & b &c"
        );
        assert!(unescaped("&CounterClockwiseContourIntegral;").unwrap_err().contains("does not know"));
    }

    proptest! {
        #[test]
        fn unescaping_undoes_escaping(text in "\\PC{0,60}") {
            prop_assert_eq!(unescaped(&escaped(&text)).unwrap(), text);
        }

        #[test]
        fn no_text_panics(text in "[&#;a-zx0-9é]{0,40}") {
            let _ = unescaped(&text);
        }
    }
}
