//! `fissure doctor`: what this machine allows, what falls away without it, and what to do.

use fissure_show::doctor;

use crate::cli::DoctorArgs;
use crate::commands::check::{print_json, width};
use crate::exit::{Exit, Failure};

pub fn doctor(args: &DoctorArgs) -> Result<Exit, Failure> {
    let seen = fissure_rig::examine();
    let findings = doctor::findings(&seen);
    if args.json {
        print_json(&doctor::json(&seen, &findings));
    } else {
        anstream::println!("{}", doctor::terminal(&findings, width()));
    }
    Ok(if doctor::can_work(&findings) { Exit::Met } else { Exit::CouldNotTell })
}
