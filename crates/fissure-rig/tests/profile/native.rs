//! Compiled programs: the kernel's samples, unwound and named.

use std::process::Command;

use fissure_facts::profile::Doing;

use crate::go;
use crate::program::{Program, own, share};

#[test]
fn the_hot_line_of_an_optimised_program_is_found_with_its_share() {
    let program = Program::of_c("hot.c", include_str!("apps/hot.c"));
    let profile = program.look_at_work("native");
    assert_eq!(profile.window, 7);
    let samples: u64 = profile.stacks.iter().map(|stack| stack.count).sum();
    assert!(samples >= 200 && profile.lost * 10 < samples, "{samples}, {} lost", profile.lost);

    let running = |doing: &Doing| *doing == Doing::Running;
    // `step` is inlined into `hot`, whose loop the compiler may book on either.
    let hot = share(&profile, running, |f| ["hot", "step"].contains(&f.function.as_str()));
    assert!((hot - 0.75).abs() < 0.1, "{hot} instead of 0.75\n{profile:#?}");
    let top = own(&profile, &profile.stacks[0]).unwrap();
    assert_eq!(
        (top.file.as_deref(), top.line),
        (Some("hot.c"), Some(program.line("// HOT"))),
        "{profile:#?}"
    );

    let names: Vec<&str> = profile.frames(&profile.stacks[0]).map(|f| f.function.as_str()).collect();
    let position = |name: &str| names.iter().position(|n| *n == name);
    let order = ["step", "hot", "handle", "main"].map(position);
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{names:?}");
}

#[test]
#[ignore = "of Go 1.19 the loop's line has more than the line inside: cargo test --test profile -- --ignored"]
fn the_hot_line_of_a_go_program_is_found_with_its_share() {
    if go::minor().is_none() {
        return;
    }
    let program = Program::built("hot.go", include_str!("apps/hot.go"), &mut go::compiler(&[]));
    let profile = program.look_at_work("native");
    let running = |doing: &Doing| *doing == Doing::Running;
    let hot = share(&profile, running, |f| f.function.contains("total"));
    assert!((hot - 0.75).abs() < 0.1, "{hot} instead of 0.75\n{profile:#?}");
    let line = share(&profile, running, |f| f.line == Some(program.line("// HOT")));
    assert!(line > 0.3, "{line} in the line itself, the rest in that of its loop\n{profile:#?}");
    let top = own(&profile, &profile.stacks[0]).unwrap();
    assert_eq!(top.file.as_deref(), Some("hot.go"));
    let names: Vec<&str> = profile.frames(&profile.stacks[0]).map(|f| f.function.as_str()).collect();
    assert!(names.contains(&"main.work"), "{names:?}");
}

/// More than half of an app's work was on no line: what copies a struct is called with a frame pointer that leads nowhere.
#[test]
fn what_go_copies_is_the_work_of_the_line_that_copies() {
    if go::minor().is_none() {
        return;
    }
    let program = Program::built("copies.go", include_str!("apps/copies.go"), &mut go::compiler(&[]));
    let profile = program.look_at_work("native");
    let all: u64 = profile.stacks.iter().map(|stack| stack.count).sum();
    let on = |mark: &str, depth: usize| {
        let line = Some(program.line(mark));
        let frame = |stack| profile.frames(stack).filter(|f| f.in_app).nth(depth);
        let there = profile.stacks.iter().filter(|stack| frame(stack).is_some_and(|f| f.line == line));
        there.map(|stack| stack.count).sum::<u64>()
    };
    let copied: u64 = profile
        .stacks
        .iter()
        .filter(|s| profile.frames(s).any(|f| f.function == "runtime.duffcopy"))
        .map(|s| s.count)
        .sum();
    assert!(copied * 4 > all, "{copied} of {all} copy\n{profile:#?}");
    assert!(on("// COPIES", 0) * 2 > all && on("// CALLS", 1) * 20 > all * 19, "{all}\n{profile:#?}");
}

/// An app whose work was SQLite's, which is C, was told to buy CPUs: its own lines that asked for it were on another stack.
#[test]
fn what_c_works_for_go_is_the_work_of_the_go_line_that_called_it() {
    if go::minor().is_none() {
        return;
    }
    let program = Program::built("calls_c.go", include_str!("apps/calls_c.go"), &mut go::compiler(&[]));
    let profile = program.look_at_work("native");
    let all: u64 = profile.stacks.iter().map(|stack| stack.count).sum();
    let from = |mark: &str| {
        let line = Some(program.line(mark));
        let there = profile.stacks.iter().filter(|s| profile.frames(s).any(|f| f.line == line));
        there.map(|stack| stack.count).sum::<u64>() as f64 / all as f64
    };
    let (often, seldom) = (from("// OFTEN"), from("// SELDOM"));
    assert!((often - 0.75).abs() < 0.12 && often + seldom > 0.85, "{often} and {seldom}\n{profile:#?}");
}

#[test]
#[ignore = "needs g++: cargo test -p fissure-rig --test profile -- --ignored"]
fn a_method_of_a_cpp_template_is_named_as_its_source_does() {
    let text = include_str!("apps/hot.cpp");
    let program = Program::built("hot.cpp", text, Command::new("g++").args(["-O2", "-g", "-o"]));
    let profile = program.look_at_work("native");
    let top = own(&profile, &profile.stacks[0]).unwrap();
    assert_eq!((top.file.as_deref(), top.line), (Some("hot.cpp"), Some(program.line("// HOT"))));
    assert!(top.function.contains("shop::Cart<") && top.function.contains("::total("), "{}", top.function);
}
