//! The tables of the shop.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Result, Row};

/// Opens the database and makes its tables when they are not there yet.
pub fn open(path: &Path) -> Result<Connection> {
    let database = Connection::open(path)?;
    // Another copy of the shop may be writing: wait for it instead of failing.
    database.busy_timeout(Duration::from_secs(5))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.pragma_update(None, "foreign_keys", "ON")?;
    database.set_prepared_statement_cache_capacity(32);
    database.execute_batch(
        "CREATE TABLE IF NOT EXISTS users (
             id       INTEGER PRIMARY KEY,
             name     TEXT NOT NULL UNIQUE,
             password TEXT NOT NULL
         );
         CREATE TABLE IF NOT EXISTS sessions (
             id      TEXT PRIMARY KEY,
             csrf    TEXT NOT NULL,
             user_id INTEGER REFERENCES users
         ) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS photos (
             id      INTEGER PRIMARY KEY AUTOINCREMENT,
             title   TEXT NOT NULL,
             file    TEXT NOT NULL,
             user_id INTEGER NOT NULL REFERENCES users,
             cents   INTEGER NOT NULL,
             stock   INTEGER NOT NULL CHECK (stock >= 0)
         );
         CREATE TABLE IF NOT EXISTS orders (
             id       INTEGER PRIMARY KEY AUTOINCREMENT,
             user_id  INTEGER NOT NULL REFERENCES users,
             photo_id INTEGER NOT NULL REFERENCES photos,
             count    INTEGER NOT NULL,
             cents    INTEGER NOT NULL
         );
         CREATE VIRTUAL TABLE IF NOT EXISTS titles USING fts5(title);",
    )?;
    Ok(database)
}

/// A photo for sale, with the name of the person who uploaded it.
pub struct Photo {
    pub id: i64,
    pub title: String,
    pub file: String,
    pub by: String,
    pub cents: i64,
    pub stock: i64,
}

impl Photo {
    /// Begins every query that reads photos.
    pub const SELECT: &str = "SELECT photos.id, photos.title, photos.file, users.name, photos.cents, photos.stock \
                              FROM photos JOIN users ON users.id = photos.user_id";

    pub fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            title: row.get(1)?,
            file: row.get(2)?,
            by: row.get(3)?,
            cents: row.get(4)?,
            stock: row.get(5)?,
        })
    }
}

/// Adds a photo and its title to the search; the caller holds a transaction.
pub fn add_photo(database: &Connection, title: &str, file: &str, user_id: i64, stock: i64) -> Result<i64> {
    database
        .prepare_cached(
            "INSERT INTO photos (title, file, user_id, cents, stock) VALUES (?1, ?2, ?3, 1900, ?4)",
        )?
        .execute((title, file, user_id, stock))?;
    let id = database.last_insert_rowid();
    database.prepare_cached("INSERT INTO titles (rowid, title) VALUES (?1, ?2)")?.execute((id, title))?;
    Ok(id)
}
