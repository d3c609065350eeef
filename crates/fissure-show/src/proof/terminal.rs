//! The proof in a terminal.

use anstyle::Style;
use fissure_facts::Run;
use fissure_judge::proof::Proof;

use super::{details, doubts, exit_status, headline, load, method, rows};
use crate::terminal::{Page, sign};

pub fn report(run: &Run, proof: &Proof, width: usize) -> String {
    let mut page = Page::new(width);
    let (sign, colour) = sign(match exit_status(run, proof) {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    });
    let style = Style::new().bold().fg_color(Some(colour.into()));
    page.text.push_str(&format!("{style}{sign}{style:#} "));
    page.first_line(&headline(proof));
    details(run, proof).iter().for_each(|line| page.item(line));
    for at in &proof.loads {
        page.heading(&format!("Old and new at {}", load(at)));
        let mut table = vec![["", "old", "new", "change"].map(str::to_owned)];
        table.extend(rows(run, at));
        page.table(&table);
    }
    page.heading("Mind");
    page.item(&method(proof));
    doubts(proof).iter().for_each(|line| page.item(line));
    page.text
}
