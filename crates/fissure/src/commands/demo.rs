//! `fissure demo`: the whole story on the embedded photo shop.
//!
//! The shop is unpacked into a folder and checked exactly as a foreign app is; nothing outside this file knows it.

use std::path::{Path, PathBuf};

use crate::cli::DemoArgs;
use crate::commands::check;
use crate::exit::{Exit, Failure};
use crate::project::{CONFIG_NAME, Project};
use crate::runs;

pub fn demo(args: &DemoArgs) -> Result<Exit, Failure> {
    let folder = args.folder.clone().unwrap_or_else(fresh_folder);
    unpack(&folder).map_err(|e| {
        Failure::new(Exit::CouldNotTell, format!("{} cannot be written: {e}.", folder.display()))
    })?;
    if !args.measure.json {
        anstream::eprintln!(
            "A small photo shop is unpacked in {} and checked like any app.\n",
            folder.display()
        );
    }
    let mut project = Project::load(&folder)?;
    check::measure(&mut project, "demo", false, &args.measure)
}

/// The shop itself: the hidden verb that its `fissure.toml` names.
pub fn photo_shop() -> Result<Exit, Failure> {
    let port = std::env::var("PORT").ok().and_then(|p| p.parse().ok()).unwrap_or(8000);
    ::photo_shop::main(Path::new("."), port)
        .map(|()| Exit::Met)
        .map_err(|e| Failure::new(Exit::NotStarted, format!("the photo shop ended: {e}.")))
}

fn fresh_folder() -> PathBuf {
    std::env::temp_dir().join(format!("fissure-demo-{}", runs::new_name(rand::random())))
}

fn unpack(folder: &Path) -> std::io::Result<()> {
    let program = std::env::current_exe()?;
    for (name, bytes) in ::photo_shop::FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, bytes)?;
        if *name == CONFIG_NAME {
            // The lesson starts the shop's own program; the demo starts the one that is embedded here.
            let embedded = format!("\"exec '{}' __photo-shop\"", program.display());
            let text = String::from_utf8_lossy(bytes).replace("\"photo-shop\"", &embedded);
            std::fs::write(&path, text)?;
        }
    }
    Ok(())
}
