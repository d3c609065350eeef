//! Node: V8's own profiler, reached through the inspector.

use fissure_facts::profile::Doing;

use crate::program::{Program, own, share};

#[test]
fn the_hot_line_of_a_node_program_is_found_with_its_share() {
    let program = Program::of("node", "hot.js", include_str!("apps/hot.js"));
    let profile = program.look_at_work("node");
    assert_eq!(profile.instrument, "node");
    let samples: u64 = profile.stacks.iter().map(|stack| stack.count).sum();
    assert!(samples >= 200, "{samples}");
    let main = |stack: &str| stack == "node";
    let on = |worker: bool| {
        let mut profile = profile.clone();
        profile.stacks.retain(|stack| main(&stack.thread) != worker);
        profile
    };
    let running = |doing: &Doing| *doing == Doing::Running;
    let hot = share(&on(false), running, |f| f.function == "total");
    assert!((hot - 0.75).abs() < 0.1, "{hot} instead of 0.75\n{profile:#?}");
    let top = profile.stacks.iter().find_map(|stack| own(&profile, stack)).unwrap();
    assert_eq!(
        (top.file.as_deref(), top.line),
        (Some("hot.js"), Some(program.line("// HOT"))),
        "{profile:#?}"
    );

    let aside = on(true);
    let top = aside.stacks.iter().find_map(|stack| own(&aside, stack)).unwrap();
    assert_eq!((&*top.function, top.line), ("aside", Some(program.line("// WORKER"))), "a thread of its own");
}

#[test]
fn every_process_of_a_cluster_is_looked_into() {
    let program = Program::of("node", "cluster.js", include_str!("apps/cluster.js"));
    let profile = program.look_at_work("node");
    let top = profile.stacks.iter().find_map(|stack| Some((stack.process, own(&profile, stack)?))).unwrap();
    assert_ne!(top.0, program.pid(), "the one that only waits");
    assert_eq!((&*top.1.function, top.1.line), ("busy", Some(program.line("// HOT"))), "{profile:#?}");
}
