//! Golden texts. `UPDATE_GOLDEN=1 cargo test -p fissure-show` writes them anew; read the difference before you commit it.

use std::path::PathBuf;

use fissure_show::{html, json, terminal};

use crate::fixtures;

pub fn compare(file: &str, got: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((i, (got, wanted))) =
        got.lines().zip(wanted.lines()).enumerate().find(|(_, (got, wanted))| got != wanted)
    {
        panic!("{file}, line {}:\n  golden {wanted}\n  now    {got}\n(UPDATE_GOLDEN=1 accepts it)", i + 1);
    }
    assert_eq!(got.len(), wanted.len(), "{file} became longer or shorter (UPDATE_GOLDEN=1 accepts it)");
}

/// Without styles, so that the golden text is what a pipe gets.
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut pieces = text.split("\u{1b}[");
    out.push_str(pieces.next().unwrap());
    for piece in pieces {
        out.push_str(piece.split_once('m').unwrap().1);
    }
    out
}

/// The style sheet is not what a golden text should guard; one element (of a table: one row) a line makes a difference
/// readable.
pub fn page_lines(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    format!("{head}{body}\n").replace("><", ">\n<").replace(">\n<td", "><td")
}

#[test]
fn the_terminal_says_what_it_said() {
    let run = fixtures::run();
    for (name, judgement) in fixtures::every_judgement() {
        compare(&format!("{name}.txt"), &plain(&terminal::report(&run, &judgement, 100)));
    }
    compare("split_this_area_narrow.txt", &plain(&terminal::report(&run, &fixtures::split(), 48)));
}

#[test]
fn the_json_says_what_it_said() {
    let run = fixtures::run();
    for (name, judgement) in fixtures::every_judgement() {
        let text = serde_json::to_string_pretty(&json::report(&run, &judgement)).unwrap();
        compare(&format!("{name}.json"), &(text + "\n"));
    }
}

#[test]
fn the_page_says_what_it_said() {
    let run = fixtures::run();
    for (name, judgement) in fixtures::every_judgement() {
        compare(&format!("{name}.html"), &page_lines(&html::report(&run, &judgement)));
    }
}
