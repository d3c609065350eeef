//! `postgres_proxy HOST:PORT`: the proxy alone, until its input is closed. Prints its port, then what it hears.

use std::io::Read;
use std::time::Duration;

use fissure_rig::wire::PostgresProxy;

#[allow(clippy::print_stdout, reason = "it is a program of its own")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let upstream = std::env::args().nth(1).ok_or("postgres_proxy HOST:PORT")?.parse()?;
    let proxy = PostgresProxy::start(upstream)?;
    println!("{}", proxy.port());
    let reading = std::thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    while !reading.is_finished() {
        for note in proxy.notes() {
            println!("{} {:?}", note.connection, note.heard);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
