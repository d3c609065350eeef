//! As much of YAML as compose files use: nested mappings, lists, inline lists and mappings, quotes, comments, block text.
//!
//! Tolerant on purpose: what it does not understand it reads as text or leaves out. It never decides anything that a
//! person cannot see and correct in `fissure.toml`. Anchors are dropped, merges (`<<`) stay unresolved.

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

/// Deeper than any compose file; keeps hostile ones off the stack.
const MAX_DEPTH: usize = 24;

impl Yaml {
    pub(super) fn get(&self, key: &str) -> Option<&Yaml> {
        self.pairs().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn pairs(&self) -> &[(String, Yaml)] {
        if let Self::Map(pairs) = self { pairs } else { &[] }
    }

    pub(super) fn items(&self) -> &[Yaml] {
        if let Self::List(items) = self { items } else { &[] }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

struct Line<'a> {
    indent: usize,
    text: &'a str,
}

/// Reads the first document of `text`.
pub(super) fn parse(text: &str) -> Yaml {
    let lines: Vec<Line<'_>> = text
        .lines()
        .take_while(|line| *line != "...")
        .filter(|line| !line.starts_with("---"))
        .map(|line| {
            let text = line.trim_start_matches(' ');
            Line { indent: line.len() - text.len(), text: without_comment(text).trim_end() }
        })
        .filter(|line| !line.text.is_empty())
        .collect();
    let mut at = 0;
    lines
        .first()
        .map(|l| l.indent)
        .map_or_else(|| Yaml::Map(Vec::new()), |indent| block(&lines, &mut at, indent, 0))
}

/// The lines from `at` that are indented by `indent` at least.
fn block(lines: &[Line<'_>], at: &mut usize, indent: usize, depth: usize) -> Yaml {
    let is_item = |text: &str| text == "-" || text.starts_with("- ");
    let mut items = Vec::new();
    let mut pairs: Vec<(String, Yaml)> = Vec::new();
    while let Some(line) = lines.get(*at).filter(|line| line.indent >= indent) {
        *at += 1;
        if line.indent > indent || depth > MAX_DEPTH {
            continue;
        }
        if is_item(line.text) {
            let inside = line.text[1..].trim_start();
            let inner = line.indent + line.text.len() - inside.len();
            if key_of(inside).is_some() && !inside.starts_with(['{', '[']) {
                // `- key: value` begins a mapping whose other keys stand below the first one.
                let mut item = Vec::new();
                pair(lines, at, inside, inner, depth, &mut item);
                while lines.get(*at).is_some_and(|l| l.indent == inner && !is_item(l.text)) {
                    let text = lines[*at].text;
                    *at += 1;
                    pair(lines, at, text, inner, depth, &mut item);
                }
                items.push(Yaml::Map(item));
            } else if inside.is_empty() {
                items.push(below(lines, at, line.indent, depth));
            } else {
                items.push(inline(inside, 0));
            }
        } else {
            pair(lines, at, line.text, line.indent, depth, &mut pairs);
        }
    }
    if pairs.is_empty() && !items.is_empty() { Yaml::List(items) } else { Yaml::Map(pairs) }
}

/// Reads `key: value`, or `key:` with what is below it.
fn pair(
    lines: &[Line<'_>],
    at: &mut usize,
    text: &str,
    indent: usize,
    depth: usize,
    pairs: &mut Vec<(String, Yaml)>,
) {
    let Some((key, rest)) = key_of(text) else { return };
    let rest = without_tags(rest);
    let value = if rest.is_empty() {
        below(lines, at, indent, depth)
    } else if rest.starts_with(['|', '>']) {
        let mut text = Vec::new();
        while let Some(line) = lines.get(*at).filter(|line| line.indent > indent) {
            text.push(line.text);
            *at += 1;
        }
        Yaml::Text(text.join(if rest.starts_with('|') { "\n" } else { " " }))
    } else {
        inline(rest, 0)
    };
    pairs.push((key, value));
}

/// What stands below a key: deeper lines, or list items at the same depth.
fn below(lines: &[Line<'_>], at: &mut usize, indent: usize, depth: usize) -> Yaml {
    match lines.get(*at) {
        Some(next) if next.indent > indent => block(lines, at, next.indent, depth + 1),
        Some(next) if next.indent == indent && next.text.starts_with("- ") => {
            let mut items = Vec::new();
            // Items end where the keys of the same depth go on.
            while lines
                .get(*at)
                .is_some_and(|l| l.indent > indent || (l.indent == indent && l.text.starts_with("- ")))
            {
                let end = (*at + 1..lines.len()).find(|&i| lines[i].indent <= indent).unwrap_or(lines.len());
                let mut inner = 0;
                if let Yaml::List(one) = block(&lines[*at..end], &mut inner, indent, depth + 1) {
                    items.extend(one);
                }
                *at = end;
            }
            Yaml::List(items)
        }
        _ => Yaml::Text(String::new()),
    }
}

/// Splits `key: rest`; quoted keys too.
fn key_of(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| ['"', '\''].contains(c));
    let end = match quote {
        Some(quote) => text[1..].find(quote)? + 2,
        None => text
            .match_indices(':')
            .map(|(at, _)| at)
            .find(|at| text[at + 1..].is_empty() || text[at + 1..].starts_with(' '))?,
    };
    let rest = text[end..].strip_prefix(':')?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| (unquoted(&text[..end]), rest.trim()))
}

/// Anchors (`&base`) and tags (`!reset`) before a value.
fn without_tags(text: &str) -> &str {
    let mut text = text;
    while text.starts_with(['&', '!']) {
        text = text.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
    }
    text
}

/// A value on one line: `[a, b]`, `{a: b}`, quoted or plain text.
fn inline(text: &str, depth: usize) -> Yaml {
    let text = text.trim();
    let inside = |open: char, close: char| text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
    if depth > MAX_DEPTH {
        Yaml::Text(text.to_owned())
    } else if let Some(list) = inside('[', ']') {
        Yaml::List(split(list).into_iter().map(|item| inline(item, depth + 1)).collect())
    } else if let Some(map) = inside('{', '}') {
        let pairs = split(map).into_iter().filter_map(|item| key_of(item.trim()));
        Yaml::Map(pairs.map(|(key, rest)| (key, inline(rest, depth + 1))).collect())
    } else {
        Yaml::Text(unquoted(text))
    }
}

/// At commas outside of quotes and brackets.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut depth, mut quote) = (0, 0u32, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return if quote == '"' {
                inside.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\")
            } else {
                inside.replace("''", "'")
            };
        }
    }
    text.to_owned()
}

/// A comment begins at `#` behind a blank, outside of quotes.
fn without_comment(text: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            // A quote opens only where a value begins: `it's` is text.
            (None, '"' | '\'') if before.is_whitespace() || "[{,:(".contains(before) => quote = Some(c),
            (None, '#') if before.is_whitespace() => return &text[..at],
            _ => {}
        }
        before = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_compose_file_is_read() {
        let yaml = parse(
            "# shop\nservices:\n  web: &web\n    build: .\n    command: [\"node\", \"server.js\", 'a, b']   # start\n    \
             environment:\n      - A=1\n      - \"B=x # y\"\n    ports:\n    - \"8080:3000\"\n    - target: 80\n      published: 8081\n    \
             depends_on: {db: {condition: healthy}}\n  db:\n    image: 'postgres:16'\n    environment:\n      POSTGRES_PASSWORD: it's\n    \
             command: |\n      one\n      two\nvolumes: {}\n",
        );
        let web = yaml.get("services").unwrap().get("web").unwrap();
        assert_eq!(web.get("build").unwrap().text(), Some("."));
        let words: Vec<_> = web.get("command").unwrap().items().iter().filter_map(Yaml::text).collect();
        assert_eq!(words, ["node", "server.js", "a, b"]);
        let env: Vec<_> = web.get("environment").unwrap().items().iter().filter_map(Yaml::text).collect();
        assert_eq!(env, ["A=1", "B=x # y"]);
        let ports = web.get("ports").unwrap().items();
        assert_eq!(ports[0].text(), Some("8080:3000"));
        assert_eq!(ports[1].get("published").unwrap().text(), Some("8081"));
        assert!(web.get("depends_on").unwrap().get("db").unwrap().get("condition").is_some());
        let db = yaml.get("services").unwrap().get("db").unwrap();
        assert_eq!(db.get("image").unwrap().text(), Some("postgres:16"));
        assert_eq!(db.get("environment").unwrap().get("POSTGRES_PASSWORD").unwrap().text(), Some("it's"));
        assert_eq!(db.get("command").unwrap().text(), Some("one\ntwo"));
        assert!(yaml.get("volumes").is_some());
    }

    #[test]
    fn a_hostile_depth_ends() {
        let deep: String = (0..5000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert!(parse(&deep).get("a").is_some());
        let brackets = format!("a: {}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(parse(&brackets).get("a").is_some());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([ ]{0,4}[-a:\"'|>#{}\\[\\],&! é\t]{0,12}\n){0,12}") {
            let _ = parse(&text);
        }
    }
}
