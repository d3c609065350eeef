//! Blocked threads: for what, on which line, and who is in the way.

use std::collections::HashSet;

use fissure_facts::profile::{Doing, Stack};

use crate::program::{Program, own, share};

#[test]
fn a_lock_that_is_held_across_a_slow_call_names_who_waits_and_who_holds() {
    let program = Program::of_c("lock.c", include_str!("apps/lock.c"));
    let profile = program.look("waits");
    let is_lock = |doing: &Doing| matches!(doing, Doing::WaitingForLock { .. });
    let (waits, holds) = (program.line("// WAITS"), program.line("// HOLDS"));

    let on_line = share(&profile, is_lock, |frame| frame.function == "handle" && frame.line == Some(waits));
    assert!(on_line > 0.95, "{on_line} of the waiting\n{profile:#?}");
    let locks: Vec<&Stack> = profile.stacks.iter().filter(|s| is_lock(&s.doing)).collect();
    let addresses: HashSet<&Doing> = locks.iter().map(|stack| &stack.doing).collect();
    assert_eq!(addresses.len(), 1, "one lock: {addresses:?}");

    // Five of six wait at any time.
    let count = |stacks: &[&Stack]| stacks.iter().map(|stack| stack.count).sum::<u64>() as f64;
    let all: Vec<&Stack> = profile.stacks.iter().collect();
    let waiting = count(&locks) / count(&all);
    assert!((waiting - 5.0 / 6.0).abs() < 0.08, "{waiting}");

    let named: Vec<&Stack> = locks.iter().copied().filter(|stack| !stack.holder.is_empty()).collect();
    assert!(count(&named) > 0.5 * count(&locks), "who holds it is mostly known\n{profile:#?}");
    // A holder may be seen on its way out of the lock.
    let holds_there = |stack: &&&Stack| {
        let mut frames = stack.holder.iter().map(|&index| &profile.frames[index as usize]);
        frames.find(|frame| frame.in_app).is_some_and(|f| f.function == "slow" && f.line == Some(holds))
    };
    let there: Vec<&Stack> = named.iter().filter(holds_there).copied().collect();
    assert!(count(&there) > 0.9 * count(&named), "{profile:#?}");
    let sleeping = share(&profile, |doing| *doing == Doing::Sleeping, |frame| frame.line == Some(holds));
    assert!(sleeping > 0.95, "{sleeping}");
    assert!(profile.stacks.iter().all(|stack| own(&profile, stack).is_some()));

    // A wait that lasts is seen several times and is one.
    assert!(profile.stacks.iter().all(|stack| stack.separate <= stack.count), "{profile:#?}");
    let separate = locks.iter().map(|stack| stack.separate).sum::<u64>() as f64;
    assert!(separate > 0.0 && separate < 0.9 * count(&locks), "{separate} of {}", count(&locks));
    assert!(profile.looks > 0 && count(&all) <= 6.0 * profile.looks as f64);
}

#[test]
fn who_asked_waits_for_its_peer_and_who_answers_for_its_client() {
    let program = Program::of_c("upstream.c", include_str!("apps/upstream.c"));
    let profile = program.look("waits");
    let [peer] = &profile.peers[..] else { panic!("one peer: {:?}", profile.peers) };
    // The first look may come before the program has connected.
    assert!((peer.looks - 1..=peer.looks).contains(&peer.connections), "one connection: {peer:?}");
    assert!(2 * peer.awaited > peer.looks, "an answer is awaited nearly always: {peer:?}");

    let address = Some(peer.address.clone());
    let asks = |doing: &Doing| *doing == Doing::WaitingForPeer { address: address.clone() };
    for (what, line) in [
        (&asks as &dyn Fn(&Doing) -> bool, "// ASKS"),
        (&|doing: &Doing| *doing == Doing::Sleeping, "// THINKS"),
    ] {
        let line = program.line(line);
        let on_line = share(&profile, what, |frame| frame.line == Some(line));
        assert!(on_line > 0.9, "{on_line} on line {line}\n{profile:#?}");
    }
    let listens = program.line("// LISTENS");
    let stray = profile.stacks.iter().filter(|s| own(&profile, s).is_some_and(|f| f.line == Some(listens)));
    assert!(stray.clone().all(|s| s.doing == Doing::WaitingForClient), "{:?}", stray.collect::<Vec<_>>());
}
