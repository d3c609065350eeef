//! PHP: the stack of each process, read from its memory a hundred times a second, without stopping it. A process has one thread
//! and serves one request at a time, so it is at work when it is blocked in no system call.

mod binary;
mod code;
mod engine;
mod layout;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame};

use super::folded::{Folded, Sample, evenly};
use super::looks::{self, Looks};
use super::memory::{Mapping, Memory, file_of, half_word_in, mappings};
use super::profiler::{Stop, Subject};
use super::source::Sources;
use super::syscall::{Call as SystemCall, Parked, Reader};
use super::threads::{Scheduled, name_of};
use binary::Binary;
use code::{Functions, Place};
use engine::Engine;
use layout::Layout;

/// A process that has just begun is seen whole at the next try.
const TRIES: usize = 20;
const TRY_EVERY: Duration = Duration::from_millis(5);
/// Calls come and go while they are read.
const TRIES_A_LOOK: usize = 4;
/// A library that waits for a connection may wait for a word of its own beside it.
const POLLED_MAX: u64 = 8;

/// Looks until told to stop.
pub(super) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    let mut interpreters = open(&subject.processes)?;
    let mut reader = Reader::default();
    let mut folded: Folded<Arc<Place>> = Folded::default();
    let count = interpreters.len();
    let Looks { period_s, seen, lost } = looks::until(stop, count, || {
        reader.next_look();
        let mut sees = |i: &mut Interpreter| i.look(&mut reader, &mut folded).is_some();
        interpreters.iter_mut().map(|i| u64::from(!sees(i))).sum()
    });
    let none_was_read = interpreters.iter().all(|i| i.stacks == 0);
    if let Some(odd) = interpreters.iter().find(|i| none_was_read && i.unread > 0) {
        return Err(odd.built_otherwise());
    }
    for interpreter in interpreters {
        interpreter.finish(period_s, &mut folded);
    }
    let mut sources = Sources::new(&subject.folders);
    let frames: HashMap<Arc<Place>, Frame> =
        folded.places().map(|place| (Arc::clone(place), frame(place, &mut sources))).collect();
    let profile = folded.into_profile(|place| frames.get(place).cloned().into_iter().collect());
    Ok(Profile { period_s, user_only: true, lost, looks: seen, ..profile })
}

struct Interpreter {
    pid: u32,
    name: String,
    memory: File,
    engine: Engine,
    functions: Functions,
    /// CPU time at the first look and at the last one.
    cpu_ns: Option<(u64, u64)>,
    /// The last look that met it waiting: its turns on a CPU, and what it was seen at.
    before: Option<(u64, Sample<Arc<Place>>)>,
    /// Where it was not blocked.
    ran: Vec<Sample<Arc<Place>>>,
    /// Stacks that were read, and such that were not.
    stacks: u64,
    unread: u64,
    text: String,
}

/// A process that holds PHP.
struct Candidate {
    pid: u32,
    memory: File,
    mappings: Vec<Mapping>,
    file: PathBuf,
    layout: &'static Layout,
}

/// Those of the processes that can be looked into. The workers of a server are copies of each other, so where one of them has its
/// engine the others have theirs, also those that have served nobody yet.
fn open(processes: &[u32]) -> Result<Vec<Interpreter>, String> {
    let mut why = String::new();
    let mut binaries: HashMap<PathBuf, Option<Binary>> = HashMap::new();
    let mut candidate = |&pid: &u32| {
        Candidate::open(pid, &mut binaries)
            .inspect_err(|e| why = format!("the PHP of process {pid} cannot be looked into: {e}"))
            .ok()
    };
    let candidates: Vec<Candidate> = processes.iter().filter_map(&mut candidate).collect();
    if candidates.is_empty() {
        return Err(why);
    }
    let mut engines: HashMap<(PathBuf, u64), Engine> = HashMap::new();
    for _ in 0..TRIES {
        for candidate in &candidates {
            let place = candidate.place();
            if !engines.contains_key(&place)
                && let Some(engine) = candidate.engine()
            {
                engines.insert(place, engine);
            }
        }
        if candidates.iter().all(|candidate| engines.contains_key(&candidate.place())) {
            break;
        }
        std::thread::sleep(TRY_EVERY);
    }
    let interpreters: Vec<Interpreter> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let engine = *engines.get(&candidate.place())?;
            Some(Interpreter::new(candidate, engine))
        })
        .collect();
    if interpreters.is_empty() {
        return Err("its PHP has run no script yet, or was built otherwise than fissure knows".to_owned());
    }
    Ok(interpreters)
}

impl Candidate {
    fn open(pid: u32, binaries: &mut HashMap<PathBuf, Option<Binary>>) -> Result<Self, String> {
        let memory = File::open(format!("/proc/{pid}/mem")).map_err(|e| e.to_string())?;
        let mappings = mappings(pid);
        let silent = || "its program does not say which version it is".to_owned();
        let file = file_of(pid, &mappings, "libphp").ok_or_else(silent)?;
        let binary = binaries.entry(file.clone()).or_insert_with(|| Binary::read(pid, &file));
        let binary = binary.as_ref().ok_or_else(silent)?;
        if binary.has_threads {
            return Err(format!(
                "it is PHP {} built for threads (ZTS), which keeps its calls elsewhere; with a build without threads (NTS: php-fpm, \
                 `php -S`) its lines can be seen",
                binary.version
            ));
        }
        let layout = Layout::of(&binary.version)?;
        Ok(Self { pid, memory, mappings, file, layout })
    }

    /// Where which file is mapped.
    fn place(&self) -> (PathBuf, u64) {
        let first = self.mappings.iter().find(|mapping| mapping.file == self.file);
        (self.file.clone(), first.map_or(0, |mapping| mapping.start))
    }

    fn engine(&self) -> Option<Engine> {
        Engine::find(&self.memory, &self.mappings, &self.file, self.layout)
    }
}

impl Interpreter {
    fn new(candidate: Candidate, engine: Engine) -> Self {
        let Candidate { pid, memory, layout, .. } = candidate;
        Self {
            pid,
            name: name_of(pid, pid),
            memory,
            engine,
            functions: Functions::new(layout),
            cpu_ns: None,
            before: None,
            ran: Vec::new(),
            stacks: 0,
            unread: 0,
            text: String::new(),
        }
    }

    fn built_otherwise(&self) -> String {
        let (major, minor) = self.engine.layout.version;
        format!(
            "the functions of process {} are not where PHP {major}.{minor} keeps them, so it was built otherwise; with the PHP of a \
             distribution or of an official image its lines can be seen",
            self.pid
        )
    }

    /// None when its calls came and went while they were read, or it has ended.
    fn look(&mut self, reader: &mut Reader, folded: &mut Folded<Arc<Place>>) -> Option<()> {
        let now = Scheduled::of(self.pid, self.pid, &mut self.text)?;
        let began = self.cpu_ns.map_or(now.ran_ns, |(began, _)| began);
        self.cpu_ns = Some((began, now.ran_ns));
        let Some((stack, doing)) = (0..TRIES_A_LOOK).find_map(|_| self.see(reader)) else {
            self.unread += 1;
            return None;
        };
        // Between two requests it waits for the next one, and whoever only watches over workers waits for none.
        let Some(doing) = doing else { return Some(()) };
        self.stacks += u64::from(!stack.is_empty());
        let sample =
            Sample { process: self.pid, thread: self.name.clone(), doing, stack, holder: Vec::new() };
        if sample.doing == Doing::Running {
            self.ran.push(sample);
            return Some(());
        }
        let is_same = self.before.as_ref().is_some_and(|(turns, before)| {
            *turns == now.turns && (&before.doing, &before.stack) == (&sample.doing, &sample.stack)
        });
        self.before = Some((now.turns, sample.clone()));
        folded.add_wait(sample, is_same);
        Some(())
    }

    /// The stack, and what it does there; None where that is no request's.
    fn see(&mut self, reader: &mut Reader) -> Option<(Vec<Arc<Place>>, Option<Doing>)> {
        let innermost = self.engine.current(&self.memory)?;
        let calls = self.engine.calls(&self.memory, innermost)?;
        let Self { functions, memory, .. } = self;
        let mut stack: Vec<Arc<Place>> =
            calls.iter().map(|call| functions.place(memory, *call)).collect::<Option<_>>()?;
        let Some(parked) = Parked::of(self.pid, self.pid, &mut self.text).ok()? else {
            // It starts or ends a request.
            if stack.is_empty() {
                stack.push(Arc::new(Place { function: BETWEEN.to_owned(), ..Place::default() }));
            }
            return Some((stack, Some(Doing::Running)));
        };
        if stack.is_empty() {
            return Some((stack, is_served_next(&parked).then_some(Doing::WaitingForConnection)));
        }
        // Nobody is stopped: what it is blocked in belongs to its stack only when that is still the same.
        let is_still = self.engine.current(&self.memory)? == innermost
            && self.engine.calls(&self.memory, innermost)?.first() == calls.first();
        is_still.then(|| (stack, Some(self.doing(reader, &parked))))
    }

    fn doing(&self, reader: &mut Reader, parked: &Parked) -> Doing {
        if let SystemCall::Poll { address, count } = parked.call()
            && (2..=POLLED_MAX).contains(&count)
            && let Some(list) = self.memory.bytes(address, count * 8)
        {
            let polled = list.chunks_exact(8).filter_map(|entry| half_word_in(entry, 0)).map(u64::from);
            let is_peer = |doing: &Doing| matches!(doing, Doing::WaitingForPeer { address: Some(_) });
            let peers: Vec<Doing> = polled.map(|fd| reader.file(self.pid, fd)).filter(is_peer).collect();
            if let [peer] = &peers[..] {
                return peer.clone();
            }
        }
        reader.doing(self.pid, &self.memory, parked)
    }

    /// Who is runnable waits for a CPU, too. So a process gets no more samples than the CPU time stands for that it really had.
    fn finish(self, period_s: f64, folded: &mut Folded<Arc<Place>>) {
        let cpu_ns = self.cpu_ns.map_or(0, |(began, ended)| ended.saturating_sub(began));
        let worked = (cpu_ns as f64 / 1e9 / period_s).round() as usize;
        let kept = worked.min(self.ran.len());
        for sample in evenly(self.ran, kept) {
            folded.add(sample, 1);
        }
    }
}

/// php-fpm's workers accept, those of the built-in server wait for one of their files.
fn is_served_next(parked: &Parked) -> bool {
    match parked.call() {
        SystemCall::Accept => true,
        SystemCall::Events => !parked.is_epoll(),
        _ => false,
    }
}

/// Stands for what PHP does when no script is at work: it reads a request, and clears up after one.
const BETWEEN: &str = "between two requests";

fn frame(place: &Place, sources: &mut Sources) -> Frame {
    let Place { function, file, line, extension } = place;
    let function = function.clone();
    if file.is_empty() {
        let module = Some(extension.clone()).filter(|extension| !extension.is_empty());
        return Frame { function, module, ..Frame::default() };
    }
    let (file, in_app) = sources.resolve(Path::new(file));
    let line = (*line > 0).then_some(*line);
    Frame { function, file: Some(file), line, in_app, ..Frame::default() }
}
