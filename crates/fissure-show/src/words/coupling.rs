//! What a split would do to the data, in words: the ladder of splits.

use fissure_judge::isolation::coupling::{Coupling, Cut, Rung};

use super::grammar::code;

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Line by line: who writes what, what is tied, how far to go.
pub fn lines(coupling: &Coupling) -> Vec<String> {
    let Coupling { role, only_here, only_there, both, .. } = coupling;
    let mut lines = vec![format!(
        "`{role}`: tables written only here: {}; only by the others: {}; by both: {}.",
        list(only_here),
        list(only_there),
        list(both)
    )];
    lines.push(match &coupling.read_across {
        Some(tables) => format!("Read on one side and written on the other: {}.", list(tables)),
        None => "Who reads what could not be seen: unknown.".to_owned(),
    });
    lines.extend(coupling.tied.iter().map(|tie| format!("Tied across the cut: {tie}.")));
    lines.extend(coupling.cut.iter().map(|cut| {
        let Cut { route, tables, here } = cut;
        let side = if *here { "the area" } else { "the others" };
        format!(
            "{} ({side}) writes {} in one request: if that is one transaction, separate databases would break it.",
            code(route),
            list(tables)
        )
    }));
    lines.push(ladder(coupling));
    lines
}

/// How far, and what to do where it ends. Never a transaction over two databases.
fn ladder(coupling: &Coupling) -> String {
    let role = &coupling.role;
    let same = format!(
        "1. The same database for `{role}` and the others: cuts no transaction, and is what fissure tries."
    );
    let more = match coupling.rung {
        Rung::SameDatabase => {
            let shared = if coupling.both.is_empty() {
                coupling.cut.iter().flat_map(|c| c.tables.clone()).collect()
            } else {
                coupling.both.clone()
            };
            format!(
                "Go no further as it is: first move the routes that write {} to one side. Else a database of its own needs an outbox: \
                 a row in the same transaction that names the change and its key, and a reader that may see it twice.",
                list(&shared)
            )
        }
        Rung::OwnUser => format!(
            "2. A database user of its own with rights on {} would show every table that was missed. 3. A database of its own needs \
             copies of what is read or tied across, kept up to date by an outbox.",
            list(&coupling.only_here)
        ),
        Rung::OwnDatabase => format!(
            "2. A database user of its own with rights on {}. 3. A database of its own: nothing that was seen is tied across.",
            list(&coupling.only_here)
        ),
    };
    format!("{same} {more}")
}
