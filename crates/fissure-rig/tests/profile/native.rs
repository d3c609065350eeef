//! Compiled programs: the kernel's samples, unwound and named.

use fissure_facts::profile::Doing;

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
