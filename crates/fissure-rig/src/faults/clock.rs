//! A clock that runs ahead, for programs that ask the C library for the time: libfaketime, preloaded when the app is started,
//! reads the shift from a file.
//!
//! It cannot reach who asks the kernel itself: Go, and programs that are linked statically.

use std::io;
use std::path::{Path, PathBuf};

use object::{Object, ReadCache};

use super::process::tree;
use super::{Held, NotInjected};

/// Where distributions put it; the one for programs with threads.
const NAMES: [&str; 2] = ["libfaketimeMT.so.1", "libfaketime.so.1"];
const FOLDERS: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib"];

/// The library, where it is installed.
pub fn library() -> Option<PathBuf> {
    let inside = |folder: PathBuf| NAMES.iter().map(move |name| folder.join(name));
    let of = |root: &str| -> Vec<PathBuf> {
        let root = Path::new(root);
        let triplets = std::fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path());
        let triplets = triplets.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
        std::iter::once(root.to_owned()).chain(triplets).map(|folder| folder.join("faketime")).collect()
    };
    FOLDERS.iter().flat_map(|root| of(root)).flat_map(inside).find(|path| path.is_file())
}

/// What the app is started with; `preloaded` is what it would preload otherwise.
pub fn environment(
    library: &Path,
    shift: &Path,
    preloaded: Option<&str>,
) -> io::Result<Vec<(String, String)>> {
    std::fs::write(shift, NO_SHIFT)?;
    let library = library.display().to_string();
    let preload = preloaded
        .filter(|other| !other.is_empty())
        .map_or(library.clone(), |other| format!("{library} {other}"));
    let on = |name: &str| (name.to_owned(), "1".to_owned());
    Ok(vec![
        ("LD_PRELOAD".to_owned(), preload),
        ("FAKETIME_TIMESTAMP_FILE".to_owned(), shift.display().to_string()),
        on("FAKETIME_NO_CACHE"),
        // Timers and timeouts run on: only the date changes.
        on("FAKETIME_DONT_FAKE_MONOTONIC"),
        on("DONT_FAKE_MONOTONIC"),
    ])
}

const NO_SHIFT: &str = "+0\n";

/// Ends with the old time.
struct Shifted {
    file: PathBuf,
}

pub(super) fn shift(guard: u32, file: &Path, ahead_s: u32) -> Result<Box<dyn Held>, NotInjected> {
    let processes = tree(guard)?;
    let is_deaf = |pid: u32| {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        !maps.contains("libfaketime") || is_go(pid)
    };
    // A shell that only waits may be what it likes; whoever listens must hear.
    if processes.iter().all(|process| is_deaf(process.pid)) {
        return Err(NotInjected::OwnClock);
    }
    let held = Shifted { file: file.to_owned() };
    std::fs::write(file, format!("+{ahead_s}\n")).map_err(|error| NotInjected::Limit(error.to_string()))?;
    Ok(Box::new(held))
}

impl Held for Shifted {}

impl Drop for Shifted {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.file, NO_SHIFT); // when the folder is gone, so is the app
    }
}

/// Go's programs read the clock from the kernel's own page.
fn is_go(pid: u32) -> bool {
    let Ok(file) = std::fs::File::open(format!("/proc/{pid}/exe")) else { return false };
    let cache = ReadCache::new(file);
    object::File::parse(&cache).is_ok_and(|file| file.section_by_name(".go.buildinfo").is_some())
}
