//! What a cut would do to the data: which side writes which table, what is tied across, and how far a split may go.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::shadow::{Act, TableLink};
use fissure_facts::{Arrangement, Fact, Route, Run, ShadowPlan, Step, Topology};
use serde::Serialize;

/// The tables of one split. Names are `table`, or `file: table` where there are several databases.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Coupling {
    /// The role that the area would become.
    pub role: String,
    /// Written by the area only, by the others only, by both.
    pub only_here: Vec<String>,
    pub only_there: Vec<String>,
    pub both: Vec<String>,
    /// Read on one side and written on the other. None: who reads what could not be seen.
    pub read_across: Option<Vec<String>>,
    /// Foreign keys and triggers between tables of different sides, as a person would say it.
    pub tied: Vec<String>,
    /// Requests that write tables of both sides: if that is one transaction, the cut breaks it.
    pub cut: Vec<Cut>,
    /// How far the split may go.
    pub rung: Rung,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    pub route: Route,
    pub tables: Vec<String>,
    /// It belongs to the area.
    pub here: bool,
}

/// The ladder of splits, from the least change of the data on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Both roles go on using one database; no transaction is cut.
    #[default]
    SameDatabase,
    /// A user of its own, with rights on its own tables only, and so a schema of its own later.
    OwnUser,
    /// Nothing is tied across: a database of its own costs nothing but the work.
    OwnDatabase,
}

/// The shadow in which the tables are looked at after every request; None when it was played, or nobody needs it.
pub fn next(run: &Run, left_s: f64) -> Option<(ShadowPlan, String)> {
    let mut shadows = 0;
    for stamped in &run.facts {
        if let Fact::StepBegan { step: Step::Shadow(plan), .. } = &stamped.fact {
            shadows = shadows.max(plan.shadow);
            if plan.act == Act::Trace {
                return None;
            }
        }
    }
    // Only where the databases were seen to hold something.
    let has_tables =
        run.facts.iter().any(|s| matches!(&s.fact, Fact::ShadowEnded(end) if !end.tables.is_empty()));
    if run.header.config.areas.is_empty() || !has_tables || left_s <= 0.0 {
        return None;
    }
    let plan = ShadowPlan {
        shadow: shadows + 1,
        topology: Topology::Control,
        arrangement: Arrangement::whole(),
        parts: Vec::new(),
        passes: 1,
        seed: run.header.seed,
        act: Act::Trace,
    };
    Some((plan, "which request writes which table?".to_owned()))
}

/// Of every area in the configuration; nothing where no database was seen.
pub fn assess(run: &Run) -> Vec<Coupling> {
    let traced: Vec<u32> = run
        .facts
        .iter()
        .filter_map(|s| match &s.fact {
            Fact::StepBegan { step: Step::Shadow(plan), .. } if plan.act == Act::Trace => Some(plan.shadow),
            _ => None,
        })
        .collect();
    let mut wrote: BTreeMap<&Route, BTreeSet<&str>> = BTreeMap::new();
    let mut read: BTreeMap<&Route, BTreeSet<&str>> = BTreeMap::new();
    let (mut reads_known, mut links): (bool, Vec<&TableLink>) = (true, Vec::new());
    for stamped in &run.facts {
        match &stamped.fact {
            Fact::Shadowed(step) if traced.contains(&step.shadow) => {
                let Some(tables) = &step.tables else { continue };
                wrote.entry(&step.route).or_default().extend(tables.wrote.iter().map(String::as_str));
                match &tables.read {
                    Some(names) => {
                        read.entry(&step.route).or_default().extend(names.iter().map(String::as_str));
                    }
                    None => reads_known = false,
                }
            }
            Fact::ShadowEnded(end) if traced.contains(&end.shadow) => links.extend(&end.links),
            _ => {}
        }
    }
    if wrote.is_empty() {
        return Vec::new();
    }
    let areas = run.header.config.areas.iter();
    areas.map(|(role, area)| coupling(role, area, &wrote, reads_known.then_some(&read), &links)).collect()
}

fn coupling(
    role: &str,
    area: &[Route],
    wrote: &BTreeMap<&Route, BTreeSet<&str>>,
    read: Option<&BTreeMap<&Route, BTreeSet<&str>>>,
    links: &[&TableLink],
) -> Coupling {
    let is_here = |route: &Route| area.iter().any(|own| own.matches(route));
    let tables = |of: &BTreeMap<&Route, BTreeSet<&str>>, here: bool| -> BTreeSet<String> {
        let routes = of.iter().filter(|(route, _)| is_here(route) == here);
        routes.flat_map(|(_, tables)| tables).map(|t| (*t).to_owned()).collect()
    };
    let (here, there) = (tables(wrote, true), tables(wrote, false));
    let both: Vec<String> = here.intersection(&there).cloned().collect();
    let only_here: Vec<String> = here.difference(&there).cloned().collect();
    let only_there: Vec<String> = there.difference(&here).cloned().collect();
    let read_across = read.map(|read| {
        let (by_us, by_them) = (tables(read, true), tables(read, false));
        let across = by_us.iter().filter(|t| only_there.contains(t));
        across.chain(by_them.iter().filter(|t| only_here.contains(t))).cloned().collect::<Vec<_>>()
    });
    let is_ours = |table: &String| only_here.contains(table);
    let tied: Vec<String> = links
        .iter()
        .filter(|l| is_ours(&l.from) != is_ours(&l.to))
        .map(|l| format!("{} of {} needs {}", l.by, l.from, l.to))
        .collect();
    let cut: Vec<Cut> = wrote
        .iter()
        .filter(|(route, tables)| {
            let foreign =
                |t: &&str| if is_here(route) { !is_ours(&(*t).to_owned()) } else { here.contains(*t) };
            tables.iter().any(foreign) && !tables.iter().all(foreign)
        })
        .map(|(route, tables)| Cut {
            route: (*route).clone(),
            tables: tables.iter().map(|t| (*t).to_owned()).collect(),
            here: is_here(route),
        })
        .collect();
    let reads_nothing = read_across.as_ref().map(Vec::is_empty);
    let rung = if !both.is_empty() || !cut.is_empty() {
        Rung::SameDatabase
    } else if !tied.is_empty() || reads_nothing != Some(true) {
        Rung::OwnUser
    } else {
        Rung::OwnDatabase
    };
    Coupling { role: role.to_owned(), only_here, only_there, both, read_across, tied, cut, rung }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = BTreeMap<&'static Route, BTreeSet<&'static str>>;

    fn seen(of: &[(&str, &[&'static str])]) -> Seen {
        let route = |text: &str| -> &'static Route { Box::leak(Box::new(text.parse().unwrap())) };
        of.iter().map(|(name, tables)| (route(name), tables.iter().copied().collect())).collect()
    }

    fn cut_off(wrote: &[(&str, &[&'static str])], read: Option<&[(&str, &[&'static str])]>) -> Coupling {
        let area: Vec<Route> = vec!["POST /orders".parse().unwrap(), "GET /orders".parse().unwrap()];
        let link =
            TableLink { from: "orders".to_owned(), to: "users".to_owned(), by: "the foreign key".to_owned() };
        let (wrote, read) = (seen(wrote), read.map(seen));
        coupling("orders", &area, &wrote, read.as_ref(), &[&link])
    }

    #[test]
    fn what_both_sides_write_keeps_them_at_one_database() {
        let c = cut_off(&[("POST /orders", &["orders", "stock"]), ("POST /stock", &["stock"])], None);
        assert_eq!(
            (c.both, c.only_here, c.rung),
            (vec!["stock".to_owned()], vec!["orders".to_owned()], Rung::SameDatabase)
        );
        assert_eq!(c.cut.len(), 1);
        assert!(c.cut[0].here && c.cut[0].tables == ["orders", "stock"]);
        assert_eq!(c.read_across, None);
    }

    #[test]
    fn what_is_tied_or_unknown_goes_no_further_than_a_user_of_its_own() {
        let c = cut_off(&[("POST /orders", &["orders"]), ("POST /users", &["users"])], None);
        assert_eq!(
            (c.rung, c.tied),
            (Rung::OwnUser, vec!["the foreign key of orders needs users".to_owned()])
        );
    }

    #[test]
    fn reads_across_are_named() {
        let read: &[(&str, &[&'static str])] =
            &[("GET /orders", &["orders", "users"]), ("GET /", &["users"])];
        let c = cut_off(&[("POST /orders", &["orders"]), ("POST /users", &["users"])], Some(read));
        assert_eq!(c.read_across, Some(vec!["users".to_owned()]));
        assert_eq!(c.cut, []);
    }
}
