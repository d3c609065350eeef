//! What every request shares: the folder and the database.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::{ShopError, database, seed};

pub struct Shop {
    folder: PathBuf,
    database: Mutex<Connection>,
}

impl Shop {
    /// Opens the shop in `folder`; the first time, fills it with sample photos.
    pub fn open(folder: &Path) -> Result<Self, ShopError> {
        let shop_folder = folder.to_owned();
        std::fs::create_dir_all(folder.join("uploads"))?;
        // Two copies may start at the same moment; one of them fills the shop, the other waits here.
        let door = File::create(folder.join("shop.lock"))?;
        door.lock()?;
        let mut database = database::open(&folder.join("shop.db"))?;
        seed::fill_when_empty(&mut database, &shop_folder)?;
        Ok(Self { folder: shop_folder, database: Mutex::new(database) })
    }

    /// The connection. Queries are short, so they run where they are called.
    pub fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn upload_path(&self, file: &str, kind: &str) -> PathBuf {
        upload_path(&self.folder, file, kind)
    }
}

/// `kind` is `original`, `small` or `large`.
pub fn upload_path(folder: &Path, file: &str, kind: &str) -> PathBuf {
    folder.join("uploads").join(format!("{file}-{kind}.jpg"))
}

/// An unguessable name of 32 hexadecimal digits, for files, sessions and CSRF tokens.
pub fn secret_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}
