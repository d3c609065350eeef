//! A small honest HTTP server of the tests' own, with a thread for each connection, and a raw one for the dishonest.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub peer: SocketAddr,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// Status line and headers without the length, and the body.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Close the connection afterwards, without saying so.
    pub hangs_up: bool,
}

pub fn ok(body: impl Into<Vec<u8>>) -> Reply {
    status(200, body)
}

pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, headers: Vec::new(), body: body.into(), hangs_up: false }
}

impl Reply {
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What the server saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: Mutex<Vec<Request>>,
    pub connections: AtomicUsize,
    pub in_flight: AtomicUsize,
    pub most_in_flight: AtomicUsize,
}

impl Seen {
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn targets(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|r| r.target.clone()).collect()
    }
}

/// Serves until the test's process ends.
pub fn serve(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (SocketAddr, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let own = Arc::clone(&seen);
    let address = raw(move |stream| {
        own.connections.fetch_add(1, SeqCst);
        let _ = talk(stream, &own, &answer);
    });
    (address, seen)
}

/// Hands every connection to `act`, on a thread of its own.
pub fn raw(act: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let act = Arc::new(act);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = Arc::clone(&act);
            thread::Builder::new().stack_size(128 << 10).spawn(move || act(stream)).unwrap();
        }
    });
    address
}

fn talk(stream: TcpStream, seen: &Seen, answer: &impl Fn(&Request) -> Reply) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader, writer.peer_addr()?)? {
        seen.requests.lock().unwrap().push(request.clone());
        let now = seen.in_flight.fetch_add(1, SeqCst) + 1;
        seen.most_in_flight.fetch_max(now, SeqCst);
        let reply = answer(&request);
        let mut text =
            format!("HTTP/1.1 {} Some Reason\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut bytes = format!("{text}\r\n").into_bytes();
        if request.method != "HEAD" {
            bytes.extend(&reply.body);
        }
        seen.in_flight.fetch_sub(1, SeqCst);
        writer.write_all(&bytes)?;
        if reply.hangs_up {
            break;
        }
    }
    Ok(())
}

pub fn read_request(reader: &mut impl BufRead, peer: SocketAddr) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new(), peer };
    let length = request.header("content-length").map_or(0, |v| v.parse().unwrap());
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
