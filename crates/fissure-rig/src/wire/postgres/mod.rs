//! A proxy before PostgreSQL that passes every byte on as it came and notes which statements are executed.
//!
//! One connection of the app is one connection to the database: nothing is pooled, so whatever belongs to a session (prepared
//! statements, LISTEN, advisory locks, temporary tables) stays with it. What is encrypted passes, too; then nothing is noted,
//! and that is said.

mod frames;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use frames::{Conversation, Heard, Side, Transaction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Notes that nobody has fetched; older ones are given up.
const NOTES_MAX: usize = 10_000;
const PIECE: usize = 16 << 10;
const AGAIN: Duration = Duration::from_millis(10);

/// Something that was heard on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Counts the connections, from 1.
    pub connection: u64,
    pub heard: Heard,
}

type Notes = Arc<Mutex<Vec<Note>>>;

/// Ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct PostgresProxy {
    port: u16,
    notes: Notes,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PostgresProxy {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let notes = Notes::default();
        let taken = Arc::clone(&notes);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = listen(listener, upstream, taken) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { port, notes, stop: Some(stop), thread: Some(thread) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was heard since this was asked last.
    pub fn notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for PostgresProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its connections ended with it
        }
    }
}

async fn listen(listener: std::net::TcpListener, upstream: SocketAddr, notes: Notes) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connection = 0;
    loop {
        match listener.accept().await {
            Ok((app, _)) => {
                connection += 1;
                tokio::spawn(serve(app, upstream, connection, Arc::clone(&notes)));
            }
            // No file descriptor is free: those who wait are taken when one is.
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// A database that cannot be reached hangs up on the app at once, as it would itself.
async fn serve(app: TcpStream, upstream: SocketAddr, connection: u64, notes: Notes) {
    let Ok(database) = TcpStream::connect(upstream).await else { return };
    let _ = (app.set_nodelay(true), database.set_nodelay(true)); // without it only slower
    let ear = Arc::new(Ear { connection, conversation: Mutex::default(), notes });
    let (from_app, to_app) = app.into_split();
    let (from_database, to_database) = database.into_split();
    let asking = pass(from_app, to_database, Side::App, Arc::clone(&ear));
    let answering = pass(from_database, to_app, Side::Database, ear);
    tokio::join!(asking, answering);
}

struct Ear {
    connection: u64,
    conversation: Mutex<Conversation>,
    notes: Notes,
}

impl Ear {
    fn hear(&self, side: Side, bytes: &[u8]) {
        let mut conversation = self.conversation.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        conversation.hear(side, bytes, &mut |heard| {
            if notes.len() < NOTES_MAX {
                notes.push(Note { connection: self.connection, heard });
            }
        });
    }
}

/// Until one side has nothing more to say, which the other one is told; an error ends the direction, too.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, side: Side, ear: Arc<Ear>) {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(n) => {
                // Before it is passed on: the answer must not be heard before the question.
                ear.hear(side, &piece[..n]);
                if to.write_all(&piece[..n]).await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = to.shutdown().await; // whoever is gone needs not be told
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// A database that answers whatever it is asked with the same bytes.
    fn echo() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut bytes = [0; 1024];
                    while let Ok(n @ 1..) = stream.read(&mut bytes) {
                        stream.write_all(&bytes[..n]).unwrap();
                    }
                });
            }
        });
        address
    }

    #[test]
    fn every_byte_passes_whatever_it_is() {
        let proxy = PostgresProxy::start(echo()).unwrap();
        let mut app = std::net::TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let bytes: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (i, piece) in bytes.chunks(1000).enumerate() {
            if i < 3 {
                piece.iter().for_each(|byte| app.write_all(&[*byte]).unwrap());
            } else {
                app.write_all(piece).unwrap();
            }
            let mut back = vec![0; piece.len()];
            app.read_exact(&mut back).unwrap();
            assert_eq!(back, piece);
        }
        app.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(app.read(&mut [0; 1]).unwrap(), 0);
    }
}
