//! Go: its goroutines, read from outside. Skipped, and said, where no `go` is.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use fissure_facts::profile::{Doing, Stack};
use fissure_facts::{Address, Profile};

use crate::program::{Program, own};

/// The minor version of the Go that is installed here.
pub fn minor() -> Option<u32> {
    let said = Command::new("go").arg("version").output().ok().map(|output| output.stdout);
    let minor = said.and_then(|said| {
        let said = String::from_utf8(said).ok()?;
        said.split_once("go1.")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    });
    if minor.is_none() {
        eprintln!("skipped: no Go here (Debian package golang-go)");
    }
    minor
}

/// Builds with further arguments for `go build`.
pub fn compiler(arguments: &[&str]) -> Command {
    let mut compiler = Command::new("go");
    compiler.env("GO111MODULE", "off").arg("build").args(arguments).arg("-o");
    compiler
}

/// The port at which the server's peer listens comes along.
fn server(arguments: &[&str]) -> (Program, u16) {
    let mut program =
        Program::built_and_heard("serve.go", include_str!("apps/serve.go"), &mut compiler(arguments));
    let mut line = String::new();
    BufReader::new(program.output()).read_line(&mut line).unwrap();
    let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
    (program, port)
}

fn count(profile: &Profile, keep: impl Fn(&Stack) -> bool) -> u64 {
    profile.stacks.iter().filter(|stack| keep(stack)).map(|stack| stack.count).sum()
}

fn is_named(profile: &Profile, program: &Program, peer: u16) {
    let at = |mark: &'static str| {
        let line = Some(program.line(mark));
        move |stack: &Stack| own(profile, stack).is_some_and(|frame| frame.line == line)
    };
    let is_lock = |stack: &Stack| {
        let in_mutex = profile.frames(stack).any(|frame| frame.function.contains("(*Mutex).lockSlow"));
        in_mutex && matches!(stack.doing, Doing::WaitingForLock { .. })
    };
    let mean = |count: u64| count as f64 / profile.looks as f64;
    // Four of five wait for the mutex that the fifth holds, and all others that want it; three of five for a slot.
    let locks = count(profile, is_lock);
    let [there, too] =
        [at("// LOCKS"), at("// WANTS IT TOO")].map(|at| count(profile, |s| is_lock(s) && at(s)));
    assert!((3.0..=4.5).contains(&mean(there)), "{} wait for the mutex\n{profile:#?}", mean(there));
    assert!((3.0..=5.0).contains(&mean(too)), "{} wait for it, too\n{profile:#?}", mean(too));
    assert!((there + too) * 100 >= locks * 99, "{there} and {too} of {locks}\n{profile:#?}");
    let slots = count(profile, |s| at("// SLOT")(s) && matches!(s.doing, Doing::WaitingForLock { .. }));
    assert!((2.0..=3.5).contains(&mean(slots)), "{} wait for a slot\n{profile:#?}", mean(slots));
    let has_one = count(profile, |stack| at("// HAS ONE")(stack) && stack.doing == Doing::Sleeping);
    assert!((1.0..=2.1).contains(&mean(has_one)), "{} have a slot\n{profile:#?}", mean(has_one));

    let ports = |keep: &dyn Fn(Option<u16>) -> bool| {
        let is_kept = |stack: &Stack| matches!(&stack.doing, Doing::WaitingForPeer { address } if keep(address.as_ref().and_then(Address::port)));
        count(profile, |stack| at("// ASKS")(stack) && is_kept(stack))
    };
    let (asks, of_peer, of_others) = (
        count(profile, at("// ASKS")),
        ports(&|port| port == Some(peer)),
        ports(&|port| port.is_some_and(|port| port != peer)),
    );
    // Of a connection that has just been opened nobody reads yet: the less, the more the machine has to do, and one in three beside
    // two busy loops.
    assert!(mean(asks) > 3.5 && of_peer * 2 > asks, "{of_peer} of {asks}\n{profile:#?}");
    assert_eq!(of_others, 0, "{profile:#?}");

    // What waits for work, or for a request, is no request that waits.
    let own_of_others = ["// WORKER", "// ACCEPTS", "// READS", "// LATE"];
    assert!(own_of_others.iter().all(|&mark| count(profile, at(mark)) == 0), "{profile:#?}");
    let idle =
        count(profile, |stack| stack.doing == Doing::WaitingForClient && own(profile, stack).is_none());
    // Five over which nothing is asked, and those whose client has its answer and no CPU to ask again.
    assert!((4.9..15.0).contains(&mean(idle)), "{} connections rest\n{profile:#?}", mean(idle));

    // Where the lock is held, it waits for the time or the disk, whoever waits for it.
    let is_held_at = |mark: &'static str| {
        let line = Some(program.line(mark));
        move |stack: &Stack| {
            let mut frames = stack.holder.iter().map(|&index| &profile.frames[index as usize]);
            frames.find(|frame| frame.in_app).is_some_and(|frame| frame.line == line)
        }
    };
    for (mark, all) in [("// LOCKS", there), ("// WANTS IT TOO", too)] {
        let held = |by| count(profile, |s| is_lock(s) && at(mark)(s) && is_held_at(by)(s));
        let (holds, lets_go) = (held("// HOLDS"), held("// LETS GO"));
        assert!(
            holds * 2 > all && lets_go * 50 <= all,
            "{holds} and {lets_go} of {all} at {mark}\n{profile:#?}"
        );
    }
}

#[test]
fn a_goroutine_that_waits_is_named_with_what_it_waits_for() {
    let Some(minor) = minor() else { return };
    let (program, peer) = server(&[]);
    let profile = program.look("go");
    is_named(&profile, &program, peer);
    let at = |mark| {
        let line = Some(program.line(mark));
        count(&profile, |stack| own(&profile, stack).is_some_and(|frame| frame.line == line))
    };
    let (helps, joins) = (at("// HELPS"), at("// JOINS"));
    // Since Go 1.21 a goroutine knows who started it.
    let (many, few) = if minor >= 21 { (helps, joins) } else { (joins, helps) };
    assert!(many > 5 * few && many > 2 * profile.looks, "{helps} help, {joins} wait for it\n{profile:#?}");
}

#[test]
fn a_stripped_program_says_as_much() {
    if minor().is_none() {
        return;
    }
    let (program, peer) = server(&["-ldflags=-s -w"]);
    is_named(&program.look("go"), &program, peer);
}
