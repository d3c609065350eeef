//! The hands of fissure: keeper, crowd, lens, scratch copies.
//!
//! **Invariant:** the rig only adds facts; it never concludes. Instruments are siblings that do not import each other.
//! What it changes on the machine is undone on drop, and by a small child process when fissure is killed.

pub mod cache;
pub mod crowd;
pub mod door;
mod examine;
pub mod faults;
pub mod journey;
pub mod keeper;
pub mod lens;
mod postgres;
mod process;
pub mod scratch;
pub mod shadow;
mod sock_diag;
mod tcp_table;
mod timerfd;
mod tls;
mod weight;
pub mod wire;

pub use examine::examine;
