//! The profilers: look into the app for one window, each on a thread of its own, and leave nothing behind.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use fissure_facts::Profile;

use super::{native, waits};

/// What is to be looked into.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The live processes of the app.
    pub processes: Vec<u32>,
    /// The CPUs on which they may run.
    pub cpus: Vec<usize>,
    /// The folder in which the app runs, and the user's own where that is a copy of it.
    pub folders: Vec<PathBuf>,
}

/// What the instruments saw, and why one saw nothing.
#[derive(Debug, Default)]
pub struct Seen {
    pub profiles: Vec<Profile>,
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

/// Every instrument: its name and its work.
const INSTRUMENTS: [(&str, Watch); 2] = [("native", native::watch), ("waits", waits::watch)];

/// Their names.
pub fn instruments() -> impl Iterator<Item = &'static str> {
    INSTRUMENTS.into_iter().map(|(name, _)| name)
}

/// Instruments at work. When it is dropped they stop by themselves.
pub struct Profiler {
    at_work: Vec<AtWork>,
}

struct AtWork {
    name: &'static str,
    /// Dropping it is the word to stop.
    stop: Sender<()>,
    thread: JoinHandle<Result<Profile, String>>,
}

impl Profiler {
    pub fn start(subject: &Subject) -> Self {
        let start = |(name, watch): (&'static str, Watch)| {
            let (stop, stopped) = mpsc::channel();
            let subject = subject.clone();
            let thread = std::thread::spawn(move || watch(&subject, &Stop(stopped)));
            AtWork { name, stop, thread }
        };
        Self { at_work: INSTRUMENTS.into_iter().map(start).collect() }
    }

    /// Ends the sampling and waits for what was seen. Finding names and lines takes a moment: call it where that may be.
    pub fn finish(self, window: u32) -> Seen {
        let mut seen = Seen::default();
        let stopped: Vec<_> = self.at_work.into_iter().map(AtWork::stop).collect();
        for (name, thread) in stopped {
            match thread.join() {
                Ok(Ok(profile)) => {
                    seen.profiles.push(Profile { window, instrument: name.to_owned(), ..profile });
                }
                Ok(Err(why)) => seen.blind.push((name, why)),
                Err(_) => seen.blind.push((name, "it stopped working; please report this".to_owned())),
            }
        }
        seen
    }
}

impl AtWork {
    fn stop(self) -> (&'static str, JoinHandle<Result<Profile, String>>) {
        drop(self.stop);
        (self.name, self.thread)
    }
}
