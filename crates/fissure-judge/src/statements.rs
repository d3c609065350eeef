//! What the app's database works at, as its sessions were seen while the app was flat out.

use fissure_facts::statements::{self, Statement, Statements};
use fissure_facts::{Fact, Purpose, Run, Window};

use crate::judgement::{DatabaseWork, DearStatement, FullReads};
use crate::stats;

/// Below this mean number of statements at work nobody waits for the database for long.
const AT_WORK: f64 = 1.0;
/// A table with fewer rows is read from end to end by any planner, and rightly.
const ROWS_LEAST: u64 = 1_000;
/// A table that is read from end to end less often than once in so many seconds is no pattern.
const SECONDS_MOST: f64 = 2.0;
/// Mean number of transactions that rest, from which on they are worth a word.
const AT_REST: f64 = 1.0;

/// Of each database at which something was seen to be at work, or to rest inside a transaction.
pub fn databases(run: &Run) -> Vec<DatabaseWork> {
    let is_base = |w: &Window| w.plan.purpose == Purpose::Profile && w.plan.emphasis.is_none();
    let Some(window) = run.windows().into_iter().find(is_base) else { return Vec::new() };
    seen_in(run, &window).filter_map(|seen| work(seen, f64::from(window.plan.seconds))).collect()
}

/// By link, the mean number of sessions that kept a transaction open and did nothing in it, in a window.
pub fn resting(run: &Run, window: &Window) -> Vec<(String, f64)> {
    let of = |seen: &Statements| {
        let resting: u64 = seen.statements.iter().map(|s| s.idle_in_transaction).sum();
        (seen.link.clone(), resting as f64 / seen.looks.max(1) as f64)
    };
    seen_in(run, window).map(of).collect()
}

fn seen_in<'r>(run: &'r Run, window: &Window) -> impl Iterator<Item = &'r Statements> {
    let number = window.plan.window;
    run.facts.iter().filter_map(move |s| match &s.fact {
        Fact::StatementsSeen(seen) if seen.window == number => Some(seen),
        _ => None,
    })
}

fn work(seen: &Statements, seconds: f64) -> Option<DatabaseWork> {
    let a_look = |count: u64| count as f64 / seen.looks as f64;
    let active: u64 = seen.statements.iter().map(|s| s.active).sum();
    let resting: u64 = seen.statements.iter().map(|s| s.idle_in_transaction).sum();
    if seen.looks == 0 || (a_look(active) < AT_WORK && a_look(resting) < AT_REST) {
        return None;
    }
    let dearest = seen.statements.iter().max_by_key(|s| s.active).filter(|_| a_look(active) >= AT_WORK);
    let dear = |statement: &Statement| {
        Some(DearStatement {
            text: statement.text.clone(),
            share: stats::wilson(statement.active, active)?,
            locked_share: stats::wilson(statement.waits.get("Lock").copied().unwrap_or(0), statement.active)?,
            reads: reads(seen, &statement.text, seconds),
        })
    };
    let rests = seen.statements.iter().max_by_key(|s| s.idle_in_transaction);
    Some(DatabaseWork {
        link: seen.link.clone(),
        at_work: a_look(active),
        dear: dearest.and_then(dear),
        resting: a_look(resting),
        rests_behind: rests.filter(|_| a_look(resting) >= AT_REST).map(|s| s.text.clone()),
    })
}

/// Of the tables that the statement names, the one of which most is read from end to end.
fn reads(seen: &Statements, statement: &str, seconds: f64) -> Option<FullReads> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = statement.split(|c| !is_word(c)).collect();
    let is_named = |r: &&statements::FullReads| words.iter().any(|word| word.eq_ignore_ascii_case(&r.table));
    let large = seen.reads.iter().filter(|r| r.rows >= ROWS_LEAST);
    let most = large.filter(is_named).max_by_key(|r| r.rows_read)?;
    let times_per_s = most.rows_read as f64 / most.rows as f64 / seconds;
    (times_per_s * SECONDS_MOST >= 1.0).then(|| FullReads {
        table: most.table.clone(),
        rows: most.rows,
        times_per_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str, active: u64, locked: u64, idle_in_transaction: u64) -> Statement {
        let waits = [("Lock".to_owned(), locked)].into_iter().filter(|(_, n)| *n > 0).collect();
        Statement { text: text.to_owned(), active, waits, idle_in_transaction }
    }

    fn seen(statements: Vec<Statement>, rows: u64, rows_read: u64) -> Statements {
        let reads = vec![statements::FullReads { table: "records".to_owned(), rows, rows_read }];
        Statements { window: 1, link: "db".to_owned(), looks: 100, statements, reads }
    }

    #[test]
    fn the_dearest_statement_is_named_with_the_table_that_it_reads_from_end_to_end() {
        let search = statement("SELECT * FROM records WHERE label = ?", 700, 0, 0);
        let other = statement("SELECT * FROM users WHERE id = ?", 50, 0, 0);
        let work = work(&seen(vec![search, other], 200_000, 12_000_000), 6.0).unwrap();
        let dear = work.dear.unwrap();
        assert!((work.at_work - 7.5).abs() < 1e-9 && dear.share.contains(700.0 / 750.0), "{dear:?}");
        let reads = dear.reads.unwrap();
        assert!((reads.times_per_s - 10.0).abs() < 1e-9 && reads.table == "records", "{reads:?}");
    }

    /// Two statements each read a table of their own, and the dearest of them not the larger one: its missing index was not told.
    #[test]
    fn a_larger_table_that_another_statement_reads_hides_nothing() {
        let mut seen =
            seen(vec![statement("SELECT * FROM records WHERE owner = ?", 700, 0, 0)], 200_000, 12_000_000);
        seen.reads.push(statements::FullReads {
            table: "details".to_owned(),
            rows: 300_000,
            rows_read: 20_000_000,
        });
        assert_eq!(work(&seen, 6.0).unwrap().dear.unwrap().reads.unwrap().table, "records");
    }

    #[test]
    fn a_small_table_or_another_one_is_no_reason() {
        let of = |text: &str, rows, read| {
            work(&seen(vec![statement(text, 700, 0, 0)], rows, read), 6.0).unwrap().dear.unwrap().reads
        };
        assert_eq!(of("SELECT * FROM records", 50, 10_000_000), None);
        assert_eq!(of("SELECT * FROM records_of_all", 200_000, 10_000_000), None);
        assert_eq!(of("SELECT * FROM records", 200_000, 100_000), None);
    }

    #[test]
    fn locks_and_resting_transactions_are_told_and_an_idle_database_is_not() {
        let locked = work(&seen(vec![statement("UPDATE a SET b = ?", 400, 380, 0)], 1, 0), 6.0).unwrap();
        assert!(locked.dear.unwrap().locked_share.mid > 0.9 && locked.rests_behind.is_none());
        let resting = work(&seen(vec![statement("SELECT ?", 10, 0, 190)], 1, 0), 6.0).unwrap();
        assert!(resting.dear.is_none() && resting.rests_behind.is_some(), "{resting:?}");
        assert_eq!(work(&seen(vec![statement("SELECT ?", 10, 0, 0)], 1, 0), 6.0), None);
        assert_eq!(work(&Statements::default(), 6.0), None);
    }
}
