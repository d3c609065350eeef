//! A rate that all connections of a link share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Way;

/// A lane that was empty for longer was idle, not late.
const LATE_AT_MOST: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Until when the bytes that were let through last are on their way, by direction.
    busy_until: Mutex<[Option<Instant>; 2]>,
}

impl Pace {
    /// The instant at which so many more bytes are through.
    pub(super) fn reserve(&self, way: Way, bytes: usize, bytes_per_s: f64) -> Instant {
        let mut lanes = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = &mut lanes[way as usize];
        let now = Instant::now();
        // Who was woken late makes up for it; who had nothing to send does not.
        let goes_on = |until: &Instant| now.saturating_duration_since(*until) < LATE_AT_MOST;
        let begins = lane.filter(goes_on).unwrap_or(now);
        let through = begins + Duration::from_secs_f64(bytes as f64 / bytes_per_s.max(1.0));
        *lane = Some(through);
        through
    }
}
