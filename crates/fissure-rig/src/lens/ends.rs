//! Both ends of a connection, by the socket itself: it is ours, too, for that moment. Linux 5.6; needs what reading the process's memory
//! needs.

use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use fissure_facts::Address;
use rustix::net::{SocketAddrAny, SocketAddrUnix, getpeername, getsockname};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ends {
    Tcp {
        local: SocketAddr,
        remote: SocketAddr,
    },
    /// The process connected to a Unix socket.
    Unix {
        listener: Address,
        /// Who listens there.
        listener_pid: Option<u32>,
    },
    /// Somebody connected to a Unix socket of the process.
    UnixClient,
}

impl Ends {
    /// None of what is no connection, or has no name: a pair of sockets between a process and its child.
    pub fn of(pid: u32, fd: u64) -> Option<Self> {
        let process = pidfd_open(Pid::from_raw(pid.try_into().ok()?)?, PidfdFlags::empty()).ok()?;
        let socket = pidfd_getfd(process, fd.try_into().ok()?, PidfdGetfdFlags::empty()).ok()?;
        let remote = getpeername(&socket).ok()??;
        let local = getsockname(&socket).ok()?;
        if let (Ok(local), Ok(remote)) = (local.clone().try_into(), remote.clone().try_into()) {
            return Some(Self::Tcp { local, remote });
        }
        match (name(local), name(remote)) {
            (_, Some(listener)) => Some(Self::Unix { listener, listener_pid: listener_pid(&socket) }),
            (Some(_), None) => Some(Self::UnixClient),
            (None, None) => None,
        }
    }
}

/// None where it is in another container, and of the machine's first process, which opens sockets for others before they are there.
#[expect(
    unsafe_code,
    reason = "the safe wrapper's process ids cannot be 0, which the kernel says of another container's"
)]
fn listener_pid(socket: &OwnedFd) -> Option<u32> {
    let mut who = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = mem::size_of::<libc::ucred>() as libc::socklen_t;
    let who_pointer = std::ptr::from_mut(&mut who).cast();
    // SAFETY: the kernel writes at most `length` bytes to `who`, which has as many, and every bit pattern is a `ucred`.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            who_pointer,
            &raw mut length,
        )
    };
    let pid = u32::try_from(who.pid).ok()?;
    (failed == 0 && pid > 1).then_some(pid)
}

fn name(address: SocketAddrAny) -> Option<Address> {
    let address = SocketAddrUnix::try_from(address).ok()?;
    // One without a name has an empty one.
    let abstract_name = || {
        let name = address.abstract_name().filter(|name| !name.is_empty())?;
        Some(format!("@{}", String::from_utf8_lossy(name)))
    };
    let path = address.path().map(|path| path.to_string_lossy().into_owned()).or_else(abstract_name)?;
    Some(Address::Unix(path))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// An app whose database listened on a socket file was said to wait for "a connection's other end".
    #[test]
    fn a_unix_socket_has_the_name_of_whoever_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".s.PGSQL.5432");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        let own = std::process::id();
        let of = |socket: &dyn AsRawFd| Ends::of(own, socket.as_raw_fd().try_into().unwrap());
        let listener_address = Address::Unix(path.to_string_lossy().into_owned());
        assert_eq!(of(&client), Some(Ends::Unix { listener: listener_address, listener_pid: Some(own) }));
        assert_eq!(of(&server), Some(Ends::UnixClient));
        assert_eq!(of(&listener), None);
        assert_eq!(of(&UnixStream::pair().unwrap().0), None);
    }
}
