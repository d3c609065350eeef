//! Users with memory: cookies, captures, logins, redirects, connections.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use fissure_facts::fact::ErrorClass;
use fissure_rig::crowd::Mode;

use crate::server::{Reply, ok, serve, status};
use crate::{closed, open, plan, run};

/// A shop that lets nobody order who has not logged in with the token of its own form.
fn shop() -> impl Fn(&crate::server::Request) -> Reply + Send + Sync + 'static {
    let sessions: Mutex<HashMap<String, (String, Option<String>)>> = Mutex::default();
    let next = AtomicU64::new(1);
    move |request| {
        let cookie = request.header("cookie").unwrap_or_default().to_owned();
        let session = cookie.split("; ").find_map(|c| c.strip_prefix("sid=")).unwrap_or_default().to_owned();
        let mut sessions = sessions.lock().unwrap();
        match (request.method.as_str(), request.target.as_str()) {
            ("GET", "/login") => {
                let n = next.fetch_add(1, SeqCst);
                sessions.insert(format!("s{n}"), (format!("token/{n}+"), None));
                ok(format!("<form><input type=hidden name=csrf value=\"token/{n}+\"></form>"))
                    .with("set-cookie", format!("sid=s{n}; Path=/; HttpOnly; Secure"))
                    .with("set-cookie", "theme=dark; Path=/elsewhere")
            }
            ("POST", "/login") => match sessions.get_mut(&session) {
                Some((token, user))
                    if request.text().contains(&token.replace('/', "%2F").replace('+', "%2B")) =>
                {
                    let name = request.text();
                    *user = name.split('&').find_map(|f| f.strip_prefix("user=")).map(str::to_owned);
                    status(303, "").with("location", "/account")
                }
                _ => status(403, "no token"),
            },
            ("GET", "/account") => match sessions.get(&session) {
                Some((_, Some(user))) => ok(format!("Welcome {user}")),
                _ => status(401, "who are you"),
            },
            ("POST", "/orders") => match sessions.get(&session) {
                Some((_, Some(user))) => {
                    status(201, format!("{{\"order\":{{\"id\":\"{user}-1\",\"items\":[{{\"n\":4}}]}}}}"))
                }
                _ => status(401, "who are you"),
            },
            ("GET", target) => match sessions.get(&session) {
                Some((_, Some(user))) if target == format!("/orders/{user}-1?n=4") => ok("here it is"),
                _ => status(404, "not yours"),
            },
            _ => status(405, ""),
        }
    }
}

const BUY: &str = r#"
GET {{base}}/login
HTTP 200
[Captures]
csrf: regex "name=csrf value=\"([^\"]+)\""

POST {{base}}/login
[Options]
location: true
[Form]
user: {{user}}
csrf: {{csrf}}
HTTP 200
[Asserts]
body contains "Welcome {{user}}"
url endsWith "/account"

POST {{base}}/orders
{ "wish": "a {{colour}} hat" }
HTTP 201
[Captures]
order: jsonpath "$.order.id"
n: jsonpath "$.order.items[0].n"

GET {{base}}/orders/{{order}}?n={{n}}
HTTP 200
"#;

#[test]
fn a_login_with_a_token_and_a_chain_of_ids_works_for_many_users_at_once() {
    let (web, seen) = serve(shop());
    let mut plan = plan(web, open(60.0, 2), &[BUY]);
    plan.data = ["ann", "ben", "cyd"].iter().map(|u| [("user".to_owned(), (*u).to_owned())].into()).collect();
    plan.variables.insert("colour".to_owned(), "red".to_owned());
    let heard = run(&plan);
    heard.assert_clean();
    assert!(heard.route("GET /orders/{order}").latency.count() > 60, "{:?}", heard.seconds[0].routes.keys());
    let requests = seen.requests.lock().unwrap();
    let order = requests.iter().find(|r| r.target == "/orders").unwrap();
    assert_eq!(order.text().replace(' ', ""), "{\"wish\":\"aredhat\"}");
    assert_eq!(order.header("content-type"), Some("application/json"));
    assert_eq!(order.header("user-agent"), Some("fissure"));
    assert!(!order.header("cookie").unwrap().contains("theme"));
    // Each user comes from an address of its own.
    let mut addresses: Vec<_> =
        requests.iter().filter(|r| r.method == "GET" && r.target == "/login").map(|r| r.peer.ip()).collect();
    let users = addresses.len();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), users);
}

#[test]
fn a_journey_played_alone_says_what_came_back_step_by_step() {
    let (web, _) = serve(shop());
    let mut plan = plan(web, Mode::Play, &[BUY, "GET {{base}}/account\nHTTP 200\nGET {{base}}/login\n"]);
    plan.variables = [("user", "ann"), ("colour", "red")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let heard = run(&plan);
    let [(buy, right), (_, wrong)] = &heard.played[..] else { panic!("{heard:?}") };
    assert_eq!(buy, "journey-0.hurl");
    assert_eq!(
        right.iter().map(|s| s.status).collect::<Vec<_>>(),
        [Some(200), Some(200), Some(201), Some(200)]
    );
    assert!(right.iter().all(|s| s.problem.is_none() && s.latency_us > 0), "{right:?}");
    assert_eq!(right[1].bytes, "Welcome ann".len() as u64);
    // A step that fails ends its journey: the next one would fail for no reason of its own.
    assert_eq!(wrong.len(), 1);
    assert_eq!((wrong[0].status, wrong[0].line), (Some(401), 1));
    assert!(wrong[0].problem.as_ref().unwrap().contains("line"), "{wrong:?}");
    assert!(heard.end.is_none());
}

#[test]
fn redirects_are_followed_to_the_app_only_and_not_for_ever() {
    let (web, seen) = serve(|r| match r.target.as_str() {
        "/away" => status(302, "").with("location", "http://203.0.113.9/"),
        "/tls" => status(301, "").with("location", "https://127.0.0.1/"),
        "/round" => status(302, "").with("location", "/round"),
        "/post" if r.method == "POST" => status(307, "").with("location", "kept"),
        "/kept" if r.method == "POST" && r.text() == "hello" => status(303, "").with("location", "?done#top"),
        "/kept?done" if r.method == "GET" && r.header("content-type").is_none() => ok("fine"),
        _ => status(404, ""),
    });
    let follow = |method: &str, path: &str, body: &str| {
        format!("{method} {{{{base}}}}{path}\n[Options]\nlocation: true\n{body}HTTP 200\n")
    };
    let journeys = [
        follow("GET", "/away", ""),
        follow("GET", "/tls", ""),
        follow("GET", "/round", ""),
        follow("POST", "/post", "`hello`\n"),
    ];
    let journeys: Vec<&str> = journeys.iter().map(String::as_str).collect();
    let heard = run(&plan(web, Mode::Play, &journeys));
    let problems: Vec<_> =
        heard.played.iter().map(|(_, s)| s[0].problem.clone().unwrap_or_default()).collect();
    assert!(problems[0].contains("203.0.113.9") && problems[0].contains("leaves the app"), "{problems:?}");
    assert!(problems[1].contains("leaves the app"), "{problems:?}");
    assert!(problems[2].contains("more than 10 times"), "{problems:?}");
    assert_eq!(problems[3], "", "{:?}", seen.targets());
    assert_eq!(seen.targets().iter().filter(|t| *t == "/round").count(), 11);
}

#[test]
fn a_connection_is_kept_inside_a_journey_and_closed_after_it() {
    let (web, seen) = serve(|_| ok("x"));
    run(&plan(web, Mode::Play, &["GET {{base}}/1\nGET {{base}}/2\nGET {{base}}/3\n", "GET {{base}}/4\n"]));
    assert_eq!((seen.count(), seen.connections.load(SeqCst)), (4, 2));
}

#[test]
fn first_requests_on_a_connection_are_counted_apart_and_are_all_where_none_is_kept() {
    let journey = "GET {{base}}/1\nGET {{base}}/2\nGET {{base}}/3\n";
    for closes in [false, true] {
        let (web, seen) = serve(move |request| {
            let is_told = request.header("connection") == Some("close");
            if is_told == closes { ok("x") } else { status(400, "") }
        });
        let mut plan = plan(web, open(30.0, 2), &[journey]);
        plan.closes = closes;
        let heard = run(&plan);
        heard.assert_clean();
        let (one, later) = (heard.route("GET /1"), heard.route("GET /3"));
        assert_eq!(one.first, one.service.count());
        assert_eq!(later.first, if closes { later.service.count() } else { 0 });
        assert!(one.first_us as f64 >= 0.9 * one.service.mean_us() * one.first as f64, "{one:?}");
        let connections = seen.connections.load(SeqCst);
        assert_eq!(connections == seen.count(), closes, "{connections} connections");
    }
}

#[test]
fn an_app_that_hangs_up_after_every_answer_costs_connections_not_errors() {
    let (web, seen) = serve(|_| Reply { hangs_up: true, ..ok("x") });
    let journey = "POST {{base}}/1\n`a`\nPOST {{base}}/2\n[Options]\ndelay: 40ms\n`b`\nGET {{base}}/3\n";
    let heard = run(&plan(web, open(30.0, 2), &[journey]));
    heard.assert_clean();
    assert!(seen.connections.load(SeqCst) >= seen.count());
    let (connects, again) = heard.seconds.iter().fold((0, 0), |(c, r), s| (c + s.connects, r + s.reconnects));
    assert!(again * 3 > connects && again < connects, "{again} of {connects}");
    let posted = seen.targets().iter().filter(|t| *t == "/2").count();
    assert!(seen.targets().iter().filter(|t| *t == "/1").count() >= posted, "a post was sent twice");
}

#[test]
fn a_variable_without_a_value_is_the_crowds_own_error() {
    let (web, seen) = serve(|_| ok("x"));
    let heard = run(&plan(web, closed(1, 1), &["GET {{base}}/{{nowhere}}\n"]));
    assert_eq!(heard.errors().keys().copied().collect::<Vec<_>>(), [ErrorClass::Crowd]);
    assert_eq!(seen.count(), 0);
    assert!(heard.problems[0].sentence.contains("`nowhere`"), "{:?}", heard.problems);
    assert_eq!(heard.problems.len(), 1);
}

#[test]
fn a_compressed_answer_can_be_captured_from() {
    use std::io::Write;
    let (web, _) = serve(|r| {
        if r.target == "/id" {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(b"{\"id\": 5}").unwrap();
            ok(gzip.finish().unwrap())
                .with("content-encoding", "gzip")
                .with("content-type", "application/json")
        } else {
            ok("x")
        }
    });
    let heard = run(&plan(
        web,
        Mode::Play,
        &[
            "GET {{base}}/id\nAccept-Encoding: gzip\nHTTP 200\n[Captures]\nid: jsonpath \"$.id\"\nGET {{base}}/{{id}}\n",
        ],
    ));
    assert!(
        heard.played[0].1.len() == 2 && heard.played[0].1.iter().all(|s| s.problem.is_none()),
        "{heard:?}"
    );
}
