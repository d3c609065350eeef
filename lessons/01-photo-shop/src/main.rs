//! The shop on its own: `PORT=8000 photo-shop` serves the current folder.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let port = match std::env::var("PORT").map(|text| text.parse::<u16>()) {
        Err(_) => 8000,
        Ok(Ok(port)) => port,
        Ok(Err(_)) => return fail("$PORT is not a port number"),
    };
    match photo_shop::main(Path::new("."), port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "photo-shop: {why}");
    ExitCode::FAILURE
}
