//! Why a number may be wrong, and what to try.

use std::collections::BTreeMap;

use fissure_facts::Route;
use fissure_judge::Judgement;
use fissure_judge::judgement::Doubt;

use super::goal::times_the_goal;
use super::grammar::{and, code, of_windows, reasons};
use crate::units::{brief, count, ms, number, percent};

/// A sentence for each doubt; doubts that differ only in their route share one, so that nobody reads it twenty times.
pub fn doubts(doubts: &[Doubt]) -> Vec<String> {
    let mut rare: Vec<(&Route, u64)> = Vec::new();
    let mut vague: Vec<&Route> = Vec::new();
    for doubt in doubts {
        match doubt {
            Doubt::RareRoute { route, requests } => rare.push((route, *requests)),
            Doubt::VagueDemand { route } => vague.push(route),
            _ => {}
        }
    }
    let mut said = (false, false);
    let mut sentences = Vec::new();
    for doubt in doubts {
        match doubt {
            Doubt::RareRoute { .. } if std::mem::replace(&mut said.0, true) => {}
            Doubt::VagueDemand { .. } if std::mem::replace(&mut said.1, true) => {}
            Doubt::RareRoute { .. } => sentences.push(rare_routes(&rare)),
            Doubt::VagueDemand { .. } => sentences.push(vague_demands(&vague)),
            other => sentences.push(one(other)),
        }
    }
    sentences
}

fn one(doubt: &Doubt) -> String {
    match doubt {
        Doubt::VoidWindows { void, windows, why } => format!(
            "{} void{}; their numbers were not used. For more certain numbers close other programs and check again.",
            of_windows(*void, *windows),
            reasons(why)
        ),
        Doubt::ControlDiffers { ratio } => format!(
            "Two identical copies differed: CPU per request at a ratio of {}, so smaller differences mean nothing. Check again on a quieter machine.",
            brief(*ratio, "")
        ),
        Doubt::RareRoute { route, requests } => rare_routes(&[(route, *requests)]),
        Doubt::SharedCpus => "The load generator shared CPUs with the app, so every latency holds some of its noise. Use a machine with more CPUs, or give the app fewer (`app_cpus` under [limits]).".to_owned(),
        Doubt::PredictionOff { remedy, predicted, measured } => format!(
            "For {remedy} the model predicted {} times the capacity and {} times was measured, so the model misses something about this app. Trust what was measured, and doubt what was only predicted.",
            number(*predicted),
            number(*measured)
        ),
        Doubt::VagueDemand { route } => vague_demands(&[route]),
        Doubt::ConnectionChurn { per_request } => format!(
            "The app closed connections after nearly every request ({} connections for each request), so connecting is part of every latency. Switch keep-alive on in the app, and check again.",
            number(*per_request)
        ),
        Doubt::WideInterval { half_width_share } => format!(
            "The capacity is known only to within {}: a check measures it no closer than its verdict needs, or than its time (`budget` under [limits]) allows.",
            percent(*half_width_share)
        ),
        Doubt::LittleHeadroom { headroom } if headroom.mid > 1.3 => format!(
            "The goal may hold with little to spare: by its interval the capacity could be as low as {} times the goal. Measure longer (`budget` under [limits]) to be surer.",
            number(headroom.low)
        ),
        Doubt::CollectorStops(stops) => format!(
            "The garbage collector had every thread stand still for {} of the time flat out ({} times a second, the longest {}): no line runs then, and what the app keeps may nearly fill its memory. Before any remedy, and in place of one: give it more memory (`-Xmx`) or let it keep less, and check again.",
            percent(stops.share),
            number(stops.per_s),
            ms(stops.longest_ms)
        ),
        Doubt::LongVisits { pauses_s, shortened_to_s } => format!(
            "A visit of the longest journey pauses for {} s in all; its pauses were shortened until a visit fitted into {} s, so that every window had users at each step. Requests came at their full rate, but from fewer users at once: what each open session or connection costs is seen less.",
            number(*pauses_s),
            number(*shortened_to_s)
        ),
        Doubt::LittleHeadroom { headroom } => format!(
            "The goal holds with little to spare: the capacity is {}. Check again with a higher goal to see what would give way first.",
            times_the_goal(*headroom)
        ),
    }
}

/// A journey of sixty pages has as many; the rarest say enough.
const RARE_NAMED: usize = 4;

fn rare_routes(rare: &[(&Route, u64)]) -> String {
    let met = |n: u64| count(n, "time", "times");
    if let [(route, n)] = rare {
        return format!(
            "{} was met only {}, too few to judge it. Give its journey more weight (`weights` under [users]) or measure longer.",
            code(route),
            met(*n)
        );
    }
    let mut rarest = rare.to_vec();
    rarest.sort_by_key(|(_, n)| *n);
    let more = rarest.len().saturating_sub(RARE_NAMED);
    let named = rarest.iter().take(RARE_NAMED).map(|(route, n)| format!("{} ({})", code(route), met(*n)));
    let more = (more > 0).then(|| count(more as u64, "more route", "more routes"));
    let routes: Vec<String> = named.chain(more).collect();
    format!(
        "{} were met too rarely to judge each of them. Give their journeys more weight (`weights` under [users]) or measure longer.{}",
        and(&routes),
        may_be_one(&rarest).unwrap_or_default()
    )
}

/// From so many on, pages that differ in their last name only are more likely pages of a wiki than functions of an app.
const SIBLINGS: u64 = 4;

/// Of `/wiki/Main_Page`, `/wiki/Safety_office` and others nothing but their reader knows that they are one route.
fn may_be_one(rare: &[(&Route, u64)]) -> Option<String> {
    let mut siblings: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (route, _) in rare.iter().filter(|(route, _)| route.is_read()) {
        let named = route.path().trim_end_matches('/');
        let slash = &route.path()[named.len()..];
        if let Some((parent, name)) = named.rsplit_once('/')
            && !name.contains('{')
        {
            *siblings.entry((parent, slash)).or_default() += 1;
        }
    }
    let ((parent, slash), n) = siblings.into_iter().max_by_key(|(_, n)| *n)?;
    (n >= SIBLINGS).then(|| {
        format!(
            " Should the {n} below `{parent}/` be one page with other contents, count them as one: `routes = [\"GET {parent}/{{name}}{slash}\"]` under [users]."
        )
    })
}

fn vague_demands(vague: &[&Route]) -> String {
    let routes: Vec<String> = vague.iter().map(code).collect();
    let (whose, apart) =
        if vague.len() == 1 { ("its neighbours'", "Put it") } else { ("their neighbours'", "Put each") };
    format!(
        "The CPU cost of {} could not be told apart from {whose}. {apart} into a journey of its own, or measure longer.",
        and(&routes)
    )
}

/// How many windows there were, and how many were of no use; silent where a doubt says it already.
pub fn windows(judgement: &Judgement) -> Option<String> {
    if judgement.doubts.iter().any(|d| matches!(d, Doubt::VoidWindows { .. })) {
        return None;
    }
    let measured = count(u64::from(judgement.windows), "window", "windows");
    Some(match (judgement.windows, judgement.windows_void) {
        (0, _) => "No window of load was measured.".to_owned(),
        (_, 0) => format!("{measured} measured, none void."),
        (_, void) => format!("{measured} measured, {void} of them void and not used."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_wiki_may_be_one_route() {
        let route = |text: &str| -> Route { text.parse().unwrap() };
        let pages =
            ["GET /", "GET /wiki/A", "GET /wiki/B", "GET /wiki/C", "GET /wiki/D", "POST /wiki/E"].map(route);
        let rare: Vec<(&Route, u64)> = pages.iter().map(|route| (route, 1)).collect();
        assert!(may_be_one(&rare).unwrap().contains("[\"GET /wiki/{name}\"]"));
        assert_eq!(may_be_one(&rare[..4]), None);
        let pages = ["a", "b", "c", "d"].map(|name| route(&format!("GET /posts/{name}/")));
        let rare: Vec<(&Route, u64)> = pages.iter().map(|route| (route, 1)).collect();
        assert!(may_be_one(&rare).unwrap().contains("GET /posts/{name}/"));
    }
}
