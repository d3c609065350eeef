//! What the crowd costs. Of CPU nothing is asserted: the machine decides. Run it with
//! `cargo test --release -p fissure-rig --test crowd -- --ignored --nocapture cost`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use fissure_facts::Latencies;
use fissure_rig::crowd::{Crowd, CrowdPlan, Mode};

use crate::server::{ok, serve};
use crate::{HANDS, closed, listen, open, plan};

/// CPU of a process so far, by the scheduler's own clock, and its memory.
fn used(pid: u32) -> (f64, u64) {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let ns = threads.filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok());
    let ns: u64 = ns.map(|s| s.split(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    (ns as f64 / 1e3, rss_kb(pid))
}

fn rss_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn measure(name: &str, plan: &CrowdPlan) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut crowd = Crowd::start(Path::new(HANDS), plan).await.unwrap();
        crowd.next().await;
        let pid = crowd.pid();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let (before_us, _) = used(pid);
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (after_us, rss) = used(pid);
        let heard = listen(&mut crowd).await;
        let middle = heard.seconds.iter().filter(|s| (1..5).contains(&s.second));
        let requests: u64 = middle.flat_map(|s| s.routes.values()).map(fissure_facts::fact::RouteSecond::ended).sum();
        let (mut lateness, mut latency) = (Latencies::new(), Latencies::new());
        for second in &heard.seconds {
            lateness.add(&second.lateness);
            second.routes.values().for_each(|r| latency.add(&r.latency));
        }
        format!(
            "{name}: {:.0} requests/s, {:.1} us of CPU each, lateness p50 {} p99 {} p99.9 {} us, latency p50 {} us, {rss} kB, errors {:?}",
            requests as f64 / 4.0,
            (after_us - before_us) / requests as f64,
            lateness.quantile_us(0.5),
            lateness.quantile_us(0.99),
            lateness.quantile_us(0.999),
            latency.quantile_us(0.5),
            heard.errors(),
        )
    })
}

fn on_one_cpu(web: SocketAddr, mode: Mode, journey: &str) -> CrowdPlan {
    CrowdPlan { cpus: vec![0], ..plan(web, mode, &[journey]) }
}

#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_a_request() {
    let (web, _) = serve(|_| ok("x".repeat(1024)));
    let web = std::env::var("CROWD_COST_WEB").map_or(web, |a| a.parse().unwrap());
    let flat = "GET {{base}}/\n".repeat(50);
    let thinking = format!("GET {{{{base}}}}/\n{}", "GET {{base}}/\n[Options]\ndelay: 100ms\n".repeat(9));
    let checked = "GET {{base}}/\nHTTP 200\n[Asserts]\nbody contains \"x\"\n".repeat(50);
    println!("{}", measure("closed, 16 users", &on_one_cpu(web, closed(16, 6), &flat)));
    println!("{}", measure("closed, 16 users, body asserted", &on_one_cpu(web, closed(16, 6), &checked)));
    println!("{}", measure("open, 40 users/s of 50 requests", &on_one_cpu(web, open(40.0, 6), &flat)));
    println!(
        "{}",
        measure(
            "open, 200 users/s of 10 requests with think time",
            &on_one_cpu(web, open(200.0, 6), &thinking)
        )
    );
    println!(
        "{}",
        measure("open, 2000 users/s of 1 request", &on_one_cpu(web, open(2000.0, 6), "GET {{base}}/\n"))
    );
}

/// Users who wait, with their connection: what one more of them takes, whatever the process itself takes.
#[test]
fn a_waiting_user_takes_less_than_a_page_of_memory() {
    let (web, _) = serve(|_| crate::server::Reply { hangs_up: true, ..ok("x") });
    let journey = "GET {{base}}/\nGET {{base}}/\n[Options]\ndelay: 60s\n";
    let plan = CrowdPlan { think_max_s: 60.0, ..plan(web, open(1000.0, 4), &[journey]) };
    let mut kb = Vec::new();
    let heard = crate::run_with(&plan, async |crowd| {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            kb.push((fissure_rig::crowd::monotonic_ns(), rss_kb(crowd.pid())));
        }
    });
    heard.assert_clean();
    assert!(heard.seconds[3].users_inside > 3500, "{:?}", heard.seconds[3].users_inside);
    let [(from_ns, before), (until_ns, after)] = kb[..] else { unreachable!() };
    let users = (until_ns - from_ns) as f64 / 1e9 * 1000.0;
    let each = (after - before) as f64 * 1024.0 / users;
    assert!(each < 4096.0, "{each} bytes");
}
