//! `fissure isolate`: is it safe to run two copies, to split, to restart?

use fissure_facts::Run;
use fissure_judge::isolation::{asked, assess, coupling};
use fissure_show::isolation;

use crate::cli::IsolateArgs;
use crate::commands::check::{print_json, width};
use crate::exit::{Exit, Failure};
use crate::lab::{self, Keep, Order};
use crate::progress::Progress;
use crate::project::Project;

pub fn isolate(args: &IsolateArgs) -> Result<Exit, Failure> {
    let mut project = Project::load(&args.project)?;
    lab::refuse_shared_data(&project)?;
    project.config.limits.budget = args.budget;
    let order = Order {
        verb: "isolate",
        seed: args.seed.unwrap_or_else(rand::random),
        in_place: false,
        keep: Keep::InProject,
        running: None,
        start_at: None,
    };
    let mut plan = |run: &Run| asked::plan(run);
    let (run, _) = lab::conduct(&project, &order, &mut plan, &mut Progress::new())?;
    let found = assess(&run);
    if args.json {
        let mut json = isolation::json(&found);
        json["coupling"] = serde_json::json!(coupling::assess(&run));
        print_json(&json);
    } else {
        anstream::println!("{}", isolation::terminal(&run, &found, width()));
    }
    Ok(if run.was_interrupted() {
        Exit::Interrupted
    } else {
        match isolation::good(&found) {
            Some(true) => Exit::Met,
            Some(false) => Exit::NotMet,
            None => Exit::CouldNotTell,
        }
    })
}
