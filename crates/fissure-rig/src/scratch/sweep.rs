//! Deleting scratch copies: one's own, and those of runs that were killed.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Locked by the fissure that made the copy, for as long as it lives: the kernel unlocks it on any death. Other than
/// the pid in the folder's name, that is true across containers and for pids that are used again.
pub(super) const LOCK: &str = "lock";
/// A folder without a lock may be in the making.
const IN_THE_MAKING: Duration = Duration::from_secs(60);

/// Deletes every copy below the scratch root whose fissure no longer lives. Answers how many it deleted.
pub fn sweep(scratch_root: &Path) -> usize {
    let entries = fs::read_dir(scratch_root).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_name(&entry.file_name().to_string_lossy())
        })
        .filter(|entry| is_abandoned(&entry.path()) && delete(&entry.path()).is_ok())
        .count()
}

/// `<pid>-<start>-<n>`: anything else is not ours to delete.
fn is_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn is_abandoned(copy: &Path) -> bool {
    match File::open(copy.join(LOCK)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::metadata(copy)
            .and_then(|m| m.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > IN_THE_MAKING)),
        Err(_) => false,
    }
}

/// Deletes a folder without following links (as the standard library does), read-only folders in it included.
pub(super) fn delete(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(folder);
            fs::remove_dir_all(folder)
        }
        // An app that is still ending may have written a last file.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => fs::remove_dir_all(folder),
        other => other,
    }
}

/// Gives this user all rights on every folder below; links are not followed.
fn unlock(folder: &Path) {
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock(&entry.path());
        }
    }
}
