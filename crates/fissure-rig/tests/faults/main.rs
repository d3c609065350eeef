//! Every fault against a small server: it has an effect that can be seen, and nothing of it stays.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod accuracy;
mod link;
mod process;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Only a hang is a failure: the machine may be slow.
const PATIENCE: Duration = Duration::from_secs(30);
/// What counts as silence. A fault that hangs is held for longer, everything else answers within.
const SILENCE: Duration = Duration::from_millis(700);

/// Sends one request; the whole answer until the end of the connection, or how it failed.
fn ask(port: u16, path: &str, within: Duration) -> Result<(String, Duration), std::io::Error> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    stream.set_read_timeout(Some(within))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok((answer, began.elapsed()))
}

/// Asks until the answer is whole.
fn wait_until_it_answers(port: u16) {
    let until = Instant::now() + PATIENCE;
    while !ask(port, "/", SILENCE).is_ok_and(|(answer, _)| answer.ends_with("ok")) {
        assert!(Instant::now() < until, "port {port} does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
}
