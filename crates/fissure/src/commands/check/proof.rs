//! `fissure check --before-command`: the program as it was and as it is, in turns.

use fissure_facts::Run;
use fissure_facts::config::Before;
use fissure_judge::judge;
use fissure_judge::proof::{self, ProofPlanner};
use fissure_show::proof::{exit_status, html, json, terminal};

use super::{order, print_json, status, tell_report, width};
use crate::cli::CheckArgs;
use crate::exit::{Exit, Failure};
use crate::lab::{self, PROOF};
use crate::progress::Progress;
use crate::project::Project;
use crate::runs;

pub fn prove(project: &mut Project, args: &CheckArgs, against: Option<&Run>) -> Result<Exit, Failure> {
    let refuse = |sentence: String| Err(Failure::new(Exit::Usage, sentence));
    if args.in_place {
        return refuse(
            "--in-place leaves room for one program, and a proof needs the old and the new side by side."
                .to_owned(),
        );
    }
    if let Some(port) = project.config.app.port.filter(|_| !lab::moves_port(project)) {
        return refuse(format!(
            "the app listens on port {port} only, and a proof needs the old and the new program side by side: let it listen \
             on $PORT and remove `port = {port}` from fissure.toml, or compare two runs with --against."
        ));
    }
    let before = before(project, args);
    let folder = project.folder.join(before.folder.as_deref().unwrap_or_else(|| ".".as_ref()));
    if !folder.is_dir() {
        let sentence =
            format!("{} is no folder: --before-folder names where the old program lies.", folder.display());
        return Err(Failure::new(Exit::BadInput, sentence));
    }
    if before.folder.is_none() && before.command == project.config.app.command {
        return refuse(
            "the old command is the new one, in the same folder: there is nothing to prove.".to_owned(),
        );
    }
    project.config.before = Some(before);

    let order = order(project, PROOF, false, &args.measure);
    let known = against.and_then(|run| Some(judge(run).capacity?.users_per_s.mid));
    let mut planner = ProofPlanner::new(known);
    let mut plan = |run: &Run| planner.next(run);
    let (run, folder) = lab::conduct(project, &order, &mut plan, &mut Progress::new())?;
    let proof = proof::judge(&run);
    let value = json::report(&run, &proof);
    let page = html::report(&run, &proof);
    let page = folder.map(|folder| runs::write_reports(&folder, &value, &page)).transpose()?;
    if args.measure.json {
        print_json(&value);
    } else {
        anstream::println!("{}", terminal::report(&run, &proof, width()));
        tell_report(page.as_deref());
    }
    Ok(status(exit_status(&run, &proof)))
}

/// What the command line says about the old program, and for the rest what fissure.toml says.
fn before(project: &Project, args: &CheckArgs) -> Before {
    let written = project.config.before.as_ref();
    let command = args.before_command.clone().or_else(|| written.map(|b| b.command.clone()));
    // A path of the command line is meant from where the user stands.
    let folder = args
        .before_folder
        .as_ref()
        .map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.clone()));
    Before {
        command: command.unwrap_or_else(|| project.config.app.command.clone()),
        folder: folder.or_else(|| written.and_then(|b| b.folder.clone())),
    }
}
