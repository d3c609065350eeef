//! The share of the CPU that a session gets beside its neighbours, and how soon a thread gets it.
//!
//! Where the kernel groups processes by session (`sched_autogroup`), nice values count only inside a session, so a busy
//! compiler next door takes half of the app's CPU whatever its nice value. A group of one's own with a larger weight
//! gives the app and the crowd their CPUs back. It ends with the session: nothing is left on the machine.

use std::marker::PhantomData;

/// Nice value of the group, from -20 (most) to 19. Asking for less than 0 needs CAP_SYS_NICE.
const NICE: &str = "-15";

/// Asks the kernel to favour the calling process's session, which must be its own (`setsid`). Without the privilege, or
/// where sessions are not grouped, nothing changes.
pub fn favour_this_session() {
    // Nothing depends on it: probes and void windows tell what the neighbours took.
    let _ = std::fs::write("/proc/self/autogroup", NICE);
}

/// How long the crowd runs at a stretch, in nanoseconds: the least that the kernel takes. Its work per request is less.
const SLICE_NS: u64 = 100_000;

/// Asks the kernel to run the calling thread soon after it wakes, in exchange for short turns.
///
/// By default a thread that wakes may wait for the end of its neighbour's turn, some 3 ms; since Linux 6.12 one with a
/// shorter slice goes first (EEVDF, `PREEMPT_SHORT`). No privilege is needed, and older kernels change nothing.
#[expect(unsafe_code, reason = "no safe wrapper offers sched_setattr")]
pub fn prefer_short_turns() {
    // SAFETY: an all-zero sched_attr is SCHED_OTHER with nice 0, the default; the kernel reads `size` bytes of it and
    // keeps no pointer. Nothing depends on the outcome.
    unsafe {
        let mut attributes: libc::sched_attr = std::mem::zeroed();
        attributes.size = size_of::<libc::sched_attr>() as u32;
        attributes.sched_runtime = SLICE_NS;
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
    }
}

/// The least of the real-time priorities. What runs with it is preempted by nothing that is not real-time itself.
const LEAST_PRIORITY: libc::c_int = 1;

/// While it lives the calling thread runs before all others that are ordinary. For what takes milliseconds only: whoever looks once a second, in
/// the session that it was started from, may be late by more than that beside an app and a crowd of the weight above. Not for profilers: a thread
/// that they had stand still is not back where it waited before it has run again. Without the privilege, which is the same as for the
/// weight, nothing changes, and need not.
pub struct BeforeOthers {
    /// It is the thread's own.
    _not_send: PhantomData<*const ()>,
}

impl BeforeOthers {
    /// None of a thread that is no ordinary one already: somebody has said how it is to run.
    pub fn begin() -> Option<Self> {
        is_ordinary().then(|| {
            // Whoever is started meanwhile is ordinary.
            schedule(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, LEAST_PRIORITY);
            Self { _not_send: PhantomData }
        })
    }
}

impl Drop for BeforeOthers {
    fn drop(&mut self) {
        schedule(libc::SCHED_OTHER, 0);
    }
}

#[expect(unsafe_code, reason = "no safe wrapper offers sched_getscheduler")]
fn is_ordinary() -> bool {
    // SAFETY: it takes no pointer; 0 is the calling thread.
    unsafe { libc::sched_getscheduler(0) == libc::SCHED_OTHER }
}

#[expect(unsafe_code, reason = "no safe wrapper offers sched_setscheduler")]
fn schedule(policy: libc::c_int, priority: libc::c_int) {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the kernel reads the parameters and keeps no pointer; 0 is the calling thread. Nothing depends on the outcome.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field 41 of proc(5), counted behind the name in brackets: 0 is SCHED_OTHER, 2 SCHED_RR.
    fn policy() -> String {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(38).unwrap().to_owned()
    }

    /// Beside an app of 20,000 requests a second 28 of 30 windows were void, because nobody had come to look.
    #[test]
    fn who_runs_before_others_does_so_for_a_while_and_alone() {
        let before_others = BeforeOthers::begin();
        let expected = if rustix::process::geteuid().is_root() { ["0", "2"] } else { ["0", "0"] };
        assert!(expected.contains(&policy().as_str()));
        assert_eq!(std::thread::spawn(policy).join().unwrap(), "0");
        drop(before_others);
        assert_eq!(policy(), "0");
    }

    #[test]
    fn asking_for_short_turns_leaves_the_thread_an_ordinary_one() {
        prefer_short_turns();
        assert_eq!(policy(), "0");
    }
}
