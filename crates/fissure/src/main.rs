//! `fissure`: is the server holding up, and if not, what is the simplest thing that helps?
//!
//! Only this crate prints, reads arguments and the environment, and sets exit codes. Only `lab` talks to both the rig
//! and the judge.

mod cli;
mod commands;
mod exit;
mod init;
mod lab;
mod load;
mod progress;
mod project;
mod runs;
mod up;
mod users;

use std::process::ExitCode;

use crate::cli::{Cli, Verb};

fn main() -> ExitCode {
    let outcome = match Cli::parse_or_exit().verb {
        Verb::Demo(args) => commands::demo::demo(&args),
        Verb::Init(args) => commands::init::init(&args),
        Verb::Check(args) => commands::check::check(&args),
        Verb::Isolate(args) => commands::isolate::isolate(&args),
        Verb::Chaos(args) => commands::chaos::chaos(&args),
        Verb::Load(args) => commands::load::load(&args),
        Verb::Export(args) => commands::export::export(&args),
        Verb::Report(args) => commands::report::report(&args),
        Verb::Split(args) => commands::split::split(&args),
        Verb::Up(args) => commands::up::up(&args),
        Verb::Doctor(args) => commands::doctor::doctor(&args),
        Verb::Users(args) => commands::users::users(&args),
        // The hands: the same executable, started by fissure itself so that their CPU is accounted apart.
        Verb::Guard => return ExitCode::from(fissure_rig::keeper::guard() as u8),
        Verb::Crowd => return ExitCode::from(fissure_rig::crowd::child() as u8),
        Verb::Cache => return ExitCode::from(fissure_rig::cache::child() as u8),
        Verb::PhotoShop => commands::demo::photo_shop(),
    };
    outcome.unwrap_or_else(exit::Failure::tell).into()
}
