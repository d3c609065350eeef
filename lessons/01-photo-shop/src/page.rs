//! The frame of every page, and what several pages show.

use axum::response::Html;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::database::Photo;
use crate::session::Customer;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:auto;padding:1rem}\
    nav{display:flex;gap:1rem;align-items:center}\
    ul.photos{display:grid;grid-template-columns:repeat(auto-fill,minmax(12rem,1fr));gap:1rem;padding:0}\
    ul.photos li{list-style:none}img{max-width:100%}";

pub fn page(title: &str, customer: Option<&Customer>, content: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) " – Photo shop" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                nav {
                    a href="/" { "Photo shop" }
                    form action="/search" { input name="q" placeholder="Search"; }
                    @match customer {
                        Some(customer) => span { "Hello, " (customer.name) },
                        None => a href="/login" { "Log in" },
                    }
                }
                main { h1 { (title) } (content) }
            }
        }
    };
    Html(page.into_string())
}

pub fn grid(photos: &[Photo]) -> Markup {
    html! {
        ul.photos {
            @for photo in photos {
                li {
                    a href={ "/photos/" (photo.id) } {
                        img src={ "/photos/" (photo.id) "/thumb" } alt="" loading="lazy";
                        span { (photo.title) }
                    }
                    small { " by " (photo.by) ", " (price(photo.cents)) }
                }
            }
        }
    }
}

pub fn price(cents: i64) -> String {
    format!("€{}.{:02}", cents / 100, cents % 100)
}
