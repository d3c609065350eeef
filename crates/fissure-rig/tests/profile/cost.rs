//! What looking costs the app: its CPU per request with an instrument at work over that without, second by second in turns.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fissure_rig::lens::{Profiler, Subject};

use crate::program::Program;

const CLIENTS: usize = 4;
const ROUNDS: usize = 40;
const TURN: Duration = Duration::from_millis(500);

/// Run it on a quiet machine, the app on one CPU and the rest on others:
/// `taskset -c 1 cargo test -p fissure-rig --test profile cost -- --ignored --nocapture`
#[test]
#[ignore = "measures: a minute and a half on a quiet machine"]
fn what_looking_costs_the_app() {
    let mut program = Program::built_and_heard(
        "serve.c",
        include_str!("apps/serve.c"),
        std::process::Command::new("cc").args(["-O2", "-g", "-pthread", "-o"]),
    );
    let mut line = String::new();
    BufReader::new(program.output()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    let pinned =
        std::process::Command::new("taskset").args(["-acp", "0", &program.pid().to_string()]).output();
    assert!(pinned.unwrap().status.success());

    let (answered, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (answered, over) = (Arc::clone(&answered), Arc::clone(&over));
            let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
            connection.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut byte = [0];
                while !over.load(Relaxed) {
                    connection.write_all(&[1]).unwrap();
                    connection.read_exact(&mut byte).unwrap();
                    answered.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();

    let subject = Subject { processes: vec![program.pid()], cpus: vec![0], ..Subject::default() };
    let turn = |instruments: &[&str]| {
        let profiler = (!instruments.is_empty())
            .then(|| Profiler::start_some(&subject, |name| instruments.contains(&name)));
        std::thread::sleep(Duration::from_millis(150)); // the tables are read first
        let (cpu, count) = (program.cpu_s(), answered.load(Relaxed));
        std::thread::sleep(TURN);
        let (cpu, count) = (program.cpu_s() - cpu, answered.load(Relaxed) - count);
        drop(profiler.map(|profiler| profiler.finish(0)));
        cpu / count as f64
    };
    let kinds: [&[&str]; 4] = [&[], &["native"], &["waits"], &["native", "waits"]];
    let mut logs: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS {
        // Every order in turn, so that a machine that gets slower favours nobody.
        let mut costs = [0.0; 4];
        for place in 0..4 {
            let kind = if round % 2 == 0 { (place + round / 2) % 4 } else { (round / 2 + 3 - place) % 4 };
            costs[kind] = turn(kinds[kind]);
        }
        for (log, cost) in logs.iter_mut().zip(costs) {
            log.push((cost / costs[0]).ln());
        }
    }
    over.store(true, Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    for (kind, logs) in kinds.iter().zip(&logs).skip(1) {
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let spread = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        let percent = |log: f64| 100.0 * (log.exp() - 1.0);
        let (low, high) = (percent(mean - 2.02 * spread), percent(mean + 2.02 * spread));
        println!(
            "{}: {:+.2} % of the app's CPU per request ({low:+.2} to {high:+.2})",
            kind.join(" and "),
            percent(mean)
        );
    }
}
