//! What waits in a JVM: its own list of threads, some ten times a second, and for those that are in a system call what
//! the kernel says of it. The kernel alone knows no line of Java, and sees in every wait the same futex.
//!
//! The JVM stops its threads for each list, for a millisecond or so: lists come the more seldom, the longer they take.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame};

use super::attach::Door;
use super::classes::{Classes, Method};
use super::dump::{self, State, Thread};
use super::{pool, quoted};
use crate::lens::folded::{Folded, Sample};
use crate::lens::profiler::{Stop, Subject};
use crate::lens::syscall::{Parked, Reader};
use crate::lens::threads::slices;

const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(500);
/// Share of the time that the lists may take.
const SHARE: f64 = 0.1;

/// Looks until told to stop.
pub(in crate::lens) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    let mut why = String::new();
    let open =
        |&pid: &u32| Machine::open(pid, subject.hooks.as_deref()).inspect_err(|e| why.clone_from(e)).ok();
    let mut machines: Vec<Machine> = subject.processes.iter().filter_map(open).collect();
    let mut folded: Folded<Place> = Folded::default();
    let mut reader = Reader::default();
    let (began, mut looks) = (Instant::now(), 0);
    while !machines.is_empty() {
        let look = Instant::now();
        reader.next_look();
        machines.retain_mut(|machine| {
            machine.look(&mut reader, &mut folded).inspect_err(|e| why.clone_from(e)).is_ok()
        });
        looks += 1;
        let pause = look.elapsed().mul_f64(1.0 / SHARE - 1.0).min(LOOK_AT_LEAST_EVERY);
        if stop.wait(LOOK_EVERY.saturating_sub(look.elapsed()).max(pause)) {
            break;
        }
    }
    if looks == 0 || folded.places().next().is_none() && !why.is_empty() {
        return Err(why);
    }
    let period_s = began.elapsed().as_secs_f64() / looks as f64;
    let mut classes = Classes::of(&subject.folders);
    let frames: HashMap<Place, Frame> =
        folded.places().map(|place| (place.clone(), place.frame(&mut classes))).collect();
    let profile = folded.into_profile(|place| frames.get(place).cloned().into_iter().collect());
    Ok(Profile { period_s, user_only: true, looks, ..profile })
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Java(Method),
    /// The JVM itself, at the door of a monitor.
    Monitor,
}

impl Place {
    fn frame(&self, classes: &mut Classes) -> Frame {
        match self {
            Self::Java(method) => classes.frame(method),
            Self::Monitor => Frame {
                function: "monitorenter".to_owned(),
                module: Some("libjvm.so".to_owned()),
                ..Frame::default()
            },
        }
    }
}

/// The kernel's number of a thread, if it has one, and the JVM's.
type ThreadName = (Option<u32>, u64);
/// The last look at a thread: its turns on a CPU, and what it was seen at.
type Look = (Option<u64>, Sample<Place>);

/// One JVM.
struct Machine {
    door: Door,
    /// Where the lists of polled files are.
    memory: File,
    /// Where the JVM writes its list of virtual threads, if it has any.
    file: Option<PathBuf>,
    before: HashMap<ThreadName, Look>,
    text: String,
}

impl Machine {
    fn open(pid: u32, hooks: Option<&Path>) -> Result<Self, String> {
        let door = Door::open(pid)?;
        let memory = File::open(format!("/proc/{pid}/mem"))
            .map_err(|e| format!("the JVM cannot be looked into ({e})"))?;
        let file = hooks.map(|hooks| hooks.join(format!("{pid}.threads")));
        Ok(Self { door, memory, file, before: HashMap::new(), text: String::new() })
    }

    fn look(&mut self, reader: &mut Reader, folded: &mut Folded<Place>) -> Result<(), String> {
        let list = self.door.ask("threaddump", "")?;
        let mut threads = dump::threads(&list);
        // Who has virtual threads has threads that carry them.
        if threads.iter().any(carries) {
            threads.extend(self.virtual_threads());
        }
        let holder_of: HashMap<u64, usize> = threads
            .iter()
            .enumerate()
            .flat_map(|(i, t)| t.holds.iter().map(move |&monitor| (monitor, i)))
            .collect();
        let carriers: HashMap<u64, u32> = threads.iter().filter_map(|t| Some((t.carries?, t.tid?))).collect();
        let mut now = HashMap::new();
        for thread in &threads {
            let Some(doing) = self.doing(thread, &carriers, reader) else { continue };
            let holder = thread
                .awaits
                .and_then(|monitor| holder_of.get(&monitor))
                .map(|&i| stack(&threads[i], &Doing::Running));
            let sample = Sample {
                process: self.door.pid,
                thread: pool(if thread.tid.is_none() && thread.name.is_empty() {
                    "virtual"
                } else {
                    &thread.name
                }),
                stack: stack(thread, &doing),
                doing,
                holder: holder.unwrap_or_default(),
            };
            let turns = thread.tid.and_then(|tid| slices(self.door.pid, tid, &mut self.text));
            let key = (thread.tid, thread.number);
            let is_same = self
                .before
                .get(&key)
                .is_some_and(|(before, seen)| *before == turns && seen.stack == sample.stack);
            now.insert(key, (turns, sample.clone()));
            folded.add_wait(sample, is_same);
        }
        self.before = now;
        Ok(())
    }

    fn virtual_threads(&self) -> Vec<Thread> {
        let Some(file) = &self.file else { return Vec::new() };
        let command = format!("Thread.dump_to_file -overwrite -format=plain {}", quoted(file));
        let Ok(_) = self.door.ask("jcmd", &command) else { return Vec::new() };
        let list = fs::read(file).unwrap_or_default();
        dump::virtual_threads(&String::from_utf8_lossy(&list))
    }

    /// None for a thread that runs.
    fn doing(&mut self, thread: &Thread, carriers: &HashMap<u64, u32>, reader: &mut Reader) -> Option<Doing> {
        let Some(tid) = thread.tid else {
            // One that has not let go of its carrier waits as the carrier does.
            return of_virtual(thread).or_else(|| self.in_kernel(*carriers.get(&thread.number)?, reader));
        };
        // Objects move: their addresses tell nothing apart for longer than a look.
        let address = 0;
        match thread.state {
            State::Blocked | State::Waits => Some(Doing::WaitingForLock { address }),
            State::WaitsForTime if thread.awaits.is_some() => Some(Doing::WaitingForLock { address }),
            State::WaitsForTime | State::Sleeps => Some(Doing::Sleeping),
            State::Runnable if thread.in_native => self.in_kernel(tid, reader),
            State::Runnable => None,
        }
    }

    fn in_kernel(&mut self, tid: u32, reader: &mut Reader) -> Option<Doing> {
        let parked = Parked::of(self.door.pid, tid, &mut self.text).ok()??;
        Some(reader.doing(self.door.pid, &self.memory, &parked))
    }
}

fn stack(thread: &Thread, doing: &Doing) -> Vec<Place> {
    let is_lock = matches!(doing, Doing::WaitingForLock { .. });
    // Only a monitor has a thread wait between two instructions of Java.
    let pinned = thread.tid.is_none() && is_lock && !thread.in_native && of_virtual(thread).is_none();
    let monitor = (thread.state == State::Blocked || pinned).then_some(Place::Monitor);
    monitor.into_iter().chain(thread.stack.iter().cloned().map(Place::Java)).collect()
}

/// A thread of the pool in which virtual threads run.
fn carries(thread: &Thread) -> bool {
    thread.stack.iter().any(|method| method.class == "jdk/internal/vm/Continuation")
        || thread.name.starts_with("VirtualThread-")
}

/// By its stack alone: nobody tells the state of a virtual thread, and the kernel does not know it.
fn of_virtual(thread: &Thread) -> Option<Doing> {
    let is_at = |class: &str, methods: &[&str]| {
        thread.stack.iter().any(|m| m.class == class && (methods.is_empty() || methods.contains(&&*m.method)))
    };
    let parks = ["park", "parkNanos", "parkOnCarrierThread", "yieldContinuation", "tryYield"];
    if !is_at("java/lang/VirtualThread", &parks) {
        return None;
    }
    let on_socket = is_at("sun/nio/ch/NioSocketImpl", &[]) || is_at("sun/nio/ch/Poller", &[]);
    Some(
        if is_at("java/lang/VirtualThread", &["sleepNanos"])
            || is_at("java/lang/Thread", &["sleep", "sleepNanos"])
        {
            Doing::Sleeping
        } else if on_socket && thread.stack.iter().any(|m| m.method == "accept") {
            Doing::WaitingForConnection
        } else if on_socket {
            // Whose connection it is, nobody tells.
            Doing::WaitingForPeer { address: None }
        } else {
            Doing::WaitingForLock { address: 0 }
        },
    )
}
