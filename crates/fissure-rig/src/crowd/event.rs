//! What a crowd says.

use std::collections::BTreeMap;
use std::fmt;

use fissure_facts::fact::{CrowdSecond, ErrorClass, PlayedStep, RouteSecond, WindowEnd};
use fissure_facts::{Latencies, ReadBack, Reading, Route, WriteSent};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "of", rename_all = "snake_case")]
pub enum CrowdEvent {
    Started {
        pid: u32,
    },
    /// A journey was played alone.
    Played {
        journey: String,
        steps: Vec<PlayedStep>,
    },
    /// One measured second.
    Second(#[serde(with = "plain_second")] CrowdSecond),
    Ended(WindowEnd),
    /// A journey that is played alone sent something that may write.
    Write(WriteSent),
    /// A later page of it showed what was written.
    Shown(Reading),
    /// What became of a window's writes.
    ReadBack(ReadBack),
    Problem(ProblemSeen),
}

/// The first example of what went wrong on a route, so that a person can see why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProblemSeen {
    pub journey: String,
    pub route: Route,
    pub class: ErrorClass,
    /// With the line of the journey.
    pub sentence: String,
}

/// Two wrong statuses on one route are two things: who is told of a 404 must also hear of a 500.
pub(super) fn kind_of(class: ErrorClass, sentence: &str) -> &str {
    if class == ErrorClass::Status { sentence.split(" (").next().unwrap_or_default() } else { "" }
}

impl fmt::Display for ProblemSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: {}", self.route, self.journey, self.sentence)
    }
}

/// A second between child and parent. The standard encoding of a histogram is made for the disk: it takes tens of
/// microseconds each, on the very CPU that has to be punctual. So (value, count) pairs travel, and the parent encodes.
mod plain_second {
    use serde::{Deserializer, Serializer};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Pairs(Vec<(u64, u64)>);

    impl From<&Latencies> for Pairs {
        fn from(latencies: &Latencies) -> Self {
            Self(latencies.buckets().collect())
        }
    }

    impl From<Pairs> for Latencies {
        fn from(pairs: Pairs) -> Self {
            let mut latencies = Self::new();
            for (us, count) in pairs.0 {
                latencies.record_many_us(us, count);
            }
            latencies
        }
    }

    #[derive(Serialize, Deserialize)]
    struct PlainRoute {
        latency: Pairs,
        service: Pairs,
        first: u64,
        first_us: u64,
        errors: BTreeMap<ErrorClass, u64>,
        late: u64,
        bytes: u64,
    }

    #[derive(Serialize, Deserialize)]
    struct PlainSecond {
        window: u32,
        second: u32,
        routes: BTreeMap<Route, PlainRoute>,
        users_arrived: u64,
        users_inside: u64,
        planned: u64,
        in_flight: u64,
        lateness: Pairs,
        connects: u64,
        connect: Pairs,
        handshake: Pairs,
        reconnects: u64,
    }

    pub(super) fn serialize<S: Serializer>(second: &CrowdSecond, serializer: S) -> Result<S::Ok, S::Error> {
        let route = |r: &RouteSecond| PlainRoute {
            latency: (&r.latency).into(),
            service: (&r.service).into(),
            first: r.first,
            first_us: r.first_us,
            errors: r.errors.clone(),
            late: r.late,
            bytes: r.bytes,
        };
        PlainSecond {
            window: second.window,
            second: second.second,
            routes: second.routes.iter().map(|(name, r)| (name.clone(), route(r))).collect(),
            users_arrived: second.users_arrived,
            users_inside: second.users_inside,
            planned: second.planned,
            in_flight: second.in_flight,
            lateness: (&second.lateness).into(),
            connects: second.connects,
            connect: (&second.connect).into(),
            handshake: (&second.handshake).into(),
            reconnects: second.reconnects,
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CrowdSecond, D::Error> {
        let plain = PlainSecond::deserialize(deserializer)?;
        let route = |r: PlainRoute| RouteSecond {
            latency: r.latency.into(),
            service: r.service.into(),
            first: r.first,
            first_us: r.first_us,
            errors: r.errors,
            late: r.late,
            bytes: r.bytes,
        };
        Ok(CrowdSecond {
            window: plain.window,
            second: plain.second,
            folded: 0,
            routes: plain.routes.into_iter().map(|(name, r)| (name, route(r))).collect(),
            users_arrived: plain.users_arrived,
            users_inside: plain.users_inside,
            planned: plain.planned,
            in_flight: plain.in_flight,
            lateness: plain.lateness.into(),
            connects: plain.connects,
            connect: plain.connect.into(),
            handshake: plain.handshake.into(),
            reconnects: plain.reconnects,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_arrives_as_it_was_sent() {
        let mut latency = Latencies::new();
        for us in [1, 80, 90_000, 70_000_000] {
            latency.record_us(us);
        }
        let route = RouteSecond {
            service: latency.clone(),
            first: 3,
            first_us: 70_000_081,
            errors: [(ErrorClass::Timeout, 2)].into(),
            late: 3,
            bytes: 9,
            latency: latency.clone(),
        };
        let event = CrowdEvent::Second(CrowdSecond {
            window: 3,
            second: 1,
            folded: 0,
            routes: [("GET /a/{id}".parse().unwrap(), route)].into(),
            users_arrived: 4,
            users_inside: 5,
            planned: 6,
            in_flight: 7,
            lateness: latency.clone(),
            connects: 8,
            connect: latency.clone(),
            handshake: latency,
            reconnects: 9,
        });
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<CrowdEvent>(&line).unwrap(), event);
    }
}
