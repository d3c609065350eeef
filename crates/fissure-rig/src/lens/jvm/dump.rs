//! The JVM's list of its threads as people read it (`Thread.print`), and that of virtual threads, which the first leaves out
//! (`Thread.dump_to_file`, since Java 21).

use super::classes::Method;

/// A thread at the moment of the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Thread {
    pub name: String,
    /// The kernel's number; None of a virtual thread.
    pub tid: Option<u32>,
    /// The JVM's own, of a virtual thread.
    pub number: u64,
    pub state: State,
    /// What it waits for, by address.
    pub awaits: Option<u64>,
    /// The monitors that it holds.
    pub holds: Vec<u64>,
    /// Innermost first.
    pub stack: Vec<Method>,
    /// It stands in a method that is not written in Java.
    pub in_native: bool,
    /// The virtual thread that it is, at the moment.
    pub carries: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// Runs, or is in a system call: the JVM does not tell them apart.
    #[default]
    Runnable,
    /// Wants to enter a monitor.
    Blocked,
    /// Has left a monitor to be told when to go on, or was parked.
    Waits,
    /// The same, for some time at most.
    WaitsForTime,
    Sleeps,
}

/// The threads of the app and of the JVM, without those that have no stack in Java.
pub(super) fn threads(text: &str) -> Vec<Thread> {
    let mut threads: Vec<Thread> = Vec::new();
    for line in text.lines() {
        if let Some(thread) = headline(line) {
            threads.push(thread);
        } else if line.is_empty() {
            // What follows belongs to no thread, until the next begins.
            threads.push(Thread::default());
        } else if let Some(thread) = threads.last_mut() {
            detail(line, thread);
        }
    }
    threads.retain(|thread| !thread.stack.is_empty() && thread.tid.is_some());
    threads
}

/// `"main" #1 prio=5 os_prio=0 cpu=1245.49ms elapsed=3.63s tid=0x00007f8920018040 nid=0x6215 runnable  [0x...]`; since
/// Java 19 the kernel's number is decimal and stands behind the JVM's own as well, since Java 21 sometimes only there.
fn headline(line: &str) -> Option<Thread> {
    let (name, rest) = line.strip_prefix('"')?.rsplit_once("\" ")?;
    let word = |start: &str, end: &str| {
        rest.split_ascii_whitespace().find_map(|word| word.strip_prefix(start)?.strip_suffix(end))
    };
    let nid = word("nid=", "").or_else(|| word("[", "]"))?;
    let tid = match nid.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => nid.parse().ok(),
    };
    Some(Thread { name: name.to_owned(), tid: Some(tid?), ..Thread::default() })
}

fn detail(line: &str, thread: &mut Thread) {
    let line = line.trim();
    if let Some(frame) = line.strip_prefix("at ") {
        if thread.stack.is_empty() {
            thread.in_native = frame.ends_with("Native Method)");
        }
        thread.stack.extend(method(frame));
    } else if let Some(state) = line.strip_prefix("java.lang.Thread.State: ") {
        thread.state = match state.split_once(' ').unwrap_or((state, "")) {
            ("BLOCKED", _) => State::Blocked,
            ("WAITING", _) => State::Waits,
            ("TIMED_WAITING", "(sleeping)") => State::Sleeps,
            ("TIMED_WAITING", _) => State::WaitsForTime,
            _ => State::Runnable,
        };
    } else if let Some(number) = line.strip_prefix("Carrying virtual thread #") {
        thread.carries = number.parse().ok();
    } else if let Some(monitor) = line.strip_prefix("- locked ") {
        // Who waits inside a monitor has left it, although the list says that it is locked.
        thread.holds.extend(address(monitor).filter(|monitor| thread.awaits != Some(*monitor)));
    } else if let Some(awaited) = line.strip_prefix("- ")
        && ["waiting", "parking"].iter().any(|word| awaited.starts_with(word))
    {
        thread.awaits = thread.awaits.or_else(|| address(awaited));
    }
}

/// The number in `<0x000000069e4b0cc8>`.
fn address(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("<0x")?;
    u64::from_str_radix(rest.split_once('>')?.0, 16).ok()
}

/// `java.lang.Thread.run(java.base@17.0.15/Thread.java:840)`, `app//com.shop.Cart.total(Cart.java:7)`,
/// `java.base/java.lang.Object.wait(Native Method)`.
pub(super) fn method(frame: &str) -> Option<Method> {
    let (called, place) = frame.split_once('(')?;
    let (inner_module, place) =
        place.trim_end().trim_end_matches(')').rsplit_once('/').unwrap_or(("", place));
    let place = place.trim_end_matches(')');
    let (class, method) = called.rsplit_once('.')?;
    // A class that only the JVM knows has a number behind a stroke of its own.
    let named = class.find("/0x").map_or(class, |at| &class[..at]);
    let (outer_module, class) = named.rsplit_once('/').unwrap_or(("", named));
    let module = if inner_module.is_empty() { outer_module } else { inner_module };
    let module = module.rsplit('/').next().unwrap_or_default();
    let module = module.split('@').next().unwrap_or_default();
    let (file, line) = match place.rsplit_once(':') {
        Some((file, line)) => (Some(file), line.parse().ok()),
        None => (Some(place).filter(|place| place.contains('.')), None),
    };
    Some(Method {
        class: class.replace('.', "/"),
        method: method.to_owned(),
        module: module.to_owned(),
        file: file.map(str::to_owned),
        line,
    })
}

/// The virtual threads of `Thread.dump_to_file -format=text`: `#22 "name" virtual` above its frames.
pub(super) fn virtual_threads(text: &str) -> Vec<Thread> {
    let mut threads: Vec<Thread> = Vec::new();
    let mut is_virtual = false;
    for line in text.lines() {
        if let Some(head) = line.strip_prefix('#') {
            let (number, rest) = head.split_once(' ').unwrap_or((head, ""));
            // Later versions tell its state behind it.
            let kind = rest.rsplit_once('"').map_or(rest, |(_, kind)| kind).trim();
            is_virtual = kind.split(' ').any(|word| word == "virtual");
            if is_virtual {
                let name = rest.trim_start_matches('"').split('"').next().unwrap_or_default().to_owned();
                threads.push(Thread { name, number: number.parse().unwrap_or(0), ..Thread::default() });
            }
        } else if is_virtual && let Some(thread) = threads.last_mut() {
            if thread.stack.is_empty() {
                thread.in_native = line.ends_with("(Native Method)");
            }
            thread.stack.extend(method(line.trim()));
        }
    }
    threads.retain(|thread| !thread.stack.is_empty());
    threads
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = r#"2026-11-28 16:40:18
Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1 mixed mode, sharing):

"Signal Dispatcher" #4 daemon prio=9 os_prio=0 cpu=0.35ms elapsed=3.59s tid=0x00007f8920100c70 nid=0x621e waiting on condition  [0x0000000000000000]
   java.lang.Thread.State: RUNNABLE

"a "quoted" #5 name" #12 [25146] prio=5 os_prio=0 cpu=0.50ms elapsed=1.35s tid=0x00007f892041b660 nid=25146 waiting for monitor entry  [0x00007f88edbfc000]
   java.lang.Thread.State: BLOCKED (on object monitor)
	at Hot.slow(Hot.java:25)
	- waiting to lock <0x000000069e4b0cc8> (a java.lang.Object)
	at Hot$$Lambda$216/0x00007f88a0148208.run(Unknown Source)
	at java.lang.Thread.run(java.base@17.0.15/Thread.java:840)

"Common-Cleaner" #10 daemon prio=8 os_prio=0 cpu=0.47ms elapsed=3.56s tid=0x00007f89201117d0 nid=0x6224 in Object.wait()  [0x00007f88edffe000]
   java.lang.Thread.State: TIMED_WAITING (on object monitor)
	at java.lang.Object.wait(java.base@17.0.15/Native Method)
	- waiting on <0x000000069dd04548> (a java.lang.ref.ReferenceQueue$Lock)
	at java.lang.ref.ReferenceQueue.remove(java.base@17.0.15/ReferenceQueue.java:155)
	- locked <0x000000069dd04548> (a java.lang.ref.ReferenceQueue$Lock)
	- locked <0x000000069dd04549> (a com.shop.Cart)

"ForkJoinPool-1-worker-1" #22 [25460] daemon prio=5 os_prio=0 cpu=123.78ms elapsed=4.86s tid=0x00007feb48010a90  [0x00007feb4f9fd000]
   Carrying virtual thread #300
	at jdk.internal.vm.Continuation.run(java.base@21.0.4/Unknown Source)

"VM Thread" os_prio=0 cpu=19.64ms elapsed=3.60s tid=0x00007f89200f2a50 nid=0x621b runnable

JNI global refs: 20, weak refs: 0
"#;

    #[test]
    fn threads_are_read_with_what_they_hold_and_wait_for() {
        let threads = threads(LIST);
        let names: Vec<&str> = threads.iter().map(|thread| &*thread.name).collect();
        assert_eq!(names, ["a \"quoted\" #5 name", "Common-Cleaner", "ForkJoinPool-1-worker-1"]);
        let [blocked, cleaner, carrier] = &threads[..] else { panic!("{threads:?}") };
        assert_eq!(
            (blocked.tid, blocked.state, blocked.awaits),
            (Some(25146), State::Blocked, Some(0x6_9e4b_0cc8))
        );
        assert!(blocked.holds.is_empty() && !blocked.in_native);
        let frames: Vec<(&str, &str, Option<u32>)> =
            blocked.stack.iter().map(|m| (&*m.class, &*m.method, m.line)).collect();
        let wanted = [
            ("Hot", "slow", Some(25)),
            ("Hot$$Lambda$216", "run", None),
            ("java/lang/Thread", "run", Some(840)),
        ];
        assert_eq!(frames, wanted);
        assert_eq!((cleaner.tid, cleaner.state), (Some(0x6224), State::WaitsForTime));
        assert_eq!(cleaner.holds, [0x6_9dd0_4549], "the monitor in which it waits is not held");
        assert!(cleaner.in_native);
        assert_eq!((carrier.tid, carrier.carries), (Some(25460), Some(300)));
    }

    #[test]
    fn modules_are_told_from_packages_wherever_they_stand() {
        let read = |frame: &str| {
            let m = method(frame).unwrap();
            (m.module, m.class, m.file.unwrap_or_default())
        };
        let told =
            |module: &str, class: &str, file: &str| (module.to_owned(), class.to_owned(), file.to_owned());
        for frame in [
            "java.lang.Thread.run(java.base@17.0.15/Thread.java:840)",
            "java.base/java.lang.Thread.run(Thread.java:840)",
            "java.base@21/java.lang.Thread.run(Thread.java:840)",
        ] {
            assert_eq!(read(frame), told("java.base", "java/lang/Thread", "Thread.java"), "{frame}");
        }
        assert_eq!(read("app//com.shop.Cart.total(Cart.java:7)"), told("", "com/shop/Cart", "Cart.java"));
        assert_eq!(read("Cart.total(Unknown Source)"), told("", "Cart", ""));
        assert_eq!(method("- parked"), None);
    }

    #[test]
    fn virtual_threads_are_told_from_others() {
        let text = "1234\n2026-11-28T16:40:18Z\n21.0.4+7-LTS\n\n#1 \"main\"\n      java.base/java.lang.Thread.join(Thread.java:2072)\n\n\
                    #31 \"\" virtual\n      java.base/java.lang.VirtualThread.park(VirtualThread.java:596)\n      Hot.slow(Hot.java:25)\n\n";
        let threads = virtual_threads(text);
        assert_eq!(threads.len(), 1);
        assert_eq!((threads[0].number, threads[0].stack.len(), threads[0].stack[1].line), (31, 2, Some(25)));
    }

    proptest! {
        #[test]
        fn any_list_is_read_without_trouble(at in 0usize..1200, text in "\\PC{0,60}|\"[a-z#\" ]{0,20} nid=0x[0-9a-f]{0,9}|[\\tat -<>0x.()/:]{0,40}") {
            let mut list = LIST.to_owned();
            let at = (0..=at.min(list.len())).rev().find(|at| list.is_char_boundary(*at)).unwrap();
            list.insert_str(at, &text);
            let _ = (threads(&list), virtual_threads(&list), threads(&text), virtual_threads(&text), method(&text));
        }
    }
}
