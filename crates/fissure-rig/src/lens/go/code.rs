//! The table of a program's functions that Go's own tracebacks read (`pclntab`): their frames, names, files and lines, and the
//! calls that were merged into them. A program has it although it is stripped.

use crate::lens::memory::{Memory, half_word_in, word_in};

/// How the table begins, up to Go 1.19 and since.
const OLD: u32 = 0xffff_fff0;
const NEW: u32 = 0xffff_fff1;
/// Which of a function's tables hold the number of the inlined call, and the calls by their numbers.
const INLINED_NUMBER: usize = 2;
const INLINED_CALLS: usize = 3;
const NOTHING: u32 = u32::MAX;
/// Calls inlined into each other, at most.
const NESTED: usize = 64;
const NAME_BYTES: usize = 4096;

pub(super) struct Code {
    table: Vec<u8>,
    /// The address of the first instruction.
    text: u64,
    /// The address that tables of inlined calls count from.
    tables: u64,
    functions: usize,
    is_old: bool,
    /// Bytes of the shortest instruction.
    step: u64,
    names: usize,
    units: usize,
    files: usize,
    values: usize,
    records: usize,
}

/// One call on a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Bytes between the stack pointer and the return address, or the end of the frame.
    pub frame: u64,
    /// The function that has the frame comes last, and before it what was inlined there.
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub function: String,
    pub file: String,
    pub line: u32,
}

/// A function's own record in the table.
#[derive(Debug, Clone, Copy)]
struct Function {
    at: usize,
    entry: u64,
}

impl Code {
    pub fn new(table: Vec<u8>, text: u64, tables: u64) -> Option<Self> {
        let magic = half_word_in(&table, 0)?;
        (magic == OLD || magic == NEW).then_some(())?;
        let word = |number: u64| usize::try_from(word_in(&table, 8 + 8 * number)?).ok();
        Some(Self {
            text,
            tables,
            functions: word(0)?,
            is_old: magic == OLD,
            step: u64::from(*table.get(6)?),
            names: word(3)?,
            units: word(4)?,
            files: word(5)?,
            values: word(6)?,
            records: word(7)?,
            table,
        })
    }

    /// Is there a function of Go's?
    pub fn knows(&self, at: u64) -> bool {
        self.function(at).is_some()
    }

    /// What is called at an address.
    pub fn call(&self, memory: &impl Memory, at: u64) -> Option<Call> {
        let function = self.function(at)?;
        let frame = self.value(function, self.field(function, 16)?, at).unwrap_or(0);
        let frame = u64::try_from(frame).ok()?;
        let mut lines = Vec::new();
        let mut at = at;
        while lines.len() < NESTED
            && let Some((name, caller)) = self.inlined(memory, function, at)
        {
            lines.push(self.line(function, name, at)?);
            at = caller;
        }
        lines.push(self.line(function, self.field(function, 4)?, at)?);
        Some(Call { frame, lines })
    }

    /// Functions stand in the order of their addresses, each with where its record is.
    fn function(&self, at: u64) -> Option<Function> {
        let offset = u32::try_from(at.checked_sub(self.text)?).ok()?;
        let entry = |number: usize| self.half(self.records.checked_add(number.checked_mul(8)?)?);
        let (mut first, mut end) = (0, self.functions);
        while first < end {
            let middle = first + (end - first) / 2;
            if entry(middle)? <= offset { first = middle + 1 } else { end = middle }
        }
        let number = first.checked_sub(1)?;
        (offset < entry(number + 1)?).then_some(())?;
        let record = self.half(self.records + number * 8 + 4)?;
        let at = self.records.checked_add(record as usize)?;
        Some(Function { at, entry: self.text.checked_add(u64::from(entry(number)?))? })
    }

    fn half(&self, at: usize) -> Option<u32> {
        half_word_in(&self.table, at as u64)
    }

    fn field(&self, function: Function, offset: usize) -> Option<u32> {
        self.half(function.at.checked_add(offset)?)
    }

    /// Behind the record: offsets of tables of values, then of other tables.
    fn behind(&self, function: Function) -> usize {
        function.at + if self.is_old { 40 } else { 44 }
    }

    /// The value that a table of a function has at an address: pairs of how much the value and how much the address grows.
    fn value(&self, function: Function, table: u32, at: u64) -> Option<i64> {
        (table != 0).then_some(())?;
        let mut bytes = self.table.get(self.values.checked_add(table as usize)?..)?.iter();
        let mut number = || {
            let mut number = 0u32;
            for shift in (0..32).step_by(7) {
                let byte = *bytes.next()?;
                number |= u32::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    return Some(number);
                }
            }
            None
        };
        let (mut value, mut until, mut is_first) = (-1i64, function.entry, true);
        loop {
            let grows = number()?;
            // Only the first value may be the one that there was before.
            if grows == 0 && !is_first {
                return None;
            }
            is_first = false;
            value += i64::from(grows >> 1) ^ -i64::from(grows & 1);
            until = until.checked_add(u64::from(number()?) * self.step)?;
            if at < until {
                return Some(value);
            }
        }
    }

    /// The name of the innermost function that was inlined at an address, and an address in the function that calls it there.
    fn inlined(&self, memory: &impl Memory, function: Function, at: u64) -> Option<(u32, u64)> {
        let tables = self.behind(function);
        let count = self.field(function, 28)? as usize;
        (INLINED_NUMBER < count).then_some(())?;
        let number = self.value(function, self.half(tables + 4 * INLINED_NUMBER)?, at)?;
        let others = *self.table.get(tables - 1)? as usize;
        (INLINED_CALLS < others).then_some(())?;
        let calls = self.half(tables.checked_add(4 * count)?.checked_add(4 * INLINED_CALLS)?)?;
        (calls != NOTHING).then_some(())?;
        let (size, name, caller) = if self.is_old { (20, 12, 16) } else { (16, 4, 8) };
        let call = self.tables.checked_add(u64::from(calls))?;
        let call = call.checked_add(u64::try_from(number).ok()?.checked_mul(size)?)?;
        let caller = function.entry.checked_add(u64::from(memory.half_word(call, caller)?))?;
        Some((memory.half_word(call, name)?, caller))
    }

    fn line(&self, function: Function, name: u32, at: u64) -> Option<Line> {
        let value = |field| self.value(function, self.field(function, field)?, at);
        let file = || {
            let number = usize::try_from(value(20)?).ok()?;
            let unit = self.field(function, 32)? as usize;
            let file = self.half(self.units.checked_add(unit.checked_add(number)?.checked_mul(4)?)?)?;
            (file != NOTHING).then(|| self.name(self.files, file))?
        };
        Some(Line {
            function: self.name(self.names, name)?,
            file: file().unwrap_or_default(),
            line: value(24).and_then(|line| u32::try_from(line).ok()).unwrap_or(0),
        })
    }

    fn name(&self, among: usize, offset: u32) -> Option<String> {
        let bytes = self.table.get(among.checked_add(offset as usize)?..)?;
        let length = bytes.iter().take(NAME_BYTES).position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}
