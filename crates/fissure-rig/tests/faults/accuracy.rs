//! How accurate the relay is, and what it costs beside other relays. Takes two minutes and a quiet machine:
//!
//! ```sh
//! apt install haproxy   # and TOXIPROXY=path of toxiproxy-server, if you have it
//! cargo test -p fissure-rig --test faults accuracy -- --ignored --nocapture --test-threads 1
//! ```
//!
//! docs/faults.md has the figures.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use fissure_facts::{FaultKind, Trigger};
use fissure_rig::wire::Relay;

use super::*;

/// `/N` is answered with N bytes; `/pieces/N` in N pieces of a kilobyte, a millisecond apart.
fn server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 1024];
                let Ok(length @ 1..) = stream.read(&mut bytes) else { return };
                let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
                let number = path.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(0);
                let _ = stream.set_nodelay(true);
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
                if path.starts_with("/pieces/") {
                    for _ in 0..number {
                        let _ = stream.write_all(&[b'x'; 1024]);
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    return;
                }
                let block = vec![b'x'; 64 * 1024];
                let mut left: usize = number;
                while left > 0 {
                    let part = left.min(block.len());
                    if stream.write_all(&block[..part]).is_err() {
                        return;
                    }
                    left -= part;
                }
            });
        }
    });
    address
}

/// Asks, and reads to the end without keeping anything: seconds.
fn took(port: u16, path: &str) -> f64 {
    let began = Instant::now();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    while stream.read(&mut buffer).unwrap() > 0 {}
    began.elapsed().as_secs_f64()
}

fn sorted(count: usize, once: impl FnMut(usize) -> f64) -> Vec<f64> {
    let mut all: Vec<f64> = (0..count).map(once).collect();
    all.sort_by(f64::total_cmp);
    all
}

#[test]
#[ignore = "needs a quiet machine; see the top of the file"]
fn delays_and_rates_are_what_was_asked_for() {
    let relay = Relay::start(0, server(), &[]).unwrap();
    let port = relay.port();
    let disturb = |kind| relay.disturb(kind, Trigger::Always, 7, Duration::from_secs(600));
    let plain = sorted(60, |_| took(port, "/10"))[30];
    let mut outside = Vec::new();
    println!("asked for            got (median, worst of 40)      within");
    for ms in [2_u32, 10, 50, 200, 1000] {
        let _later = disturb(FaultKind::Latency { ms });
        let rounds = if ms > 500 { 10 } else { 40 };
        let spans = sorted(rounds, |_| (took(port, "/10") - plain) * 1e3);
        let (median, worst) = (spans[rounds / 2], spans[rounds - 1]);
        let tolerance = (f64::from(ms) * 0.05).max(1.0);
        let is_within = (median - f64::from(ms)).abs() <= tolerance;
        println!("latency {ms:5} ms      {median:8.2} ms {worst:8.2} ms     {tolerance:.1} ms: {is_within}");
        if !is_within {
            outside.push(format!("latency {ms} ms"));
        }
    }
    {
        let alone = sorted(9, |_| took(port, "/pieces/100"))[4];
        let _later = disturb(FaultKind::Latency { ms: 200 });
        let added = (sorted(9, |_| took(port, "/pieces/100"))[4] - alone) * 1e3;
        let is_within = (added - 200.0).abs() <= 10.0;
        println!("100 pieces, 200 ms   {added:8.2} ms                10.0 ms: {is_within}");
        if !is_within {
            outside.push("a body of 100 pieces".to_owned());
        }
    }
    for kib_per_s in [64_u32, 512, 4096] {
        let _narrow = disturb(FaultKind::Bandwidth { kib_per_s });
        let bytes = u64::from(kib_per_s) * 1024 * 2;
        let spans = sorted(5, |_| took(port, &format!("/{bytes}")));
        let got = bytes as f64 / 1024.0 / spans[2];
        let is_within = (got / f64::from(kib_per_s) - 1.0).abs() <= 0.05;
        println!("bandwidth {kib_per_s:5} KiB/s {got:8.1} KiB/s             5 %: {is_within}");
        if !is_within {
            outside.push(format!("bandwidth {kib_per_s}"));
        }
    }
    {
        let _jitter = disturb(FaultKind::Jitter { ms: 100 });
        let count = 300;
        let spans = sorted(count, |_| (took(port, "/10") - plain) * 1e3);
        // Kolmogorov and Smirnov against the uniform distribution; 1.63 / sqrt(n) is the limit at 1 %. The head and the body
        // are two pieces, and the later of both counts: the largest of two uniform ones has the square as its distribution.
        let statistic = |expected: fn(f64) -> f64| {
            let steps = spans.iter().enumerate().map(|(at, span)| {
                let expected = expected((span / 100.0).clamp(0.0, 1.0));
                (at as f64 / count as f64 - expected)
                    .abs()
                    .max(((at + 1) as f64 / count as f64 - expected).abs())
            });
            steps.fold(0.0, f64::max)
        };
        let (one, two) = (statistic(|x| x), statistic(|x| x * x));
        println!(
            "jitter 0 to 100 ms   D = {one:.3} for one piece, {two:.3} for the later of two; limit {:.3}",
            1.63 / (count as f64).sqrt()
        );
    }
    assert!(outside.is_empty(), "outside of the tolerance: {outside:?}");
}

/// CPU seconds of a process, or of the threads of this one that are named so.
fn cpu_s(pid: u32, thread: Option<&str>) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let ns = tasks.filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        if thread.is_some_and(|wanted| name.trim() != wanted) {
            return None;
        }
        std::fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse::<f64>().ok()
    });
    ns.sum::<f64>() / 1e9
}

struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs a quiet machine, haproxy; see the top of the file"]
fn cost_beside_other_relays() {
    const BYTES: u64 = 1 << 30;
    const CONNECTIONS: usize = 4000;
    let upstream = server();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let own = Relay::start(0, upstream, &[]).unwrap();
    let mut others: Vec<(String, u16, Option<Other>)> = vec![("fissure".to_owned(), own.port(), None)];
    let start = |program: &str, arguments: &[String]| {
        let child =
            Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        Some(Other(child))
    };
    let port = free();
    let config = format!(
        "global\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen l\n  bind 127.0.0.1:{port}\n  server s {upstream}\n"
    );
    let path = folder.path().join("haproxy.cfg");
    std::fs::write(&path, config).unwrap();
    if let Some(other) = start("haproxy", &["-f".to_owned(), path.display().to_string()]) {
        others.push(("haproxy (tcp)".to_owned(), port, Some(other)));
    }
    if let Some(program) = std::env::var_os("TOXIPROXY") {
        let (port, control) = (free(), free());
        let config = folder.path().join("toxiproxy.json");
        let text = format!(
            "[{{\"name\": \"a\", \"listen\": \"127.0.0.1:{port}\", \"upstream\": \"{upstream}\", \"enabled\": true}}]"
        );
        std::fs::write(&config, text).unwrap();
        let arguments =
            ["-port".to_owned(), control.to_string(), "-config".to_owned(), config.display().to_string()];
        if let Some(other) = start(&program.to_string_lossy(), &arguments) {
            others.push(("toxiproxy".to_owned(), port, Some(other)));
        }
    }
    println!("relay            CPU s per GiB   CPU us per connection");
    for (name, port, other) in &others {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_err() {
            assert!(Instant::now() < until, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let cpu = || match other {
            None => cpu_s(std::process::id(), Some("relay")),
            Some(other) => cpu_s(other.0.id(), None),
        };
        let before = cpu();
        took(*port, &format!("/{BYTES}"));
        let bytes = cpu() - before;
        let before = cpu();
        (0..CONNECTIONS).for_each(|_| _ = took(*port, "/10"));
        let connections = (cpu() - before) / CONNECTIONS as f64 * 1e6;
        println!("{name:16} {bytes:10.3}      {connections:10.1}");
    }
    drop(others);
    drop(own);
}
