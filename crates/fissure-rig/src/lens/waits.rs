//! What waits, and for what: a look, a hundred times a second, at the system call in which each thread is blocked and at
//! its stack. No thread is stopped, and no privilege is needed beyond being the user who started the app.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use fissure_facts::Profile;

use super::folded::{Folded, Sample};
use super::peers::Peers;
use super::profiler::{Stop, Subject};
use super::source::Sources;
use super::symbols;
use super::syscall::{Call, Parked, Reader};
use super::threads::{name_of, of, slices};
use super::unwind::{AddressSpace, Library, Place, Registers};

const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(200);
/// Connections are looked at more seldom: their table is long.
const PEERS_EVERY: Duration = Duration::from_millis(100);
/// Share of a CPU that looking may cost: with more threads the looks come more seldom.
const CPU_SHARE: f64 = 0.1;
/// How much of a stack is read.
const STACK_BYTES: usize = 32 * 1024;

/// Looks until told to stop.
pub(super) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    if cfg!(not(target_arch = "x86_64")) {
        return Err("stacks of waiting threads are read on x86-64 only".to_owned());
    }
    let mut watcher = Watcher::default();
    let mut peers = Peers::new().ok();
    // Reading the unwind tables takes far longer than a look.
    for &pid in &subject.processes {
        watcher.learn(pid);
    }
    let (began, mut peers_at) = (Instant::now(), Instant::now());
    let mut looks = 0;
    loop {
        let (look, cpu) = (Instant::now(), own_cpu());
        watcher.reader.next_look();
        for &pid in &subject.processes {
            watcher.look(pid);
        }
        looks += 1;
        if look >= peers_at {
            peers_at = look + PEERS_EVERY;
            // Without them the threads still tell most.
            peers = peers.and_then(|mut peers| peers.look(&subject.processes).is_ok().then_some(peers));
        }
        let pause = own_cpu().saturating_sub(cpu).mul_f64(1.0 / CPU_SHARE - 1.0).min(LOOK_AT_LEAST_EVERY);
        if stop.wait(LOOK_EVERY.saturating_sub(look.elapsed()).max(pause)) {
            break;
        }
    }
    let period_s = began.elapsed().as_secs_f64() / looks as f64;
    if watcher.seen.is_empty() && watcher.refused {
        return Err(
            "this system lets no program look at another's stack (a container's or the kernel's rules \
                    for ptrace)"
                .to_owned(),
        );
    }
    let mut sources = Sources::new(&subject.folders);
    let frames = symbols::frames(watcher.folded.places().cloned(), &mut sources);
    let profile = watcher.folded.into_profile(|place| frames.get(place).cloned().unwrap_or_default());
    let peers = peers.map(Peers::into_facts).unwrap_or_default();
    Ok(Profile { period_s, user_only: true, looks, peers, ..profile })
}

/// Whether the stack of this process, which must be blocked, can be read.
pub(crate) fn can_read_stack(pid: u32) -> Result<(), String> {
    let stay =
        Stay::of(pid, pid, &mut String::new()).map_err(|e| e.to_string())?.ok_or("it is not blocked")?;
    let memory = File::open(format!("/proc/{pid}/mem")).map_err(|e| e.to_string())?;
    memory.read_exact_at(&mut [0; 8], stay.at.sp).map_err(|e| e.to_string())
}

#[derive(Default)]
struct Watcher {
    library: Library,
    processes: HashMap<u32, Option<Process>>,
    /// The last look at each thread: as long as it has not moved, its stack is the same.
    seen: HashMap<u32, (Stay, Sample<Place>)>,
    reader: Reader,
    folded: Folded<Place>,
    refused: bool,
    text: String,
}

/// One wait of one thread. It ends when the thread is put on a CPU, even if it comes back to the same call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stay {
    at: Parked,
    /// Times put on a CPU.
    slices: Option<u64>,
}

struct Process {
    pid: u32,
    space: AddressSpace,
    memory: File,
}

/// CPU time of this thread.
fn own_cpu() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap_or_default()
}

impl Watcher {
    fn learn(&mut self, pid: u32) {
        let Self { library, processes, .. } = self;
        processes.entry(pid).or_insert_with(|| Process::of(pid, library));
    }

    fn look(&mut self, pid: u32) {
        let mut stays: HashMap<u32, Stay> = HashMap::new();
        for tid in of(pid) {
            match Stay::of(pid, tid, &mut self.text) {
                Ok(stay) => stays.extend(stay.map(|stay| (tid, stay))),
                Err(e) => self.refused |= e.kind() == io::ErrorKind::PermissionDenied,
            }
        }
        let Self { library, processes, seen, reader, folded, text, .. } = self;
        let Some(process) = processes.entry(pid).or_insert_with(|| Process::of(pid, library)) else { return };
        for (&tid, stay) in &stays {
            let holder = process.holder(&stay.at).filter(|holder| *holder != tid);
            let before = seen.remove(&tid);
            let is_same = before.as_ref().is_some_and(|(before, _)| before == stay);
            // Who holds a lock changes while others go on waiting for it.
            let sample = match before {
                Some((_, sample)) if is_same && holder.is_none() => sample,
                _ => {
                    let stack = process.stack(&stay.at, library);
                    let holder =
                        holder.and_then(|tid| stays.get(&tid)).map(|s| process.stack(&s.at, library));
                    let sample = Sample {
                        process: pid,
                        thread: name_of(pid, tid),
                        doing: reader.doing(pid, &process.memory, &stay.at),
                        stack,
                        holder: holder.unwrap_or_default(),
                    };
                    // What was read while the thread moved on is nobody's stack.
                    if !stay.still_lasts(pid, tid, text) {
                        continue;
                    }
                    sample
                }
            };
            seen.insert(tid, (*stay, sample.clone()));
            folded.add_wait(sample, is_same);
        }
        let threads: HashSet<u32> = stays.into_keys().collect();
        seen.retain(|tid, (_, sample)| sample.process != pid || threads.contains(tid));
    }
}

impl Stay {
    /// None when the thread runs.
    fn of(pid: u32, tid: u32, text: &mut String) -> io::Result<Option<Self>> {
        let slices = slices(pid, tid, text);
        Ok(Parked::of(pid, tid, text)?.map(|at| Self { at, slices }))
    }

    fn still_lasts(&self, pid: u32, tid: u32, text: &mut String) -> bool {
        Self::of(pid, tid, text).is_ok_and(|now| now.as_ref() == Some(self))
    }
}

impl Process {
    fn of(pid: u32, library: &mut Library) -> Option<Self> {
        let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
        Some(Self { pid, space: AddressSpace::of(pid, library)?, memory })
    }

    fn stack(&mut self, at: &Parked, library: &mut Library) -> Vec<Place> {
        if !self.space.knows(at.pc) {
            self.space.refresh(library);
        }
        let mut bytes = vec![0; STACK_BYTES];
        let read = self.memory.read_at(&mut bytes, at.sp).unwrap_or(0);
        bytes.truncate(read);
        let word = |address: u64| {
            let offset = usize::try_from(address.checked_sub(at.sp)?).ok()?;
            Some(u64::from_ne_bytes(bytes.get(offset..offset.checked_add(8)?)?.try_into().ok()?))
        };
        let fp = self.frame_pointer(at.sp, word).unwrap_or(0);
        let addresses = self.space.walk(Registers { pc: at.pc, sp: at.sp, fp, lr: 0 }, word);
        addresses.into_iter().filter_map(|address| self.space.place(address)).collect()
    }

    /// The kernel tells neither the frame pointer nor any other register. Where a function has saved one, there stand
    /// an address further up the stack and above it one of code: the first such pair is its frame.
    fn frame_pointer(&self, sp: u64, word: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        const FAR: u64 = 1 << 20;
        let slots = (sp..).step_by(8).map_while(|at| Some((at, word(at)?, word(at.checked_add(8)?)?)));
        slots
            .into_iter()
            .find(|&(at, saved, back)| saved > at && saved - at < FAR && self.space.knows(back))
            .map(|(at, ..)| at)
    }

    /// The thread that holds the lock, where the lock says so: glibc's mutex keeps its owner in its third word.
    fn holder(&self, at: &Parked) -> Option<u32> {
        let Call::Futex { address } = at.call() else { return None };
        let mut owner = [0; 4];
        self.memory.read_exact_at(&mut owner, address.checked_add(8)?).ok()?;
        let tid = u32::from_ne_bytes(owner);
        fs::exists(format!("/proc/{}/task/{tid}", self.pid))
            .is_ok_and(|there| there && tid > 0)
            .then_some(tid)
    }
}
