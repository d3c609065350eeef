//! Blocking system calls: what `/proc/PID/task/TID/syscall` says, and what it means.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;

use fissure_facts::profile::Doing;

use super::ends::Ends;
use crate::process::read_into;
use crate::tcp_table;

/// A blocked thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parked {
    /// The system call; -1 where the thread is blocked outside one.
    pub number: i64,
    pub arguments: [u64; 2],
    pub sp: u64,
    pub pc: u64,
}

/// Kinds of blocking calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Futex {
        address: u64,
    },
    /// Reads, writes, sends or receives.
    File {
        fd: u64,
    },
    /// Waits for any of `count` files, listed at `address`.
    Poll {
        address: u64,
        count: u64,
    },
    Events,
    Accept,
    Child,
    Sleep,
    Other,
}

impl Parked {
    /// Where a thread is blocked; None when it runs.
    pub fn of(pid: u32, tid: u32, text: &mut String) -> io::Result<Option<Self>> {
        let path = format!("/proc/{pid}/task/{tid}/syscall");
        if read_into(&path, text).is_none() {
            // Not there any more, or not to be seen: the error tells which.
            return fs::read(&path).map(|_| None);
        }
        Ok(Self::parse(text))
    }

    /// `202 0x7f.. 0x80 0x0 0x0 0x0 0x0 0x7f.. 0x7f..`: number, six arguments, stack pointer, program counter
    /// (proc_pid_syscall(5)). None for `running`.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace();
        let number: i64 = fields.next()?.parse().ok()?;
        let hex = |field: &str| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok();
        let rest: Vec<u64> = fields.map_while(hex).collect();
        match (number, rest.as_slice()) {
            (-1, &[sp, pc]) => Some(Self { number, arguments: [0; 2], sp, pc }),
            (_, &[first, second, _, _, _, _, sp, pc]) => {
                Some(Self { number, arguments: [first, second], sp, pc })
            }
            _ => None,
        }
    }

    /// Waits for files in a set that was made before, as servers with an event loop do.
    pub fn is_epoll(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self.number == libc::SYS_epoll_wait {
            return true;
        }
        [libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2].contains(&self.number)
    }

    pub fn call(&self) -> Call {
        let [first, second] = self.arguments;
        match self.number {
            libc::SYS_futex => Call::Futex { address: first },
            libc::SYS_read
            | libc::SYS_readv
            | libc::SYS_pread64
            | libc::SYS_recvfrom
            | libc::SYS_recvmsg
            | libc::SYS_write
            | libc::SYS_writev
            | libc::SYS_pwrite64
            | libc::SYS_sendto
            | libc::SYS_sendmsg
            | libc::SYS_fsync
            | libc::SYS_fdatasync
            | libc::SYS_connect
            | libc::SYS_flock
            | libc::SYS_fcntl => Call::File { fd: first },
            libc::SYS_accept | libc::SYS_accept4 => Call::Accept,
            libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => Call::Events,
            libc::SYS_ppoll => poll(first, second),
            libc::SYS_pselect6 => select(first),
            libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Call::Sleep,
            libc::SYS_wait4 | libc::SYS_waitid => Call::Child,
            libc::SYS_restart_syscall => restarted(first, second),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll => poll(first, second),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_select => select(first),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_epoll_wait => Call::Events,
            _ => Call::Other,
        }
    }
}

/// With no file to wait for only the time is left.
fn poll(address: u64, count: u64) -> Call {
    if count == 0 { Call::Sleep } else { Call::Poll { address, count } }
}

/// Whoever was stopped for a moment (Python is, while its stacks are read) goes on waiting by another name, with the arguments as they were
/// (restart_syscall(2)). One file is what a client waits for; a futex is told by what is to be done with it (futex(2)).
fn restarted(first: u64, second: u64) -> Call {
    const WAIT: u64 = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as u64;
    const WAIT_BITSET: u64 = (libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG) as u64;
    match second {
        1 => Call::Poll { address: first, count: 1 },
        WAIT | WAIT_BITSET => Call::Futex { address: first },
        _ => Call::Other,
    }
}

fn select(files: u64) -> Call {
    if files == 0 { Call::Sleep } else { Call::Events }
}

/// What the processes of the app wait for, with the connections that are known already: a socket's inode is not used
/// again, and the table of sockets is long.
#[derive(Default)]
pub(super) struct Reader {
    connections: HashMap<u64, Doing>,
    /// Ports on which somebody listens.
    listens: HashSet<u16>,
    /// The table was read since the last [`Reader::next_look`].
    is_fresh: bool,
}

impl Reader {
    pub fn next_look(&mut self) {
        self.is_fresh = false;
    }

    /// `memory` is the process's own, where the list of polled files is.
    pub fn doing(&mut self, pid: u32, memory: &File, at: &Parked) -> Doing {
        match at.call() {
            Call::Futex { address } => Doing::WaitingForLock { address },
            Call::File { fd } => self.file(pid, fd),
            Call::Poll { address, count: 1 } => {
                let mut fd = [0; 4];
                match memory.read_exact_at(&mut fd, address) {
                    Ok(()) => self.file(pid, u64::from(u32::from_ne_bytes(fd))),
                    Err(_) => Doing::WaitingForEvents,
                }
            }
            Call::Poll { .. } | Call::Events => Doing::WaitingForEvents,
            Call::Accept => Doing::WaitingForConnection,
            Call::Child => Doing::WaitingForChild,
            Call::Sleep => Doing::Sleeping,
            Call::Other => Doing::Waiting { syscall: at.number },
        }
    }

    /// What stands behind a file descriptor of a process.
    pub fn file(&mut self, pid: u32, fd: u64) -> Doing {
        let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap_or_default();
        let target = target.to_string_lossy();
        match tcp_table::inode(&target) {
            Some(inode) => self.connection(pid, fd, inode),
            None => Doing::WaitingForFile { path: target.into_owned() },
        }
    }

    fn connection(&mut self, pid: u32, fd: u64, inode: u64) -> Doing {
        if !self.connections.contains_key(&inode) && !std::mem::replace(&mut self.is_fresh, true) {
            let table = tcp_table::of(pid);
            self.listens = table.iter().filter(|s| s.listens).map(|s| s.local.port()).collect();
            for socket in &table {
                let doing = if socket.listens {
                    Doing::WaitingForConnection
                } else {
                    self.over(socket.local, socket.remote)
                };
                self.connections.insert(socket.inode, doing);
            }
        }
        let known = self.connections.get(&inode).cloned();
        // Opened since the table was read, or another kind of socket.
        known
            .or_else(|| match Ends::of(pid, fd)? {
                Ends::Tcp { local, remote } => Some(self.over(local, remote)),
                Ends::Unix { listener, .. } => Some(Doing::WaitingForPeer { address: Some(listener) }),
                Ends::UnixClient => Some(Doing::WaitingForClient),
            })
            .unwrap_or(Doing::WaitingForPeer { address: None })
    }

    fn over(&self, local: SocketAddr, remote: SocketAddr) -> Doing {
        if self.listens.contains(&local.port()) {
            return Doing::WaitingForClient;
        }
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        Doing::WaitingForPeer { address: Some(remote.into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_connection_that_was_opened_behind_the_reading_of_the_table_has_its_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut reader = Reader::default();
        let mut of =
            |socket: &dyn AsRawFd| reader.file(std::process::id(), socket.as_raw_fd().try_into().unwrap());
        assert_eq!(of(&listener), Doing::WaitingForConnection);
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let peer = Doing::WaitingForPeer { address: Some(address.into()) };
        assert_eq!((of(&client), of(&server)), (peer, Doing::WaitingForClient));
    }

    #[test]
    fn a_blocked_thread_is_read_and_a_running_one_is_none() {
        let text = "202 0x55d0 0x80 0x0 0x0 0x0 0x0 0x7ffd10 0x7f2040\n";
        let parked = Parked::parse(text).unwrap();
        assert_eq!((parked.sp, parked.pc), (0x7f_fd10, 0x7f_2040));
        assert_eq!(Parked::parse("-1 0x10 0x20").unwrap().call(), Call::Other);
        assert_eq!(Parked::parse("running\n"), None);
    }

    #[test]
    fn waiting_for_no_file_is_sleeping() {
        let call = |number, arguments| Parked { number, arguments, sp: 0, pc: 0 }.call();
        assert_eq!(call(libc::SYS_pselect6, [0, 0]), Call::Sleep);
        assert_eq!(call(libc::SYS_pselect6, [5, 0]), Call::Events);
        assert_eq!(call(libc::SYS_ppoll, [8, 0]), Call::Sleep);
        assert_eq!(call(libc::SYS_ppoll, [8, 1]), Call::Poll { address: 8, count: 1 });
        assert_eq!(call(libc::SYS_futex, [0x55d0, 0]), Call::Futex { address: 0x55d0 });
    }

    /// A mail relay that an app waited for was told as "system call 219".
    #[test]
    fn whoever_was_stopped_waits_for_the_same_as_before() {
        let call = |arguments| Parked { number: libc::SYS_restart_syscall, arguments, sp: 0, pc: 0 }.call();
        assert_eq!(call([8, 1]), Call::Poll { address: 8, count: 1 });
        assert_eq!(call([0x55d0, 128]), Call::Futex { address: 0x55d0 });
        assert_eq!(call([0x55d0, 0]), Call::Other);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-fx \\-]{0,120}|\\PC{0,60}") {
            if let Some(parked) = Parked::parse(&text) {
                let _ = parked.call();
            }
        }
    }
}
