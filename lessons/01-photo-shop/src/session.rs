//! Who is asking: a session cookie whose row lives in the database, and the token that our own forms carry.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{COOKIE, HeaderName, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use maud::html;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Deserialize;

use crate::page;
use crate::refusal::Refusal;
use crate::shop::{Shop, secret_name};

pub struct Customer {
    pub id: i64,
    pub name: String,
}

/// A browser's visit. Begins on the login page, and anew when the customer has logged in.
pub struct Session {
    id: String,
    csrf: String,
    customer: Option<Customer>,
}

impl Session {
    fn begin(database: &Connection, customer: Option<Customer>) -> rusqlite::Result<Self> {
        let session = Self { id: secret_name(), csrf: secret_name(), customer };
        database
            .prepare_cached("INSERT INTO sessions (id, csrf, user_id) VALUES (?1, ?2, ?3)")?
            .execute((&session.id, &session.csrf, session.customer.as_ref().map(|c| c.id)))?;
        Ok(session)
    }

    fn find(database: &Connection, id: &str) -> rusqlite::Result<Option<Self>> {
        database
            .prepare_cached(
                "SELECT csrf, users.id, users.name FROM sessions LEFT JOIN users ON users.id = user_id \
                 WHERE sessions.id = ?1",
            )?
            .query_row([id], |row| {
                let customer: Option<i64> = row.get(1)?;
                let customer = match customer {
                    Some(id) => Some(Customer { id, name: row.get(2)? }),
                    None => None,
                };
                Ok(Self { id: id.to_owned(), csrf: row.get(0)?, customer })
            })
            .optional()
    }

    fn set_cookie(&self) -> AppendHeaders<[(HeaderName, String); 1]> {
        AppendHeaders([(SET_COOKIE, format!("session={}; Path=/; HttpOnly; SameSite=Lax", self.id))])
    }
}

/// The session that the request's cookie names.
pub struct Visit(Option<Session>);

impl Visit {
    pub fn customer(&self) -> Result<&Customer, Refusal> {
        self.0.as_ref().and_then(|session| session.customer.as_ref()).ok_or(Refusal::LoginFirst)
    }

    /// What a form of ours must carry.
    pub fn csrf(&self) -> &str {
        self.0.as_ref().map_or("", |session| &session.csrf)
    }

    /// Refuses a form that another site made the browser send.
    pub fn check(&self, csrf: &str) -> Result<(), Refusal> {
        match &self.0 {
            Some(session) if session.csrf == csrf => Ok(()),
            _ => Err(Refusal::Forged),
        }
    }
}

impl FromRequestParts<Arc<Shop>> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Self, Refusal> {
        let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
        let id = cookies
            .flat_map(|header| header.split(';'))
            .find_map(|cookie| cookie.trim().strip_prefix("session="));
        match id {
            Some(id) => Ok(Self(Session::find(&shop.database(), id)?)),
            None => Ok(Self(None)),
        }
    }
}

pub async fn login_page(State(shop): State<Arc<Shop>>) -> Result<impl IntoResponse, Refusal> {
    let session = Session::begin(&shop.database(), None)?;
    let form = html! {
        form method="post" action="/login" {
            input type="hidden" name="csrf" value=(session.csrf);
            label { "Name " input name="name" required; }
            label { "Password " input type="password" name="password" required; }
            button { "Log in" }
        }
    };
    Ok((session.set_cookie(), page::page("Log in", None, &form)))
}

#[derive(Deserialize)]
pub struct LoginForm {
    csrf: String,
    name: String,
    password: String,
}

pub async fn login(
    State(shop): State<Arc<Shop>>,
    visit: Visit,
    Form(form): Form<LoginForm>,
) -> Result<impl IntoResponse, Refusal> {
    visit.check(&form.csrf)?;
    let database = shop.database();
    let customer = database
        .prepare_cached("SELECT id, name FROM users WHERE name = ?1 AND password = ?2")?
        .query_row((&form.name, &form.password), |row| Ok(Customer { id: row.get(0)?, name: row.get(1)? }))
        .optional()?
        .ok_or(Refusal::WrongPassword)?;
    // A new session, so that nobody can log a customer in to a session that they know (session fixation).
    let session = Session::begin(&database, Some(customer))?;
    Ok((session.set_cookie(), Redirect::to("/")))
}
