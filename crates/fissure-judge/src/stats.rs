//! Statistics with few samples: the small part that the judge needs, each formula with its source and its limits.

use fissure_facts::Estimate;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Resamples of a bootstrap. Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), §19.3: 1,000 to 2,000 for intervals.
const RESAMPLES: usize = 1_000;

/// From this many values on, a bootstrap is trusted; below, Student's t.
///
/// The percentile bootstrap of n values is too narrow by about sqrt((n-1)/n) and knows no t-tails: nominal 95 % intervals of 3
/// values cover about 75 %; BCa of 12 values covers 88 % (measured by the test below). Hesterberg, "What Teachers Should Know About the
/// Bootstrap", The American Statistician 69 (2015), §4: t is the better choice for small samples that are about symmetric.
const ENOUGH_TO_RESAMPLE: usize = 30;

/// The generator of every random choice: its stream never changes between versions, so a seed repeats.
pub fn seeded(seed: u64) -> Pcg64 {
    Pcg64::seed_from_u64(seed)
}

/// Zero when there are no values.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Standard deviation with n - 1 in the denominator; zero for fewer than two values.
pub fn sample_sd(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// Linear interpolation between order statistics (type 7 of Hyndman & Fan, 1996). None when there are no values.
pub fn quantile(values: &[f64], quantile: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let position = quantile.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64))
}

pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Percentile bootstrap of a statistic, 95 %. None when there are no values. Too narrow below thirty values.
pub fn bootstrap(values: &[f64], seed: u64, statistic: impl Fn(&[f64]) -> f64) -> Option<Estimate> {
    let resampled = resample(values, seed, &statistic)?;
    Some(Estimate::new(statistic(values), quantile(&resampled, 0.025)?, quantile(&resampled, 0.975)?))
}

fn resample(values: &[f64], seed: u64, statistic: &impl Fn(&[f64]) -> f64) -> Option<Vec<f64>> {
    if values.is_empty() {
        return None;
    }
    let mut random = seeded(seed);
    let mut sample = values.to_vec();
    Some(
        (0..RESAMPLES)
            .map(|_| {
                sample.fill_with(|| values[random.random_range(0..values.len())]);
                statistic(&sample)
            })
            .collect(),
    )
}

/// The mean with its 95 % interval: Student's t for few values, BCa bootstrap for thirty or more. None below two values.
pub fn mean_estimate(values: &[f64], seed: u64) -> Option<Estimate> {
    if values.len() < 2 {
        return None;
    }
    let mid = mean(values);
    if values.len() < ENOUGH_TO_RESAMPLE {
        let half = t_975(values.len() - 1) * sample_sd(values) / (values.len() as f64).sqrt();
        return Some(Estimate::new(mid, mid - half, mid + half));
    }
    bca_of_mean(values, seed)
}

/// Bias-corrected and accelerated bootstrap of the mean. Efron, "Better Bootstrap Confidence Intervals", JASA 82 (1987).
fn bca_of_mean(values: &[f64], seed: u64) -> Option<Estimate> {
    let mid = mean(values);
    let resampled = resample(values, seed, &mean)?;
    let share_below = resampled.iter().filter(|m| **m < mid).count() as f64 / resampled.len() as f64;
    // All values equal, or so skewed that the correction is not defined: the plain percentiles.
    let bias = if share_below > 0.0 && share_below < 1.0 { normal_quantile(share_below) } else { 0.0 };
    // The jackknife's acceleration, which for a mean is the skewness / (6 sqrt n).
    let cubes: f64 = values.iter().map(|v| (v - mid).powi(3)).sum();
    let squares: f64 = values.iter().map(|v| (v - mid).powi(2)).sum();
    let acceleration = if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 };
    let adjusted = |q: f64| {
        let z = bias + normal_quantile(q);
        normal_cdf(bias + z / (1.0 - acceleration * z))
    };
    Some(Estimate::new(mid, quantile(&resampled, adjusted(0.025))?, quantile(&resampled, adjusted(0.975))?))
}

/// The ratio remedy over whole from pairs of neighbours in time: the geometric mean of the pairs' ratios, by the mean of their logs.
///
/// Pairs cancel what both halves share (a slow minute of the machine); logs make x2 and x0.5 equally far from 1. With fewer than thirty
/// pairs the interval is Student's t on the logs, which assumes that they are about normal. Pairs with a value that is not positive
/// are left out. None below two pairs: one pair says nothing about its own error.
pub fn paired_log_ratio(pairs: &[(f64, f64)], seed: u64) -> Option<Estimate> {
    let logs: Vec<f64> = pairs
        .iter()
        .filter(|(remedy, whole)| *remedy > 0.0 && *whole > 0.0 && remedy.is_finite() && whole.is_finite())
        .map(|(remedy, whole)| (remedy / whole).ln())
        .collect();
    let log = mean_estimate(&logs, seed)?;
    Some(Estimate::new(log.mid.exp(), log.low.exp(), log.high.exp()))
}

/// A share with its 95 % interval. Wilson, JASA 22 (1927): unlike the textbook interval it holds near 0 and 1 and for few trials.
/// The middle is the plain share. Trials must be independent.
pub fn wilson(hits: u64, trials: u64) -> Option<Estimate> {
    if trials == 0 || hits > trials {
        return None;
    }
    let (n, z) = (trials as f64, 1.959_964);
    let share = hits as f64 / n;
    let scale = 1.0 + z * z / n;
    let middle = (share + z * z / (2.0 * n)) / scale;
    let half = z / scale * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Estimate::new(share, (middle - half).clamp(0.0, share), (middle + half).clamp(share, 1.0)))
}

/// The 97.5 % quantile of Student's t: what a 95 % interval multiplies a standard error by.
///
/// Exact values up to 10 degrees of freedom, then Abramowitz & Stegun 26.7.5 (three terms, within 1e-4 there).
/// Infinite for none: nothing is known of the error.
pub fn t_975(degrees: usize) -> f64 {
    const EXACT: [f64; 10] =
        [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281];
    match degrees {
        0 => f64::INFINITY,
        1..=10 => EXACT[degrees - 1],
        _ => {
            let (z, n) = (1.959_964_f64, degrees as f64);
            let term1 = (z.powi(3) + z) / 4.0;
            let term2 = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
            let term3 = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
            z + term1 / n + term2 / n.powi(2) + term3 / n.powi(3)
        }
    }
}

/// Distribution function of the standard normal; Abramowitz & Stegun 26.2.17, within 7.5e-8.
pub fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let upper = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * series;
    if z >= 0.0 { 1.0 - upper } else { upper }
}

/// Inverse of [`normal_cdf`], by bisection: simple, and exact enough for any interval. Clamped to +-8.
pub fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_cdf(middle) < probability { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn t_joins_its_table_and_its_series() {
        for (degrees, exact) in [(11, 2.2010), (15, 2.1314), (30, 2.0423), (120, 1.9799)] {
            assert!((t_975(degrees) - exact).abs() < 5e-4, "{degrees}: {}", t_975(degrees));
        }
    }

    #[test]
    fn the_normal_and_its_inverse_agree_with_the_tables() {
        assert!((normal_cdf(1.959_964) - 0.975).abs() < 1e-6);
        assert!((normal_quantile(0.025) + 1.959_964).abs() < 1e-4);
    }

    #[test]
    fn wilson_agrees_with_its_published_example() {
        // Brown, Cai & DasGupta (2001): the interval of 0 in 10 is [0, 0.278].
        let none = wilson(0, 10).unwrap();
        assert!(none.low == 0.0 && (none.high - 0.2775).abs() < 1e-3, "{none:?}");
        assert_eq!(wilson(0, 0), None);
    }

    /// Intervals of 3 to 6 pairs were far too narrow with the percentile bootstrap: 95 % in name covered about 75 %.
    #[test]
    fn intervals_of_few_and_of_many_pairs_cover_the_truth() {
        for pairs in [3, 5, 12, 40] {
            let covered = (0..200)
                .filter(|seed| {
                    let mut random = seeded(*seed);
                    let noise = Normal::new(0.0, 0.1).unwrap();
                    let pairs: Vec<_> = (0..pairs)
                        .map(|_| {
                            let block: f64 = noise.sample(&mut random) * 5.0;
                            let of =
                                |truth: f64, random: &mut Pcg64| truth * (block + noise.sample(random)).exp();
                            (of(0.8, &mut random), of(1.0, &mut random))
                        })
                        .collect();
                    paired_log_ratio(&pairs, *seed).unwrap().contains(0.8)
                })
                .count();
            assert!(covered >= 179, "{pairs} pairs: {covered} of 200 intervals cover the truth");
        }
    }

    #[test]
    fn one_pair_is_no_evidence() {
        assert_eq!(paired_log_ratio(&[(1.0, 2.0)], 1), None);
        assert_eq!(paired_log_ratio(&[(1.0, 2.0), (0.0, 2.0), (f64::NAN, 1.0)], 1), None);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_middle_and_repeats(values in prop::collection::vec(0.1f64..10.0, 2..40), seed: u64) {
            let estimate = mean_estimate(&values, seed).unwrap();
            prop_assert!(estimate.low <= estimate.mid + 1e-9 && estimate.mid <= estimate.high + 1e-9);
            prop_assert_eq!(Some(estimate), mean_estimate(&values, seed));
        }

        #[test]
        fn a_ratio_turned_around_is_the_inverse(pairs in prop::collection::vec((0.1f64..10.0, 0.1f64..10.0), 2..9)) {
            let there = paired_log_ratio(&pairs, 1).unwrap();
            let back: Vec<_> = pairs.iter().map(|&(a, b)| (b, a)).collect();
            let back = paired_log_ratio(&back, 1).unwrap();
            prop_assert!((there.mid * back.mid - 1.0).abs() < 1e-9 && (there.low * back.high - 1.0).abs() < 1e-6);
        }

        #[test]
        fn wilson_never_leaves_zero_to_one(hits in 0u64..1000, more in 0u64..1000) {
            if let Some(share) = wilson(hits, hits + more) {
                prop_assert!(0.0 <= share.low && share.low <= share.mid && share.mid <= share.high && share.high <= 1.0);
            }
        }
    }
}
