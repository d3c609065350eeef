//! The safety net: files that an app holds open for writing although they lie outside of its copy.

use std::fs;
use std::path::{Path, PathBuf};

/// Where writing harms nobody: devices, the kernel's own files, temporary files.
const HARMLESS: [&str; 5] = ["/dev", "/proc", "/sys", "/tmp", "/run"];

/// Regular files that one of these processes holds open for writing now, outside of the `allowed` folders.
/// A look at one instant: a file that is opened, written and closed within a request is seen only by luck, so look
/// several times under load.
pub fn files_open_for_writing_outside(pids: &[u32], allowed: &[PathBuf]) -> Vec<PathBuf> {
    // The kernel shows canonical paths.
    let allowed: Vec<PathBuf> =
        allowed.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
    let mut found: Vec<PathBuf> = pids
        .iter()
        .flat_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten())
        .filter_map(|fd| {
            let path = fs::read_link(fd.path()).ok()?;
            let harmless = HARMLESS.iter().any(|folder| path.starts_with(folder));
            // `socket:[1]`, `/memfd:x (deleted)`, `/home/me/x (deleted)`
            let a_name = path.is_absolute() && !path.to_string_lossy().ends_with(" (deleted)");
            let ours = allowed.iter().any(|folder| path.starts_with(folder));
            let regular = || fs::metadata(fd.path()).is_ok_and(|m| m.is_file());
            (a_name && !harmless && !ours && regular() && is_for_writing(&fd.path())).then_some(path)
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The access mode in the octal `flags:` of `/proc/PID/fdinfo/N` (proc_pid_fdinfo(5)).
fn is_for_writing(fd: &Path) -> bool {
    let info = fd.to_string_lossy().replace("/fd/", "/fdinfo/");
    let Ok(text) = fs::read_to_string(info) else { return false };
    text.lines()
        .find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok())
        .is_some_and(|flags| matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR))
}
