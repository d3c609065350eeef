//! `fissure init`: write a fissure.toml from what is found.

use crate::cli::InitArgs;
use crate::exit::{Exit, Failure};
use crate::init;
use crate::project::CONFIG_NAME;

pub fn init(args: &InitArgs) -> Result<Exit, Failure> {
    let file = args.folder.join(CONFIG_NAME);
    if file.exists() && !args.force {
        let sentence = format!("{} is there already: --force overwrites it.", file.display());
        return Err(Failure::new(Exit::Usage, sentence));
    }
    let guess = init::guess(&args.folder);
    for reason in &guess.facts {
        let doubt = if reason.sure { "" } else { " (a guess: look at it)" };
        anstream::println!("{}: {}{doubt}", reason.what, reason.why);
    }
    let unwritable = |e: std::io::Error| Failure::new(Exit::CouldNotTell, format!("{} cannot be written: {e}.", file.display()));
    std::fs::write(&file, init::write_toml(&guess)).map_err(unwritable)?;
    anstream::println!("wrote {}", file.display());

    let journeys = args.folder.join("journeys");
    let has_journey = std::fs::read_dir(&journeys)
        .is_ok_and(|mut d| d.any(|e| e.is_ok_and(|e| e.path().extension().is_some_and(|x| x == "hurl"))));
    if !has_journey {
        let first = journeys.join("home.hurl");
        std::fs::create_dir_all(&journeys)
            .and_then(|()| std::fs::write(&first, init::first_journey(&guess)))
            .map_err(unwritable)?;
        anstream::println!("wrote {}: one user who opens the first page; add what your users really do", first.display());
    }
    for missing in &guess.missing {
        anstream::println!("missing: {missing}");
    }
    anstream::println!("next: look at {CONFIG_NAME}, then run `fissure check`");
    Ok(if guess.missing.is_empty() { Exit::Met } else { Exit::CouldNotTell })
}
