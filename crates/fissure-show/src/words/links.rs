//! Databases and other services that the app waits for.

use fissure_judge::judgement::{BlamedLink, DatabaseWork, SoloMiss};

use super::databases::waits_for_locks;
use super::grammar::code;
use super::waits::cure_of_link;
use crate::units::{brief, ms};

/// `the database "db" (127.0.0.1:5432)`.
pub(super) fn link_name(link: &BlamedLink) -> String {
    let what = if link.is_database { "the database" } else { "another service" };
    match &link.name {
        Some(name) => format!("{what} `{name}` ({})", code(&link.address)),
        None => format!("{what} at {}", code(&link.address)),
    }
}

pub(super) fn its_the_link(
    goal: &str,
    link: &BlamedLink,
    alone: Option<&SoloMiss>,
    databases: &[DatabaseWork],
) -> String {
    let work = databases.iter().find(|work| Some(&work.link) == link.name.as_ref());
    let cure = match work.filter(|work| waits_for_locks(work)) {
        Some(_) => LOCKED,
        None => cure_of_link(link.is_database),
    };
    let share = brief(link.share.scaled(100.0), "%");
    let whom = link_name(link);
    match alone {
        Some(miss) => format!(
            "The app waits for {whom}: {} takes {} even alone, only {} of it CPU, its goal is {}, and flat out {share} of the requests under way wait for that answer. {}",
            code(&miss.route),
            ms(miss.latency_ms),
            ms(miss.cpu_ms),
            ms(miss.limit_ms),
            cure
        ),
        None => format!(
            "The app waits for {whom}: {share} of the requests under way flat out wait for its answers, the CPU is not used up, and nothing that was tried with the app meets the goal of {goal}. {cure}"
        ),
    }
}

const LOCKED: &str = "Its statements do not work, they wait for locks that other transactions of the app hold: do what is slow (calls to other services, mails, files) before \
     a transaction's first write or after its end, and let fewer requests write the same row.";
