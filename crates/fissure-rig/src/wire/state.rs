//! What is broken now.

use fissure_facts::{FaultKind, Route, Trigger};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tokio::sync::watch;
use tokio::time::Instant;

/// What is to be broken, for whom, and until when.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub(super) kind: FaultKind,
    pub(super) trigger: Trigger,
    /// Only requests of this route, where requests are looked at.
    pub(super) route: Option<Route>,
    pub(super) seed: u64,
    pub(super) until: Instant,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State(Option<Broken>);

impl State {
    pub(super) fn broken(broken: Broken) -> Self {
        Self(Some(broken))
    }

    /// What is in force at this moment, for those whom it may befall.
    pub(super) fn broken_now(&self) -> Option<&Broken> {
        self.0.as_ref().filter(|broken| Instant::now() < broken.until)
    }

    /// What befalls everybody who comes to the link at this moment.
    pub(super) fn befalls_all(&self) -> Option<FaultKind> {
        let broken = self.broken_now()?;
        (broken.trigger == Trigger::Always && broken.route.is_none()).then_some(broken.kind)
    }

    /// What befalls the connection with this number at this moment. Whether it is struck by what passed over it matters where
    /// the trigger looks at that.
    pub(super) fn befalls(&self, connection: u64, is_struck: bool) -> Option<FaultKind> {
        let broken = self.broken_now()?;
        let is_meant = match broken.trigger {
            Trigger::Percent(percent) => self.random(connection).random_range(0..100) < percent,
            Trigger::EveryNth(n) => connection.is_multiple_of(u64::from(n.max(1))),
            Trigger::Request(_) | Trigger::FirstByte | Trigger::Commit => is_struck,
            // Of some routes, or of requests: then the request decides.
            Trigger::Always => is_struck || !(broken.kind.is_of_http() || broken.route.is_some()),
        };
        is_meant.then_some(broken.kind)
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
