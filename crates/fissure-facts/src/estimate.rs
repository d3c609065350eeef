//! A number that is a claim.

use serde::{Deserialize, Serialize};

/// A claim with its 95 % interval. A bare float is a measurement; a claim always travels like this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub mid: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    pub const fn new(mid: f64, low: f64, high: f64) -> Self {
        Self { mid, low, high }
    }

    /// A value known without doubt, such as a count.
    pub const fn exact(value: f64) -> Self {
        Self { mid: value, low: value, high: value }
    }

    /// The same claim in another unit.
    pub fn scaled(self, factor: f64) -> Self {
        Self { mid: self.mid * factor, low: self.low * factor, high: self.high * factor }
    }

    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// Half the width of the interval as a share of the middle; infinite when the middle is zero.
    pub fn half_width_share(self) -> f64 {
        if self.mid == 0.0 { f64::INFINITY } else { (self.high - self.low) / 2.0 / self.mid.abs() }
    }
}
