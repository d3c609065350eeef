//! Thresholds of a load run: `p95 < 300ms`, `p99 of GET /photos/{id} < 50ms`, `errors < 1%`, `rate >= 450`.
//!
//! A wrong answer is never a fast one: in a quantile it counts as slower than every right answer, so `p95 < 300ms` says that
//! 95 of 100 requests got a right answer within 300 ms.

use std::fmt;
use std::str::FromStr;

use fissure_facts::config::Span;
use fissure_facts::fact::RouteSecond;
use fissure_facts::{Route, Window};

#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As the user wrote it.
    pub text: String,
    pub what: Quantity,
    pub of: Scope,
    /// `<=` or `>=`.
    pub or_equal: bool,
    /// In the unit of the quantity: microseconds, a share, requests per second.
    pub limit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A latency that this share of the requests did not exceed; 1 is the longest.
    Quantile(f64),
    /// The mean latency of right answers.
    Mean,
    /// The share of wrong answers.
    Errors,
    /// Right answers per second.
    Rate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All requests together.
    All,
    /// Every route by itself: what counts is the worst.
    Every,
    Route(Route),
}

/// A threshold with what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub threshold: Threshold,
    /// In the unit of the limit; infinite where too few answers were right; None when nothing was seen.
    pub value: Option<f64>,
    /// The worst route, for a threshold on every one.
    pub worst: Option<Route>,
    pub holds: Option<bool>,
}

impl Quantity {
    /// Less is better: the threshold is written with `<`.
    fn is_bounded_above(self) -> bool {
        self != Self::Rate
    }

    pub fn is_latency(self) -> bool {
        matches!(self, Self::Quantile(_) | Self::Mean)
    }

    fn of(self, seen: &RouteSecond, seconds: f64) -> Option<f64> {
        let (right, ended) = (seen.latency.count(), seen.ended());
        match self {
            Self::Rate => (seconds > 0.0).then(|| right as f64 / seconds),
            _ if ended == 0 => None,
            Self::Errors => Some(seen.error_count() as f64 / ended as f64),
            Self::Mean => (right > 0).then(|| seen.latency.mean_us()),
            Self::Quantile(q) => {
                let rank = ((q * ended as f64).ceil() as u64).max(1);
                Some(seen.latency.rank_us(rank).map_or(f64::INFINITY, |us| us as f64))
            }
        }
    }
}

impl Threshold {
    /// Holds it against the seconds of a window.
    pub fn check(&self, window: &Window) -> Checked {
        let routes = window.routes();
        let seconds = window.seconds();
        let (value, worst) = match &self.of {
            Scope::All => (self.what.of(&window.total(), seconds), None),
            Scope::Route(wanted) => {
                let seen = routes.iter().find(|(route, _)| route.matches(wanted)).map(|(_, seen)| seen);
                (seen.and_then(|seen| self.what.of(seen, seconds)), None)
            }
            Scope::Every => {
                let each = routes
                    .iter()
                    .filter_map(|(route, seen)| Some((self.what.of(seen, seconds)?, route.clone())));
                let worst = if self.what.is_bounded_above() {
                    each.max_by(|a, b| a.0.total_cmp(&b.0))
                } else {
                    each.min_by(|a, b| a.0.total_cmp(&b.0))
                };
                worst.map_or((None, None), |(value, route)| (Some(value), Some(route)))
            }
        };
        let holds = value.map(|v| {
            let strictly = if self.what.is_bounded_above() { v < self.limit } else { v > self.limit };
            strictly || (self.or_equal && v == self.limit)
        });
        Checked { threshold: self.clone(), value, worst, holds }
    }
}

/// What is wrong with a threshold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAThreshold {
    text: String,
    /// In characters, from 1.
    pub column: usize,
    expected: String,
}

impl fmt::Display for NotAThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a threshold: at column {}, {}", self.text, self.column, self.expected)
    }
}

impl std::error::Error for NotAThreshold {}

impl FromStr for Threshold {
    type Err = NotAThreshold;

    fn from_str(text: &str) -> Result<Self, NotAThreshold> {
        let wrong = |rest: &str, expected: &str| NotAThreshold {
            text: text.to_owned(),
            column: text.chars().count() - rest.chars().count() + 1,
            expected: expected.to_owned(),
        };
        let rest = text.trim_start();
        let name =
            &rest[..rest.find(|c: char| c.is_whitespace() || c == '<' || c == '>').unwrap_or(rest.len())];
        let what = quantity(name).ok_or_else(|| {
            wrong(rest, "expected one of p50, p95, p99.9 (any quantile), mean, max, errors, rate")
        })?;

        let behind = rest[name.len()..].trim_start();
        let end = behind.find(['<', '>']).unwrap_or(behind.len());
        let of = match behind[..end].trim_end() {
            "" => Scope::All,
            words => match words.strip_prefix("of ").map(str::trim_start) {
                Some("every route") => Scope::Every,
                Some(route) => Scope::Route(route.parse().map_err(|_| {
                    let at = &behind[words.len() - route.len()..];
                    wrong(at, "expected `every route` or a route like `GET /photos/{id}`")
                })?),
                None => return Err(wrong(behind, "expected `<` or `>`, or `of` and a route")),
            },
        };

        let relation = &behind[end..];
        let wanted = if what.is_bounded_above() { '<' } else { '>' };
        let Some(value) = relation.strip_prefix(wanted) else {
            return Err(wrong(
                relation,
                &format!(
                    "expected `{wanted}`: {name} is to stay {} its limit",
                    if wanted == '<' { "below" } else { "above" }
                ),
            ));
        };
        let (or_equal, value) = value.strip_prefix('=').map_or((false, value), |value| (true, value));
        let (value, at) = (value.trim(), value.trim_start());
        let limit = match what {
            Quantity::Quantile(_) | Quantity::Mean => value
                .parse::<Span>()
                .map(|span| span.0.as_secs_f64() * 1e6)
                .map_err(|_| wrong(at, "expected a length of time like `300ms` or `2s`"))?,
            Quantity::Errors => value
                .strip_suffix('%')
                .and_then(|number| number.trim_end().parse::<f64>().ok())
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(|percent| percent / 100.0)
                .ok_or_else(|| wrong(at, "expected a share like `1%`"))?,
            Quantity::Rate => value
                .trim_end_matches("/s")
                .parse::<f64>()
                .ok()
                .filter(|rate| rate.is_finite() && *rate >= 0.0)
                .ok_or_else(|| wrong(at, "expected answers per second like `450`"))?,
        };
        Ok(Self { text: text.trim().to_owned(), what, of, or_equal, limit })
    }
}

fn quantity(name: &str) -> Option<Quantity> {
    match name {
        "mean" => Some(Quantity::Mean),
        "max" => Some(Quantity::Quantile(1.0)),
        "errors" => Some(Quantity::Errors),
        "rate" => Some(Quantity::Rate),
        _ => {
            let digits = name.strip_prefix('p')?;
            let is_number = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
            let percent: f64 = digits.parse().ok().filter(|_| is_number)?;
            (percent > 0.0 && percent < 100.0).then_some(Quantity::Quantile(percent / 100.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use fissure_facts::fact::{CrowdSecond, ErrorClass};
    use fissure_facts::{Arrangement, Latencies, Load, Purpose, WindowPlan};
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Threshold {
        text.parse().unwrap()
    }

    #[test]
    fn what_people_write_is_read() {
        let t = read("p95<300ms");
        assert_eq!(
            (t.what, t.of, t.or_equal, t.limit),
            (Quantity::Quantile(0.95), Scope::All, false, 300_000.0)
        );
        let t = read(" p99.9 of get /photos/{id}  <= 1.5s ");
        assert_eq!(t.of, Scope::Route("GET /photos/{id}".parse().unwrap()));
        assert_eq!(
            (t.or_equal, t.limit, t.text.as_str()),
            (true, 1.5e6, "p99.9 of get /photos/{id}  <= 1.5s")
        );
        assert_eq!(read("max of every route<2s").of, Scope::Every);
        assert_eq!(read("errors < 0.5 %").limit, 0.005);
        assert_eq!((read("rate>=450/s").what, read("rate > 450").limit), (Quantity::Rate, 450.0));
    }

    #[test]
    fn mistakes_have_their_place() {
        let says = |text: &str, column: usize, part: &str| {
            let error = text.parse::<Threshold>().unwrap_err();
            assert_eq!(error.column, column, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        says("", 1, "p50, p95");
        says("p100<3s", 1, "p50, p95");
        says("  q95<3s", 3, "p50, p95");
        says("p95 in GET /<3s", 5, "`of` and a route");
        says("p95 of nonsense<3s", 8, "every route");
        says("p95", 4, "expected `<`");
        says("p95>3s", 4, "below");
        says("rate<3", 5, "above");
        says("p95 of GET /a < 50", 17, "`300ms`");
        says("errors<2", 8, "`1%`");
        says("errors<200%", 8, "`1%`");
        says("rate>many", 6, "answers per second");
    }

    fn seen(right_ms: &[u64], wrong: u64) -> RouteSecond {
        let mut latency = Latencies::new();
        right_ms.iter().for_each(|ms| latency.record_us(ms * 1_000));
        RouteSecond { latency, errors: [(ErrorClass::Status, wrong)].into(), ..RouteSecond::default() }
    }

    /// 500s that came back in a millisecond made a p95 look good.
    #[test]
    fn a_wrong_answer_is_never_a_fast_one() {
        let half_wrong = seen(&[1; 50], 50);
        assert_eq!(Quantity::Quantile(0.95).of(&half_wrong, 1.0), Some(f64::INFINITY));
        assert!(Quantity::Quantile(0.5).of(&half_wrong, 1.0).unwrap() < 1_100.0);
        assert_eq!(Quantity::Errors.of(&half_wrong, 1.0), Some(0.5));
        assert_eq!(Quantity::Rate.of(&half_wrong, 10.0), Some(5.0));
        assert_eq!(Quantity::Quantile(0.5).of(&RouteSecond::default(), 1.0), None);
    }

    /// What was measured is exactly the limit: `<` and `>` break, `<=` and `>=` hold.
    #[test]
    fn at_the_limit_only_or_equal_holds() {
        let second = CrowdSecond {
            routes: [("GET /".parse().unwrap(), seen(&[300; 98], 2))].into(),
            ..CrowdSecond::default()
        };
        let window = Window {
            plan: WindowPlan {
                window: 1,
                purpose: Purpose::Asked,
                arrangement: Arrangement::whole(),
                load: Load::Open { users_per_s: 100.0 },
                emphasis: None,
                warmup_s: 0.0,
                visit_max_s: None,
                seconds: 1,
                seed: 1,
            },
            crowd: vec![second],
            probes: Vec::new(),
            end: None,
            deaths: Vec::new(),
        };
        let holds = |text: &str| read(text).check(&window).holds;
        let p95_us = seen(&[300; 98], 2).latency.quantile_us(0.95);
        for (or_equal, strictly, beyond) in [
            (format!("p95<={p95_us}us"), format!("p95<{p95_us}us"), format!("p95<={}us", p95_us - 1)),
            ("errors<=2%".into(), "errors<2%".into(), "errors<=1.9%".into()),
            ("rate of every route>=98".into(), "rate of every route>98".into(), "rate>=98.1".into()),
        ] {
            assert_eq!(holds(&or_equal), Some(true), "{or_equal}");
            assert_eq!(holds(&strictly), Some(false), "{strictly}");
            assert_eq!(holds(&beyond), Some(false), "{beyond}");
        }
        // Two of a hundred were wrong, so 99 of a hundred were not right in any time.
        assert_eq!(holds("p99<1h"), Some(false));
        assert_eq!(holds("p98<301ms"), Some(true));
        assert_eq!(holds("p50 of GET /nobody<1s"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,60}", like in "[p9mraxeo.f <>=%GET/{}\u{e4}0-9s]{0,40}") {
            for text in [text, like] {
                if let Err(error) = text.parse::<Threshold>() {
                    prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{error}");
                }
            }
        }

        #[test]
        fn a_quantile_of_right_answers_is_the_histograms(ms in prop::collection::vec(1u64..10_000, 1..200), q in 0.01f64..1.0) {
            let seen = seen(&ms, 0);
            prop_assert_eq!(Quantity::Quantile(q).of(&seen, 1.0), Some(seen.latency.quantile_us(q) as f64));
        }
    }
}
