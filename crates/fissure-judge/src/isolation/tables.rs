//! What the databases hold after the same journeys, against what they held on one copy: rows lost, rows too many, other values.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::shadow::TableSeen;

/// Where the number of rows varies by chance, it must be off by this much to mean anything.
const CLEARLY: f64 = 1.5;

/// A table that is not what it was on one copy, in every run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub file: String,
    pub table: String,
    /// None: the number of rows differs.
    pub column: Option<String>,
    /// Rows, or different values of the column.
    pub expected: u64,
    pub got: u64,
}

impl Change {
    /// Where there is no table.
    pub(super) fn nothing() -> Self {
        Self { file: String::new(), table: String::new(), column: None, expected: 0, got: 0 }
    }

    pub fn spoken(&self) -> String {
        match &self.column {
            Some(column) => format!("the column {column} of the table {} ({})", self.table, self.file),
            None => format!("the table {} ({})", self.table, self.file),
        }
    }

    /// Expected and got, as a person would say it.
    pub(super) fn counts(&self) -> (String, String) {
        if self.column.is_some() && self.expected == self.got {
            return ("the same values each time".to_owned(), "other values".to_owned());
        }
        (self.count(self.expected), self.count(self.got))
    }

    fn count(&self, of: u64) -> String {
        match (&self.column, of) {
            (Some(_), 1) => "1 value".to_owned(),
            (Some(_), n) => format!("{n} different values"),
            (None, 1) => "1 row".to_owned(),
            (None, n) => format!("{n} rows"),
        }
    }
}

/// By file and table.
type Tables<'r> = BTreeMap<(&'r str, &'r str), &'r TableSeen>;

fn by_name(tables: &[TableSeen]) -> Tables<'_> {
    tables.iter().map(|t| ((&*t.file, &*t.table), t)).collect()
}

/// What differs in all candidates and never among the controls. Fewer than two controls teach nothing.
pub fn changes(controls: &[&[TableSeen]], candidates: &[&[TableSeen]]) -> Vec<Change> {
    let controls: Vec<Tables<'_>> = controls.iter().map(|t| by_name(t)).collect();
    let candidates: Vec<Tables<'_>> = candidates.iter().map(|t| by_name(t)).collect();
    let mut changes = Vec::new();
    if controls.len() < 2 || candidates.is_empty() {
        return changes;
    }
    for name in controls[0].keys() {
        let was: Option<Vec<&TableSeen>> = controls.iter().map(|c| c.get(name).copied()).collect();
        let Some(was) = was else { continue }; // a name that chance has made
        let is: Vec<Option<&TableSeen>> = candidates.iter().map(|c| c.get(name).copied()).collect();
        changes.extend(change(&was, &is));
    }
    changes
}

fn change(was: &[&TableSeen], is: &[Option<&TableSeen>]) -> Option<Change> {
    let rows = |table: Option<&TableSeen>| table.map_or(0, |t| t.rows);
    let say = |column: Option<&str>, expected: u64, got: u64| {
        let column = column.map(str::to_owned);
        Some(Change { file: was[0].file.clone(), table: was[0].table.clone(), column, expected, got })
    };
    let (least, most) = (was.iter().map(|t| t.rows).min()?, was.iter().map(|t| t.rows).max()?);
    let (few, many) = (is.iter().map(|t| rows(*t)).min()?, is.iter().map(|t| rows(*t)).max()?);
    let slack = if least == most { 1.0 } else { CLEARLY };
    if few as f64 > most as f64 * slack {
        return say(None, most, few);
    }
    if (many as f64) * slack < least as f64 {
        return say(None, least, many);
    }
    let is: Vec<&TableSeen> = is.iter().copied().collect::<Option<_>>()?;
    if least != most || few != many || few != least {
        return None;
    }
    was[0].columns.iter().find_map(|column| {
        let find = |table: &TableSeen| table.columns.iter().find(|c| c.name == column.name).cloned();
        let known: Vec<_> = was.iter().filter_map(|t| find(t)).collect();
        let got: Vec<_> = is.iter().filter_map(|t| find(t)).collect();
        if known.len() < was.len() || got.len() < is.len() {
            return None;
        }
        let (has_one_value, is_key) =
            (known.iter().all(|c| c == column), known.iter().all(|c| c.distinct == least));
        let differs = has_one_value && got.iter().all(|c| c.fingerprint != column.fingerprint)
            // Random keys, all different on one copy.
            || !has_one_value && is_key && got.iter().all(|c| c.distinct < least);
        if differs { say(Some(&column.name), column.distinct, got[0].distinct) } else { None }
    })
}

/// Columns that were compared, and those of them that differ by chance.
pub fn noise(controls: &[&[TableSeen]]) -> (usize, usize) {
    let mut seen: BTreeMap<(&str, &str, &str), BTreeSet<&str>> = BTreeMap::new();
    for table in controls.iter().flat_map(|tables| tables.iter()) {
        for column in &table.columns {
            seen.entry((&table.file, &table.table, &column.name)).or_default().insert(&column.fingerprint);
        }
    }
    (seen.len(), seen.values().filter(|prints| prints.len() > 1).count())
}

#[cfg(test)]
mod tests {
    use fissure_facts::shadow::ColumnSeen;

    use super::*;

    fn table(rows: u64, prints: &[(&str, u64)]) -> Vec<TableSeen> {
        let column = |(i, (print, distinct)): (usize, &(&str, u64))| ColumnSeen {
            name: format!("c{i}"),
            fingerprint: (*print).to_owned(),
            distinct: *distinct,
        };
        let columns = prints.iter().enumerate().map(column).collect();
        vec![TableSeen { file: "app.db".to_owned(), table: "t".to_owned(), rows, columns }]
    }

    fn found(controls: &[Vec<TableSeen>], candidates: &[Vec<TableSeen>]) -> Vec<(Option<String>, u64, u64)> {
        let controls: Vec<&[TableSeen]> = controls.iter().map(|t| &t[..]).collect();
        let candidates: Vec<&[TableSeen]> = candidates.iter().map(|t| &t[..]).collect();
        changes(&controls, &candidates).into_iter().map(|c| (c.column, c.expected, c.got)).collect()
    }

    #[test]
    fn rows_lost_and_rows_too_many_are_seen() {
        let one = || table(2, &[("a", 2)]);
        assert_eq!(found(&[one(), one()], &[table(1, &[("b", 1)])]), [(None, 2, 1)]);
        assert_eq!(found(&[one(), one()], &[table(4, &[("b", 1)])]), [(None, 2, 4)]);
        assert_eq!(found(&[one(), one()], &[vec![]]), [(None, 2, 0)]);
    }

    #[test]
    fn what_varies_among_controls_must_be_far_off() {
        let controls = [table(10, &[]), table(11, &[])];
        assert_eq!(found(&controls, &[table(12, &[]), table(13, &[])]), []);
        assert_eq!(found(&controls, &[table(22, &[]), table(10, &[])]), []);
        assert_eq!(found(&controls, &[table(22, &[]), table(20, &[])]), [(None, 11, 20)]);
    }

    #[test]
    fn random_values_are_noise_until_keys_are_equal() {
        let controls = [table(2, &[("a", 2), ("x", 1)]), table(2, &[("b", 2), ("x", 1)])];
        assert_eq!(found(&controls, &[table(2, &[("c", 2), ("x", 1)])]), []);
        assert_eq!(found(&controls, &[table(2, &[("c", 1), ("x", 1)])]), [(Some("c0".to_owned()), 2, 1)]);
        assert_eq!(found(&controls, &[table(2, &[("c", 2), ("y", 1)])]), [(Some("c1".to_owned()), 1, 1)]);
        let controls: Vec<&[TableSeen]> = controls.iter().map(|t| &t[..]).collect();
        assert_eq!(noise(&controls), (2, 1));
    }
}
