//! What the database files of a scratch copy hold, as fingerprints that say equal or not, and nothing else.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use fissure_facts::shadow::{ColumnSeen, TableLink, TableSeen, TablesUsed};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::Veil;

/// What every SQLite file begins with (sqlite.org/fileformat.html, 1.3.1).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Deeper folders hold dependencies.
const DEPTH_MAX: usize = 5;
const FILES_MAX: usize = 20;
/// Of a table with more rows only the rows are counted.
const ROWS_MAX: u64 = 5_000;
const NOT_THE_APPS: [&str; 6] = ["node_modules", "target", "venv", "__pycache__", "vendor", "dist"];

/// Every table of every SQLite file below the folder. The processes that write to them must have ended: files are opened in
/// place, and what a log still holds is brought in, as the app itself would at its next start.
pub fn tables(folder: &Path, veil: &Veil) -> Vec<TableSeen> {
    let mut files = Vec::new();
    databases(folder, DEPTH_MAX, &mut files);
    files.sort();
    let mut seen = Vec::new();
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned();
        // A file that cannot be read has no tables that could differ.
        let _ = tables_of(&file, &name, veil, &mut seen);
    }
    seen
}

/// Tells which tables were written between two looks.
#[derive(Debug, Default)]
pub struct Written {
    last: Vec<TableSeen>,
    /// They change although nobody asks.
    restless: Vec<String>,
}

impl Written {
    /// Before a request: what has changed since the last look was nobody's request.
    pub fn before(&mut self, folder: &Path, veil: &Veil) {
        let now = tables(folder, veil);
        if !self.last.is_empty() {
            self.restless.extend(changed(&self.last, &now));
        }
        self.last = now;
    }

    pub fn after(&mut self, folder: &Path, veil: &Veil) -> TablesUsed {
        let now = tables(folder, veil);
        let mut wrote = changed(&self.last, &now);
        wrote.retain(|table| !self.restless.contains(table));
        self.last = now;
        TablesUsed { wrote, read: None }
    }
}

/// An update that changes nothing is not seen.
fn changed(before: &[TableSeen], now: &[TableSeen]) -> Vec<String> {
    let name = named(now);
    now.iter().filter(|table| !before.contains(table)).map(name).collect()
}

/// As it is called in a report.
fn named(all: &[TableSeen]) -> impl Fn(&TableSeen) -> String + use<> {
    let has_one_file = all.windows(2).all(|pair| pair[0].file == pair[1].file);
    move |table| if has_one_file { table.table.clone() } else { format!("{}: {}", table.file, table.table) }
}

/// Foreign keys and triggers of every SQLite file below the folder.
pub fn links(folder: &Path, veil: &Veil) -> Vec<TableLink> {
    let all = tables(folder, veil);
    let name = named(&all);
    let mut links = Vec::new();
    for table in &all {
        let of_file: Vec<&TableSeen> = all.iter().filter(|t| t.file == table.file).collect();
        let called =
            |wanted: &str| of_file.iter().find(|t| t.table.eq_ignore_ascii_case(wanted)).map(|t| name(t));
        // A file that cannot be read any more has no links that could be told.
        let _ = links_of(&folder.join(&table.file), table, &name(table), &called, &mut links);
    }
    links
}

fn links_of(
    file: &Path,
    table: &TableSeen,
    from: &str,
    called: &dyn Fn(&str) -> Option<String>,
    links: &mut Vec<TableLink>,
) -> rusqlite::Result<()> {
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut keys = database.prepare("SELECT \"table\" FROM pragma_foreign_key_list(?1)")?;
    let targets = keys.query_map([&table.table], |row| row.get::<_, String>(0))?;
    for to in targets.flatten().filter_map(|to| called(&to)) {
        links.push(TableLink { from: from.to_owned(), to, by: "the foreign key".to_owned() });
    }
    let mut triggers = database.prepare(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE",
    )?;
    let triggers =
        triggers.query_map([&table.table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for (trigger, text) in triggers.flatten() {
        // Every table that its text names, whatever for.
        let mut words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        words.sort_unstable();
        words.dedup();
        for to in words.into_iter().filter_map(called).filter(|to| to != from) {
            links.push(TableLink { from: from.to_owned(), to, by: format!("the trigger {trigger}") });
        }
    }
    Ok(())
}

fn databases(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if kind.is_dir() && depth > 0 && !name.starts_with('.') && !NOT_THE_APPS.contains(&&*name) {
            databases(&entry.path(), depth - 1, found);
        }
        // What is linked is not the copy's own.
        if kind.is_file() && found.len() < FILES_MAX && is_database(&entry.path()) {
            found.push(entry.path());
        }
    }
}

fn is_database(path: &Path) -> bool {
    let mut start = [0; 16];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == MAGIC
}

fn tables_of(file: &Path, name: &str, veil: &Veil, seen: &mut Vec<TableSeen>) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(file, flags)?;
    let mut list = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")?;
    let names: Vec<String> = list.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for table in names {
        // One that needs an extension of the app's own is passed over.
        if let Ok(table) = table_of(&database, name, &table, veil) {
            seen.push(table);
        }
    }
    Ok(())
}

fn table_of(database: &Connection, file: &str, table: &str, veil: &Veil) -> rusqlite::Result<TableSeen> {
    let quoted = table.replace('"', "\"\"");
    let rows: i64 =
        database.query_row(&format!("SELECT count(*) FROM \"{quoted}\""), [], |row| row.get(0))?;
    let mut columns = Vec::new();
    let rows = u64::try_from(rows).unwrap_or(0);
    if rows <= ROWS_MAX {
        let mut select = database.prepare(&format!("SELECT * FROM \"{quoted}\""))?;
        let names: Vec<String> = select.column_names().map(str::to_owned).collect();
        let mut values: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        let mut cursor = select.query([])?;
        while let Some(row) = cursor.next()? {
            for (i, column) in values.iter_mut().enumerate() {
                column.push(veil.fingerprint_of(&spelled(row.get_ref(i)?)));
            }
        }
        columns = names.into_iter().zip(values).map(|(name, values)| column(name, values, veil)).collect();
    }
    Ok(TableSeen { file: file.to_owned(), table: table.to_owned(), rows, columns })
}

/// A column from the fingerprints of its values.
pub(super) fn column(name: String, mut values: Vec<String>, veil: &Veil) -> ColumnSeen {
    values.sort();
    let fingerprint = veil.fingerprint_of(values.concat().as_bytes());
    values.dedup();
    ColumnSeen { name, fingerprint, distinct: values.len() as u64 }
}

/// With its kind in front: `1` and `'1'` differ.
fn spelled(value: ValueRef<'_>) -> Vec<u8> {
    let (kind, bytes) = match value {
        ValueRef::Null => (0, Vec::new()),
        ValueRef::Integer(n) => (1, n.to_le_bytes().to_vec()),
        ValueRef::Real(x) => (2, x.to_le_bytes().to_vec()),
        ValueRef::Text(text) => (3, text.to_vec()),
        ValueRef::Blob(bytes) => (4, bytes.to_vec()),
    };
    std::iter::once(kind).chain(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(statements: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let database = Connection::open(folder.path().join("app.db")).unwrap();
        database.execute_batch(statements).unwrap();
        folder
    }

    #[test]
    fn the_order_of_rows_means_nothing_and_their_values_everything() {
        let veil = Veil::default();
        let seen = |statements: &str| tables(folder(statements).path(), &veil);
        let one =
            seen("CREATE TABLE \"a \"\"b\" (x, y); INSERT INTO \"a \"\"b\" VALUES (1, 'p'), (2, NULL);");
        let two =
            seen("CREATE TABLE \"a \"\"b\" (x, y); INSERT INTO \"a \"\"b\" VALUES (2, NULL), (1, 'p');");
        let other =
            seen("CREATE TABLE \"a \"\"b\" (x, y); INSERT INTO \"a \"\"b\" VALUES (2, NULL), ('1', 'p');");
        assert_eq!(one, two);
        assert_eq!((one[0].rows, &*one[0].file, &*one[0].table), (2, "app.db", "a \"b"));
        assert_ne!(one[0].columns[0], other[0].columns[0]);
        assert_eq!(one[0].columns[1], other[0].columns[1]);
    }

    #[test]
    fn what_a_request_wrote_is_told_apart_from_what_nobody_asked_for() {
        let folder = folder("CREATE TABLE a (x); CREATE TABLE b (x); CREATE TABLE log (x);");
        let write = |statements: &str| {
            Connection::open(folder.path().join("app.db")).unwrap().execute_batch(statements).unwrap();
        };
        let (veil, mut written) = (Veil::default(), Written::default());
        written.before(folder.path(), &veil);
        assert_eq!(written.after(folder.path(), &veil).wrote, [""; 0]);
        write("INSERT INTO log VALUES (1)");
        written.before(folder.path(), &veil);
        write("INSERT INTO log VALUES (2); INSERT INTO b VALUES (1)");
        assert_eq!(
            written.after(folder.path(), &veil),
            TablesUsed { wrote: vec!["b".to_owned()], read: None }
        );
    }

    #[test]
    fn foreign_keys_and_triggers_are_links() {
        let folder = folder(
            "CREATE TABLE users (id INTEGER PRIMARY KEY); CREATE TABLE audit (t);
             CREATE TABLE orders (id, owner REFERENCES Users (id));
             CREATE TRIGGER told AFTER INSERT ON orders BEGIN INSERT INTO audit VALUES (NEW.id); END;",
        );
        let link = |to: &str, by: &str| TableLink {
            from: "orders".to_owned(),
            to: to.to_owned(),
            by: by.to_owned(),
        };
        let found = links(folder.path(), &Veil::default());
        assert_eq!(found, [link("users", "the foreign key"), link("audit", "the trigger told")]);
    }

    #[test]
    fn what_only_looks_like_a_database_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db"), MAGIC).unwrap();
        std::fs::write(folder.path().join("b.db"), [&MAGIC[..], &[0xff; 4096]].concat()).unwrap();
        std::fs::write(folder.path().join("c.db"), b"text").unwrap();
        assert_eq!(tables(folder.path(), &Veil::default()), []);
    }
}
