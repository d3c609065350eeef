//! Foreign memory is whatever it is: nothing may panic, run forever or take all memory.

use proptest::prelude::*;

use super::code::Functions;
use super::engine::{Call, Engine};
use super::layout::Layout;
use crate::lens::memory::planted::{Endless, START, Words};
use crate::lens::memory::{Mapping, Memory};

const WORDS: u64 = 512;

/// Puts what PHP would have put there.
trait Put {
    fn put(&mut self, offset: u64, word: u64);
    fn put_half(&mut self, offset: u64, half: u64);
    fn put_text(&mut self, offset: u64, text: &str);
}

impl Put for Words {
    fn put(&mut self, offset: u64, word: u64) {
        self.0[offset as usize / 8] = word;
    }

    fn put_half(&mut self, offset: u64, half: u64) {
        let (at, shift) = (offset as usize / 8, offset % 8 * 8);
        self.0[at] = self.0[at] & !(0xffff_ffff << shift) | half << shift;
    }

    fn put_text(&mut self, offset: u64, text: &str) {
        self.put(offset + 16, text.len() as u64);
        for (i, byte) in text.bytes().enumerate() {
            let at = offset + 24 + i as u64;
            self.0[at as usize / 8] |= u64::from(byte) << (at % 8 * 8);
        }
    }
}

fn whole() -> Vec<Mapping> {
    let file = std::path::PathBuf::from("php");
    vec![Mapping { start: START, end: START + WORDS * 8, is_writable: true, file }]
}

/// Everything that is ever asked of a process, whatever the answers are.
fn read_everything(memory: &impl Memory, address: u64, layout: &'static Layout) {
    let found = Engine::find(memory, &whole(), "php".as_ref(), layout);
    let mut functions = Functions::new(layout);
    for engine in found.into_iter().chain([Engine { address, layout }]) {
        let innermost = engine.current(memory).unwrap_or(address);
        let calls = engine.calls(memory, innermost).unwrap_or_default();
        for call in calls.into_iter().chain([Call { function: address, at: address }]) {
            if let Some(place) = functions.place(memory, call) {
                assert!(place.function.len() < 4 * 8192 && place.file.len() < 4 * 4096);
            }
        }
    }
}

const VERSIONS: [&str; 7] = ["7.4", "8.0", "8.1", "8.2", "8.3", "8.4", "8.5"];

fn layouts() -> impl Strategy<Value = &'static Layout> {
    prop::sample::select(VERSIONS.to_vec()).prop_map(|version| Layout::of(version).unwrap())
}

/// Mostly addresses within, often small numbers and what functions begin with.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => (0..WORDS).prop_map(|i| START + i * 8),
        2 => 0u64..64,
        2 => prop::sample::select(vec![1u64, 2, 4]),
        1 => any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(word(), WORDS as usize), at in 0..WORDS, layout in layouts()) {
        read_everything(&Words(words), START + at * 8, layout);
    }

    #[test]
    fn memory_that_leads_on_without_end_is_left(factor in any::<u64>(), address in any::<u64>(), layout in layouts()) {
        read_everything(&Endless(factor | 1), address, layout);
    }
}

/// A script in a method that has called a function of C.
#[test]
fn a_stack_that_was_planted_is_read_in_the_layout_of_each_version() {
    for version in VERSIONS {
        let layout = Layout::of(version).unwrap();
        let mut memory = Words(vec![0; WORDS as usize]);
        let at = |offset: u64| START + offset;
        let (engine, inner, outer, of_c, of_php) = (64, 1024, 1088, 1152, 1408);
        let (class, class_name, name, file, instructions) = (1664, 1728, 1792, 1856, 1920);
        let (extension, extension_name, name_of_c) = (2112, 2176, 2240);
        memory.put(engine + 8, 1);
        memory.put(engine + 24, 15);
        memory.put(engine + 288, at(engine + 288));
        memory.put(engine + 296, at(engine + 32));
        memory.put(engine + layout.current, at(inner));
        memory.put(inner + 24, at(of_c));
        memory.put(inner + 48, at(outer));
        memory.put(outer, at(instructions + 32));
        memory.put(outer + 24, at(of_php));
        memory.put(of_c, 1);
        memory.put(of_c + 8, at(name_of_c));
        memory.put(of_c + layout.extension, at(extension));
        memory.put(extension + 32, at(extension_name));
        memory.put(extension_name, u64::from_ne_bytes(*b"curl\0\0\0\0"));
        memory.put_text(name_of_c, "curl_exec");
        memory.put(of_php, 2);
        memory.put(of_php + 8, at(name));
        memory.put(of_php + 16, at(class));
        memory.put(class + 8, at(class_name));
        memory.put_text(class_name, "Cart");
        memory.put_text(name, "total");
        memory.put_text(file, "/app/cart.php");
        memory.put_half(of_php + layout.count, 3);
        memory.put(of_php + layout.instructions, at(instructions));
        memory.put(of_php + layout.file, at(file));
        memory.put_half(instructions + 32 + 24, 41);

        let found = Engine::find(&memory, &whole(), "php".as_ref(), layout).unwrap();
        assert_eq!(found.address, at(engine), "{version}");
        let calls = found.calls(&memory, found.current(&memory).unwrap()).unwrap();
        let mut functions = Functions::new(layout);
        let places: Vec<_> = calls.iter().map(|call| functions.place(&memory, *call).unwrap()).collect();
        let [curl, total] = &places[..] else { panic!("{version}: {places:?}") };
        assert_eq!((&*curl.function, &*curl.extension, &*curl.file), ("curl_exec", "ext/curl", ""));
        assert_eq!((&*total.function, &*total.file, total.line), ("Cart::total", "/app/cart.php", 41));

        let beside = Call { function: at(of_php), at: at(instructions + 3 * 32) };
        assert_eq!(functions.place(&memory, beside), None, "no instruction of this function");
    }
}
