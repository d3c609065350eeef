//! The shop over real sockets, as a browser would use it.

#![allow(clippy::unwrap_used, reason = "in a test, a failure is the answer")]

mod browser;

use std::sync::atomic::{AtomicUsize, Ordering};

use browser::{Browser, Running, between};

const SAMPLE: &[u8] = include_bytes!("../journeys/sample.jpg");

fn stock(browser: &mut Browser, photo: &str) -> i64 {
    let page = browser.get(&format!("/photos/{photo}"));
    between(&page.text(), "a print, ", " left").parse().unwrap()
}

#[test]
fn a_new_shop_shows_its_samples() {
    let shop = Running::start_anew();
    let mut browser = shop.browser();
    assert_eq!(browser.get("/health").text(), "open");

    let home = browser.get("/");
    assert_eq!(home.status, 200);
    assert_eq!(home.text().matches("<li>").count(), 24);

    let photo = between(&home.text(), "/photos/", "\"").to_owned();
    let small = browser.get(&format!("/photos/{photo}/thumb"));
    let large = browser.get(&format!("/photos/{photo}/thumb?size=large"));
    assert_eq!(small.header("content-type"), Some("image/jpeg"));
    assert_eq!(image::load_from_memory(&small.body).unwrap().width(), 240);
    assert_eq!(image::load_from_memory(&large.body).unwrap().width(), 480);

    assert_eq!(browser.get("/photos/999999").status, 404);
    assert_eq!(browser.get("/photos/999999/thumb").status, 404);
}

#[test]
fn search_finds_every_title_with_all_the_words() {
    let shop = Running::start_anew();
    let mut browser = shop.browser();
    let found = browser.get("/search?q=SEA+eve").text();
    assert_eq!(found.matches("<li>").count(), 1);
    assert!(found.contains("The sea, evening"));
    assert_eq!(browser.get("/search?q=sea").text().matches("<li>").count(), 5);
    assert_eq!(browser.get("/search?q=unicorn").text().matches("<li>").count(), 0);
    assert_eq!(browser.get("/search?q=%22%28").status, 200);
}

#[test]
fn login_needs_the_token_and_the_password() {
    let shop = Running::start_anew();
    let mut browser = shop.browser();
    let csrf = browser.csrf("/login");
    let login = |browser: &mut Browser, csrf: &str, password: &str| {
        browser.post_form("/login", &[("csrf", csrf), ("name", "ada"), ("password", password)]).status
    };
    assert_eq!(login(&mut browser, "0000", "ada"), 403);
    assert_eq!(login(&mut browser, &csrf, "wrong"), 401);
    assert!(!browser.get("/").text().contains("Hello"));
    assert_eq!(login(&mut browser, &csrf, "ada"), 303);
    assert!(browser.get("/").text().contains("Hello, ada"));
}

#[test]
fn an_order_lowers_the_stock_and_survives_a_restart() {
    let mut shop = Running::start_anew();
    let mut browser = shop.browser();
    browser.login("ada");
    let csrf = browser.csrf("/photos/3");
    let before = stock(&mut browser, "3");

    let forged = browser.post_form("/orders", &[("photo", "3"), ("count", "2"), ("csrf", "0000")]);
    assert_eq!(forged.status, 403);
    let without = browser.post_form("/orders", &[("photo", "3"), ("count", "2"), ("csrf", "")]);
    assert_eq!(without.status, 403);
    let greedy = browser.post_form("/orders", &[("photo", "3"), ("count", "-1"), ("csrf", &csrf)]);
    assert_eq!(greedy.status, 400);
    assert_eq!(stock(&mut browser, "3"), before);

    let ordered = browser.post_form("/orders", &[("photo", "3"), ("count", "2"), ("csrf", &csrf)]);
    assert_eq!(ordered.status, 303);
    let receipt = ordered.header("location").unwrap().to_owned();
    assert_eq!(stock(&mut browser, "3"), before - 2);

    shop.restart();
    browser.moved_to(&shop);
    assert_eq!(stock(&mut browser, "3"), before - 2);
    assert!(browser.get(&receipt).text().contains("Thank you!"), "the session survives, too");

    let mut other = shop.browser();
    assert_eq!(other.get(&receipt).header("location"), Some("/login"));
    other.login("ben");
    assert_eq!(other.get(&receipt).status, 404, "a receipt is its customer's own");
}

#[test]
fn an_upload_makes_both_thumbnails() {
    let shop = Running::start_anew();
    let mut browser = shop.browser();
    assert_eq!(browser.upload("", "Nobody's", SAMPLE).header("location"), Some("/login"));

    browser.login("ben");
    let csrf = browser.csrf("/");
    assert_eq!(browser.upload("0000", "Forged", SAMPLE).status, 403);
    assert_eq!(browser.upload(&csrf, "Not a photo", b"\xff\xd8nonsense").status, 400);
    assert_eq!(browser.upload(&csrf, "Too large", &vec![0; 11 << 20]).status, 413);

    let uploaded = browser.upload(&csrf, "Lighthouse <b>", SAMPLE);
    assert_eq!(uploaded.status, 303);
    let page = uploaded.header("location").unwrap().to_owned();
    assert!(browser.get(&page).text().contains("Lighthouse &lt;b&gt;"));
    for (size, width) in [("small", 240), ("large", 720)] {
        let thumb = browser.get(&format!("{page}/thumb?size={size}"));
        let thumb = image::load_from_memory(&thumb.body).unwrap();
        assert_eq!((thumb.width(), thumb.height()), (width, width * 2 / 3));
    }
    assert!(browser.get("/").text().contains(&format!("\"{page}\"")), "the newest is on the home page");
    assert!(browser.get("/search?q=lighthouse").text().contains(&page));
}

#[test]
fn two_copies_may_open_one_new_folder_at_the_same_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| Running::start_in(folder.path()));
        let two = scope.spawn(|| Running::start_in(folder.path()));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert!(one.browser().get("/search?q=sea").text().matches("<li>").count() == 5, "seeded once");

    // A session made by one copy holds at the other.
    let mut browser = one.browser();
    browser.login("cleo");
    browser.moved_to(&two);
    let csrf = browser.csrf("/photos/1");
    let before = stock(&mut browser, "1");

    let orders = 40;
    let refused = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for copy in [&one, &two, &one, &two] {
            let mut browser = browser.clone();
            let (csrf, refused) = (&csrf, &refused);
            scope.spawn(move || {
                browser.moved_to(copy);
                for _ in 0..orders / 4 {
                    let form = [("photo", "1"), ("count", "1"), ("csrf", csrf.as_str())];
                    if browser.post_form("/orders", &form).status != 303 {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(refused.load(Ordering::Relaxed), 0, "writers of two processes wait for each other");
    assert_eq!(stock(&mut browser, "1"), before - orders);

    let uploaded = browser.upload(&csrf, "Seen by both", SAMPLE).header("location").unwrap().to_owned();
    browser.moved_to(&one);
    assert_eq!(browser.get(&format!("{uploaded}/thumb")).status, 200);
}

#[test]
fn sigterm_closes_the_shop_in_good_order() {
    let mut shop = Running::start_anew();
    let mut browser = shop.browser();
    assert_eq!(browser.get("/").status, 200);
    assert!(shop.terminate().success());
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let error = photo_shop::main(folder.path(), port).unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
}
