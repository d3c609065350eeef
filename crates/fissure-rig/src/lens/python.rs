//! Python: its stacks, read from its memory by py-spy a hundred times a second. Who holds the interpreter's lock runs; who
//! runs without it is in the C code of an extension.
//!
//! A process stands still while it is read, by ptrace, from which the kernel lets it go when fissure ends. Without that deep stacks
//! that change fast, such as those of an object-relational mapper, are lost much more often than others.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame};
use py_spy::config::LockingStrategy;
use py_spy::{Config, PythonSpy, StackTrace};

use super::folded::{Folded, Sample, evenly};
use super::looks::{self, Looks};
use super::profiler::{Stop, Subject};
use super::source::Sources;
use super::syscall::{Parked, Reader};
use super::threads::{LIBRARY_THREAD_BYTES, Scheduled, name_of, numbers_in, of, slices};

/// What py-spy calls a frame: function, file, line.
type Place = (String, String, u32);

/// Looks until told to stop.
pub(super) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    let mut why = "it is no Python that py-spy knows".to_owned();
    let open = |&pid: &u32| Interpreter::open(pid).inspect_err(|e| why.clone_from(e)).ok();
    let mut interpreters: Vec<Interpreter> = subject.processes.iter().filter_map(open).collect();
    if interpreters.is_empty() {
        return Err(why);
    }
    let mut reader = Reader::default();
    let mut folded: Folded<Place> = Folded::default();
    let count = interpreters.len();
    let Looks { period_s, seen, lost } = looks::until(stop, count, || {
        reader.next_look();
        let mut sees = |i: &mut Interpreter| i.look(&mut reader, &mut folded).is_some();
        interpreters.iter_mut().map(|i| u64::from(!sees(i))).sum()
    });
    for interpreter in interpreters {
        interpreter.finish(period_s, &mut folded);
    }
    let mut sources = Sources::new(&subject.folders);
    let frames: HashMap<Place, Frame> =
        folded.places().map(|place| (place.clone(), frame(place, &mut sources))).collect();
    let profile = folded.into_profile(|place| frames.get(place).cloned().into_iter().collect());
    Ok(Profile { period_s, user_only: true, lost, looks: seen, ..profile })
}

struct Interpreter {
    spy: PythonSpy,
    pid: u32,
    /// Where the lists of polled files are.
    memory: File,
    threads: HashMap<u32, Thread>,
    text: String,
}

struct Thread {
    name: String,
    /// The last look at it: its turns on a CPU, and what it was seen at.
    before: Option<(Option<u64>, Sample<Place>)>,
    cpu_ns_before: u64,
    /// How often it surely ran.
    ran: u64,
    /// Where it was runnable without the lock, which another thread held: in C code, or about to ask for the lock again.
    unclear: Vec<Sample<Place>>,
}

impl Interpreter {
    fn open(pid: u32) -> Result<Self, String> {
        let told = |e: String| format!("the Python of process {pid} cannot be looked into ({e})");
        let spy = |blocking: LockingStrategy| {
            let config = Config { blocking, collect_thread_names: false, ..Config::default() };
            PythonSpy::new(pid as py_spy::Pid, &config).map_err(|e| told(format!("{e:#}")))
        };
        let spy = match spy(LockingStrategy::Lock)? {
            still if still.process.lock().is_ok() => still,
            _ => spy(LockingStrategy::NonBlocking)?,
        };
        let memory = File::open(format!("/proc/{pid}/mem")).map_err(|e| told(e.to_string()))?;
        Ok(Self { spy, pid, memory, threads: HashMap::new(), text: String::new() })
    }

    /// None when its functions came and went while they were read, or it has ended.
    fn look(&mut self, reader: &mut Reader, folded: &mut Folded<Place>) -> Option<()> {
        let traces = self.spy.get_stack_traces().ok()?;
        let tids = self.kernels_numbers(&traces);
        let is_held = traces.iter().any(|trace| trace.owns_gil);
        for (trace, tid) in traces.iter().zip(tids) {
            // Who has the lock is in some function: it came or went meanwhile.
            if trace.owns_gil && trace.frames.is_empty() {
                continue;
            }
            let Some(doing) = self.doing(trace, tid, reader) else { continue };
            let Self { pid, threads, text, .. } = self;
            let thread = threads.entry(tid).or_insert_with(|| Thread::new(*pid, tid, text));
            let turns = slices(*pid, tid, text);
            let is_without = doing == Doing::Running && !trace.owns_gil;
            let c_code = is_without.then(|| (EXTENSION.to_owned(), String::new(), 0));
            let stack = c_code.into_iter().chain(trace.frames.iter().map(place)).collect();
            let sample =
                Sample { process: *pid, thread: thread.name.clone(), doing, stack, holder: Vec::new() };
            if sample.doing != Doing::Running {
                let stay = Some((turns, sample.clone()));
                let is_same = thread.before == stay;
                thread.before = stay;
                folded.add_wait(sample, is_same);
            } else if is_without && is_held {
                thread.unclear.push(sample);
            } else {
                thread.ran += 1;
                folded.add(sample, 1);
            }
        }
        Some(())
    }

    /// Before 3.11 Python keeps only the C library's name of a thread: the address of a structure in which the kernel's
    /// number stands, at an offset that is the same for all.
    fn kernels_numbers(&mut self, traces: &[StackTrace]) -> Vec<u32> {
        let told = |trace: &StackTrace| trace.os_thread_id.and_then(|tid| u32::try_from(tid).ok());
        if let Some(tids) = traces.iter().map(told).collect() {
            return tids;
        }
        let mut structures = vec![[0; LIBRARY_THREAD_BYTES]; traces.len()];
        for (trace, bytes) in traces.iter().zip(&mut structures) {
            if self.memory.read_exact_at(bytes, trace.thread_id).is_err() {
                *bytes = [0; LIBRARY_THREAD_BYTES];
            }
        }
        let tasks: HashSet<u32> = of(self.pid).collect();
        numbers_in(&structures, &tasks).unwrap_or_else(|| vec![self.pid; traces.len()])
    }

    fn doing(&mut self, trace: &StackTrace, tid: u32, reader: &mut Reader) -> Option<Doing> {
        if trace.owns_gil {
            return Some(Doing::Running);
        }
        match Parked::of(self.pid, tid, &mut self.text).ok()? {
            Some(parked) => Some(reader.doing(self.pid, &self.memory, &parked)),
            None => trace.active.then_some(Doing::Running),
        }
    }

    /// Who asks for the lock wakes every few milliseconds, and is runnable until a CPU is free. So a thread gets no more
    /// unclear samples than the CPU time stands for that it really had.
    fn finish(mut self, period_s: f64, folded: &mut Folded<Place>) {
        for (tid, thread) in self.threads {
            let after = cpu_ns(self.pid, tid, &mut self.text).unwrap_or(thread.cpu_ns_before);
            let cpu_s = after.saturating_sub(thread.cpu_ns_before) as f64 / 1e9;
            let worked = (cpu_s / period_s).round() as u64;
            let kept = worked.saturating_sub(thread.ran).min(thread.unclear.len() as u64);
            for sample in evenly(thread.unclear, kept as usize) {
                folded.add(sample, 1);
            }
        }
    }
}

impl Thread {
    fn new(pid: u32, tid: u32, text: &mut String) -> Self {
        let cpu_ns_before = cpu_ns(pid, tid, text).unwrap_or(0);
        Self { name: name_of(pid, tid), before: None, cpu_ns_before, ran: 0, unclear: Vec::new() }
    }
}

fn cpu_ns(pid: u32, tid: u32, text: &mut String) -> Option<u64> {
    Scheduled::of(pid, tid, text).map(|scheduled| scheduled.ran_ns)
}

/// Stands for the functions that only the C compiler knows.
const EXTENSION: &str = "C code";

fn place(frame: &py_spy::Frame) -> Place {
    (frame.name.clone(), frame.filename.clone(), u32::try_from(frame.line).unwrap_or(0))
}

fn frame((function, file, line): &Place, sources: &mut Sources) -> Frame {
    if file.is_empty() {
        return Frame {
            function: function.clone(),
            module: Some("extension.so".to_owned()),
            ..Frame::default()
        };
    }
    let (file, in_app) = sources.resolve(Path::new(file));
    let line = (*line > 0).then_some(*line);
    Frame { function: function.clone(), file: Some(file), line, in_app, ..Frame::default() }
}
