//! Foreign memory is whatever it is: nothing may panic, run forever or take all memory.

use proptest::prelude::*;

use super::code::{Functions, function_in_c};
use super::layout::Layout;
use super::vm::{self, Call, Vm};
use crate::lens::memory::planted::{Endless, START, Words};
use crate::lens::memory::{Mapping, Memory};

/// Everything that is ever asked of a process, whatever the answers are.
fn read_everything(memory: &impl Memory, address: u64, layout: &'static Layout) {
    let vm = Vm { address, layout };
    let turns = vm.turns(memory).unwrap_or_default();
    let listed = turns.iter().flat_map(|turns| turns.threads.clone());
    let mut functions = Functions::new(layout);
    for thread in listed.chain([address]) {
        let _ = vm.number(memory, thread);
        assert!(turns.iter().filter(|turns| turns.awaited_by(thread, layout)).count() <= turns.len());
        let Some(thread) = vm.thread(memory, thread) else { continue };
        let _ = vm::owner(memory, thread.mutex.unwrap_or(address), &[thread]);
        for call in vm.calls(memory, &thread).unwrap_or_default() {
            if let Call::C { environment } = call {
                let _ = function_in_c(memory, environment);
            }
            let _ = functions.is_known(memory, &call);
        }
    }
    let _ = functions.place(memory, address, address);
    let _ = function_in_c(memory, address);
    let file = std::path::PathBuf::from("libruby.so");
    let whole = Mapping { start: START, end: START + 512 * 8, is_writable: true, file: file.clone() };
    let _ = Vm::find(memory, &[whole], &file, layout);
}

fn layouts() -> impl Strategy<Value = &'static Layout> {
    prop::sample::select(vec!["2.7", "3.0", "3.1", "3.2", "3.3", "3.4"])
        .prop_map(|version| Layout::of(version).unwrap())
}

/// Mostly addresses within, often small numbers and what objects begin with.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => (0u64..512).prop_map(|i| START + i * 8),
        2 => 0u64..64,
        1 => Just(0x701a_u64),
        1 => Just(0x601a_u64),
        1 => Just(0x2005_u64),
        1 => any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(word(), 512), at in 0u64..512, layout in layouts()) {
        read_everything(&Words(words), START + at * 8, layout);
    }

    #[test]
    fn memory_that_leads_on_without_end_is_left(factor in any::<u64>(), address in any::<u64>(), layout in layouts()) {
        read_everything(&Endless(factor | 1), address, layout);
    }
}
