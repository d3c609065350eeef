//! Facts: what was seen, in the past tense, with a time. Never a conclusion.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::shadow::{ShadowEnd, ShadowedStep, Twinned};
use crate::{Latencies, Profile, ReadBack, Reading, Route, Statements, Step, WriteSent};

/// A fact and when it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Seconds since the run began, by the monotonic clock.
    pub at_s: f64,
    #[serde(flatten)]
    pub fact: Fact,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A step was begun.
    StepBegan {
        step: Step,
        /// One line for the person who watches.
        why: String,
    },
    /// An arrangement was started and answered its health check.
    Staged { arrangement: String, processes: Vec<StagedProcess>, ready_ms: f64 },
    /// An arrangement could not be started.
    StageFailed { arrangement: String, failure: StageFailure },
    /// A journey was played alone, step by step.
    JourneyPlayed { arrangement: String, journey: String, steps: Vec<PlayedStep> },
    /// It was played alone by a user who acknowledged at once what was received.
    PlayedAcknowledging { journey: String, steps: Vec<PlayedStep> },
    /// One second of a window, as the crowd saw it.
    SecondPassed(CrowdSecond),
    /// One second of a window, as the probes saw it.
    Sampled(ProbeSecond),
    /// A window was over.
    WindowEnded(WindowEnd),
    /// The first example of what went wrong for a user on a route.
    ProblemSeen {
        window: u32,
        /// The file that was played.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        journey: String,
        route: Route,
        class: ErrorClass,
        sentence: String,
    },
    /// What a profiler saw in a window that was held for it.
    Profiled(Profile),
    /// What a database was seen to work at in such a window.
    StatementsSeen(Statements),
    /// A step of a journey was answered in a shadow.
    Shadowed(ShadowedStep),
    /// A request was sent twice at the same instant.
    Twinned(Twinned),
    /// A shadow was over.
    ShadowEnded(ShadowEnd),
    /// A process of the app ended although nobody asked it to.
    ChildDied { arrangement: String, role: String, replica: u32, how: String, last_lines: Vec<String> },
    /// The fault of a window came into force, at the beginning of this measured second.
    FaultInjected { window: u32, second: u32 },
    /// It was lifted, at the beginning of this measured second.
    FaultLifted { window: u32, second: u32 },
    /// It could not be injected.
    FaultNotTried { window: u32, why: String },
    /// A request that may write was sent while its journey was played alone.
    WriteSent(WriteSent),
    /// A later page of the journey showed what it had written.
    WriteShown(Reading),
    /// Bytes went over these of the links that were watched, while a route was asked for alone.
    LinksTouched { route: Route, links: Vec<String>, watched: Vec<String> },
    /// The writes of a window were looked for when it was over.
    ReadBack(ReadBack),
    /// Something was left out or fell away, in a sentence for the report (no port free for a second copy, ...).
    LeftOut { what: String, why: String },
    /// The user pressed Ctrl-C, or the machine asked fissure to end.
    Interrupted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StagedProcess {
    pub role: String,
    pub replica: u32,
    pub pid: u32,
    pub port: u16,
}

/// Why an arrangement could not be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageFailure {
    /// What happened, whose fault it is and what to try, as sentences.
    pub sentence: String,
    /// The last lines that the app printed.
    pub last_lines: Vec<String>,
}

/// One step of a journey that was played alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlayedStep {
    pub route: Route,
    pub line: u32,
    /// None when no answer came.
    pub status: Option<u16>,
    pub latency_us: u64,
    pub bytes: u64,
    /// What was wrong with the answer, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Classes of errors. An answer that is not what the journey expects is an error, not a fast success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Nobody listened.
    Refused,
    /// The connection was closed or reset before anything of the answer came.
    Reset,
    /// The connection was closed or reset in the middle of the answer.
    CutShort,
    /// No whole answer within the time limit.
    Timeout,
    /// TLS could not be agreed on, or the certificate does not hold.
    Tls,
    /// The answer was not HTTP, or its framing was broken.
    Malformed,
    /// The answer was larger than the crowd reads: its head, or a body that somebody looks at, as sent or unpacked.
    TooLarge,
    /// Another status than the journey expects.
    Status,
    /// An assert of the journey failed, or a capture found nothing.
    Assert,
    /// The crowd itself could not send: no port, no file descriptor, a variable without a value.
    Crowd,
}

/// What happened to one route in one second. A request counts in the second in which it ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RouteSecond {
    /// Right answers, from the planned instant of the request to the last byte of its answer.
    pub latency: Latencies,
    /// The same answers, from the instant the request was really sent.
    pub service: Latencies,
    /// Of these answers, those that came over a connection that was opened for them ...
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first: u64,
    /// ... and how long they took together, from the instant the request was really sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first_us: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<ErrorClass, u64>,
    /// Right answers that came behind the window's last second, in which they are counted because they were due before its end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late: u64,
    /// Bytes of answer bodies.
    #[serde(default)]
    pub bytes: u64,
}

impl RouteSecond {
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests that ended, right or wrong, the late ones too.
    pub fn ended(&self) -> u64 {
        self.latency.count() + self.error_count()
    }

    /// Right answers that came within the second: what the app got done in it.
    pub fn right(&self) -> u64 {
        self.latency.count().saturating_sub(self.late)
    }

    /// Requests that ended within the second, right or wrong.
    pub fn done(&self) -> u64 {
        self.right() + self.error_count()
    }

    /// Exact: nothing is lost when histograms are added.
    pub fn add(&mut self, other: &Self) {
        let Self { latency, service, first, first_us, errors, late, bytes } = other;
        self.latency.add(latency);
        self.service.add(service);
        self.first += first;
        self.first_us += first_us;
        self.late += late;
        self.bytes += bytes;
        for (&class, count) in errors {
            *self.errors.entry(class).or_default() += count;
        }
    }
}

/// One measured second of a window, as the crowd saw it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CrowdSecond {
    pub window: u32,
    /// 0 is the first measured second.
    pub second: u32,
    /// Later seconds that were folded into this one: none in the journal, some in the memory of a long test.
    #[serde(skip)]
    pub folded: u32,
    pub routes: BTreeMap<Route, RouteSecond>,
    /// Users that arrived.
    pub users_arrived: u64,
    /// Users inside a journey at the end of the second.
    pub users_inside: u64,
    /// Requests planned to be sent in this second.
    pub planned: u64,
    /// Requests waiting for their answer at the end of the second.
    pub in_flight: u64,
    /// How late the crowd itself was: from the planned instant to the instant it turned to the request.
    pub lateness: Latencies,
    /// Connections opened.
    pub connects: u64,
    /// Of those, connections in place of one that the app had closed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reconnects: u64,
    /// How long each connection took until TCP stood; this is part of the latency of the request that opened it. Names are
    /// looked up once, before the first user, so that no time of a name server is in it.
    #[serde(default, skip_serializing_if = "Latencies::is_empty")]
    pub connect: Latencies,
    /// How long the handshake of TLS took after that, where there was one.
    #[serde(default, skip_serializing_if = "Latencies::is_empty")]
    pub handshake: Latencies,
}

impl CrowdSecond {
    pub fn length_s(&self) -> f64 {
        f64::from(self.folded + 1)
    }

    /// The same second, as another part of the crowd saw it.
    pub fn add(&mut self, other: &Self) {
        // In full, so that a new field cannot be forgotten here.
        let Self {
            window: _,
            second: _,
            folded: _,
            routes,
            users_arrived,
            users_inside,
            planned,
            in_flight,
            lateness,
            connects,
            reconnects,
            connect,
            handshake,
        } = other;
        for (route, seen) in routes {
            self.routes.entry(route.clone()).or_default().add(seen);
        }
        self.users_arrived += users_arrived;
        self.users_inside += users_inside;
        self.planned += planned;
        self.in_flight += in_flight;
        self.lateness.add(lateness);
        self.connects += connects;
        self.reconnects += reconnects;
        self.connect.add(connect);
        self.handshake.add(handshake);
    }
}

/// Cumulative counters are turned into differences over the second before they become facts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProbeSecond {
    pub window: u32,
    pub second: u32,
    /// How long the second really was, in seconds.
    pub elapsed_s: f64,
    /// CPU of the app's process trees.
    pub app_cpu_s: f64,
    /// The same by role.
    pub role_cpu_s: BTreeMap<String, f64>,
    /// CPU of every thread of the app that used more than 1 % of this second's app CPU, descending.
    pub thread_cpu_s: Vec<f64>,
    /// Time that runnable threads of the app waited for a CPU.
    pub app_run_delay_s: f64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    /// At the end of the second.
    pub rss_bytes: u64,
    pub fds: u64,
    pub threads: u64,
    pub processes: u64,
    /// Bytes read from and written to storage (`/proc/PID/io`).
    pub read_bytes: u64,
    pub write_bytes: u64,
    /// CPU of the crowd.
    pub crowd_cpu_s: f64,
    /// Time that the crowd's threads waited for a CPU.
    pub crowd_run_delay_s: f64,
    /// CPU of the programs on this machine that the app is connected to: a database, a cache. They are part of what is tried.
    #[serde(default)]
    pub linked_cpu_s: f64,
    /// CPU that processes other than app, linked programs, crowd and fissure used on the app's CPU set.
    pub other_cpu_s: f64,
    /// Time that the hypervisor gave to somebody else, summed over the app's CPU set and the crowd's.
    pub steal_s: f64,
    /// Pressure stall information of the machine: share of the second in which some task waited for a CPU; None where the kernel has none.
    #[serde(default)]
    pub psi_cpu_some: Option<f64>,
    #[serde(default)]
    pub psi_io_some: Option<f64>,
    #[serde(default)]
    pub psi_memory_some: Option<f64>,
    /// Free memory of the machine at the end of the second.
    pub memory_available_bytes: u64,
}

/// The totals of a window, when it was over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowEnd {
    pub window: u32,
    /// Requests that were planned in the measured seconds.
    pub planned: u64,
    /// Of those, requests that were still without an answer when the window and its grace were over, by route. They count
    /// as errors of class timeout for the judge.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unanswered: BTreeMap<Route, u64>,
    /// Users whose arrival was planned in the measured seconds, when the load is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users_planned: Option<u64>,
    /// Why the window ended early (the app died, the crowd ran out of ports, ...), if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
}

impl WindowEnd {
    /// The same window, as another part of the crowd saw it.
    pub fn add(&mut self, other: &Self) {
        let Self { window: _, planned, unanswered, users_planned, cut_short } = other;
        self.planned += planned;
        for (route, count) in unanswered {
            *self.unanswered.entry(route.clone()).or_default() += count;
        }
        if let Some(users) = users_planned {
            *self.users_planned.get_or_insert_default() += users;
        }
        self.cut_short = self.cut_short.take().or_else(|| cut_short.clone());
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
