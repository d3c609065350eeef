//! Whom the app is connected to, and on how many of those connections it waits for an answer, by the kernel's own counters
//! (`sock_diag(7)`, what `ss -ti` prints). This sees what an event loop waits for, which no look at its threads can tell;
//! nothing is intercepted, and no privilege is needed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use fissure_facts::Address;
use fissure_facts::profile::Peer;

use super::ends::Ends;
use crate::sock_diag::{self, ESTABLISHED, LISTEN, SYN_SENT, SockDiag, array, u32_at};
use crate::tcp_table;

/// The longest that Linux puts an acknowledgement off (TCP_DELACK_MAX). Behind that it answers a probe of an idle connection.
const DELAYED_ACK_MS: u32 = 200;
/// The first segments of a connection are acknowledged at once (TCP_MAX_QUICKACKS).
const ACKNOWLEDGED_AT_ONCE: u32 = 16;

/// Adds up what it sees at each look.
pub(super) struct Peers {
    kernel: SockDiag,
    looks: u64,
    /// Connections, and of those the ones on which the app waits for an answer.
    seen: BTreeMap<Address, (u64, u64)>,
    /// Segments with data that the app sent since the first look.
    asked: BTreeMap<Address, u64>,
    first: Option<Instant>,
    /// By inode, the Unix socket that the app connected to with it; None of what is none.
    unix: HashMap<u64, Option<Address>>,
    /// By inode, what the last look saw.
    before: HashMap<u64, Before>,
}

/// Whether the kernel describes connections here.
pub(crate) fn can_see_connections() -> Result<(), String> {
    let look = || Peers::new()?.look(&[]);
    look().map_err(|e| e.to_string())
}

/// One TCP socket, as the kernel describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Described {
    state: u8,
    local_port: u16,
    remote: SocketAddr,
    inode: u64,
    spoke_last: SpokeLast,
    segments: Segments,
}

impl Described {
    fn of(socket: sock_diag::Described, counters: &[u8]) -> Self {
        let sock_diag::Described { state, local, remote, inode, .. } = socket;
        let segments = segments_of(counters).filter(|_| state == ESTABLISHED).unwrap_or_default();
        let spoke_last = match state {
            SYN_SENT => SpokeLast::App,
            ESTABLISHED => who_spoke_last(counters, segments).unwrap_or(SpokeLast::Other),
            _ => SpokeLast::Other,
        };
        Self { state, local_port: local.port(), remote, inode, spoke_last, segments }
    }
}

/// Who spoke last on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpokeLast {
    App,
    Other,
    /// Both within one tick of the kernel's clock.
    Either(Segments),
}

/// Segments with data in them, since the connection was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Segments {
    sent: u32,
    received: u32,
}

#[derive(Debug, Clone, Copy)]
struct Before {
    remote: SocketAddr,
    waits: bool,
    segments: Segments,
    /// Looks that have seen it; None of one that was there at the first, of whose beginning nothing is known.
    looks: Option<u32>,
}

impl Segments {
    /// Within a tick of the clock: who only sent waits, and who only received does not. An answer and the next question, or a question
    /// and its answer: it does what it did before.
    fn app_spoke_last(self, before: Option<Before>) -> bool {
        let Some(Before { waits, segments, .. }) = before else { return self.sent > self.received };
        match (self.sent != segments.sent, self.received != segments.received) {
            (true, false) => true,
            (false, true) => false,
            _ => waits,
        }
    }
}

impl Peers {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            kernel: SockDiag::open()?,
            looks: 0,
            seen: BTreeMap::new(),
            asked: BTreeMap::new(),
            first: None,
            unix: HashMap::new(),
            before: HashMap::new(),
        })
    }

    pub fn look(&mut self, processes: &[u32]) -> io::Result<()> {
        let held: Vec<(u32, u64, u64)> = processes
            .iter()
            .flat_map(|&pid| tcp_table::held(pid).into_iter().map(move |(fd, inode)| (pid, fd, inode)))
            .collect();
        let own: HashSet<u64> = held.iter().map(|(_, _, inode)| *inode).collect();
        let mut sockets = Vec::new();
        let states = 1 << ESTABLISHED | 1 << SYN_SENT | 1 << LISTEN;
        self.kernel
            .each(states, true, &mut |socket, counters| sockets.push(Described::of(socket, counters)))?;
        self.looks += 1;
        let is_first = self.first.is_none();
        self.first.get_or_insert_with(Instant::now);
        // Who connected to a port on which somebody listens is that one's client, and no peer of the app's choice.
        let listens: HashSet<u16> =
            sockets.iter().filter(|s| s.state == LISTEN).map(|s| s.local_port).collect();
        for socket in sockets.iter().filter(|s| s.state != LISTEN && own.contains(&s.inode)) {
            if !listens.contains(&socket.local_port) {
                let (connections, awaited) = self.seen.entry(socket.remote.into()).or_default();
                *connections += 1;
                let before = self.before.get(&socket.inode).copied();
                let waits = match socket.spoke_last {
                    SpokeLast::App => true,
                    SpokeLast::Other => false,
                    SpokeLast::Either(segments) => segments.app_spoke_last(before),
                };
                *awaited += u64::from(waits);
                // What was sent before the first look is not of this window.
                let sent = socket.segments.sent;
                let since = before.map_or(if is_first { sent } else { 0 }, |before| before.segments.sent);
                *self.asked.entry(socket.remote.into()).or_default() += u64::from(sent.wrapping_sub(since));
                let looks = before.map_or((!is_first).then_some(1), |before| before.looks.map(|n| n + 1));
                let Described { remote, segments, .. } = *socket;
                self.before.insert(socket.inode, Before { remote, waits, segments, looks });
            }
        }
        self.add_what_was_not_seen(&sockets);
        let of_network: HashSet<u64> = sockets.iter().map(|s| s.inode).collect();
        let others: HashMap<u64, (u32, u64)> = held
            .into_iter()
            .filter(|(_, _, inode)| !of_network.contains(inode))
            .map(|(pid, fd, inode)| (inode, (pid, fd)))
            .collect();
        for (inode, (pid, fd)) in others {
            let address = self.unix.entry(inode).or_insert_with(|| match Ends::of(pid, fd) {
                Some(Ends::Unix { listener, .. }) => Some(listener),
                _ => None,
            });
            if let Some(address) = address {
                self.seen.entry(address.clone()).or_default().0 += 1;
            }
        }
        Ok(())
    }

    /// A connection that is gone went on after it was last seen: many apps open one for each request. Of one that was seen `n` times at moments
    /// of chance the last saw `n / (n + 1)` of it on average (the German tank problem).
    fn add_what_was_not_seen(&mut self, sockets: &[Described]) {
        let there: HashSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
        let asked = &mut self.asked;
        self.before.retain(|inode, last| {
            let is_there = there.contains(inode);
            if let Some(looks) = last.looks.filter(|_| !is_there) {
                *asked.entry(last.remote.into()).or_default() += u64::from(last.segments.sent / looks);
            }
            is_there
        });
    }

    pub fn into_facts(self) -> Vec<Peer> {
        let looks = self.looks;
        let elapsed_s = self.first.map_or(0.0, |first| first.elapsed().as_secs_f64());
        let fact = |(address, (connections, awaited))| {
            let asked = self.asked.get(&address).filter(|_| elapsed_s > 0.0);
            let asked_per_s = asked.map(|&asked| asked as f64 / elapsed_s);
            Peer { address, looks, connections, awaited, asked_per_s }
        };
        self.seen.into_iter().map(fact).collect()
    }
}

fn segments_of(info: &[u8]) -> Option<Segments> {
    Some(Segments { received: u32_at(info, 152)?, sent: u32_at(info, 156)? })
}

/// `struct tcp_info`: whether what was sent last is younger than what was received last.
///
/// The kernel's clock ticks every few milliseconds, and a user without pauses asks again within the tick of the last answer. Then
/// an acknowledgement tells that came behind the last answer and no later than one is put off for: only a question is owed one.
/// Where none came and none is owed, the last word carried it: it was an answer. Only young connections acknowledge questions at once.
fn who_spoke_last(info: &[u8], segments: Segments) -> Option<SpokeLast> {
    let unacknowledged = u32_at(info, 24)?;
    let (sent_ms_ago, received_ms_ago) = (u32_at(info, 44)?, u32_at(info, 52)?);
    let acknowledged_behind_ms = received_ms_ago.saturating_sub(u32_at(info, 56)?);
    let bytes_received = u64::from_ne_bytes(array(info, 128)?);
    Some(match sent_ms_ago.cmp(&received_ms_ago) {
        _ if unacknowledged > 0 || bytes_received == 0 && segments.sent > 0 => SpokeLast::App,
        _ if bytes_received == 0 => SpokeLast::Other,
        Ordering::Less => SpokeLast::App,
        Ordering::Greater => SpokeLast::Other,
        Ordering::Equal if (1..=DELAYED_ACK_MS).contains(&acknowledged_behind_ms) => SpokeLast::App,
        Ordering::Equal if segments.sent > ACKNOWLEDGED_AT_ONCE => SpokeLast::Other,
        Ordering::Equal => SpokeLast::Either(segments),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_without_its_answer_is_awaited_and_clients_are_no_peers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut app = TcpStream::connect(address).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        let own = [std::process::id()];
        let now = |peers: &mut Peers| {
            let before = peers.seen.get(&address.into()).copied().unwrap_or_default();
            peers.look(&own).unwrap();
            let after = peers.seen[&address.into()];
            (after.0 - before.0, after.1 - before.1)
        };
        let mut peers = Peers::new().unwrap();
        assert_eq!(now(&mut peers), (1, 0), "nothing was asked yet");
        app.write_all(b"?").unwrap();
        assert_eq!(now(&mut peers), (1, 1));
        other.write_all(b"!").unwrap();
        app.read_exact(&mut [0]).unwrap();
        assert_eq!(now(&mut peers), (1, 0), "it was answered");
        app.write_all(b"?").unwrap();
        assert_eq!(now(&mut peers), (1, 1));
        let facts = peers.into_facts();
        let to_listener: Vec<&Peer> = facts.iter().filter(|p| p.address == address.into()).collect();
        assert!(matches!(to_listener[..], [Peer { looks: 4, connections: 4, awaited: 2, .. }]), "{facts:?}");
        let client = app.local_addr().unwrap();
        assert!(facts.iter().all(|peer| peer.address != client.into()), "{facts:?}");
    }

    /// A page that asked for each of its rows looked like one that asked once.
    #[test]
    fn every_question_is_counted_and_what_came_before_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::from(listener.local_addr().unwrap());
        let mut peers = Peers::new().unwrap();
        let open = || {
            let app = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            app.set_nodelay(true).unwrap();
            (app, listener.accept().unwrap().0)
        };
        let ask = |(app, other): &mut (TcpStream, TcpStream), times: usize| {
            for _ in 0..times {
                app.write_all(b"?").unwrap();
                other.read_exact(&mut [0]).unwrap();
                other.write_all(b"!").unwrap();
                app.read_exact(&mut [0]).unwrap();
            }
        };
        let mut old = open();
        ask(&mut old, 7);
        peers.look(&[std::process::id()]).unwrap();
        ask(&mut old, 20);
        let mut new = open();
        ask(&mut new, 5);
        peers.look(&[std::process::id()]).unwrap();
        assert_eq!(peers.asked[&address], 25);
        let per_s = peers.into_facts().into_iter().find(|p| p.address == address).unwrap().asked_per_s;
        assert!(per_s.is_some_and(|per_s| per_s > 0.0), "{per_s:?}");
    }

    /// PHP opens a connection for each request; of a page that asked for each of its rows half of the questions were seen.
    #[test]
    fn what_a_connection_asks_behind_the_last_look_is_made_up_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::from(listener.local_addr().unwrap());
        let mut peers = Peers::new().unwrap();
        peers.look(&[std::process::id()]).unwrap();
        const QUESTIONS: usize = 60;
        for seen_behind in [10, 30, 50] {
            let mut app = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            app.set_nodelay(true).unwrap();
            let (mut other, _) = listener.accept().unwrap();
            for question in 0..QUESTIONS {
                app.write_all(b"?").unwrap();
                other.read_exact(&mut [0]).unwrap();
                other.write_all(b"!").unwrap();
                app.read_exact(&mut [0]).unwrap();
                if question == seen_behind {
                    peers.look(&[std::process::id()]).unwrap();
                }
            }
        }
        peers.look(&[std::process::id()]).unwrap();
        let asked = peers.asked[&address] as f64 / (3 * QUESTIONS) as f64;
        assert!((0.9..1.1).contains(&asked), "{asked} of the questions");
    }

    /// Of sixteen connections that all waited for an answer half were seen to: the next question followed its answer, of two
    /// segments, within a tick of the kernel's clock.
    #[test]
    fn who_asks_again_at_once_is_seen_to_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut peers = Peers::new().unwrap();
        let (mut asked, mut looked) = (Vec::new(), 0);
        for round in 0..20 {
            if round % 10 == 0 {
                let app = TcpStream::connect(address).unwrap();
                let (other, _) = listener.accept().unwrap();
                app.set_nodelay(true).unwrap();
                other.set_nodelay(true).unwrap();
                asked.push((app, other));
            }
            for (app, other) in &mut asked {
                app.write_all(b"?").unwrap();
                other.read_exact(&mut [0]).unwrap();
                other.write_all(b"head").unwrap();
                other.write_all(b"body").unwrap();
                app.read_exact(&mut [0; 8]).unwrap();
                app.write_all(b"?").unwrap();
                // Longer than an acknowledgement is put off for.
                std::thread::sleep(Duration::from_millis(60));
                peers.look(&[std::process::id()]).unwrap();
                looked += 1;
                other.read_exact(&mut [0]).unwrap();
                other.write_all(b"done").unwrap();
                app.read_exact(&mut [0; 4]).unwrap();
            }
        }
        let (_, awaited) = peers.seen[&address.into()];
        let close = looked * 9 / 10..=looked * 11 / 10;
        assert!(close.contains(&awaited), "{awaited} of {looked} looks saw the one connection that waits");
    }

    /// Connections of a pool on which a transaction rested were seen to wait: each question was of two segments, its answer of
    /// one, all within a tick of the kernel's clock.
    #[test]
    fn who_was_answered_at_once_is_not_seen_to_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut app = TcpStream::connect(address).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        app.set_nodelay(true).unwrap();
        let mut talk = |rounds: u32| {
            for _ in 0..rounds {
                app.write_all(b"begin").unwrap();
                app.write_all(b"insert").unwrap();
                other.read_exact(&mut [0; 11]).unwrap();
                other.write_all(b"done").unwrap();
                app.read_exact(&mut [0; 4]).unwrap();
            }
        };
        talk(20);
        let mut peers = Peers::new().unwrap();
        for _ in 0..20 {
            talk(3);
            std::thread::sleep(Duration::from_millis(60));
            peers.look(&[std::process::id()]).unwrap();
        }
        let (_, awaited) = peers.seen[&address.into()];
        assert!(awaited <= 2, "{awaited} of 20 looks saw a connection wait on which everything was answered");
    }

    proptest! {
        #[test]
        fn any_counters_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = who_spoke_last(&bytes, segments_of(&bytes).unwrap_or_default());
        }
    }
}
