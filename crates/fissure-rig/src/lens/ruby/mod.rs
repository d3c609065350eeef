//! Ruby: its stacks, read from its memory a hundred times a second, without stopping it. Whose turn it is, by the lock of
//! the virtual machine, runs; who runs without it is in the C code of an extension.

mod code;
mod layout;
mod vm;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame};

use super::folded::{Folded, Sample, evenly};
use super::looks::{self, Looks};
use super::memory::{Mapping, Memory, half_word_in, mapping_of, mappings};
use super::profiler::{Stop, Subject};
use super::source::Sources;
use super::syscall::{Call as SystemCall, Parked, Reader};
use super::threads::{LIBRARY_THREAD_BYTES, Scheduled, name_of, numbers_in, of};
use code::{Functions, Place};
use layout::Layout;
use vm::{Call, Status, Thread, Turns, Vm};

/// A process that has just forked, or starts a thread, is seen whole at the next try.
const TRIES: usize = 20;
const TRY_EVERY: Duration = Duration::from_millis(5);

/// What stands in a stack: the number of a place.
type Number = usize;

/// Looks until told to stop.
pub(super) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    let mut why = String::new();
    let open = |&pid: &u32| Interpreter::open(pid).inspect_err(|e| why.clone_from(e)).ok();
    let mut interpreters: Vec<Interpreter> = subject.processes.iter().filter_map(open).collect();
    if interpreters.is_empty() {
        return Err(why);
    }
    let mut reader = Reader::default();
    let mut places = Places::default();
    let mut folded: Folded<Number> = Folded::default();
    let count = interpreters.len();
    let Looks { period_s, seen, lost } = looks::until(stop, count, || {
        reader.next_look();
        let mut sees = |i: &mut Interpreter| i.look(&mut reader, &mut places, &mut folded).is_some();
        interpreters.iter_mut().map(|i| u64::from(!sees(i))).sum()
    });
    for interpreter in interpreters {
        interpreter.finish(period_s, &mut folded);
    }
    let mut sources = Sources::new(&subject.folders);
    let frames: Vec<Frame> = places.all.iter().map(|place| frame(place, &mut sources)).collect();
    let profile = folded.into_profile(|place| frames.get(*place).cloned().into_iter().collect());
    Ok(Profile { period_s, user_only: true, lost, looks: seen, ..profile })
}

/// Each place once.
#[derive(Debug, Default)]
struct Places {
    all: Vec<Place>,
    numbers: HashMap<Place, Number>,
}

impl Places {
    fn number(&mut self, place: &Place) -> Number {
        if let Some(number) = self.numbers.get(place) {
            return *number;
        }
        self.numbers.insert(place.clone(), self.all.len());
        self.all.push(place.clone());
        self.all.len() - 1
    }
}

struct Interpreter {
    pid: u32,
    memory: File,
    mappings: Vec<Mapping>,
    /// The file that holds Ruby: what its own functions do, they do for the line.
    file: PathBuf,
    vm: Vm,
    functions: Functions,
    threads: HashMap<u32, Watched>,
    groups: HashMap<String, Group>,
    is_first_look: bool,
    text: String,
}

struct Watched {
    name: String,
    /// The last look at it: its turns on a CPU, and what it was seen at.
    before: Option<(u64, Sample<Number>)>,
    cpu_ns: u64,
}

/// Threads of one name, which come and go.
#[derive(Default)]
struct Group {
    cpu_ns: u64,
    /// Where one of them had the turn.
    held: Vec<Sample<Number>>,
    /// Where one was runnable without it: in C code, or about to ask for it.
    unclear: Vec<Sample<Number>>,
}

/// A thread at a look.
struct Met {
    thread: Thread,
    tid: u32,
    calls: Vec<Call>,
}

/// What the system call of a thread means.
enum Waits {
    /// Another thread, or the end of a time.
    ForThread {
        address: u64,
    },
    ForFile(u64),
    Otherwise,
}

/// What the kernel calls such a descriptor.
const EVENT: &str = "anon_inode:[eventfd]";

impl Interpreter {
    fn open(pid: u32) -> Result<Self, String> {
        let told = |e: &str| format!("the Ruby of process {pid} cannot be looked into: {e}");
        let memory = File::open(format!("/proc/{pid}/mem")).map_err(|e| told(&e.to_string()))?;
        let mappings = mappings(pid);
        let (file, version) = vm::version(pid, &mappings)
            .ok_or_else(|| told("its program does not say which version it is"))?;
        let layout = Layout::of(&version).map_err(|e| told(&e))?;
        let odd = |what: &str| {
            told(&format!(
                "{what} where Ruby {version} keeps it, so it was built otherwise; with the Ruby of a \
                 distribution or of an official image its lines can be seen"
            ))
        };
        let vm = (0..TRIES).find_map(|_| {
            Vm::find(&memory, &mappings, &file, layout).or_else(|| {
                std::thread::sleep(TRY_EVERY);
                None
            })
        });
        let vm = vm.ok_or_else(|| odd("its virtual machine is not"))?;
        let functions = Functions::new(layout);
        let mut interpreter = Self {
            pid,
            memory,
            mappings,
            file,
            vm,
            functions,
            threads: HashMap::new(),
            groups: HashMap::new(),
            is_first_look: true,
            text: String::new(),
        };
        interpreter.check().map_err(odd)?;
        Ok(interpreter)
    }

    /// Believed is what fits together once: all threads are there, the kernel knows them, and of one the stack is known from
    /// its inner to its outer end.
    fn check(&mut self) -> Result<(), &'static str> {
        let mut why = "its list of threads is not";
        for _ in 0..TRIES {
            if let Some(turns) = self.vm.turns(&self.memory) {
                let met: Vec<Met> = turns.iter().filter_map(|turns| self.meet(turns)).flatten().collect();
                let mut is_whole = |met: &Met| {
                    let mut calls = met.calls.iter();
                    let in_ruby = calls.clone().any(|call| matches!(call, Call::Ruby { .. }));
                    in_ruby && calls.all(|call| self.functions.is_known(&self.memory, call))
                };
                if turns.iter().map(|turns| turns.threads.len()).sum::<usize>() != met.len() {
                    why = "the state of a thread is not";
                } else if met.into_iter().any(|met| is_whole(&met)) {
                    return Ok(());
                } else {
                    why = "no stack of functions is";
                }
            }
            std::thread::sleep(TRY_EVERY);
        }
        Err(why)
    }

    /// None when its threads came and went while they were read, or it has ended.
    fn look(&mut self, reader: &mut Reader, places: &mut Places, folded: &mut Folded<Number>) -> Option<()> {
        let all = self.vm.turns(&self.memory)?;
        let mut is_whole = true;
        for turns in all {
            let Some(met) = self.meet(&turns) else {
                is_whole = false;
                continue;
            };
            let threads: Vec<Thread> = met.iter().map(|met| met.thread).collect();
            for met in &met {
                is_whole &= self.see(met, &turns, &threads, reader, places, folded).is_some();
            }
        }
        self.is_first_look = false;
        is_whole.then_some(())
    }

    /// The threads with the kernel's numbers. None where two would have the same.
    fn meet(&self, turns: &Turns) -> Option<Vec<Met>> {
        let read = |&address: &u64| {
            let thread = self.vm.thread(&self.memory, address)?;
            Some((thread, self.vm.calls(&self.memory, &thread)?))
        };
        let read: Vec<(Thread, Vec<Call>)> = turns.threads.iter().map(read).collect::<Option<_>>()?;
        let tasks: HashSet<u32> = of(self.pid).collect();
        let numbers: Vec<Result<u32, u64>> = read
            .iter()
            .map(|(thread, _)| self.vm.number(&self.memory, thread.address))
            .collect::<Option<_>>()?;
        let structures: Vec<[u8; LIBRARY_THREAD_BYTES]> = numbers
            .iter()
            .filter_map(|number| {
                let mut bytes = [0; LIBRARY_THREAD_BYTES];
                self.memory.read(number.err()?, &mut bytes)?;
                Some(bytes)
            })
            .collect();
        // Who forked keeps the number that it had in its parent: it began as the first thread of its process.
        let told = |tid: u32| if tasks.contains(&tid) { tid } else { self.pid };
        let tids: Vec<u32> = if structures.is_empty() {
            numbers.iter().map(|number| number.ok().map(told)).collect()
        } else {
            numbers_in(&structures, &tasks)
        }?;
        let distinct: HashSet<&u32> = tids.iter().collect();
        (distinct.len() == read.len()).then_some(())?;
        Some(read.into_iter().zip(tids).map(|((thread, calls), tid)| Met { thread, tid, calls }).collect())
    }

    /// None when its stack changed while it was read.
    fn see(
        &mut self,
        met: &Met,
        turns: &Turns,
        threads: &[Thread],
        reader: &mut Reader,
        places: &mut Places,
        folded: &mut Folded<Number>,
    ) -> Option<()> {
        let Met { thread, tid, .. } = met;
        if thread.status == Status::Ended {
            return Some(());
        }
        let now = Scheduled::of(self.pid, *tid, &mut self.text)?;
        let name = self.account(*tid, &now);
        let has_turn = turns.holder == thread.address;
        let is_next = !has_turn && turns.awaited_by(thread.address, self.vm.layout);
        let doing = if is_next { Doing::WaitingForInterpreter } else { self.doing(met, has_turn, reader)? };
        let mut stack = self.stack(met, places)?;
        let mut holder = Vec::new();
        match doing {
            Doing::Running => {
                let in_c = if has_turn { self.extension(met) } else { Some(EXTENSION.to_owned()) };
                let in_c = in_c.map(|file| Place { function: C_CODE.to_owned(), file, line: 0 });
                stack.splice(0..0, in_c.map(|place| places.number(&place)));
            }
            Doing::WaitingForLock { .. } if let Some(mutex) = thread.mutex => {
                let lock = Place { function: MUTEX.to_owned(), file: String::new(), line: 0 };
                stack.insert(0, places.number(&lock));
                let owner = vm::owner(&self.memory, mutex, threads);
                let calls = owner.and_then(|owner| self.vm.calls(&self.memory, owner));
                holder = calls.map(|calls| self.numbers(&calls, places)).unwrap_or_default();
            }
            _ => {}
        }
        let sample = Sample { process: self.pid, thread: name.clone(), doing, stack, holder };
        if sample.doing != Doing::Running {
            let watched = self.threads.get_mut(tid)?;
            let is_same = watched.before.as_ref().is_some_and(|(turns, before)| {
                *turns == now.turns && (&before.doing, &before.stack) == (&sample.doing, &sample.stack)
            });
            watched.before = Some((now.turns, sample.clone()));
            folded.add_wait(sample, is_same);
        } else {
            let group = self.groups.entry(name).or_default();
            if has_turn { &mut group.held } else { &mut group.unclear }.push(sample);
        }
        Some(())
    }

    /// Adds the CPU time since the last look to that of the threads of its name. A thread that has started since the first
    /// look is charged from its start.
    fn account(&mut self, tid: u32, now: &Scheduled) -> String {
        let Self { pid, threads, groups, is_first_look, .. } = self;
        let watched = threads.entry(tid).or_insert_with(|| Watched {
            name: name_of(*pid, tid),
            before: None,
            cpu_ns: if *is_first_look { now.ran_ns } else { 0 },
        });
        let group = groups.entry(watched.name.clone()).or_default();
        group.cpu_ns += now.ran_ns.saturating_sub(watched.cpu_ns);
        watched.cpu_ns = now.ran_ns;
        watched.name.clone()
    }

    /// By the system call in which the thread is, and where that is a wait for a signal from another thread, by what Ruby
    /// knows of it.
    fn doing(&mut self, met: &Met, has_turn: bool, reader: &mut Reader) -> Option<Doing> {
        let Some(parked) = Parked::of(self.pid, met.tid, &mut self.text).ok()? else {
            return Some(Doing::Running);
        };
        let waits = match parked.call() {
            SystemCall::Futex { address } => Waits::ForThread { address },
            SystemCall::Poll { address, count } => self.polled(address, count),
            _ => Waits::Otherwise,
        };
        Some(match (waits, met.thread.mutex, met.thread.status) {
            (Waits::Otherwise, ..) => reader.doing(self.pid, &self.memory, &parked),
            (Waits::ForFile(fd), ..) => reader.file(self.pid, fd),
            (_, Some(address), _) => Doing::WaitingForLock { address },
            (_, None, Status::Stopped) => Doing::Sleeping,
            // A short lock inside of the machine, on the way to the turn.
            (_, None, Status::Runnable) if !has_turn => Doing::WaitingForInterpreter,
            (Waits::ForThread { address }, ..) => Doing::WaitingForLock { address },
        })
    }

    /// One thread at a time looks for signals beside what it waits for, through a descriptor of an event that is Ruby's own.
    fn polled(&self, address: u64, count: u64) -> Waits {
        if count > 2 {
            return Waits::Otherwise;
        }
        let Some(bytes) = self.memory.bytes(address, count * 8) else { return Waits::Otherwise };
        let polled = bytes.chunks_exact(8).filter_map(|entry| half_word_in(entry, 0)).map(u64::from);
        let is_rubys = |fd: &u64| {
            fs::read_link(format!("/proc/{}/fd/{fd}", self.pid)).is_ok_and(|to| to.as_os_str() == EVENT)
        };
        let others: Vec<u64> = polled.filter(|fd| !is_rubys(fd)).collect();
        match others[..] {
            [] => Waits::ForThread { address },
            [fd] => Waits::ForFile(fd),
            _ => Waits::Otherwise,
        }
    }

    fn stack(&mut self, met: &Met, places: &mut Places) -> Option<Vec<Number>> {
        let stack = self.numbers(&met.calls, places);
        let in_ruby = met.calls.iter().filter(|call| matches!(call, Call::Ruby { .. })).count();
        (stack.len() == in_ruby).then_some(stack)
    }

    /// Of the calls in Ruby.
    fn numbers(&mut self, calls: &[Call], places: &mut Places) -> Vec<Number> {
        let Self { functions, memory, .. } = self;
        let number = |call: &Call| match *call {
            Call::Ruby { sequence, next } => {
                functions.place(memory, sequence, next).map(|place| places.number(place))
            }
            Call::C { .. } => None,
        };
        calls.iter().filter_map(number).collect()
    }

    /// The library whose function is at work. None in Ruby's own code.
    fn extension(&mut self, met: &Met) -> Option<String> {
        let Some(Call::C { environment }) = met.calls.first() else { return None };
        let function = code::function_in_c(&self.memory, *environment)?;
        if mapping_of(&self.mappings, function).is_none() {
            self.mappings = mappings(self.pid);
        }
        let file = &mapping_of(&self.mappings, function)?.file;
        (*file != self.file).then(|| file.file_name().unwrap_or_default().to_string_lossy().into_owned())
    }

    /// Who is runnable waits for a CPU, too. So threads get no more samples than the CPU time stands for that they really
    /// had, and those with the turn come first: the others may have run only to ask for it.
    fn finish(self, period_s: f64, folded: &mut Folded<Number>) {
        for group in self.groups.into_values() {
            let worked = (group.cpu_ns as f64 / 1e9 / period_s).round() as usize;
            let held = worked.min(group.held.len());
            let unclear = (worked - held).min(group.unclear.len());
            for sample in evenly(group.held, held).chain(evenly(group.unclear, unclear)) {
                folded.add(sample, 1);
            }
        }
    }
}

/// Stands for the functions that only the C compiler knows.
const C_CODE: &str = "C code";
/// Which library they belong to is not known of who runs without the turn.
const EXTENSION: &str = "extension.so";
/// Where a thread is that waits for a mutex.
const MUTEX: &str = "Mutex#lock";

fn frame(Place { function, file, line }: &Place, sources: &mut Sources) -> Frame {
    let function = function.clone();
    if function == C_CODE {
        return Frame { function, module: Some(file.clone()), ..Frame::default() };
    }
    if file.is_empty() {
        return Frame { function, ..Frame::default() };
    }
    let (file, in_app) = sources.resolve(Path::new(file));
    let line = (*line > 0).then_some(*line);
    Frame { function, file: Some(file), line, in_app, ..Frame::default() }
}
