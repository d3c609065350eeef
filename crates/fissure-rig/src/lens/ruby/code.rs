//! Ruby's functions: name, file, and the line of an instruction.

use std::collections::HashMap;

use super::layout::{Layout, ShortTexts};
use super::vm::Call;
use crate::lens::memory::{Memory, half_word_in, word_in};

/// The kind of an object, in the lowest bits of its first word.
const KIND: u64 = 0x1f;
const TEXT: u64 = 0x05;
const ARRAY: u64 = 0x07;
const INTERNAL: u64 = 0x1a;
/// A text that lies outside of its object; an array that lies inside of it.
const TEXT_OUTSIDE: u64 = 1 << 13;
const ARRAY_INSIDE: u64 = 1 << 13;
/// What an internal object is: four bits from here on.
const INTERNAL_KIND_SHIFT: u64 = 12;
const METHOD: u64 = 6;
const SEQUENCE: u64 = 7;
/// The kind of a method that is written in C, in the lowest bits of its definition.
const DEFINED_IN_C: u64 = 1;

/// In a sequence of instructions, and in its body.
const BODY: u64 = 16;
const COUNT: u64 = 4;
const FIRST: u64 = 8;
const PATH: u64 = 64;
const LABEL: u64 = 80;
/// No function is longer.
const INSTRUCTIONS_MAX: u32 = 1 << 24;

/// A function of the program, as it stands in its sources.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Function {
    name: String,
    file: String,
    /// Its instructions: the address of the first and how many words they are.
    first: u64,
    count: u32,
    /// The lines, how many, and the table that leads to them.
    lines: u64,
    line_count: u32,
    index: u64,
}

/// What an instruction stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub function: String,
    pub file: String,
    pub line: u32,
}

/// The functions of a process that were met so far.
#[derive(Debug)]
pub(super) struct Functions {
    layout: &'static Layout,
    known: HashMap<u64, Function>,
    places: HashMap<(u64, u64), Place>,
}

impl Functions {
    pub fn new(layout: &'static Layout) -> Self {
        Self { layout, known: HashMap::new(), places: HashMap::new() }
    }

    /// Where a frame stands that runs this sequence and will go on at `next`. None when there is no such thing: the frame
    /// changed while it was read.
    pub fn place(&mut self, memory: &impl Memory, sequence: u64, next: u64) -> Option<&Place> {
        // An address of both together is not used again while somebody looks.
        if !self.places.contains_key(&(sequence, next)) {
            let function = match self.known.get(&sequence) {
                Some(function) if function.holds(next) => function.clone(),
                _ => Function::read(memory, self.layout, sequence).filter(|function| function.holds(next))?,
            };
            let line = function.line(memory, self.layout, next)?;
            let place = Place { function: function.name.clone(), file: function.file.clone(), line };
            self.known.insert(sequence, function);
            self.places.insert((sequence, next), place);
        }
        self.places.get(&(sequence, next))
    }

    /// What is written in C has no name here, and there is nothing to check.
    pub fn is_known(&mut self, memory: &impl Memory, call: &Call) -> bool {
        match *call {
            Call::Ruby { sequence, next } => self.place(memory, sequence, next).is_some(),
            Call::C { .. } => true,
        }
    }
}

impl Function {
    fn read(memory: &impl Memory, layout: &Layout, sequence: u64) -> Option<Self> {
        is_internal(memory.word(sequence, 0)?, SEQUENCE).then_some(())?;
        let body = memory.word(sequence, BODY)?;
        let bytes = memory.bytes(body, layout.lines + 32)?;
        let count = half_word_in(&bytes, COUNT)?;
        (0 < count && count <= INSTRUCTIONS_MAX).then_some(())?;
        Some(Self {
            name: text(memory, layout, word_in(&bytes, LABEL)?)?,
            file: path(memory, layout, word_in(&bytes, PATH)?)?,
            first: word_in(&bytes, FIRST)?,
            count,
            lines: word_in(&bytes, layout.lines)?,
            line_count: half_word_in(&bytes, layout.lines + 16)?,
            index: word_in(&bytes, layout.lines + 24)?,
        })
    }

    fn holds(&self, next: u64) -> bool {
        let end = self.first.saturating_add(8 * u64::from(self.count));
        (self.first..=end).contains(&next) && (next - self.first).is_multiple_of(8)
    }

    /// A frame keeps the instruction behind the one that it is at. 0 where no line is known.
    fn line(&self, memory: &impl Memory, layout: &Layout, next: u64) -> Option<u32> {
        let at = (next.checked_sub(self.first)? / 8).saturating_sub(1);
        let entry = match self.line_count {
            0 => return Some(0),
            1 => 0,
            count => {
                rank(memory, self.index, at)?.checked_sub(1).filter(|entry| *entry < u64::from(count))?
            }
        };
        memory.half_word(self.lines, entry.checked_mul(layout.line_bytes)?)
    }
}

/// The first instructions have nine ranks of seven bits in each word; how many there are, and how many bytes they take.
const SMALL: u64 = 54;
const SMALL_BYTES: u64 = 48;
/// Behind them comes a block for each 512 instructions: a rank, the ranks of its words of bits in nine bits each, the bits.
const BLOCK: u64 = 512;
const BLOCK_BYTES: u64 = 80;

/// How many entries of the table of lines begin at this instruction or before.
fn rank(memory: &impl Memory, index: u64, at: u64) -> Option<u64> {
    let Some(behind) = at.checked_sub(SMALL) else {
        return Some(memory.word(index, at / 9 * 8)? >> (at % 9 * 7) & 0x7f);
    };
    let start = index.checked_add(SMALL_BYTES)?.checked_add((behind / BLOCK).checked_mul(BLOCK_BYTES)?)?;
    let block = memory.bytes(start, BLOCK_BYTES)?;
    let (word, bit) = (behind % BLOCK / 64, behind % 64);
    let before = word.checked_sub(1).map_or(Some(0), |w| Some(word_in(&block, 8)? >> (w * 9) & 0x1ff))?;
    let bits = word_in(&block, 16 + word * 8)? << (63 - bit);
    Some(u64::from(half_word_in(&block, 0)?) + before + u64::from(bits.count_ones()))
}

/// The function of C that a frame without instructions runs, by the environment of the frame.
pub(super) fn function_in_c(memory: &impl Memory, environment: u64) -> Option<u64> {
    let method = memory.word(environment.checked_sub(16)?, 0)?;
    is_internal(memory.word(method, 0)?, METHOD).then_some(())?;
    let definition = memory.word(method, 16)?;
    (memory.word(definition, 0)? & 0xf == DEFINED_IN_C).then_some(())?;
    memory.word(definition, 8)
}

fn is_internal(flags: u64, kind: u64) -> bool {
    flags & KIND == INTERNAL && flags >> INTERNAL_KIND_SHIFT & 0xf == kind
}

/// The real path where there is one, else what the program calls it.
fn path(memory: &impl Memory, layout: &Layout, object: u64) -> Option<String> {
    let flags = memory.word(object, 0)?;
    if flags & KIND != ARRAY {
        return text(memory, layout, object);
    }
    let both = if flags & ARRAY_INSIDE == 0 { memory.word(object, 32)? } else { object.checked_add(16)? };
    text(memory, layout, memory.word(both, 8)?).or_else(|| text(memory, layout, memory.word(both, 0)?))
}

fn text(memory: &impl Memory, layout: &Layout, object: u64) -> Option<String> {
    let flags = memory.word(object, 0)?;
    (object.is_multiple_of(8) && flags & KIND == TEXT).then_some(())?;
    if flags & TEXT_OUTSIDE != 0 {
        return memory.text(memory.word(object, 24)?, memory.word(object, 16)?);
    }
    match layout.short_texts {
        ShortTexts::LengthInFlags => memory.text(object.checked_add(16)?, flags >> 14 & 0x1f),
        ShortTexts::LengthBefore => memory.text(object.checked_add(24)?, memory.word(object, 16)?),
    }
}
