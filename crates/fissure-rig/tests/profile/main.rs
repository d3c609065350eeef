//! The profilers against small programs in which a line was planted.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what is skipped is said, and what is measured"
)]

mod cost;
mod go;
mod java;
mod native;
mod node;
mod php;
mod program;
mod python;
mod ruby;
#[cfg(target_arch = "x86_64")]
mod waits;
