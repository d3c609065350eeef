//! The crowd's own process: the body of the hidden subcommand `__crowd`.
//!
//! One thread for each CPU that it may use, held there, with a runtime of its own; users are shared out among them by
//! number and never move.
//!
//! The first line on standard input is the plan. A later line is a reason to stop early. When standard input closes, the
//! parent is gone, whatever it died of, and so is the crowd.

use std::io::{self, BufRead, Write};
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::CpuSet;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::dispatch::Dispatch;
use super::engine::{Engine, Share};
use super::event::CrowdEvent;
use super::merge::Merge;
use super::parent::Line;
use super::plan::{CrowdPlan, Mode};
use super::timer::monotonic_ns;

/// tokio looks at its descriptors after so many task polls (61 by default). When many users are ready at once, a rarer
/// look would make the timer late.
const POLLS_BETWEEN_EVENTS: u32 = 16;

/// Several threads begin together, so there must be time for all to get ready.
const TIME_TO_START_NS: u64 = 50_000_000;

/// Runs the crowd; the result is the exit status.
pub fn child() -> i32 {
    let mut plan = String::new();
    if io::stdin().lock().read_line(&mut plan).is_err() || plan.is_empty() {
        return 1;
    }
    match run(&plan) {
        Ok(()) => 0,
        Err(sentence) => {
            let _ = write_line(&Line::Failed(sentence));
            1
        }
    }
}

fn run(plan: &str) -> Result<(), String> {
    let mut plan: CrowdPlan =
        serde_json::from_str(plan).map_err(|e| format!("the crowd could not read its plan: {e}"))?;
    // A session of its own: Ctrl-C in the terminal is the parent's to handle, and the scheduler's autogroup weighs the
    // crowd apart from the parent. It fails only for a process that leads a group already, and then it is so already.
    let _ = rustix::process::setsid();
    crate::weight::favour_this_session();
    crate::weight::prefer_short_turns();
    // Closing standard input says it too; this also ends a crowd that is stopped by a signal.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    pin_to(&plan.cpus)?;
    raise_file_limit();

    let dispatch = Arc::new(Dispatch::new(&plan)?);
    let threads = match plan.mode {
        Mode::Play => 1,
        Mode::Hold { .. } => plan.cpus.len().max(1),
    };
    if threads > 1 && plan.start_at_ns.is_none() {
        plan.start_at_ns = Some(monotonic_ns() + TIME_TO_START_NS);
    }

    let stop = Arc::new(watch::Sender::new(None));
    // Threads of their own, so that neither a slow reader of events nor anything else on a pipe holds up the users.
    thread::spawn({
        let stop = Arc::clone(&stop);
        move || wait_for_stop(&stop)
    });
    let (events, to_write) = mpsc::channel::<CrowdEvent>();
    let writer = thread::spawn(move || {
        let mut merge = Merge::of(threads);
        for event in to_write.into_iter().filter_map(|event| merge.take(event)) {
            if write_line(&Line::Event(event)).is_err() {
                std::process::exit(1); // nobody reads any more
            }
        }
    });

    // Nobody reads a send error: the writer lives until the last sender is gone.
    let _ = events.send(CrowdEvent::Started { pid: std::process::id() });
    let play = &|index: usize| {
        let share = Share { index: index as u64, of: threads as u64 };
        if threads > 1 {
            pin_to(&plan.cpus[index..=index])?;
        }
        play_share(plan.clone(), share, Arc::clone(&dispatch), &stop, events.clone()).inspect_err(
            |sentence| {
                // What one thread cannot do is not worth doing by the others.
                stop.send_replace(Some(sentence.clone()));
            },
        )
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|index| scope.spawn(move || play(index))).collect();
        let own = play(0);
        others.into_iter().fold(own, |first, other| {
            first.and(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    })?;
    drop(events);
    let _ = writer.join();
    Ok(())
}

/// Plays a share of the users, on a runtime of the calling thread.
fn play_share(
    plan: CrowdPlan,
    share: Share,
    dispatch: Arc<Dispatch>,
    stop: &watch::Sender<Option<String>>,
    events: mpsc::Sender<CrowdEvent>,
) -> Result<(), String> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .event_interval(POLLS_BETWEEN_EVENTS)
        .build_local(LocalOptions::default())
        .map_err(|e| format!("the crowd could not start its runtime: {e}"))?;
    runtime.block_on(async {
        let mode = plan.mode.clone();
        let engine = Engine::new(plan, share, dispatch, events)?;
        let timers = engine.timers.clone();
        tokio::task::spawn_local(async move { timers.run().await });
        match mode {
            Mode::Play => engine.play().await,
            Mode::Hold { load, .. } => {
                if engine.hold(load, stop).await {
                    engine.read_back().await;
                }
            }
        }
        Ok(())
    })
    // With the runtime every user ends, and with them the senders of events.
}

fn wait_for_stop(stop: &watch::Sender<Option<String>>) {
    let mut input = io::stdin().lock();
    let mut reason = String::new();
    while matches!(input.read_line(&mut reason), Ok(bytes) if bytes > 0) {
        // Also when no thread listens yet.
        stop.send_replace(Some(reason.trim().to_owned()));
        reason.clear();
    }
    std::process::exit(1);
}

fn write_line(line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}

fn pin_to(cpus: &[usize]) -> Result<(), String> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for &cpu in cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU) {
        set.set(cpu);
    }
    rustix::thread::sched_setaffinity(None, &set)
        .map_err(|e| format!("the crowd could not be held on the CPUs {cpus:?}: {e}"))
}

/// Every user has sockets; the soft limit is often 1024.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // When it is refused, running out of descriptors becomes an error of class crowd, with its advice.
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
}
