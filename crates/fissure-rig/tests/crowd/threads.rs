//! A crowd on several CPUs says and does what a crowd on one does.

use std::sync::atomic::Ordering::SeqCst;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fissure_rig::crowd::{CrowdPlan, Mode, monotonic_ns};

use crate::server::{ok, serve};
use crate::{closed, open, plan, run, run_with};

/// One thread for each CPU that is named. Here it is the first one several times, which every machine has.
fn on(threads: usize, plan: CrowdPlan) -> CrowdPlan {
    CrowdPlan { cpus: vec![first_cpu(); threads], ..plan }
}

fn first_cpu() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    list.split([',', '-']).next().unwrap().parse().unwrap()
}

#[test]
fn every_thread_has_a_cpu_and_every_request_is_counted_once() {
    let (web, seen) = serve(|_| ok("x"));
    let mut plan = on(3, plan(web, open(400.0, 3), &["GET {{base}}/a\nGET {{base}}/b\n"]));
    let Mode::Hold { warmup_s, .. } = &mut plan.mode else { unreachable!() };
    *warmup_s = 0.0;
    plan.start_at_ns = Some(monotonic_ns() + 500_000_000);
    let mut threads = 0;
    let heard = run_with(&plan, async |crowd| {
        sleep(Duration::from_secs(1));
        let tasks = std::fs::read_dir(format!("/proc/{}/task", crowd.pid())).unwrap().flatten();
        let own = format!("Cpus_allowed_list:\t{}\n", first_cpu());
        threads = tasks
            .filter(|t| std::fs::read_to_string(t.path().join("status")).unwrap().contains(&own))
            .count();
    });
    heard.assert_clean();
    assert!(threads >= 3, "{threads}");
    let end = heard.end.as_ref().unwrap();
    assert_eq!(end.planned as usize, seen.count());
    assert_eq!(end.planned, heard.seconds.iter().map(|s| s.planned).sum::<u64>());
    assert_eq!(end.users_planned.unwrap(), heard.seconds.iter().map(|s| s.users_arrived).sum::<u64>());
    let (a, b) = (heard.route("GET /a"), heard.route("GET /b"));
    assert_eq!(a.latency.count() + b.latency.count(), end.planned);
    assert!((1000..1400).contains(&a.latency.count()), "{}", a.latency.count());
    assert!(end.unanswered.is_empty() && end.cut_short.is_none(), "{end:?}");
    assert_eq!(heard.seconds.iter().map(|s| s.second).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn the_number_of_threads_changes_nothing_that_users_do() {
    let asked = |threads: usize| {
        let (web, seen) = serve(|_| ok("x"));
        let journeys = ["GET {{base}}/a/{{newUuid}}\n", "GET {{base}}/b/{{newUuid}}\n"];
        run(&on(threads, plan(web, open(60.0, 1), &journeys))).assert_clean();
        let mut targets = seen.targets();
        targets.truncate(30);
        targets.sort(); // neighbours may overtake each other on the way
        targets
    };
    let (one, three) = (asked(1), asked(3));
    let common = one.iter().filter(|t| three.contains(t)).count();
    assert!(one.len() == 30 && common >= 27, "{one:?} {three:?}");
}

#[test]
fn limits_and_the_least_busy_replica_hold_across_threads() {
    let (slow, slow_seen) = serve(|_| {
        sleep(Duration::from_millis(100));
        ok("x")
    });
    let (quick, quick_seen) = serve(|_| {
        sleep(Duration::from_millis(5));
        ok("x")
    });
    let mut plan = on(3, plan(slow, closed(12, 2), &["GET {{base}}/\nGET {{base}}/\nGET {{base}}/\n"]));
    plan.targets.get_mut("web").unwrap().push(quick);
    plan.concurrency.insert("GET /".parse().unwrap(), 6);
    let heard = run(&plan);
    heard.assert_clean();
    let most = slow_seen.most_in_flight.load(SeqCst) + quick_seen.most_in_flight.load(SeqCst);
    assert!((6..=9).contains(&most), "{most}");
    assert!(slow_seen.most_in_flight.load(SeqCst) <= 4, "{}", slow_seen.most_in_flight.load(SeqCst));
    assert!(quick_seen.count() > 3 * slow_seen.count(), "{} {}", quick_seen.count(), slow_seen.count());
    assert!(heard.seconds.iter().all(|s| s.users_inside == 12), "{:?}", heard.seconds);
}

#[test]
fn all_threads_stop_together() {
    let (web, _) = serve(|_| ok("x"));
    let began = Instant::now();
    let heard = run_with(&on(3, plan(web, open(100.0, 60), &["GET {{base}}/\n"])), async |crowd| {
        tokio::time::sleep(Duration::from_millis(1700)).await;
        crowd.stop("enough").await;
    });
    assert_eq!(heard.end.unwrap().cut_short.as_deref(), Some("enough"));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_no_thread_can_do_is_said_once() {
    let (web, _) = serve(|_| ok("x"));
    let mut plan = on(3, plan(web, closed(3, 60), &["GET {{base}}/\n"]));
    plan.journeys[0].text = "GRUMBLE\n".to_owned();
    let began = Instant::now();
    let heard = run(&plan);
    assert!(heard.error.is_some() && heard.end.is_none(), "{heard:?}");
    assert!(began.elapsed() < Duration::from_secs(30));
}
