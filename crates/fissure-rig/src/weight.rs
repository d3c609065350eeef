//! The share of the CPU that a session gets beside its neighbours.
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
