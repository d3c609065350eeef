//! `fissure init`: write a fissure.toml from what is found.

use crate::cli::InitArgs;
use crate::exit::{Exit, Failure};
use crate::init::{self, InitError};
use crate::project::CONFIG_NAME;

pub fn init(args: &InitArgs) -> Result<Exit, Failure> {
    let guess = init::guess(&args.folder);
    let saved = init::save(&args.folder, &guess, args.force).map_err(|error| {
        let exit = match error {
            InitError::AlreadyThere(_) | InitError::NotAFolder(_) => Exit::Usage,
            InitError::CannotWrite { .. } => Exit::CouldNotTell,
        };
        Failure::new(exit, error)
    })?;
    for reason in &guess.facts {
        let doubt = if reason.sure { "" } else { " (a guess: look at it)" };
        anstream::println!("{}: {}{doubt}", reason.what, reason.why);
    }
    anstream::println!("wrote {}", saved.config.display());
    if let Some(journey) = saved.journey {
        anstream::println!(
            "wrote {}: one user who opens the first page; add what your users really do",
            journey.display()
        );
    }
    for missing in &guess.missing {
        anstream::println!("missing: {missing}");
    }
    anstream::println!("next: look at {CONFIG_NAME}, then run `fissure check`");
    Ok(if guess.missing.is_empty() { Exit::Met } else { Exit::CouldNotTell })
}
