//! From registers and stack bytes to the addresses of the calls: by the program's unwind tables, else by frame pointers.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use framehop::{CacheNative, MayAllocateDuringUnwind, ModuleSectionInfo, Unwinder as _, UnwinderNative};
use object::read::{ReadCache, ReadRef};
use object::{Object as _, ObjectSection as _, ObjectSegment as _, SegmentFlags};

use crate::process::read_into;

/// Frames beyond this depth are cut off: what runs is at the inner end.
const DEPTH: usize = 128;

/// The registers that a walk begins with. `fp` is 0 where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registers {
    pub pc: u64,
    pub sp: u64,
    pub fp: u64,
    /// The link register, where the processor has one.
    pub lr: u64,
}

/// Where an address lies, whatever address the module was loaded at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub module: Arc<Path>,
    /// As the module's own tables count it.
    pub address: u64,
}

/// What every process of the app may map: programs and libraries, each read once.
#[derive(Default)]
pub(super) struct Library {
    images: HashMap<PathBuf, Option<Arc<Image>>>,
}

/// The parts of a program file that a walk needs.
struct Image {
    path: Arc<Path>,
    /// File range and first address of each segment with code. Others may begin on the same page of the file.
    segments: Vec<(Range<u64>, u64)>,
    sections: HashMap<&'static str, Section>,
}

struct Section {
    range: Range<u64>,
    /// Only where a walk needs it.
    content: Option<Arc<[u8]>>,
}

/// The address space of one process, as far as code goes.
pub(super) struct AddressSpace {
    pid: u32,
    /// Sorted by start; with the bias between addresses in memory and in the module's tables.
    modules: Vec<(Range<u64>, u64, Arc<Path>)>,
    unwinder: UnwinderNative<Arc<[u8]>, MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
}

impl Library {
    fn image(&mut self, path: &Path) -> Option<Arc<Image>> {
        if let Some(known) = self.images.get(path) {
            return known.clone();
        }
        let image = Image::read(path).map(Arc::new);
        self.images.insert(path.to_path_buf(), image.clone());
        image
    }
}

impl Image {
    fn read(path: &Path) -> Option<Self> {
        // Reads only the parts that are asked for: a program may be hundreds of megabytes.
        let cache = ReadCache::new(File::open(path).ok()?);
        Self::parse(path, &cache)
    }

    fn parse<'data, R: ReadRef<'data>>(path: &Path, data: R) -> Option<Self> {
        let file = object::File::parse(data).ok()?;
        let segments = file.segments().filter(|segment| has_code(segment.flags())).map(|segment| {
            let (offset, size) = segment.file_range();
            (offset..offset + size, segment.address())
        });
        // Of Go's own code only `.debug_frame` tells how to unwind it, and `.eh_frame` would be preferred to it. Frame pointers do not do:
        // what copies a struct (`runtime.duffcopy`) is called with one that leads nowhere.
        let is_go = file.section_by_name(".go.buildinfo").is_some();
        let tables: &[&str] = if is_go { &[".debug_frame"] } else { &[".eh_frame", ".eh_frame_hdr"] };
        let read = tables.iter().map(|&name| (name, true));
        let mut sections = HashMap::new();
        for (name, is_read) in read.chain([(".text", false), (".got", false)]) {
            if let Some(section) = file.section_by_name(name) {
                let range = section.address()..section.address() + section.size();
                let content = is_read.then(|| section.uncompressed_data().ok()).flatten().map(Arc::from);
                sections.insert(name, Section { range, content });
            }
        }
        Some(Self { path: path.into(), segments: segments.collect(), sections })
    }

    fn section(&self, name: &[u8]) -> Option<&Section> {
        self.sections.get(std::str::from_utf8(name).ok()?)
    }

    /// What has to be added to an address of the file's tables when the part at `offset` is mapped at `start`.
    fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        let page = rustix::param::page_size() as u64;
        let (range, address) = self
            .segments
            .iter()
            .find(|(range, _)| range.start / page * page <= offset && offset < range.end)?;
        Some(start.wrapping_sub(address.wrapping_add(offset).wrapping_sub(range.start)))
    }
}

fn has_code(flags: SegmentFlags) -> bool {
    matches!(flags, SegmentFlags::Elf { p_flags, .. } if p_flags.contains(object::elf::PF_X))
}

impl ModuleSectionInfo<Arc<[u8]>> for &Image {
    fn base_svma(&self) -> u64 {
        0
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        self.section(name).map(|section| section.range.clone())
    }

    fn section_data(&mut self, name: &[u8]) -> Option<Arc<[u8]>> {
        self.section(name)?.content.clone()
    }
}

impl AddressSpace {
    /// The process as it is mapped now; None when it is gone or may not be looked at.
    pub fn of(pid: u32, library: &mut Library) -> Option<Self> {
        let mut space =
            Self { pid, modules: Vec::new(), unwinder: UnwinderNative::new(), cache: CacheNative::new() };
        space.refresh(library)?;
        Some(space)
    }

    /// Adds what was loaded since the last look.
    pub fn refresh(&mut self, library: &mut Library) -> Option<()> {
        let mut text = String::new();
        read_into(&format!("/proc/{}/maps", self.pid), &mut text)?;
        for (range, offset, path) in text.lines().filter_map(mapped_code) {
            if self.modules.iter().any(|(known, ..)| known.start == range.start) {
                continue;
            }
            let Some(image) = library.image(Path::new(path)) else { continue };
            let Some(bias) = image.bias(range.start, offset) else { continue };
            self.unwinder.add_module(framehop::Module::new(path.to_owned(), range.clone(), bias, &*image));
            self.modules.push((range, bias, Arc::clone(&image.path)));
        }
        self.modules.sort_by_key(|(range, ..)| range.start);
        Some(())
    }

    /// Is there code of a known module?
    pub fn knows(&self, address: u64) -> bool {
        self.module(address).is_some()
    }

    pub fn place(&self, address: u64) -> Option<Place> {
        let (_, bias, path) = self.module(address)?;
        Some(Place { module: Arc::clone(path), address: address.wrapping_sub(*bias) })
    }

    fn module(&self, address: u64) -> Option<&(Range<u64>, u64, Arc<Path>)> {
        let after = self.modules.partition_point(|(range, ..)| range.start <= address);
        self.modules[..after].last().filter(|(range, ..)| range.contains(&address))
    }

    /// The addresses of the calls on the stack, innermost first. `read` answers with eight bytes of the stack.
    ///
    /// A return address is where its call *ends*, so one is subtracted to stay inside the call's own line.
    pub fn walk(&mut self, registers: Registers, mut read: impl FnMut(u64) -> Option<u64>) -> Vec<u64> {
        let mut addresses = Vec::new();
        let mut read_stack = |address| read(address).ok_or(());
        let mut frames =
            self.unwinder.iter_frames(registers.pc, native(registers), &mut self.cache, &mut read_stack);
        while let Ok(Some(frame)) = frames.next() {
            addresses.push(frame.address_for_lookup());
            if addresses.len() == DEPTH {
                break;
            }
        }
        addresses
    }
}

#[cfg(target_arch = "x86_64")]
fn native(registers: Registers) -> framehop::UnwindRegsNative {
    framehop::UnwindRegsNative::new(registers.pc, registers.sp, registers.fp)
}

#[cfg(target_arch = "aarch64")]
fn native(registers: Registers) -> framehop::UnwindRegsNative {
    framehop::UnwindRegsNative::new(registers.lr, registers.sp, registers.fp)
}

/// `55d0c0a00000-55d0c0a21000 r-xp 00002000 08:01 1234   /usr/bin/name` (proc_pid_maps(5)), if it is code of a file.
fn mapped_code(line: &str) -> Option<(Range<u64>, u64, &str)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let mut fields = rest.splitn(4, ' ');
    let (rights, offset, _device) = (fields.next()?, fields.next()?, fields.next()?);
    let path = fields.next()?.trim_start().split_once(' ')?.1.trim_start();
    let hex = |text| u64::from_str_radix(text, 16).ok();
    (rights.contains('x') && path.starts_with('/')).then_some(())?;
    Some((hex(start)?..hex(end)?, hex(offset)?, path.strip_suffix(" (deleted)").unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_read_off_the_maps() {
        let line =
            "55d0c0a00000-55d0c0a21000 r-xp 00002000 08:01 1234                  /a b/server (deleted)";
        assert_eq!(mapped_code(line), Some((0x55d0_c0a0_0000..0x55d0_c0a2_1000, 0x2000, "/a b/server")));
        for other in [
            "55d0c0a00000-55d0c0a21000 rw-p 00002000 08:01 1234 /usr/bin/x",
            "7ffc0000-7ffc1000 r-xp 00000000 00:00 0                  [vdso]",
            "7ffc0000-7ffc1000 r-xp 00000000 00:00 0 ",
            "",
            "x-y r-xp z 00:00 0 /a",
        ] {
            assert_eq!(mapped_code(other), None, "{other}");
        }
    }

    #[test]
    fn a_place_in_this_program_is_found_again() {
        let mut library = Library::default();
        let space = AddressSpace::of(std::process::id(), &mut library).unwrap();
        let here = mapped_code as *const () as u64;
        assert!(space.knows(here) && !space.knows(1));
        let place = space.place(here).unwrap();
        assert_eq!(&*place.module, std::env::current_exe().unwrap().canonicalize().unwrap());
    }
}
