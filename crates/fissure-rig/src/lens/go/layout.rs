//! Where Go keeps what is read, by its version (src/runtime/runtime2.go, netpoll.go, symtab.go): within a minor version it never
//! changed. Tried: 1.19, 1.24 and 1.27; the others stand as in the sources.

/// Offsets in bytes. Those before `syscall_sp` never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    // In a goroutine (`g`).
    pub syscall_sp: usize,
    pub status: usize,
    pub id: usize,
    /// Counts how often it left the CPU, one byte wide.
    pub turns: usize,
    /// Who started it.
    pub parent: Option<usize>,
    /// The kernel's number of a thread (in `m`).
    pub thread: u64,
    /// Who waits to read, and behind it who waits to write, in what Go polls (`pollDesc`).
    pub reader: u64,
    /// What tables of inlined calls count from (in `moduledata`).
    pub tables: u64,
}

/// Of a goroutine.
pub(super) const STACK_END: usize = 8;
pub(super) const THREAD: usize = 48;
pub(super) const SP: usize = 56;
pub(super) const PC: usize = 64;
/// A goroutine's own address.
pub(super) const SELF: usize = 72;
/// Bytes of a goroutine that hold all of this.
pub(super) const GOROUTINE_BYTES: usize = 296;

/// Of what Go polls.
pub(super) const POLLED_FILE: u64 = 8;
/// Of a wait in a queue (`sudog`): what is waited for. It begins with who waits.
pub(super) const AWAITED: u64 = 24;
/// Of a program's code (`moduledata`): its first instruction, and the variables that hold pointers and begin as zero.
pub(super) const TEXT: u64 = 176;
pub(super) const VARIABLES: [u64; 2] = [224, 232];

/// Newer ones are read as this one, and believed only where it fits.
const NEWEST: Layout = Layout {
    syscall_sp: 104,
    status: 144,
    id: 152,
    turns: 191,
    parent: Some(280),
    thread: 64,
    reader: 32,
    tables: 344,
};

impl Layout {
    /// Of Go 1.`minor`.
    pub fn of(minor: u32) -> Option<Self> {
        let old = Self { syscall_sp: 112, turns: 188, parent: Some(272), thread: 72, tables: 320, ..NEWEST };
        Some(match minor {
            19 => Self { turns: 189, parent: None, reader: 24, tables: 304, ..old },
            21 => old,
            22 => Self { turns: 191, ..old },
            23 | 24 => Self { status: 152, id: 160, turns: 199, parent: Some(280), ..old },
            25 => Self { parent: Some(272), tables: 320, ..NEWEST },
            26 => Self { tables: 320, ..NEWEST },
            27.. => NEWEST,
            _ => return None,
        })
    }
}
