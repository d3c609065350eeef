//! PHP: its memory, read from outside.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Stack};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Program, own};

const SERVES_WITHIN: Duration = Duration::from_secs(30);

/// None where there is no PHP, or one built for threads, which nobody can look into.
fn program(name: &str, text: &str) -> Option<Program> {
    let tells = Command::new("php").args(["-r", "echo PHP_ZTS;"]).stderr(Stdio::null()).output();
    match tells {
        Ok(told) if told.status.success() && told.stdout == b"0" => Some(Program::of("php", name, text)),
        Ok(told) if told.status.success() => {
            eprintln!("skipped: this PHP is built for threads");
            None
        }
        _ => {
            eprintln!("skipped: no `php` here (Debian: php-cli)");
            None
        }
    }
}

fn count(profile: &Profile, keep: impl Fn(&Stack) -> bool) -> u64 {
    profile.stacks.iter().filter(|stack| keep(stack)).map(|stack| stack.count).sum()
}

fn runs(stack: &Stack) -> bool {
    stack.doing == Doing::Running
}

/// The innermost frame in the app's files is on the line with this mark.
fn is_on(profile: &Profile, program: &Program, stack: &Stack, mark: &str) -> bool {
    own(profile, stack).is_some_and(|frame| frame.line == Some(program.line(mark)))
}

#[test]
fn the_hot_line_of_a_php_program_is_found_with_its_share() {
    let Some(program) = program("hot.php", include_str!("apps/hot.php")) else { return };
    let profile = program.look_at_work("php");
    let inside = |function: &'static str| {
        let profile = &profile;
        move |stack: &Stack| {
            runs(stack)
                && own(profile, stack).is_some_and(|frame| {
                    frame.file.as_deref() == Some("hot.php") && frame.function == function
                })
        }
    };
    let (hot, rest) = (count(&profile, inside("Cart::total")), count(&profile, inside("rest")));
    assert!(hot + rest >= 50, "{hot} and {rest}");
    let share = hot as f64 / (hot + rest) as f64;
    assert!((share - 0.75).abs() < 0.1, "{share} instead of 0.75\n{profile:#?}");
    // PHP notes down where it is before whatever may fail, and so a sum is met at its line, not at its loop's.
    let on_line = count(&profile, |stack| runs(stack) && is_on(&profile, &program, stack, "// HOT"));
    assert!(on_line * 10 > hot * 9, "{on_line} of {hot}\n{profile:#?}");
}

#[test]
fn what_an_extension_does_for_a_line_is_told_from_the_lines_own_work() {
    let Some(program) = program("hot.php", include_str!("apps/hot.php")) else { return };
    let profile = program.look_at_work("php");
    let in_hash = |stack: &Stack| {
        let inner = profile.frames(stack).next();
        inner.is_some_and(|f| f.function == "hash_pbkdf2" && f.module.as_deref() == Some("ext/hash"))
    };
    let hashes = |stack: &Stack| runs(stack) && is_on(&profile, &program, stack, "// HASH");
    let (hashing, there) = (count(&profile, hashes), count(&profile, |s| hashes(s) && in_hash(s)));
    assert!(hashing >= 5 && there * 10 >= hashing * 9, "{there} of {hashing}\n{profile:#?}");
    assert_eq!(count(&profile, |stack| in_hash(stack) && !hashes(stack)), 0, "{profile:#?}");
}

#[test]
fn no_more_of_php_runs_than_there_was_cpu() {
    let Some(program) = program("hot.php", include_str!("apps/hot.php")) else { return };
    let before_s = program.cpu_s();
    let profile = program.look_at_work("php");
    let cpu_s = program.cpu_s() - before_s;
    let running_s = count(&profile, runs) as f64 * profile.period_s;
    assert!(running_s < 1.05 * cpu_s, "{running_s} s of samples for {cpu_s} s of CPU");
    assert!(running_s > 0.8 * cpu_s, "{running_s} s of samples for {cpu_s} s of CPU");
}

#[test]
fn a_line_of_php_that_waits_is_named_with_what_it_waits_for() {
    let Some(program) = program("waits.php", include_str!("apps/waits.php")) else { return };
    let profile = program.look("php");
    let most = |what: &dyn Fn(&Stack) -> bool, mark: &str, callee: &str| {
        let is_there = |stack: &Stack| {
            let inner = profile.frames(stack).next();
            is_on(&profile, &program, stack, mark) && inner.is_some_and(|frame| frame.function == callee)
        };
        let (all, there) = (count(&profile, what), count(&profile, |s| what(s) && is_there(s)));
        assert!(all > 20 && there * 10 > all * 9, "{there} of {all} at {mark}\n{profile:#?}");
    };
    most(&|stack| stack.doing == Doing::Sleeping, "// SLEEPS", "usleep");
    let is_peer = |stack: &Stack| matches!(stack.doing, Doing::WaitingForPeer { address: Some(_) });
    most(&is_peer, "// ASKS", "file_get_contents");
    let waits = count(&profile, |stack| stack.doing == Doing::Sleeping || is_peer(stack));
    let all = count(&profile, |_| true);
    assert!(waits * 10 > all * 9, "{waits} of {all}\n{profile:#?}");
}

/// The answer to a request, when there is one.
fn ask(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer).filter(|answer| answer.contains("200 OK"))
}

struct Server {
    program: Program,
    address: String,
}

impl Drop for Server {
    /// PHP's own server leaves its workers alone when it is asked to end.
    fn drop(&mut self) {
        for worker in self.program.processes().into_iter().filter(|pid| *pid != self.program.pid()) {
            let _ = kill_process(Pid::from_raw(worker as i32).unwrap(), Signal::KILL);
        }
    }
}

/// The server, when it has answered once.
fn server() -> Option<Server> {
    let program = program("server.php", include_str!("apps/server.php"))?;
    let address = std::fs::read_to_string(program.folder().join("address")).unwrap();
    let server = Server { program, address };
    let until = Instant::now() + SERVES_WITHIN;
    while ask(&server.address).is_none() {
        assert!(Instant::now() < until, "PHP's own server answers");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(server)
}

#[test]
fn workers_of_php_that_nobody_asks_are_idle_and_on_no_line() {
    let Some(server) = server() else { return };
    let program = &server.program;
    assert!(program.processes().len() >= 3, "workers have been started: {:?}", program.processes());
    let profile = program.look("php");
    assert!(profile.stacks.iter().all(|stack| profile.frames(stack).next().is_none()), "{profile:#?}");
    assert!(profile.stacks.iter().all(|stack| stack.doing == Doing::WaitingForConnection), "{profile:#?}");
    assert!(count(&profile, |_| true) > 20 && profile.lost == 0, "{profile:#?}");
}

#[test]
fn workers_of_php_that_are_asked_work_on_the_planted_line() {
    let Some(server) = server() else { return };
    let Server { program, address } = &server;
    let is_over = AtomicBool::new(false);
    let profile = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    ask(address);
                }
            });
        }
        let profile = program.look("php");
        is_over.store(true, Ordering::Relaxed);
        profile
    });
    let is_inside = |stack: &Stack| runs(stack) && own(&profile, stack).is_some_and(|f| f.function == "work");
    let (all, inside) = (count(&profile, runs), count(&profile, is_inside));
    let there = count(&profile, |stack| is_inside(stack) && is_on(&profile, program, stack, "// HOT"));
    // Of the function's lines it is the first; a part of the looks finds the line at which the function last returned.
    assert!(
        all >= 20 && inside * 10 > all * 9 && there * 2 > inside,
        "{there} of {inside} of {all}\n{profile:#?}"
    );
    let mut workers: Vec<u32> = profile.stacks.iter().filter(|s| runs(s)).map(|s| s.process).collect();
    workers.sort_unstable();
    workers.dedup();
    assert!(workers.len() >= 2, "{workers:?}\n{profile:#?}");
}
