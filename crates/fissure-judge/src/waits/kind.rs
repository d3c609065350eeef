//! What a blocked thread waits for, by its system call and the functions on its stack.

use std::collections::BTreeSet;

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame, Stack};

use crate::judgement::{Spot, WaitsFor};
use crate::lines::own_frame;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// For a request to come.
    Idle,
    /// For any of many connections, one of which may be a request's.
    EventLoop,
    /// For something that a request needs.
    Waits(WaitsFor, Option<Spot>),
}

/// Where the threads of an interpreter wait for its own lock: whoever sees the functions of the C library knows it by them, and
/// who sees those of the language by the address.
#[derive(Debug, Default)]
pub(super) struct InterpreterLocks(BTreeSet<(u32, u64)>);

impl InterpreterLocks {
    pub fn of(profiles: &[&Profile]) -> Self {
        let address = |profile: &Profile, stack: &Stack| match stack.doing {
            Doing::WaitingForLock { address } => {
                let frames: Vec<&Frame> = profile.frames(stack).collect();
                named(&frames, &[TAKES_THE_LOCK]).then_some((stack.process, address))
            }
            _ => None,
        };
        Self(profiles.iter().flat_map(|p| p.stacks.iter().filter_map(|s| address(p, s))).collect())
    }
}

/// CPython's function in which a thread waits for its turn.
const TAKES_THE_LOCK: &str = "take_gil";
/// The instrument that sees of Python's own locks the line at which a thread asks for one, and no function below it.
pub(super) const PYTHON: &str = "python";
/// The instrument that says of Ruby's mutexes that they are some, and who holds them.
pub(super) const RUBY: &str = "ruby";

/// None for a thread that runs.
pub(super) fn of(profile: &Profile, stack: &Stack, interpreters: &InterpreterLocks) -> Option<Kind> {
    let frames: Vec<&Frame> = profile.frames(stack).collect();
    let (inner, spot) = match own_frame(&frames) {
        Some((depth, spot)) => (&frames[..depth], Some(spot)),
        None => (&frames[..], None),
    };
    let what = match &stack.doing {
        Doing::Running => return None,
        Doing::WaitingForConnection | Doing::WaitingForClient => return Some(Kind::Idle),
        Doing::WaitingForEvents => return Some(Kind::EventLoop),
        Doing::WaitingForInterpreter => WaitsFor::Interpreter,
        Doing::WaitingForLock { .. } if named(inner, &[TAKES_THE_LOCK]) => WaitsFor::Interpreter,
        Doing::WaitingForLock { address } if interpreters.0.contains(&(stack.process, *address)) => {
            WaitsFor::Interpreter
        }
        // A condition, an event, a queue: all of them wait in a function of that name.
        Doing::WaitingForLock { .. } if profile.instrument == PYTHON => {
            let is_woken = spot.is_none() || named(inner, &["wait", "queue"]);
            if is_woken { WaitsFor::Wake } else { WaitsFor::Lock }
        }
        Doing::WaitingForLock { .. } if !stack.holder.is_empty() || is_lock(inner) => WaitsFor::Lock,
        Doing::WaitingForLock { .. } => WaitsFor::Wake,
        Doing::WaitingForPeer { address } => WaitsFor::Peer(address.clone()),
        Doing::WaitingForFile { path } => WaitsFor::File(path.clone()),
        Doing::WaitingForChild => WaitsFor::Child,
        Doing::Sleeping => WaitsFor::Time,
        Doing::Waiting { syscall } => WaitsFor::Kernel(*syscall),
    };
    // Helpers of a runtime wait to be woken, or for a pipe, without any line of the app on their stacks.
    let is_plain = match &what {
        WaitsFor::Wake | WaitsFor::Kernel(_) => true,
        WaitsFor::File(path) => !path.starts_with('/') || path.starts_with("/dev/"),
        _ => false,
    };
    if is_plain && spot.is_none() { Some(Kind::Idle) } else { Some(Kind::Waits(what, spot)) }
}

/// Parts of the names of functions in which a thread waits for a mutex: of C, Rust, Go and Java.
const MUTEXES: [&str; 9] = [
    "mutex",
    "rwlock",
    "lll_lock",
    "lock_contended",
    "lock_slow",
    "spin",
    "monitorenter",
    "reentrantlock",
    "stampedlock",
];

/// A mutex and no condition: who waits for a condition passes through functions that say so.
fn is_lock(inner: &[&Frame]) -> bool {
    named(inner, &MUTEXES) && !named(inner, &["cond_wait", "cond_timedwait", "condvar", "condition"])
}

fn named(frames: &[&Frame], parts: &[&str]) -> bool {
    let has = |frame: &&Frame| {
        let name = frame.function.to_lowercase();
        parts.iter().any(|part| name.contains(part))
    };
    frames.iter().any(has)
}
