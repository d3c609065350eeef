//! The keeper: starts the app and never leaves anything behind.
//!
//! Every process of an arrangement runs under a small *guard*: fissure's own program with a hidden subcommand,
//! holding a pipe to fissure. The guard is child subreaper, so that even daemons come back to it, and it ends the
//! whole tree when the pipe closes, which the kernel does on any end of fissure, `kill -9` included. If the guard
//! itself is killed, the app's main process dies with it and fissure ends the rest by their mark in the environment;
//! if both are killed at once, [`sweep`] does so at the next start.
//!
//! **Invariant:** nobody but processes below our own guards is ever signalled.

mod attach_socket;
mod cpu_split;
mod guard;
mod health;
mod intercept;
mod kept;
mod listeners;
mod mark;
mod moved_port;
mod port;
mod protocol;
mod ready;
mod setup;

pub use cpu_split::{CpuSplit, cpu_split};
pub use guard::guard;
pub use intercept::{Intercept, can_intercept};
pub use kept::{KeepError, Kept};
pub use mark::sweep;
pub use moved_port::MovedPort;
pub use port::{free_port, port_taken};
pub use protocol::Launch;
pub use ready::{NotReady, wait_ready};
pub use setup::{SetupError, setup};

/// The hidden subcommand whose body is [`guard`].
pub const GUARD: &str = "__guard";
