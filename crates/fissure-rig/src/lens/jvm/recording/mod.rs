//! The JVM's own recordings (Flight Recorder, format 2): chunks, each with its types, its pools of constants and its
//! events. Read by what a recording says of its own types, so that every version of Java since 8 is one to us.
//!
//! Written here because the one crate for it (jfrs) takes a broken file's word for how much memory to ask for.

mod cursor;
mod metadata;

use std::collections::HashMap;

use cursor::{Cursor, Text};
use metadata::{Field, Type};

/// `FLR\0`, two versions of two bytes, seven numbers of eight bytes, flags of four.
const HEADER_BYTES: usize = 68;
/// Values nested deeper than this are broken.
const DEPTH_MAX: u32 = 16;

const METADATA: i64 = 0;
const POOLS: i64 = 1;

/// What an event or one of its parts holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    Object {
        of: i64,
        values: Vec<Value>,
    },
    Many(Vec<Value>),
    /// Stands in the pool of a type.
    InPool {
        of: i64,
        key: i64,
    },
    /// Of a kind that nobody here asks for.
    Other,
}

/// One stretch of the recording, complete in itself.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    ticks_per_s: u64,
    types: HashMap<i64, Type>,
    pools: HashMap<(i64, i64), Value>,
    events: Vec<Value>,
}

/// The events of one kind in a recording; what is broken ends it, and what came before counts.
pub(super) fn chunks(mut bytes: &[u8], event: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    while let Some((chunk, size)) = Chunk::read(bytes, event) {
        chunks.push(chunk);
        bytes = &bytes[size..];
    }
    chunks
}

impl Chunk {
    /// The first chunk, and how long it is.
    fn read(bytes: &[u8], event: &str) -> Option<(Self, usize)> {
        let mut header = Cursor::new(bytes);
        (header.take(4)? == b"FLR\0").then_some(())?;
        let _version = header.take(4)?;
        let offset = |header: &mut Cursor<'_>| usize::try_from(header.u64()?).ok();
        let size = offset(&mut header)?;
        let (pools, metadata) = (offset(&mut header)?, offset(&mut header)?);
        let (_start_ns, _duration_ns, _start_ticks) = (header.u64()?, header.u64()?, header.u64()?);
        let ticks_per_s = header.u64()?;
        let chunk = bytes.get(..size).filter(|chunk| chunk.len() > HEADER_BYTES)?;

        let types = metadata::read(part(chunk, metadata, METADATA)?)?;
        let mut read = Self { ticks_per_s, types, ..Self::default() };
        // The last pools say where the ones before them are.
        let mut at = Some(pools);
        while let Some(position) = at {
            let before = read.learn(part(chunk, position, POOLS)?)?;
            at = position.checked_sub(before).filter(|next| *next < position && *next >= HEADER_BYTES);
        }
        let wanted = read.types.iter().find(|(_, t)| t.name == event).map(|(id, _)| *id);
        let mut position = HEADER_BYTES;
        while let Some((id, size, values)) = whole(chunk, position) {
            if Some(id) == wanted {
                let seen = read.object(&mut { values }, id, 0)?;
                read.events.push(seen);
            }
            position += size;
        }
        Some((read, size))
    }

    /// Pools of constants; answers how far before these the ones before begin.
    fn learn(&mut self, mut event: Cursor<'_>) -> Option<usize> {
        let (_start, _duration, delta) = (event.number()?, event.number()?, event.number()?);
        let _kind = event.byte()?;
        for _ in 0..event.count()? {
            let of = event.number()?;
            for _ in 0..event.count()? {
                let key = event.number()?;
                let value = self.value(&mut event, of, 0)?;
                self.pools.insert((of, key), value);
            }
        }
        usize::try_from(delta.checked_neg()?).ok()
    }

    fn value(&self, bytes: &mut Cursor<'_>, of: i64, depth: u32) -> Option<Value> {
        let name = &self.types.get(&of)?.name;
        Some(match name.as_str() {
            // Negative numbers of four bytes are written as large ones.
            "int" => Value::Number(i64::from(bytes.number()? as i32)),
            "long" | "short" | "char" => Value::Number(bytes.number()?),
            "boolean" | "byte" => Value::Number(i64::from(bytes.byte()?)),
            "float" => bytes.take(4).map(|_| Value::Other)?,
            "double" => bytes.take(8).map(|_| Value::Other)?,
            "java.lang.String" => match bytes.text()? {
                Text::Is(text) => Value::Text(text),
                Text::InPool(key) => Value::InPool { of, key },
            },
            _ => self.object(bytes, of, depth)?,
        })
    }

    fn object(&self, bytes: &mut Cursor<'_>, of: i64, depth: u32) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        let left_before = bytes.left();
        let one = |bytes: &mut Cursor<'_>, field: &Field| {
            if field.pooled {
                return Some(Value::InPool { of: field.of, key: bytes.number()? });
            }
            self.value(bytes, field.of, depth + 1)
        };
        let values = self.types.get(&of)?.fields.iter().map(|field| {
            if !field.many {
                return one(bytes, field);
            }
            let many = (0..bytes.count()?).map(|_| one(bytes, field)).collect::<Option<_>>()?;
            Some(Value::Many(many))
        });
        let values = values.collect::<Option<_>>()?;
        // A part of nothing is nothing's part: types that hold each other would make much out of few bytes.
        (depth == 0 || bytes.left() < left_before).then_some(Value::Object { of, values })
    }

    /// Lengths of time are written in ticks of the machine's clock.
    pub fn us(&self, ticks: i64) -> Option<u64> {
        let us = u128::from(u64::try_from(ticks).ok()?) * 1_000_000 / u128::from(self.ticks_per_s.max(1));
        u64::try_from(us).ok()
    }

    pub fn events(&self) -> impl Iterator<Item = &Value> {
        self.events.iter()
    }

    /// What stands at the end of a path of fields.
    pub fn at<'c>(&'c self, value: &'c Value, path: &[&str]) -> Option<&'c Value> {
        path.iter().try_fold(self.meant(value)?, |value, name| {
            let Value::Object { of, values } = value else { return None };
            let index = self.types.get(of)?.fields.iter().position(|field| field.name == *name)?;
            self.meant(values.get(index)?)
        })
    }

    pub fn text<'c>(&'c self, value: &'c Value, path: &[&str]) -> Option<&'c str> {
        match self.at(value, path)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self, value: &Value, path: &[&str]) -> Option<i64> {
        match self.at(value, path)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn many<'c>(&'c self, value: &'c Value, path: &[&str]) -> &'c [Value] {
        match self.at(value, path) {
            Some(Value::Many(values)) => values,
            _ => &[],
        }
    }

    /// From a key to what it means.
    fn meant<'c>(&'c self, value: &'c Value) -> Option<&'c Value> {
        match value {
            Value::InPool { of, key } => self.pools.get(&(*of, *key)),
            value => Some(value),
        }
    }
}

/// The event of this type at this place, behind its size and type.
fn part(chunk: &[u8], position: usize, wanted: i64) -> Option<Cursor<'_>> {
    let (id, _, values) = whole(chunk, position)?;
    (id == wanted).then_some(values)
}

/// Type, size and content of the event at this place.
fn whole(chunk: &[u8], position: usize) -> Option<(i64, usize, Cursor<'_>)> {
    let bytes = chunk.get(position..)?;
    let size = usize::try_from(Cursor::new(bytes).number()?).ok()?;
    let mut event = Cursor::new(bytes.get(..size)?);
    let (_size, id) = (event.number()?, event.number()?);
    Some((id, size, event))
}

#[cfg(test)]
mod tests;
