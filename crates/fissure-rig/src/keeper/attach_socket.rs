//! What a killed JVM leaves behind: the socket at which it listens once a tool has asked for it, as `lens/jvm` does. A JVM that
//! ends by itself takes it away; whoever kills one has to.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;

/// After the process has ended. A listener would be another JVM, which has got its number since.
pub(super) fn remove(pid: u32) {
    let socket = format!("/tmp/.java_pid{pid}"); // HotSpot asks for no TMPDIR
    if UnixStream::connect(&socket).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused) {
        let _ = fs::remove_file(&socket); // somebody else may have been tidy
    }
}
