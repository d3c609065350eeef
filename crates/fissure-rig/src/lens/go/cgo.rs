//! C that a Go program calls (cgo) runs on a stack of its own. Who called it stands on the goroutine's, which Go notes down where it
//! changes from the one to the other.

use std::sync::Arc;

use super::Process;
use super::goroutine::{Status, Stay, knows_itself};
use crate::lens::memory::word_in;

/// The function that changes stacks, and the one that calls it.
const CHANGES: &str = "runtime.asmcgocall";
const CALLS: &str = "runtime.cgocall";
/// Words behind its call of C, one of which is the goroutine. (src/runtime/asm_amd64.s, asm_arm64.s: 8, or 48 bytes up to 1.20.)
const NOTED_WITHIN: usize = 8;
/// The sample is some milliseconds old. Who calls C often is soon in C again.
const TRIES: usize = 20;

/// A Go program whose calls of C can be followed back.
pub(in crate::lens) struct Callers(Process);

impl Callers {
    /// None for what is no Go program, or one of a version that nobody here knows.
    pub fn of(pid: u32) -> Option<Self> {
        Process::open(pid).ok().map(Self)
    }

    /// The calls in Go behind what runs in C, innermost first. `stack`: from the stack pointer on. None where it does not run in C.
    pub fn of_c(&mut self, stack: &[u8]) -> Option<Vec<u64>> {
        let words: Vec<u64> = stack.chunks_exact(8).filter_map(|word| word_in(word, 0)).collect();
        let change = words.iter().position(|&word| self.is_in_change(word))?;
        let noted = words.iter().skip(change + 1).take(NOTED_WITHIN);
        noted.copied().find_map(|goroutine| self.calls(goroutine))
    }

    fn is_in_change(&mut self, back: u64) -> bool {
        let Process { memory, code, known, .. } = &mut self.0;
        let at = back.wrapping_sub(1);
        code.knows(at) && {
            let call = known.entry(at).or_insert_with(|| code.call(&*memory, at).map(Arc::new));
            call.as_ref().is_some_and(|call| call.lines.iter().any(|line| line.function == CHANGES))
        }
    }

    fn calls(&mut self, goroutine: u64) -> Option<Vec<u64>> {
        let Process { memory, layout, code, known, .. } = &mut self.0;
        knows_itself(&*memory, goroutine).then_some(())?;
        (0..TRIES).find_map(|_| {
            let stay =
                Stay::read(&*memory, layout, goroutine).filter(|s| s.status == Status::InSystemCall)?;
            let stack = stay.stack(&*memory, code, known);
            let is_still_there = Stay::read(&*memory, layout, goroutine) == Some(stay);
            // Not in a system call of Go's own meanwhile.
            let is_in_c = stack.is_whole && stack.frame_of(CALLS).is_some();
            (is_still_there && is_in_c).then(|| stack.frames.iter().map(|frame| frame.at).collect())
        })
    }
}
