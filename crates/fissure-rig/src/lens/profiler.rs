//! The profilers: look into the app for one window, each on a thread of its own, and leave nothing behind.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use fissure_facts::{Profile, Statements};

use super::runtime::Runtime;
use super::{go, jvm, native, node, php, postgres, python, ruby, waits};

/// What is to be looked into.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The live processes of the app.
    pub processes: Vec<u32>,
    /// The CPUs on which they may run.
    pub cpus: Vec<usize>,
    /// The folder in which the app runs, and the user's own where that is a copy of it.
    pub folders: Vec<PathBuf>,
    /// The folder of the [`Hooks`](super::Hooks) with which it was started.
    pub hooks: Option<PathBuf>,
    /// The databases that the app is declared to ask.
    pub databases: Vec<postgres::Database>,
}

/// What the instruments saw, and why one saw nothing.
#[derive(Debug, Default)]
pub struct Seen {
    pub profiles: Vec<Profile>,
    pub statements: Vec<Statements>,
    /// Name of the instrument and a part of a sentence.
    pub blind: Vec<(&'static str, String)>,
}

/// Told to an instrument when its window is over, or when nobody waits for it any more.
pub(super) struct Stop(Receiver<()>);

impl Stop {
    /// Sleeps; true when the window is over.
    pub fn wait(&self, time: Duration) -> bool {
        !matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }
}

type Watch = fn(&Subject, &Stop) -> Result<Profile, String>;

struct Instrument {
    name: &'static str,
    /// Whose programs it looks into; None: any.
    runtime: Option<Runtime>,
    watch: Watch,
}

const INSTRUMENTS: [Instrument; 9] = [
    Instrument { name: "native", runtime: None, watch: native::watch },
    Instrument { name: "waits", runtime: None, watch: waits::watch },
    Instrument { name: "node", runtime: Some(Runtime::Node), watch: node::watch },
    Instrument { name: "python", runtime: Some(Runtime::Python), watch: python::watch },
    Instrument { name: "ruby", runtime: Some(Runtime::Ruby), watch: ruby::watch },
    Instrument { name: "php", runtime: Some(Runtime::Php), watch: php::watch },
    Instrument { name: "java", runtime: Some(Runtime::Java), watch: jvm::watch },
    Instrument { name: "java waits", runtime: Some(Runtime::Java), watch: jvm::waits::watch },
    Instrument { name: "go", runtime: Some(Runtime::Go), watch: go::watch },
];

/// Their names.
pub fn instruments() -> impl Iterator<Item = &'static str> {
    INSTRUMENTS.into_iter().map(|instrument| instrument.name)
}

/// Instruments at work. When it is dropped they stop by themselves.
pub struct Profiler {
    at_work: Vec<AtWork<Profile>>,
    /// At the databases.
    asking: Vec<AtWork<Statements>>,
    /// Interpreters into which nobody can look.
    closed: BTreeSet<&'static str>,
}

struct AtWork<T> {
    name: &'static str,
    /// Dropping it is the word to stop.
    stop: Sender<()>,
    thread: JoinHandle<Result<T, String>>,
}

impl Profiler {
    /// Has the app load what it will need to be looked into, so that this is no part of what is seen. Takes a moment.
    pub fn prepare(subject: &Subject) {
        let Some(hooks) = &subject.hooks else { return };
        for &pid in subject.processes.iter().filter(|&&pid| Runtime::of(pid) == Runtime::Java) {
            jvm::prepare(pid, hooks);
        }
    }

    pub fn start(subject: &Subject) -> Self {
        let ask = |database: postgres::Database| {
            AtWork::start("PostgreSQL", move |stop| postgres::watch(&database, stop))
        };
        let asking = subject.databases.iter().cloned().map(ask).collect();
        Self { asking, ..Self::start_some(subject, |_| true) }
    }

    /// Only the instruments with the wanted names.
    pub fn start_some(subject: &Subject, wanted: impl Fn(&str) -> bool) -> Self {
        let runtimes: Vec<(u32, Runtime)> =
            subject.processes.iter().map(|&pid| (pid, Runtime::of(pid))).collect();
        let start = |Instrument { name, runtime, watch }: Instrument| {
            let fits =
                |(pid, of): &(u32, Runtime)| runtime.is_none_or(|wanted| wanted == *of).then_some(*pid);
            let subject =
                Subject { processes: runtimes.iter().filter_map(fits).collect(), ..subject.clone() };
            if subject.processes.is_empty() {
                return None;
            }
            Some(AtWork::start(name, move |stop| watch(&subject, stop)))
        };
        let closed = runtimes.iter().filter_map(|(_, runtime)| match runtime {
            Runtime::Other(name) => Some(*name),
            _ => None,
        });
        Self {
            at_work: INSTRUMENTS
                .into_iter()
                .filter(|instrument| wanted(instrument.name))
                .filter_map(start)
                .collect(),
            asking: Vec::new(),
            closed: closed.collect(),
        }
    }

    /// Ends the sampling and waits for what was seen. Finding names and lines takes a moment: call it where that may be.
    pub fn finish(self, window: u32) -> Seen {
        let mut seen = Seen::default();
        let asked: Vec<_> = self.asking.into_iter().map(AtWork::stop).collect();
        let stopped: Vec<_> = self.at_work.into_iter().map(AtWork::stop).collect();
        for (name, thread) in stopped {
            match seen_by(thread) {
                Ok(profile) => {
                    seen.profiles.push(Profile { window, instrument: name.to_owned(), ..profile });
                }
                Err(why) => seen.blind.push((name, why)),
            }
        }
        for (name, thread) in asked {
            match seen_by(thread) {
                Ok(statements) => seen.statements.push(Statements { window, ..statements }),
                Err(why) => seen.blind.push((name, why)),
            }
        }
        let why = "fissure has no profiler for this language, so its lines are not known";
        seen.blind.extend(self.closed.into_iter().map(|name| (name, why.to_owned())));
        seen
    }
}

impl<T: Send + 'static> AtWork<T> {
    fn start(name: &'static str, watch: impl FnOnce(&Stop) -> Result<T, String> + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || watch(&Stop(stopped)));
        Self { name, stop, thread }
    }

    fn stop(self) -> (&'static str, JoinHandle<Result<T, String>>) {
        drop(self.stop);
        (self.name, self.thread)
    }
}

fn seen_by<T>(thread: JoinHandle<Result<T, String>>) -> Result<T, String> {
    thread.join().unwrap_or_else(|_| Err("it stopped working; please report this".to_owned()))
}
