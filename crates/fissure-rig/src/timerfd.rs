//! The kernel's high-resolution timer as something to wait for.
//!
//! tokio's wheel counts in milliseconds and rounds up: a delay of 10 ms came 1.2 ms late by it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Nanoseconds of CLOCK_MONOTONIC, which is the same clock in every process of the machine.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// One timer, for one who waits. Wakes within some ten microseconds and burns nothing until then.
#[derive(Debug)]
pub(crate) struct Timerfd(AsyncFd<OwnedFd>);

impl Timerfd {
    /// Must be called inside the runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self(watch(fd)?))
    }

    /// Rings once, at `at_ns`; an earlier setting is forgotten.
    pub(crate) fn set(&self, at_ns: u64) {
        let it_value =
            Timespec { tv_sec: (at_ns / 1_000_000_000) as i64, tv_nsec: (at_ns % 1_000_000_000) as _ };
        let never_again = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Fails only for a bad descriptor or a bad time, and neither can be here.
        let set = timerfd_settime(
            self.0.get_ref(),
            TimerfdTimerFlags::ABSTIME,
            &Itimerspec { it_interval: never_again, it_value },
        );
        debug_assert!(set.is_ok(), "{set:?}");
    }

    pub(crate) async fn rings(&self) -> io::Result<()> {
        // The expiry is not read from the timerfd: tokio's readiness is edge-triggered and setting it anew resets it.
        self.0.readable().await?.clear_ready();
        Ok(())
    }

    pub(crate) async fn until(&self, at_ns: u64) -> io::Result<()> {
        while monotonic_ns() < at_ns {
            self.set(at_ns);
            self.rings().await?;
        }
        Ok(())
    }
}

#[expect(
    unsafe_code,
    reason = "tokio cannot know that a descriptor's owner never closes it early; OwnedFd does not"
)]
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and names the same file until it is dropped, and AsyncFd owns it until then.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_waited_for_again_and_again_and_never_too_short() {
        let timer = Timerfd::new().unwrap();
        for wait_us in [1, 300, 2_000, 300] {
            let at_ns = monotonic_ns() + wait_us * 1_000;
            timer.until(at_ns).await.unwrap();
            assert!(monotonic_ns() >= at_ns);
        }
        timer.until(0).await.unwrap();
    }
}
