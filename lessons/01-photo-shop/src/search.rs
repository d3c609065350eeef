//! Finding photos by words of their titles.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Html;
use maud::html;
use serde::Deserialize;

use crate::database::Photo;
use crate::page;
use crate::refusal::Refusal;
use crate::session::Visit;
use crate::shop::Shop;

#[derive(Deserialize)]
pub struct SearchForm {
    #[serde(default)]
    q: String,
}

pub async fn search(
    State(shop): State<Arc<Shop>>,
    visit: Visit,
    Query(form): Query<SearchForm>,
) -> Result<Html<String>, Refusal> {
    let words = full_text_query(&form.q);
    let photos = if words.is_empty() {
        Vec::new()
    } else {
        shop.database()
            .prepare_cached(&format!(
                "{} JOIN titles ON titles.rowid = photos.id WHERE titles MATCH ?1 \
                 ORDER BY titles.rowid DESC LIMIT 24",
                Photo::SELECT
            ))?
            .query_map([words], Photo::from_row)?
            .collect::<Result<Vec<_>, _>>()?
    };
    let content = html! {
        @if photos.is_empty() {
            p { "No photo is called “" (form.q) "”." }
        } @else {
            (page::grid(&photos))
        }
    };
    Ok(page::page(&format!("Search: {}", form.q), visit.customer().ok(), &content))
}

/// Every word of `text` must begin a word of the title. Quoted, so that nothing a person types is an operator.
fn full_text_query(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| format!("\"{word}\"*")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::full_text_query;

    #[test]
    fn operators_of_the_full_text_search_are_plain_words() {
        assert_eq!(full_text_query("sea OR \"night"), "\"sea\"* \"OR\"* \"night\"*");
        assert_eq!(full_text_query(" *-() "), "");
    }
}
