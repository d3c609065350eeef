//! The front door between real clients and small apps of the tests' own.

#![expect(clippy::unwrap_used, reason = "tests may")]

mod app;
mod framing;
mod pass;
mod record;
mod stale;
mod swap;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fissure_facts::{Exchange, Protocol};
use fissure_rig::door::{Door, Opening, Passed, Table};

/// A door on a thread and a runtime of its own, so that tests may use blocking clients.
pub struct Opened {
    pub door: Arc<Door>,
    pub address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
    /// Ends the thread.
    _end: tokio::sync::oneshot::Sender<()>,
}

/// A door in front of one app.
pub fn door(app: SocketAddr) -> Opened {
    opened(Table::whole(app), Protocol::default(), None)
}

pub fn opened(
    table: Table,
    protocol: Protocol,
    certificate: Option<fissure_rig::door::Certificate>,
) -> Opened {
    let passed = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&passed);
    let opening = Opening {
        protocol,
        table,
        certificate,
        behind_proxy: false,
        keeps_bodies: true,
        witness: Arc::new(move |seen| notes.lock().unwrap().push(seen)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tell.send(Door::open(listener, opening).unwrap()).unwrap();
            let _ = ended.await;
        });
    });
    let door = told.recv().unwrap();
    let address = door.address();
    Opened { door: Arc::new(door), address, passed, _end: end }
}

impl Opened {
    /// Waits until so many things have come through; a hang fails.
    pub fn passed(&self, count: usize) -> Vec<Passed> {
        for _ in 0..2_000 {
            let passed = self.passed.lock().unwrap().clone();
            if passed.len() >= count {
                return passed;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("only {:?} came through", self.passed.lock().unwrap());
    }

    pub fn exchange(&self) -> Exchange {
        match self.passed(1).remove(0) {
            Passed::Answered(exchange) | Passed::Unanswered(exchange, _) => exchange,
            other => panic!("{other:?}"),
        }
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Sends bytes and reads until the door closes or `until` holds for what came.
    pub fn talk(&self, bytes: &[u8], until: impl Fn(&str) -> bool) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        hear(&mut stream, until)
    }

    /// One request over a connection that closes after it.
    pub fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        self.talk(request.as_bytes(), |_| false)
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

pub fn hear(stream: &mut TcpStream, until: impl Fn(&str) -> bool) -> String {
    let mut heard = Vec::new();
    let mut some = [0; 65536];
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if until(&text) {
            return text;
        }
        match stream.read(&mut some) {
            Ok(0) => return text,
            Ok(n) => heard.extend_from_slice(&some[..n]),
            Err(e) => panic!("{e} after {text:?}"),
        }
    }
}

/// The status of each answer.
pub fn statuses(heard: &str) -> Vec<u16> {
    heard.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}
