//! Numbers as a person reads them: `1,900 ms`, `48 requests/s`, `140 ms (95 % interval 120 to 165)`, `fell 81 %`.
//!
//! A number is never written finer than it is known: the interval decides the last digit, and a bare number keeps
//! three significant ones. What is not finite is `unknown`, so no text can hold a NaN.

use fissure_facts::Estimate;

/// What is written where no number is known.
pub const UNKNOWN: &str = "unknown";

/// Three significant digits, thousands apart: `1,930`, `48.3`, `0.07`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    let text = rounded(value, step_of_digits(value, 3));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Two to three digits, never more than the value: what was reached stays true.
fn floor(value: f64) -> String {
    let step = if value.abs() < 1.0 { step_of_digits(value, 2) } else { step_of_digits(value, 3).max(0.1) };
    // A value that is already a multiple of the step stays what it is, whatever its last bit.
    rounded((value / step + 1e-9).floor() * step, step).trim_end_matches(".0").to_owned()
}

/// `12.3 ms`.
pub fn ms(value: f64) -> String {
    with_unit(number(value), "ms")
}

/// A share between 0 and 1 as `4 %`; what is small but not nothing is not written as nothing.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return UNKNOWN.to_owned();
    }
    let value = share * 100.0;
    if value > 0.0 && value < 0.1 {
        return "less than 0.1 %".to_owned();
    }
    let step = if value.abs() < 9.95 { 0.1 } else { 1.0 };
    let text = rounded(value, step);
    format!("{} %", text.trim_end_matches(".0"))
}

/// `1 CPU`, `2 CPUs`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", group(&n.to_string()), if n == 1 { one } else { many })
}

/// An estimate as texts, rounded alike. The interval is absent when the value is exact or has no bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    pub mid: String,
    pub interval: Option<String>,
}

pub fn parts(e: Estimate) -> Parts {
    if !e.mid.is_finite() {
        return Parts { mid: UNKNOWN.to_owned(), interval: None };
    }
    // Nothing below `mid` and no end above: only that much was reached.
    if e.low == e.mid && e.high == f64::INFINITY {
        return Parts { mid: format!("at least {}", floor(e.mid)), interval: None };
    }
    let no_bounds = !e.low.is_finite() && !e.high.is_finite();
    if no_bounds || (e.low == e.mid && e.mid == e.high) {
        return Parts { mid: number(e.mid), interval: None };
    }
    let step = step_of_interval(e);
    // What is not 0 is not written as if it could be, unless it hardly differs from it.
    let write =
        |v: f64| rounded(v, if v >= step / 20.0 && v < step / 2.0 { step_of_digits(v, 1) } else { step });
    let interval = match (e.low.is_finite(), e.high.is_finite()) {
        (true, true) => Some(format!("{} to {}", write(e.low), write(e.high))),
        (true, false) => Some(format!("{} or more", write(e.low))),
        (false, true) => Some(format!("{} or less", write(e.high))),
        (false, false) => None,
    };
    Parts { mid: write(e.mid), interval }
}

/// For the first mention: `140 ms (95 % interval 120 to 165)`.
pub fn claim(e: Estimate, unit: &str) -> String {
    joined(e, unit, "95 % interval ")
}

/// Where the reader knows what stands in brackets: `140 ms (120 to 165)`.
pub fn brief(e: Estimate, unit: &str) -> String {
    joined(e, unit, "")
}

/// A ratio: `1.8 times (1.6 to 2.0)`.
pub fn times(e: Estimate) -> String {
    brief(e, "times")
}

fn joined(e: Estimate, unit: &str, prefix: &str) -> String {
    let parts = parts(e);
    let mid = with_unit(parts.mid, unit);
    match parts.interval {
        Some(interval) => format!("{mid} ({prefix}{interval})"),
        None => mid,
    }
}

/// A ratio as a change: `fell 81 % (77 to 84)`, `rose 12 % (4 to 20)`, `rose to 3.2 times (2.9 to 3.6)`; when the
/// interval holds 1 there is no claim: `did not clearly change (ratio 0.97, 0.9 to 1.05)`.
pub fn change(ratio: Estimate) -> String {
    if !(ratio.mid.is_finite() && ratio.low.is_finite() && ratio.high.is_finite()) {
        return "changed by an unknown amount".to_owned();
    }
    if ratio.contains(1.0) {
        let p = parts(ratio);
        let interval = p.interval.map(|i| format!(", {i}")).unwrap_or_default();
        return format!("did not clearly change (ratio {}{interval})", p.mid);
    }
    if ratio.mid < 1.0 {
        let fall = Estimate::new(1.0 - ratio.mid, 1.0 - ratio.high, 1.0 - ratio.low).scaled(100.0);
        format!("fell {}", brief(fall, "%"))
    } else if ratio.mid < 2.0 {
        let rise = Estimate::new(ratio.mid - 1.0, ratio.low - 1.0, ratio.high - 1.0).scaled(100.0);
        format!("rose {}", brief(rise, "%"))
    } else {
        format!("rose to {}", times(ratio))
    }
}

fn with_unit(number: String, unit: &str) -> String {
    if unit.is_empty() || number == UNKNOWN { number } else { format!("{number} {unit}") }
}

/// The power of ten at which `digits` significant digits of `value` end.
fn step_of_digits(value: f64, digits: i32) -> f64 {
    if value == 0.0 { 1.0 } else { 10f64.powi(value.abs().log10().floor() as i32 + 1 - digits) }
}

/// The last digit worth writing: one significant digit of the interval's nearer side, two when that digit is a 1
/// (the usual rule for uncertainties: rounding 1.4 to 1 would lose too much). Never more than four digits of the
/// largest number.
fn step_of_interval(e: Estimate) -> f64 {
    let sides = [e.mid - e.low, e.high - e.mid];
    let side = sides.into_iter().filter(|s| s.is_finite() && *s > 0.0).fold(f64::INFINITY, f64::min);
    let largest = [e.mid, e.low, e.high]
        .into_iter()
        .filter(|v| v.is_finite())
        .fold(0.0, |most: f64, v| most.max(v.abs()));
    if !side.is_finite() {
        return step_of_digits(e.mid, 3);
    }
    let one_digit = step_of_digits(side, 1);
    let wanted = if side / one_digit < 1.95 { one_digit / 10.0 } else { one_digit };
    wanted.max(step_of_digits(largest, 4))
}

/// `value` to the nearest multiple of `step` (a power of ten), thousands apart.
fn rounded(value: f64, step: f64) -> String {
    let decimals = (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
    let nearest = if step >= 1.0 { (value / step).round() * step } else { value };
    let text = format!("{nearest:.decimals$}");
    // "-0" and "-0.00" are noise of rounding.
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    group(if zero { text.trim_start_matches('-') } else { &text })
}

/// Thousands apart: `1234567.8` is `1,234,567.8`.
fn group(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut out = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_keep_three_digits() {
        let cases = [
            (1_934.0, "1,930"),
            (190.4, "190"),
            (12.34, "12.3"),
            (14.0, "14"),
            (0.0701, "0.0701"),
            (0.0, "0"),
            (-0.0001, "-0.0001"),
            (1_234_567.0, "1,230,000"),
            (f64::NAN, "unknown"),
            (f64::NEG_INFINITY, "unknown"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(ms(f64::INFINITY), "unknown");
    }

    #[test]
    fn the_interval_decides_the_last_digit() {
        assert_eq!(brief(Estimate::new(733.0, 691.0, 778.0), ""), "730 (690 to 780)");
        assert_eq!(times(Estimate::new(1.8, 1.6, 2.0)), "1.8 times (1.6 to 2.0)");
        assert_eq!(brief(Estimate::new(0.07, 0.05, 0.10), ""), "0.07 (0.05 to 0.10)");
        assert_eq!(
            claim(Estimate::new(1_912.3, 1_744.0, 2_104.0), "ms"),
            "1,910 ms (95 % interval 1,740 to 2,100)"
        );
        assert_eq!(brief(Estimate::exact(4.0), "CPUs"), "4 CPUs");
        assert_eq!(brief(Estimate::new(5_000.0, 430.0, 12_000.0), ""), "5,000 (400 to 12,000)");
        assert_eq!(brief(Estimate::new(5_000.0, 10.0, 12_000.0), ""), "5,000 (0 to 12,000)");
    }

    #[test]
    fn a_bound_that_is_not_known_is_not_invented() {
        assert_eq!(
            brief(Estimate::new(50.0, 40.0, f64::INFINITY), "requests/s"),
            "50 requests/s (40 or more)"
        );
        assert_eq!(brief(Estimate::new(50.0, f64::NAN, f64::NAN), "ms"), "50 ms");
    }

    #[test]
    fn the_least_that_was_reached_is_never_written_larger() {
        let least = |mid| brief(Estimate::new(mid, mid, f64::INFINITY), "requests/s");
        assert_eq!(least(260.0), "at least 260 requests/s");
        assert_eq!(least(265.9), "at least 265 requests/s");
        assert_eq!(least(8.38), "at least 8.3 requests/s");
        assert_eq!(least(0.999), "at least 0.99 requests/s");
        assert_eq!(least(1.2), "at least 1.2 requests/s");
        assert_eq!(least(2.0), "at least 2 requests/s");
        assert_eq!(least(12_399.0), "at least 12,300 requests/s");
        assert_eq!(brief(Estimate::new(f64::NAN, 1.0, 2.0), "ms"), "unknown");
    }

    #[test]
    fn changes_are_claimed_only_when_the_interval_excludes_none() {
        assert_eq!(change(Estimate::new(0.19, 0.16, 0.23)), "fell 81 % (77 to 84)");
        assert_eq!(change(Estimate::new(1.12, 1.04, 1.2)), "rose 12 % (4 to 20)");
        assert_eq!(change(Estimate::new(3.2, 2.9, 3.6)), "rose to 3.2 times (2.9 to 3.6)");
        assert_eq!(
            change(Estimate::new(0.97, 0.9, 1.05)),
            "did not clearly change (ratio 0.97, 0.90 to 1.05)"
        );
        assert_eq!(change(Estimate::new(0.5, f64::NAN, 1.0)), "changed by an unknown amount");
    }

    #[test]
    fn percents_do_not_hide_a_small_share() {
        assert_eq!(percent(0.81), "81 %");
        assert_eq!(percent(0.034), "3.4 %");
        assert_eq!(percent(0.05), "5 %");
        assert_eq!(percent(0.0004), "less than 0.1 %");
        assert_eq!(percent(0.0), "0 %");
    }

    /// Every magnitude is written within half a per cent of itself, whatever the digits.
    #[test]
    fn no_magnitude_is_distorted() {
        for exponent in -5..9 {
            for lead in [1.0, 1.004, 2.345, 5.55, 9.994, 9.996] {
                let value = lead * 10f64.powi(exponent);
                let read: f64 = number(value).replace(',', "").parse().unwrap();
                assert!((read - value).abs() <= value * 0.005_1, "{value} became {read}");
            }
        }
    }
}
