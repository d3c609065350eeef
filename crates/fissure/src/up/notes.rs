//! Notes of what comes through the door: a line on the terminal and a line in the recording, on a thread of their own, so
//! that neither a slow terminal nor a slow disk holds a request up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use fissure_facts::recording::Writer;
use fissure_facts::{Exchange, Route};
use fissure_rig::door::{Passed, Witness};

use super::line::line;
use super::traffic::Traffic;

/// Which role serves a route, where that is not the whole.
pub type Roles = BTreeMap<Route, String>;

/// Waking a thread for every request cost a fifth of the request.
const REST: Duration = Duration::from_millis(10);
/// What was written so long ago is safe, whatever happens to fissure.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// Nobody reads more; the recording has them all.
const LINES_PER_S_MAX: u32 = 40;
/// What may wait for a disk that is slower than the app.
const WAITING_BYTES_MAX: u64 = 256 << 20;

/// Takes notes until it is finished.
pub struct Notes {
    waiting: Arc<Waiting>,
    traffic: Arc<Mutex<Traffic>>,
    thread: JoinHandle<Noted>,
}

/// What the door has told and nobody has noted.
#[derive(Default)]
struct Waiting {
    told: Mutex<Told>,
    lost: AtomicU64,
}

#[derive(Default)]
struct Told {
    passed: Vec<Passed>,
    bytes: u64,
    is_over: bool,
    /// Whom to wake: set while nothing waits.
    sleeper: Option<Thread>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, passed: Passed) {
        let bytes = size(&passed);
        let mut told = self.lock();
        if told.bytes + bytes > WAITING_BYTES_MAX {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        told.bytes += bytes;
        told.passed.push(passed);
        if let Some(sleeper) = told.sleeper.take() {
            sleeper.unpark();
        }
    }
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
        let waiting = Arc::<Waiting>::default();
        let traffic = Arc::new(Mutex::new(Traffic::new(roles.clone())));
        let (own, sums) = (Arc::clone(&waiting), Arc::clone(&traffic));
        let thread = std::thread::spawn(move || Taker::new(writer, roles).take(&own, &sums));
        Self { waiting, traffic, thread }
    }

    /// What came through, added up.
    pub fn traffic(&self) -> Arc<Mutex<Traffic>> {
        Arc::clone(&self.traffic)
    }

    /// Hears of everything for these notes.
    pub fn witness(&self) -> Witness {
        let waiting = Arc::clone(&self.waiting);
        Arc::new(move |passed| waiting.add(passed))
    }

    /// Writes what waits; what comes later is not noted any more.
    pub fn finish(self) -> Noted {
        let mut told = self.waiting.lock();
        told.is_over = true;
        if let Some(sleeper) = told.sleeper.take() {
            sleeper.unpark();
        }
        drop(told);
        let mut noted = self.thread.join().unwrap_or_default(); // it fails only if it panicked
        noted.lost = self.waiting.lost.load(Relaxed);
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
        Passed::Said(message) => 128 + message.body.bytes.len() as u64,
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

    fn take(mut self, waiting: &Waiting, traffic: &Mutex<Traffic>) -> Noted {
        let mut batch = Vec::new();
        loop {
            let mut told = waiting.lock();
            std::mem::swap(&mut told.passed, &mut batch);
            told.bytes = 0;
            let is_over = told.is_over && batch.is_empty();
            told.sleeper = (batch.is_empty() && !is_over).then(std::thread::current);
            drop(told);
            if is_over {
                break;
            }
            if batch.is_empty() {
                std::thread::park_timeout(FLUSH_EVERY);
            } else {
                let mut sums = traffic.lock().unwrap_or_else(PoisonError::into_inner);
                batch.iter().for_each(|passed| sums.add(passed));
                drop(sums);
                for passed in batch.drain(..) {
                    self.print(&passed);
                    self.record(passed);
                }
                std::thread::sleep(REST);
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
            Passed::Said(message) => {
                if let Some(Err(e)) = self.writer.as_mut().map(|writer| writer.append_message(&message)) {
                    self.give_up(&e.to_string());
                }
                return;
            }
        };
        if let Some(writer) = &mut self.writer {
            match writer.append(&exchange) {
                Ok(()) => self.noted.recorded += 1,
                Err(e) => self.give_up(&e.to_string()),
            }
            if !self.noted.clients.contains(&exchange.client) {
                self.noted.clients.insert(exchange.client);
            }
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
