//! Ruby: its memory, read from outside.

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame, Stack};

use crate::program::{Program, own};

/// What ran; threads that wait stand beside it.
fn running(profile: &Profile, program: &Program) -> Profile {
    let mut profile = profile.clone();
    profile.stacks.retain(|stack| stack.process == program.pid() && stack.doing == Doing::Running);
    profile
}

fn count(profile: &Profile, keep: impl Fn(&Stack) -> bool) -> u64 {
    profile.stacks.iter().filter(|stack| keep(stack)).map(|stack| stack.count).sum()
}

#[test]
fn the_hot_line_of_a_ruby_program_is_found_with_its_share() {
    let program = Program::of("ruby", "hot.rb", include_str!("apps/hot.rb"));
    // Of a hundred samples the share is known to within 0.12 too seldom.
    let works: Vec<Profile> = (0..3).map(|_| running(&program.look_at_work("ruby"), &program)).collect();
    let of = |keep: &dyn Fn(&Frame) -> bool| -> u64 {
        let stacks = |work: &Profile| count(work, |stack| own(work, stack).is_some_and(keep));
        works.iter().map(stacks).sum()
    };
    let (pure, total) =
        (of(&|frame| frame.function != "fingerprint"), of(&|frame| frame.function == "total"));
    assert!(pure >= 150, "{pure}");
    let hot = total as f64 / pure as f64;
    assert!((hot - 0.75).abs() < 0.12, "{hot} instead of 0.75\n{works:#?}");
    let work = &works[0];
    let in_line = |stack: &Stack| {
        own(work, stack).is_some_and(|frame| {
            frame.file.as_deref() == Some("hot.rb") && frame.line == Some(program.line("# HOT"))
        })
    };
    assert!(count(work, in_line) > 0, "{work:#?}");
}

#[test]
fn what_a_library_in_c_does_for_a_line_is_told_from_the_lines_own_work() {
    let program = Program::of("ruby", "hot.rb", include_str!("apps/hot.rb"));
    let profile = program.look_at_work("ruby");
    let work = running(&profile, &program);
    let in_c = |stack: &Stack| {
        work.frames(stack).next().is_some_and(|frame| frame.module.as_deref() == Some("openssl.so"))
    };
    let hashes = |stack: &Stack| own(&work, stack).is_some_and(|f| f.line == Some(program.line("# HASH")));
    let (hashing, hashing_in_c) = (count(&work, hashes), count(&work, |s| hashes(s) && in_c(s)));
    assert!(hashing >= 5 && hashing_in_c * 10 >= hashing * 8, "{hashing_in_c} of {hashing}\n{work:#?}");
    let (rest, rest_in_c) = (count(&work, |s| !hashes(s)), count(&work, |s| !hashes(s) && in_c(s)));
    assert!(rest_in_c * 10 <= rest, "{rest_in_c} of {rest}\n{work:#?}");
}

#[test]
fn no_more_runs_than_there_was_cpu() {
    let program = Program::of("ruby", "hot.rb", include_str!("apps/hot.rb"));
    let before_s = program.cpu_s();
    let profile = program.look_at_work("ruby");
    let cpu_s = program.cpu_s() - before_s;
    let running_s = count(&profile, |stack| stack.doing == Doing::Running) as f64 * profile.period_s;
    assert!(running_s < 1.05 * cpu_s, "{running_s} s of samples for {cpu_s} s of CPU");
    assert!(running_s > 0.8 * cpu_s, "{running_s} s of samples for {cpu_s} s of CPU");
}

#[test]
fn a_line_that_waits_is_named_with_what_it_waits_for() {
    let program = Program::of("ruby", "hot.rb", include_str!("apps/hot.rb"));
    let profile = program.look_at_work("ruby");
    let most = |what: &dyn Fn(&Stack) -> bool, line: &str, function: &str| {
        let on_line = |stack: &Stack| {
            own(&profile, stack)
                .is_some_and(|f| f.line == Some(program.line(line)) && f.function.contains(function))
        };
        let (all, there) = (count(&profile, what), count(&profile, |s| what(s) && on_line(s)));
        assert!(all > 20 && there * 10 >= all * 9, "{there} of {all} at {line}\n{profile:#?}");
    };
    let is_lock = |stack: &Stack| matches!(stack.doing, Doing::WaitingForLock { .. });
    let is_peer = |stack: &Stack| matches!(stack.doing, Doing::WaitingForPeer { address: Some(_) });
    // Who holds the mutex at times finds it taken, too.
    let is_locker = |stack: &Stack| {
        is_lock(stack) && profile.frames(stack).any(|frame| frame.function.contains("locker"))
    };
    most(&is_locker, "# LOCKS", "locker");
    let takes = |stack: &Stack| {
        own(&profile, stack)
            .is_some_and(|f| [program.line("# LOCKS"), program.line("# TAKES")].map(Some).contains(&f.line))
    };
    // Nobody is stopped, so a thread may be seen on its way out of the wait.
    let (locks, there) = (count(&profile, is_lock), count(&profile, |stack| is_lock(stack) && takes(stack)));
    assert!(there * 100 >= locks * 95, "{there} of {locks}\n{profile:#?}");
    most(&is_peer, "# ASKS", "asker");
    for (line, function) in [("# WAITS", "<main>"), ("# HOLDS", "holder")] {
        let there = count(&profile, |stack| {
            stack.doing == Doing::Sleeping
                && own(&profile, stack)
                    .is_some_and(|f| f.line == Some(program.line(line)) && f.function.contains(function))
        });
        assert!(there > 20, "{there} at {line}\n{profile:#?}");
    }

    // Who waits for the mutex is told who holds it, and where that stands.
    let holder = |stack: &Stack| {
        let mut frames = stack.holder.iter().map(|&index| &profile.frames[index as usize]);
        frames.find(|frame| frame.in_app).map(|frame| (frame.function.clone(), frame.line))
    };
    let named = count(&profile, |stack| is_lock(stack) && holder(stack).is_some());
    assert!(named * 10 > locks * 8, "{named} of {locks}");
    let lines = ["# HOLDS", "# TAKES", "# LOCKS", "# HAS IT"].map(|mark| Some(program.line(mark)));
    assert!(profile.stacks.iter().filter_map(holder).all(|(_, line)| lines.contains(&line)), "{profile:#?}");
    let holds = |stack: &Stack| holder(stack).is_some_and(|(_, line)| line == lines[0]);
    let there = count(&profile, |stack| is_lock(stack) && holds(stack));
    assert!(there * 10 > named * 9, "{there} of {named}\n{profile:#?}");
}

#[test]
fn every_worker_of_a_server_that_forks_is_seen() {
    let program = Program::of("ruby", "cluster.rb", include_str!("apps/cluster.rb"));
    let profile = program.look_at_work("ruby");
    let workers: Vec<u32> = program.processes().into_iter().filter(|pid| *pid != program.pid()).collect();
    assert_eq!(workers.len(), 2);
    for worker in workers {
        let on = |marks: &[&str]| {
            let lines: Vec<Option<u32>> = marks.iter().map(|mark| Some(program.line(mark))).collect();
            count(&profile, |stack| {
                stack.process == worker
                    && stack.doing == Doing::Running
                    && own(&profile, stack).is_some_and(|f| lines.contains(&f.line))
            })
        };
        let all = count(&profile, |stack| stack.process == worker && stack.doing == Doing::Running);
        // Calling the block, again and again, is work of the line that asks for it.
        let there = on(&["# CALLS", "# HOT", "# GIVES"]);
        assert!(all >= 20 && there * 100 >= all * 95, "{there} of {all} in {worker}\n{profile:#?}");
        assert!(on(&["# HOT"]) > 0 && on(&["# CALLS"]) > 0, "{profile:#?}");
    }
    let waits = |stack: &Stack| {
        stack.process == program.pid()
            && stack.doing != Doing::Running
            && own(&profile, stack).is_some_and(|f| f.line == Some(program.line("# WAITS")))
    };
    assert!(count(&profile, waits) > 20, "{profile:#?}");
}
