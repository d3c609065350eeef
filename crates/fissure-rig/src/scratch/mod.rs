//! The scratch copy: the app's folder, copied, so that the user's data is never written.
//!
//! What is large and only read (dependencies, build output) is linked instead of copied. Layout:
//! `<scratch root>/<pid>-<start>-<n>/{lock, <name of the app's folder>/}`; fissure holds the lock as long as it lives,
//! so that [`sweep`] knows what a killed one left behind.
//!
//! **Invariant:** nothing outside the scratch root is ever written or deleted, whatever links the app's folder holds.

mod open_files;
mod plan;
mod postgres;
mod rewrite;
mod sweep;

use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub use open_files::files_open_for_writing_outside;
pub use postgres::ScratchDatabase;
pub use rewrite::{dotenv, rewrite};
pub use sweep::sweep;

use crate::process::Stat;
use plan::{Kind, Plan};

/// What a copy may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// A larger folder is refused: it holds something that does not belong to the app.
    pub bytes_max: u64,
    /// Share of the disk that must stay free.
    pub keep_free: f64,
    /// Free bytes of the disk, when they are not to be asked of the system.
    pub free_bytes: Option<u64>,
    /// False copies dependency and build folders too: for an app that writes into them.
    pub link_dependencies: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes_max: 5 << 30, keep_free: 0.05, free_bytes: None, link_dependencies: true }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error(
        "{folder} holds {} without its dependency folders; {} is the most that fissure copies. Move what is not the app's out of it ({largest} is the largest file), or run with --in-place, on data that may be changed.",
        size(*bytes), size(*bytes_max)
    )]
    TooLarge { folder: PathBuf, bytes: u64, bytes_max: u64, largest: PathBuf },
    #[error(
        "A scratch copy of {folder} needs {}, but the disk of {into} has {} free, of which {} must stay: free some space, or run with --in-place, on data that may be changed.",
        size(*bytes), size(*free_bytes), size(*keep_bytes)
    )]
    DiskFull { folder: PathBuf, into: PathBuf, bytes: u64, free_bytes: u64, keep_bytes: u64 },
    #[error("The app's folder {folder} cannot be read: {source}.")]
    Unreadable { folder: PathBuf, source: io::Error },
    #[error(
        "The scratch copy {path} cannot be written: {source}. Is the folder read-only, or the disk full?"
    )]
    Unwritable { path: PathBuf, source: io::Error },
}

/// A copy of an app's folder. Deletes itself when dropped.
#[derive(Debug)]
pub struct Scratch {
    outer: PathBuf,
    folder: PathBuf,
    files: u64,
    bytes: u64,
    linked: Vec<PathBuf>,
    skipped: Vec<PathBuf>,
    outside: Vec<PathBuf>,
    /// Held as long as the copy lives.
    _lock: File,
}

impl Scratch {
    /// Copies `app_folder` into a new folder below the scratch root `into`.
    pub fn copy(app_folder: &Path, into: &Path) -> Result<Self, ScratchError> {
        Self::copy_within(app_folder, into, Room::default())
    }

    /// The same with other limits.
    pub fn copy_within(app_folder: &Path, into: &Path, room: Room) -> Result<Self, ScratchError> {
        let unreadable = |source| ScratchError::Unreadable { folder: app_folder.to_owned(), source };
        let from = app_folder.canonicalize().map_err(unreadable)?;
        fs::create_dir_all(into).map_err(unwritable(into))?;
        let into = into.canonicalize().map_err(unwritable(into))?;
        let plan = Plan::of(&from, &into, room.link_dependencies).map_err(unreadable)?;
        check_room(&from, &into, &plan, room)?;

        let outer = into.join(new_name());
        fs::create_dir(&outer).map_err(unwritable(&outer))?;
        let lock_path = outer.join(sweep::LOCK);
        let lock = File::create(&lock_path).map_err(unwritable(&lock_path))?;
        let _ = lock.try_lock(); // a file system without locks: `sweep` leaves such a copy alone
        let folder = outer.join(from.file_name().unwrap_or("app".as_ref()));
        let mut scratch = Self {
            outer,
            folder,
            files: 0,
            bytes: 0,
            linked: Vec::new(),
            skipped: plan.skipped.clone(),
            outside: plan.outside.clone(),
            _lock: lock,
        };
        scratch.fill(&from, &plan).map_err(|(path, source)| ScratchError::Unwritable { path, source })?;
        Ok(scratch)
    }

    /// The copy of the app's folder; its last part is named as the original.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    pub fn files(&self) -> u64 {
        self.files
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Dependency and build folders, relative to the app's, whose entries are links to the originals.
    pub fn linked(&self) -> &[PathBuf] {
        &self.linked
    }

    /// What could not be copied, relative to the app's folder: sockets, pipes, devices, unreadable files.
    pub fn skipped(&self) -> &[PathBuf] {
        &self.skipped
    }

    /// Links that lead out of the app's folder: what the app writes through them is written to the original.
    pub fn outside(&self) -> &[PathBuf] {
        &self.outside
    }

    fn fill(&mut self, from: &Path, plan: &Plan) -> Result<(), (PathBuf, io::Error)> {
        fs::create_dir(&self.folder).map_err(|e| (self.folder.clone(), e))?;
        for entry in &plan.entries {
            let source = from.join(&entry.path);
            let target = self.folder.join(&entry.path);
            let done = match &entry.kind {
                Kind::Folder => fs::create_dir(&target),
                Kind::Dependencies => {
                    self.linked.push(entry.path.clone());
                    fs::create_dir(&target)
                }
                Kind::File { bytes } => match copy_file(&source, &target) {
                    Ok(()) => {
                        self.files += 1;
                        self.bytes += bytes;
                        Ok(())
                    }
                    // Gone since the plan was made, or not ours to read: the copy goes without it.
                    Err(error) if !source.exists() || error.kind() == io::ErrorKind::PermissionDenied => {
                        self.skipped.push(entry.path.clone());
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Kind::Link { to } => symlink(to, &target),
                // An absolute link into the original must lead into the copy, or writes would go through it.
                Kind::LinkInside { to } => symlink(self.folder.join(to), &target),
            };
            done.map_err(|error| (target, error))?;
        }
        // Last and inside out, since a read-only folder could not have been filled, and filling changes its time.
        for entry in plan.entries.iter().rev().filter(|entry| matches!(entry.kind, Kind::Folder)) {
            keep_mode_and_time(&from.join(&entry.path), &self.folder.join(&entry.path));
        }
        keep_mode_and_time(from, &self.folder);
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = sweep::delete(&self.outer); // what remains is swept at the next start
    }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> ScratchError {
    let path = path.to_owned();
    move |source| ScratchError::Unwritable { path, source }
}

fn check_room(from: &Path, into: &Path, plan: &Plan, room: Room) -> Result<(), ScratchError> {
    let bytes = plan.bytes();
    if bytes > room.bytes_max {
        return Err(ScratchError::TooLarge {
            folder: from.to_owned(),
            bytes,
            bytes_max: room.bytes_max,
            largest: plan.largest(),
        });
    }
    // A disk that does not tell is written until it says no.
    let Ok(disk) = rustix::fs::statvfs(into) else { return Ok(()) };
    let free_bytes = room.free_bytes.unwrap_or(disk.f_bavail.saturating_mul(disk.f_frsize));
    let keep_bytes = (disk.f_blocks.saturating_mul(disk.f_frsize) as f64 * room.keep_free) as u64;
    if bytes.saturating_add(keep_bytes) > free_bytes {
        return Err(ScratchError::DiskFull {
            folder: from.to_owned(),
            into: into.to_owned(),
            bytes,
            free_bytes,
            keep_bytes,
        });
    }
    Ok(())
}

/// Tells who made it, for a person who looks, and differs from every other.
fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let start = Stat::read(pid).map_or(0, |stat| stat.start_ticks);
    format!("{pid}-{start}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    reflink_copy::reflink_or_copy(from, to)?;
    keep_mode_and_time(from, to);
    Ok(())
}

/// Tools compare times of files to decide what to build again. Failing here is no reason to fail.
fn keep_mode_and_time(from: &Path, to: &Path) {
    let Ok(metadata) = fs::metadata(from) else { return };
    if let (Ok(file), Ok(modified)) = (File::open(to), metadata.modified()) {
        let accessed = metadata.accessed().unwrap_or(modified);
        let _ = file.set_times(FileTimes::new().set_modified(modified).set_accessed(accessed));
    }
    let _ = fs::set_permissions(to, fs::Permissions::from_mode(metadata.permissions().mode() & 0o7777));
}

fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >= 1 << 30 { (1u64 << 30, "GiB") } else { (1 << 20, "MiB") };
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}
