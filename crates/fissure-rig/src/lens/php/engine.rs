//! PHP's engine in another process: found, checked, and asked for the calls that are under way.

use std::path::Path;

use super::layout::Layout;
use crate::lens::memory::{Mapping, Memory, half_word_in, search_variables, word_in};

/// In the variables of the engine (`executor_globals`), the same in all versions: a value that is null, one that is an error, a
/// small store, and behind it two words that point to its end and into it.
const NULL: (u64, u32) = (8, 1);
const ERROR: (u64, u32) = (24, 15);
const STORE: u64 = 32;
const STORE_END: u64 = 288;
const POINTS_INTO: u64 = 296;

/// In a call: the instruction that it is at, its function, and who called it.
const AT: u64 = 0;
const FUNCTION: u64 = 24;
const CALLER: u64 = 48;
const CALL_BYTES: u64 = 56;
/// What is read of a stack: the inner end.
const CALLS_MAX: usize = 512;

#[derive(Debug, Clone, Copy)]
pub(super) struct Engine {
    pub address: u64,
    pub layout: &'static Layout,
}

/// A call on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub function: u64,
    /// The instruction that it is at; without a meaning where the function is written in C.
    pub at: u64,
}

impl Engine {
    /// Its variables are found by what they must hold, because a build without symbols has no name for them: they do once the
    /// first request or script has begun.
    pub fn find(
        memory: &impl Memory,
        mappings: &[Mapping],
        file: &Path,
        layout: &'static Layout,
    ) -> Option<Self> {
        search_variables(memory, mappings, file, |at, word| {
            // The end of the store is the place of the word that points to it.
            (word == at).then_some(())?;
            let engine = Self { address: at.checked_sub(STORE_END)?, layout };
            engine.is_there(memory).then_some(engine)
        })
    }

    fn is_there(&self, memory: &impl Memory) -> bool {
        let holds = || {
            let bytes = memory.bytes(self.address, POINTS_INTO + 8)?;
            let is = |(offset, kind): (u64, u32)| half_word_in(&bytes, offset) == Some(kind);
            let store = self.address.checked_add(STORE)?..=self.address.checked_add(STORE_END)?;
            Some(is(NULL) && is(ERROR) && store.contains(&word_in(&bytes, POINTS_INTO)?))
        };
        holds().unwrap_or(false)
    }

    /// The address of the innermost call; 0 between two requests.
    pub fn current(&self, memory: &impl Memory) -> Option<u64> {
        memory.word(self.address, self.layout.current)
    }

    /// The call with those that led to it, innermost first. None when one of them was gone before it was read.
    pub fn calls(&self, memory: &impl Memory, innermost: u64) -> Option<Vec<Call>> {
        let mut calls = Vec::new();
        let mut next = innermost;
        for _ in 0..CALLS_MAX {
            if next == 0 {
                break;
            }
            let call = memory.bytes(next, CALL_BYTES)?;
            let function = word_in(&call, FUNCTION)?;
            // A generator hangs in between without a function of its own.
            if function != 0 {
                calls.push(Call { function, at: word_in(&call, AT)? });
            }
            next = word_in(&call, CALLER)?;
        }
        Some(calls)
    }
}
