//! Latencies in microseconds: sparse in memory, an HdrHistogram in its standard compressed encoding on disk.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Largest latency told apart, in microseconds: ten minutes. Longer ones count as ten minutes.
const LARGEST_US: u64 = 600_000_000;
/// Significant decimal digits: 3 keeps every value within 0.1 %.
const DIGITS: u8 = 3;
/// Bits that a bucket keeps of a value: 2^11 = 2048 steps per octave pair, HdrHistogram's choice for 3 digits.
const BITS_KEPT: u32 = 11;

/// A histogram of latencies in microseconds (1 us to 10 min, within 0.1 %).
///
/// A run holds thousands of them, most with a few dozen filled buckets, so only filled buckets are kept: a dense
/// HdrHistogram of this range takes 160 kB, this a few hundred bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latencies {
    /// Lowest value of the bucket, in us -> count.
    buckets: BTreeMap<u64, u64>,
    count: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("a histogram could not be read: {0}")]
pub struct BadHistogram(String);

/// Width of the bucket that holds `value`.
fn width(value: u64) -> u64 {
    1 << (u64::BITS - value.leading_zeros()).saturating_sub(BITS_KEPT)
}

/// The value in the middle of the bucket that starts at `lowest`.
fn middle(lowest: u64) -> u64 {
    lowest + width(lowest) / 2
}

impl Latencies {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn record_us(&mut self, latency_us: u64) {
        self.record_many_us(latency_us, 1);
    }

    pub fn record_many_us(&mut self, latency_us: u64, times: u64) {
        let value = latency_us.clamp(1, LARGEST_US);
        *self.buckets.entry(value & !(width(value) - 1)).or_default() += times;
        self.count += times;
    }

    pub fn add(&mut self, other: &Self) {
        for (&lowest, &count) in &other.buckets {
            *self.buckets.entry(lowest).or_default() += count;
        }
        self.count += other.count;
    }

    pub fn clear(&mut self) {
        self.buckets.clear();
        self.count = 0;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Zero when nothing was recorded.
    pub fn mean_us(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        self.buckets().map(|(us, n)| us as f64 * n as f64).sum::<f64>() / self.count as f64
    }

    /// Standard deviation of the recorded values; zero when nothing was recorded.
    pub fn stdev_us(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let mean = self.mean_us();
        let squares: f64 = self.buckets().map(|(us, n)| (us as f64 - mean).powi(2) * n as f64).sum();
        (squares / self.count as f64).sqrt()
    }

    pub fn max_us(&self) -> u64 {
        self.buckets.last_key_value().map_or(0, |(&lowest, _)| middle(lowest))
    }

    /// The latency that `quantile` (0 to 1) of the requests did not exceed; zero when nothing was recorded.
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.rank_us(((quantile.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1)).unwrap_or(0)
    }

    /// The `rank`-th shortest latency, from 1; None when there are not so many.
    pub fn rank_us(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        for (us, count) in self.buckets() {
            seen += count;
            if seen >= rank {
                return Some(us);
            }
        }
        None
    }

    /// How many requests took longer than `limit_us`.
    pub fn count_over(&self, limit_us: u64) -> u64 {
        self.buckets.range(limit_us.saturating_add(1)..).map(|(_, n)| n).sum()
    }

    /// (latency in us, count) of every bucket that is not empty, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter().map(|(&lowest, &count)| (middle(lowest), count))
    }

    /// The standard compressed encoding (V2 + DEFLATE), as base64.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut dense) = Histogram::<u64>::new_with_bounds(1, LARGEST_US, DIGITS) {
            for (us, count) in self.buckets() {
                dense.saturating_record_n(us, count);
            }
            // Writing into memory fails only when memory does.
            let _ = V2DeflateSerializer::new().serialize(&dense, &mut bytes);
        }
        BASE64.encode(bytes)
    }

    pub fn decode(text: &str) -> Result<Self, BadHistogram> {
        let bytes = BASE64.decode(text).map_err(|e| BadHistogram(e.to_string()))?;
        let dense: Histogram<u64> = HdrDeserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|e| BadHistogram(format!("{e:?}")))?;
        let mut own = Self::new();
        for value in dense.iter_recorded() {
            own.record_many_us(value.value_iterated_to(), value.count_at_value());
        }
        Ok(own)
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn encoding_keeps_every_bucket(values in prop::collection::vec(0u64..2_000_000_000, 0..200)) {
            let mut latencies = Latencies::new();
            for us in values {
                latencies.record_us(us);
            }
            prop_assert_eq!(Latencies::decode(&latencies.encode()).unwrap(), latencies);
        }

        #[test]
        fn quantiles_are_within_a_thousandth(mut values in prop::collection::vec(1u64..60_000_000, 1..300), q in 0.0f64..1.0) {
            let mut latencies = Latencies::new();
            for &us in &values {
                latencies.record_us(us);
            }
            values.sort_unstable();
            let exact = values[((q * values.len() as f64).ceil() as usize).max(1) - 1] as f64;
            let got = latencies.quantile_us(q) as f64;
            prop_assert!((got - exact).abs() <= exact * 0.001 + 1.0, "{got} for {exact}");
        }

        #[test]
        fn nothing_panics_on_foreign_text(text in "\\PC*") {
            let _ = Latencies::decode(&text);
        }
    }

    #[test]
    fn a_latency_beyond_the_largest_is_still_counted() {
        let mut latencies = Latencies::new();
        latencies.record_us(u64::MAX);
        latencies.record_us(0);
        assert_eq!(latencies.count(), 2);
        assert_eq!(latencies.count_over(1_000_000), 1);
    }
}
