//! How users arrive over time: an intensity, and how regular the arrivals are.
//!
//! Every shape that a person can ask for (steady, ramp, stairs, spike, the hours of a day) is a row of stretches in which
//! the intensity changes evenly. One arithmetic serves them all: the expected arrivals until a time, and its inverse.

use serde::{Deserialize, Serialize};

/// How users arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    pub spacing: Spacing,
    /// In order, from the first measured instant. After the last one its end goes on; an empty row is nobody.
    pub stretches: Vec<Stretch>,
}

/// How regular arrivals are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// As strangers come who know nothing of each other: now close together, now far apart.
    Poisson,
    /// Like a clock.
    Even,
}

/// So many seconds in which the intensity goes evenly from one value to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    pub seconds: f64,
    pub from_per_s: f64,
    pub to_per_s: f64,
}

impl Stretch {
    pub fn steady(seconds: f64, per_s: f64) -> Self {
        Self { seconds, from_per_s: per_s, to_per_s: per_s }
    }

    /// Expected arrivals in the first `x` seconds.
    fn expected(&self, x: f64) -> f64 {
        self.from_per_s * x + self.slope() * x * x / 2.0
    }

    fn slope(&self) -> f64 {
        if self.seconds > 0.0 { (self.to_per_s - self.from_per_s) / self.seconds } else { 0.0 }
    }

    /// When `expected` reaches `count`: the root of a quadratic, in the form that does not cancel (and needs no slope).
    fn when(&self, count: f64) -> f64 {
        let (a, k) = (self.from_per_s, self.slope());
        if count <= 0.0 { 0.0 } else { 2.0 * count / (a + (a * a + 2.0 * k * count).max(0.0).sqrt()) }
    }
}

impl Arrivals {
    pub fn steady(spacing: Spacing, per_s: f64) -> Self {
        Self { spacing, stretches: vec![Stretch::steady(1.0, per_s)] }
    }

    /// The same with `seconds` before it at the intensity with which it begins.
    pub fn after_warmup(mut self, seconds: f64) -> Self {
        if let Some(first) = self.stretches.first().filter(|_| seconds > 0.0) {
            self.stretches.insert(0, Stretch::steady(seconds, first.from_per_s));
        }
        self
    }

    /// Arrivals per second at `at_s`.
    pub fn intensity(&self, at_s: f64) -> f64 {
        let mut begin = 0.0;
        for s in &self.stretches {
            if at_s < begin + s.seconds {
                return s.from_per_s + s.slope() * (at_s - begin).max(0.0);
            }
            begin += s.seconds;
        }
        self.last_per_s()
    }

    /// The highest intensity before `until_s`.
    pub fn peak(&self, until_s: f64) -> f64 {
        let mut begin = 0.0;
        let mut peak: f64 = 0.0;
        for s in &self.stretches {
            if begin < until_s {
                peak = peak.max(s.from_per_s).max(self.intensity((begin + s.seconds).min(until_s)));
                peak = peak.max(if begin + s.seconds <= until_s { s.to_per_s } else { 0.0 });
            }
            begin += s.seconds;
        }
        peak
    }

    /// Expected arrivals before `until_s`: the integral of the intensity.
    pub fn expected(&self, until_s: f64) -> f64 {
        let (mut begin, mut sum) = (0.0, 0.0);
        for s in &self.stretches {
            sum += s.expected((until_s - begin).clamp(0.0, s.seconds));
            begin += s.seconds;
        }
        sum + self.last_per_s() * (until_s - begin).max(0.0)
    }

    /// When so many arrivals are expected; infinite when that never comes. The inverse of `expected`.
    pub fn when(&self, count: f64) -> f64 {
        let (mut begin, mut left) = (0.0, count);
        for s in &self.stretches {
            let inside = s.expected(s.seconds);
            if left < inside {
                return begin + s.when(left).min(s.seconds);
            }
            left -= inside;
            begin += s.seconds;
        }
        let last = self.last_per_s();
        if last > 0.0 { begin + left / last } else { f64::INFINITY }
    }

    fn last_per_s(&self) -> f64 {
        self.stretches.last().map_or(0.0, |s| s.to_per_s)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_arrivals() -> impl Strategy<Value = Arrivals> {
        let stretch = (0.1f64..20.0, 0.0f64..500.0, 0.0f64..500.0)
            .prop_map(|(seconds, from_per_s, to_per_s)| Stretch { seconds, from_per_s, to_per_s });
        prop::collection::vec(stretch, 0..6)
            .prop_map(|stretches| Arrivals { spacing: Spacing::Even, stretches })
    }

    #[test]
    fn a_ramp_is_a_triangle_on_its_base() {
        let ramp = Stretch { seconds: 10.0, from_per_s: 100.0, to_per_s: 300.0 };
        let ramp = Arrivals { spacing: Spacing::Even, stretches: vec![ramp] };
        assert_eq!(ramp.expected(10.0), 2_000.0);
        assert_eq!(ramp.expected(12.0), 2_600.0, "its end goes on");
        assert_eq!((ramp.intensity(5.0), ramp.peak(10.0), ramp.peak(5.0)), (200.0, 300.0, 200.0));
        assert_eq!(Arrivals::steady(Spacing::Even, 500.0).when(5_000.0), 10.0);
        assert_eq!(ramp.after_warmup(2.0).expected(2.0), 200.0);
    }

    #[test]
    fn nobody_comes_where_nobody_was_asked_for() {
        let nobody = Arrivals { spacing: Spacing::Poisson, stretches: Vec::new() };
        assert_eq!((nobody.expected(9.0), nobody.when(0.5)), (0.0, f64::INFINITY));
    }

    proptest! {
        #[test]
        fn when_is_the_inverse_of_expected(arrivals in any_arrivals(), share in 0.0f64..1.0, until in 0.1f64..100.0) {
            let count = share * arrivals.expected(until);
            let when = arrivals.when(count);
            prop_assume!(when.is_finite());
            prop_assert!((arrivals.expected(when) - count).abs() < 1e-6 * (1.0 + count), "{when}");
        }

        #[test]
        fn expected_is_the_integral_of_the_intensity(arrivals in any_arrivals(), until in 0.1f64..50.0) {
            let slices = 20_000;
            let dt = until / f64::from(slices);
            let sum: f64 = (0..slices).map(|i| arrivals.intensity((f64::from(i) + 0.5) * dt) * dt).sum();
            // A jump inside a slice is missed by less than the slice.
            prop_assert!((sum - arrivals.expected(until)).abs() < 1e-6 * sum + 500.0 * 6.0 * dt);
            prop_assert!(arrivals.expected(until) <= arrivals.peak(until) * until * (1.0 + 1e-9) + 1e-9);
        }
    }
}
