//! The matrix as a page.

use fissure_facts::Run;
use fissure_judge::chaos::{Chaos, Class, Outcome, Trial};
use maud::{Markup, html};

use super::{NOT_TESTED, doubts, exit_status, figures, foreseen, headline, name, radii, word, writes};
use crate::html::{page, prose, sections::table};
use crate::units::{number, percent};

pub fn report(run: &Run, chaos: &Chaos) -> String {
    let (class, sign) = match exit_status(chaos) {
        0 => ("good", "✓"),
        1 => ("bad", "✗"),
        _ => ("open", "?"),
    };
    let body = html! {
        header {
            p.eyebrow { "fissure chaos of " code { (run.header.config.app.command) } " · run " (run.header.run) }
            div { span.badge.(class) { (sign) " exit status " (exit_status(chaos)) } }
            h1 { (prose(&headline(chaos))) }
            p { "Held all the time: " (number(chaos.users_per_s)) " users per second." }
            ul { @for line in radii(chaos) { li { (line) } } }
        }
        @for arrangement in chaos.arrangements() {
            section {
                h2 { "What breaks what: " (arrangement) }
                (matrix(run, chaos, arrangement))
            }
        }
        @if !foreseen(chaos).is_empty() {
            section { h2 { "Expected and seen" } ul { @for line in foreseen(chaos) { li { (prose(&line)) } } } }
        }
        @if !writes(chaos).is_empty() {
            section { h2 { "Writes read back" } ul { @for line in writes(chaos) { li { (prose(&line)) } } } }
        }
        @if !doubts(chaos).is_empty() {
            section { h2 { "Doubts" } ul { @for line in doubts(chaos) { li { (line) } } } }
        }
        section { h2 { "Not tested" } ul { @for line in NOT_TESTED { li { (line) } } } }
    };
    page(&run.header, &headline(chaos), body)
}

fn matrix(run: &Run, chaos: &Chaos, arrangement: &str) -> Markup {
    let routes = run.routes();
    table(
        "What breaks what",
        html! {
            thead { tr {
                th scope="col" { "Fault" }
                th scope="col" { "Spoils" }
                @for route in &routes { th scope="col" { code { (route) } } }
            } }
            tbody { @for trial in chaos.trials.iter().filter(|t| t.arrangement == arrangement) {
                tr { th scope="row" { (name(trial)) } (row(trial, routes.len())) }
            } }
        },
    )
}

fn row(trial: &Trial, routes: usize) -> Markup {
    match &trial.outcome {
        Outcome::NotTried { why } => html! { td { "-" } td colspan=(routes) { "not tried: " (why) } },
        Outcome::Void { why } => html! { td { "-" } td colspan=(routes) { "void: " (why) } },
        Outcome::Measured { cells, blast_radius, .. } => html! {
            td { (percent(blast_radius.mid)) }
            @for cell in cells {
                td { span.(colour(cell.class)) { (word(cell.class)) }
                    @if cell.class > Class::Unaffected { br; span.soft { (figures(cell)) } } }
            }
        },
    }
}

fn colour(class: Class) -> &'static str {
    match class {
        Class::Unaffected | Class::WithinSlo => "good",
        Class::TooFew | Class::Slow | Class::NotReached | Class::FailsFast => "open",
        Class::Hangs
        | Class::WrongAnswer
        | Class::NeverHealed
        | Class::DuplicatedWrite
        | Class::LostWrite => "bad",
    }
}
