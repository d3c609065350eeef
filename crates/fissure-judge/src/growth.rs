//! What grows within the run: the cost of a route over the data that the run itself has written, memory, open files.
//!
//! A capacity holds for the data that was there when it was measured. What grows breaks it later, so it is said with the verdict.

use std::collections::BTreeMap;

use fissure_facts::{Estimate, Fact, Load, Route, Run, Step, Window};

use crate::demand;
use crate::evidence::WHOLE;
use crate::judgement::{Grows, Growth};
use crate::{nnls, stats};

/// With fewer windows a slope is anybody's guess.
const FEWEST_WINDOWS: usize = 6;
/// Less than this, from the first to the last, is drift that any program shows.
const CLEARLY: f64 = 1.3;
/// The improvement of the fit, in squares of the scatter: four standard deviations.
const EVIDENT: f64 = 16.0;
/// Scatter of a window's weighted CPU that is there in any case.
const SCATTER: f64 = 0.02;
/// Memory and files that a program may come to use without leaking them.
const LEAST_BYTES: f64 = 32.0 * 1024.0 * 1024.0;
const LEAST_FILES: f64 = 64.0;

/// Everything that clearly grows. `windows`: those of the whole whose CPU counts.
pub fn growth(run: &Run, windows: &[Window]) -> Vec<Growth> {
    let asked = Asked::of(run);
    let mut found: Vec<Growth> = cpu(&asked, windows).into_iter().collect();
    let of = |read: fn(&Window) -> Option<f64>| -> Vec<Point> {
        let point =
            |w: &Window| Some(Point { asked: asked.before(w)?, under_way: under_way(w)?, is: read(w)? });
        windows.iter().filter_map(point).collect()
    };
    found.extend(line(&of(bytes), LEAST_BYTES).map(|l| asked.growth(Grows::Memory, l)));
    found.extend(line(&of(files), LEAST_FILES).map(|l| asked.growth(Grows::Files, l)));
    found
}

/// What the processes of the whole were asked for, since they were started.
struct Asked {
    /// In the middle of each window of the whole.
    at: BTreeMap<u32, f64>,
    most: f64,
    is_by_writes: bool,
}

impl Asked {
    fn of(run: &Run) -> Self {
        let writes = |route: &Route| !matches!(route.method(), "GET" | "HEAD" | "OPTIONS");
        let is_by_writes = run.routes().iter().any(writes);
        let (mut at, mut so_far, mut most) = (BTreeMap::<u32, f64>::new(), 0.0_f64, 0.0_f64);
        for stamped in &run.facts {
            match &stamped.fact {
                Fact::Staged { arrangement, .. } if arrangement == WHOLE => so_far = 0.0,
                Fact::StepBegan { step: Step::Hold(plan), .. } if plan.arrangement.name == WHOLE => {
                    at.insert(plan.window, so_far);
                }
                Fact::SecondPassed(second) if at.contains_key(&second.window) => {
                    let counted = second.routes.iter().filter(|(route, _)| !is_by_writes || writes(route));
                    let asked = counted.map(|(_, seen)| seen.ended() as f64).sum::<f64>();
                    // Half of what is asked in the window lies before its middle.
                    at.entry(second.window).and_modify(|middle| *middle += asked / 2.0);
                    so_far += asked;
                    most = most.max(so_far);
                }
                _ => {}
            }
        }
        Self { at, most, is_by_writes }
    }

    fn before(&self, window: &Window) -> Option<f64> {
        self.at.get(&window.plan.window).map(|asked| asked / self.most.max(1.0))
    }

    fn growth(&self, of: Grows, (first, more): (f64, Estimate)) -> Growth {
        let (requests, is_by_writes) = (self.most as u64, self.is_by_writes);
        Growth { of, first, last: first + more.mid, more, requests, is_by_writes }
    }
}

/// The route whose cost explains best, if it grows, what the windows cost more from one to the next: the regression of the
/// demands with one column more, the route's requests times what was asked before.
///
/// One route at a time; of two that grow the one that matters more is named.
fn cpu(asked: &Asked, windows: &[Window]) -> Option<Growth> {
    let windows = demand::evidence(windows);
    if windows.len() < FEWEST_WINDOWS {
        return None;
    }
    let routes: Vec<Route> = demand::columns(&windows);
    let (mut rows, cpu) = demand::design_of(&windows, &routes);
    add_what_pauses_cost(&mut rows, &windows, routes.len());
    let before: Vec<f64> = windows.iter().map(|w| asked.before(w).unwrap_or(0.0)).collect();
    let without = nnls::solve(&rows, &cpu)?;
    let grown = |index: usize| {
        let rows: Vec<Vec<f64>> = rows
            .iter()
            .enumerate()
            .map(|(w, row)| {
                // Rows behind the windows' are guesses, which grow with nothing.
                let grows = row[index] * before.get(w).copied().unwrap_or(0.0);
                row.iter().copied().chain([grows]).collect()
            })
            .collect();
        let with = nnls::solve(&rows, &cpu)?;
        let scatter = (with.squares / with.degrees as f64).max(SCATTER.powi(2));
        Some((without.squares - with.squares, scatter, index, with))
    };
    let best = (0..routes.len()).filter_map(grown).max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (better, scatter, index, with) = best;
    let (more, error) = (*with.coefficients.last()?, *with.errors.last()?);
    let first = with.coefficients[index];
    if better < EVIDENT * scatter || first + more < CLEARLY * first {
        return None;
    }
    let half = stats::t_975(with.degrees) * error;
    let more = Estimate::new(more, (more - half).max(0.0), more + half).scaled(1e3);
    Some(asked.growth(Grows::Cpu(routes[index].clone()), (first * 1e3, more)))
}

/// A column for what any request costs more where users pause, because the app falls asleep and is woken: those windows come last, and
/// without it that looks like growth.
fn add_what_pauses_cost(rows: &mut [Vec<f64>], windows: &[&Window], routes: usize) {
    let pauses = |window: &&Window| !matches!(window.plan.load, Load::Closed { .. });
    if !windows.iter().any(pauses) {
        return;
    }
    for (index, row) in rows.iter_mut().enumerate() {
        let is_paused = windows.get(index).is_some_and(pauses);
        let requests: f64 = row.iter().take(routes).sum();
        row.push(if is_paused { requests } else { 0.0 });
    }
}

fn bytes(window: &Window) -> Option<f64> {
    let values: Vec<f64> = window.probes.iter().map(|p| p.rss_bytes as f64).collect();
    stats::median(&values)
}

fn files(window: &Window) -> Option<f64> {
    let values: Vec<f64> = window.probes.iter().map(|p| p.fds as f64).collect();
    stats::median(&values)
}

fn under_way(window: &Window) -> Option<f64> {
    let values: Vec<f64> = window.crowd.iter().map(|second| second.users_inside as f64).collect();
    stats::median(&values)
}

/// What one window tells: what had been asked before it as a share of all, how many users were inside, and the memory or files.
#[derive(Debug, Clone, Copy)]
struct Point {
    asked: f64,
    under_way: f64,
    is: f64,
}

/// A straight line over what was asked, if it clearly rises: its beginning, and how much more its end is. Who is inside needs
/// connections and buffers, the app's own to others behind it too, pools keep what the largest crowd so far has needed, and the
/// windows with most users come last: so much is taken off first, and where it cannot be told apart nothing is said.
///
/// What rises at first and then levels off is a cache or a heap that has found its size, and no growth: the later half must rise
/// as clearly.
fn line(points: &[Point], least: f64) -> Option<(f64, Estimate)> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.asked.total_cmp(&b.asked));
    let inside: Vec<f64> = points.iter().map(|p| p.under_way).collect();
    let most_so_far: Vec<f64> = inside
        .iter()
        .scan(0.0_f64, |most, now| {
            *most = most.max(*now);
            Some(*most)
        })
        .collect();
    let most = inside.iter().copied().fold(1.0, f64::max);
    let differs = |column: &&Vec<f64>| column.iter().any(|value| *value != column[0]);
    let crowd: Vec<&Vec<f64>> = [&inside, &most_so_far].into_iter().filter(differs).collect();
    let row = |i: usize| {
        let of_crowd = crowd.iter().map(|column| column[i] / most);
        [1.0, points[i].asked].into_iter().chain(of_crowd).collect()
    };
    let rows: Vec<Vec<f64>> = (0..points.len()).map(row).collect();
    let is: Vec<f64> = points.iter().map(|p| p.is).collect();
    let all = nnls::solve(&rows, &is)?;
    let without_crowd = |i: usize| {
        let for_crowd: f64 = rows[i].iter().zip(&all.coefficients).skip(2).map(|(x, c)| x * c).sum();
        (points[i].asked, points[i].is - for_crowd)
    };
    let alone: Vec<(f64, f64)> = (0..points.len()).map(without_crowd).collect();
    let later = slope(&alone[alone.len() / 2..])?;
    let (first, more) = (all.coefficients[0], all.coefficients[1]);
    let half = stats::t_975(all.degrees) * all.errors[1];
    let goes_on = more > half && later > more / 2.0;
    let rises = goes_on && more >= least && first + more >= CLEARLY * first;
    rises.then(|| (first, Estimate::new(more, more - half, more + half)))
}

/// Least squares: the rise from 0 to 1.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < FEWEST_WINDOWS / 2 {
        return None;
    }
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    slope.is_finite().then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(is: impl Fn(f64, f64) -> f64, inside: impl Fn(u32) -> f64) -> Vec<Point> {
        let point = |i: u32| {
            let (asked, under_way) = (f64::from(i) / 11.0, inside(i));
            Point { asked, under_way, is: is(asked, under_way) }
        };
        (0..12).map(point).collect()
    }

    #[test]
    fn what_levels_off_does_not_grow() {
        let mib = 1024.0 * 1024.0;
        let sixteen = |_: u32| 16.0;
        let leak = points(|asked, _| (100.0 + 200.0 * asked) * mib, sixteen);
        let (first, more) = line(&leak, LEAST_BYTES).unwrap();
        assert!(
            (first / mib - 100.0).abs() < 1.0 && (more.mid / mib - 200.0).abs() < 1.0,
            "{first} {more:?}"
        );
        let cache = points(|asked, _| (100.0 + 200.0 * asked.min(0.3)) * mib, sixteen);
        assert_eq!(line(&cache, LEAST_BYTES), None);
        let steady = points(|asked, _| (100.0 + (11.0 * asked) % 3.0) * mib, sixteen);
        assert_eq!(line(&steady, LEAST_BYTES), None);
        assert_eq!(line(&leak[..1], LEAST_BYTES), None);
        assert_eq!(line(&[], LEAST_BYTES), None);
    }

    /// Of an app that opens a connection to another service for each request, "300 more files after 4,117 writes" was said, because the
    /// later windows had more users.
    #[test]
    fn what_each_user_needs_is_no_growth() {
        let later_more = |i: u32| if i < 6 { 16.0 } else { 60.0 + 20.0 * f64::from(i % 4) };
        let loyal = points(|_, inside| 12.0 + 2.0 * inside, later_more);
        assert_eq!(line(&loyal, LEAST_FILES), None);
        // A pool keeps the connections that the largest crowd has needed.
        let crowds = [16.0, 64.0, 2.0, 2.0, 30.0, 34.0, 28.0, 31.0, 90.0, 300.0, 320.0, 33.0];
        let mut pool = points(|_, _| 0.0, |i| crowds[i as usize]);
        let mut most = 0.0_f64;
        for point in &mut pool {
            most = most.max(point.under_way);
            point.is = 12.0 + point.under_way + most;
        }
        assert_eq!(line(&pool, LEAST_FILES), None);
        let leak = points(|asked, inside| 12.0 + 2.0 * inside + 300.0 * asked, later_more);
        let (_, more) = line(&leak, LEAST_FILES).unwrap();
        assert!((more.mid - 300.0).abs() < 1.0, "{more:?}");
    }
}
