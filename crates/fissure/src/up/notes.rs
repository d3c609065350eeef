//! Notes of what comes through the door: a line on the terminal and a line in the recording, on a thread of their own, so
//! that neither a slow terminal nor a slow disk holds a request up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fissure_facts::recording::Writer;
use fissure_facts::{Exchange, Route};
use fissure_rig::door::{Passed, Witness};

use super::line::line;

/// Which role serves a route, where that is not the whole.
pub type Roles = BTreeMap<Route, String>;

/// What was written so long ago is safe, whatever happens to fissure.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// Nobody reads more; the recording has them all.
const LINES_PER_S_MAX: u32 = 40;
/// What may wait for a disk that is slower than the app.
const WAITING_BYTES_MAX: u64 = 256 << 20;

/// Takes notes until it is finished.
pub struct Notes {
    /// None ends the notes.
    sender: Sender<Option<Passed>>,
    waiting_bytes: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    thread: JoinHandle<Noted>,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Noted {
    pub recorded: u64,
    /// That the disk was too slow for.
    pub lost: u64,
    pub refused: u64,
    pub clients: BTreeSet<String>,
    /// Why the recording ended early.
    pub trouble: Option<String>,
}

impl Notes {
    /// Without `writer` only the terminal gets lines.
    pub fn begin(writer: Option<Writer>, roles: Roles) -> Self {
        let (sender, receiver) = channel();
        let waiting_bytes = Arc::new(AtomicU64::new(0));
        let waiting = Arc::clone(&waiting_bytes);
        let thread = std::thread::spawn(move || Taker::new(writer, roles).take(&receiver, &waiting));
        Self { sender, waiting_bytes, lost: Arc::default(), thread }
    }

    /// Hears of everything for these notes.
    pub fn witness(&self) -> Witness {
        // The Sender is used from the door's thread only, but a Witness may be shared.
        let sender = std::sync::Mutex::new(self.sender.clone());
        let (waiting, lost) = (Arc::clone(&self.waiting_bytes), Arc::clone(&self.lost));
        Arc::new(move |passed| {
            let bytes = size(&passed);
            if waiting.load(Relaxed) + bytes > WAITING_BYTES_MAX {
                lost.fetch_add(1, Relaxed);
                return;
            }
            waiting.fetch_add(bytes, Relaxed);
            if let Ok(sender) = sender.lock() {
                let _ = sender.send(Some(passed)); // the notes were finished before the door was closed
            }
        })
    }

    /// Writes what waits; what comes later is not noted any more.
    pub fn finish(self) -> Noted {
        let _ = self.sender.send(None); // the thread has ended only if it panicked
        let mut noted = self.thread.join().unwrap_or_default();
        noted.lost = self.lost.load(Relaxed);
        noted
    }
}

/// About what it takes in memory.
fn size(passed: &Passed) -> u64 {
    let of = |e: &Exchange| {
        let answer = e.answer.as_ref().map_or(0, |a| a.body.bytes.len() + a.headers.len() * 64);
        (256 + e.request.body.bytes.len() + e.request.headers.len() * 64 + answer) as u64
    };
    match passed {
        Passed::Answered(exchange) | Passed::Unanswered(exchange, _) => of(exchange),
        Passed::Refused { .. } => 64,
    }
}

struct Taker {
    writer: Option<Writer>,
    roles: Roles,
    noted: Noted,
    flushed: Instant,
    second: Instant,
    lines: u32,
    more: u64,
}

impl Taker {
    fn new(writer: Option<Writer>, roles: Roles) -> Self {
        let now = Instant::now();
        Self { writer, roles, noted: Noted::default(), flushed: now, second: now, lines: 0, more: 0 }
    }

    fn take(mut self, receiver: &Receiver<Option<Passed>>, waiting: &AtomicU64) -> Noted {
        loop {
            match receiver.recv_timeout(FLUSH_EVERY) {
                Ok(Some(passed)) => {
                    waiting.fetch_sub(size(&passed), Relaxed);
                    self.print(&passed);
                    self.record(passed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(None) | Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.flushed.elapsed() >= FLUSH_EVERY {
                self.flush();
            }
            self.tell_more();
        }
        self.flush();
        self.second = Instant::now() - Duration::from_secs(1);
        self.tell_more();
        self.noted
    }

    fn record(&mut self, passed: Passed) {
        let exchange = match passed {
            Passed::Answered(exchange) | Passed::Unanswered(exchange, _) => exchange,
            Passed::Refused { .. } => {
                self.noted.refused += 1;
                return;
            }
        };
        if let Some(writer) = &mut self.writer {
            match writer.append(&exchange) {
                Ok(()) => self.noted.recorded += 1,
                Err(e) => self.give_up(&e.to_string()),
            }
            self.noted.clients.insert(exchange.client);
        }
    }

    fn flush(&mut self) {
        self.flushed = Instant::now();
        if let Some(Err(e)) = self.writer.as_mut().map(Writer::flush) {
            self.give_up(&e.to_string());
        }
    }

    /// People go on using the app; that nothing more is recorded is said at once and at the end.
    fn give_up(&mut self, why: &str) {
        anstream::eprintln!("fissure: nothing more is recorded: {why}.");
        self.noted.trouble = Some(why.to_owned());
        self.writer = None;
    }

    fn print(&mut self, passed: &Passed) {
        if self.lines < LINES_PER_S_MAX {
            self.lines += 1;
            anstream::println!("{}", line(passed, &self.roles));
        } else {
            self.more += 1;
        }
    }

    /// Once a second: how many lines were left out.
    fn tell_more(&mut self) {
        if self.second.elapsed() < Duration::from_secs(1) {
            return;
        }
        if self.more > 0 {
            anstream::println!("     and {} more", self.more);
        }
        (self.second, self.lines, self.more) = (Instant::now(), 0, 0);
    }
}
