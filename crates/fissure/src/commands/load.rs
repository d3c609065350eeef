//! `fissure load`: the crowd by itself, as people use a load generator.

use std::path::Path;

use fissure_facts::config::{Goal, GoalLoad};
use fissure_facts::{Arrivals, JourneyOutline, Load, Route, Run, Spacing, Stretch};
use fissure_judge::asked::{Asked, AskedLoad};
use fissure_judge::goal::requests_of;
use fissure_judge::load::summarise;
use fissure_judge::threshold::{Scope, Threshold};
use fissure_show::load::{exit_status, html, json, terminal};

use crate::cli::LoadArgs;
use crate::commands::check::{print_json, status, tell_report, width};
use crate::exit::{Exit, Failure};
use crate::lab::{self, Keep, Order};
use crate::load::target::Target;
use crate::load::{profile, shape};
use crate::progress::Progress;
use crate::project::Project;
use crate::runs;

/// What is loaded when nobody says how much.
const DEFAULT_PER_S: f64 = 50.0;
const DEFAULT_SECONDS: f64 = 10.0;
/// A day: longer tests are several.
const SECONDS_MAX: f64 = 86_400.0;

pub fn load(args: &LoadArgs) -> Result<Exit, Failure> {
    let Target { mut project, running, has_goal, has_home } = Target::find(args)?;
    if running.is_none() {
        lab::refuse_shared_data(&project)?;
    }
    let outlines = project.outlines();
    let goal = has_goal.then(|| project.config.goal.clone());
    let asked = asked(args, goal.as_ref(), &outlines)?;
    settle(&mut project, args, goal.as_ref(), &asked, &outlines)?;

    let order = Order {
        verb: "load",
        seed: args.seed.unwrap_or_else(rand::random),
        in_place: args.in_place,
        keep: match &args.out {
            Some(folder) => Keep::At(folder.clone()),
            None if has_home => Keep::InProject,
            None => Keep::Nowhere,
        },
        running,
        start_at: args.start_at.map(Into::into),
    };
    let mut plan = |run: &Run| asked.next(run);
    let (run, folder) = lab::conduct(&project, &order, &mut plan, &mut Progress::with_figures())?;
    show(&[run], folder.as_deref(), args)
}

fn show(runs: &[Run], folder: Option<&Path>, args: &LoadArgs) -> Result<Exit, Failure> {
    let summary = summarise(runs).map_err(|e| Failure::new(Exit::Bug, format!("{e}.")))?;
    let value = json::report(runs, &summary);
    let page = folder
        .zip(runs.first())
        .map(|(folder, run)| runs::write_reports(folder, &value, &html::report(run, &summary)))
        .transpose()?;
    if args.json {
        print_json(&value);
    } else if let Some(run) = runs.first() {
        anstream::println!("{}", terminal::report(run, &summary, width()));
        tell_report(page.as_deref());
    }
    Ok(status(exit_status(&summary)))
}

/// How much, by the command line, or else by the goal.
pub fn asked(args: &LoadArgs, goal: Option<&Goal>, journeys: &[JourneyOutline]) -> Result<Asked, Failure> {
    let bad = |sentence: String| Failure::new(Exit::Usage, sentence);
    let hours = args.profile.as_deref().map(|file| read_profile(file, args, journeys)).transpose()?;
    let hours_s = hours.as_ref().map(|h| h.len() as f64 * 3600.0);
    let seconds = args.duration.map_or(hours_s.unwrap_or(DEFAULT_SECONDS), |span| span.0.as_secs_f64());
    if seconds < 1.0 || seconds.fract() != 0.0 || seconds > SECONDS_MAX {
        return Err(bad("--for is a whole number of seconds, from 1s to a day.".to_owned()));
    }
    let open = |mut stretches: Vec<Stretch>| {
        for spike in &args.spike {
            if (spike.at.0 + spike.lasts.0).as_secs_f64() > seconds {
                return Err(bad(format!("a spike ends after the load of {seconds} s.")));
            }
            stretches = shape::with_spike(&stretches, spike);
        }
        let spacing = if args.even { Spacing::Even } else { Spacing::Poisson };
        Ok(AskedLoad::As(Load::Arriving(Arrivals { spacing, stretches })))
    };
    let steady = |per_s: f64| open(vec![Stretch::steady(seconds, per_s)]);
    let load = if let Some(users) = args.closed {
        AskedLoad::As(Load::Closed { users: at_least_one(users)? })
    } else if let Some(users) = args.users {
        AskedLoad::UsersAtOnce(f64::from(at_least_one(users)?))
    } else if let Some(rates) = hours {
        open(rates.iter().map(|rate| Stretch::steady(seconds / rates.len() as f64, *rate)).collect())?
    } else if !args.stairs.is_empty() {
        if args.stairs.iter().all(|rate| rate.0 <= 0.0) {
            return Err(bad("--stairs of 0 are no load.".to_owned()));
        }
        open(shape::stairs(&args.stairs, seconds))?
    } else if let Some(ramp) = args.rate {
        open(ramp.over(seconds))?
    } else {
        match goal.map(Goal::load) {
            Some(GoalLoad::Users(users)) => AskedLoad::UsersAtOnce(users),
            Some(GoalLoad::JourneysPerS(rate)) => steady(rate)?,
            Some(GoalLoad::RequestsPerS(rate)) => steady(rate / requests_of(journeys))?,
            None => steady(DEFAULT_PER_S)?,
        }
    };
    // Before the first users have come to the end of their pauses, fewer are inside than were asked for.
    let settling_s = match load {
        AskedLoad::UsersAtOnce(_) => journeys.iter().map(JourneyOutline::think_s).fold(0.0, f64::max),
        AskedLoad::As(_) => 0.0,
    };
    let warmup_s = args.warmup.map_or(settling_s, |span| span.0.as_secs_f64());
    Ok(Asked { load, warmup_s, seconds: seconds as u32 })
}

fn at_least_one(users: u32) -> Result<u32, Failure> {
    if users > 0 { Ok(users) } else { Err(Failure::new(Exit::Usage, "0 users are no load.")) }
}

/// Users per second of each hour.
fn read_profile(file: &Path, args: &LoadArgs, journeys: &[JourneyOutline]) -> Result<Vec<f64>, Failure> {
    let bad = |e: &dyn std::fmt::Display| {
        Failure::new(Exit::BadInput, format!("the profile {} cannot be used: {e}.", file.display()))
    };
    let hours = if file.extension().is_some_and(|ending| ending == "toml") {
        let hours = Project::config(file)?.users.hours;
        if !hours.iter().all(|rate| rate.is_finite() && *rate >= 0.0) || hours.iter().all(|rate| *rate <= 0.0)
        {
            return Err(bad(
                &"`hours` in [users] holds no load; `fissure users import access.log` writes it",
            ));
        }
        hours
    } else {
        let bytes = std::fs::read(file).map_err(|e| bad(&e))?;
        profile::parse(&String::from_utf8_lossy(&bytes)).map_err(|e| bad(&e))?
    };
    let busiest = hours.iter().copied().fold(0.0, f64::max);
    // A log counts requests, and users make several.
    let scale = match args.rate {
        Some(ramp) if ramp.from == ramp.to => ramp.from.0 / busiest,
        Some(_) => {
            return Err(Failure::new(
                Exit::Usage,
                "with --profile, --rate is one number: what the busiest hour is to be.",
            ));
        }
        None => 1.0 / requests_of(journeys),
    };
    Ok(hours.into_iter().map(|rate| rate * scale).collect())
}

/// Puts what the command line says into the configuration, so that the run's header holds what the run was.
pub fn settle(
    project: &mut Project,
    args: &LoadArgs,
    goal: Option<&Goal>,
    asked: &Asked,
    journeys: &[JourneyOutline],
) -> Result<(), Failure> {
    let config = &mut project.config;
    let routes: Vec<&Route> = journeys.iter().flat_map(|j| &j.steps).map(|s| &s.route).collect();
    if !args.require.is_empty() {
        config.load.require = args.require.iter().map(|t| t.text.clone()).collect();
    } else if config.load.require.is_empty() {
        config.load.require = goal.map(|goal| promises(goal, &routes)).unwrap_or_default();
    }
    for text in &config.load.require {
        let threshold: Threshold =
            text.parse().map_err(|e| Failure::new(Exit::BadInput, format!("[load] require: {e}.")))?;
        if let Scope::Route(wanted) = &threshold.of
            && !routes.iter().any(|route| route.matches(wanted))
        {
            let mut all: Vec<String> = routes.iter().map(ToString::to_string).collect();
            all.sort();
            all.dedup();
            return Err(Failure::new(
                Exit::Usage,
                format!("`{text}` names a route that nobody visits. The routes are: {}.", all.join(", ")),
            ));
        }
    }
    if let Some(connections) = args.connections {
        config.load.connections = Some(connections);
    }
    // Where connections are counted, users cannot each hold their own.
    config.load.hand_on |= config.load.connections.is_some();
    if let Some(timeout) = args.timeout {
        config.users.timeout = timeout;
    }
    (config.goal.requests_per_s, config.goal.journeys_per_s) = (None, None);
    config.goal.users = match asked.load {
        AskedLoad::UsersAtOnce(users) => Some(users),
        AskedLoad::As(_) => None,
    };
    Ok(())
}

/// The goal's promises as thresholds.
fn promises(goal: &Goal, routes: &[&Route]) -> Vec<String> {
    let mut promises: Vec<String> = Vec::new();
    for route in routes {
        let slo = goal.slo_of(route);
        let limit = fissure_facts::config::Span(std::time::Duration::from_micros(slo.limit_us()));
        let promise = format!("{} of {route}<{limit}", slo.name());
        if !promises.contains(&promise) {
            promises.push(promise);
        }
    }
    promises.push(format!("errors<{}%", goal.errors.0 * 100.0));
    promises
}
