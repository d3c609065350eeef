//! Small SVG pictures: an interval on a scale, a bar, latency against load.
//!
//! Every horizontal place is a percentage of the picture's width, so a picture stretches from a phone to a desk
//! while its text and strokes keep their size, without script and without a viewBox. Colours come from the page's style sheet.

use maud::{Markup, html};

/// From a number to a place between 0 and 100 %.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    /// From zero to a little above the largest of `values`.
    pub fn linear(values: impl Iterator<Item = f64>) -> Self {
        let most = values.filter(|v| v.is_finite()).fold(0.0, f64::max);
        Self { low: 0.0, high: if most > 0.0 { most * 1.08 } else { 1.0 }, log: false }
    }

    /// Logarithmic when the values span more than a factor of 20: then a linear scale would flatten all but the worst.
    pub fn linear_or_log(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().filter(|v| v.is_finite() && *v > 0.0).fold(f64::INFINITY, f64::min);
        let linear = Self::linear(values);
        if linear.high / 1.08 > least * 20.0 {
            Self { low: least / 1.3, high: linear.high / 1.08 * 1.6, log: true }
        } else {
            linear
        }
    }

    /// Percent from the low end; what lies outside sticks to the edge.
    pub fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) * 100.0 }
    }

    /// Three to seven round numbers: 1, 2 or 5 times a power of ten.
    pub fn ticks(&self) -> Vec<f64> {
        let decades = (-6..9).map(|e| 10f64.powi(e));
        if self.log {
            let steps: &[f64] = if self.high / self.low > 300.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            decades
                .flat_map(|d| steps.iter().map(move |s| s * d))
                .filter(|t| (self.low..=self.high).contains(t))
                .collect()
        } else {
            let rough = (self.high - self.low) / 6.0;
            let step =
                decades.flat_map(|d| [1.0, 2.0, 5.0].map(|s| s * d)).find(|s| *s >= rough).unwrap_or(rough);
            (0..=7).map(|i| f64::from(i) * step).filter(|t| *t <= self.high).collect()
        }
    }
}

fn pct(value: f64) -> String {
    format!("{value:.2}%")
}

/// One claim on a scale: a dot and its 95 % interval, with the goal as an upright line.
pub fn interval(scale: Scale, mid: f64, low: f64, high: f64, goal: f64, class: &str, title: &str) -> Markup {
    // An end that is not known runs to the edge of the picture.
    let (from, to) =
        (if low.is_finite() { low } else { 0.0 }, if high.is_finite() { high } else { f64::MAX });
    html! {
        svg.track role="img" aria-label=(title) {
            title { (title) }
            line.axis x1="0" x2="100%" y1="50%" y2="50%" {}
            @if goal.is_finite() {
                line.goal x1=(pct(scale.at(goal))) x2=(pct(scale.at(goal))) y1="0" y2="100%" {}
            }
            line.(format!("range {class}{}", if high.is_finite() { "" } else { " open" })) x1=(pct(scale.at(from))) x2=(pct(scale.at(to))) y1="50%" y2="50%" {}
            circle.(format!("dot {class}")) cx=(pct(scale.at(mid))) cy="50%" r="5" {}
        }
    }
}

/// The goal's number above the upright line.
pub fn goal_label(scale: Scale, goal: f64, label: &str) -> Markup {
    let place = scale.at(goal);
    let anchor = if place < 12.0 {
        "start"
    } else if place > 88.0 {
        "end"
    } else {
        "middle"
    };
    html! {
        svg.ticks aria-hidden="true" {
            @if goal.is_finite() { text.goal-label x=(pct(place)) y="15" text-anchor=(anchor) { (label) } }
        }
    }
}

/// A bar from zero with its interval as a whisker.
pub fn bar(scale: Scale, mid: f64, low: f64, high: f64, title: &str) -> Markup {
    html! {
        svg.track role="img" aria-label=(title) {
            title { (title) }
            rect.bar x="0" y="25%" width=(pct(scale.at(mid))) height="50%" rx="2" {}
            line.whisker x1=(pct(scale.at(low))) x2=(pct(scale.at(high))) y1="50%" y2="50%" {}
        }
    }
}

/// The class of lines that only give context.
pub const GREY: &str = "grey";

/// One route's line.
pub struct Series {
    pub name: String,
    /// Colour of the line, as a class of the style sheet: `s0` to `s3`, or [`GREY`].
    pub class: String,
    /// Load, latency, whether errors exceeded the goal, and what a pointer over the point says.
    pub points: Vec<(f64, f64, bool, String)>,
    /// The route's own limit, where it is not the common one.
    pub own_limit: Option<f64>,
}

/// Latency against load.
pub struct LatencyChart {
    pub title: String,
    pub x_label: String,
    pub series: Vec<Series>,
    pub limit: f64,
    pub limit_label: String,
    pub goal: f64,
    pub goal_label: String,
    /// Middle, low and high of the capacity.
    pub capacity: Option<(f64, f64, f64)>,
}

impl LatencyChart {
    pub fn draw(&self) -> Markup {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let (_, _, widest) = self.capacity.unwrap_or((0.0, 0.0, 0.0));
        let x = Scale::linear(points().map(|p| p.0).chain([self.goal, widest]));
        let limits = || self.series.iter().filter_map(|s| s.own_limit).chain([self.limit]);
        let y = Scale::linear_or_log(points().map(|p| p.1).chain(limits()).collect::<Vec<_>>().into_iter());
        let up = |v: f64| 100.0 - y.at(v);
        // Text beside an upright line stands on the side where there is room.
        let side = |v: f64| if x.at(v) > 60.0 { ("end", -6) } else { ("start", 6) };
        html! {
            svg.chart role="img" aria-label=(self.title) {
                title { (self.title) }
                @if let Some((mid, low, high)) = self.capacity {
                    @let (from, to) = (x.at(low), if high.is_finite() { x.at(high) } else { 100.0 });
                    rect.band x=(pct(from)) width=(pct((to - from).max(0.3))) y="0" height="100%" {
                        title { "capacity with its 95 % interval" }
                    }
                    line.capacity x1=(pct(x.at(mid))) x2=(pct(x.at(mid))) y1="0" y2="100%" {}
                }
                @for tick in y.ticks() {
                    line.grid x1="0" x2="100%" y1=(pct(up(tick))) y2=(pct(up(tick))) {}
                    text.tick x="2" y=(pct(up(tick))) dy="-4" { (crate::units::number(tick)) }
                }
                line.limit x1="0" x2="100%" y1=(pct(up(self.limit))) y2=(pct(up(self.limit))) {}
                @if self.goal.is_finite() {
                    @let (anchor, dx) = side(self.goal);
                    line.goal x1=(pct(x.at(self.goal))) x2=(pct(x.at(self.goal))) y1="0" y2="100%" {}
                    text.goal-label x=(pct(x.at(self.goal))) y="12" dx=(dx) text-anchor=(anchor) { (self.goal_label) }
                }
                // Grey lines first, so that the named ones lie above them.
                @for series in self.series.iter().filter(|s| s.class == GREY).chain(self.series.iter().filter(|s| s.class != GREY)) {
                    @if let Some(own) = series.own_limit {
                        line.(format!("own-limit {}", series.class)) x1="0" x2="100%" y1=(pct(up(own))) y2=(pct(up(own))) {
                            title { "limit of " (series.name) }
                        }
                    }
                    @for pair in series.points.windows(2) {
                        line.(format!("curve {}", series.class))
                            x1=(pct(x.at(pair[0].0))) y1=(pct(up(pair[0].1)))
                            x2=(pct(x.at(pair[1].0))) y2=(pct(up(pair[1].1))) {}
                    }
                    @for (load, latency, failing, told) in series.points.iter().filter(|_| series.class != GREY) {
                        circle.(format!("point {}{}", series.class, if *failing { " failing" } else { "" }))
                            cx=(pct(x.at(*load))) cy=(pct(up(*latency))) r="3.5" { title { (told) } }
                    }
                }
                text.limit-label x="100%" y=(pct(up(self.limit))) dx="-4" dy="-5" text-anchor="end" { (self.limit_label) }
            }
            (axis(&x))
            p.axis-label { (self.x_label) }
        }
    }
}

/// One value over time.
pub struct TimeLine {
    pub name: String,
    /// `s0` to `s3`.
    pub class: &'static str,
    /// (seconds, value).
    pub points: Vec<(f64, f64)>,
}

/// Values over time.
pub struct TimeChart {
    pub title: String,
    pub lines: Vec<TimeLine>,
}

impl TimeChart {
    pub fn draw(&self) -> Markup {
        let points = || self.lines.iter().flat_map(|l| &l.points);
        let x = Scale::linear(points().map(|p| p.0));
        let y = Scale::linear_or_log(points().map(|p| p.1).collect::<Vec<_>>().into_iter());
        let up = |v: f64| 100.0 - y.at(v);
        html! {
            svg.chart role="img" aria-label=(self.title) {
                title { (self.title) }
                @for tick in y.ticks() {
                    line.grid x1="0" x2="100%" y1=(pct(up(tick))) y2=(pct(up(tick))) {}
                    text.tick x="2" y=(pct(up(tick))) dy="-4" { (crate::units::number(tick)) }
                }
                @for line in &self.lines {
                    @for pair in line.points.windows(2) {
                        line.(format!("curve {}", line.class))
                            x1=(pct(x.at(pair[0].0))) y1=(pct(up(pair[0].1)))
                            x2=(pct(x.at(pair[1].0))) y2=(pct(up(pair[1].1))) {}
                    }
                }
            }
            (axis(&x))
            p.axis-label { "seconds" }
            ul.legend {
                @for line in &self.lines {
                    li { svg aria-hidden="true" { line.(format!("curve {}", line.class)) x1="0" x2="100%" y1="50%" y2="50%" {} } (line.name) }
                }
            }
        }
    }
}

/// The numbers below a picture.
pub fn axis(x: &Scale) -> Markup {
    html! {
        svg.ticks aria-hidden="true" {
            @for tick in x.ticks() {
                @let place = x.at(tick);
                @let anchor = if place < 3.0 { "start" } else if place > 97.0 { "end" } else { "middle" };
                line.grid x1=(pct(place)) x2=(pct(place)) y1="0" y2="4" {}
                text.tick x=(pct(place)) y="16" text-anchor=(anchor) { (crate::units::number(tick)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_inside_the_picture() {
        let scale = Scale::linear([0.0, 50.0, f64::INFINITY, f64::NAN].into_iter());
        for value in [-5.0, 0.0, 50.0, 1e300, f64::INFINITY, f64::NAN] {
            assert!((0.0..=100.0).contains(&scale.at(value)), "{value} lies at {}", scale.at(value));
        }
        let log = Scale::linear_or_log([0.0, 1.0, 5_000.0].into_iter());
        assert!(log.at(0.0) >= 0.0 && log.at(1.0) < log.at(70.0) && log.at(70.0) < log.at(5_000.0));
    }

    #[test]
    fn ticks_are_few_and_round_at_every_magnitude() {
        for exponent in -3..7 {
            for most in [1.0, 1.9, 4.2, 7.7] {
                let most = most * 10f64.powi(exponent);
                let ticks = Scale::linear([most].into_iter()).ticks();
                assert!((3..=8).contains(&ticks.len()), "{most}: {ticks:?}");
                let ticks = Scale::linear_or_log([most / 1_000.0, most].into_iter()).ticks();
                assert!((3..=8).contains(&ticks.len()), "{most}: {ticks:?}");
            }
        }
    }

    #[test]
    fn a_picture_of_nothing_is_still_a_picture() {
        assert_eq!(Scale::linear([].into_iter()).at(0.0), 0.0);
        let chart = LatencyChart {
            title: "t".to_owned(),
            x_label: String::new(),
            series: Vec::new(),
            limit: 300.0,
            limit_label: String::new(),
            goal: f64::NAN,
            goal_label: String::new(),
            capacity: None,
        };
        assert!(!chart.draw().into_string().contains("NaN"));
    }
}
