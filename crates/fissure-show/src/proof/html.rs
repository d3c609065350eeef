//! The proof as a page.

use fissure_facts::Run;
use fissure_judge::proof::Proof;
use maud::html;

use super::{details, doubts, exit_status, headline, load, method, rows, word};
use crate::html::{page, prose, sections::table};

pub fn report(run: &Run, proof: &Proof) -> String {
    let (class, sign) = match exit_status(run, proof) {
        0 => ("good", "✓"),
        1 => ("bad", "✗"),
        _ => ("open", "?"),
    };
    let body = html! {
        header {
            p.eyebrow { "fissure check, old against new · run " (run.header.run) }
            div { span.badge { (word(&proof.outcome)) } span.badge.(class) { (sign) " exit status " (exit_status(run, proof)) } }
            h1 { (prose(&headline(proof))) }
            ul { @for line in details(run, proof) { li { (prose(&line)) } } }
        }
        @for at in &proof.loads {
            section {
                h2 { "Old and new at " (load(at)) }
                (table("Old and new", html! {
                    thead { tr { th scope="col" {} th scope="col" { "Old" } th scope="col" { "New" } th scope="col" { "Change" } } }
                    tbody { @for [what, was, is, change] in rows(run, at) {
                        tr { th scope="row" { (what) } td { (was) } td { (is) } td { (change) } }
                    } }
                }))
            }
        }
        section { h2 { "Mind" } ul { li { (method(proof)) } @for line in doubts(proof) { li { (line) } } } }
    };
    page(&run.header, &headline(proof), body)
}
