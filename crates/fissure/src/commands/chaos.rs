//! `fissure chaos`: what breaks what.

use std::time::Duration;

use fissure_facts::config::Span;
use fissure_facts::{Arrangement, FaultKind, Run};
use fissure_judge::chaos::{Campaign, judge};
use fissure_judge::goal::requests_of;
use fissure_show::chaos::{exit_status, html, json, terminal};

use crate::cli::ChaosArgs;
use crate::commands::check::{print_json, status, tell_report, width};
use crate::exit::{Exit, Failure};
use crate::lab::{self, CHAOS, Keep, Order};
use crate::progress::Progress;
use crate::project::Project;
use crate::runs;

/// A request that takes longer hangs. Users do not wait longer either, and every fault would take as much longer.
const HANGS_AFTER: Duration = Duration::from_secs(2);
/// Of a capacity that was measured.
const SHARE_OF_CAPACITY: f64 = 0.6;

/// `--quick`, for each arrangement; starting the app is not in it.
const QUICK_WITHIN_S: f64 = 270.0;

pub fn chaos(args: &ChaosArgs) -> Result<Exit, Failure> {
    if args.list {
        for kind in FaultKind::ALL {
            let befalls = if kind.is_of_link() { "a link" } else { "a role" };
            anstream::println!("{:12} {befalls:7} {kind}", kind.name());
        }
        return Ok(Exit::Met);
    }
    let mut project = Project::load(&args.project)?;
    lab::refuse_shared_data(&project)?;
    let slowest_us = project.config.goal.routes.values().map(|slo| slo.limit_us());
    let slowest_us = slowest_us.fold(project.config.goal.slo.limit_us(), u64::max);
    let hangs_after = HANGS_AFTER.max(Duration::from_micros(slowest_us.saturating_mul(2)));
    project.config.users.timeout = project.config.users.timeout.min(Span(hangs_after));

    let campaign = Campaign {
        kinds: kinds(args),
        links: project
            .config
            .links
            .iter()
            .filter(|(_, link)| link.env.is_some())
            .map(|(name, _)| name.clone())
            .collect(),
        http_links: project
            .config
            .links
            .iter()
            .filter(|(_, link)| link.env.is_some() && link.kind == fissure_facts::config::LinkKind::Http)
            .map(|(name, _)| name.clone())
            .collect(),
        trigger: args.when.unwrap_or_default(),
        route: args.route.clone(),
        on: args.on.clone(),
        arrangements: arrangements(args, &project)?,
        users_per_s: capacity(&project).map(|users| SHARE_OF_CAPACITY * users),
        timeout_s: project.config.users.timeout.0.as_secs_f64(),
        may_write: project
            .journeys
            .iter()
            .flat_map(|loaded| &loaded.journey.steps)
            .any(|step| ["POST", "PUT", "PATCH"].contains(&step.method.as_str())),
        outage_most_s: args.outage_at_most.map(|most| most.0.as_secs_f64()),
        within_s: (args.quick && args.only.is_empty()).then_some(QUICK_WITHIN_S),
    };
    let trials = campaign.trials().len();
    if trials == 0 {
        return Err(Failure::new(Exit::Usage, "there is nothing that these faults could befall."));
    }
    if !args.json {
        let left_out = match campaign.left_out() {
            0 => String::new(),
            count => format!(" {count} more were left out to stay below five minutes."),
        };
        anstream::eprintln!("{trials} faults, about {:.0} s.{left_out}", campaign.seconds());
    }
    let order = Order {
        verb: CHAOS,
        seed: args.seed.unwrap_or_else(rand::random),
        in_place: args.in_place,
        keep: Keep::InProject,
        running: None,
        start_at: None,
    };
    let mut plan = |run: &Run| campaign.next(run);
    let (run, folder) = lab::conduct(&project, &order, &mut plan, &mut Progress::new())?;
    let chaos = judge(&run);
    let value = json::report(&run, &chaos);
    let page =
        folder.map(|folder| runs::write_reports(&folder, &value, &html::report(&run, &chaos))).transpose()?;
    if args.json {
        print_json(&value);
    } else {
        anstream::println!("{}", terminal::report(&run, &chaos, width()));
        tell_report(page.as_deref());
    }
    let started = run.facts.iter().any(|s| matches!(s.fact, fissure_facts::Fact::Staged { .. }));
    Ok(if started { status(exit_status(&chaos)) } else { Exit::NotStarted })
}

fn kinds(args: &ChaosArgs) -> Vec<FaultKind> {
    match (args.only.as_slice(), args.quick) {
        ([], true) => FaultKind::ALL[..FaultKind::QUICK].to_vec(),
        ([], false) => FaultKind::ALL.to_vec(),
        (only, _) => only.to_vec(),
    }
}

/// The whole, and the split on the same CPUs when an area is named.
fn arrangements(args: &ChaosArgs, project: &Project) -> Result<Vec<Arrangement>, Failure> {
    let mut arrangements = vec![Arrangement::whole()];
    if let Some(area) = &args.split {
        let Some(routes) = project.config.areas.get(area) else {
            let known: Vec<&str> = project.config.areas.keys().map(String::as_str).collect();
            return Err(Failure::new(
                Exit::Usage,
                format!("[areas] of fissure.toml names no `{area}`; it names: {}.", known.join(", ")),
            ));
        };
        arrangements.push(Arrangement::split(area, routes));
    }
    Ok(arrangements)
}

/// What the whole stood in the last check, in users per second of the journeys as they are now.
fn capacity(project: &Project) -> Option<f64> {
    let run = runs::read(&runs::find(&project.folder, None).ok()?).ok()?;
    if !["check", "demo"].contains(&run.header.verb.as_str()) {
        return None;
    }
    let requests_per_s = fissure_judge::judge(&run).capacity?.requests_per_s.mid;
    Some(requests_per_s / requests_of(&project.outlines()).max(1.0)).filter(|rate| *rate > 0.0)
}
