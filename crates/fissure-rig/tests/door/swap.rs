//! The arrangement behind the door changes, and nobody notices.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use fissure_rig::door::Table;

use super::app::raw;
use super::{door, hear, statuses};

/// Answers with its name; `/live` is a tunnel that says everything back, `/events` an answer without an end.
fn named(name: &'static str) -> SocketAddr {
    raw(move |mut stream| {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut some) {
            let head = String::from_utf8_lossy(&some[..n]).into_owned();
            if head.starts_with("GET /live ") {
                let _ = stream.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
                );
                while let Ok(n @ 1..) = stream.read(&mut some) {
                    let _ = stream.write_all(&some[..n]);
                }
                return;
            }
            if head.starts_with("GET /events ") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
                while stream.write_all(format!("data: {name}\n\n").as_bytes()).is_ok() {
                    thread::sleep(Duration::from_millis(20));
                }
                return;
            }
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{name}");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[test]
fn no_request_and_no_open_stream_notices_that_the_table_changes_all_the_time() {
    swaps(40, None);
}

/// The size that is promised; alone on a machine: `cargo test --release -p fissure-rig --test door -- --ignored swaps`.
#[test]
#[ignore = "ten seconds on both CPUs"]
fn a_thousand_swaps_with_200_streams_and_2000_requests_a_second() {
    let per_s = swaps(200, Some(2_000));
    assert!(per_s > 1_900, "only {per_s} requests/s were sent");
}

/// A thousand changes with so many open streams, half of them tunnels and half endless answers, while clients send as much
/// as they can, or so many requests a second. Gives how many a second were answered.
fn swaps(streams: usize, per_s: Option<u32>) -> u32 {
    const CLIENTS: u32 = 4;
    let (left, right) = (named("left"), named("rght"));
    let door = door(left);
    let open = |head: &str| {
        let mut stream = door.connect();
        stream.write_all(head.as_bytes()).unwrap();
        hear(&mut stream, |heard| heard.contains("\r\n\r\n"));
        stream
    };
    let mut tunnels: Vec<TcpStream> = (0..streams / 2)
        .map(|_| open("GET /live HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"))
        .collect();
    let mut events: Vec<TcpStream> =
        (0..streams / 2).map(|_| open("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")).collect();

    let done = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (mut stream, done) = (door.connect(), Arc::clone(&done));
            thread::spawn(move || {
                let mut names = HashSet::new();
                let mut count = 0;
                while !done.load(SeqCst) {
                    if let Some(per_s) = per_s {
                        let due = Duration::from_secs(1) * (count * CLIENTS + client) / per_s;
                        thread::sleep(due.saturating_sub(began.elapsed()));
                    }
                    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
                    let heard = hear(&mut stream, |h| h.ends_with("left") || h.ends_with("rght"));
                    assert_eq!(statuses(&heard), [200], "{heard}");
                    names.insert(heard[heard.len() - 4..].to_owned());
                    count += 1;
                }
                (names, count)
            })
        })
        .collect();
    let rest = if per_s.is_some() { Duration::from_millis(10) } else { Duration::from_millis(1) };
    for n in 0..1_000 {
        let mut table = Table::whole(if n % 2 == 0 { right } else { left });
        if n % 3 == 0 {
            table.roles.insert("area".to_owned(), vec![left, right]);
            table.routes.insert("POST /".parse().unwrap(), "area".to_owned());
        }
        door.door.swap(table);
        thread::sleep(rest);
    }
    done.store(true, SeqCst);
    let took = began.elapsed();
    let (mut names, mut count) = (HashSet::new(), 0);
    for client in clients {
        let (seen, answered) = client.join().unwrap();
        names.extend(seen);
        count += answered;
    }
    assert!(count > 100 && names.len() == 2, "{count} answers by {names:?}");
    for tunnel in &mut tunnels {
        tunnel.write_all(b"still there").unwrap();
        hear(tunnel, |heard| heard.contains("still there"));
    }
    for stream in &mut events {
        hear(stream, |heard| heard.matches("data: left\n\n").count() > 3);
    }

    // Who is out of the table is known to be idle once the last of its streams has ended.
    door.door.swap(Table::whole(right));
    assert_eq!(door.door.under_way(left), streams / 2 * 2);
    drop((tunnels, events));
    for _ in 0..3_000 {
        if door.door.under_way(left) == 0 {
            return (f64::from(count) / took.as_secs_f64()) as u32;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{} are still under way", door.door.under_way(left));
}
