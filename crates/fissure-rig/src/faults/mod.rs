//! Faults of processes. Each is a guard: it is undone when it is dropped, when its time to live is over, and, because the
//! keeper's guard ends the whole tree, when fissure is killed.
//!
//! **Invariant:** only processes below a guard of ours are touched, by pidfd, so that no signal meets a process that got
//! the pid of another.

pub mod clock;
mod cpu;
mod files;
mod kill;
mod limit;
mod memory;
mod pause;
mod process;
mod terminate;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fissure_facts::FaultKind;

/// Why a fault was not injected, in a sentence for the report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotInjected {
    #[error("the role has no process left")]
    NobodyThere,
    #[error("this kernel cannot hold on to a process ({0}); Linux 5.3 can")]
    NoPidfd(String),
    #[error("the limit could not be set: {0}")]
    Limit(String),
    #[error("{0} is no fault of a process")]
    OfLink(&'static str),
    #[error(
        "no process of the role asks the C library for the time: Go and statically linked programs read the kernel's own"
    )]
    OwnClock,
    #[error("the app was not started for it")]
    NotPrepared,
    #[error("no thread could be started: {0}")]
    Thread(String),
}

/// Can this kernel hold on to a process, so that a signal never meets another that got its number?
pub fn can_hold() -> Result<(), String> {
    let own = rustix::process::getpid();
    rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty())
        .map(drop)
        .map_err(|e| e.to_string())
}

/// What is in force until it is dropped.
trait Held: Send {
    /// Works while it is in force; most faults have nothing to do.
    fn hold(&mut self, leash: &Leash) {
        leash.wait_for_end();
    }
}

/// Whatever has happened once happens to nobody any more.
impl Held for () {}

/// A fault in force. It is lifted on drop, or by itself when its time to live is over.
#[derive(Debug)]
pub struct InForce {
    leash: Option<Sender<()>>,
    holder: Option<JoinHandle<()>>,
}

impl InForce {
    /// It was lifted already, because its time was over.
    pub fn is_over(&self) -> bool {
        self.holder.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for InForce {
    fn drop(&mut self) {
        drop(self.leash.take());
        if let Some(holder) = self.holder.take() {
            let _ = holder.join(); // it undid what it did even when it panicked
        }
    }
}

/// Injects a fault into the processes below `guard`, a guard of the keeper's.
pub fn inject(kind: FaultKind, guard: u32, time_to_live: Duration) -> Result<InForce, NotInjected> {
    let held: Box<dyn Held> = match kind {
        FaultKind::Kill => kill::one(guard)?,
        FaultKind::Restart => kill::all(guard)?,
        FaultKind::Terminate => terminate::terminate(guard)?,
        FaultKind::Pause => pause::pause(guard)?,
        FaultKind::Cpu { percent } => cpu::squeeze(guard, percent)?,
        FaultKind::Memory { more_mib } => memory::cap(guard, more_mib)?,
        FaultKind::Files => files::cap(guard)?,
        FaultKind::DiskFull | FaultKind::Fsync | FaultKind::Clock { .. } => {
            return Err(NotInjected::NotPrepared);
        }
        link => return Err(NotInjected::OfLink(link.name())),
    };
    in_force(kind, held, time_to_live)
}

/// Shifts the clock of an app that was started with [`clock::environment`].
pub fn shift_clock(
    guard: u32,
    file: &std::path::Path,
    ahead_s: u32,
    time_to_live: Duration,
) -> Result<InForce, NotInjected> {
    in_force(FaultKind::Clock { ahead_s }, clock::shift(guard, file, ahead_s)?, time_to_live)
}

fn in_force(
    kind: FaultKind,
    mut held: Box<dyn Held>,
    time_to_live: Duration,
) -> Result<InForce, NotInjected> {
    let (leash, end) = mpsc::channel();
    let leash_of_thread = Leash { end, until: Instant::now() + time_to_live };
    let holder = thread::Builder::new()
        .name(format!("fault-{}", kind.name()))
        .spawn(move || held.hold(&leash_of_thread))
        .map_err(|error| NotInjected::Thread(error.to_string()))?;
    Ok(InForce { leash: Some(leash), holder: Some(holder) })
}

/// What ends a fault: its time, or whoever holds it.
struct Leash {
    end: Receiver<()>,
    until: Instant,
}

impl Leash {
    fn wait_for_end(&self) {
        while self.holds_for(Duration::from_secs(3600)) {}
    }

    /// Waits so long; false when the end came first.
    fn holds_for(&self, pause: Duration) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        match self.end.recv_timeout(pause.min(left)) {
            Err(RecvTimeoutError::Timeout) => pause < left,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => false,
        }
    }
}
