//! The share of the CPU that a session gets beside its neighbours, and how soon a thread gets it.
//!
//! Where the kernel groups processes by session (`sched_autogroup`), nice values count only inside a session, so a busy
//! compiler next door takes half of the app's CPU whatever its nice value. A group of one's own with a larger weight
//! gives the app and the crowd their CPUs back. It ends with the session: nothing is left on the machine.

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

#[cfg(test)]
mod tests {
    #[test]
    fn asking_for_short_turns_leaves_the_thread_an_ordinary_one() {
        super::prefer_short_turns();
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Field 41 of proc(5), counted behind the name in brackets: the policy; 0 is SCHED_OTHER.
        let policy = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(38).unwrap();
        assert_eq!(policy, "0");
    }
}
