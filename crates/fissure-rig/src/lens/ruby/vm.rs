//! Ruby's virtual machine in another process: found, checked, and asked which threads it has and whose turn it is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use super::layout::{InThread, Layout, Number};
use crate::lens::memory::{Mapping, Memory, file_of, mapping_of, read_as_seen, search_variables, word_in};

/// A list that is longer changed while it was read.
const THREADS_MAX: usize = 4096;
const RACTORS_MAX: usize = 256;
/// More is no stack of Ruby's: it has a megabyte by default.
const STACK_BYTES_MAX: u64 = 1 << 30;
/// What is read of a stack: the inner end.
const FRAMES_MAX: u64 = 1024;

#[derive(Debug, Clone, Copy)]
pub(super) struct Vm {
    pub address: u64,
    pub layout: &'static Layout,
}

/// Threads of which one at a time runs Ruby's code.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Addresses of threads; 0 when nobody has the turn.
    pub holder: u64,
    pub threads: Vec<u64>,
    /// Addresses inside of the threads that ask for the turn.
    waiting: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thread {
    pub address: u64,
    pub status: Status,
    /// The mutex that it waits for.
    pub mutex: Option<u64>,
    pub fiber: u64,
    frames: u64,
    stack_end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Runnable,
    Stopped,
    /// No time was said after which it goes on.
    StoppedForever,
    Ended,
}

/// A call on a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Ruby { sequence: u64, next: u64 },
    C { environment: u64 },
}

/// The file that holds Ruby, and the version that it says it has.
pub(super) fn version(pid: u32, mappings: &[Mapping]) -> Option<(PathBuf, String)> {
    let file = file_of(pid, mappings, "libruby")?;
    let bytes = read_as_seen(pid, &file)?;
    let image = object::File::parse(&*bytes).ok()?;
    let mut symbols = image.dynamic_symbols().chain(image.symbols());
    let symbol = symbols.find(|symbol| symbol.name() == Ok("ruby_version"))?;
    let section = image.section_by_index(symbol.section_index()?).ok()?;
    let text = section.data_range(symbol.address(), symbol.size()).ok()??;
    let version = text.split(|byte| *byte == 0).next().unwrap_or_default();
    Some((file, String::from_utf8_lossy(version).into_owned()))
}

impl Vm {
    /// The variable that leads to it is exported by some builds only; but nothing else among the variables points to
    /// something that points to a thread that points back, whose context knows the thread too.
    pub fn find(
        memory: &impl Memory,
        mappings: &[Mapping],
        file: &Path,
        layout: &'static Layout,
    ) -> Option<Self> {
        let mut seen = HashSet::new();
        search_variables(memory, mappings, file, |_, address| {
            let is_new = address.is_multiple_of(8)
                && mapping_of(mappings, address).is_some_and(|mapping| mapping.is_writable)
                && seen.insert(address);
            let vm = Self { address, layout };
            (is_new && vm.is_there(memory)).then_some(vm)
        })
    }

    fn is_there(&self, memory: &impl Memory) -> bool {
        let Layout { vm, thread, thread_of_context, .. } = self.layout;
        let points_back = || {
            let main = memory.word(self.address, vm.main_thread)?;
            (memory.word(main, thread.vm)? == self.address).then_some(())?;
            let context = memory.word(main, thread.context)?;
            Some(memory.word(context, *thread_of_context)? == main)
        };
        points_back().unwrap_or(false)
    }

    /// One for each ractor. None when the lists changed while they were read.
    pub fn turns(&self, memory: &impl Memory) -> Option<Vec<Turns>> {
        let Some((list, node)) = self.layout.vm.ractors else {
            return Some(vec![Turns::read(memory, self.address, self.layout)?]);
        };
        let ractors = nodes(memory, self.address.checked_add(list)?, RACTORS_MAX)?;
        ractors.into_iter().map(|at| Turns::read(memory, at.checked_sub(node)?, self.layout)).collect()
    }

    pub fn thread(&self, memory: &impl Memory, address: u64) -> Option<Thread> {
        let Layout { thread, fiber, thread_of_context, .. } = self.layout;
        let bytes = memory.bytes(address, thread.bytes)?;
        let context = word_in(&bytes, thread.context)?;
        let own = memory.bytes(context, thread_of_context + 8)?;
        (word_in(&own, *thread_of_context)? == address).then_some(())?;
        let stack_bytes = word_in(&own, 8)?.checked_mul(8).filter(|bytes| *bytes <= STACK_BYTES_MAX)?;
        let status = match bytes.get(usize::try_from(thread.status).ok()?)? & 0b11 {
            0 => Status::Runnable,
            1 => Status::Stopped,
            2 => Status::StoppedForever,
            _ => Status::Ended,
        };
        Some(Thread {
            address,
            status,
            mutex: word_in(&bytes, thread.mutex).filter(|mutex| *mutex != 0),
            fiber: word_in(&own, *fiber)?,
            frames: word_in(&own, 16)?,
            stack_end: word_in(&own, 0)?.checked_add(stack_bytes)?,
        })
    }

    /// Innermost first. None when the stack changed while it was read.
    pub fn calls(&self, memory: &impl Memory, thread: &Thread) -> Option<Vec<Call>> {
        let frame = self.layout.frame_bytes;
        let count = thread.stack_end.checked_sub(thread.frames)? / frame;
        let bytes = memory.bytes(thread.frames, count.min(FRAMES_MAX) * frame)?;
        let calls = bytes.chunks_exact(usize::try_from(frame).ok()?).filter_map(|frame| {
            let (next, sequence) = (word_in(frame, 0)?, word_in(frame, 16)?);
            Some(match (sequence, next) {
                (0, _) => Call::C { environment: word_in(frame, 32)? },
                // A block that is written in C.
                (_, 0) => return None,
                _ => Call::Ruby { sequence, next },
            })
        });
        Some(calls.collect())
    }

    /// The kernel's number of a thread; of old versions only where the C library keeps its structure.
    pub fn number(&self, memory: &impl Memory, thread: u64) -> Option<Result<u32, u64>> {
        let InThread { number, .. } = self.layout.thread;
        Some(match number {
            Number::InLibrary(offset) => Err(memory.word(thread, offset)?),
            Number::Here(offset) => Ok(memory.half_word(thread, offset)?),
            Number::InNative(native, offset) => Ok(memory.half_word(memory.word(thread, native)?, offset)?),
        })
    }
}

impl Turns {
    fn read(memory: &impl Memory, address: u64, layout: &Layout) -> Option<Self> {
        let turns = &layout.turns;
        let threads = nodes(memory, address.checked_add(turns.threads)?, THREADS_MAX)?;
        let count = memory.half_word(address, turns.count)?;
        (usize::try_from(count).ok()? == threads.len()).then_some(())?;
        Some(Self {
            holder: memory.word(address, turns.holder)?,
            waiting: nodes(memory, address.checked_add(turns.waiting)?, THREADS_MAX)?,
            threads,
        })
    }

    /// Whether the thread asks for the turn.
    pub fn awaited_by(&self, thread: u64, layout: &Layout) -> bool {
        let InThread { turn, bytes, .. } = layout.thread;
        let within = thread.saturating_add(turn)..thread.saturating_add(bytes);
        self.waiting.iter().any(|node| within.contains(node))
    }
}

/// The thread that holds a mutex, of these: its structure names the thread, its fiber, or both.
pub(super) fn owner<'t>(memory: &impl Memory, mutex: u64, threads: &'t [Thread]) -> Option<&'t Thread> {
    /// The structure of some objects lies inside of them.
    const INSIDE: u64 = 2;
    let object = memory.bytes(mutex, 40)?;
    let is_inside = word_in(&object, 24)? & !1 == INSIDE;
    let structure = if is_inside { mutex.checked_add(32)? } else { word_in(&object, 32)? };
    let names = memory.bytes(structure, 16)?;
    let names = [word_in(&names, 0)?, word_in(&names, 8)?];
    threads.iter().find(|thread| names.contains(&thread.address) || names.contains(&thread.fiber))
}

/// The addresses in a ring of nodes whose first word leads to the next. None when it does not close.
fn nodes(memory: &impl Memory, list: u64, most: usize) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    let mut at = memory.word(list, 0)?;
    while at != list {
        (found.len() < most).then_some(())?;
        found.push(at);
        at = memory.word(at, 0)?;
    }
    Some(found)
}
