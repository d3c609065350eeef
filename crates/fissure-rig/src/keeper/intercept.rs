//! System calls of the app that can be made to fail, or to mean another port: a filter that asks the guard (seccomp's user
//! notification, Linux 5.5).
//!
//! No root is needed and no library is preloaded, so programs that are linked statically are met as well. What it cannot see:
//! io_uring, and memory that is mapped to a file. The filter stays for life and forbids `setuid` programs to gain rights
//! (`no_new_privs`), so only an app that is started for such a fault, or on a moved port, has it. A call that is watched costs
//! some ten microseconds, before and after the fault too.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::moved_port::MovedPort;

/// Which calls are watched, to make them fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intercept {
    /// Those that add to files: they say that the disk is full (ENOSPC).
    Writes,
    /// Those that wait until what was written is safe: they say that the disk failed (EIO).
    Syncs,
}

impl Intercept {
    fn calls(self) -> &'static [libc::c_long] {
        match self {
            Self::Writes => &[
                libc::SYS_write,
                libc::SYS_pwrite64,
                libc::SYS_writev,
                libc::SYS_pwritev,
                libc::SYS_pwritev2,
                libc::SYS_fallocate,
                libc::SYS_copy_file_range,
            ],
            Self::Syncs => {
                &[libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync_file_range, libc::SYS_msync]
            }
        }
    }

    fn error(self) -> i32 {
        match self {
            Self::Writes => libc::ENOSPC,
            Self::Syncs => libc::EIO,
        }
    }
}

/// Makes the watched calls fail, for a time that ends by itself.
#[derive(Debug, Clone)]
pub(super) struct Switch {
    began: Instant,
    /// Milliseconds after `began` until which calls fail.
    until_ms: Arc<AtomicU64>,
}

impl Switch {
    fn new() -> Self {
        Self { began: Instant::now(), until_ms: Arc::default() }
    }

    pub(super) fn fail_for(&self, span: Duration) {
        let until = self.began.elapsed().saturating_add(span);
        self.until_ms.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn mend(&self) {
        self.until_ms.store(0, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.began.elapsed().as_millis() < u128::from(self.until_ms.load(Ordering::Relaxed))
    }
}

/// What the guard answers when the kernel asks about a call.
pub(super) struct Watch {
    pub intercept: Option<Intercept>,
    pub moved: Option<MovedPort>,
    /// A file that is always written: the app's own output.
    pub spared: PathBuf,
}

/// Prepares a command so that its program, and all that it starts, is watched.
#[expect(unsafe_code, reason = "what happens between fork and exec has no safe interface")]
pub(super) fn watch(command: &mut Command, watch: Watch) -> io::Result<Switch> {
    let (ours, theirs) = UnixStream::pair()?;
    let failing = watch.intercept.map_or(&[][..], Intercept::calls);
    let moving = watch.moved.map_or(&[][..], |_| MovedPort::CALLS);
    let program = filter(&[failing, moving].concat());
    let prepare = move || {
        let listener = install(&program)?;
        let sent = send(theirs.as_raw_fd(), listener);
        // SAFETY: the number was just made by the kernel for us, and nobody else knows it.
        unsafe { libc::close(listener) };
        sent
    };
    // SAFETY: `prepare` makes system calls on memory that was allocated before the fork: it neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
    let switch = Switch::new();
    let of_thread = switch.clone();
    thread::Builder::new().name("intercept".to_owned()).spawn(move || {
        if let Ok(listener) = receive(&ours) {
            serve(&listener, &watch, &of_thread);
        }
    })?;
    Ok(switch)
}

/// Can this machine do it? Tried with a program that does nothing.
pub fn can_intercept() -> Result<(), String> {
    let mut command = Command::new("/bin/true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let syncs = Watch { intercept: Some(Intercept::Syncs), moved: None, spared: "/dev/null".into() };
    watch(&mut command, syncs).map_err(|e| e.to_string())?;
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: u32 = 0; // matches no program: everything is allowed, and nothing ever fails

/// seccomp(2): calls of this list are asked about, all others pass.
fn filter(calls: &[libc::c_long]) -> Vec<libc::sock_filter> {
    let load = |offset: u32| libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: offset,
    };
    let jump = |k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    };
    let answer = |k: u32| libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k };
    let count = calls.len() as u8;
    // struct seccomp_data: the number of the call at 0, the architecture at 4.
    let mut program = vec![load(4), jump(ARCHITECTURE, 0, count + 1), load(0)];
    for (at, call) in (0_u8..).zip(calls) {
        program.push(jump(*call as u32, count - at, 0));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program.push(answer(libc::SECCOMP_RET_USER_NOTIF));
    program
}

/// In the child, before its program begins: the answer is the descriptor by which the kernel asks.
#[expect(unsafe_code, reason = "seccomp has no safe interface")]
fn install(program: &[libc::sock_filter]) -> io::Result<i32> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: both calls only read what they are given, and `program` lives until the second one is over.
    let listener = unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    if listener < 0 { Err(io::Error::last_os_error()) } else { Ok(listener as i32) }
}

/// Space for one descriptor in a control message, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends a descriptor over a socket, with one byte.
#[expect(unsafe_code, reason = "runs between fork and exec, where nothing may be allocated")]
fn send(socket: i32, descriptor: i32) -> io::Result<()> {
    let mut byte = [0_u8; 1];
    let mut control = Control([0; 64]);
    // SAFETY: every pointer leads to a local that lives until the call is over; the control message fits its buffer.
    unsafe {
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(descriptor);
        if libc::sendmsg(socket, &raw const message, 0) < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}

#[expect(unsafe_code, reason = "descriptors in messages have no safe interface among the dependencies")]
fn receive(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0_u8; 1];
    let mut control = Control([0; 64]);
    // SAFETY: as above; the descriptor is ours alone when the kernel has put it into the message.
    unsafe {
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        if libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().read_unaligned()))
    }
}

/// Answers the kernel until nobody is watched any more.
#[expect(unsafe_code, reason = "the notifications of seccomp have no safe interface")]
fn serve(listener: &OwnedFd, watch: &Watch, switch: &Switch) {
    loop {
        let mut poll = [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
        match rustix::event::poll(&mut poll, None) {
            Ok(_) if poll[0].revents().contains(rustix::event::PollFlags::HUP) => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        // SAFETY: all-zero is what the kernel asks for, and the structures are those that it documents.
        let answered = unsafe {
            let mut asked: libc::seccomp_notif = std::mem::zeroed();
            if libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) != 0 {
                continue; // who asked has died
            }
            let mut answer: libc::seccomp_notif_resp = std::mem::zeroed();
            answer.id = asked.id;
            if let Some(error) = watch.fails(&asked, switch) {
                answer.error = -error;
            } else {
                let is_asking = || {
                    libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const asked.id)
                        == 0
                };
                watch.moves(&asked, is_asking);
                answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
            }
            libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer)
        };
        let _ = answered; // who asked may have died meanwhile
    }
}

impl Watch {
    /// The error with which the call fails now, if it does.
    fn fails(&self, asked: &libc::seccomp_notif, switch: &Switch) -> Option<i32> {
        let intercept = self.intercept.filter(|i| i.calls().contains(&libc::c_long::from(asked.data.nr)))?;
        let of_disk =
            || intercept == Intercept::Syncs || is_of_disk(asked.pid, asked.data.args[0], &self.spared);
        (switch.is_on() && of_disk()).then(|| intercept.error())
    }

    fn moves(&self, asked: &libc::seccomp_notif, is_asking: impl Fn() -> bool) {
        let is_its = |_: &MovedPort| MovedPort::CALLS.contains(&libc::c_long::from(asked.data.nr));
        if let Some(moved) = self.moved.filter(is_its) {
            let [_, address, length, ..] = asked.data.args;
            // Who has died meanwhile needs no port; who may not be looked into keeps the one that it asked for.
            let _ = moved.move_for(asked.pid, address, length, is_asking);
        }
    }
}

/// Does the call go to a file on a disk? Sockets, pipes, terminals and what is written by the guard's order are none.
fn is_of_disk(thread: u32, descriptor: u64, spared: &Path) -> bool {
    let path = std::fs::read_link(format!("/proc/{thread}/fd/{}", descriptor as u32))
        .unwrap_or_else(|_| PathBuf::new());
    path.is_absolute()
        && path != spared
        && !["/dev", "/proc", "/sys"].iter().any(|root| path.starts_with(root))
}
