//! Where Ruby's structures keep what is read of them, by version: offsets in bytes, on x86-64 with glibc or musl.
//!
//! They were computed from the structures of the versions 2.7.0 to 3.4.12 as the crate `rbspy-ruby-structs` has them, and do not
//! change within a minor version. That crate is no dependency, because it takes a minute to build for these few numbers. A build
//! of Ruby may differ all the same, so nothing is believed before [`Vm::find`](super::vm::Vm::find) has checked it.

#[derive(Debug)]
pub(super) struct Layout {
    /// Major and minor version.
    pub version: (u32, u32),
    pub vm: InVm,
    pub turns: InTurns,
    pub thread: InThread,
    /// In an execution context.
    pub fiber: u64,
    pub thread_of_context: u64,
    pub frame_bytes: u64,
    /// In the body of a sequence of instructions: the table from instructions to lines.
    pub lines: u64,
    pub line_bytes: u64,
    pub short_texts: ShortTexts,
}

#[derive(Debug)]
pub(super) struct InVm {
    pub main_thread: u64,
    /// The list of ractors in the VM, and the node of that list in a ractor; before 3.0 there were none.
    pub ractors: Option<(u64, u64)>,
}

/// Threads that take turns: those of a ractor, before 3.0 those of the VM. A thread's node in the list is its first field.
#[derive(Debug)]
pub(super) struct InTurns {
    pub threads: u64,
    pub count: u64,
    pub holder: u64,
    pub waiting: u64,
}

#[derive(Debug)]
pub(super) struct InThread {
    pub vm: u64,
    pub context: u64,
    pub number: Number,
    pub status: u64,
    /// Where the part begins in which the node of the list lies that a thread waits in for its turn.
    pub turn: u64,
    pub mutex: u64,
    pub bytes: u64,
}

/// How the kernel's number of a thread is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    /// In the C library's structure of the thread, whose address stands here.
    InLibrary(u64),
    Here(u64),
    /// In a structure whose address stands at the first offset, at the second.
    InNative(u64, u64),
}

/// Where the length of a text stands that is kept in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShortTexts {
    LengthInFlags,
    LengthBefore,
}

impl Layout {
    pub fn of(version: &str) -> Result<&'static Self, String> {
        if cfg!(not(target_arch = "x86_64")) {
            return Err("the lines of Ruby are read on x86-64 only".to_owned());
        }
        let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
        let minor = numbers.next().zip(numbers.next());
        LAYOUTS.iter().find(|layout| Some(layout.version) == minor).ok_or_else(|| {
            format!(
                "it runs Ruby {version}, and fissure knows how 2.7 to 3.4 keep their threads and functions: \
                 run the app with one of those to see its lines"
            )
        })
    }
}

const LAYOUTS: [Layout; 6] = [
    Layout {
        version: (2, 7),
        vm: InVm { main_thread: 192, ractors: None },
        turns: InTurns { threads: 312, count: 336, holder: 8, waiting: 56 },
        thread: InThread {
            vm: 24,
            context: 32,
            number: Number::InLibrary(72),
            status: 80,
            turn: 88,
            mutex: 248,
            bytes: 264,
        },
        fiber: 48,
        thread_of_context: 56,
        frame_bytes: 56,
        lines: 120,
        line_bytes: 8,
        short_texts: ShortTexts::LengthInFlags,
    },
    Layout {
        version: (3, 0),
        vm: InVm { main_thread: 40, ractors: Some((8, 568)) },
        turns: InTurns { threads: 304, count: 320, holder: 336, waiting: 384 },
        thread: InThread {
            vm: 32,
            context: 40,
            number: Number::InLibrary(80),
            status: 88,
            turn: 96,
            mutex: 256,
            bytes: 272,
        },
        fiber: 48,
        thread_of_context: 56,
        frame_bytes: 56,
        lines: 120,
        line_bytes: 8,
        short_texts: ShortTexts::LengthInFlags,
    },
    Layout {
        version: (3, 1),
        vm: InVm { main_thread: 40, ractors: Some((8, 568)) },
        turns: InTurns { threads: 304, count: 320, holder: 336, waiting: 384 },
        thread: InThread {
            vm: 32,
            context: 40,
            number: Number::Here(88),
            status: 92,
            turn: 104,
            mutex: 264,
            bytes: 280,
        },
        fiber: 40,
        thread_of_context: 48,
        frame_bytes: 64,
        lines: 120,
        line_bytes: 12,
        short_texts: ShortTexts::LengthInFlags,
    },
    Layout {
        version: (3, 2),
        vm: InVm { main_thread: 40, ractors: Some((8, 568)) },
        turns: InTurns { threads: 304, count: 320, holder: 336, waiting: 384 },
        thread: InThread {
            vm: 32,
            context: 48,
            number: Number::InNative(40, 16),
            status: 112,
            turn: 56,
            mutex: 216,
            bytes: 232,
        },
        fiber: 40,
        thread_of_context: 48,
        frame_bytes: 64,
        lines: 112,
        line_bytes: 12,
        short_texts: ShortTexts::LengthBefore,
    },
    Layout {
        version: (3, 3),
        vm: InVm { main_thread: 40, ractors: Some((8, 432)) },
        turns: InTurns { threads: 256, count: 272, holder: 328, waiting: 344 },
        thread: THREAD_OF_3_3,
        fiber: 40,
        thread_of_context: 48,
        frame_bytes: 56,
        lines: 112,
        line_bytes: 12,
        short_texts: ShortTexts::LengthBefore,
    },
    Layout {
        version: (3, 4),
        vm: InVm { main_thread: 40, ractors: Some((8, 432)) },
        turns: InTurns { threads: 256, count: 272, holder: 328, waiting: 344 },
        thread: THREAD_OF_3_3,
        fiber: 40,
        thread_of_context: 48,
        frame_bytes: 56,
        lines: 112,
        line_bytes: 12,
        short_texts: ShortTexts::LengthBefore,
    },
];

const THREAD_OF_3_3: InThread = InThread {
    vm: 32,
    context: 48,
    number: Number::InNative(40, 24),
    status: 240,
    turn: 56,
    mutex: 344,
    bytes: 360,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_first_two_numbers_and_another_is_refused_in_a_sentence() {
        assert_eq!(Layout::of("3.1.2").unwrap().version, (3, 1));
        assert_eq!(Layout::of("2.7.8").unwrap().version, (2, 7));
        for unknown in ["2.6.10", "4.0.1", "3", "", "3.x"] {
            let why = Layout::of(unknown).unwrap_err();
            assert!(why.contains(unknown) && why.contains("2.7 to 3.4"), "{why}");
        }
    }
}
