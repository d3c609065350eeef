//! The JVM's own door for tools (`attachListener_posix.cpp` of HotSpot, the same since Java 6): asked by a file and a
//! signal, it opens a socket for its own user, and takes one command a connection.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A loaded JVM needs a while for its first answer: it loads what the command is made of.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
const OPENS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// More than any list of threads.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Every request has so many arguments, empty ones among them.
const ARGUMENTS: usize = 3;

/// Two that ask at once would have the JVM print its threads for the second.
static ASKING: Mutex<()> = Mutex::new(());

/// A JVM that listens.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub pid: u32,
    socket: PathBuf,
}

impl Door {
    /// Has the JVM listen, if it does not yet.
    pub fn open(pid: u32) -> Result<Self, String> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|_| "it has ended")?;
        // In a container the JVM knows itself by another number, and has another /tmp.
        let own_pid = field(&status, "NSpid:").and_then(|pids| pids.split_whitespace().last());
        let own_pid = own_pid.map_or_else(|| pid.to_string(), str::to_owned);
        let root = PathBuf::from(format!("/proc/{pid}/root/tmp"));
        let door = Self { pid, socket: root.join(format!(".java_pid{own_pid}")) };
        let _one = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        if door.connect().is_ok() {
            return Ok(door);
        }
        // Without its handler the signal would end the program (`-Xrs`, or a JVM on its way up).
        if !catches_quit(&status) {
            return Err("this JVM cannot be attached to: it does not handle SIGQUIT (`-Xrs`)".to_owned());
        }
        let request = root.join(format!(".attach_pid{own_pid}"));
        let told = |e: io::Error| format!("the JVM cannot be asked for its attach socket ({e})");
        File::create(&request).map_err(told)?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("it has ended")?;
        let asked = kill_process(pid, Signal::QUIT).map_err(|e| told(e.into()));
        let opened = asked.and_then(|()| door.wait());
        let _ = fs::remove_file(&request); // the JVM may have taken it away itself
        opened.map(|()| door)
    }

    fn wait(&self) -> Result<(), String> {
        let until = Instant::now() + OPENS_WITHIN;
        while self.connect().is_err() {
            if Instant::now() > until {
                return Err(
                    "the JVM opens no attach socket (`-XX:+DisableAttachMechanism`, or it is no HotSpot)"
                        .to_owned(),
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.socket)
    }

    /// What the JVM answers to a command, without the status in the first line.
    pub fn ask(&self, command: &str, argument: &str) -> Result<String, String> {
        let told = |e: io::Error| format!("the JVM does not answer to `{command}` ({e})");
        let mut stream = self.connect().map_err(told)?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN)).map_err(told)?;
        stream.write_all(&request(command, argument)).map_err(told)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(told)?;
        let answer = String::from_utf8_lossy(&answer);
        let (status, text) = answer.split_once('\n').unwrap_or((&answer, ""));
        if status.trim() != "0" {
            let why = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("without a reason");
            return Err(format!("the JVM refuses `{command}`: {}", why.trim()));
        }
        Ok(text.to_owned())
    }
}

/// Protocol version, command and arguments, each with a zero behind it.
fn request(command: &str, argument: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in ["1", command, argument].into_iter().chain(std::iter::repeat_n("", ARGUMENTS - 1)) {
        bytes.extend(part.bytes().filter(|byte| *byte != 0));
        bytes.push(0);
    }
    bytes
}

fn field<'t>(status: &'t str, name: &str) -> Option<&'t str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// `SigCgt` of proc_pid_status(5): a bit for each signal, the first for signal 1.
fn catches_quit(status: &str) -> bool {
    let mask = field(status, "SigCgt:").and_then(|mask| u64::from_str_radix(mask, 16).ok());
    mask.is_some_and(|mask| mask & (1 << (libc::SIGQUIT - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_five_strings() {
        assert_eq!(request("jcmd", "Thread.print -e"), b"1\0jcmd\0Thread.print -e\0\0\0");
    }

    #[test]
    fn nobody_is_ended_by_the_question() {
        assert!(catches_quit("Name:\tjava\nSigCgt:\t2000000181005ccf\n"));
        assert!(!catches_quit("Name:\tsleep\nSigCgt:\t0000000000000000\n"));
        assert!(!catches_quit(""));
        let mut sleeper = std::process::Command::new("sleep").arg("20").spawn().unwrap();
        let refused = Door::open(sleeper.id()).unwrap_err();
        assert!(refused.contains("SIGQUIT"), "{refused}");
        assert_eq!(sleeper.try_wait().unwrap(), None, "it lives");
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}
