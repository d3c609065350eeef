//! A step: one thing to do next.

use serde::{Deserialize, Serialize};

use crate::{Arrangement, Arrivals, Fault, Reading, Route, ShadowPlan, Spacing};

/// What the lab does next. A planner answers with one of these; the rig performs it and adds facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Start this arrangement (if it is not running yet) and play each journey once, alone.
    Play { arrangement: Arrangement },
    /// The same, while the crowd acknowledges at once whatever it receives (no delayed ACK): what an app gains by it that
    /// waits for the acknowledgement of a small packet before it sends the next (Nagle's algorithm).
    PlayAcknowledging { arrangement: Arrangement },
    /// Hold a load on an arrangement for so long.
    Hold(WindowPlan),
    /// Play the journeys, one user after another, on a stack of its own, and keep every answer.
    Shadow(ShadowPlan),
    /// End this arrangement, so that what comes next begins with a fresh one, and with the app's data as they were.
    Renew { arrangement: Arrangement },
    /// Nothing more is worth measuring.
    Finish,
}

/// One window of load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowPlan {
    /// Counts up from 1 within a run; joins a plan with its seconds and samples.
    pub window: u32,
    pub purpose: Purpose,
    pub arrangement: Arrangement,
    pub load: Load,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emphasis: Option<Emphasis>,
    /// Load that is played but not measured, before the window.
    pub warmup_s: f64,
    /// The pauses of a visit that are longer than this, added up, are all shortened alike until they are not, and users
    /// arrive more evenly by as much: the same requests come at the same rate, from fewer users at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit_max_s: Option<f64>,
    /// Whole seconds that are measured.
    pub seconds: u32,
    pub seed: u64,
}

impl WindowPlan {
    /// Writes that are looked for when the window is over.
    pub fn read_back(&self) -> &[Reading] {
        match &self.purpose {
            Purpose::Fault(fault) => &fault.read_back,
            Purpose::Unharmed { read_back } => read_back,
            _ => &[],
        }
    }
}

/// Why a window is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// What the app does flat out, closed loop.
    Saturate,
    /// Which route costs what.
    Demand,
    /// The largest load that meets the goal.
    Capacity,
    /// Profilers look into the app. Nothing that was measured here counts for anything else.
    Profile,
    /// The same while hardly anybody asks: what runs then runs by itself.
    ProfileAtRest,
    /// An arrangement against the whole, in blocks of randomised order; windows of one block are neighbours in time.
    Rehearse { block: u32 },
    /// A load that the user asked for (`fissure load`).
    Asked,
    /// What a fault spoils: a part before it, a part with it, a part after it.
    Fault(Box<Fault>),
    /// The same without a fault: what is seen then is no fault's doing.
    Unharmed { read_back: Vec<Reading> },
}

impl Purpose {
    /// Profilers look into the app.
    pub fn is_profile(&self) -> bool {
        matches!(self, Self::Profile | Self::ProfileAtRest)
    }
}

/// How users arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Load {
    /// Users arrive by a Poisson process and do not wait for answers to arrive; each plays one journey and leaves.
    Open { users_per_s: f64 },
    /// So many users, each starting a new journey as soon as the last one ended, without think times.
    Closed { users: u32 },
    /// The same as open, with an intensity that changes or arrivals like a clock's.
    Arriving(Arrivals),
}

impl Load {
    /// The arrivals of an open load; None for a closed one, in which nobody arrives.
    pub fn arrivals(&self) -> Option<Arrivals> {
        match self {
            Self::Open { users_per_s } => Some(Arrivals::steady(Spacing::Poisson, *users_per_s)),
            Self::Arriving(arrivals) => Some(arrivals.clone()),
            Self::Closed { .. } => None,
        }
    }

    /// Users come whether or not those before them have been answered.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }
}

/// Makes the cost of `route` stand out: its requests are repeated `times` in a row wherever a journey has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emphasis {
    pub route: Route,
    pub times: u32,
    /// Journeys end behind the route, and those without it are not played: for requests that only work once, such as a
    /// form with a token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends: bool,
}
