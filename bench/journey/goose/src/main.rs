//! What BENCH names: `journey` (as in journey.hurl), `think` (memory), else one flat request.

use std::sync::LazyLock;
use std::time::Duration;

use goose::goose::GooseResponse;
use goose::prelude::*;
use regex::Regex;
use serde_json::{Value, json};

static CSRF: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"name="csrf" value="([0-9a-f]+)""#).expect("a regex"));

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let scenario = scenario!("bench");
    let scenario = match std::env::var("BENCH").as_deref() {
        Ok("journey") => scenario.register_transaction(transaction!(journey)),
        Ok("think") => {
            let pause = Duration::from_secs(1);
            scenario.register_transaction(transaction!(flat)).set_wait_time(pause, pause)?
        }
        _ => scenario.register_transaction(transaction!(flat)),
    };
    GooseAttack::initialize()?.register_scenario(scenario).execute().await?;
    Ok(())
}

async fn flat(user: &mut GooseUser) -> TransactionResult {
    user.get("").await?;
    Ok(())
}

async fn journey(user: &mut GooseUser) -> TransactionResult {
    let form = text(user.get("login").await?).await?;
    let csrf = CSRF.captures(&form).map_or_else(String::new, |found| found[1].to_owned());
    let login = user.get_request_builder(&GooseMethod::Post, "login")?.header("X-CSRF-Token", &csrf).form(&[
        ("user", "ada"),
        ("password", "lovelace"),
        ("csrf", &csrf),
    ]);
    user.request(
        GooseRequest::builder().method(GooseMethod::Post).path("login").set_request_builder(login).build(),
    )
    .await?;
    let products = json(user.get("products").await?).await?;
    let product = products["products"][0]["id"].as_str().unwrap_or_default();
    let product_page = json(user.get_named(&format!("products/{product}"), "product").await?).await?;
    let size = &product_page["sizes"][0]["id"];
    let order = json(user.post_json("orders", &json!({ "product": product, "size": size })).await?).await?;
    let order = order["id"].as_str().unwrap_or_default();
    user.get_named(&format!("orders/{order}"), "order").await?;
    Ok(())
}

async fn text(answer: GooseResponse) -> Result<String, Box<TransactionError>> {
    Ok(answer.response?.text().await?)
}

async fn json(answer: GooseResponse) -> Result<Value, Box<TransactionError>> {
    Ok(serde_json::from_str(&text(answer).await?).unwrap_or_default())
}
