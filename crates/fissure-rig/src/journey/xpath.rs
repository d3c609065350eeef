//! What an XPath finds in a page. The page is read as browsers read tag soup, as far as journeys need it: elements that are never closed, and those
//! that the next one closes; it is not put into shape.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::journey::xpath::{Of, Step, Test, Wanted, XPath};
use html5gum::{DefaultEmitter, Token, Tokenizer};
use serde_json::Value;

/// Elements without an end (HTML, 13.1.2).
const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];
/// An element that another of these ends, if both have the same parent.
const ENDED_BY_NEXT: [&[&str]; 6] = [&["li"], &["option"], &["tr"], &["td", "th"], &["dt", "dd"], &["p"]];

/// None where nothing was found.
pub(super) fn find(path: &XPath, page: &str) -> Option<Value> {
    let page = Page::read(page);
    let mut nodes: Vec<usize> =
        page.walk(&path.steps).into_iter().filter(|&node| page.value(node, &path.of).is_some()).collect();
    if let Some(nth) = path.nth {
        nodes = nodes.get(nth - 1).copied().into_iter().collect();
    }
    let mut texts = nodes.iter().filter_map(|&node| page.value(node, &path.of));
    match path.wants {
        Wanted::Count => Some(nodes.len().into()),
        Wanted::Any => Some((!nodes.is_empty()).into()),
        Wanted::First => texts.next().map(Value::String),
        Wanted::FirstInOneLine => texts.next().map(|text| Value::String(in_one_line(&text))),
        Wanted::Nodes => (!nodes.is_empty()).then(|| texts.map(Value::String).collect()),
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    parent: usize,
}

/// Elements in the order of the page, behind the page itself.
struct Page {
    elements: Vec<Element>,
    /// By the element that it stands in, in the order of the page.
    texts: Vec<(usize, String)>,
}

impl Page {
    fn read(page: &str) -> Self {
        let root = Element { name: String::new(), attributes: BTreeMap::new(), parent: 0 };
        let mut read = Self { elements: vec![root], texts: Vec::new() };
        // What stands in a script is no markup.
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut open = 0;
        for Ok(token) in Tokenizer::new_with_emitter(page, emitter) {
            match token {
                Token::StartTag(tag) => {
                    let name = text(&tag.name);
                    let parent = read.parent_of(&name, open);
                    let attributes = tag.attributes.iter().map(|(name, value)| (text(name), text(value)));
                    let attributes = attributes.collect();
                    let is_void = VOID.contains(&name.as_str());
                    read.elements.push(Element { name, attributes, parent });
                    open = if is_void { parent } else { read.elements.len() - 1 };
                }
                Token::EndTag(tag) => open = read.behind_end_of(&text(&tag.name), open),
                Token::String(found) => read.texts.push((open, text(&found))),
                Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
            }
        }
        read
    }

    /// Where an element belongs that begins inside of `open`.
    fn parent_of(&self, name: &str, open: usize) -> usize {
        let ended = ENDED_BY_NEXT.iter().find(|names| names.contains(&name));
        match ended {
            Some(names) if names.contains(&self.elements[open].name.as_str()) => self.elements[open].parent,
            _ => open,
        }
    }

    /// What is open behind an end tag: one that ends nothing is left out.
    fn behind_end_of(&self, name: &str, open: usize) -> usize {
        self.outwards(open)
            .find(|&at| self.elements[at].name == name)
            .map_or(open, |at| self.elements[at].parent)
    }

    /// An element and those around it, without the page.
    fn outwards(&self, from: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(from), |&at| Some(self.elements[at].parent)).take_while(|&at| at > 0)
    }

    fn walk(&self, steps: &[Step]) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([0]);
        for step in steps {
            let is_below = |at: usize| {
                let parent = self.elements[at].parent;
                match step.at_any_depth {
                    true => found.contains(&0) || self.outwards(parent).any(|around| found.contains(&around)),
                    false => found.contains(&parent),
                }
            };
            let is_it = |at: &usize| {
                step.name.as_ref().is_none_or(|name| self.elements[*at].name == *name) && is_below(*at)
            };
            let mut nodes: Vec<usize> = (1..self.elements.len()).filter(is_it).collect();
            for test in &step.tests {
                nodes = self.passing(&nodes, test);
            }
            found = nodes.into_iter().collect();
        }
        found
    }

    fn passing(&self, nodes: &[usize], test: &Test) -> Vec<usize> {
        let mut of_parent: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &node in nodes {
            of_parent.entry(self.elements[node].parent).or_default().push(node);
        }
        let passes = |node: usize| {
            let siblings = &of_parent[&self.elements[node].parent];
            let is = |of: &Of, holds: &dyn Fn(&str) -> bool| {
                self.value(node, of).is_some_and(|value| holds(&value))
            };
            match test {
                Test::Nth(nth) => siblings.get(nth - 1) == Some(&node),
                Test::Last => siblings.last() == Some(&node),
                Test::Has(of) => is(of, &|_| true),
                // With the page's line breaks or without.
                Test::Is(of, wanted) => is(of, &|value| value == wanted || in_one_line(value) == *wanted),
                Test::IsNot(of, other) => is(of, &|value| value != other),
                Test::Contains(of, part) => is(of, &|value| value.contains(part)),
                Test::StartsWith(of, start) => is(of, &|value| value.starts_with(start)),
            }
        };
        nodes.iter().copied().filter(|&node| passes(node)).collect()
    }

    fn value(&self, node: usize, of: &Of) -> Option<String> {
        let text = |is_it: &dyn Fn(usize) -> bool| {
            let pieces = self.texts.iter().filter(|(at, _)| is_it(*at)).map(|(_, text)| text.as_str());
            pieces.collect::<String>()
        };
        match of {
            Of::Attribute(name) => self.elements[node].attributes.get(name).cloned(),
            Of::Text => Some(text(&|at| at == node)).filter(|text| !text.is_empty()),
            Of::All => Some(text(&|at| self.outwards(at).any(|around| around == node))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PAGE: &str = r#"<!doctype html><html><head><title>Shop &amp; more</title>
        <meta name="_csrf_token" content="a&lt;b"><script>if (a < b) { "<form id='no'>" }</script></head>
        <body><h1> Our
          <b>shop</b> </h1>
        <form id=search action=/search><input name=q></form>
        <form id="login" method="post"><p>Name<p>Word<INPUT type='hidden' name="token" value="t1"/><input name=token value=t2></form>
        <ul><li class="on first">one<li>two<li><a href="/x/3">three</a></ul><br></section></body></html>"#;

    fn found(path: &str) -> Option<Value> {
        find(&XPath::parse(path).unwrap(), PAGE)
    }

    #[test]
    fn tokens_links_and_texts_are_found() {
        for (path, wanted) in [
            ("string(//meta[@name='_csrf_token']/@content)", json!("a<b")),
            ("string(//form[@id='login']//input[@name='token']/@value)", json!("t1")),
            ("string((//input[@name='token'])[2]/@value)", json!("t2")),
            ("string(//form[2]/p[2])", json!("Word")),
            ("normalize-space(//h1)", json!("Our shop")),
            ("string(//title)", json!("Shop & more")),
            ("count(//li)", json!(3)),
            ("count(//form[@id='no'])", json!(0)),
            ("//li[contains(@class, 'on')]", json!(["one"])),
            ("//li[last()]/a/@href", json!(["/x/3"])),
            ("//li[text()='two']", json!(["two"])),
            ("//a[starts-with(@href, '/x') and .='three']/text()", json!(["three"])),
            ("boolean(/html/body/ul/li)", json!(true)),
            ("//*[@method != 'get']/@id", json!(["login"])),
        ] {
            assert_eq!(found(path), Some(wanted), "{path}");
        }
        for path in ["string(//meta[@name='none']/@content)", "//section", "/body", "string(//li[4])"] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_page_is_read(page in "(<[a-z/!]{0,4}[ a-z='\"]{0,6}>|[a-z&;]{0,4}){0,12}|\\PC{0,60}") {
            let path = XPath::parse("//p[1]//*[@a]/text()").unwrap();
            let _ = find(&path, &page);
        }
    }
}
