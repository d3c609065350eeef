//! Where the front door sends a request: the table route -> role, and the addresses of each role.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use fissure_facts::Route;
use fissure_facts::arrangement::WEB;

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

    /// The replicas that serve a request.
    pub(super) fn serving(&self, method: &str, path: &str) -> &[SocketAddr] {
        let named = self.routes.iter().find(|(route, _)| route.serves(method, path));
        let role = named.map_or(WEB, |(_, role)| role.as_str());
        self.roles.get(role).map_or(&[], Vec::as_slice)
    }

    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.roles.values().flatten().any(|known| *known == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_goes_to_its_role_and_everything_else_to_the_whole() {
        let (web, thumbs) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let mut table = Table::whole(web);
        table.roles.insert("thumbs".to_owned(), vec![thumbs]);
        table.routes.insert("GET /photos/{id}/thumb".parse().unwrap(), "thumbs".to_owned());
        assert_eq!(table.serving("GET", "/photos/7/thumb"), [thumbs]);
        assert_eq!(table.serving("POST", "/photos/7/thumb"), [web]);
        assert_eq!(table.serving("GET", "/"), [web]);
        assert_eq!(Table::default().serving("GET", "/"), []);
    }
}
