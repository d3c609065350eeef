//! A port that is written into the app's code, moved for one copy of it: where the app asks the kernel for that port, it gets
//! another. So copies can stand side by side, and beside whatever else has the port on this machine.
//!
//! The two bytes of the port are changed where the call reads them, in the app's own memory, while the kernel holds the call
//! (`intercept`). The app believes what its code says; whoever asks the kernel (`getsockname`) is told the truth.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

/// `bind` and `connect` of port `from` become those of port `to`: what the app asks itself for stays with this copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedPort {
    pub from: u16,
    pub to: u16,
}

impl MovedPort {
    pub(super) const CALLS: &'static [libc::c_long] = &[libc::SYS_bind, libc::SYS_connect];

    /// Changes the address that `thread` has given to its call, if it names the port. `is_asking` says whether the thread still
    /// waits for the answer: only then the memory that was opened is its own, and nobody's who got its number.
    pub(super) fn move_for(
        self,
        thread: u32,
        address: u64,
        length: u64,
        is_asking: impl Fn() -> bool,
    ) -> io::Result<()> {
        let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{thread}/mem"))?;
        if length < HEAD as u64 || !is_asking() {
            return Ok(());
        }
        let mut head = [0; HEAD];
        memory.read_exact_at(&mut head, address)?;
        if let Some(port) = self.moved(head) {
            memory.write_all_at(&port, address + PORT_AT as u64)?;
        }
        Ok(())
    }

    /// The port to write, for an address that begins like this.
    fn moved(self, head: [u8; HEAD]) -> Option<[u8; 2]> {
        let [family_low, family_high, port @ .., a, b, c, d] = head;
        let family = i32::from(u16::from_ne_bytes([family_low, family_high]));
        // Another machine's port is another port: IPv4 addresses other than this machine's own are left alone. (An IPv6
        // address begins behind a flow label; what is not this machine is hardly ever met there.)
        let is_here = family != libc::AF_INET || [a, b, c, d] == [0; 4] || a == 127;
        let is_inet = family == libc::AF_INET || family == libc::AF_INET6;
        (is_inet && is_here && u16::from_be_bytes(port) == self.from).then(|| self.to.to_be_bytes())
    }
}

/// Family, port and IPv4 address stand at the same places in `sockaddr_in` as in `sockaddr_in6` (its flow label).
const HEAD: usize = 8;
const PORT_AT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const MOVED: MovedPort = MovedPort { from: 3000, to: 23_456 };

    fn head(family: i32, port: u16, address: [u8; 4]) -> [u8; HEAD] {
        let (family, port) = ((family as u16).to_ne_bytes(), port.to_be_bytes());
        [family[0], family[1], port[0], port[1], address[0], address[1], address[2], address[3]]
    }

    #[test]
    fn only_the_port_of_this_machine_is_moved() {
        let moved = |family, port, address| MOVED.moved(head(family, port, address)).map(u16::from_be_bytes);
        assert_eq!(moved(libc::AF_INET, 3000, [0; 4]), Some(23_456));
        assert_eq!(moved(libc::AF_INET, 3000, [127, 0, 0, 1]), Some(23_456));
        assert_eq!(moved(libc::AF_INET6, 3000, [0; 4]), Some(23_456));
        assert_eq!(moved(libc::AF_INET, 3000, [192, 0, 2, 1]), None, "somebody else's port");
        assert_eq!(moved(libc::AF_INET, 5432, [127, 0, 0, 1]), None);
        assert_eq!(moved(libc::AF_UNIX, 3000, [0; 4]), None);
    }
}
