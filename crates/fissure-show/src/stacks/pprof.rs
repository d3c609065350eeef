//! For `go tool pprof`, Pyroscope, Parca and others (profile.proto of github.com/google/pprof), not compressed, as the format
//! allows. Written by hand: of Protocol Buffers it needs numbers and nested messages.

use std::collections::HashMap;

use fissure_facts::profile::Frame;
use fissure_facts::{Profile, Window};

use super::{load_of, once, runs, whole_stack};

/// What was seen in one window, each process by one instrument: samples, CPU time of what ran, time of what waited.
pub fn file(window: &Window, seen: &[&Profile]) -> Vec<u8> {
    let mut tables = Tables::default();
    // The first text must be the empty one.
    tables.text("");
    let mut file = Message::default();
    for (name, unit) in [("samples", "count"), ("cpu", "nanoseconds"), ("wait", "nanoseconds")] {
        file.nested(1, &tables.kind(name, unit));
    }
    for (profile, stack) in once(seen) {
        let ns = (stack.count as f64 * profile.period_s * 1e9).round() as u64;
        let (cpu, wait) = if runs(stack) { (ns, 0) } else { (0, ns) };
        let mut sample = Message::default();
        for frame in whole_stack(profile, stack) {
            sample.number(1, tables.location(&frame));
        }
        for value in [stack.count, cpu, wait] {
            sample.number_even_if_zero(2, value);
        }
        for (key, value) in [("thread", &stack.thread), ("instrument", &profile.instrument)] {
            let mut label = Message::default();
            label.number(1, tables.text(key));
            label.number(2, tables.text(value));
            sample.nested(3, &label);
        }
        file.nested(2, &sample);
    }
    file.bytes.append(&mut tables.locations.bytes);
    file.bytes.append(&mut tables.functions.bytes);
    let period = seen.iter().map(|profile| profile.period_s).fold(f64::INFINITY, f64::min);
    let kind = tables.kind("cpu", "nanoseconds");
    let (comment, default) = (tables.text(&format!("fissure: {}", load_of(window))), tables.text("cpu"));
    for text in &tables.texts {
        file.bytes(6, text.as_bytes());
    }
    file.number(10, u64::from(window.plan.seconds) * 1_000_000_000);
    file.nested(11, &kind);
    file.number(12, (period * 1e9) as u64);
    file.number(13, comment);
    file.number(14, default);
    file.bytes
}

#[derive(Default)]
struct Tables {
    texts: Vec<String>,
    text_index: HashMap<String, u64>,
    /// By function, file and line.
    location_index: HashMap<(String, String, u32), u64>,
    function_index: HashMap<(String, String), u64>,
    locations: Message,
    functions: Message,
}

impl Tables {
    fn text(&mut self, text: &str) -> u64 {
        if let Some(index) = self.text_index.get(text) {
            return *index;
        }
        let index = self.texts.len() as u64;
        self.texts.push(text.to_owned());
        self.text_index.insert(text.to_owned(), index);
        index
    }

    fn kind(&mut self, name: &str, unit: &str) -> Message {
        let mut kind = Message::default();
        kind.number(1, self.text(name));
        kind.number(2, self.text(unit));
        kind
    }

    /// Numbers of locations and functions begin with 1.
    fn location(&mut self, frame: &Frame) -> u64 {
        let file = frame.file.as_ref().or(frame.module.as_ref()).cloned().unwrap_or_default();
        let key = (frame.function.clone(), file, frame.line.unwrap_or(0));
        if let Some(id) = self.location_index.get(&key) {
            return *id;
        }
        let function = self.function(&key.0, &key.1);
        let id = self.location_index.len() as u64 + 1;
        let (mut location, mut line) = (Message::default(), Message::default());
        line.number(1, function);
        line.number(2, u64::from(key.2));
        location.number(1, id);
        location.nested(4, &line);
        self.locations.nested(4, &location);
        self.location_index.insert(key, id);
        id
    }

    fn function(&mut self, name: &str, file: &str) -> u64 {
        let key = (name.to_owned(), file.to_owned());
        if let Some(id) = self.function_index.get(&key) {
            return *id;
        }
        let id = self.function_index.len() as u64 + 1;
        self.function_index.insert(key, id);
        let mut function = Message::default();
        function.number(1, id);
        function.number(2, self.text(name));
        function.number(3, self.text(name));
        function.number(4, self.text(file));
        self.functions.nested(5, &function);
        id
    }
}

/// A message of Protocol Buffers: fields of two kinds, numbers in seven bits a byte and bytes with their length in front.
#[derive(Debug, Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Zero is what a missing number means.
    fn number(&mut self, field: u64, number: u64) {
        if number > 0 {
            self.number_even_if_zero(field, number);
        }
    }

    /// In a list every number counts.
    fn number_even_if_zero(&mut self, field: u64, number: u64) {
        self.varint(field << 3);
        self.varint(number);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend(bytes);
    }

    fn nested(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.bytes);
    }
}
