//! `fissure report`: show a run again, or compare two. Every number is judged anew from the facts.

use std::path::PathBuf;

use fissure_judge::judge;
use fissure_show::{compare, html, json, terminal};

use crate::cli::ReportArgs;
use crate::commands::check::{exit_of, print_json, width};
use crate::exit::{Exit, Failure};
use crate::runs;

pub fn report(args: &ReportArgs) -> Result<Exit, Failure> {
    let read = |wanted: Option<&PathBuf>| {
        runs::find(&args.project, wanted.map(PathBuf::as_path)).and_then(|path| runs::read(&path))
    };
    let run = read(args.runs.first())?;
    let judgement = judge(&run);
    if let Some(second) = args.runs.get(1) {
        let other = read(Some(second))?;
        let (text, value) = compare::report((&run, &judgement), (&other, &judge(&other)));
        if args.json {
            print_json(&value);
        } else {
            anstream::println!("{text}");
        }
        return Ok(Exit::Met);
    }
    if args.json {
        print_json(&json::report(&run, &judgement));
    } else if args.html {
        anstream::println!("{}", html::report(&run, &judgement));
    } else {
        anstream::println!("{}", terminal::report(&run, &judgement, width()));
    }
    Ok(exit_of(&judgement))
}
