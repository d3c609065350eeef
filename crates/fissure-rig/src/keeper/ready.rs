//! Waiting until a started app answers, and saying precisely why it does not.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use fissure_facts::{HttpVersion, Protocol};
use tokio::time::{sleep, timeout};

use super::health::{Met, ask, speaks_instead};
use super::listeners::{self, reachable_from_loopback};
use super::{Kept, port_taken};
use crate::process::Stat;

const LOOK_EVERY: Duration = Duration::from_millis(25);
/// An app that listens somewhere else only, unchanged and without working, for so long will not come to our port any
/// more: starting is work. Kinder than to let a person wait out the whole time.
const IDLE_ELSEWHERE: Duration = Duration::from_secs(10);
/// CPU in that time above which it is still starting.
const STARTING_CPU_TICKS: u64 = 20;
/// How many of its last lines are shown when it dies.
const LINES: usize = 20;
/// How often an app that says something else than HTTP is asked whether it is TLS or HTTP/2.
const GUESS_EVERY: Duration = Duration::from_secs(1);

/// Why the app is not ready, whose fault it is and what to try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    #[error("The app ended by itself before it was ready: {how}. Run its command in its folder to see why.")]
    Died { how: String, last_lines: Vec<String> },
    #[error(
        "The app listens on {}, not on $PORT={wanted}: make the command use $PORT (in some apps a PORT in `.env` goes before it), or write `port = {}` under [app].",
        ports(listening), listening.first().copied().unwrap_or(*wanted)
    )]
    OtherPort { wanted: u16, listening: Vec<u16> },
    #[error(
        "The app listens on port {wanted}, but on {} only, which a connection to 127.0.0.1 does not reach: make it listen on 127.0.0.1 (many servers take `--host 127.0.0.1` or $HOST).",
        addresses(listening)
    )]
    OtherAddress { wanted: u16, listening: Vec<IpAddr> },
    #[error(
        "Port {port} is answered by {who}, which fissure did not start, so nothing is measured: end it, or give the app another port."
    )]
    SomebodyElse { port: u16, who: String },
    #[error(
        "The app runs, but listened on no port within {}: does the command start a server, and is it given enough time ([app] start_within)?",
        seconds(within)
    )]
    NeverListened { within: Duration, last_lines: Vec<String> },
    #[error(
        "The app accepts connections on port {port}, but gave no HTTP answer to `GET {health}` within {} ({what}): is `health` a path that answers quickly without a login, and does the port speak HTTP?",
        seconds(within)
    )]
    NeverAnswered { port: u16, health: String, within: Duration, what: String, last_lines: Vec<String> },
    #[error("The app answers on port {port}, but {}.", how_to_speak(*speaks))]
    SpeaksOtherwise { port: u16, speaks: Protocol },
    #[error(
        "The app answers `GET {health}` with status {status} all the time: it is up but not well (a database that it misses?). Repair it, or name a `health` path that answers below 500. The answer begins: {body_start}"
    )]
    Answers5xx { health: String, status: u16, body_start: String, last_lines: Vec<String> },
}

impl NotReady {
    /// What the app printed last, where that helps.
    pub fn last_lines(&self) -> &[String] {
        match self {
            Self::Died { last_lines, .. }
            | Self::NeverListened { last_lines, .. }
            | Self::NeverAnswered { last_lines, .. }
            | Self::Answers5xx { last_lines, .. } => last_lines,
            Self::OtherPort { .. }
            | Self::OtherAddress { .. }
            | Self::SomebodyElse { .. }
            | Self::SpeaksOtherwise { .. } => &[],
        }
    }
}

/// Waits until `GET health` on 127.0.0.1:`port`, spoken to by `protocol`, is answered with a status below 500, by the kept tree itself, and
/// says how long it took.
pub async fn wait_ready(
    kept: &mut Kept,
    port: u16,
    protocol: Protocol,
    health: &str,
    within: Duration,
) -> Result<Duration, NotReady> {
    let began = Instant::now();
    let mut elsewhere = Elsewhere::default();
    let mut guessed: Option<Instant> = None;
    let mut last = Met::Refused;
    loop {
        if let Some(how) = kept.died() {
            return Err(NotReady::Died { how, last_lines: kept.last_lines(LINES) });
        }
        let left = within.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(why_not(kept, port, health, within, last));
        }
        last = match (last, look(kept, port, protocol, health, left).await) {
            // The last try is cut short by the end of the time: its silence says less than the answers before.
            (answered @ Met::Status5xx { .. }, Met::Silent(_)) => answered,
            (_, met) => met,
        };
        match &last {
            Met::Answer => return answered_by(kept, port).map(|()| began.elapsed()),
            Met::Silent(_) if guessed.is_none_or(|at| at.elapsed() >= GUESS_EVERY) => {
                if let Some(speaks) = speaks_instead(port, protocol, health).await {
                    return Err(answered_by(kept, port)
                        .err()
                        .unwrap_or(NotReady::SpeaksOtherwise { port, speaks }));
                }
                guessed = Some(Instant::now());
            }
            Met::Refused if elsewhere.settled(kept, port) => {
                return Err(why_not(kept, port, health, within, last));
            }
            _ => {}
        }
        // A slow start is looked at less often: each look costs the app's CPUs a little.
        sleep(LOOK_EVERY.max(began.elapsed() / 50).min(Duration::from_millis(500)).min(left)).await;
    }
}

/// Load goes only to processes that fissure started: an answer of somebody else's server is no answer. When nobody
/// can be seen to hold the port (another user's helper, such as a container's), the answer counts.
fn answered_by(kept: &Kept, port: u16) -> Result<(), NotReady> {
    if listeners::of(&kept.tree()).iter().any(|address| address.port() == port) {
        return Ok(());
    }
    match port_taken(port) {
        Some(who) if who.contains("pid ") => Err(NotReady::SomebodyElse { port, who }),
        _ => Ok(()),
    }
}

async fn look(kept: &mut Kept, port: u16, protocol: Protocol, health: &str, left: Duration) -> Met {
    let died = async {
        while kept.died().is_none() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        met = timeout(left, ask(port, protocol, health)) => {
            met.unwrap_or_else(|_| Met::Silent("it was silent".to_owned()))
        }
        () = died => Met::Silent("it died".to_owned()),
    }
}

fn why_not(kept: &mut Kept, wanted: u16, health: &str, within: Duration, last: Met) -> NotReady {
    let last_lines = kept.last_lines(LINES);
    let health = health.to_owned();
    match last {
        Met::Status5xx { status, body_start } => {
            return NotReady::Answers5xx { health, status, body_start, last_lines };
        }
        Met::Silent(what) => {
            return NotReady::NeverAnswered { port: wanted, health, within, what, last_lines };
        }
        Met::Refused | Met::Answer => {}
    }
    let listening = listeners::of(&kept.tree());
    let on_ours: Vec<IpAddr> =
        listening.iter().filter(|address| address.port() == wanted).map(SocketAddr::ip).collect();
    if !on_ours.is_empty() {
        return NotReady::OtherAddress { wanted, listening: on_ours };
    }
    if listening.is_empty() {
        return NotReady::NeverListened { within, last_lines };
    }
    let mut listening: Vec<u16> = listening.iter().map(SocketAddr::port).collect();
    listening.sort_unstable();
    listening.dedup();
    NotReady::OtherPort { wanted, listening }
}

/// Whether the app has come to rest on other addresses than the one that is waited for.
#[derive(Default)]
struct Elsewhere {
    listening: Vec<SocketAddr>,
    /// Since when nothing has changed, and the CPU it had used by then.
    since: Option<(Instant, u64)>,
    looked: Option<Instant>,
}

impl Elsewhere {
    fn settled(&mut self, kept: &Kept, wanted: u16) -> bool {
        if self.looked.is_some_and(|at| at.elapsed() < Duration::from_millis(500)) {
            return false;
        }
        self.looked = Some(Instant::now());
        let tree = kept.tree();
        let listening = listeners::of(&tree);
        let cpu_ticks: u64 = tree.iter().filter_map(|&pid| Stat::read(pid)).map(|stat| stat.cpu_ticks).sum();
        let ours = |a: &SocketAddr| a.port() == wanted && reachable_from_loopback(a);
        if listening.is_empty() || listening.iter().any(ours) {
            self.since = None;
            return false;
        }
        match self.since {
            Some((at, used))
                if listening == self.listening && cpu_ticks.saturating_sub(used) < STARTING_CPU_TICKS =>
            {
                at.elapsed() >= IDLE_ELSEWHERE
            }
            _ => {
                self.listening = listening;
                self.since = Some((Instant::now(), cpu_ticks));
                false
            }
        }
    }
}

fn how_to_speak(speaks: Protocol) -> &'static str {
    match speaks {
        Protocol { tls: true, .. } => "it speaks TLS there: write `tls = true` under [app]",
        Protocol { http: Some(HttpVersion::Two), .. } => "in HTTP/2 only: write `http = \"2\"` under [app]",
        _ => "in plain HTTP/1.1: take `tls` and `http` out of [app]",
    }
}

fn seconds(span: &Duration) -> String {
    if span.as_secs() >= 2 { format!("{}s", span.as_secs()) } else { format!("{}ms", span.as_millis()) }
}

fn ports(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let word = if ports.len() == 1 { "port" } else { "ports" };
    format!("{word} {}", ports.join(", "))
}

fn addresses(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}
