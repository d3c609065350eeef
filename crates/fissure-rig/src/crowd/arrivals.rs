//! When users arrive: the instants of an arrival process, a pure function of its description and a seed.

use fissure_facts::{Arrivals, Spacing};
use rand::{RngExt, SeedableRng};
use rand_distr::Exp1;
use rand_pcg::Pcg64Mcg;

/// Nanoseconds from the beginning of the process, without end unless nobody comes any more.
///
/// A Poisson process of any intensity is one of intensity 1 in another time (Çinlar, "Introduction to Stochastic Processes"
/// (1975), §4.7): the n-th user comes when the expected arrivals reach the sum of n exponential gaps. Evenly spaced, the
/// n-th comes when n are expected, and the first at once.
///
/// `one_of` many: of so many Poisson users one comes, every `one_of`-th, and stays for all. How many are inside then swings by
/// the same share as if all had come (the gaps are Erlang's). Which is the first is drawn, or the beginning would be emptier.
pub(super) fn instants(arrivals: Arrivals, one_of: u32, seed: u64) -> impl Iterator<Item = u64> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let one_of = one_of.max(1);
    let mut count = match arrivals.spacing {
        Spacing::Poisson => 0.0,
        Spacing::Even => -1.0,
    };
    let mut gaps = if one_of > 1 { random.random_range(1..=one_of) } else { 1 };
    std::iter::from_fn(move || {
        count += match arrivals.spacing {
            Spacing::Poisson => {
                let gaps = std::mem::replace(&mut gaps, one_of);
                (0..gaps).map(|_| random.sample::<f64, _>(Exp1)).sum::<f64>() / f64::from(one_of)
            }
            Spacing::Even => 1.0,
        };
        let at_s = arrivals.when(count);
        at_s.is_finite().then_some((at_s * 1e9) as u64)
    })
}

#[cfg(test)]
mod tests {
    use fissure_facts::Stretch;
    use proptest::prelude::*;

    use super::*;

    /// Any shape that the command line can make, over about ten seconds.
    fn any_shape() -> impl Strategy<Value = Vec<Stretch>> {
        let steady = (1.0f64..900.0).prop_map(|r| vec![Stretch::steady(10.0, r)]);
        let ramp = (0.0f64..900.0, 1.0f64..900.0)
            .prop_map(|(from_per_s, to_per_s)| vec![Stretch { seconds: 10.0, from_per_s, to_per_s }]);
        let stairs = prop::collection::vec(0.0f64..900.0, 1..6)
            .prop_map(|rates| rates.into_iter().map(|r| Stretch::steady(2.0, r)).collect());
        let spike = (1.0f64..300.0, 300.0f64..2_000.0).prop_map(|(base, top)| {
            vec![Stretch::steady(4.0, base), Stretch::steady(1.0, top), Stretch::steady(5.0, base)]
        });
        prop_oneof![steady, ramp, stairs, spike]
    }

    fn until(arrivals: &Arrivals, seed: u64, seconds: f64) -> Vec<f64> {
        one_of(1, arrivals, seed, seconds)
    }

    fn one_of(many: u32, arrivals: &Arrivals, seed: u64, seconds: f64) -> Vec<f64> {
        instants(arrivals.clone(), many, seed)
            .map(|ns| ns as f64 / 1e9)
            .take_while(|at| *at < seconds)
            .collect()
    }

    proptest! {
        #[test]
        fn even_arrivals_are_never_one_away_from_their_intensity(stretches in any_shape(), seconds in 0.5f64..15.0) {
            let arrivals = Arrivals { spacing: Spacing::Even, stretches };
            let came = until(&arrivals, 1, seconds);
            for (n, at) in came.iter().enumerate() {
                prop_assert!((arrivals.expected(*at) - n as f64).abs() < 0.01, "the {n}th came at {at}");
            }
            prop_assert!((came.len() as f64 - arrivals.expected(seconds)).abs() <= 1.01);
        }

        /// Six standard deviations: one run in a billion would fail by chance.
        #[test]
        fn poisson_arrivals_are_as_many_as_their_intensity_says(stretches in any_shape(), seed: u64, seconds in 0.5f64..15.0) {
            let arrivals = Arrivals { spacing: Spacing::Poisson, stretches };
            let (came, expected) = (until(&arrivals, seed, seconds), arrivals.expected(seconds));
            prop_assert!((came.len() as f64 - expected).abs() <= 6.0 * expected.sqrt() + 12.0, "{} for {expected}", came.len());
        }

        /// The same share of the mean as of all whom they stand for: six standard deviations.
        #[test]
        fn one_of_many_comes_as_often_and_swings_less(stretches in any_shape(), seed: u64, many in 2u32..40, seconds in 0.5f64..15.0) {
            let arrivals = Arrivals { spacing: Spacing::Poisson, stretches };
            let (came, expected) = (one_of(many, &arrivals, seed, seconds), arrivals.expected(seconds));
            let swing = 6.0 * (expected / f64::from(many)).sqrt() + 2.0 + 12.0 / f64::from(many);
            prop_assert!((came.len() as f64 - expected).abs() <= swing, "{} for {expected}", came.len());
        }

        /// In the time of its own intensity every Poisson process has exponential gaps of mean 1: the largest distance of
        /// their distribution to the exponential one (Kolmogorov and Smirnov) is small. 3.3 / sqrt n has odds of 1 in a billion.
        #[test]
        fn the_gaps_of_poisson_arrivals_are_exponential(stretches in any_shape(), seed: u64) {
            let arrivals = Arrivals { spacing: Spacing::Poisson, stretches };
            let counts: Vec<f64> = until(&arrivals, seed, 15.0).iter().map(|at| arrivals.expected(*at)).collect();
            prop_assume!(counts.len() > 50);
            let mut gaps: Vec<f64> = counts.windows(2).map(|pair| pair[1] - pair[0]).collect();
            gaps.sort_by(f64::total_cmp);
            let n = gaps.len() as f64;
            let distance = gaps.iter().enumerate().map(|(i, gap)| {
                let exact = 1.0 - (-gap).exp();
                (exact - i as f64 / n).abs().max((exact - (i as f64 + 1.0) / n).abs())
            }).fold(0.0, f64::max);
            prop_assert!(distance < 3.3 / n.sqrt(), "{distance} with {n} gaps");
        }

        #[test]
        fn a_seed_repeats_and_time_goes_forward(stretches in any_shape(), seed: u64) {
            let arrivals = Arrivals { spacing: Spacing::Poisson, stretches };
            let came = until(&arrivals, seed, 12.0);
            prop_assert!(came.is_sorted());
            prop_assert_eq!(&came, &until(&arrivals, seed, 12.0));
            prop_assert!(came.len() < 50 || came != until(&arrivals, seed ^ 1, 12.0));
        }
    }

    #[test]
    fn five_hundred_a_second_for_ten_seconds_are_five_thousand() {
        let arrivals = Arrivals::steady(Spacing::Even, 500.0);
        let came: Vec<u64> = instants(arrivals, 1, 1).take_while(|ns| *ns < 10_000_000_000).collect();
        assert_eq!((came.len(), came[0], came[1], came[4_999]), (5_000, 0, 2_000_000, 9_998_000_000));
    }
}
