//! Which process gets a request, and when: the table route -> role, the replica with the fewest requests outstanding, the
//! limits in front. All threads of the crowd share it, as clients share a proxy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use fissure_facts::Route;
use fissure_facts::arrangement::WEB;
use tokio::sync::Semaphore;

use super::own_host;
use super::plan::CrowdPlan;

/// Every role with its replicas.
#[derive(Debug)]
pub(super) struct Dispatch {
    roles: Vec<Arc<Role>>,
    table: Vec<(Route, Arc<Role>)>,
    web: Arc<Role>,
    limits: Vec<(Route, Arc<Semaphore>)>,
    limit_of_all: Option<Arc<Semaphore>>,
    /// `127.0.0.1:PORT` of the front: what `Host` says, whichever process answers, as behind one front door.
    pub(super) host: String,
}

/// The replicas of one role.
#[derive(Debug)]
pub(super) struct Role {
    replicas: Vec<Arc<Replica>>,
    /// Where the search for the least busy begins, so that ties go round.
    next: AtomicUsize,
}

/// One process of the app.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) address: SocketAddr,
    outstanding: AtomicU32,
}

/// A request that a replica has and has not answered yet.
#[derive(Debug)]
pub(super) struct Outstanding(pub(super) Arc<Replica>);

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Relaxed);
    }
}

impl Role {
    pub(super) fn replicas(&self) -> &[Arc<Replica>] {
        &self.replicas
    }

    /// As a good proxy chooses.
    pub(super) fn choose(&self) -> Outstanding {
        let count = self.replicas.len();
        let start = self.next.load(Relaxed);
        let least = (0..count)
            .map(|i| (start + i) % count)
            .min_by_key(|&i| self.replicas[i].outstanding.load(Relaxed));
        let index = least.unwrap_or(0);
        self.next.store((index + 1) % count, Relaxed);
        let replica = &self.replicas[index];
        replica.outstanding.fetch_add(1, Relaxed);
        Outstanding(Arc::clone(replica))
    }
}

impl Dispatch {
    /// The next request goes to the copy whose turn this is, if nobody is busy.
    pub(super) fn take_turn(&self, turn: u64) {
        for role in &self.roles {
            role.next.store((turn % role.replicas.len() as u64) as usize, Relaxed);
        }
    }

    /// Refuses what is neither on this machine nor on one of the user's own hosts, with a sentence.
    pub(super) fn new(plan: &CrowdPlan) -> Result<Self, String> {
        let CrowdPlan { targets, table, own_hosts, .. } = plan;
        let mut named: BTreeMap<&str, Arc<Role>> = BTreeMap::new();
        for (name, addresses) in targets {
            if let Some(foreign) = addresses.iter().find(|a| !own_host::may_be_loaded(a.ip(), own_hosts)) {
                return Err(format!(
                    "the address {foreign} of the role `{name}` is not on this machine: fissure sends load only to loopback and \
                     to hosts that `[load] own_hosts` names"
                ));
            }
            if addresses.is_empty() {
                return Err(format!("the role `{name}` has no replica to send requests to"));
            }
            let replicas = addresses
                .iter()
                .map(|&address| Arc::new(Replica { address, outstanding: AtomicU32::new(0) }));
            named.insert(name, Arc::new(Role { replicas: replicas.collect(), next: AtomicUsize::new(0) }));
        }
        let Some(web) = named.get(WEB).map(Arc::clone) else {
            return Err(format!("the plan names no address for the role `{WEB}`"));
        };
        let table = table.iter().map(|(route, role)| match named.get(role.as_str()) {
            Some(found) => Ok((route.clone(), Arc::clone(found))),
            None => Err(format!("the table sends {route} to the role `{role}`, which has no address")),
        });
        let table = table.collect::<Result<_, _>>()?;
        let host = plan.host.clone().unwrap_or_else(|| web.replicas[0].address.to_string());
        let limit = |at_once: u32| Arc::new(Semaphore::new(at_once.max(1) as usize));
        let limits = plan.concurrency.iter().map(|(route, at_once)| (route.clone(), limit(*at_once)));
        Ok(Self {
            roles: named.into_values().collect(),
            table,
            web,
            limits: limits.collect(),
            limit_of_all: plan.at_once.map(limit),
            host,
        })
    }

    /// The role that serves a step's route.
    pub(super) fn role_of(&self, route: &Route) -> Arc<Role> {
        let found = self.table.iter().find(|(r, _)| r.matches(route)).map(|(_, role)| role);
        Arc::clone(found.unwrap_or(&self.web))
    }

    /// What a request of this route has to wait for, first come, first served.
    pub(super) fn limit_of(&self, route: &Route) -> Option<Arc<Semaphore>> {
        let own = self.limits.iter().find(|(r, _)| r.matches(route)).map(|(_, limit)| limit);
        own.or(self.limit_of_all.as_ref()).map(Arc::clone)
    }

    /// The role that serves a path to which a redirect led, which no step names.
    pub(super) fn role_of_path(&self, method: &str, path: &str) -> Arc<Role> {
        let found = self.table.iter().find(|(route, _)| route.serves(method, path)).map(|(_, role)| role);
        Arc::clone(found.unwrap_or(&self.web))
    }

    /// Is this `host:port` the app?
    pub(super) fn is_own(&self, authority: &str) -> bool {
        let port_of_own_name =
            |name: &str| authority.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
        let replicas = self.roles.iter().flat_map(|r| &r.replicas).map(|r| r.address);
        authority == self.host
            || replicas.chain(self.host.parse().ok()).any(|a| {
                a.to_string() == authority
                    || port_of_own_name("localhost").is_some_and(|port| port == a.port().to_string())
                    || port_of_own_name("127.0.0.1").is_some_and(|port| port == a.port().to_string())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(ports: &[u16]) -> CrowdPlan {
        let addresses = ports.iter().map(|p| ([127, 0, 0, 1], *p).into()).collect();
        CrowdPlan { targets: [(WEB.to_owned(), addresses)].into(), ..CrowdPlan::default() }
    }

    #[test]
    fn the_least_busy_replica_is_chosen_and_ties_go_round() {
        let dispatch = Dispatch::new(&plan(&[1, 2, 3])).unwrap();
        let web = dispatch.role_of(&"GET /".parse().unwrap());
        let port = |o: &Outstanding| o.0.address.port();
        let (a, b, c) = (web.choose(), web.choose(), web.choose());
        assert_eq!([port(&a), port(&b), port(&c)], [1, 2, 3]);
        drop(b);
        let again = web.choose();
        assert_eq!(port(&again), 2);
        drop((a, c, again));
        let ports: Vec<u16> = (0..6).map(|_| port(&web.choose())).collect();
        assert_eq!(ports, [3, 1, 2, 3, 1, 2]);
    }

    #[test]
    fn load_goes_to_loopback_and_own_hosts_only() {
        let mut plan = plan(&[]);
        plan.targets.insert(WEB.to_owned(), vec![([192, 0, 2, 1], 80).into()]);
        let error = Dispatch::new(&plan).unwrap_err();
        assert!(error.contains("192.0.2.1:80") && error.contains("loopback"), "{error}");
        plan.own_hosts.insert("staging.test".to_owned(), vec![[192, 0, 2, 1].into()]);
        Dispatch::new(&plan).unwrap();
    }

    #[test]
    fn a_table_with_an_unknown_role_is_refused() {
        let mut plan = plan(&[1]);
        plan.table.insert("GET /a".parse().unwrap(), "thumbs".to_owned());
        assert!(Dispatch::new(&plan).unwrap_err().contains("thumbs"));
    }
}
