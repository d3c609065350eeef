//! What a person sees while a load is held: the last seconds in a few lines.

use std::collections::{BTreeMap, VecDeque};

use fissure_facts::Latencies;
use fissure_facts::fact::{CrowdSecond, ErrorClass, ProbeSecond};

use super::{error_name, latency};
use crate::units::{number, percent};

/// Quantiles are those of so many last seconds: one alone would jump.
const RECENT: usize = 5;

#[derive(Debug, Clone, Default)]
pub struct Live {
    recent: VecDeque<CrowdSecond>,
    errors: BTreeMap<ErrorClass, u64>,
    crowd_cpu_s: f64,
    elapsed_s: f64,
}

impl Live {
    pub fn second(&mut self, second: &CrowdSecond) {
        for (&class, count) in second.routes.values().flat_map(|r| &r.errors) {
            *self.errors.entry(class).or_default() += count;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(second.clone());
    }

    pub fn probe(&mut self, probe: &ProbeSecond) {
        (self.crowd_cpu_s, self.elapsed_s) = (probe.crowd_cpu_s, probe.elapsed_s);
    }

    /// Rates, latencies, the crowd. Empty before the first second.
    pub fn lines(&self) -> Vec<String> {
        let Some(last) = self.recent.back() else { return Vec::new() };
        let (mut latencies, mut lateness) = (Latencies::new(), Latencies::new());
        for second in &self.recent {
            second.routes.values().for_each(|r| latencies.add(&r.latency));
            lateness.add(&second.lateness);
        }
        let answered: u64 = last.routes.values().map(|r| r.latency.count()).sum();
        let errors = if self.errors.is_empty() {
            "no errors".to_owned()
        } else {
            self.errors
                .iter()
                .map(|(&class, n)| format!("{n} {}", error_name(class)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let cpu =
            if self.elapsed_s > 0.0 { percent(self.crowd_cpu_s / self.elapsed_s) } else { percent(0.0) };
        vec![
            format!(
                "{:>4} s  planned {}/s  sent {}/s  answered {}/s  in flight {}",
                last.second + 1,
                number(last.planned as f64),
                number(last.lateness.count() as f64),
                number(answered as f64),
                last.in_flight
            ),
            format!(
                "        p50 {}  p95 {}  p99 {} of the last {} s  {errors}",
                latency(&latencies, 0.5),
                latency(&latencies, 0.95),
                latency(&latencies, 0.99),
                self.recent.len()
            ),
            format!("        crowd late {} (p99), {cpu} of a CPU", latency(&lateness, 0.99)),
        ]
    }
}
