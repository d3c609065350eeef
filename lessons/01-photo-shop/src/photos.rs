//! Photos: the page of one, its thumbnail, and the upload of a new one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Redirect};
use maud::html;
use serde::Deserialize;

use crate::database::{self, Photo};
use crate::refusal::Refusal;
use crate::seed::STOCK;
use crate::session::Visit;
use crate::shop::{Shop, secret_name};
use crate::{page, thumbnail};

fn find(shop: &Shop, id: i64) -> Result<Photo, Refusal> {
    let database = shop.database();
    let mut query = database.prepare_cached(&format!("{} WHERE photos.id = ?1", Photo::SELECT))?;
    Ok(query.query_row([id], Photo::from_row)?)
}

pub async fn photo(
    State(shop): State<Arc<Shop>>,
    visit: Visit,
    Path(id): Path<i64>,
) -> Result<Html<String>, Refusal> {
    let photo = find(&shop, id)?;
    let content = html! {
        img src={ "/photos/" (photo.id) "/thumb?size=large" } alt="";
        p { "By " (photo.by) ". " (page::price(photo.cents)) " a print, " (photo.stock) " left." }
        @if visit.customer().is_ok() {
            form method="post" action="/orders" {
                input type="hidden" name="csrf" value=(visit.csrf());
                input type="hidden" name="photo" value=(photo.id);
                label { "Prints " input type="number" name="count" value="1" min="1" max="99"; }
                button { "Order" }
            }
        } @else {
            p { a href="/login" { "Log in to order" } }
        }
    };
    Ok(page::page(&photo.title, visit.customer().ok(), &content))
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Size {
    #[default]
    Small,
    Large,
}

#[derive(Deserialize)]
pub struct ThumbForm {
    #[serde(default)]
    size: Size,
}

pub async fn thumb(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<i64>,
    Query(form): Query<ThumbForm>,
) -> Result<impl IntoResponse, Refusal> {
    let photo = find(&shop, id)?;
    let kind = match form.size {
        Size::Small => "small",
        Size::Large => "large",
    };
    let jpeg = tokio::fs::read(shop.upload_path(&photo.file, kind)).await?;
    Ok(([(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, "max-age=31536000")], jpeg))
}

#[derive(Default)]
struct UploadForm {
    csrf: String,
    title: String,
    photo: Bytes,
}

impl UploadForm {
    async fn read(mut multipart: Multipart) -> Result<Self, Refusal> {
        let mut form = Self::default();
        while let Some(field) = multipart.next_field().await? {
            match field.name() {
                Some("csrf") => form.csrf = field.text().await?,
                Some("title") => form.title = field.text().await?,
                Some("photo") => form.photo = field.bytes().await?,
                _ => {}
            }
        }
        if form.title.trim().is_empty() {
            return Err(Refusal::BadForm("A photo needs a title".to_owned()));
        }
        Ok(form)
    }
}

pub async fn upload(
    State(shop): State<Arc<Shop>>,
    visit: Visit,
    multipart: Multipart,
) -> Result<Redirect, Refusal> {
    let customer = visit.customer()?;
    let form = UploadForm::read(multipart).await?;
    visit.check(&form.csrf)?;

    let thumbs = thumbnail::shrink(&form.photo)?;

    let file = secret_name();
    tokio::fs::write(shop.upload_path(&file, "original"), &form.photo).await?;
    tokio::fs::write(shop.upload_path(&file, "large"), thumbs.large).await?;
    tokio::fs::write(shop.upload_path(&file, "small"), thumbs.small).await?;

    let mut database = shop.database();
    let sale = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let id = database::add_photo(&sale, &form.title, &file, customer.id, STOCK)?;
    sale.commit()?;
    Ok(Redirect::to(&format!("/photos/{id}")))
}
