//! `fissure users`: journeys out of traffic, and what is known of them.

mod import;
mod list;
mod refused;
mod replay;

use crate::cli::{UsersArgs, UsersVerb};
use crate::exit::{Exit, Failure};

pub fn users(args: &UsersArgs) -> Result<Exit, Failure> {
    match &args.verb {
        None => list::list(&args.project),
        Some(UsersVerb::Import(import)) => import::import(&args.project, import),
        Some(UsersVerb::Replay(replay)) => replay::replay(&args.project, replay.in_place, None),
    }
}
