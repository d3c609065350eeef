//! Go: the goroutines that wait, read from the memory of the process without stopping it. The kernel sees none of them: whoever
//! waits in Go is on no thread. What runs is seen as in any compiled program.
//!
//! Only goroutines that serve a request count, and those that they started for it: a server keeps many others, which wait for work.

mod cgo;
mod code;
mod goroutine;
mod layout;
mod others;
mod program;
mod server;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame};

use super::folded::{Folded, Sample};
use super::looks::{self, Looks};
use super::memory::{Memory, search};
use super::profiler::{Stop, Subject};
use super::source::Sources;
use super::syscall::{Parked, Reader};
use code::{Code, Line};
use goroutine::{Known, Stack, Status, Stay};
use layout::Layout;
use others::{Connections, Helpers, Holders};
use program::Program;
use server::Role;

pub(super) use cgo::Callers;
pub(super) use program::is_go;

/// A process that has just started is seen whole at the next try.
const TRIES: usize = 20;
const TRY_EVERY: Duration = Duration::from_millis(5);

/// The process and the address of a call.
type Place = (u32, u64);

/// Looks until told to stop.
pub(super) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    let mut why = String::new();
    let open = |&pid: &u32| Process::open(pid).inspect_err(|e| why.clone_from(e)).ok();
    let mut processes: Vec<Process> = subject.processes.iter().filter_map(open).collect();
    if processes.is_empty() {
        return Err(why);
    }
    let mut reader = Reader::default();
    let mut folded: Folded<Place> = Folded::default();
    let count = processes.len();
    let Looks { period_s, seen, lost } = looks::until(stop, count, || {
        reader.next_look();
        let mut sees = |process: &mut Process| process.look(&mut reader, &mut folded).is_some();
        processes.iter_mut().map(|process| u64::from(!sees(process))).sum()
    });
    let mut sources = Sources::new(&subject.folders);
    let mut frames: HashMap<Place, Vec<Frame>> = HashMap::new();
    for process in &processes {
        let calls = process.known.iter().filter_map(|(at, call)| Some((*at, call.as_ref()?)));
        frames.extend(calls.map(|(at, call)| ((process.pid, at), process.frames(&call.lines, &mut sources))));
    }
    let profile = folded.into_profile(|place| frames.get(place).cloned().unwrap_or_default());
    Ok(Profile { period_s, user_only: true, lost, looks: seen, ..profile })
}

struct Process {
    pid: u32,
    memory: File,
    layout: Layout,
    code: Code,
    module: String,
    /// Where the list of goroutines is.
    list: u64,
    known: Known,
    before: HashMap<u64, Arc<Met>>,
    text: String,
}

/// A goroutine at a look.
struct Met {
    stay: Stay,
    stack: Stack,
    role: Role,
    /// None for one that does not wait.
    doing: Option<Doing>,
}

impl Met {
    /// Of a system call a part may run before it waits, and of a connection the other end may be known a moment later.
    fn is_settled(&self) -> bool {
        let is_open = matches!(self.doing, Some(Doing::WaitingForPeer { address: None }));
        self.stay.status != Status::InSystemCall && !is_open
    }

    fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.stack.frames.iter().flat_map(|frame| &frame.call.lines)
    }
}

impl Process {
    fn open(pid: u32) -> Result<Self, String> {
        let told = |e: &str| format!("the goroutines of process {pid} cannot be looked at: {e}");
        let memory = File::open(format!("/proc/{pid}/mem")).map_err(|e| told(&e.to_string()))?;
        let program = Program::of(pid).ok_or_else(|| told("the program does not say how it was built"))?;
        let version = program.version.clone();
        let layout = program::minor(&version).and_then(Layout::of).ok_or_else(|| {
            told(&format!(
                "it was built with {version}; built with Go 1.19, or 1.21 and later, the lines that wait can be seen"
            ))
        })?;
        let odd = || {
            told(&format!(
                "they are not where {version} keeps them; built with Go 1.27 or older the lines that wait can be seen"
            ))
        };
        let described = described(&memory, &program).ok_or_else(odd)?;
        let [text, first, end, tables] =
            [layout::TEXT, layout::VARIABLES[0], layout::VARIABLES[1], layout.tables]
                .map(|offset| memory.word(described, offset).unwrap_or(0));
        let code = Code::new(program.table, text, tables).ok_or_else(odd)?;
        let module = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let module = module.to_string_lossy().into_owned();
        let (known, before, text) = (Known::new(), HashMap::new(), String::new());
        let mut process = Self { pid, memory, layout, code, module, list: 0, known, before, text };
        // Believed is what fits together once: of a goroutine the stack is known from its inner to its outer end.
        for _ in 0..TRIES {
            process.list = goroutine::list(&process.memory, first..end).unwrap_or(0);
            if process.list != 0 && process.has_whole_stack() {
                return Ok(process);
            }
            std::thread::sleep(TRY_EVERY);
        }
        Err(odd())
    }

    fn has_whole_stack(&mut self) -> bool {
        let addresses = goroutine::addresses(&self.memory, self.list).unwrap_or_default();
        addresses.into_iter().any(|address| {
            let stay = Stay::read(&self.memory, &self.layout, address);
            stay.is_some_and(|stay| stay.stack(&self.memory, &self.code, &mut self.known).is_whole)
        })
    }

    /// None when the list could not be read, or the process has ended.
    fn look(&mut self, reader: &mut Reader, folded: &mut Folded<Place>) -> Option<()> {
        let addresses = goroutine::addresses(&self.memory, self.list)?;
        let met: Vec<Arc<Met>> =
            addresses.into_iter().filter_map(|address| self.meet(address, reader)).collect();
        self.count(&met, folded);
        self.before = met.into_iter().map(|met| (met.stay.address, met)).collect();
        Some(())
    }

    fn count(&self, met: &[Arc<Met>], folded: &mut Folded<Place>) {
        let (helpers, connections, holders) = (Helpers::of(met), Connections::of(met), Holders::of(met));
        for met in met {
            let chain = match met.role {
                Role::Serves => helpers.at_work_for(met),
                Role::Rests => vec![&**met],
                Role::Listens | Role::Other => continue,
            };
            let Some(&inner) = chain.first() else { continue };
            let Some(doing) = connections.peer(inner).or_else(|| inner.doing.clone()) else { continue };
            let holder = holders.holder(inner).map(|holder| self.places(&[holder])).unwrap_or_default();
            let stack = self.places(&chain);
            let sample = Sample { process: self.pid, thread: "goroutine".to_owned(), doing, stack, holder };
            let is_same =
                self.before.get(&inner.stay.address).is_some_and(|before| before.stay == inner.stay);
            folded.add_wait(sample, is_same);
        }
    }

    fn places(&self, chain: &[&Met]) -> Vec<Place> {
        chain.iter().flat_map(|met| &met.stack.frames).map(|frame| (self.pid, frame.at)).collect()
    }

    /// None for one that runs or has ended, and where it moved while it was read.
    fn meet(&mut self, address: u64, reader: &mut Reader) -> Option<Arc<Met>> {
        let stay = Stay::read(&self.memory, &self.layout, address)?;
        let is_known = |before: &&Arc<Met>| before.stay == stay && before.is_settled();
        if let Some(before) = self.before.get(&address).filter(is_known) {
            return Some(Arc::clone(before));
        }
        let stack = stay.stack(&self.memory, &self.code, &mut self.known);
        let role = server::role(stack.frames.iter().flat_map(|frame| &frame.call.lines));
        let mut met = Met { stay, stack, role, doing: None };
        met.doing = match stay.status {
            Status::Runnable => None,
            Status::InSystemCall => self.in_system_call(&stay, reader),
            Status::Waiting => self.waiting(&met, reader),
        };
        // Of a lock only: each wait for a `WaitGroup` would be one of its own.
        if others::waits_for_word(&met) {
            met.doing = Some(Doing::WaitingForLock { address: 0 });
        }
        (Stay::read(&self.memory, &self.layout, address)? == stay).then(|| Arc::new(met))
    }

    fn in_system_call(&mut self, stay: &Stay, reader: &mut Reader) -> Option<Doing> {
        let task = stay.task(&self.memory, &self.layout)?;
        let parked = Parked::of(self.pid, task, &mut self.text).ok()??;
        Some(reader.doing(self.pid, &self.memory, &parked))
    }

    /// By the function of Go's runtime that took it off its thread. None for what a garbage collection has it do.
    fn waiting(&self, met: &Met, reader: &mut Reader) -> Option<Doing> {
        let Met { stay, stack, role, .. } = met;
        // Whose connection it is need not be looked up, and the kernel's table is long.
        if matches!(role, Role::Rests | Role::Listens) {
            return Some(Doing::WaitingForClient);
        }
        met.lines().find_map(|line| match &*line.function {
            "runtime.netpollblock" => Some(match stay.polled(&self.memory, &self.layout, stack) {
                Some(file) => reader.file(self.pid, file),
                None => Doing::WaitingForPeer { address: None },
            }),
            "time.Sleep" => Some(Doing::Sleeping),
            "runtime.semacquire1" => {
                Some(Doing::WaitingForLock { address: stay.lock(&self.memory, stack).unwrap_or(0) })
            }
            "runtime.chanrecv"
            | "runtime.chansend"
            | "runtime.selectgo"
            | "runtime.block"
            | "sync.runtime_notifyListWait" => Some(Doing::WaitingForLock { address: 0 }),
            _ => None,
        })
    }

    fn frames(&self, lines: &[Line], sources: &mut Sources) -> Vec<Frame> {
        let frame = |(depth, line): (usize, &Line)| {
            let (file, in_app) = sources.resolve(Path::new(&line.file));
            Frame {
                function: line.function.clone(),
                file: (!file.is_empty()).then_some(file),
                line: (line.line > 0).then_some(line.line),
                module: Some(self.module.clone()),
                in_app,
                inlined: depth + 1 < lines.len(),
            }
        };
        lines.iter().enumerate().map(frame).collect()
    }
}

/// Where the program's code is described: it begins with the address of the table of functions.
fn described(memory: &impl Memory, program: &Program) -> Option<u64> {
    let table = program.table_at;
    let mut descriptions = program.descriptions.iter();
    descriptions.find_map(|range| search(memory, range.clone(), |at, word| (word == table).then_some(at)))
}
