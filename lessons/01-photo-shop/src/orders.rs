//! Orders of prints: the stock goes down and the order is written in one transaction.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{Html, Redirect};
use maud::html;
use rusqlite::TransactionBehavior;
use serde::Deserialize;

use crate::page;
use crate::refusal::Refusal;
use crate::session::Visit;
use crate::shop::Shop;

#[derive(Deserialize)]
pub struct OrderForm {
    csrf: String,
    photo: i64,
    count: i64,
}

pub async fn order(
    State(shop): State<Arc<Shop>>,
    visit: Visit,
    Form(form): Form<OrderForm>,
) -> Result<Redirect, Refusal> {
    let customer = visit.customer()?;
    visit.check(&form.csrf)?;
    if !(1..=99).contains(&form.count) {
        return Err(Refusal::BadForm("Between 1 and 99 prints can be ordered".to_owned()));
    }
    let mut database = shop.database();
    // Immediate: two sales that both read first and write later would refuse each other.
    let sale = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (stock, cents): (i64, i64) = sale
        .prepare_cached("SELECT stock, cents FROM photos WHERE id = ?1")?
        .query_row([form.photo], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if stock < form.count {
        return Err(Refusal::SoldOut);
    }
    sale.prepare_cached("UPDATE photos SET stock = stock - ?1 WHERE id = ?2")?
        .execute((form.count, form.photo))?;
    sale.prepare_cached("INSERT INTO orders (user_id, photo_id, count, cents) VALUES (?1, ?2, ?3, ?4)")?
        .execute((customer.id, form.photo, form.count, cents * form.count))?;
    let id = sale.last_insert_rowid();
    sale.commit()?;
    Ok(Redirect::to(&format!("/orders/{id}")))
}

/// Shown to the customer who ordered, and to nobody else.
pub async fn receipt(
    State(shop): State<Arc<Shop>>,
    visit: Visit,
    Path(id): Path<i64>,
) -> Result<Html<String>, Refusal> {
    let customer = visit.customer()?;
    let database = shop.database();
    let (title, count, cents): (String, i64, i64) = database
        .prepare_cached(
            "SELECT photos.title, orders.count, orders.cents FROM orders JOIN photos ON photos.id = photo_id \
             WHERE orders.id = ?1 AND orders.user_id = ?2",
        )?
        .query_row((id, customer.id), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let content = html! {
        p { (count) " × “" (title) "”: " (page::price(cents)) "." }
        p { "Thank you!" }
    };
    Ok(page::page(&format!("Order {id}"), Some(customer), &content))
}
