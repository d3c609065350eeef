//! The nouns of fissure, as they lie on disk.
//!
//! Everything that touches the machine only *adds facts*; everything that concludes is a *function of facts*;
//! everything shown is a *function of facts and verdict*. This crate holds the facts and knows nobody else.
//!
//! **Invariant:** nothing here concludes. A fact is something seen, in the past tense, with a time.

pub mod address;
pub mod arrangement;
pub mod arrivals;
pub mod config;
pub mod database;
pub mod estimate;
pub mod examination;
pub mod fact;
pub mod fault;
mod fold;
pub mod histogram;
pub mod journal;
pub mod journey;
pub mod lines;
pub mod profile;
pub mod protocol;
pub mod read_back;
pub mod recording;
pub mod route;
pub mod run;
pub mod shadow;
pub mod statements;
pub mod step;
pub mod traffic;
pub mod window;

pub use address::Address;
pub use arrangement::{Arrangement, Role};
pub use arrivals::{Arrivals, Spacing, Stretch};
pub use config::Config;
pub use database::DatabaseServer;
pub use estimate::Estimate;
pub use fact::{Fact, Stamped};
pub use fault::{Fault, FaultKind, Target, Trigger};
pub use histogram::Latencies;
pub use profile::Profile;
pub use protocol::{HttpVersion, Protocol};
pub use read_back::{FoundBy, ReadBack, ReadCount, Reading, WriteEnd, WriteSent};
pub use recording::Recording;
pub use route::Route;
pub use run::{Header, JourneyOutline, Machine, OutlineStep, Run};
pub use shadow::{ShadowPlan, Topology};
pub use statements::Statements;
pub use step::{Emphasis, Load, Purpose, Step, WindowPlan};
pub use traffic::Exchange;
pub use window::Window;
