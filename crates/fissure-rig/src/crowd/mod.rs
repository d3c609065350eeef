//! The crowd: many users at once, in a process of their own so that their CPU is accounted apart.
//!
//! `Crowd` is the parent's side; `child` is the body of the hidden subcommand `__crowd`. The plan goes down as one JSON
//! line on standard input, events come up as JSON lines on standard output.
//!
//! **Invariant:** latency counts from the planned instant of a request. Nothing that happens to one user (a slow answer,
//! a connection that is made, a limit that is full) delays the arrival of another.

mod arrivals;
mod child;
mod connection;
mod dispatch;
mod draft;
mod engine;
mod event;
mod jar;
mod kept;
mod live;
mod merge;
mod own_host;
mod parent;
mod plan;
mod recorder;
mod redirect;
mod script;
mod solo;
mod timer;
mod user;
mod written;

pub use child::child;
pub use event::{CrowdEvent, ProblemSeen};
pub use own_host::{Destination, resolve};
pub use parent::{CROWD, Crowd, CrowdError};
pub use plan::{CrowdPlan, JourneySource, Mode};
pub use solo::{Solo, SoloStep};
pub use timer::monotonic_ns;
