//! The CPU clock of another process: nanoseconds, exited threads included, no privilege needed.

use std::sync::OnceLock;

pub(super) const NS_PER_S: f64 = 1e9;

/// User and system CPU of the process `pid` so far. None when it is gone.
pub(super) fn process_ns(pid: u32) -> Option<u64> {
    let pid = libc::clockid_t::try_from(pid).ok().filter(|&pid| pid > 0)?;
    // What clock_getcpuclockid(3) answers: the complement of the pid, and 2 for "scheduler's time of the process"
    // (CPUCLOCK_SCHED in the kernel's posix-timers_types.h).
    let id = (!pid << 3) | 2;
    read(id)
}

#[expect(unsafe_code, reason = "no safe wrapper takes the clock id of a foreign process")]
fn read(id: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec; an id that names no clock is answered with an error.
    let status = unsafe { libc::clock_gettime(id, &raw mut time) };
    let (seconds, ns) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    (status == 0).then(|| seconds * 1_000_000_000 + ns)
}

/// The unit of times in `/proc/PID/stat` and `/proc/stat`.
pub(super) fn tick_ns() -> u64 {
    static TICK_NS: OnceLock<u64> = OnceLock::new();
    *TICK_NS.get_or_init(|| 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_this_process_grows_with_work() {
        let before = process_ns(std::process::id()).unwrap();
        let mut x = 1u64;
        while process_ns(std::process::id()).unwrap() < before + 5_000_000 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
    }

    #[test]
    fn a_process_that_is_not_there_has_no_clock() {
        assert_eq!(process_ns(0), None);
        assert_eq!(process_ns(4_194_304 + 7), None); // above the largest pid that Linux gives
    }
}
