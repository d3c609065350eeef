//! The gate for honesty: a server that stands still for a tenth of a window, and what the crowd says of it, held against
//! the truth, which follows from the plan.

use std::sync::{Arc, RwLock};
use std::thread::sleep;
use std::time::Duration;

use fissure_facts::{Arrivals, Load, Spacing};
use fissure_rig::crowd::{CrowdPlan, Mode, monotonic_ns};

use crate::server::{ok, serve};
use crate::{closed, plan, run_with};

const RATE: f64 = 500.0;
const SECONDS: u32 = 4;
const STALL: Duration = Duration::from_millis(400);

/// Waits until an instant of the shared clock.
fn wait_until(at_ns: u64) {
    sleep(Duration::from_nanos(at_ns.saturating_sub(monotonic_ns())));
}

/// The latency below which a share of the planned requests would stay if the server took no time but its stall's.
fn truth_us(start_ns: u64, (stalled_ns, resumed_ns): (u64, u64), quantile: f64) -> f64 {
    let count = (RATE * f64::from(SECONDS)) as u64;
    let planned = (0..count).map(|n| start_ns + (n as f64 * 1e9 / RATE) as u64);
    let waits = planned.map(|at| if at < stalled_ns { 0 } else { resumed_ns.saturating_sub(at) });
    let mut waits: Vec<u64> = waits.collect();
    waits.sort_unstable();
    waits[(quantile * count as f64).ceil() as usize - 1] as f64 / 1e3
}

fn holds(at_once: Option<u32>) {
    let gate = Arc::new(RwLock::new(()));
    let (web, seen) = serve({
        let gate = Arc::clone(&gate);
        move |_| {
            drop(gate.read());
            ok("x")
        }
    });
    let start_ns = monotonic_ns() + 500_000_000;
    let arrivals = Arrivals::steady(Spacing::Even, RATE);
    let mode = Mode::Hold {
        window: 1,
        load: Load::Arriving(arrivals),
        emphasis: None,
        warmup_s: 0.0,
        seconds: SECONDS,
    };
    let plan = CrowdPlan {
        start_at_ns: Some(start_ns),
        hand_on: true,
        at_once,
        ..plan(web, closed(1, 1), &["GET {{base}}/\nHTTP 200\n"])
    };
    let stall = std::thread::spawn(move || {
        wait_until(start_ns + 1_500_000_000);
        let closed = gate.write();
        let stalled_ns = monotonic_ns();
        sleep(STALL);
        let last_ns = monotonic_ns();
        // Those who are let go may push this thread off its CPU: it resumed between the two instants.
        drop(closed);
        (stalled_ns, last_ns, monotonic_ns())
    });
    let heard = run_with(&CrowdPlan { mode, ..plan }, async |_| ());
    heard.assert_clean();
    let (stalled_ns, last_ns, resumed_ns) = stall.join().unwrap();
    let at_least = |quantile| truth_us(start_ns, (stalled_ns, last_ns), quantile);
    let at_most = |quantile| truth_us(start_ns, (stalled_ns, resumed_ns), quantile);

    let planned = (RATE * f64::from(SECONDS)) as u64;
    let end = heard.end.as_ref().unwrap();
    assert_eq!(
        (end.planned, seen.count() as u64),
        (planned, planned),
        "sent what was planned, no more and no less"
    );
    let latency = heard.route("GET /").latency;
    assert_eq!(latency.count(), planned);
    for quantile in [0.99, 0.999] {
        let said = latency.quantile_us(quantile) as f64;
        let truly = at_least(quantile)..=at_most(quantile);
        let is_told = said > truly.start() * 0.98 && said < truly.end() * 1.02;
        assert!(is_told, "p{} is {said} us, truly {truly:?} us", quantile * 100.0);
    }
    // Nine of ten requests saw no stall.
    let usual = latency.quantile_us(0.5) as f64;
    assert!(usual < at_least(0.99) / 20.0, "{usual}");
    if at_once.is_some() {
        assert!(heard.seconds.iter().map(|s| s.connects).sum::<u64>() <= 10);
    }
}

#[test]
fn with_ten_connections_the_stall_is_told_as_long_as_it_was() {
    holds(Some(10));
}

#[test]
fn with_any_number_of_connections_the_stall_is_told_as_long_as_it_was() {
    holds(None);
}
