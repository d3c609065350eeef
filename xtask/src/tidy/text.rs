//! Rules about files as text: length, module docs, names, paths.

use super::Offence;
use super::tree::Tree;

const MAX_LINES: usize = 700;

/// A file that nobody can hold in mind is several things.
pub fn not_too_long(tree: &Tree) -> Vec<Offence> {
    let long = |lines: usize| {
        (lines > MAX_LINES).then(|| {
            format!("{lines} lines: more than {MAX_LINES}, so it is several things; give each a file")
        })
    };
    tree.files
        .iter()
        // Data, not something to read.
        .filter(|file| !file.path.ends_with(".json"))
        .filter_map(|file| Some(Offence::new(&file.path, long(file.text.lines().count())?)))
        .collect()
}

/// `//!` is the first thing in every source file of a crate.
pub fn module_docs(tree: &Tree) -> Vec<Offence> {
    tree.rust()
        .filter(|file| {
            (file.path.starts_with("crates/") && file.path.contains("/src/"))
                || file.path.starts_with("xtask/src/")
        })
        .filter(|file| !file.text.trim_start().starts_with("//!"))
        .map(|file| Offence::new(&file.path, "begins without `//!`: say in one line what the module is"))
        .collect()
}

/// A name that says nothing collects everything.
pub fn telling_names(tree: &Tree) -> Vec<Offence> {
    const EMPTY: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];
    tree.rust()
        .filter_map(|file| {
            let part = file.path.trim_end_matches(".rs").split('/').find(|part| EMPTY.contains(part))?;
            Some(Offence::new(&file.path, format!("`{part}` says nothing: name it after what is in it")))
        })
        .collect()
}

/// Paths that hold on one machine only. `/home/me` is the example user of the documentation and the tests.
pub fn no_machine_paths(tree: &Tree) -> Vec<Offence> {
    // Written in two halves, or this file would break its own rule.
    let needles: Vec<String> = [
        ("/wo", "rk/"),
        ("/ho", "me/"),
        ("/ro", "ot/"),
        ("/Us", "ers/"),
        ("/tmp/st", "udio"),
        ("/tmp/t", "-"),
    ]
    .iter()
    .map(|(a, b)| format!("{a}{b}"))
    .collect();
    let mut offences = Vec::new();
    for file in &tree.files {
        for (number, line) in file.text.lines().enumerate() {
            let path = needles.iter().find_map(|needle| machine_path(line, needle));
            if let Some(path) = path {
                offences.push(Offence::new(
                    format!("{}:{}", file.path, number + 1),
                    format!("`{path}` is a path of somebody's machine"),
                ));
            }
        }
    }
    offences
}

/// The first path in `line` that begins with `needle`, as far as a name goes.
fn machine_path<'a>(line: &'a str, needle: &str) -> Option<&'a str> {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    line.match_indices(needle).find_map(|(at, _)| {
        let rest = &line[at + needle.len()..];
        let name = rest.find(|c| !word(c)).unwrap_or(rest.len());
        let is_example = needle.contains("home") && ["me", "you"].contains(&&rest[..name]);
        // `docs/home/x` and `{{base}}/home/x` are other paths.
        let begins_here = !line[..at].ends_with(|c: char| word(c) || c == '}');
        (begins_here && !is_example).then(|| &line[at..at + needle.len() + name])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        let (at_most, more) = ("x\n".repeat(700), "x\n".repeat(701));
        assert_eq!(not_too_long(&Tree::of(&[("a.rs", &at_most)])), []);
        assert_eq!(not_too_long(&Tree::of(&[("a.rs", &more)]))[0].place, "a.rs");
    }

    #[test]
    fn a_module_without_docs_is_found() {
        let tree = Tree::of(&[
            ("crates/a/src/good.rs", "\n//! Good.\n"),
            ("crates/a/src/bad.rs", "use x;\n//! Late.\n"),
            ("crates/a/tests/free.rs", "use x;"),
        ]);
        let places: Vec<_> = module_docs(&tree).into_iter().map(|o| o.place).collect();
        assert_eq!(places, ["crates/a/src/bad.rs"]);
    }

    #[test]
    fn an_empty_name_is_found_as_file_and_as_folder() {
        let tree = Tree::of(&[("a/src/utils.rs", ""), ("a/src/common/x.rs", ""), ("a/src/commonly.rs", "")]);
        assert_eq!(telling_names(&tree).len(), 2);
    }

    #[test]
    fn a_path_of_a_machine_is_found_but_not_the_example_user() {
        let paths = |line: &str| no_machine_paths(&Tree::of(&[("a.md", line)])).len();
        assert_eq!(paths(&format!("cd {}{}main", "/wo", "rk/")), 1);
        assert_eq!(paths(&format!("open \"{}{}anna/x\"", "/ho", "me/")), 1);
        assert_eq!(paths("/home/me/app and GET {{base}}/home/feed and docs/home/x"), 0);
    }
}
