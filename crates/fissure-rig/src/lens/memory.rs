//! The memory of another process, read without stopping it: whatever stands there may have changed since it was pointed to.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Longer texts are cut off: names and paths are shorter.
const TEXT_BYTES_MAX: u64 = 4096;
/// The variables of a program are fewer.
const VARIABLES_BYTES_MAX: u64 = 64 << 20;
const PAGE_BYTES: usize = 64 << 10;

pub(super) trait Memory {
    /// Fills the buffer with what stands at this address; None where not all of it can be read.
    fn read(&self, at: u64, into: &mut [u8]) -> Option<()>;

    fn word(&self, at: u64, offset: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(at.checked_add(offset)?, &mut bytes)?;
        Some(u64::from_ne_bytes(bytes))
    }

    fn half_word(&self, at: u64, offset: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.read(at.checked_add(offset)?, &mut bytes)?;
        Some(u32::from_ne_bytes(bytes))
    }

    fn bytes(&self, at: u64, count: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(count).ok()?];
        self.read(at, &mut bytes)?;
        Some(bytes)
    }

    fn text(&self, at: u64, bytes: u64) -> Option<String> {
        let bytes = self.bytes(at, bytes.min(TEXT_BYTES_MAX))?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Memory for File {
    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        self.read_exact_at(into, at).ok()
    }
}

/// The word at a byte of a copy.
pub(super) fn word_in(bytes: &[u8], offset: u64) -> Option<u64> {
    let start = usize::try_from(offset).ok()?;
    Some(u64::from_ne_bytes(bytes.get(start..start.checked_add(8)?)?.try_into().ok()?))
}

pub(super) fn half_word_in(bytes: &[u8], offset: u64) -> Option<u32> {
    let start = usize::try_from(offset).ok()?;
    Some(u32::from_ne_bytes(bytes.get(start..start.checked_add(4)?)?.try_into().ok()?))
}

/// A part of the address space (`/proc/PID/maps`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub start: u64,
    pub end: u64,
    pub is_writable: bool,
    /// Empty where no file is mapped.
    pub file: PathBuf,
}

/// In ascending order.
pub(super) fn mappings(pid: u32) -> Vec<Mapping> {
    fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default().lines().filter_map(mapping).collect()
}

/// `7f20-7f30 rw-p 00000000 fe:00 131 /usr/lib/libruby.so`
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let is_writable = fields.next()?.starts_with("rw");
    let file = fields.nth(3).unwrap_or_default().trim_start();
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping { start: hex(start)?, end: hex(end)?, is_writable, file: PathBuf::from(file) })
}

pub(super) fn mapping_of(mappings: &[Mapping], at: u64) -> Option<&Mapping> {
    let behind = mappings.partition_point(|mapping| mapping.end <= at);
    mappings.get(behind).filter(|mapping| mapping.start <= at)
}

/// The file that holds an interpreter: the library whose name begins so, else the program itself.
pub(super) fn file_of(pid: u32, mappings: &[Mapping], library: &str) -> Option<PathBuf> {
    let is_library =
        |file: &Path| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(library));
    let found = mappings.iter().map(|mapping| &mapping.file).find(|file| is_library(file));
    found.cloned().or_else(|| fs::read_link(format!("/proc/{pid}/exe")).ok())
}

/// A file as the process sees it, which may live in another root. One that was replaced by an update lives on as what the process
/// was started from.
pub(super) fn read_as_seen(pid: u32, file: &Path) -> Option<Vec<u8>> {
    let seen = PathBuf::from(format!("/proc/{pid}/root")).join(file.strip_prefix("/").unwrap_or(file));
    fs::read(seen).or_else(|_| fs::read(format!("/proc/{pid}/exe"))).ok()
}

/// Asks `found` about each word in a part of the memory, with its address, until it gives something. What cannot be read is
/// left out, and what lies behind the first so many bytes.
pub(super) fn search<T>(
    memory: &impl Memory,
    Range { start, end }: Range<u64>,
    mut found: impl FnMut(u64, u64) -> Option<T>,
) -> Option<T> {
    let end = end.min(start.saturating_add(VARIABLES_BYTES_MAX));
    let mut page = vec![0; PAGE_BYTES];
    for at in (start..end).step_by(PAGE_BYTES) {
        let count = PAGE_BYTES.min(usize::try_from(end - at).unwrap_or(PAGE_BYTES));
        let Some(page) = page.get_mut(..count) else { continue };
        if memory.read(at, page).is_none() {
            continue;
        }
        let words = page.chunks_exact(8).filter_map(|word| Some(u64::from_ne_bytes(word.try_into().ok()?)));
        let mut words = words.enumerate();
        if let Some(thing) = words.find_map(|(i, word)| found(at + 8 * i as u64, word)) {
            return Some(thing);
        }
    }
    None
}

/// The same among the variables of a file.
pub(super) fn search_variables<T>(
    memory: &impl Memory,
    mappings: &[Mapping],
    file: &Path,
    mut found: impl FnMut(u64, u64) -> Option<T>,
) -> Option<T> {
    variables(mappings, file).into_iter().find_map(|part| search(memory, part, &mut found))
}

/// Where the variables of a file are: its writable parts, and what follows them without a name of its own.
fn variables(mappings: &[Mapping], file: &Path) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    let mut end = 0;
    let mut bytes = 0u64;
    for mapping in mappings {
        let follows = mapping.start == end && mapping.file.as_os_str().is_empty();
        if mapping.file == file || follows {
            end = mapping.end;
            if mapping.is_writable {
                bytes = bytes.saturating_add(mapping.end.saturating_sub(mapping.start));
                if bytes > VARIABLES_BYTES_MAX {
                    break;
                }
                found.push(mapping.start..mapping.end);
            }
        }
    }
    found
}

/// Foreign memory is whatever it is; for the tests of those who read it.
#[cfg(test)]
pub(super) mod planted {
    use super::Memory;

    pub(in crate::lens) const START: u64 = 0x10_0000;

    /// A few words, the first one at `START`, and nothing else.
    #[derive(Debug)]
    pub(in crate::lens) struct Words(pub Vec<u64>);

    impl Memory for Words {
        fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
            let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let start = usize::try_from(at.checked_sub(START)?).ok()?;
            into.copy_from_slice(bytes.get(start..start.checked_add(into.len())?)?);
            Some(())
        }
    }

    /// Every address can be read, and every word leads on to another one.
    pub(in crate::lens) struct Endless(pub u64);

    impl Memory for Endless {
        fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
            for (i, byte) in into.iter_mut().enumerate() {
                let word = (at.wrapping_add(i as u64) / 8).wrapping_mul(self.0);
                *byte = word.to_ne_bytes()[i % 8];
            }
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mapping_is_read_with_the_spaces_in_its_files_name() {
        let found = mapping("7f20-7f30 rw-p 00000000 fe:00 131                  /a b/libruby.so").unwrap();
        assert_eq!(found.file, PathBuf::from("/a b/libruby.so"));
        assert!(found.is_writable && (found.start, found.end) == (0x7f20, 0x7f30));
        assert_eq!(mapping("10-20 r--p 0 0:0 0").unwrap().file, PathBuf::new());
        assert_eq!(mapping_of(std::slice::from_ref(&found), 0x7f2f), Some(&found));
        assert_eq!(mapping_of(std::slice::from_ref(&found), 0x7f30), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "[0-9a-f \\-rwp/]{0,60}|\\PC{0,60}") {
            let _ = mapping(&line);
        }
    }
}
