//! What profilers would have seen of a window: one planted line that carries its share of each route's CPU, and where the others wait.

use std::collections::BTreeMap;

use std::net::SocketAddr;

use fissure_facts::fact::RouteSecond;
use fissure_facts::profile::{Doing, Frame, Peer, Stack};
use fissure_facts::{Fact, Load, Profile, Route, WindowPlan};

use super::Model;

/// Samples of a second of CPU.
const RATE: f64 = 500.0;
/// Looks at all threads in a window.
const LOOKS: u64 = 300;

/// The app's own line `work` (`app.c:10`), with its share of the CPU of the routes that call it.
pub fn running(model: &Model, own: &BTreeMap<Route, f64>, plan: &WindowPlan, facts: &[Fact]) -> Fact {
    let (mut all, mut of_line) = (0.0, 0.0);
    for second in facts.iter().filter_map(|f| if let Fact::SecondPassed(s) = f { Some(s) } else { None }) {
        for (route, seen) in &second.routes {
            let samples = seen.ended() as f64 * model.cost(route).cpu_ms / 1e3 * RATE;
            all += samples;
            of_line += samples * own.get(route).copied().unwrap_or(0.0);
        }
    }
    let frames = vec![
        Frame {
            function: "work".to_owned(),
            file: Some("app.c".to_owned()),
            line: Some(10),
            in_app: true,
            ..Frame::default()
        },
        Frame { function: "deflate".to_owned(), module: Some("libz.so".to_owned()), ..Frame::default() },
    ];
    let stack = |frame, count: f64| Stack {
        process: 1,
        thread: "app".to_owned(),
        frames: vec![frame],
        count: count.round() as u64,
        ..Stack::default()
    };
    let stacks = vec![stack(0, of_line), stack(1, all - of_line)];
    Fact::Profiled(Profile {
        window: plan.window,
        instrument: "native".to_owned(),
        period_s: 1.0 / RATE,
        frames,
        stacks,
        ..Profile::default()
    })
}

/// For what every request under way waits that no CPU works for.
#[derive(Debug, Clone, Copy)]
pub enum Waited {
    /// In `query` (`app.c:20`), for an answer; `GET /slow` asks so often, everybody else once.
    Peer { address: SocketAddr, questions: f64 },
    /// In `buy` (`app.c:51`), for a lock whose holder sleeps in `charge` (`app.c:53`).
    Lock,
}

fn asked_per_s(questions: f64, facts: &[Fact]) -> f64 {
    let seconds = facts.iter().filter_map(|f| if let Fact::SecondPassed(s) = f { Some(s) } else { None });
    let asked = |(route, seen): (&Route, &RouteSecond)| {
        seen.ended() as f64 * if route.path() == "/slow" { questions } else { 1.0 }
    };
    let each: Vec<f64> = seconds.map(|second| second.routes.iter().map(asked).sum()).collect();
    each.iter().sum::<f64>() / each.len().max(1) as f64
}

pub fn waiting(what: Waited, plan: &WindowPlan, facts: &[Fact]) -> Fact {
    let users = if let Load::Closed { users } = plan.load { f64::from(users) } else { 0.0 };
    let of_probe = |f: &Fact| if let Fact::Sampled(p) = f { Some(p.app_cpu_s) } else { None };
    let probes: Vec<f64> = facts.iter().filter_map(of_probe).collect();
    let running = probes.iter().sum::<f64>() / probes.len().max(1) as f64;
    let count = ((users - running).max(0.0) * LOOKS as f64).round() as u64;
    let own = |function: &str, line| Frame {
        function: function.to_owned(),
        file: Some("app.c".to_owned()),
        line: Some(line),
        in_app: true,
        ..Frame::default()
    };
    let mutex = Frame {
        function: "pthread_mutex_lock".to_owned(),
        module: Some("libc.so.6".to_owned()),
        ..Frame::default()
    };
    let stack = |doing, frames, count| Stack {
        process: 1,
        thread: "app".to_owned(),
        doing,
        frames,
        count,
        separate: count,
        ..Stack::default()
    };
    let (stacks, peers) = match what {
        Waited::Peer { address, questions } => {
            let doing = Doing::WaitingForPeer { address: Some(address.into()) };
            let of_peer = Peer {
                address: address.into(),
                looks: LOOKS,
                connections: count,
                awaited: count,
                asked_per_s: Some(asked_per_s(questions, facts)),
            };
            (vec![stack(doing, vec![0], count)], vec![of_peer])
        }
        Waited::Lock => {
            let waits = stack(Doing::WaitingForLock { address: 7 }, vec![3, 1], count - LOOKS);
            let waits = Stack { holder: vec![2], ..waits };
            (vec![waits, stack(Doing::Sleeping, vec![2], LOOKS)], Vec::new())
        }
    };
    Fact::Profiled(Profile {
        window: plan.window,
        instrument: "waits".to_owned(),
        looks: LOOKS,
        frames: vec![own("query", 20), own("buy", 51), own("charge", 53), mutex],
        stacks,
        peers,
        ..Profile::default()
    })
}
