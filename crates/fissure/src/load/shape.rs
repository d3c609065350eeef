//! How users arrive, as it is written on the command line: `500`, `100..1000`, `2000@10s+5s`.

use std::str::FromStr;

use fissure_facts::Stretch;
use fissure_facts::config::Span;

/// More than any machine sends; what is above is a slip of the finger.
const RATE_MAX: f64 = 1e6;

/// Users per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

/// From one rate to another; the same where it is steady.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    pub from: Rate,
    pub to: Rate,
}

/// A rate that holds for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spike {
    pub rate: Rate,
    pub at: Span,
    pub lasts: Span,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches("/s").parse::<f64>();
        match number {
            Ok(rate) if (0.0..=RATE_MAX).contains(&rate) => Ok(Self(rate)),
            Ok(_) => Err(format!("{text} is no rate: it is users per second, between 0 and {RATE_MAX:.0}")),
            Err(_) => Err(format!("`{text}` is not a rate: write users per second, like `500`")),
        }
    }
}

impl FromStr for Ramp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let ramp = Self { from: from.parse()?, to: to.parse()? };
        if ramp.from.0 <= 0.0 && ramp.to.0 <= 0.0 {
            return Err("a rate of 0 is no load: nobody would come".to_owned());
        }
        Ok(ramp)
    }
}

impl FromStr for Spike {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a spike: write its rate, when it begins and how long it lasts, like `2000@10s+5s`"
            )
        };
        let (rate, times) = text.split_once('@').ok_or_else(wrong)?;
        let (at, lasts) = times.split_once('+').ok_or_else(wrong)?;
        let span = |text: &str| text.parse::<Span>().map_err(|e| e.to_string());
        Ok(Self { rate: rate.parse()?, at: span(at)?, lasts: span(lasts)? })
    }
}

impl Ramp {
    pub fn over(self, seconds: f64) -> Vec<Stretch> {
        vec![Stretch { seconds, from_per_s: self.from.0, to_per_s: self.to.0 }]
    }
}

pub fn stairs(rates: &[Rate], seconds: f64) -> Vec<Stretch> {
    rates.iter().map(|rate| Stretch::steady(seconds / rates.len() as f64, rate.0)).collect()
}

/// The same with a spike in it.
pub fn with_spike(stretches: &[Stretch], spike: &Spike) -> Vec<Stretch> {
    let (from, to) = (spike.at.0.as_secs_f64(), (spike.at.0 + spike.lasts.0).as_secs_f64());
    let mut out = Vec::new();
    let mut begin = 0.0;
    for s in stretches {
        let end = begin + s.seconds;
        let mut cuts = vec![begin, from.clamp(begin, end), to.clamp(begin, end), end];
        cuts.dedup();
        let at = |x: f64| s.from_per_s + (s.to_per_s - s.from_per_s) * (x - begin) / s.seconds;
        out.extend(cuts.windows(2).map(|cut| {
            let seconds = cut[1] - cut[0];
            if cut[0] >= from && cut[1] <= to {
                Stretch::steady(seconds, spike.rate.0)
            } else {
                Stretch { seconds, from_per_s: at(cut[0]), to_per_s: at(cut[1]) }
            }
        }));
        begin = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use fissure_facts::{Arrivals, Spacing};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        assert_eq!("500".parse(), Ok(Ramp { from: Rate(500.0), to: Rate(500.0) }));
        assert_eq!("0.5..30/s".parse(), Ok(Ramp { from: Rate(0.5), to: Rate(30.0) }));
        let spike: Spike = "2000@10s+500ms".parse().unwrap();
        assert_eq!((spike.rate, spike.at.0.as_secs(), spike.lasts.0.as_millis()), (Rate(2000.0), 10, 500));
        for wrong in ["", "many", "-1", "1e9", "nan", "inf", "0", "5..", "..5"] {
            assert!(wrong.parse::<Ramp>().is_err(), "{wrong}");
        }
        for wrong in ["", "5", "5@", "5@1s", "5@1s+", "5@1+1", "@1s+1s"] {
            assert!(wrong.parse::<Spike>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_spike_changes_nothing_but_its_time(from in 0.0f64..500.0, to in 0.0f64..500.0, at in 0u64..12, lasts in 1u64..12) {
            let base = Ramp { from: Rate(from), to: Rate(to) }.over(10.0);
            let spike: Spike = format!("900@{at}s+{lasts}s").parse().unwrap();
            let arrivals = |stretches| Arrivals { spacing: Spacing::Even, stretches };
            let spiked = arrivals(with_spike(&base, &spike));
            let base = arrivals(base);
            for tenth in 0..100 {
                let x = f64::from(tenth) / 10.0 + 0.05;
                let inside = x > at as f64 && x < (at + lasts) as f64;
                let expected = if inside { 900.0 } else { base.intensity(x) };
                prop_assert!((spiked.intensity(x) - expected).abs() < 1e-6, "at {x}");
            }
            prop_assert!((spiked.stretches.iter().map(|s| s.seconds).sum::<f64>() - 10.0).abs() < 1e-9);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,30}", like in "[0-9.@+sm-]{0,20}") {
            for text in [text, like] {
                let _ = (text.parse::<Ramp>(), text.parse::<Spike>());
            }
        }
    }
}
