//! The database servers that are known, and what shows one: its usual port, the name of its socket, what its process is called.

use crate::Address;
use crate::config::LinkKind;

/// A kind of database server.
#[derive(Debug, PartialEq, Eq)]
pub struct DatabaseServer {
    pub name: &'static str,
    /// What a link to it is declared as.
    pub kind: LinkKind,
    port: u16,
    /// Parts of the names of its sockets, in small letters.
    sockets: &'static [&'static str],
    /// Beginnings of the names of its processes.
    processes: &'static [&'static str],
}

const KNOWN: &[DatabaseServer] = &[
    server("PostgreSQL", LinkKind::Postgres, 5432, &[".s.pgsql."], &["postgres", "postmaster"]),
    server("MySQL", LinkKind::Mysql, 3306, &["mysql", "mariadb"], &["mysqld", "mariadbd"]),
    server("Redis", LinkKind::Redis, 6379, &["redis"], &["redis-server", "valkey-server", "keydb-server"]),
    server("MongoDB", LinkKind::Tcp, 27017, &["mongodb"], &["mongod"]),
    server("SQL Server", LinkKind::Tcp, 1433, &["mssql"], &["sqlservr"]),
    server("Oracle", LinkKind::Tcp, 1521, &["oracle"], &["oracle", "tnslsnr"]),
    server("Cassandra", LinkKind::Tcp, 9042, &["cassandra"], &["scylla"]),
];

const fn server(
    name: &'static str,
    kind: LinkKind,
    port: u16,
    sockets: &'static [&'static str],
    processes: &'static [&'static str],
) -> DatabaseServer {
    DatabaseServer { name, kind, port, sockets, processes }
}

impl DatabaseServer {
    /// Which one probably listens at an address.
    pub fn at(address: &Address) -> Option<&'static Self> {
        KNOWN.iter().find(|known| match address {
            Address::Tcp(address) => address.port() == known.port,
            Address::Unix(path) => {
                let path = path.to_ascii_lowercase();
                known.sockets.iter().any(|part| path.contains(part))
            }
        })
    }

    /// Which one a process of this name is.
    pub fn called(process: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.processes.iter().any(|name| process.starts_with(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_port_its_socket_and_its_process() {
        let at = |address: &str| DatabaseServer::at(&address.parse().unwrap()).map(|server| server.name);
        assert_eq!(at("127.0.0.1:5432"), Some("PostgreSQL"));
        assert_eq!(at("[::1]:6379"), Some("Redis"));
        assert_eq!(at("/run/mysqld/mysqld.sock"), Some("MySQL"));
        assert_eq!(at("/srv/app/.s.PGSQL.54321"), Some("PostgreSQL"));
        assert_eq!(at("127.0.0.1:8080"), None);
        let called = |name: &str| DatabaseServer::called(name).map(|server| server.kind);
        assert_eq!(called("mariadbd"), Some(LinkKind::Mysql));
        assert_eq!(called("node"), None);
    }
}
