//! The stacks that the profilers saw, for the viewers that people already use.

pub mod pprof;
pub mod speedscope;

use std::collections::BTreeSet;

use fissure_facts::profile::{Doing, Frame, Stack};
use fissure_facts::{Fact, Profile, Run, Window};

/// The windows in which profilers looked, each with what they saw: the journeys' mix first.
pub fn windows(run: &Run) -> Vec<(Window, Vec<&Profile>)> {
    let of = |window: &Window| {
        let seen = run.facts.iter().filter_map(|stamped| match &stamped.fact {
            Fact::Profiled(profile) if profile.window == window.plan.window => Some(profile),
            _ => None,
        });
        seen.filter(|profile| !profile.stacks.is_empty()).collect::<Vec<_>>()
    };
    let windows = run.windows().into_iter().filter(|window| window.plan.purpose.is_profile());
    let with_profiles = windows.map(|window| {
        let seen = of(&window);
        (window, seen)
    });
    let mut seen: Vec<(Window, Vec<&Profile>)> = with_profiles.filter(|(_, seen)| !seen.is_empty()).collect();
    seen.sort_by_key(|(window, _)| window.plan.emphasis.is_some());
    seen
}

/// What was played in a window.
fn load_of(window: &Window) -> String {
    window
        .plan
        .emphasis
        .as_ref()
        .map_or("the journeys' mix".to_owned(), |emphasis| format!("more of {}", emphasis.route))
}

fn runs(stack: &Stack) -> bool {
    stack.doing == Doing::Running
}

/// What a thread that does not run stands at, as a frame below its innermost one.
fn waits_for(doing: &Doing) -> Option<String> {
    Some(match doing {
        Doing::Running => return None,
        Doing::WaitingForLock { .. } => "(waits for a lock or to be woken)".to_owned(),
        Doing::WaitingForInterpreter => "(waits for the interpreter's lock)".to_owned(),
        Doing::WaitingForPeer { address: Some(address) } => format!("(waits for {address})"),
        Doing::WaitingForPeer { address: None } => "(waits for a connection's other end)".to_owned(),
        Doing::WaitingForClient => "(waits for a client's request)".to_owned(),
        Doing::WaitingForConnection => "(waits for a connection)".to_owned(),
        Doing::WaitingForEvents => "(waits for events)".to_owned(),
        Doing::WaitingForFile { path } => format!("(waits for {path})"),
        Doing::WaitingForChild => "(waits for a child)".to_owned(),
        Doing::Sleeping => "(sleeps)".to_owned(),
        Doing::Waiting { syscall } => format!("(waits in system call {syscall})"),
    })
}

/// Innermost first, with what it waits for in front and its thread behind.
fn whole_stack(profile: &Profile, stack: &Stack) -> Vec<Frame> {
    let named = |function: String| Frame { function, ..Frame::default() };
    let waits = waits_for(&stack.doing).map(named);
    let thread = named(format!("{} (process {})", stack.thread, stack.process));
    waits.into_iter().chain(profile.frames(stack).cloned()).chain([thread]).collect()
}

/// The stacks with each process's once, where several instruments saw it: that of its language counts.
fn once<'p>(profiles: &[&'p Profile]) -> Vec<(&'p Profile, &'p Stack)> {
    let seen_by = |is_language: bool, running: bool| -> BTreeSet<u32> {
        let of_kind = profiles.iter().filter(|profile| knows_a_language(profile) == is_language);
        of_kind
            .flat_map(|profile| &profile.stacks)
            .filter(|s| runs(s) == running)
            .map(|s| s.process)
            .collect()
    };
    let (running, waiting) = (seen_by(true, true), seen_by(true, false));
    let all = profiles.iter().flat_map(|profile| profile.stacks.iter().map(move |stack| (*profile, stack)));
    all.filter(|(profile, stack)| {
        let known = if runs(stack) { &running } else { &waiting };
        knows_a_language(profile) || !known.contains(&stack.process)
    })
    .collect()
}

fn knows_a_language(profile: &Profile) -> bool {
    !["native", "waits"].contains(&profile.instrument.as_str())
}

#[cfg(test)]
mod tests;
