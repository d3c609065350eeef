//! A port whose queue is full: whoever connects is neither taken nor refused. The kernel lets one SYN after the other fall,
//! as it does for a server that has stopped accepting.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A connection that is not made within this finds no room. The kernel sends the first SYN again after a second.
const NO_ROOM_AFTER: Duration = Duration::from_millis(50);
/// The smallest queue that can be asked for holds one or two; more means that it cannot be filled.
const FILLERS_MAX: usize = 8;

pub(super) struct FullQueue {
    _listener: Option<TcpListener>,
    /// They stand in the queue for ever.
    _fillers: Vec<TcpStream>,
}

impl FullQueue {
    /// Listens with the smallest queue there is, and fills it. Where the port cannot be listened on it is closed, at least.
    pub(super) async fn at(address: SocketAddr) -> Self {
        let listener = listen(address).ok();
        let mut fillers = Vec::new();
        while listener.is_some() && fillers.len() < FILLERS_MAX {
            match tokio::time::timeout(NO_ROOM_AFTER, TcpStream::connect(address)).await {
                Ok(Ok(filler)) => fillers.push(filler),
                _ => break,
            }
        }
        Self { _listener: listener, _fillers: fillers }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(0)
}
