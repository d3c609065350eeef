//! A profile: which lines ran, and which waited for what, while a load was held. Stacks are folded: equal ones are one,
//! with a count.

use serde::{Deserialize, Serialize};

use crate::Address;

/// What one instrument saw of the app in one window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    pub window: u32,
    /// Who looked: `native`, `waits`, `node`, `python`, `java`, `go`.
    pub instrument: String,
    /// Seconds (of CPU or of waiting) that one count stands for.
    pub period_s: f64,
    /// The kernel did not let the instrument see what it does on the app's behalf, only the app's own code.
    #[serde(default)]
    pub user_only: bool,
    /// Samples that were taken and could not be kept.
    #[serde(default)]
    pub lost: u64,
    /// How often all threads were looked at; 0 of an instrument that sees a thread only when it runs. A count over it is
    /// a mean number of threads.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u64,
    pub frames: Vec<Frame>,
    /// Descending by count.
    pub stacks: Vec<Stack>,
    /// Whom the app is connected to, and on how many connections it waited for an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    /// How long the garbage collector had all threads stand still, one entry a collection; of a virtual machine that tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops_us: Vec<u64>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
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
    /// How many separate waits began in these samples: a thread that did not move between two looks is still in the same
    /// one. 0 for all stacks where nobody knows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub separate: u64,
}

/// An address that the app connected to, as the kernel's counters of its connections show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    pub address: Address,
    pub looks: u64,
    /// Connections, summed over the looks.
    pub connections: u64,
    /// Of those the ones on which the app had spoken last, so that it waited for an answer; 0 of a Unix socket, of which the kernel
    /// does not tell.
    pub awaited: u64,
    /// Segments with data that the app sent it each second, made up for what connections that are gone sent behind the last look; None of a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_per_s: Option<f64>,
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
    /// For the other end of a connection that the app opened, which may not be known.
    WaitingForPeer {
        address: Option<Address>,
    },
    /// For the other end of a connection that was opened to the app.
    WaitingForClient,
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
