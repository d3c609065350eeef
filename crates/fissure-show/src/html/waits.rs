//! Where the requests wait.

use fissure_judge::Judgement;
use maud::{Markup, html};

use super::sections::table;
use super::{prose, words};

/// Nothing where the CPU gives way first or nobody looked.
pub fn waits(judgement: &Judgement) -> Markup {
    let Some(waits) = judgement.waits.as_ref().filter(|waits| !waits.places.is_empty()) else {
        return html! {};
    };
    html! {
        section {
            h2 { "What waits" }
            p.soft { "Share of the requests under way flat out, by the innermost line in the app's own files. Seen on a copy of the app in a window of its own; 95 % intervals." }
            (table("Lines that wait", html! {
                thead { tr { th scope="col" { "Where" } th scope="col" { "For what" } th scope="col" { "Share of requests" } th scope="col" { "Held in" } } }
                tbody { @for wait in &waits.places {
                    tr {
                        th.wrap scope="row" { (prose(&words::spot(wait.at.as_ref()))) }
                        td.wrap { (prose(&words::waits_for(&wait.what))) }
                        td { (words::wait_share(wait)) }
                        td.wrap { @match words::holder(wait) { Some(holder) => (prose(&holder)), None => (words::NOTHING) } }
                    }
                } }
            }))
        }
    }
}
