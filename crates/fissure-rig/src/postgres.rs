//! Connecting to the PostgreSQL server of a declared link, and asking it.

use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// The parts of a link's URL.
pub(crate) fn named(link: &str, variable: &str, url: &str) -> Result<(String, String, String), String> {
    parts(url).ok_or_else(|| {
        format!("[links.{link}]: `{variable}` holds no postgres:// URL with a database's name.")
    })
}

/// How to connect to a database of the server that stands before its name in a URL.
pub(crate) fn config(link: &str, variable: &str, before: &str, database: &str) -> Result<Config, String> {
    // Without settings of pools and the like, which the driver would refuse.
    let authority = before.split_once("://").map_or("", |(_, rest)| rest);
    let mut config: Config = format!("postgresql://{authority}{database}")
        .parse()
        .map_err(|e| format!("[links.{link}]: the URL in `{variable}` cannot be read: {e}."))?;
    config.connect_timeout(std::time::Duration::from_secs(5));
    Ok(config)
}

pub(crate) async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// As text; nothing where it fails.
pub(crate) async fn rows(client: &Client, statement: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(statement).await.unwrap_or_default();
    let texts = |row: &tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect::<Vec<_>>()
    };
    messages
        .iter()
        .filter_map(|m| match m {
            SimpleQueryMessage::Row(row) => Some(texts(row)),
            _ => None,
        })
        .collect()
}

/// `postgres://user:password@host:port/`, the database's name, and what follows it.
fn parts(url: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    // `postgresql+psycopg2` and its like name a driver, too.
    if !scheme.split('+').next().is_some_and(|s| matches!(s, "postgres" | "postgresql")) {
        return None;
    }
    let (authority, path) = rest.split_once('/')?;
    let end = path.find('?').unwrap_or(path.len());
    let (name, after) = path.split_at(end);
    (!name.is_empty()).then(|| (format!("{scheme}://{authority}/"), name.to_owned(), after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_a_url_is_replaced_and_nothing_else() {
        let found = parts("postgresql+psycopg2://a:b%40c@localhost:5432/shop?sslmode=disable").unwrap();
        assert_eq!(found.0, "postgresql+psycopg2://a:b%40c@localhost:5432/");
        assert_eq!((&*found.1, &*found.2), ("shop", "?sslmode=disable"));
        for url in ["mysql://h/db", "postgres://h:5432", "postgres://h/", "host=h dbname=x", ""] {
            assert_eq!(parts(url), None, "{url}");
        }
    }
}
