//! The parts of a program's file that Go's linker leaves in every program, stripped or not.

use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;

use object::read::ReadCache;
use object::{Object as _, ObjectSection as _};

use crate::lens::memory::word_in;

const BUILD: &str = ".go.buildinfo";
const TABLES: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// Where the description of the code may stand, by the version and by how it was linked.
const DESCRIPTIONS: [&str; 5] = [".go.module", ".noptrdata", ".data", ".data.rel.ro", ".data.rel.ro.local"];
/// The kernel's list of what a program was started with: its first instruction (getauxval(3)).
const AT_ENTRY: u64 = 9;

pub(super) struct Program {
    /// `go1.22.1`
    pub version: String,
    /// What Go's own tracebacks read, and where it stands in memory.
    pub table: Vec<u8>,
    pub table_at: u64,
    pub descriptions: Vec<Range<u64>>,
}

/// Whether Go's linker made this program.
pub(in crate::lens) fn is_go(program: &Path) -> bool {
    let Ok(file) = File::open(program) else { return false };
    let cache = ReadCache::new(file);
    object::File::parse(&cache).is_ok_and(|file| file.section_by_name(BUILD).is_some())
}

impl Program {
    pub fn of(pid: u32) -> Option<Self> {
        let cache = ReadCache::new(File::open(format!("/proc/{pid}/exe")).ok()?);
        let file = object::File::parse(&cache).ok()?;
        let moved = entry(&fs::read(format!("/proc/{pid}/auxv")).ok()?)?.wrapping_sub(file.entry());
        let version = version(file.section_by_name(BUILD)?.data().ok()?)?;
        let table = TABLES.iter().find_map(|name| file.section_by_name(name))?;
        let range = |name: &&str| {
            let section = file.section_by_name(name)?;
            let start = section.address().wrapping_add(moved);
            Some(start..start.saturating_add(section.size()))
        };
        Some(Self {
            version,
            table_at: table.address().wrapping_add(moved),
            table: table.data().ok()?.to_vec(),
            descriptions: DESCRIPTIONS.iter().filter_map(range).collect(),
        })
    }
}

/// Pairs of words: what it is, and its value.
fn entry(started_with: &[u8]) -> Option<u64> {
    let pairs = started_with.chunks_exact(16);
    pairs.filter(|pair| word_in(pair, 0) == Some(AT_ENTRY)).find_map(|pair| word_in(pair, 8))
}

/// Since Go 1.18 the texts stand in the section itself, behind their lengths (debug/buildinfo).
fn version(build: &[u8]) -> Option<String> {
    const TEXTS_INSIDE: u8 = 2;
    (build.starts_with(b"\xff Go buildinf:") && build.get(15)? & TEXTS_INSIDE != 0).then_some(())?;
    let length = usize::from(*build.get(32)?);
    // A longer text's length takes two bytes.
    let (length, start) =
        if length < 128 { (length, 33) } else { (length - 128 + 128 * usize::from(*build.get(33)?), 34) };
    Some(String::from_utf8_lossy(build.get(start..start + length)?).into_owned())
}

/// `go1.22.1` and `devel go1.24-abcdef`: 22 and 24.
pub(super) fn minor(version: &str) -> Option<u32> {
    let (_, after) = version.split_once("go1.")?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_version_is_read_from_the_section_and_from_its_text() {
        let mut build = b"\xff Go buildinf:\x08\x02".to_vec();
        build.resize(32, 0);
        build.extend(b"\x08go1.22.1\0");
        assert_eq!(version(&build).as_deref(), Some("go1.22.1"));
        assert_eq!(version(&build[..36]), None);
        for (text, wanted) in
            [("go1.9", Some(9)), ("devel go1.24-ab X:x", Some(24)), ("go2", None), ("", None)]
        {
            assert_eq!(minor(text), wanted);
        }
    }

    proptest! {
        #[test]
        fn any_section_is_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..80), is_right in any::<bool>()) {
            if is_right && bytes.len() > 16 {
                bytes[..16].copy_from_slice(b"\xff Go buildinf:\x08\x02");
            }
            let _ = version(&bytes).as_deref().and_then(minor);
            let _ = entry(&bytes);
        }
    }
}
