//! What is broken now.

use fissure_facts::{FaultKind, Trigger};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tokio::sync::watch;
use tokio::time::Instant;

#[derive(Debug, Clone, Default)]
pub(super) struct State(Option<Broken>);

#[derive(Debug, Clone)]
struct Broken {
    kind: FaultKind,
    trigger: Trigger,
    seed: u64,
    until: Instant,
}

impl State {
    pub(super) fn broken(kind: FaultKind, trigger: Trigger, seed: u64, until: Instant) -> Self {
        Self(Some(Broken { kind, trigger, seed, until }))
    }

    /// What befalls the link, by its trigger, at this moment.
    pub(super) fn fault(&self) -> Option<FaultKind> {
        self.0.as_ref().filter(|broken| Instant::now() < broken.until).map(|broken| broken.kind)
    }

    /// What befalls the connection with this number at this moment.
    pub(super) fn befalls(&self, connection: u64) -> Option<FaultKind> {
        self.fault().filter(|_| match self.0.as_ref().map_or(Trigger::Always, |b| b.trigger) {
            Trigger::Always => true,
            Trigger::Percent(percent) => self.random(connection).random_range(0..100) < percent,
            Trigger::EveryNth(n) => connection.is_multiple_of(u64::from(n.max(1))),
        })
    }

    /// Chance that repeats with the seed.
    pub(super) fn random(&self, connection: u64) -> Pcg64 {
        let seed = self.0.as_ref().map_or(0, |broken| broken.seed);
        Pcg64::seed_from_u64(seed ^ connection.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Waits until this state is no more: another was set, or its time to live is over.
    pub(super) async fn over(&self, state: &mut watch::Receiver<Self>) {
        let until = self.0.as_ref().map(|broken| broken.until).filter(|until| Instant::now() < *until);
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                std::future::pending::<()>().await; // the relay ends, and this task with it
            },
            () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
        }
    }
}
