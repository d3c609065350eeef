//! How often interpreters are looked at whose stacks are read from their memory, one after the other.

use std::time::{Duration, Instant};

use super::profiler::Stop;

/// On average: by chance, or a program whose turns take as long would always be met at the same place.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(100);
/// Share of the time that looking may take: a framework nests dozens of functions, and each is read by itself.
const SHARE: f64 = 0.25;

/// What came of it.
pub(super) struct Looks {
    /// Seconds that one look stands for.
    pub period_s: f64,
    /// Looks that saw the interpreters; one that was lost at one of them saw the others.
    pub seen: u64,
    /// Interpreters that could not be read at a look, summed up.
    pub lost: u64,
}

/// Looks at so many interpreters until told to stop. `look` says at how many of them it saw nothing.
pub(super) fn until(stop: &Stop, interpreters: usize, mut look: impl FnMut() -> u64) -> Looks {
    let (began, mut looks, mut lost) = (Instant::now(), 0, 0);
    loop {
        let began = Instant::now();
        lost += look();
        looks += 1;
        let pause = began.elapsed().mul_f64(1.0 / SHARE - 1.0).min(LOOK_AT_LEAST_EVERY);
        let every = LOOK_EVERY.mul_f64(0.5 + rand::random::<f64>());
        if stop.wait(every.saturating_sub(began.elapsed()).max(pause)) {
            break;
        }
    }
    let seen = looks - (lost / interpreters.max(1) as u64).min(looks);
    Looks { period_s: began.elapsed().as_secs_f64() / looks as f64, seen, lost }
}
