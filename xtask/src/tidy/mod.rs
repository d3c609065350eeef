//! The rules of the house as code: what a reviewer would otherwise have to say again and again.

mod crates;
mod papers;
mod text;
mod tree;

use std::path::Path;

use tree::Tree;

/// One breach of a rule: where, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Offence {
    place: String,
    what: String,
}

impl Offence {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

type Rule = fn(&Tree) -> Vec<Offence>;

const RULES: &[(&str, Rule)] = &[
    ("no file over 700 lines", text::not_too_long),
    ("every module says what it is", text::module_docs),
    ("no file is called after nothing", text::telling_names),
    ("no path of somebody's machine", text::no_machine_paths),
    ("the judge has no hands and no clock", crates::judge_is_pure),
    ("arrows between crates as in the design", crates::arrows),
    ("every dependency says what it saves us", crates::dependencies_have_reasons),
    ("README shows the two commands", papers::readme_commands),
    ("the papers are there", papers::present),
];

/// Checks every rule and prints the breaches. True when there are none.
pub fn report(root: &Path) -> bool {
    println!("\n==> tidy\n    the rules of the house");
    let tree = match Tree::read(root) {
        Ok(tree) => tree,
        Err(error) => {
            println!("    FAILED: {} cannot be read: {error}", root.display());
            return false;
        }
    };
    let mut found = 0;
    for (name, rule) in RULES {
        for Offence { place, what } in rule(&tree) {
            println!("    {place}: {what} [{name}]");
            found += 1;
        }
    }
    println!("    {}", if found == 0 { "done".to_owned() } else { format!("FAILED: {found} breaches") });
    found == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The repository itself keeps its rules; each rule's own tests show that it can be broken.
    #[test]
    fn the_house_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let tree = Tree::read(root).unwrap();
        assert!(tree.files.len() > 20, "only {} files: was the right folder read?", tree.files.len());
        let offences: Vec<Offence> = RULES.iter().flat_map(|(_, rule)| rule(&tree)).collect();
        assert_eq!(offences, []);
    }
}
