//! What a person sees while a run is conducted: one line a step, on standard error.
//!
//! On a terminal the running step has a bar below it; elsewhere only plain lines are printed.

use std::io::IsTerminal as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use fissure_facts::fact::{CrowdSecond, ProbeSecond};
use fissure_show::load::live::Live;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// At most so many example problems are shown; the report has the counts.
const PROBLEMS_SHOWN: u32 = 5;

/// Without a terminal the figures are said so often.
const SAID_EVERY_S: u32 = 5;

const DIM: Style = Style::new().dimmed();
const WARN: Style = AnsiColor::Yellow.on_default();

pub struct Progress {
    bar: ProgressBar,
    problems: u32,
    /// The figures of a load run while it is held.
    live: Option<Live>,
}

impl Progress {
    pub fn new() -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
            bar.set_style(style);
        }
        Self { bar, problems: 0, live: None }
    }

    /// With figures that are drawn anew every second, or, where there is no terminal, said every few seconds.
    pub fn with_figures() -> Self {
        Self { live: Some(Live::default()), ..Self::new() }
    }

    /// A step begins: what and why, and how long the run will still take.
    pub fn step(&mut self, why: &str, elapsed_s: f64, remaining_s: f64) {
        self.line(&format!("{DIM}{elapsed_s:4.0} s{DIM:#}  {why}"));
        self.bar.set_length(((elapsed_s + remaining_s) * 10.0) as u64);
        self.bar.set_position((elapsed_s * 10.0) as u64);
        self.bar.set_message(format!("about {} left", spoken(remaining_s)));
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    /// Something that the reader of the figures should know beforehand.
    pub fn note(&self, sentence: &str) {
        self.line(&format!("        {DIM}{sentence}{DIM:#}"));
    }

    /// A second passed.
    pub fn tick(&mut self) {
        self.bar.inc(10);
    }

    /// What the crowd saw in a second.
    pub fn second(&mut self, seen: &CrowdSecond) {
        let Some(live) = &mut self.live else { return };
        live.second(seen);
        let lines = live.lines();
        if self.bar.is_hidden() {
            if (seen.second + 1).is_multiple_of(SAID_EVERY_S) {
                let line = lines.iter().map(|l| l.trim()).collect::<Vec<_>>().join("; ");
                anstream::eprintln!("{line}");
            }
        } else {
            let left = (self.bar.length().unwrap_or(0).saturating_sub(self.bar.position())) as f64 / 10.0;
            self.bar.set_message(format!("about {} left\n{}", spoken(left), lines.join("\n")));
        }
    }

    /// What the probes saw in a second.
    pub fn sample(&mut self, seen: &ProbeSecond) {
        if let Some(live) = &mut self.live {
            live.probe(seen);
        }
    }

    /// The first example of something that went wrong for a user.
    pub fn problem(&mut self, sentence: &str) {
        self.problems += 1;
        if self.problems <= PROBLEMS_SHOWN {
            self.line(&format!("        {WARN}{sentence}{WARN:#}"));
        }
    }

    /// Takes the bar away before something else is printed.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| anstream::eprintln!("{text}"));
    }
}

fn spoken(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
