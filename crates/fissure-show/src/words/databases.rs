//! What the app's database works at: the statement, and what is wrong with it.

use fissure_judge::judgement::{DatabaseWork, Questions};

use super::grammar::code;
use crate::units::{brief, number};

/// Share of a statement's time from which on the lock that it waits for is what it is about.
const MOSTLY: f64 = 0.5;

/// A sentence or two for each pattern, with its usual cure.
pub(super) fn works_at(work: &DatabaseWork) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(dear) = &work.dear {
        let mut line = format!(
            "{} is at work on {} statements at once; {} of them are {}.",
            code(&work.link),
            number(work.at_work),
            brief(dear.share.scaled(100.0), "%"),
            code(&dear.text)
        );
        if waits_for_locks(work) {
            line.push_str(&format!(
                " {} of that it waits for a lock that another transaction holds: keep transactions that write the same rows short.",
                brief(dear.locked_share.scaled(100.0), "%")
            ));
        } else if let Some(reads) = &dear.reads {
            line.push_str(&format!(
                " Its table {} (about {} rows) was read from end to end {} times a second: an index on what it filters or sorts by is the usual cure.",
                code(&reads.table),
                number(reads.rows as f64),
                number(reads.times_per_s)
            ));
        }
        lines.push(line);
    }
    if let Some(behind) = &work.rests_behind {
        lines.push(format!(
            "{} of the app's sessions at {} rest inside an open transaction on average, most of them behind {}: each holds its connection, and \
             its locks, while the app does something else. Do that before the transaction or after it.",
            number(work.resting),
            code(&work.link),
            code(behind)
        ));
    }
    lines
}

/// What it is at work on mostly waits for other transactions.
pub(super) fn waits_for_locks(work: &DatabaseWork) -> bool {
    work.dear.as_ref().is_some_and(|dear| dear.locked_share.low >= MOSTLY)
}

/// `GET /products` asks `db` about 121 times (one of the other routes 1).
pub(super) fn asks(questions: &Questions) -> String {
    let whom = questions.name.as_ref().map_or_else(|| code(&questions.address), code);
    let who = questions.route.as_ref().map_or("A request".to_owned(), code);
    let others = questions
        .by_others
        .map(|count| format!(" (one of the other routes {})", number(count.max(0.1))))
        .unwrap_or_default();
    format!("{who} asks {whom} about {} times{others}", number(questions.per_request))
}

/// Row by row: the pattern that is called N+1. What all requests ask alike may be as many different questions.
pub(super) fn asks_often(questions: &Questions) -> String {
    let cure = if questions.is_database {
        "a join, a list of keys, the mapper's eager loading"
    } else {
        "one call for all of them"
    };
    let asks = asks(questions);
    if questions.stand_out() {
        format!("{asks}, as if for each row of a list: ask once for what belongs together ({cure}).")
    } else {
        format!("{asks}. If that is for each row of a list, ask once for what belongs together ({cure}).")
    }
}
