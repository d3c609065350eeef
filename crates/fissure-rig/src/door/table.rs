//! Where the front door sends a request: the table route -> role, and the addresses of each role.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fissure_facts::Route;
use fissure_facts::arrangement::WEB;

use super::pool::{Place, Pool};

/// The arrangement behind the door, as addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Role -> its replicas. What no route names goes to `web`.
    pub roles: BTreeMap<String, Vec<SocketAddr>>,
    /// Routes that another role than `web` serves.
    pub routes: BTreeMap<Route, String>,
}

impl Table {
    /// The whole app at one address.
    pub fn whole(address: SocketAddr) -> Self {
        Self { roles: [(WEB.to_owned(), vec![address])].into(), ..Self::default() }
    }

    /// The role that serves a request.
    fn role(&self, method: &str, path: &str) -> &str {
        let named = self.routes.iter().find(|(route, _)| route.serves(method, path));
        named.map_or(WEB, |(_, role)| role.as_str())
    }

    fn has(&self, address: SocketAddr) -> bool {
        self.roles.values().flatten().any(|known| *known == address)
    }
}

/// A table in force: its addresses are places with connections.
pub(super) struct InForce {
    table: Table,
    places: BTreeMap<String, Vec<Arc<Place>>>,
}

impl InForce {
    pub(super) fn new(table: Table, pool: &Pool) -> Self {
        let places = table.roles.iter().map(|(role, addresses)| {
            (role.clone(), addresses.iter().map(|&address| pool.place(address)).collect())
        });
        Self { places: places.collect(), table }
    }

    /// The replicas that serve a request.
    pub(super) fn serving(&self, method: &str, path: &str) -> &[Arc<Place>] {
        self.places.get(self.table.role(method, path)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.table.has(address)
    }
}

#[cfg(test)]
mod tests {
    use fissure_facts::Protocol;

    use super::*;

    #[test]
    fn a_route_goes_to_its_role_and_everything_else_to_the_whole() {
        let (web, thumbs) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let mut table = Table::whole(web);
        table.roles.insert("thumbs".to_owned(), vec![thumbs]);
        table.routes.insert("GET /photos/{id}/thumb".parse().unwrap(), "thumbs".to_owned());
        let pool = Pool::new(Protocol::default());
        let serving = |table: &Table, method: &str, path: &str| {
            let table = InForce::new(table.clone(), &pool);
            table.serving(method, path).iter().map(|place| place.address()).collect::<Vec<_>>()
        };
        assert_eq!(serving(&table, "GET", "/photos/7/thumb"), [thumbs]);
        assert_eq!(serving(&table, "POST", "/photos/7/thumb"), [web]);
        assert_eq!(serving(&table, "GET", "/"), [web]);
        assert_eq!(serving(&Table::default(), "GET", "/"), []);
    }
}
