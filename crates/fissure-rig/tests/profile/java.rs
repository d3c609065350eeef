//! Java: the JVM's own recorder, and its list of threads. Skipped, and said, where no `java` is.

use fissure_facts::profile::Doing;

use crate::program::{Program, own, share};

/// Compiled by `java` itself on its way up, which needs a JDK and not only a runtime.
fn program() -> Option<Program> {
    if std::process::Command::new("javac").arg("-version").output().is_err() {
        eprintln!("skipped: no JDK here (Debian package default-jdk-headless)");
        return None;
    }
    Some(Program::of("java", "Hot.java", include_str!("apps/Hot.java")))
}

#[test]
fn the_hot_line_of_a_java_program_is_found_with_its_share() {
    let Some(program) = program() else { return };
    let profile = program.look_at_work("java");
    let mut work = profile.clone();
    work.stacks.retain(|stack| stack.thread == "main");
    let samples: u64 = work.stacks.iter().map(|stack| stack.count).sum();
    assert!(samples >= 60, "{samples}\n{profile:#?}");
    let running = |doing: &Doing| *doing == Doing::Running;
    let hot = share(&work, running, |f| f.function == "Hot.total");
    assert!((hot - 0.75).abs() < 0.1, "{hot} instead of 0.75\n{work:#?}");
    let rest = share(&work, running, |f| f.function == "Other.rest" && f.file.as_deref() == Some("Hot.java"));
    assert!((rest - 0.25).abs() < 0.1, "{rest} instead of 0.25: a second class of the file\n{work:#?}");
    let line = share(&work, running, |f| f.line == Some(program.line("// HOT")));
    assert!(line > 0.5, "{line}\n{work:#?}");
    // A JVM that is killed would leave it there.
    let of_its_recorder = format!("_{}", program.pid());
    let mut temporary = std::fs::read_dir("/tmp").unwrap().flatten();
    assert!(!temporary.any(|e| e.file_name().to_string_lossy().ends_with(&of_its_recorder)));
}

#[test]
fn what_waits_in_a_java_program_is_named_with_who_holds_the_monitor() {
    let Some(program) = program() else { return };
    let profile = program.look("java waits");
    assert!(profile.looks >= 5, "{}", profile.looks);
    let of = |thread: &str| {
        let mut some = profile.clone();
        some.stacks.retain(|stack| stack.thread.starts_with(thread));
        some
    };
    let is_lock = |doing: &Doing| matches!(doing, Doing::WaitingForLock { .. });
    // An interpreted method that waits for a monitor is already seen at its next instruction.
    let (waits, holds) = (program.line("// WAITS"), program.line("// HOLDS"));
    for (threads, function, lines) in
        [("waits-", "Hot.slow", [waits, holds]), ("gate-", "Hot.pass", [program.line("// GATE"); 2])]
    {
        let seen = of(threads);
        let there = share(&seen, is_lock, |f| {
            f.function == function && f.line.is_some_and(|line| lines.contains(&line))
        });
        assert!(there > 0.95, "{there} of {threads}\n{seen:#?}");
        // Two of three wait at any time.
        let locked: u64 = seen.stacks.iter().filter(|s| is_lock(&s.doing)).map(|s| s.count).sum();
        let mean = locked as f64 / profile.looks as f64;
        assert!((mean - 2.0).abs() < 0.4, "{mean}\n{seen:#?}");
    }
    let monitor = of("waits-");
    let (mut locked, mut held) = (0, 0);
    for stack in monitor.stacks.iter().filter(|s| is_lock(&s.doing)) {
        locked += stack.count;
        let holder = stack.holder.iter().map(|&i| &profile.frames[i as usize]).find(|f| f.in_app);
        let holds_there = holder.is_some_and(|f| f.function == "Hot.slow" && f.line == Some(holds));
        held += if holds_there { stack.count } else { 0 };
    }
    assert!(held * 10 > locked * 8, "{held} of {locked}\n{monitor:#?}");
    let sleeping = share(&monitor, |doing| *doing == Doing::Sleeping, |f| f.line == Some(holds));
    assert!(sleeping > 0.95, "{sleeping}");
    let idle = of("pool-");
    assert!(idle.stacks.iter().all(|stack| own(&profile, stack).is_none()), "{idle:#?}");
}
