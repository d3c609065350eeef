//! JavaScript: the profiler that V8 brings along, reached through the inspector that `inspect.cjs` has Node open on
//! loopback. It names functions as well as lines, and reaches a program whose event loop is blocked.

mod calls;
mod cpu_profile;
mod inspector;
mod scripts;

use std::time::Duration;

use fissure_facts::Profile;
use fissure_facts::profile::Frame;

use super::folded::Folded;
use super::profiler::{Stop, Subject};
use super::threads::name_of;
use cpu_profile::CpuProfile;
use inspector::{Inspector, Thread};
use scripts::Scripts;

/// Time between two samples of a thread, in microseconds: no divisor of what apps do once a millisecond.
const INTERVAL_US: u32 = 1_009;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Samples until told to stop.
pub(super) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    let hooks = subject.hooks.as_deref().ok_or("it was not started for a profiler")?;
    let find = |&pid: &u32| Inspector::of(pid, hooks);
    let mut inspectors: Vec<Inspector> = subject.processes.iter().filter_map(find).collect();
    let mut why =
        "no inspector listens in it: something took `NODE_OPTIONS` out of its environment".to_owned();
    let mut watched: Vec<(usize, Thread)> = Vec::new();
    for (index, inspector) in inspectors.iter_mut().enumerate() {
        for thread in inspector.threads() {
            match begin(inspector, &thread) {
                Ok(()) => watched.push((index, thread)),
                Err(e) => why = e,
            }
        }
    }
    if watched.is_empty() {
        return Err(why);
    }
    while !stop.wait(LOOK_EVERY) {}

    // First the word to stop to all of them, then what they have to say.
    let asked: Vec<_> = watched
        .into_iter()
        .filter_map(|(index, thread)| {
            let question = inspectors[index].ask(&thread, "Profiler.stop", serde_json::json!({})).ok()?;
            Some((index, thread, question))
        })
        .collect();
    let mut scripts = Scripts::new(&subject.folders);
    let mut folded: Folded<Frame> = Folded::default();
    let (mut seconds, mut samples) = (0.0, 0);
    for (index, thread, question) in asked {
        let inspector = &mut inspectors[index];
        let seen = inspector.answer(question).and_then(CpuProfile::read);
        let Ok(seen) = seen.inspect_err(|e| e.clone_into(&mut why)) else { continue };
        // Only now, as it makes V8 keep more than it would otherwise.
        scripts.learn(inspector.source_maps(&thread));
        let name = thread.name().unwrap_or_else(|| name_of(inspector.pid, inspector.pid));
        seconds += seen.seconds();
        samples += seen.samples();
        seen.fold(inspector.pid, &name, &mut scripts, &mut folded);
    }
    if samples == 0 {
        return Err(why);
    }
    let profile = folded.into_profile(|frame| vec![frame.clone()]);
    Ok(Profile { period_s: seconds / samples as f64, user_only: true, ..profile })
}

fn begin(inspector: &mut Inspector, thread: &Thread) -> Result<(), String> {
    let interval = serde_json::json!({ "interval": INTERVAL_US });
    for (method, arguments) in [
        ("Profiler.enable", serde_json::json!({})),
        ("Profiler.setSamplingInterval", interval),
        ("Profiler.start", serde_json::json!({})),
    ] {
        let question = inspector.ask(thread, method, arguments)?;
        inspector.answer(question)?;
    }
    Ok(())
}
