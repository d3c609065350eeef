//! Python: its memory, read from outside.

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame, Stack};

use crate::program::{Program, own, share};

/// What ran; a thread that sleeps stands beside it.
fn running(profile: &Profile, program: &Program) -> Profile {
    let mut profile = profile.clone();
    profile.stacks.retain(|stack| stack.process == program.pid() && stack.doing == Doing::Running);
    profile
}

#[test]
fn the_hot_line_of_a_python_program_is_found_with_its_share() {
    let program = Program::of("python3", "hot.py", include_str!("apps/hot.py"));
    let profile = program.look_at_work("python");
    let work = running(&profile, &program);
    let samples: u64 = work.stacks.iter().map(|stack| stack.count).sum();
    assert!(samples >= 50, "{samples}");
    let of = |function: &'static str| move |frame: &Frame| frame.function == function;
    let mut pure = work.clone();
    pure.stacks.retain(|stack| own(&work, stack).is_some_and(|frame| frame.function != "fingerprint"));
    let hot = share(&pure, |_| true, of("total"));
    assert!((hot - 0.75).abs() < 0.12, "{hot} instead of 0.75\n{work:#?}");
    let in_line = |stack: &&Stack| {
        own(&work, stack).is_some_and(|frame| {
            frame.file.as_deref() == Some("hot.py") && frame.line == Some(program.line("# HOT"))
        })
    };
    assert!(work.stacks.iter().any(|stack| in_line(&stack)), "{work:#?}");
}

#[test]
fn what_a_c_library_does_for_a_line_is_told_from_the_lines_own_work() {
    let program = Program::of("python3", "hot.py", include_str!("apps/hot.py"));
    let profile = program.look_at_work("python");
    let work = running(&profile, &program);
    let in_c = |stack: &Stack| work.frames(stack).next().is_some_and(|frame| frame.module.is_some());
    let count = |keep: &dyn Fn(&Stack) -> bool| -> u64 {
        work.stacks.iter().filter(|stack| keep(stack)).map(|stack| stack.count).sum()
    };
    let hashes = |stack: &Stack| own(&work, stack).is_some_and(|f| f.line == Some(program.line("# HASH")));
    let (hashing, hashing_in_c) = (count(&hashes), count(&|s| hashes(s) && in_c(s)));
    assert!(hashing >= 5 && hashing_in_c * 10 >= hashing * 8, "{hashing_in_c} of {hashing}\n{work:#?}");
    let (rest, rest_in_c) = (count(&|s| !hashes(s)), count(&|s| !hashes(s) && in_c(s)));
    assert!(rest_in_c * 10 <= rest, "{rest_in_c} of {rest}\n{work:#?}");
}

#[test]
fn a_line_that_waits_is_named_with_what_it_waits_for() {
    let program = Program::of("python3", "hot.py", include_str!("apps/hot.py"));
    let profile = program.look_at_work("python");
    let sleeps = |stack: &&Stack| {
        own(&profile, stack).is_some_and(|frame| frame.line == Some(program.line("# WAITS")))
            && stack.doing == Doing::Sleeping
    };
    assert!(profile.stacks.iter().any(|stack| sleeps(&stack)), "{profile:#?}");
}
