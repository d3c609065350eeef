//! Goroutines in the memory of a process: where their list is, what each says of itself, and the calls on its stack.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::code::{Call, Code};
use super::layout::{self, Layout};
use crate::lens::memory::{Memory, half_word_in, search, word_in};

/// So many goroutines are looked at.
const MOST: u64 = 1 << 17;
/// How much of a stack is read, and how deep: what waits is at the inner end, and servers nest.
const STACK_BYTES: u64 = 64 * 1024;
const DEPTH: usize = 256;
/// More no list has room for.
const MOST_ROOM: u64 = 1 << 24;
/// Of a list, so many are held against what a goroutine is.
const PROBED: u64 = 8;

/// Where a goroutine is at a look. Equal at two looks: it has not moved in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stay {
    pub address: u64,
    pub id: u64,
    /// Who started it; 0 where that is not known.
    pub parent: u64,
    pub status: Status,
    /// Its thread, as Go describes it; 0 where it has none.
    pub thread: u64,
    stack_end: u64,
    sp: u64,
    pc: u64,
    turns: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It could run, and waits for its turn.
    Runnable,
    InSystemCall,
    Waiting,
}

/// A call, and where its frame is on the stack.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Inside of the call.
    pub at: u64,
    pub call: Arc<Call>,
    pub words: Range<u64>,
}

/// A stack as it was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Stack {
    /// Innermost first.
    pub frames: Vec<Frame>,
    start: u64,
    bytes: Vec<u8>,
    /// Its outermost function is the one below every goroutine.
    pub is_whole: bool,
}

impl Stack {
    /// What stands in a frame.
    pub fn words(&self, frame: &Frame) -> impl Iterator<Item = u64> {
        let words = frame.words.clone().step_by(8);
        words.map_while(move |at| word_in(&self.bytes, at.checked_sub(self.start)?))
    }

    /// What a method was called on. Go passes it in a register, and a method that calls others keeps it where the first argument
    /// would stand: above the return address on x86-64, above the place for the saved one elsewhere.
    pub fn receiver_of(&self, method: &str) -> Option<u64> {
        let at = self.frame_of(method)?.words.end.checked_add(8)?;
        word_in(&self.bytes, at.checked_sub(self.start)?)
    }

    /// The frame of a function, which may have been inlined into it.
    pub fn frame_of(&self, function: &str) -> Option<&Frame> {
        self.frames.iter().find(|frame| frame.call.lines.iter().any(|line| line.function == function))
    }
}

/// The calls at the addresses that were met.
pub(super) type Known = HashMap<u64, Option<Arc<Call>>>;

/// Beside a status, while the garbage collector looks at the goroutine.
const LOOKED_AT: u32 = 0x1000;
/// The function below every goroutine's own.
const OUTERMOST: &str = "runtime.goexit";

/// The address of the list, among the variables of a program: a slice whose elements each are a goroutine, which knows its own
/// address. Nothing else holds one; the symbol's name is missing from stripped programs.
pub(super) fn list(memory: &impl Memory, variables: Range<u64>) -> Option<u64> {
    search(memory, variables, |at, first| {
        (first != 0 && first.is_multiple_of(8)).then_some(())?;
        let (count, room) = (memory.word(at, 8)?, memory.word(at, 16)?);
        let is_slice = (1..=room).contains(&count) && room <= MOST_ROOM;
        (is_slice && (0..count.min(PROBED)).all(|number| is_goroutine(memory, first, number))).then_some(at)
    })
}

fn is_goroutine(memory: &impl Memory, list: u64, number: u64) -> bool {
    memory.word(list, 8 * number).is_some_and(|address| knows_itself(memory, address))
}

/// What stands there says, as every goroutine does, that it stands there.
pub(super) fn knows_itself(memory: &impl Memory, address: u64) -> bool {
    address != 0 && address.is_multiple_of(8) && memory.word(address, layout::SELF as u64) == Some(address)
}

/// All goroutines that are there, and were.
pub(super) fn addresses(memory: &impl Memory, list: u64) -> Option<Vec<u64>> {
    let (first, count) = (memory.word(list, 0)?, memory.word(list, 8)?);
    let bytes = memory.bytes(first, count.min(MOST).checked_mul(8)?)?;
    Some(bytes.chunks_exact(8).filter_map(|word| word_in(word, 0)).filter(|address| *address != 0).collect())
}

impl Stay {
    /// None for one that runs or has ended, and for what is no goroutine.
    pub fn read(memory: &impl Memory, layout: &Layout, address: u64) -> Option<Self> {
        let mut bytes = [0; layout::GOROUTINE_BYTES];
        memory.read(address, &mut bytes)?;
        let word = |offset: usize| word_in(&bytes, offset as u64);
        (word(layout::SELF)? == address).then_some(())?;
        let status = match half_word_in(&bytes, layout.status as u64)? & !LOOKED_AT {
            1 | 9 => Status::Runnable,
            3 => Status::InSystemCall,
            4 => Status::Waiting,
            _ => return None,
        };
        let (sp, pc) = match status {
            Status::InSystemCall => (layout.syscall_sp, layout.syscall_sp + 8),
            _ => (layout::SP, layout::PC),
        };
        Some(Self {
            address,
            id: word(layout.id)?,
            parent: layout.parent.and_then(word).unwrap_or(0),
            status,
            thread: word(layout::THREAD)?,
            stack_end: word(layout::STACK_END)?,
            sp: word(sp)?,
            pc: word(pc)?,
            turns: *bytes.get(layout.turns)?,
        })
    }

    /// The calls, as long as the program's table knows them.
    pub fn stack(&self, memory: &impl Memory, code: &Code, known: &mut Known) -> Stack {
        let size = self.stack_end.saturating_sub(self.sp).min(STACK_BYTES);
        let Some(bytes) = memory.bytes(self.sp, size) else { return Stack::default() };
        let mut stack = Stack { start: self.sp, bytes, ..Stack::default() };
        let (mut sp, mut pc) = (self.sp, self.pc);
        while stack.frames.len() < DEPTH {
            // A return address is where its call ends.
            let at = pc.wrapping_sub(1);
            let call = known.entry(at).or_insert_with(|| code.call(memory, at).map(Arc::new));
            let Some(call) = call.clone() else { break };
            if call.lines.last().is_some_and(|line| line.function == OUTERMOST) {
                stack.is_whole = true;
                break;
            }
            let Some(end) = sp.checked_add(call.frame) else { break };
            // On x86-64 a call leaves its return address above the frame, elsewhere the callee saves it below its own.
            let (back, next) =
                if cfg!(target_arch = "x86_64") { (end, end.wrapping_add(8)) } else { (sp, end) };
            stack.frames.push(Frame { at, call, words: sp..end });
            let back = back.checked_sub(self.sp).and_then(|offset| word_in(&stack.bytes, offset));
            let Some(back) = back.filter(|_| next > sp) else { break };
            (sp, pc) = (next, back);
        }
        stack
    }

    /// The kernel's number of its thread.
    pub fn task(&self, memory: &impl Memory, layout: &Layout) -> Option<u32> {
        (self.thread != 0).then_some(())?;
        u32::try_from(memory.word(self.thread, layout.thread)?).ok()
    }

    /// The lock before which it stands, as Go counts them: a word that belongs to one lock. The function that waits knows the
    /// entry in the queue, which begins with who waits.
    pub fn lock(&self, memory: &impl Memory, stack: &Stack) -> Option<u64> {
        let frame = stack.frame_of("runtime.semacquire1")?;
        let is_entry = |entry: &u64| memory.word(*entry, 0) == Some(self.address);
        memory.word(stack.words(frame).find(is_entry)?, layout::AWAITED)
    }

    /// The file for which it waits in Go's poller: the function that waits knows the place in the poller's entry where it is
    /// noted down itself.
    pub fn polled(&self, memory: &impl Memory, layout: &Layout, stack: &Stack) -> Option<u64> {
        let frame = stack.frame_of("runtime.netpollblock")?;
        let note = stack.words(frame).find(|&at| memory.word(at, 0) == Some(self.address))?;
        let writes = stack.frame_of("internal/poll.(*pollDesc).waitWrite").is_some()
            || stack.frame_of("internal/poll.(*FD).WaitWrite").is_some();
        let entry = note.checked_sub(layout.reader + if writes { 8 } else { 0 })?;
        memory.word(entry, layout::POLLED_FILE)
    }
}
