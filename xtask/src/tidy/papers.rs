//! Rules about papers: what a newcomer looks for first.

use super::Offence;
use super::tree::Tree;

/// The two commands that do everything on a fresh machine.
const COMMANDS: &[&str] = &["cargo run --release -- demo", "cargo xtask test"];
const PAPERS: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "deny.toml", ".ci/run"];

pub fn readme_commands(tree: &Tree) -> Vec<Offence> {
    let readme = tree.text("README.md").unwrap_or_default();
    COMMANDS
        .iter()
        .filter(|command| !readme.contains(**command))
        .map(|command| Offence::new("README.md", format!("does not show `{command}`")))
        .collect()
}

pub fn present(tree: &Tree) -> Vec<Offence> {
    PAPERS
        .iter()
        .filter(|path| tree.text(path).is_none_or(|text| text.trim().is_empty()))
        .map(|path| Offence::new(*path, "is not there, or is empty"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_without_its_commands_is_found() {
        assert_eq!(
            readme_commands(&Tree::of(&[("README.md", "`cargo run --release -- demo`, `cargo xtask test`")])),
            []
        );
        assert_eq!(readme_commands(&Tree::of(&[("README.md", "`cargo run`")])).len(), 2);
        assert_eq!(readme_commands(&Tree::of(&[])).len(), 2);
    }

    #[test]
    fn a_missing_or_empty_paper_is_found() {
        let all: Vec<(&str, &str)> = PAPERS.iter().map(|&path| (path, "text")).collect();
        assert_eq!(present(&Tree::of(&all)), []);
        let mut one_empty = all.clone();
        one_empty[2].1 = "\n";
        assert_eq!(present(&Tree::of(&one_empty))[0].place, "CHANGELOG.md");
    }
}
