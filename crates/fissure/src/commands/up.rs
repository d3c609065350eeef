//! `fissure up`: the app behind the front door, for people to click through; what they do is recorded.

use fissure_facts::Arrangement;

use crate::cli::UpArgs;
use crate::exit::{Exit, Failure};
use crate::project::Project;
use crate::up;

pub fn up(args: &UpArgs) -> Result<Exit, Failure> {
    let project = Project::without_users(&args.project)?;
    up::serve(&project, &Arrangement::whole(), &args.door)
}
