//! `fissure report`: show a run again, or compare two. Every number is judged anew from the facts.

use std::path::PathBuf;

use fissure_facts::Run;
use fissure_judge::judge;
use fissure_judge::load::summarise;
use fissure_show::{chaos, compare, html, json, load, proof, terminal};

use crate::cli::ReportArgs;
use crate::commands::check::{exit_of, print_json, status, width};
use crate::exit::{Exit, Failure};
use crate::lab::{CHAOS, PROOF};
use crate::runs;

pub fn report(args: &ReportArgs) -> Result<Exit, Failure> {
    let read = |wanted: Option<&PathBuf>| {
        runs::find(&args.project, wanted.map(PathBuf::as_path)).and_then(|path| runs::read(&path))
    };
    if args.merge {
        let runs = args.runs.iter().map(|name| read(Some(name))).collect::<Result<Vec<_>, _>>()?;
        return show_load(&runs, args);
    }
    if args.runs.len() > 2 {
        return Err(Failure::new(
            Exit::Usage,
            "a report compares two runs; to add up what several machines loaded, say --merge.",
        ));
    }
    let run = read(args.runs.first())?;
    if run.header.verb == "load" && args.runs.len() < 2 {
        return show_load(&[run], args);
    }
    if run.header.verb == CHAOS && args.runs.len() < 2 {
        return Ok(show_chaos(&run, args));
    }
    if run.header.verb == PROOF && args.runs.len() < 2 {
        return Ok(show_proof(&run, args));
    }
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

fn show_chaos(run: &Run, args: &ReportArgs) -> Exit {
    let found = fissure_judge::chaos::judge(run);
    if args.json {
        print_json(&chaos::json::report(run, &found));
    } else if args.html {
        anstream::println!("{}", chaos::html::report(run, &found));
    } else {
        anstream::println!("{}", chaos::terminal::report(run, &found, width()));
    }
    status(chaos::exit_status(&found))
}

fn show_proof(run: &Run, args: &ReportArgs) -> Exit {
    let found = fissure_judge::proof::judge(run);
    if args.json {
        print_json(&proof::json::report(run, &found));
    } else if args.html {
        anstream::println!("{}", proof::html::report(run, &found));
    } else {
        anstream::println!("{}", proof::terminal::report(run, &found, width()));
    }
    status(proof::exit_status(run, &found))
}

fn show_load(runs: &[Run], args: &ReportArgs) -> Result<Exit, Failure> {
    let Some(first) = runs.first() else {
        return Err(Failure::new(Exit::Usage, "--merge needs the runs of two or more machines."));
    };
    let summary = summarise(runs).map_err(|e| Failure::new(Exit::BadInput, format!("{e}.")))?;
    if args.json {
        print_json(&load::json::report(runs, &summary));
    } else if args.html {
        anstream::println!("{}", load::html::report(first, &summary));
    } else {
        anstream::println!("{}", load::terminal::report(first, &summary, width()));
    }
    Ok(status(load::exit_status(&summary)))
}
