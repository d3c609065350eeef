//! Clock times in answers. Their values are chance; that time does not run backwards is none.
//!
//! Only what a wall clock shows is compared: processes have counters and stopwatches of their own, and of those two copies
//! have two.

use std::collections::BTreeMap;

use super::compare::{Difference, Varying, last_name};

/// Fewer have no order worth the name.
const LEAST: usize = 3;
/// What is further apart within one run is no clock, but numbers that look like one.
const RUN_S_MOST: f64 = 86_400.0;

/// Between two answers of which the second was asked for right after the first, on a busy machine.
const A_MOMENT_S: f64 = 5.0;

/// A moment, and how it is written: only moments that are written alike are compared.
#[derive(Debug, Clone, PartialEq)]
struct Moment {
    shape: String,
    at_s: f64,
}

/// What came out of comparing by order.
pub(super) struct Ordered {
    /// Of each varying place: whether it was compared.
    pub is_compared: Vec<bool>,
    /// Of each candidate.
    pub differences: Vec<Vec<Difference>>,
}

/// Fields of one name, in the order of the answers: where no control goes back in time, no candidate may.
pub(super) fn compare(varying: &[Varying], candidates: usize) -> Ordered {
    let mut out =
        Ordered { is_compared: vec![false; varying.len()], differences: vec![Vec::new(); candidates] };
    let mut rows: BTreeMap<(String, String), Vec<Row<'_>>> = BTreeMap::new();
    for (index, place) in varying.iter().enumerate() {
        if let Some(row) = Row::of(index, place) {
            rows.entry((last_name(&place.path), row.shape.clone())).or_default().push(row);
        }
    }
    for row in rows.into_values().filter(|row| is_informative(row)) {
        for pair in row.windows(2).filter(|pair| never_back(&pair[0].at_s, &pair[1].at_s)) {
            let [before, after] = [&pair[0], &pair[1]];
            (out.is_compared[before.index], out.is_compared[after.index]) = (true, true);
            for (i, differences) in out.differences.iter_mut().enumerate() {
                differences.extend(gone_back(before, after, i));
            }
        }
    }
    out
}

/// A place that shows a moment in every control.
struct Row<'v> {
    index: usize,
    place: &'v Varying,
    shape: String,
    /// In each control.
    at_s: Vec<f64>,
}

impl<'v> Row<'v> {
    fn of(index: usize, place: &'v Varying) -> Option<Self> {
        let moments: Vec<Moment> =
            place.values.iter().map(|leaf| read(&leaf.value)).collect::<Option<_>>()?;
        let shape = moments.first()?.shape.clone();
        let is_one_shape = moments.iter().all(|m| m.shape == shape);
        let at_s = moments.iter().map(|m| m.at_s).collect();
        is_one_shape.then_some(Self { index, place, shape, at_s })
    }
}

fn never_back(before: &[f64], after: &[f64]) -> bool {
    before.iter().zip(after).all(|(before, after)| before <= after)
}

/// Enough of them, within one run, and going on; and from one to the next the controls agree which way it goes.
fn is_informative(row: &[Row<'_>]) -> bool {
    let Some(first) = row.first().filter(|_| row.len() >= LEAST) else { return false };
    let is_of_one_run = (0..first.at_s.len()).all(|control| {
        let at_s = || row.iter().map(|r| r.at_s[control]);
        at_s().fold(f64::MIN, f64::max) - at_s().fold(f64::MAX, f64::min) <= RUN_S_MOST
    });
    let always_back = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a > b);
    let goes_on = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a < b);
    let pairs = || row.windows(2).map(|pair| (&pair[0].at_s[..], &pair[1].at_s[..]));
    is_of_one_run
        && pairs().all(|(a, b)| never_back(a, b) || always_back(a, b))
        && pairs().any(|(a, b)| goes_on(a, b))
}

fn gone_back(before: &Row<'_>, after: &Row<'_>, candidate: usize) -> Option<Difference> {
    let moment = |row: &Row<'_>| {
        let leaf = row.place.got.get(candidate)?.as_ref()?;
        Some((read(&leaf.value).filter(|m| m.shape == row.shape)?.at_s, leaf.value.clone()))
    };
    let ((was_s, was), (is_s, is)) = (moment(before)?, moment(after)?);
    (is_s < was_s).then(|| Difference {
        place: after.place.place.clone(),
        path: after.place.path.clone(),
        expected: Some(format!("{was} or later")),
        got: Some(is),
    })
}

/// Anything that shows a time: it is no name, however often it is met.
pub(super) fn is_a_moment(value: &str) -> bool {
    let bytes = value.as_bytes();
    let has_minutes = bytes
        .windows(4)
        .any(|w| w[0].is_ascii_digit() && w[1] == b':' && w[2].is_ascii_digit() && w[3].is_ascii_digit());
    let is_date = bytes.len() >= 10
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[5..7].iter().all(u8::is_ascii_digit);
    has_minutes || is_date || epoch(value).is_some()
}

/// What one was told, and another one a moment later: the same, or another moment in the same place.
pub fn differ_by_the_clock_at_most(one: &[u8], later: &[u8]) -> bool {
    if one == later {
        return true;
    }
    let (Ok(one), Ok(later)) = (std::str::from_utf8(one), std::str::from_utf8(later)) else { return false };
    let (one, later) = (pieces(one), pieces(later));
    one.len() == later.len() && one.iter().zip(&later).all(|(one, later)| one == later || follows(one, later))
}

/// What a time is written with, and what stands between such pieces, which counts, too.
fn pieces(text: &str) -> Vec<&str> {
    let is_within = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '+');
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_within(c) != is_within(first)).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// A moment later, and no more than a moment.
fn follows(one: &str, later: &str) -> bool {
    // What a number follows, `"at":1790000000`.
    let bare = |piece: &str| read(piece.trim_start_matches(':'));
    let (Some(one), Some(later)) = (bare(one), bare(later)) else { return false };
    one.shape == later.shape && (one.at_s..=one.at_s + A_MOMENT_S).contains(&later.at_s)
}

fn read(value: &str) -> Option<Moment> {
    epoch(value).or_else(|| iso(value)).or_else(|| time_of_day(value))
}

/// Seconds, or parts of seconds, since 1970: of the years 2001 to 2096.
fn epoch(value: &str) -> Option<Moment> {
    if !value.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let number: f64 = value.parse().ok()?;
    let shape = |unit: &str| format!("{unit}{}", if value.contains('.') { " with a fraction" } else { "" });
    let units = [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)];
    let is_it = |per_s: f64| (1e9 * per_s..4e9 * per_s).contains(&number);
    let (unit, per_s) = units.into_iter().find(|(_, per_s)| is_it(*per_s))?;
    Some(Moment { shape: shape(unit), at_s: number / per_s })
}

/// `2026-01-02T03:04:05.678Z`, with a blank for the T, and with any zone or none.
fn iso(value: &str) -> Option<Moment> {
    let (date, time) = (value.get(..10)?, value.get(11..19)?);
    let day = day_of(date)?;
    let rest = value.get(19..)?;
    let zone_at = rest
        .char_indices()
        .find(|(i, c)| *i > 0 && !c.is_ascii_digit() || *i == 0 && *c != '.')
        .map(|(i, _)| i);
    let (fraction, zone) = rest.split_at(zone_at.unwrap_or(rest.len()));
    let part_s: f64 = if fraction.is_empty() { 0.0 } else { format!("0{fraction}").parse().ok()? };
    let is_fine = if fraction.is_empty() { "" } else { "." };
    let at_s = day as f64 * RUN_S_MOST + clock_s(time)? + part_s;
    Some(Moment { shape: format!("iso{is_fine}{zone}"), at_s })
}

fn time_of_day(value: &str) -> Option<Moment> {
    Some(Moment { shape: "time of day".to_owned(), at_s: clock_s(value)? })
}

/// Days since some day long ago, by the calendar.
fn day_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day)
}

/// `03:04:05`.
fn clock_s(time: &str) -> Option<f64> {
    let mut parts = time.split(':').map(|part| if part.len() == 2 { part.parse::<u32>().ok() } else { None });
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_clock = parts.next().is_none() && hour < 24 && minute < 60 && second <= 60;
    is_clock.then(|| f64::from(hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::compare::Place;
    use super::super::leaves::{Kind, Leaf};
    use super::*;

    fn leaf(value: &str) -> Leaf {
        Leaf { kind: Kind::Text, value: value.to_owned() }
    }

    /// The field `now` of one answer after the other: in two controls, and in a candidate.
    fn compared(controls: [&[&str]; 2], candidate: &[&str]) -> (usize, Vec<u32>) {
        let varying: Vec<Varying> = (0..candidate.len())
            .map(|i| Varying {
                place: Place { pass: 1, turn: 0, step: i as u32 },
                path: "3 body $.now".to_owned(),
                values: controls.iter().map(|c| leaf(c[i])).collect(),
                got: vec![Some(leaf(candidate[i]))],
                who: vec![0],
            })
            .collect();
        let out = compare(&varying, 1);
        let count = out.is_compared.iter().filter(|is| **is).count();
        (count, out.differences[0].iter().map(|d| d.place.step).collect())
    }

    const ONE: &[&str] = &["1700000001", "1700000002", "1700000003"];
    const OTHER: &[&str] = &["1700000101", "1700000101", "1700000103"];

    #[test]
    fn a_clock_that_runs_backwards_is_found() {
        assert_eq!(compared([ONE, OTHER], &["1700000205", "1700000204", "1700000207"]), (3, vec![1]));
        assert_eq!(compared([ONE, OTHER], &["1700000205", "1700000205", "1700000205"]), (3, vec![]));
    }

    #[test]
    fn two_moments_tell_nothing() {
        assert_eq!(compared([&ONE[..2], &OTHER[..2]], &["1700000205", "1700000204"]), (0, vec![]));
    }

    #[test]
    fn a_clock_that_stands_still_tells_nothing() {
        let still = &["1700000001"; 3][..];
        assert_eq!(compared([still, still], &["1700000205", "1700000204", "1700000203"]), (0, vec![]));
    }

    #[test]
    fn controls_that_disagree_which_way_it_goes_are_chance() {
        let jumps = &["1700000001", "1700000009", "1700000005"];
        assert_eq!(compared([ONE, jumps], &["1700000003", "1700000002", "1700000001"]), (0, vec![]));
    }

    #[test]
    fn random_numbers_that_look_like_a_clock_are_none() {
        let wild = &["1700000001", "2700000002", "3700000003"];
        assert_eq!(compared([wild, wild], &["1700000003", "1700000002", "1700000001"]), (0, vec![]));
    }

    #[test]
    fn newest_first_is_an_order_that_is_not_asked_for() {
        let down = &["1700000003", "1700000002", "1700000001", "1700000009"];
        assert_eq!(
            compared([down, down], &["1700000001", "1700000002", "1700000003", "1700000009"]),
            (2, vec![])
        );
    }

    #[test]
    fn moments_are_read_however_they_are_written() {
        let at = |value: &str| read(value).unwrap().at_s;
        assert!((at("2026-03-01T00:00:00Z") - at("2026-02-28T23:59:59Z") - 1.0).abs() < 1e-6);
        assert!((at("2024-03-01 00:00:00.5") - at("2024-02-29 23:59:59.25") - 1.25).abs() < 1e-6);
        assert!((at("1700000001123") - 1_700_000_001.123).abs() < 1e-6);
        assert_eq!(at("00:01:02"), 62.0);
        let shape = |value: &str| read(value).unwrap().shape;
        assert_eq!(shape("2026-03-01T00:00:00.1Z"), shape("2026-03-01T00:00:00.123456Z"));
        assert_ne!(shape("2026-03-01T00:00:00Z"), shape("2026-03-01T00:00:00+02:00"));
        assert!(read("2026-13-01T00:00:00Z").is_none() && read("1001").is_none() && read("3:4").is_none());
    }

    #[test]
    fn what_shows_a_time_is_no_name() {
        for moment in ["12:30", "Mon Jan  5 10:00:05 2026", "2026-01-01T00", "1700000001", "1700000001.25"] {
            assert!(is_a_moment(moment), "{moment}");
        }
        for name in ["urn:uuid:5f0c", "1234-5678", "4d2c0a1e-77aa-4c1e-9a55-0e3b6a3c8f11", "17000"] {
            assert!(!is_a_moment(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", digits in "[0-9T:.Z+ -]{0,32}") {
            for text in [text, digits] {
                is_a_moment(&text);
                read(&text);
            }
        }
    }
}
