//! Foreign memory is whatever it is: nothing may panic, run forever or take all memory.

use proptest::prelude::*;

use super::code::Code;
use super::goroutine::{self, Known, Stay};
use super::layout::{GOROUTINE_BYTES, Layout, SELF};
use crate::lens::memory::Memory;
use crate::lens::memory::planted::{Endless, START, Words};

/// Everything that is ever asked of a process, whatever the answers are.
fn read_everything(memory: &impl Memory, address: u64, table: &[u8]) {
    let _ = goroutine::list(memory, START..START + 4096);
    let _ = goroutine::addresses(memory, address).map(|all| all.len());
    let Some(code) = Code::new(table.to_vec(), START, address) else { return };
    let mut known = Known::new();
    let _ = code.call(memory, address);
    for layout in (0..40).filter_map(Layout::of) {
        let Some(stay) = Stay::read(memory, &layout, address) else { continue };
        let stack = stay.stack(memory, &code, &mut known);
        let _ = stay.task(memory, &layout);
        let _ = stay.lock(memory, &stack);
        let _ = stay.polled(memory, &layout, &stack);
    }
}

/// A table with one function that fills it, whatever stands in the rest.
fn table(is_old: bool, rest: &[u8]) -> Vec<u8> {
    let mut table = if is_old { vec![0xf0] } else { vec![0xf1] };
    table.extend([0xff, 0xff, 0xff, 0, 0, 1, 8]);
    let header = 72u64;
    for word in [1, 1, START, header, header, header, header, header] {
        table.extend(word.to_ne_bytes());
    }
    for half in [0u32, 16, 0x1_0000, 0] {
        table.extend(half.to_ne_bytes());
    }
    table.extend(rest);
    table
}

#[test]
fn the_list_is_found_by_what_it_holds() {
    // A list of one goroutine behind a word that looks like none.
    let (list, goroutine) = (START + 8 * 8, START + 16 * 8);
    let mut words = vec![0; 16 + GOROUTINE_BYTES / 8];
    words[..5].copy_from_slice(&[goroutine, 1, list, 1, 4]);
    words[8] = goroutine;
    words[16 + SELF / 8] = goroutine;
    let memory = Words(words);
    let end = START + 8 * (16 + GOROUTINE_BYTES as u64 / 8);
    assert_eq!(goroutine::list(&memory, START..end), Some(START + 16));
    assert_eq!(goroutine::addresses(&memory, START + 16), Some(vec![goroutine]));
    assert_eq!(goroutine::list(&memory, START..START + 16), None);
}

#[test]
fn a_goroutine_is_one_only_while_it_knows_its_own_address() {
    let layout = Layout::of(22).unwrap();
    let mut words = vec![0; GOROUTINE_BYTES / 8];
    words[SELF / 8] = START;
    words[layout.status / 8] = 4;
    words[layout.id / 8] = 17;
    let stay = Stay::read(&Words(words.clone()), &layout, START).unwrap();
    assert_eq!((stay.id, stay.status), (17, goroutine::Status::Waiting));
    words[layout.status / 8] = 0x1004;
    assert!(Stay::read(&Words(words.clone()), &layout, START).is_some(), "also while it is looked at");
    words[layout.status / 8] = 6;
    assert!(Stay::read(&Words(words.clone()), &layout, START).is_none(), "it has ended");
    words[SELF / 8] = START + 8;
    words[layout.status / 8] = 4;
    assert!(Stay::read(&Words(words), &layout, START).is_none());
}

proptest! {
    #[test]
    fn any_memory_and_any_table_are_read_or_refused(
        mut words in prop::collection::vec(prop_oneof![Just(0), Just(4), START..START + 4096, any::<u64>()], 64..512),
        at in 0u64..64,
        rest in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..600),
        is_old in any::<bool>(),
    ) {
        let address = START + 8 * at;
        if let Some(own) = words.get_mut(at as usize + SELF / 8) {
            *own = address;
        }
        read_everything(&Words(words), address, &table(is_old, &rest));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn endless_memory_is_read_or_refused(factor in any::<u64>(), address in any::<u64>(), rest in prop::collection::vec(any::<u8>(), 0..600)) {
        read_everything(&Endless(factor), address, &table(false, &rest));
    }

    #[test]
    fn any_bytes_are_a_table_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200), address in any::<u64>()) {
        read_everything(&Endless(3), address, &bytes);
    }
}
