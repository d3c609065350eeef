//! The home page: the newest photos, and a form for one's own.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use maud::html;

use crate::database::Photo;
use crate::page;
use crate::refusal::Refusal;
use crate::session::Visit;
use crate::shop::Shop;

pub async fn home(State(shop): State<Arc<Shop>>, visit: Visit) -> Result<Html<String>, Refusal> {
    let photos = shop
        .database()
        .prepare_cached(&format!("{} ORDER BY photos.id DESC LIMIT 24", Photo::SELECT))?
        .query_map((), Photo::from_row)?
        .collect::<Result<Vec<_>, _>>()?;
    let customer = visit.customer().ok();
    let content = html! {
        @if customer.is_some() {
            form method="post" action="/photos" enctype="multipart/form-data" {
                input type="hidden" name="csrf" value=(visit.csrf());
                label { "Title " input name="title" required; }
                input type="file" name="photo" accept="image/jpeg" required;
                button { "Upload" }
            }
        }
        (page::grid(&photos))
    };
    Ok(page::page("Newest photos", customer, &content))
}
