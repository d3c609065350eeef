//! The guard: parent of the app's main process, and of whatever its processes leave behind.
//!
//! Two threads, no runtime: one reads orders, the main one starts, reaps and ends. The main thread must be the one
//! that starts the app, because "die with your parent" is tied to the thread that forked.

use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, getppid};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::intercept::{self, Switch, Watch};
use super::protocol::{Launch, Order, Report};
use super::{attach_socket, mark};
use crate::process;

/// How long a tree may take to end politely when nobody said otherwise.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// How often the guard looks for ended children. Ten times a second costs nothing that can be measured.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Body of the hidden subcommand: reads a [`Launch`] and then orders from standard input, reports on standard output.
/// Returns the exit status.
pub fn guard() -> i32 {
    // A session of its own: Ctrl-C and a closed terminal are fissure's business. Fails only for a group leader,
    // that is when a person started the guard by hand.
    let _ = rustix::process::setsid();
    crate::weight::favour_this_session();
    let mut first = String::new();
    if io::stdin().lock().read_line(&mut first).is_err() || first.trim().is_empty() {
        return 0; // fissure ended before it said what to start
    }
    let launch: Launch = match serde_json::from_str(&first) {
        Ok(launch) => launch,
        Err(error) => return fail(format!("The guard does not understand what it should start: {error}")),
    };
    if let Err(error) = rustix::process::set_child_subreaper(Some(getpid())) {
        return fail(format!(
            "This kernel does not let a process adopt orphans ({error}), so nothing is started."
        ));
    }
    let (main, switch) = match start(&launch) {
        Ok(started) => started,
        Err(sentence) => return fail(sentence),
    };
    report(&Report::Started(main));
    let grace = watch(main, switch.as_ref(), &orders());
    let tree = process::descendants(std::process::id());
    end_tree(grace);
    tree.into_iter().for_each(attach_socket::remove);
    report(&Report::ReapedCpuUs(reaped_cpu_us()));
    0
}

fn fail(sentence: String) -> i32 {
    report(&Report::Failed(sentence));
    1
}

/// Fissure may be gone; then nobody reads, and the pipe's end has told us already.
fn report(report: &Report) {
    if let Ok(mut line) = serde_json::to_string(report) {
        line.push('\n');
        let _ = io::stdout().lock().write_all(line.as_bytes());
    }
}

fn orders() -> Receiver<Order> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if line.trim() == "stop" {
                return; // the channel closes: same as the end of the pipe
            }
            if let Ok(order) = serde_json::from_str(&line)
                && sender.send(order).is_err()
            {
                return;
            }
        }
    });
    receiver
}

/// Reaps and reports until the tree is to end; answers with the grace it gets.
fn watch(main: u32, switch: Option<&Switch>, orders: &Receiver<Order>) -> Duration {
    let mut empty = false;
    loop {
        match orders.recv_timeout(LOOK_EVERY) {
            Ok(Order::Stop { grace_ms }) => return Duration::from_millis(grace_ms),
            Ok(Order::FailCalls { for_ms }) => {
                switch.into_iter().for_each(|switch| switch.fail_for(Duration::from_millis(for_ms)));
            }
            Ok(Order::MendCalls) => switch.into_iter().for_each(Switch::mend),
            Ok(Order::Cpu) => report(&Report::ReapedCpuUs(reaped_cpu_us())),
            Err(RecvTimeoutError::Disconnected) => return GRACE,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let left = reap(|pid, status| {
            attach_socket::remove(pid);
            if pid == main {
                let (how, success) = describe(status);
                report(&Report::Exited { how, success });
            }
        });
        if !left && !empty {
            empty = true;
            report(&Report::Empty);
        }
    }
}

/// Waits for every child that has ended. False when no child is left, which for a subreaper means that no descendant
/// is left either: a descendant whose ancestors all ended is a child.
fn reap(mut ended: impl FnMut(u32, WaitStatus)) -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => ended(pid.as_raw_pid().unsigned_abs(), status),
            Ok(None) | Err(rustix::io::Errno::INTR) => return true,
            Err(_) => return false,
        }
    }
}

fn start(launch: &Launch) -> Result<(u32, Option<Switch>), String> {
    let label = &launch.label;
    let output = OpenOptions::new().create(true).append(true).open(&launch.output).map_err(|error| {
        format!("The output of {label} cannot be written to {}: {error}.", launch.output.display())
    })?;
    let errors =
        output.try_clone().map_err(|error| format!("The output of {label} cannot be opened: {error}."))?;
    if !launch.folder.is_dir() {
        return Err(format!(
            "The folder {} of {label} does not exist: say where the app is.",
            launch.folder.display()
        ));
    }
    let mut cpus = CpuSet::new();
    launch.cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU).for_each(|&cpu| cpus.set(cpu));
    let pin = (cpus.count() > 0).then_some(cpus);

    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(&launch.command).current_dir(&launch.folder);
    launch.clear_env.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.envs(launch.env.iter().map(|(name, value)| (name, value)));
    command.env(mark::VARIABLE, mark::own());
    // `PWD` as a shell's `cd` would leave it; fissure's own would contradict the folder.
    command.env("PWD", &launch.folder).env_remove("OLDPWD");
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    let guard = getpid();
    die_with_guard(&mut command, guard, pin);
    let mut switch = None;
    if launch.intercept.is_some() || launch.moved.is_some() {
        let (intercept, moved, spared) = (launch.intercept, launch.moved, launch.output.clone());
        let watched = intercept::watch(&mut command, Watch { intercept, moved, spared });
        switch = Some(
            watched.map_err(|error| format!("The system calls of {label} cannot be watched: {error}."))?,
        );
    }
    match command.spawn() {
        Ok(child) => Ok((child.id(), switch)),
        Err(error) => Err(format!("{label} cannot be started: {error}.")),
    }
}

/// The app's main process is told to die with the guard, and is pinned before its program begins, so that every
/// process and thread it starts inherits both the CPU set and nothing of the guard's.
#[expect(unsafe_code, reason = "what happens between fork and exec has no safe interface")]
fn die_with_guard(command: &mut Command, guard: Pid, pin: Option<CpuSet>) {
    let prepare = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(guard) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH)); // it died before we asked
        }
        match &pin {
            Some(cpus) => Ok(sched_setaffinity(None, cpus)?),
            None => Ok(()),
        }
    };
    // SAFETY: `prepare` makes three system calls and touches only its own stack: it neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Ends everything below the guard: TERM (and CONT, for those who sleep), a grace, then KILL until nobody is left.
fn end_tree(grace: Duration) {
    let tree = process::descendants(std::process::id());
    if !grace.is_zero() {
        signal(&tree, Signal::TERM);
        signal(&tree, Signal::CONT);
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if !reap(|_, _| ()) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    let mut pause = Duration::from_millis(2);
    loop {
        // Freeze first: a tree that forks faster than it is killed stands still before it dies.
        let mut frozen = 0;
        for _ in 0..50 {
            let tree = process::descendants(std::process::id());
            signal(&tree, Signal::STOP);
            if tree.len() == frozen {
                break;
            }
            frozen = tree.len();
        }
        signal(&process::descendants(std::process::id()), Signal::KILL);
        thread::sleep(pause);
        if !reap(|_, _| ()) {
            return;
        }
        // A process in the middle of a disk operation cannot die yet: wait for it, less and less often.
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids.iter().filter_map(|&pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        let _ = rustix::process::kill_process(pid, signal); // it may have ended in between
    }
}

fn describe(status: WaitStatus) -> (String, bool) {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (format!("exit status {code}"), code == 0),
        (None, Some(number)) => (format!("signal {number}{}", signal_name(number)), false),
        (None, None) => (format!("wait status {}", status.as_raw()), false),
    }
}

/// ` (SIGKILL)`, with a reading for the signals that kill servers.
fn signal_name(number: i32) -> &'static str {
    match number {
        libc::SIGHUP => " (SIGHUP)",
        libc::SIGINT => " (SIGINT)",
        libc::SIGQUIT => " (SIGQUIT)",
        libc::SIGILL => " (SIGILL)",
        libc::SIGTRAP => " (SIGTRAP)",
        libc::SIGABRT => " (SIGABRT)",
        libc::SIGBUS => " (SIGBUS)",
        libc::SIGFPE => " (SIGFPE)",
        libc::SIGKILL => " (SIGKILL)",
        libc::SIGSEGV => " (SIGSEGV)",
        libc::SIGPIPE => " (SIGPIPE)",
        libc::SIGALRM => " (SIGALRM)",
        libc::SIGTERM => " (SIGTERM)",
        libc::SIGXCPU => " (SIGXCPU)",
        libc::SIGXFSZ => " (SIGXFSZ)",
        libc::SIGSYS => " (SIGSYS)",
        _ => "",
    }
}

/// CPU of all reaped descendants, user and system.
#[expect(unsafe_code, reason = "no safe wrapper of getrusage is among the dependencies")]
fn reaped_cpu_us() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a writable rusage, and all-zero is a valid value of it if the call should fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let us = |time: libc::timeval| {
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
    };
    us(usage.ru_utime) + us(usage.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaped_cpu_grows_by_what_a_child_used() {
        let before = reaped_cpu_us();
        let mut child = Command::new("/bin/sh")
            .args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"])
            .spawn()
            .unwrap();
        child.wait().unwrap();
        assert!(reaped_cpu_us() > before);
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is waited for by its pid, for the raw status")]
    fn an_end_is_told_as_people_say_it() {
        let status = |script: &str| {
            let child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
            let (_, status) = rustix::process::waitpid(pid, WaitOptions::empty()).unwrap().unwrap();
            describe(status)
        };
        assert_eq!(status("exit 3"), ("exit status 3".to_owned(), false));
        assert_eq!(status("exit 0"), ("exit status 0".to_owned(), true));
        assert_eq!(status("kill -9 $$"), ("signal 9 (SIGKILL)".to_owned(), false));
    }
}
