//! What the API asks for before it answers: a token out of a login, a password, a key.

use fissure_facts::journey::{Capture, JourneyStep, JsonPath, Piece, Query, Template};
use serde_json::Value;

use super::Wrong;
use super::document::Document;
use super::maker::step as path_step;
use super::operation::Operation;
use super::story::{Story, Why, route_name};
use crate::users::fresh::is_password;
use crate::users::names;

/// What is sent along with a request.
#[derive(Debug, Clone)]
pub enum Credential {
    Header(String, Template),
    Query(String, Template),
    Cookie(String, Template),
    Basic(Template, Template),
}

const TOKENS: [&str; 9] =
    ["access_token", "token", "accesstoken", "id_token", "jwt", "auth_token", "authtoken", "key", "api_key"];

impl<'d> Story<'_, 'd> {
    pub fn authorize(
        &mut self,
        operation: &Operation<'d>,
        step: &mut JourneyStep,
        note: &mut Vec<String>,
    ) -> Result<Result<(), Why>, Wrong> {
        if self.is_logging_in || operation.security.is_empty() || operation.security.iter().any(Vec::is_empty)
        {
            return Ok(Ok(()));
        }
        let is_held = |set: &&Vec<&str>| set.iter().all(|name| self.credentials.contains_key(*name));
        let set = operation.security.iter().find(is_held).unwrap_or(&operation.security[0]);
        for name in set {
            let credential = match self.credentials.get(*name) {
                Some(credential) => credential.clone(),
                None => {
                    self.is_logging_in = true;
                    let found = self.credential(operation, name, note);
                    self.is_logging_in = false;
                    let found = found?;
                    self.credentials.insert((*name).to_owned(), found.clone());
                    found
                }
            };
            match credential {
                Credential::Header(name, value) => step.headers.push((name, value)),
                Credential::Query(name, value) => step.query.push((name, value)),
                Credential::Cookie(name, value) => step.cookies.push((name, value)),
                Credential::Basic(user, password) => step.basic_auth = Some((user, password)),
            }
        }
        Ok(Ok(()))
    }

    fn credential(
        &mut self,
        operation: &Operation<'d>,
        name: &str,
        note: &mut Vec<String>,
    ) -> Result<Credential, Wrong> {
        let document = &self.api.document;
        let schemes = document.root().pointer("/components/securitySchemes");
        let scheme = schemes.and_then(|all| all.get(name)).ok_or_else(|| {
            Wrong::at(&operation.place, format!("the security scheme `{name}` is described nowhere"))
        })?;
        let place = format!("#/components/securitySchemes/{name}");
        let scheme = document.at(scheme, &place)?;
        let text = |field: &str| scheme.get(field).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "http" if text("scheme").eq_ignore_ascii_case("basic") => {
                let [user, password] = self.person(None, note)?;
                Ok(Credential::Basic(user, password))
            }
            "apiKey" => {
                let (field, stands_in) = (text("name").to_owned(), text("in"));
                let is_token = !field.is_empty()
                    && field.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
                if !is_token {
                    return Err(Wrong::at(place, "a key has the `name` under which it is sent"));
                }
                let variable = names::word(&field);
                note.push(format!(
                    "`{name}` is a key of yours: make `{variable}` a column of [users] data in fissure.toml"
                ));
                let value = Template(vec![Piece::Variable(variable)]);
                Ok(match stands_in {
                    "query" => Credential::Query(field, value),
                    "cookie" => Credential::Cookie(field, value),
                    _ => Credential::Header(field, value),
                })
            }
            _ => {
                let url = scheme.pointer("/flows/password/tokenUrl").and_then(Value::as_str);
                let token = match self.token(url, note)? {
                    Some(token) => token,
                    None => {
                        note.push(format!(
                            "`{name}` asks for a token, and no operation that fissure knows gives one: make `token` a column \
                             of [users] data in fissure.toml"
                        ));
                        "token".to_owned()
                    }
                };
                let value = vec![Piece::Text("Bearer ".to_owned()), Piece::Variable(token)];
                Ok(Credential::Header("Authorization".to_owned(), Template(value)))
            }
        }
    }

    /// Logs in, and gives the name of the captured token.
    fn token(&mut self, url: Option<&str>, note: &mut Vec<String>) -> Result<Option<String>, Wrong> {
        let api = self.api;
        let path_of = |url: &str| {
            let path = url
                .find("://")
                .map_or(url, |at| url[at + 3..].find('/').map_or("", |slash| &url[at + 3 + slash..]));
            path.trim_matches(['/', '.']).to_owned()
        };
        let is_named = |operation: &Operation<'_>| {
            url.is_some_and(|url| {
                let (wanted, path) = (path_of(url), operation.path.trim_matches('/'));
                wanted == path || format!("{}/{path}", api.prefix.trim_matches('/')) == wanted
            })
        };
        let mut best: Option<(usize, usize, String)> = None;
        for (n, operation) in api.operations.iter().enumerate().filter(|(_, o)| o.method == "POST") {
            let (Some(body), Some(answer)) = (&operation.body, operation.answer.or(Some(&Value::Null)))
            else {
                continue;
            };
            let takes_password =
                fields(&api.document, body.schema, &body.place)?.iter().any(|name| is_password(name));
            let way = token_in(&api.document, answer, &operation.place, true)?;
            let rank = match way {
                _ if is_named(operation) => 0,
                Some(_)
                    if takes_password
                        && operation.is_called(&["login", "signin", "token", "session", "auth"]) =>
                {
                    1
                }
                Some(_) if takes_password => 2,
                _ => continue,
            };
            if best.as_ref().is_none_or(|(known, ..)| rank < *known) {
                best = Some((rank, n, way.unwrap_or_else(|| ".access_token".to_owned())));
            }
        }
        let Some((_, login, way)) = best else { return Ok(None) };
        let person = self.person(Some(login), note)?;
        let mut values = Vec::new();
        if let Some(body) = &api.operations[login].body {
            for name in fields(&api.document, body.schema, &body.place)? {
                let word = names::word(&name);
                if is_password(&name) {
                    values.push((word, person[1].clone()));
                } else if is_identity(&word) {
                    values.push((word, person[0].clone()));
                }
            }
        }
        self.login = Some((login, values));
        if let Err(why) = self.play(login)? {
            note.push(format!("the login {} cannot be played: {why}", route_name(&api.operations[login])));
            return Ok(None);
        }
        let Ok(path) = JsonPath::parse(&format!("${way}")) else { return Ok(None) };
        let name = self.free_name("access_token");
        let at = self.played[&login];
        self.steps[at].captures.push(Capture {
            line: 0,
            name: name.clone(),
            query: Query::JsonPath(path),
            filters: Vec::new(),
        });
        Ok(Some(name))
    }

    /// Name and password of a user: of one who signs up, if that can be done.
    fn person(&mut self, login: Option<usize>, note: &mut Vec<String>) -> Result<[Template; 2], Wrong> {
        let api = self.api;
        for (n, operation) in api.operations.iter().enumerate() {
            let Some(body) = &operation.body else { continue };
            let takes_password =
                fields(&api.document, body.schema, &body.place)?.iter().any(|name| is_password(name));
            let makes_users =
                operation.is_called(&["register", "registration", "signup", "join", "createuser", "adduser"])
                    || operation
                        .path
                        .trim_matches('/')
                        .rsplit('/')
                        .next()
                        .is_some_and(|last| ["users", "user", "accounts"].contains(&last));
            let is_one = operation.method == "POST"
                && Some(n) != login
                && !operation.path.contains('{')
                && takes_password
                && makes_users;
            if !is_one || self.play(n)?.is_err() {
                continue;
            }
            let Some(sent) = self.sent.get(&n) else { continue };
            let wanted: Vec<String> = match login.and_then(|login| api.operations[login].body.as_ref()) {
                Some(body) => fields(&api.document, body.schema, &body.place)?
                    .iter()
                    .map(|name| names::word(name))
                    .collect(),
                None => Vec::new(),
            };
            let named = |words: &[&str]| {
                words.iter().find_map(|word| sent.iter().find(|(name, _)| names::word(name) == *word))
            };
            let exact = sent.iter().find(|(name, _)| {
                let word = names::word(name);
                is_identity(&word) && wanted.contains(&word)
            });
            let user = exact.or_else(|| named(&["username", "user_name", "login", "email", "user", "name"]));
            let password = sent.iter().find(|(name, _)| is_password(name));
            if let (Some((_, user)), Some((_, password))) = (user, password) {
                return Ok([user.clone(), password.clone()]);
            }
        }
        note.push(
            "the API asks who it is: make `username` and `password` columns of [users] data in fissure.toml"
                .to_owned(),
        );
        let variable = |name: &str| Template(vec![Piece::Variable(name.to_owned())]);
        Ok([variable("username"), variable("password")])
    }

    /// What the login that is being played sends, by words.
    pub fn login_values(&self, n: usize) -> Vec<(String, Template)> {
        self.login.iter().filter(|(login, _)| *login == n).flat_map(|(_, values)| values.clone()).collect()
    }
}

fn is_identity(word: &str) -> bool {
    ["username", "user_name", "login", "email", "user", "name", "e_mail", "mail", "identifier"]
        .contains(&word)
}

fn fields(document: &Document<'_>, schema: &Value, place: &str) -> Result<Vec<String>, Wrong> {
    Ok(document.schema(schema, place)?.properties().into_iter().map(|(name, ..)| name.to_owned()).collect())
}

/// The way to a token in an answer, also one level deeper.
fn token_in(
    document: &Document<'_>,
    schema: &Value,
    place: &str,
    is_deep: bool,
) -> Result<Option<String>, Wrong> {
    let properties = document.schema(schema, place)?.properties();
    for token in TOKENS {
        if let Some((name, ..)) = properties.iter().find(|(name, ..)| names::word(name) == token) {
            return Ok(Some(path_step(name)));
        }
    }
    for (name, inner, _) in properties.iter().filter(|_| is_deep).take(20) {
        if let Some(way) = token_in(document, inner, place, false)? {
            return Ok(Some(format!("{}{way}", path_step(name))));
        }
    }
    Ok(None)
}
