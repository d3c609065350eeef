//! How load is brought onto an arrangement: limits, replicas, roles, emphasis, closed loops.

use std::sync::atomic::Ordering::SeqCst;
use std::thread::sleep;
use std::time::Duration;

use fissure_facts::{Arrivals, Emphasis, Load, Spacing, Stretch};
use fissure_rig::crowd::{Mode, monotonic_ns};

use crate::server::{ok, serve};
use crate::{closed, open, plan, run};

#[test]
fn a_limit_on_a_route_is_kept_and_its_queue_is_first_come_first_served() {
    let (web, seen) = serve(|_| {
        sleep(Duration::from_millis(4));
        ok("x")
    });
    let mut plan = plan(web, open(400.0, 2), &["GET {{base}}/work?n={{n}}\n"]);
    plan.concurrency.insert("GET /work".parse().unwrap(), 1);
    plan.data = (0..5000).map(|n| [("n".to_owned(), format!("{n:05}"))].into()).collect();
    let heard = run(&plan);
    assert_eq!(seen.most_in_flight.load(SeqCst), 1);
    let numbers: Vec<String> = seen.targets().iter().map(|t| t[t.len() - 5..].to_owned()).collect();
    assert!(numbers.len() > 100 && numbers.is_sorted(), "{numbers:?}");
    // More comes than the limit lets through, so the wait in front is most of the latency and none of the service time.
    let work = heard.route("GET /work");
    assert!(
        work.latency.mean_us() > 3.0 * work.service.mean_us(),
        "{} {}",
        work.latency.mean_us(),
        work.service.mean_us()
    );
}

#[test]
fn a_limit_of_four_lets_four_in() {
    let (web, seen) = serve(|_| {
        sleep(Duration::from_millis(10));
        ok("x")
    });
    let mut plan = plan(web, closed(12, 1), &["GET {{base}}/\n"]);
    plan.concurrency.insert("GET /".parse().unwrap(), 4);
    run(&plan).assert_clean();
    assert_eq!(seen.most_in_flight.load(SeqCst), 4);
}

#[test]
fn requests_go_to_the_replica_with_the_fewest_outstanding() {
    let (slow, slow_seen) = serve(|_| {
        sleep(Duration::from_millis(200));
        ok("x")
    });
    let (quick, quick_seen) = serve(|_| {
        sleep(Duration::from_millis(5));
        ok("x")
    });
    let mut plan = plan(slow, closed(4, 2), &["GET {{base}}/\nGET {{base}}/\nGET {{base}}/\n"]);
    plan.targets.get_mut("web").unwrap().push(quick);
    run(&plan).assert_clean();
    assert!(slow_seen.count() > 5);
    assert!(quick_seen.count() > 3 * slow_seen.count(), "{} {}", quick_seen.count(), slow_seen.count());
    let host = format!("127.0.0.1:{}", slow.port());
    assert!(quick_seen.requests.lock().unwrap().iter().all(|r| r.header("host") == Some(&host)));
}

#[test]
fn equal_replicas_get_equal_shares_although_users_keep_connections() {
    let (a, a_seen) = serve(|_| ok("x"));
    let (b, b_seen) = serve(|_| ok("x"));
    let mut plan = plan(a, open(200.0, 2), &["GET {{base}}/\nGET {{base}}/\n"]);
    plan.targets.get_mut("web").unwrap().push(b);
    run(&plan).assert_clean();
    let ratio = a_seen.count() as f64 / b_seen.count() as f64;
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
}

#[test]
fn a_role_gets_its_routes_and_nothing_else_even_after_a_redirect() {
    let (web, web_seen) = serve(|r| match r.target.as_str() {
        "/go" => crate::server::status(302, "").with("location", "/photos/9/thumb"),
        _ => ok("x"),
    });
    let (thumbs, thumbs_seen) = serve(|_| ok("x"));
    let journey = "GET {{base}}/\nGET {{base}}/photos/7/thumb\nGET {{base}}/go\n[Options]\nlocation: true\n";
    let mut plan = plan(web, Mode::Play, &[journey]);
    plan.targets.insert("thumbs".to_owned(), vec![thumbs]);
    plan.table.insert("GET /photos/{id}/thumb".parse().unwrap(), "thumbs".to_owned());
    let heard = run(&plan);
    assert!(heard.played[0].1.iter().all(|s| s.problem.is_none()), "{heard:?}");
    assert_eq!(web_seen.targets(), ["/", "/go"]);
    assert_eq!(thumbs_seen.targets(), ["/photos/7/thumb", "/photos/9/thumb"]);
}

#[test]
fn an_emphasised_route_is_repeated_and_every_repetition_is_counted() {
    let (web, seen) = serve(|_| ok("x"));
    let mut plan = plan(web, closed(1, 1), &["GET {{base}}/a\nGET {{base}}/b/12\n"]);
    plan.mode = Mode::Hold {
        window: 1,
        load: Load::Open { users_per_s: 60.0 },
        emphasis: Some(Emphasis { route: "GET /b/{number}".parse().unwrap(), times: 5, ends: false }),
        warmup_s: 0.0,
        seconds: 2,
    };
    plan.start_at_ns = Some(fissure_rig::crowd::monotonic_ns() + 500_000_000);
    let heard = run(&plan);
    heard.assert_clean();
    let a = seen.targets().iter().filter(|t| *t == "/a").count();
    let b = seen.targets().iter().filter(|t| *t == "/b/12").count();
    // The last user may be cut off by the end of the window.
    assert!(b <= 5 * a && b + 25 >= 5 * a, "{a} {b}");
    assert!(
        heard.seconds.iter().any(|s| s.routes.keys().any(|r| r.template() == "/b/{id}")),
        "{:?}",
        heard.seconds
    );
}

#[test]
fn journeys_end_behind_an_emphasised_route_that_works_only_once() {
    let (web, seen) = serve(|_| ok("x"));
    let journeys = ["GET {{base}}/a\nGET {{base}}/b\nGET {{base}}/c\n", "GET {{base}}/other\n"];
    let mut plan = plan(web, closed(1, 1), &journeys);
    let Mode::Hold { emphasis, .. } = &mut plan.mode else { unreachable!() };
    *emphasis = Some(Emphasis { route: "GET /b".parse().unwrap(), times: 1, ends: true });
    run(&plan).assert_clean();
    let count = |target: &str| seen.targets().iter().filter(|t| *t == target).count();
    assert!(count("/b") > 0 && count("/a") - count("/b") <= 1, "{} {}", count("/a"), count("/b"));
    assert_eq!((count("/c"), count("/other")), (0, 0));
}

#[test]
fn a_closed_loop_holds_its_users_in_flight_and_does_not_think() {
    let (web, seen) = serve(|_| {
        sleep(Duration::from_millis(20));
        ok("x")
    });
    let heard = run(&plan(web, closed(6, 2), &["GET {{base}}/\n[Options]\ndelay: 10s\n"]));
    heard.assert_clean();
    assert_eq!(seen.most_in_flight.load(SeqCst), 6);
    assert!(heard.seconds.iter().all(|s| s.users_inside == 6), "{:?}", heard.seconds);
    assert!(heard.seconds.iter().all(|s| s.in_flight == 6), "{:?}", heard.seconds);
    // Every journey is a new user with a new connection.
    let arrived: u64 = heard.seconds.iter().map(|s| s.users_arrived).sum();
    let connects: u64 = heard.seconds.iter().map(|s| s.connects).sum();
    assert!(arrived.abs_diff(connects) <= 6, "{arrived} {connects}");
}

#[test]
fn a_closed_loop_against_nobody_does_not_spin() {
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let heard = run(&plan(web, closed(4, 1), &["GET {{base}}/\n"]));
    let refused = heard.errors()[&fissure_facts::fact::ErrorClass::Refused];
    assert!((10..=4 * 101).contains(&refused), "{refused}");
}

#[test]
fn connections_are_handed_on_and_never_more_than_allowed() {
    let (web, seen) = serve(|_| {
        sleep(Duration::from_millis(5));
        ok("x")
    });
    let mut plan = plan(web, open(200.0, 2), &["GET {{base}}/a\n", "GET {{base}}/b\n"]);
    plan.hand_on = true;
    plan.at_once = Some(3);
    run(&plan).assert_clean();
    assert!(seen.count() > 200, "{}", seen.count());
    assert!(seen.most_in_flight.load(SeqCst) <= 3);
    assert!(seen.connections.load(SeqCst) <= 3, "{}", seen.connections.load(SeqCst));
}

#[test]
fn an_even_ramp_sends_exactly_what_it_plans() {
    let (web, seen) = serve(|_| ok("x"));
    let ramp = Stretch { seconds: 2.0, from_per_s: 50.0, to_per_s: 150.0 };
    let load = Load::Arriving(Arrivals { spacing: Spacing::Even, stretches: vec![ramp] });
    let mode = Mode::Hold { window: 1, load, emphasis: None, warmup_s: 0.0, seconds: 2 };
    let mut plan = plan(web, mode, &["GET {{base}}/\n"]);
    plan.start_at_ns = Some(monotonic_ns() + 300_000_000);
    let heard = run(&plan);
    heard.assert_clean();
    assert_eq!(heard.end.unwrap().users_planned, Some(200));
    assert_eq!(seen.count(), 200);
    let arrived: Vec<u64> = heard.seconds.iter().map(|s| s.users_arrived).collect();
    assert_eq!(arrived, [75, 125]);
}

#[test]
fn a_rate_that_nobody_can_send_ends_and_says_how_much_was_planned() {
    let (web, _) = serve(|_| ok("x"));
    let mut plan = plan(web, open(300_000.0, 1), &["GET {{base}}/\n"]);
    plan.hand_on = true;
    plan.at_once = Some(8);
    let heard = run(&plan);
    let end = heard.end.unwrap();
    let arrived: u64 = heard.seconds.iter().map(|s| s.users_arrived).sum();
    // Either everyone was counted, or it ended early because too many were inside.
    assert!(
        end.cut_short.is_some() || end.users_planned.unwrap() > 2 * arrived,
        "{end:?}, {arrived} arrived"
    );
}
