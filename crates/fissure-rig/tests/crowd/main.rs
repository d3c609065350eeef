//! The crowd against real servers, through its real process.

#![expect(clippy::unwrap_used, reason = "tests may")]

mod acknowledge;
mod cost;
mod honesty;
mod hostile;
mod http2;
mod live;
mod load;
mod modern;
mod process;
mod server;
mod sessions;
mod stall;
mod threads;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use fissure_facts::fact::{CrowdSecond, ErrorClass, PlayedStep, RouteSecond, WindowEnd};
use fissure_facts::{Load, Route};
use fissure_rig::crowd::{Crowd, CrowdError, CrowdEvent, CrowdPlan, JourneySource, Mode, ProblemSeen};

pub const HANDS: &str = env!("CARGO_BIN_EXE_fissure-hands");

/// Everything a crowd said.
#[derive(Debug, Default)]
pub struct Heard {
    pub seconds: Vec<CrowdSecond>,
    pub end: Option<WindowEnd>,
    pub problems: Vec<ProblemSeen>,
    pub played: Vec<(String, Vec<PlayedStep>)>,
    pub error: Option<String>,
}

impl Heard {
    /// The seconds of a route together.
    pub fn route(&self, route: &str) -> RouteSecond {
        let route: Route = route.parse().unwrap();
        let mut sum = RouteSecond::default();
        for seen in self.seconds.iter().filter_map(|s| s.routes.get(&route)) {
            sum.latency.add(&seen.latency);
            sum.service.add(&seen.service);
            sum.bytes += seen.bytes;
            for (class, count) in &seen.errors {
                *sum.errors.entry(*class).or_default() += count;
            }
        }
        sum
    }

    pub fn errors(&self) -> BTreeMap<ErrorClass, u64> {
        let mut sum = BTreeMap::new();
        for (class, count) in self.seconds.iter().flat_map(|s| s.routes.values()).flat_map(|r| &r.errors) {
            *sum.entry(*class).or_default() += count;
        }
        sum
    }

    /// No error of any kind, and something was done.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.error.is_none() && self.problems.is_empty(), "{self:#?}");
        assert!(self.errors().is_empty(), "{:?}", self.errors());
        assert!(self.seconds.iter().any(|s| !s.routes.is_empty()), "nothing was done");
    }
}

pub fn plan(web: SocketAddr, mode: Mode, journeys: &[&str]) -> CrowdPlan {
    let source = |(n, text): (usize, &&str)| JourneySource {
        name: format!("journey-{n}.hurl"),
        text: (*text).to_owned(),
        weight: 1.0,
        folder: ".".into(),
    };
    CrowdPlan {
        mode,
        journeys: journeys.iter().enumerate().map(source).collect(),
        targets: [("web".to_owned(), vec![web])].into(),
        think_max_s: 1.0,
        timeout_s: 5.0,
        seed: 7,
        ..CrowdPlan::default()
    }
}

pub fn open(users_per_s: f64, seconds: u32) -> Mode {
    Mode::Hold { window: 1, load: Load::Open { users_per_s }, emphasis: None, warmup_s: 0.05, seconds }
}

pub fn closed(users: u32, seconds: u32) -> Mode {
    Mode::Hold { window: 1, load: Load::Closed { users }, emphasis: None, warmup_s: 0.05, seconds }
}

/// Plays a plan to its end.
pub fn run(plan: &CrowdPlan) -> Heard {
    run_with(plan, async |_| ())
}

/// Plays a plan; `meanwhile` runs as soon as the crowd has started.
pub fn run_with(plan: &CrowdPlan, meanwhile: impl AsyncFnOnce(&mut Crowd)) -> Heard {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut crowd = Crowd::start(Path::new(HANDS), plan).await.unwrap();
        let first = crowd.next().await;
        assert!(matches!(first, Some(Ok(CrowdEvent::Started { pid })) if pid == crowd.pid()), "{first:?}");
        meanwhile(&mut crowd).await;
        listen(&mut crowd).await
    })
}

pub async fn listen(crowd: &mut Crowd) -> Heard {
    let mut heard = Heard::default();
    while let Some(event) = crowd.next().await {
        match event {
            Ok(
                CrowdEvent::Started { .. }
                | CrowdEvent::Write(_)
                | CrowdEvent::Shown(_)
                | CrowdEvent::ReadBack(_),
            ) => {}
            Ok(CrowdEvent::Played { journey, steps }) => heard.played.push((journey, steps)),
            Ok(CrowdEvent::Second(second)) => heard.seconds.push(second),
            Ok(CrowdEvent::Ended(end)) => heard.end = Some(end),
            Ok(CrowdEvent::Problem(problem)) => heard.problems.push(problem),
            Err(e @ (CrowdError::Refused(_) | CrowdError::Died { .. })) => heard.error = Some(e.to_string()),
            Err(e) => panic!("{e}"),
        }
    }
    heard
}
