//! The waits: where the requests are that the CPU does not work for, for what, and who is in the way.

use fissure_judge::judgement::{Holder, Limit, Resource, Spot, Wait, Waits, WaitsFor};

use super::grammar::{and, code};
use crate::units::{brief, number, percent};

/// Places that a sentence names; the page's table has all.
const NAMED: usize = 3;
/// A smaller part of the requests is not worth a sentence.
const REST: f64 = 0.1;

/// What is waited for, for a table cell.
pub fn waits_for(what: &WaitsFor) -> String {
    match what {
        WaitsFor::Lock => "a lock".to_owned(),
        WaitsFor::Interpreter => "the interpreter's lock".to_owned(),
        WaitsFor::Wake => {
            "being woken (a condition, a queue, a channel; a worker without work waits the same way)"
                .to_owned()
        }
        WaitsFor::Peer(Some(address)) => format!("an answer of {}", code(address)),
        WaitsFor::Peer(None) => "an answer over a connection whose other end is not known".to_owned(),
        WaitsFor::File(path) if path.starts_with('/') => format!("the file {}", code(path)),
        WaitsFor::File(_) => "a pipe".to_owned(),
        WaitsFor::Child => "another process".to_owned(),
        WaitsFor::Time => "the time to pass (a sleep)".to_owned(),
        WaitsFor::Kernel(-1) => "the kernel, outside any system call (memory from disk)".to_owned(),
        WaitsFor::Kernel(number) => format!("the kernel (system call {number})"),
    }
}

/// `app.c:12`; of an installed package, wherever it was installed.
pub(super) fn line_of(file: &str, line: u32) -> String {
    let packages = ["/site-packages/", "/dist-packages/", "/node_modules/"];
    let behind = packages.iter().find_map(|folder| Some(file.rsplit_once(folder)?.1));
    format!("{}:{line}", behind.unwrap_or(file))
}

/// `charge` (`app.c:12`), or that no line is known.
pub fn spot(at: Option<&Spot>) -> String {
    at.map_or("a place that no instrument could name".to_owned(), |spot| {
        format!("{} ({})", code(&spot.function), code(line_of(&spot.file, spot.line)))
    })
}

/// Who holds the lock, for a table cell.
pub fn holder(wait: &Wait) -> Option<String> {
    let Holder { taken, at, what } = wait.holder.as_ref()?;
    let inside = (taken != at).then(|| format!(", which calls {}", spot(Some(at))));
    let meanwhile = what.as_ref().map(|what| format!(", waiting for {}", waits_for(what)));
    Some(format!("{}{}{}", spot(Some(taken)), inside.unwrap_or_default(), meanwhile.unwrap_or_default()))
}

/// Share of the requests under way with its interval, for a table cell.
pub fn wait_share(wait: &Wait) -> String {
    brief(wait.share.scaled(100.0), "%")
}

/// Where the requests wait, a sentence each.
pub(super) fn who_waits(waits: &Waits) -> Vec<String> {
    let named: Vec<String> = waits
        .places
        .iter()
        .take(NAMED)
        .map(|wait| {
            let where_ = wait.at.as_ref().map_or(String::new(), |at| format!("in {} ", spot(Some(at))));
            format!("{} {where_}for {}", wait_share(wait), waits_for(&wait.what))
        })
        .collect();
    let mut lines = Vec::new();
    let under_way = number(waits.under_way);
    if !named.is_empty() {
        lines.push(format!("Who waits, of the {under_way} requests under way flat out: {}.", and(&named)));
    }
    let mut held: Vec<(String, Vec<String>)> = Vec::new();
    for wait in &waits.places {
        let Some(holder) = holder(wait) else { continue };
        let waits_in = spot(wait.at.as_ref());
        match held.iter_mut().find(|(known, _)| *known == holder) {
            Some((_, places)) => places.push(waits_in),
            None => held.push((holder, vec![waits_in])),
        }
    }
    let told = |(holder, places): (String, Vec<String>)| {
        format!("The lock that is waited for in {} is held in {holder}.", and(&places))
    };
    lines.extend(held.into_iter().map(told));
    let seen: f64 =
        waits.places.iter().map(|wait| wait.share.mid).sum::<f64>() + waits.running / waits.under_way;
    let rest = 1.0 - seen;
    if rest >= REST {
        let where_ = if waits.event_loop {
            "inside an event loop or before the app took them: for what is not known, because no thread of their own shows it"
        } else {
            "before a thread of the app took them"
        };
        lines.push(format!("The other {} wait {where_}.", percent(rest)));
    }
    let busiest = waits.peers.iter().filter(|peer| peer.awaited >= REST).take(NAMED);
    lines.extend(busiest.map(|peer| {
        format!(
            "On its {} connections to {} it waits for {} answers at once.",
            number(peer.connections),
            code(&peer.address),
            number(peer.awaited)
        )
    }));
    lines
}

/// What helps against what gives way, in one sentence; nothing for the CPU, which remedies and lines are for.
pub(super) fn cure(limit: &Limit) -> Option<&'static str> {
    match limit.resource {
        Resource::OneThread if limit.is_waited_for => Some(
            "Wait without blocking (await it, or hand it to a thread): while the event loop stands still nobody is served.",
        ),
        Resource::Lock => Some("Hold the lock for less: move what is slow out of it, or lock less at once."),
        Resource::Pool => Some(
            "Let more in at once (more connections or workers), or let each take less time, and check again.",
        ),
        Resource::Database => Some(cure_of_link(true)),
        Resource::Downstream => Some(cure_of_link(false)),
        Resource::Disk => {
            Some("Write less often (in batches, without waiting for each), or not within the request.")
        }
        Resource::Cpu | Resource::OneThread | Resource::Memory | Resource::NotTheApp => None,
    }
}

pub(super) fn cure_of_link(is_database: bool) -> &'static str {
    if is_database {
        "No arrangement of the app makes the database faster: look at its slow statements and missing indexes, or ask it less often."
    } else {
        "No arrangement of the app makes the other service faster: ask it less often, keep its answers, or do not wait for it within the request."
    }
}
