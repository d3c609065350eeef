//! A profile: which lines ran, and which waited for what, while a load was held. Stacks are folded: equal ones are one,
//! with a count.

use serde::{Deserialize, Serialize};

/// What one instrument saw of the app in one window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    pub window: u32,
    /// Who looked: `native`, `waits`, `node`, `python`, `java`.
    pub instrument: String,
    /// Seconds (of CPU or of waiting) that one count stands for.
    pub period_s: f64,
    /// The kernel did not let the instrument see what it does on the app's behalf, only the app's own code.
    #[serde(default)]
    pub user_only: bool,
    /// Samples that were taken and could not be kept.
    #[serde(default)]
    pub lost: u64,
    pub frames: Vec<Frame>,
    /// Descending by count.
    pub stacks: Vec<Stack>,
}

impl Profile {
    /// The frames of a stack, innermost first.
    pub fn frames<'p>(&'p self, stack: &'p Stack) -> impl Iterator<Item = &'p Frame> {
        stack.frames.iter().filter_map(|&index| self.frames.get(index as usize))
    }
}

/// A place in a program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Frame {
    /// As its language writes it; the module and an address where the program has no names.
    pub function: String,
    /// Relative to the app's folder when it lies there, else as the program's own tables name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The program or library that holds the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The file lies in the app's folder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_app: bool,
    /// The compiler merged this function into its caller, the next frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

/// The same stack, seen `count` times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Stack {
    pub process: u32,
    /// The thread's name; threads of one name are told apart only while they are watched.
    pub thread: String,
    pub doing: Doing,
    /// Indices into the profile's frames, innermost first.
    pub frames: Vec<u32>,
    /// Where the thread stood that held the lock which this one waited for, if that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holder: Vec<u32>,
    pub count: u64,
}

/// What a thread was doing when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    #[default]
    Running,
    /// For a lock or a condition, which the address tells apart from others of the process.
    WaitingForLock {
        address: u64,
    },
    /// For the interpreter's own lock.
    WaitingForInterpreter,
    /// For the other end of a connection; the port is the peer's.
    WaitingForPeer {
        port: Option<u16>,
    },
    /// For somebody to connect.
    WaitingForConnection,
    /// For any of several files, connections or timers (`epoll_wait`, `poll`, `select`).
    WaitingForEvents,
    /// For a file or a pipe.
    WaitingForFile {
        path: String,
    },
    WaitingForChild,
    /// For the time to pass.
    Sleeping,
    /// In some other system call, by its number.
    Waiting {
        syscall: i64,
    },
}
