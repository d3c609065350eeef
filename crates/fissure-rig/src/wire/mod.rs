//! The wire: a relay of our own that stands in a link (users to a role, the app to its database) and breaks it on demand.
//!
//! It knows bytes and connections, and no protocol. It has a thread of its own, so that nothing else that fissure does
//! delays a byte, and it dies with fissure, so that nothing of it can stay.

mod address;
mod connection;
mod pace;
mod postgres;
mod queue;
mod request;
mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fissure_facts::{FaultKind, Route, Trigger};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

pub use address::{LinkAddress, NotOurs};
use connection::{Counts, Line};
use pace::Pace;
pub use postgres::{Conversation, Heard, Note, PostgresProxy, Side, Transaction};
use queue::FullQueue;
use state::{Broken, State};

/// How long a relay waits before it tries again to listen or to accept.
const AGAIN: Duration = Duration::from_millis(10);

/// A relay that passes everything on, until it is told to break something. It ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    state: watch::Sender<State>,
    carried: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on 127.0.0.1:`port` (0: any) and passes on to `upstream`. Its thread stays on `cpus`; none: anywhere.
    pub fn start(port: u16, upstream: SocketAddr, cpus: &[usize]) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (state, watched) = watch::channel(State::default());
        let (stop, stopped) = oneshot::channel();
        let carried = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&carried);
        let cpus: Vec<usize> = cpus.to_vec();
        let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
            pin(&cpus);
            runtime.block_on(async move {
                tokio::select! {
                    () = listen(listener, upstream, watched, counts) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { port, state, carried, stop: Some(stop), thread: Some(thread) })
    }

    /// Bytes that came to it since the beginning, both ways.
    pub fn carried_bytes(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks the link until the answer is dropped, or until its time to live is over.
    pub fn disturb(&self, kind: FaultKind, trigger: Trigger, seed: u64, time_to_live: Duration) -> Disturbed {
        self.disturb_route(None, kind, trigger, seed, time_to_live)
    }

    /// The same for requests of one route.
    pub fn disturb_route(
        &self,
        route: Option<Route>,
        kind: FaultKind,
        trigger: Trigger,
        seed: u64,
        time_to_live: Duration,
    ) -> Disturbed {
        let until = tokio::time::Instant::now() + time_to_live;
        self.state.send_replace(State::broken(Broken { kind, trigger, route, seed, until }));
        Disturbed { state: self.state.clone() }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // what it was doing is over in any case
        }
    }
}

/// A link that is broken for as long as this lives.
#[derive(Debug)]
pub struct Disturbed {
    state: watch::Sender<State>,
}

impl Drop for Disturbed {
    fn drop(&mut self) {
        self.state.send_replace(State::default());
    }
}

fn pin(cpus: &[usize]) {
    let mut set = rustix::thread::CpuSet::new();
    cpus.iter().filter(|&&cpu| cpu < rustix::thread::CpuSet::MAX_CPU).for_each(|&cpu| set.set(cpu));
    if set.count() > 0 {
        let _ = rustix::thread::sched_setaffinity(None, &set); // it then runs anywhere, which costs accuracy only
    }
}

/// Accepts connections for as long as it is polled.
async fn listen(
    first: std::net::TcpListener,
    upstream: SocketAddr,
    mut state: watch::Receiver<State>,
    carried: Arc<AtomicU64>,
) {
    let Ok(address) = first.local_addr() else { return };
    let pace = Arc::new(Pace::default());
    let mut listener = TcpListener::from_std(first).ok();
    let requests = Arc::default();
    let counts = Counts { requests, carried };
    let mut number: u64 = 0;
    loop {
        let now = state.borrow_and_update().clone();
        match now.befalls_all() {
            Some(FaultKind::Refuse) => {
                listener = None;
                now.over(&mut state).await;
                continue;
            }
            Some(FaultKind::SynHang) => {
                listener = None;
                let full = FullQueue::at(address).await;
                now.over(&mut state).await;
                drop(full);
                continue;
            }
            _ => {}
        }
        let Some(open) = &listener else {
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                tokio::time::sleep(AGAIN).await;
            }
            continue;
        };
        tokio::select! {
            accepted = open.accept() => match accepted {
                Ok((client, _)) => {
                    number += 1;
                    let line = Line::new(number, state.clone(), Arc::clone(&pace), counts.clone());
                    tokio::spawn(line.serve(client, upstream));
                }
                // No file descriptor is free: those who wait in the queue are taken when one is.
                Err(_) => tokio::time::sleep(AGAIN).await,
            },
            changed = state.changed() => if changed.is_err() { return },
        }
    }
}
