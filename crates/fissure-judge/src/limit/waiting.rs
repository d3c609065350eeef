//! Which resource gives way when it is not the CPU: what most of the requests under way wait for.

use fissure_facts::config::{Link, REDACTED};
use fissure_facts::{Address, Config, DatabaseServer, Estimate, Route};

use crate::evidence::Evidence;
use crate::judgement::{BlamedLink, Holder, PeerLoad, Place, Resource, Spot, Wait, Waits, WaitsFor};
use crate::model::{Model, RouteModel};

/// What half of the requests wait for, the others can at most double.
pub(crate) const MOST: f64 = 0.5;
/// Of requests, and of connections for them.
const NEARLY_ALL: f64 = 0.75;
/// With so many before a lock on average there is hardly a moment without one: were their number Poisson's, one in fifty.
const ALWAYS_SOMEBODY: f64 = 4.0;
/// Requests at a place, on average, that may be one at a time.
const ONE_AT_MOST: f64 = 1.1;
/// Connections of which hardly one rests are used up.
const ALL_TAKEN: f64 = 0.9;
/// The routes that are named carry this much of the time.
const CARRY: f64 = 0.7;

/// The class and what shows it; None where most of the requests wait where nobody can see.
pub(crate) fn resource(waits: &Waits, config: &Config) -> Option<(Resource, Vec<String>)> {
    let under_way = waits.under_way;
    let of = |share: f64| format!("{:.1} of the {under_way:.0} requests under way", share * under_way);
    let locked = waits.share(|what| *what == WaitsFor::Lock);
    if locked >= MOST {
        return Some((Resource::Lock, vec![format!("{} wait for a lock", of(locked))]));
    }
    if let Some(link) = link(waits, config) {
        return Some(of_link(waits, &link));
    }
    let on_disk = waits.share(|what| matches!(what, WaitsFor::File(path) if path.starts_with('/')));
    if on_disk >= MOST {
        return Some((Resource::Disk, vec![format!("{} wait for a file", of(on_disk))]));
    }
    if let Some((wait, at)) = blocked_loop(waits) {
        let share = wait.share.mid * waits.under_way * 100.0;
        let said = format!(
            "the event loop stands still {share:.0} % of the time in {} ({}:{}), and {under_way:.0} requests are under way",
            at.function, at.file, at.line
        );
        return Some((Resource::OneThread, vec![said]));
    }
    if let Some(said) = queue(waits) {
        return Some((Resource::Lock, vec![said]));
    }
    connections(waits)
        .or_else(|| workers(waits))
        .or_else(|| turns(waits))
        .map(|said| (Resource::Pool, vec![said]))
}

/// Where the only thread of an event loop waits, and with it everybody: a call that blocks.
pub(crate) fn blocked_loop(waits: &Waits) -> Option<(&Wait, &Spot)> {
    let is_one = (0.5..1.5).contains(&waits.busy_threads) && waits.idle_threads < 0.5;
    let is_blocked = |wait: &&Wait| wait.share.mid * waits.under_way >= MOST;
    let wait = waits.places.iter().find(is_blocked)?;
    (waits.runs_event_loop && is_one && waits.under_way >= ALWAYS_SOMEBODY)
        .then_some((wait, wait.at.as_ref()?))
}

/// A lock before which somebody always stands is always taken, and passes as many as it can, however much of their time the
/// requests spend elsewhere: on their way to the app and back, for instance.
fn queue(waits: &Waits) -> Option<String> {
    let longest = waits.places.iter().filter(|wait| wait.what == WaitsFor::Lock).map(|wait| wait.share.mid);
    let waiting = longest.fold(0.0, f64::max) * waits.under_way;
    (waiting >= ALWAYS_SOMEBODY && waits.idle_threads >= 0.5).then(|| {
        format!(
            "{waiting:.1} of the {:.0} requests under way wait for a lock, so that it is always taken, while threads of the app are free",
            waits.under_way
        )
    })
}

/// The class of a link that is to blame, and what shows it.
pub(crate) fn of_link(waits: &Waits, link: &BlamedLink) -> (Resource, Vec<String>) {
    let waiting = link.share.mid * waits.under_way;
    let said = format!(
        "{waiting:.1} of the {:.0} requests under way wait for an answer of {}",
        waits.under_way, link.address
    );
    (if link.is_database { Resource::Database } else { Resource::Downstream }, vec![said])
}

/// The address that most of the requests under way wait for an answer of.
pub(crate) fn link(waits: &Waits, config: &Config) -> Option<BlamedLink> {
    link_of(waits, config, MOST)
}

/// The address that nearly all workers wait for an answer of, where all are taken: the other requests wait for a worker. Whether
/// that address or the number of workers is what is short, only more workers can tell.
pub(crate) fn link_of_workers(waits: &Waits, config: &Config) -> Option<BlamedLink> {
    // Threads without a line of the app on their stacks, such as timers of a library, work for no request.
    let in_app = waits.places.iter().filter(|wait| wait.at.is_some()).map(|wait| wait.share.mid).sum::<f64>();
    let busy = waits.running + in_app * waits.under_way;
    let all_taken = busy >= ALL_TAKEN * (busy + waits.idle_threads) && busy < waits.under_way;
    all_taken.then(|| link_of(waits, config, NEARLY_ALL * busy / waits.under_way)).flatten()
}

fn link_of(waits: &Waits, config: &Config, least: f64) -> Option<BlamedLink> {
    waits.peers.iter().find_map(|peer| {
        let awaits = WaitsFor::Peer(Some(peer.address.clone()));
        let shares = waits.places.iter().filter(|place| place.what == awaits).map(|place| place.share);
        let sum = |end: fn(Estimate) -> f64| shares.clone().map(end).sum::<f64>().min(1.0);
        let share = Estimate::new(sum(|s| s.mid), sum(|s| s.low), sum(|s| s.high));
        let declared = declared(&peer.address, &addresses(&waits.peers), config);
        (share.mid >= least).then(|| BlamedLink {
            address: peer.address.clone(),
            name: declared.map(|(name, _)| name.clone()),
            is_database: is_database(&peer.address, declared.map(|(_, link)| link)),
            share,
        })
    })
}

/// Nearly every request under way stands at the other end of the link, each on a connection of its own. Flat out nobody gets more done
/// with more users, so what they stand before is used up, and copies of the app would only bring more to the same place.
///
/// Does not hold for a service that serves each of its clients so much and no more; a rehearsal of copies would show that.
pub(crate) fn is_all_there(waits: &Waits, link: &BlamedLink) -> bool {
    let has_own = |peer: &PeerLoad| peer.connections >= NEARLY_ALL * waits.under_way;
    let peer = waits.peers.iter().find(|peer| peer.address == link.address);
    link.share.low >= NEARLY_ALL && peer.is_some_and(has_own)
}

/// What most of the requests wait for although it is not the CPU's turn: an answer of somebody else, or a lock whose holder
/// itself waits. A lock whose holder is at work is the CPU's.
pub(crate) fn beside_the_cpu(waits: &Waits, config: &Config) -> Option<(Resource, f64)> {
    if let Some(link) = link(waits, config) {
        return Some((of_link(waits, &link).0, link.share.mid));
    }
    let is_held_idle = |wait: &&Wait| {
        wait.what == WaitsFor::Lock && wait.holder.as_ref().is_some_and(|holder| holder.what.is_some())
    };
    let locked: f64 = waits.places.iter().filter(is_held_idle).map(|wait| wait.share.mid).sum();
    (locked >= MOST).then_some((Resource::Lock, locked))
}

/// The lines of the app that it comes down to: of a lock where it was taken and is held first, then where the others wait.
pub(crate) fn places(waits: &Waits, resource: Resource) -> Vec<Place> {
    let is_it = |wait: &&Wait| match resource {
        Resource::Lock => wait.what == WaitsFor::Lock,
        Resource::Disk => matches!(wait.what, WaitsFor::File(_)),
        Resource::Database | Resource::Downstream => matches!(wait.what, WaitsFor::Peer(_)),
        _ => true,
    };
    let place = |spot: &Spot, wait: &Wait| Place {
        function: spot.function.clone(),
        file: spot.file.clone(),
        line: spot.line,
        lines: vec![spot.line],
        share: wait.share,
        own_share: wait.share.mid,
        many_statements: false,
        inside: None,
        called_at: None,
        is_library: false,
        route: None,
    };
    let mut places: Vec<Place> = Vec::new();
    let found: Vec<&Wait> = waits.places.iter().filter(is_it).collect();
    let held = |spot: fn(&Holder) -> &Spot| {
        found.iter().filter_map(move |wait| Some((spot(wait.holder.as_ref()?), *wait)))
    };
    let presumed =
        presumed_holder(waits).filter(|_| resource == Resource::Lock && held(|h| &h.at).next().is_none());
    let holders = held(|holder| &holder.taken).chain(held(|holder| &holder.at)).chain(presumed);
    let waiters = found.iter().filter_map(|wait| Some((wait.at.as_ref()?, *wait)));
    for (spot, wait) in holders.chain(waiters) {
        let is_new = |p: &Place| (&p.function, &p.file, p.line) != (&spot.function, &spot.file, spot.line);
        if places.iter().all(is_new) {
            places.push(place(spot, wait));
        }
    }
    places
}

/// Who holds a lock that names no holder (a futex of C or Rust), where others stand before it all the time: the only place at which nearly one
/// request, and never more, waits for something else.
fn presumed_holder(waits: &Waits) -> Option<(&Spot, &Wait)> {
    let is_one = |wait: &&Wait| {
        let is_slow =
            matches!(wait.what, WaitsFor::Peer(_) | WaitsFor::File(_) | WaitsFor::Child | WaitsFor::Time);
        is_slow && wait.at.is_some() && (MOST..ONE_AT_MOST).contains(&(wait.share.mid * waits.under_way))
    };
    let mut places = waits.places.iter().filter(is_one);
    let (only, more) = (places.next()?, places.next());
    Some((only.at.as_ref()?, only)).filter(|_| more.is_none())
}

/// Few connections, all of them taken: the other requests wait for one.
fn connections(waits: &Waits) -> Option<String> {
    let taken = waits.peers.iter().find(|peer| {
        let is_pool = (0.5..MOST * waits.under_way).contains(&peer.connections);
        is_pool && peer.awaited + peer.resting >= ALL_TAKEN * peer.connections
    })?;
    let resting = match taken.resting / taken.connections >= MOST {
        true => ", most of it inside a transaction that waits for something else",
        false => "",
    };
    Some(format!(
        "{:.0} connections to {} are taken all the time{resting}, and {:.0} requests are under way",
        taken.connections, taken.address, waits.under_way
    ))
}

/// Few workers, all of them taken. What stands in front of them (a reverse proxy, the process that started them) may serve many
/// connections at once; of who does so for the app nobody can tell that.
fn workers(waits: &Waits) -> Option<String> {
    let (busy, waiting) = (waits.busy_workers, waits.busy_workers - waits.running);
    let all_taken = busy >= ALL_TAKEN * (busy + waits.idle_workers);
    let are_there = !waits.event_loop || waiting >= 1.0;
    (all_taken && are_there && (0.5..MOST * waits.under_way).contains(&busy)).then(|| {
        format!(
            "{busy:.1} workers are taken all the time, none is free, and {:.0} requests are under way",
            waits.under_way
        )
    })
}

/// With more threads than this for a request some of them wait for work and not for a request.
const THREADS_A_REQUEST: f64 = 1.1;

/// Most stand at one line until another thread lets them go on: at a semaphore, a queue, a channel that is full.
fn turns(waits: &Waits) -> Option<String> {
    (waits.busy_threads <= THREADS_A_REQUEST * waits.under_way).then_some(())?;
    let is_turn = |wait: &&Wait| wait.what == WaitsFor::Wake && wait.share.mid >= MOST;
    let wait = waits.places.iter().find(is_turn)?;
    let at = wait.at.as_ref()?;
    Some(format!(
        "{:.1} of the {:.0} requests under way wait in {} ({}:{}) until another one lets them go on",
        wait.share.mid * waits.under_way,
        waits.under_way,
        at.function,
        at.file,
        at.line
    ))
}

/// The declared link that leads to an address: by its port, or the folder of its socket; where the variable's value is not known (it is the user's own, or
/// holds a password), the only link for the only address.
pub(crate) fn declared<'c>(
    address: &Address,
    all: &[&Address],
    config: &'c Config,
) -> Option<(&'c String, &'c Link)> {
    let value = |link: &Link| link.env.as_ref().and_then(|name| config.app.env.get(name));
    let by_port =
        config.links.iter().find(|(_, link)| value(link).is_some_and(|value| address.is_named_by(value)));
    let is_only = config.links.len() == 1 && all.iter().all(|known| *known == address);
    let is_hidden = |link: &Link| value(link).is_none_or(|value| value == REDACTED);
    by_port.or_else(|| config.links.iter().find(|(_, link)| is_only && is_hidden(link)))
}

fn addresses(peers: &[PeerLoad]) -> Vec<&Address> {
    peers.iter().map(|peer| &peer.address).collect()
}

/// To whom a declared link leads.
pub(crate) fn peer_of(link: &str, peers: &[PeerLoad], config: &Config) -> Option<usize> {
    let leads_to = |peer: &PeerLoad| {
        declared(&peer.address, &addresses(peers), config).is_some_and(|(name, _)| name == link)
    };
    peers.iter().position(leads_to)
}

/// By a declared link's kind, else by what listens there by default.
pub(crate) fn is_database(address: &Address, link: Option<&Link>) -> bool {
    link.map_or_else(|| DatabaseServer::at(address).is_some(), |link| link.kind.is_database_server())
}

/// The routes that take most of the time when nobody is in their way: descending, until most of it is reached.
pub(crate) fn longest_alone(model: &Model) -> (Vec<Route>, Vec<String>) {
    let mut by_time: Vec<(&RouteModel, f64)> =
        model.routes.iter().map(|route| (route, model.share_of_time(route))).collect();
    by_time.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (mut routes, mut said, mut carried) = (Vec::new(), Vec::new(), 0.0);
    for (route, share) in by_time.into_iter().take(3) {
        said.push(format!(
            "{} is {:.0} % of the requests and {:.0} % of the time that they take alone",
            route.route,
            100.0 * route.mix,
            100.0 * share
        ));
        routes.push(route.route.clone());
        carried += share;
        if carried >= CARRY {
            break;
        }
    }
    (routes, said)
}

/// The routes that users wait for flat out, by Little's law: descending, until most of the time is reached.
pub(crate) fn longest(found: &Evidence<'_>) -> (Vec<Route>, Vec<String>) {
    let mut waited: Vec<(Route, f64, f64)> = found
        .run
        .routes()
        .into_iter()
        .map(|route| {
            let seen = found.saturated().into_iter().map(|w| w.route(&route).latency);
            let (count, us) = seen.fold((0.0, 0.0), |(count, us), l| {
                (count + l.count() as f64, us + l.count() as f64 * l.mean_us())
            });
            (route, count, us)
        })
        .collect();
    waited.sort_by(|a, b| b.2.total_cmp(&a.2));
    let sum = |part: fn(&(Route, f64, f64)) -> f64| waited.iter().map(part).sum::<f64>().max(1.0);
    let (all, all_us) = (sum(|w| w.1), sum(|w| w.2));
    let (mut routes, mut said, mut carried) = (Vec::new(), Vec::new(), 0.0);
    for (route, count, us) in waited.into_iter().filter(|w| w.1 > 0.0).take(3) {
        said.push(format!(
            "{route} is {:.0} % of the requests and {:.0} % of the time that users wait",
            100.0 * count / all,
            100.0 * us / all_us
        ));
        routes.push(route);
        carried += us / all_us;
        if carried >= CARRY {
            break;
        }
    }
    (routes, said)
}
