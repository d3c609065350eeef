//! For <https://www.speedscope.app> (its file format, `file-format-schema.json`): what ran and what waited, one profile for
//! each window and instrument.

use std::collections::HashMap;

use fissure_facts::profile::{Frame, Stack};
use fissure_facts::{Profile, Run};
use serde_json::{Value, json};

use super::{load_of, runs, whole_stack, windows};

/// None when no profiler looked in this run.
pub fn file(run: &Run) -> Option<Value> {
    let mut frames = Frames::default();
    let mut profiles = Vec::new();
    for (window, seen) in windows(run) {
        for profile in seen {
            for (running, what) in [(true, "runs"), (false, "waits")] {
                let stacks: Vec<&Stack> = profile.stacks.iter().filter(|s| runs(s) == running).collect();
                if !stacks.is_empty() {
                    let name = format!("{}: what {what} ({})", load_of(&window), profile.instrument);
                    profiles.push(sampled(&name, profile, &stacks, &mut frames));
                }
            }
        }
    }
    (!profiles.is_empty()).then(|| {
        json!({
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "name": run.header.run,
            "exporter": format!("fissure {}", run.header.fissure),
            "activeProfileIndex": 0,
            "shared": { "frames": frames.listed },
            "profiles": profiles,
        })
    })
}

fn sampled(name: &str, profile: &Profile, stacks: &[&Stack], frames: &mut Frames) -> Value {
    let samples: Vec<Vec<usize>> = stacks
        .iter()
        .map(|stack| whole_stack(profile, stack).iter().rev().map(|frame| frames.index(frame)).collect())
        .collect();
    let weights: Vec<f64> = stacks.iter().map(|stack| stack.count as f64 * profile.period_s).collect();
    json!({
        "type": "sampled",
        "name": name,
        "unit": "seconds",
        "startValue": 0,
        "endValue": weights.iter().sum::<f64>(),
        "samples": samples,
        "weights": weights,
    })
}

#[derive(Default)]
struct Frames {
    listed: Vec<Value>,
    index: HashMap<Frame, usize>,
}

impl Frames {
    fn index(&mut self, frame: &Frame) -> usize {
        *self.index.entry(frame.clone()).or_insert_with(|| {
            let mut listed = json!({ "name": frame.function });
            if let Some(file) = frame.file.as_ref().or(frame.module.as_ref()) {
                listed["file"] = json!(file);
            }
            if let Some(line) = frame.line {
                listed["line"] = json!(line);
            }
            self.listed.push(listed);
            self.listed.len() - 1
        })
    }
}
