//! What runs, in programs of any language that is compiled: the kernel interrupts a thread every so many milliseconds of
//! its CPU time and hands over its registers and the top of its stack. Nothing is stopped, nothing is changed.
//!
//! Needs no privilege where `kernel.perf_event_paranoid` is 2 or less; then the kernel keeps its own part to itself.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use fissure_facts::Profile;
use fissure_facts::profile::Doing;
use perf_event_open::config::{
    Cpu, Inherit, Opts, Proc, RecordIdFormat, RegsMask, SampleFormat, SampleOn, Size,
};
use perf_event_open::count::Counter;
use perf_event_open::event::sw::Software;
use perf_event_open::sample::Sampler;
use perf_event_open::sample::record::Record;
use perf_event_open::sample::record::sample::Sample as Seen;

use super::folded::{Folded, Sample};
use super::go;
use super::profiler::{Stop, Subject};
use super::runtime::Runtime;
use super::source::Sources;
use super::symbols;
use super::threads::name_of;
use super::unwind::{AddressSpace, Library, Place, Registers};

/// CPU time between two samples of a thread: about 400 a second, and no divisor of what apps do once a millisecond.
const PERIOD_NS: u64 = 2_521_000;
/// How much of the stack comes along. What runs is at the inner end; async frameworks nest deep.
const STACK_BYTES: u32 = 32 * 1024;
/// Ring buffers in powers of two pages: as large as the kernel gives without privilege.
const RING_PAGES_EXPONENTS: [u8; 4] = [9, 7, 6, 5];
const DRAIN_EVERY: Duration = Duration::from_millis(10);

/// Registers as the kernel numbers them (arch/*/include/uapi/asm/perf_regs.h): frame pointer, stack pointer, program
/// counter, in that order.
#[cfg(target_arch = "x86_64")]
const REGISTERS: u64 = 1 << 6 | 1 << 7 | 1 << 8;
/// Frame pointer, link register, stack pointer, program counter.
#[cfg(target_arch = "aarch64")]
const REGISTERS: u64 = 1 << 29 | 1 << 30 | 1 << 31 | 1 << 32;

/// Samples until told to stop.
pub(super) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    let mut library = Library::default();
    let mut processes: HashMap<u32, Option<Process>> = HashMap::new();
    // Finding out what a process is takes longer than a ring has room for.
    for &pid in &subject.processes {
        processes.insert(pid, Process::of(pid, &mut library));
    }
    let (rings, user_only) = open(subject)?;
    let mut names: HashMap<u32, String> = HashMap::new();
    let mut folded: Folded<Place> = Folded::default();
    let mut lost = 0;
    loop {
        let over = stop.wait(DRAIN_EVERY);
        for (_, record) in rings.samplers.iter().flat_map(Sampler::iter) {
            match record {
                Record::Sample(seen) => {
                    let Some(sample) = understand(&seen, &mut processes, &mut library, &mut names) else {
                        lost += 1;
                        continue;
                    };
                    folded.add(sample, 1);
                }
                Record::LostRecords(records) => lost += records.lost_records,
                _ => {}
            }
        }
        if over {
            break;
        }
    }
    drop(rings);
    let mut sources = Sources::new(&subject.folders);
    let frames = symbols::frames(folded.places().cloned(), &mut sources);
    let profile = folded.into_profile(|place| frames.get(place).cloned().unwrap_or_default());
    Ok(Profile { period_s: PERIOD_NS as f64 / 1e9, user_only, lost, ..profile })
}

/// One ring a CPU, into which every thread's counter writes. The counters are kept only to stay open.
struct Rings {
    samplers: Vec<Sampler>,
    _counters: Vec<Counter>,
}

/// Whether the kernel would give samples here; true: without its own part.
pub(crate) fn can_sample() -> Result<bool, String> {
    let cpus = super::machine::own_cpus();
    let subject = Subject { processes: vec![std::process::id()], cpus, ..Subject::default() };
    open(&subject).map(|(_, user_only)| user_only)
}

/// With the kernel's part where that is allowed. True: without.
fn open(subject: &Subject) -> Result<(Rings, bool), String> {
    let refused = |e: &io::Error| matches!(e.kind(), io::ErrorKind::PermissionDenied);
    let opened = match open_rings(subject, false) {
        Err(e) if refused(&e) => open_rings(subject, true).map(|rings| (rings, true)),
        other => other.map(|rings| (rings, false)),
    };
    opened.map_err(|e| {
        if refused(&e) {
            "the kernel lets no ordinary user sample a program here (`sysctl kernel.perf_event_paranoid` should be 2 or less)".to_owned()
        } else {
            format!("the kernel gives no samples ({e})")
        }
    })
}

fn open_rings(subject: &Subject, user_only: bool) -> io::Result<Rings> {
    let mut opts = Opts {
        inherit: Some(Inherit::NewChild),
        sample_on: SampleOn::Count(PERIOD_NS),
        sample_format: SampleFormat {
            user_regs: Some(RegsMask(REGISTERS)),
            user_stack: Some(Size(STACK_BYTES)),
            ..SampleFormat::default()
        },
        record_id_format: RecordIdFormat { task: true, ..RecordIdFormat::default() },
        enable: true,
        ..Opts::default()
    };
    opts.exclude.kernel = user_only;
    opts.exclude.hv = user_only;
    let mut rings = Rings { samplers: Vec::new(), _counters: Vec::new() };
    for cpu in subject.cpus.iter().filter_map(|&cpu| u32::try_from(cpu).ok()) {
        let mut first: Option<usize> = None;
        for &pid in &subject.processes {
            for tid in super::threads::of(pid) {
                let counter = match Counter::new(Software::TaskClock, (Proc(tid), Cpu(cpu)), &opts) {
                    Ok(counter) => counter,
                    Err(e) if e.raw_os_error() == Some(libc::ESRCH) => continue, // it ended in between
                    Err(e) => return Err(e),
                };
                match first {
                    None => {
                        rings.samplers.push(ring(&counter)?);
                        first = Some(rings._counters.len());
                    }
                    Some(first) => write_into(&counter, &rings._counters[first])?,
                }
                rings._counters.push(counter);
            }
        }
    }
    if rings.samplers.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(rings) }
}

/// The largest ring that the kernel gives.
fn ring(counter: &Counter) -> io::Result<Sampler> {
    let mut last = io::ErrorKind::OutOfMemory.into();
    for exponent in RING_PAGES_EXPONENTS {
        match counter.sampler(exponent) {
            Ok(sampler) => return Ok(sampler),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Sends the counter's samples into the other's ring: locked memory is scarce, and threads are many.
#[expect(unsafe_code, reason = "the library has no call for it")]
fn write_into(counter: &Counter, other: &Counter) -> io::Result<()> {
    /// `PERF_EVENT_IOC_SET_OUTPUT`: `_IO('$', 5)` of linux/perf_event.h.
    const SET_OUTPUT: libc::Ioctl = 0x2405;
    // SAFETY: both are open perf events, and the call takes a file descriptor by value.
    let status = unsafe { libc::ioctl(counter.file().as_raw_fd(), SET_OUTPUT, other.file().as_raw_fd()) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A process that is sampled.
struct Process {
    space: AddressSpace,
    /// Of C in a Go program.
    callers: Option<go::Callers>,
}

impl Process {
    fn of(pid: u32, library: &mut Library) -> Option<Self> {
        let is_go = Runtime::of(pid) == Runtime::Go;
        Some(Self {
            space: AddressSpace::of(pid, library)?,
            callers: is_go.then(|| go::Callers::of(pid)).flatten(),
        })
    }
}

fn understand(
    seen: &Seen,
    processes: &mut HashMap<u32, Option<Process>>,
    library: &mut Library,
    names: &mut HashMap<u32, String>,
) -> Option<Sample<Place>> {
    let task = seen.record_id.task.as_ref()?;
    let (values, _) = seen.user_regs.as_ref()?;
    let registers = registers(values)?;
    let stack = seen.user_stack.as_deref().unwrap_or_default();
    let known = processes.entry(task.pid).or_insert_with(|| Process::of(task.pid, library));
    let Process { space, callers } = known.as_mut()?;
    if !space.knows(registers.pc) {
        space.refresh(library);
    }
    let mut addresses = space.walk(registers, |address| {
        let at = usize::try_from(address.checked_sub(registers.sp)?).ok()?;
        Some(u64::from_ne_bytes(stack.get(at..at.checked_add(8)?)?.try_into().ok()?))
    });
    addresses.extend(callers.as_mut().and_then(|callers| callers.of_c(stack)).unwrap_or_default());
    let stack = addresses.into_iter().filter_map(|address| space.place(address)).collect();
    let thread = names.entry(task.tid).or_insert_with(|| name_of(task.pid, task.tid)).clone();
    Some(Sample { process: task.pid, thread, doing: Doing::Running, stack, holder: Vec::new() })
}

#[cfg(target_arch = "x86_64")]
fn registers(values: &[u64]) -> Option<Registers> {
    let &[fp, sp, pc] = values else { return None };
    Some(Registers { pc, sp, fp, lr: 0 })
}

#[cfg(target_arch = "aarch64")]
fn registers(values: &[u64]) -> Option<Registers> {
    let &[fp, lr, sp, pc] = values else { return None };
    Some(Registers { pc, sp, fp, lr })
}
