//! Windows that say nothing are found out; windows that are only a little noisy are kept.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

mod fake_rig;

use std::time::Duration;

use fake_rig::{FakeRig, Model, plan};
use fissure_facts::config::{Goal, Slo};
use fissure_facts::fact::ErrorClass;
use fissure_facts::{Arrangement, Header, Load, Purpose, Run, Step, Window};
use fissure_judge::own_steal;
use fissure_judge::validity::{Void, void, void_for_cpu};

/// A sound window of three seconds, about 300 requests a second.
fn sound(load: Load) -> (Window, Header) {
    let model = Model::event_loop(&[("GET /", 1.0, 1.0, 0.5)]);
    let goal = Goal { slo: Slo::p95(Duration::from_millis(50)), ..Goal::default() };
    let mut run = Run::new(model.header(goal, 1));
    FakeRig::new(model, 1)
        .take(&mut run, &Step::Hold(plan(1, Purpose::Capacity, Arrangement::whole(), load, 3)));
    (run.windows().remove(0), run.header)
}

const OPEN: Load = Load::Open { users_per_s: 300.0 };
const CLOSED: Load = Load::Closed { users: 4 };

/// What a change makes of an open window: (for latency, for CPU).
fn words(change: impl Fn(&mut Window)) -> (Option<&'static str>, Option<&'static str>) {
    let (mut window, header) = sound(OPEN);
    change(&mut window);
    (void(&window, &header).map(|v| v.word()), void_for_cpu(&window, &header).map(|v| v.word()))
}

#[test]
fn a_sound_window_is_believed() {
    assert_eq!(words(|_| {}), (None, None));
    let (window, header) = sound(CLOSED);
    assert_eq!(void(&window, &header), None);
}

#[test]
fn a_window_without_its_end_is_void_for_everything() {
    assert_eq!(words(|w| w.end = None), (Some("incomplete"), Some("incomplete")));
    assert_eq!(words(|w| w.crowd.clear()), (Some("incomplete"), Some("incomplete")));
    let cut = |w: &mut Window| w.end.as_mut().unwrap().cut_short = Some("no ports left".to_owned());
    assert_eq!(words(cut), (Some("cut short"), Some("cut short")));
    let dead = |w: &mut Window| {
        w.end = None;
        w.deaths.push("web: signal 9".to_owned());
    };
    assert_eq!(words(dead), (Some("app died"), Some("app died")), "the death explains the missing end");
}

/// A report of 212 ms was said to cost 43: beside it stood windows in which 70,000 requests had cost nothing.
#[test]
fn a_window_that_nobody_watched_is_void_for_everything() {
    let watched = |share: f64| move |w: &mut Window| w.probes.iter_mut().for_each(|p| p.elapsed_s = share);
    assert_eq!(words(watched(0.002)), (Some("unwatched"), Some("unwatched")));
    assert_eq!(words(watched(0.7)), (None, None));
}

#[test]
fn a_late_crowd_voids_latency_but_not_cpu() {
    let late = |ms: u64, share: f64| {
        move |w: &mut Window| {
            for second in &mut w.crowd {
                let times = (second.lateness.count() as f64 * share) as u64;
                second.lateness.record_many_us(ms * 1000, times);
            }
        }
    };
    assert_eq!(words(late(60, 0.05)), (Some("crowd late"), None));
    assert_eq!(words(late(60, 0.002)), (None, None), "1 request in 500 moves no p95");
    assert_eq!(words(late(1, 0.05)).0, None, "1 ms may be, whatever the goal");
}

/// A tenth of a limit of 2 s is 200 ms: lateness of 8 ms voided windows in which it changed nothing.
#[test]
fn lateness_is_measured_by_the_strictest_limit() {
    let (mut window, mut header) = sound(OPEN);
    window.crowd[0].lateness.record_many_us(8_000, 500);
    header.config.goal.slo = Slo::p95(Duration::from_secs(2));
    assert_eq!(void(&window, &header), None);
    header.config.goal.routes.insert("GET /".parse().unwrap(), Slo::p95(Duration::from_millis(50)));
    assert_eq!(void(&window, &header).unwrap().word(), "crowd late");
}

#[test]
fn requests_that_were_never_sent_are_missed() {
    let unsent = |w: &mut Window| w.crowd[1].planned += 20;
    assert_eq!(words(unsent), (Some("crowd under-sent"), None));
    assert_eq!(words(|w| w.crowd[1].planned += 2), (None, None), "a request between two seconds is no loss");
    let no_ports = |w: &mut Window| {
        let seen = w.crowd[1].routes.values_mut().next().unwrap();
        seen.errors.insert(ErrorClass::Crowd, 20);
        w.crowd[1].planned += 20;
    };
    assert_eq!(
        words(no_ports).0,
        Some("crowd under-sent"),
        "an error of the crowd is not an answer of the app"
    );
}

/// In a closed loop nobody plans an instant: lateness and missing requests mean nothing there.
#[test]
fn a_closed_loop_cannot_be_late() {
    let (mut window, header) = sound(CLOSED);
    window.crowd[1].lateness.record_many_us(50_000, 5_000);
    window.crowd[1].planned += 500;
    assert_eq!(void(&window, &header), None);
    window.probes.iter_mut().for_each(|p| p.crowd_cpu_s = 0.9);
    assert_eq!(void(&window, &header).unwrap().word(), "crowd busy");
}

#[test]
fn a_crowd_without_cpu_is_found_out() {
    let each = |change: fn(&mut fissure_facts::fact::ProbeSecond)| {
        move |w: &mut Window| w.probes.iter_mut().for_each(change)
    };
    assert_eq!(words(each(|p| p.crowd_cpu_s = 0.9)), (Some("crowd busy"), None));
    assert_eq!(words(each(|p| p.crowd_cpu_s = 0.7)), (None, None));
    assert_eq!(words(each(|p| p.crowd_run_delay_s = 0.4)), (Some("crowd starved"), None));
    // The app is the one it waits for, on a machine with a single CPU.
    let (mut window, mut header) = sound(OPEN);
    window.probes.iter_mut().for_each(|p| p.crowd_run_delay_s = 0.4);
    header.machine.crowd_cpus = header.machine.app_cpus.clone();
    assert_eq!(void(&window, &header), None);
}

#[test]
fn neighbours_void_latency_long_before_they_void_cpu() {
    let other = |used_s: f64, app_waited_s: f64| {
        move |w: &mut Window| {
            for probe in &mut w.probes {
                (probe.other_cpu_s, probe.app_run_delay_s) = (used_s, app_waited_s);
            }
        }
    };
    assert_eq!(words(other(0.05, 0.05)), (None, None));
    assert_eq!(words(other(0.3, 0.3)), (Some("noisy neighbour"), None));
    assert_eq!(words(other(0.95, 0.95)), (Some("noisy neighbour"), Some("noisy neighbour")));
    assert_eq!(
        words(other(0.8, 0.0)),
        (None, None),
        "a neighbour that runs while the app rests takes nothing from it"
    );
    assert_eq!(
        words(other(0.0, 0.8)),
        (None, None),
        "threads of the app that wait for each other have no neighbour"
    );
    // It wants a CPU for 9 % of the time and waits for it another 3 %: most of its time it waits for something else.
    let at_rest = |w: &mut Window| {
        for p in &mut w.probes {
            (p.app_cpu_s, p.app_run_delay_s, p.other_cpu_s) = (0.09, 0.03, 0.9);
        }
    };
    assert_eq!(words(at_rest), (None, None), "nobody takes more from an app than it waited for");
    let steal = |s: f64| move |w: &mut Window| w.probes.iter_mut().for_each(|p| p.steal_s = s);
    assert_eq!(words(steal(0.2)), (Some("noisy neighbour"), None), "10 % of two CPUs");
}

#[test]
fn every_reason_ends_in_what_to_try() {
    let reasons = [
        Void::AppDied { how: "web: signal 9".to_owned() },
        Void::CutShort { why: "no ports left".to_owned() },
        Void::Incomplete,
        Void::CrowdLate { p99_ms: 3.0, limit_ms: 1.0 },
        Void::CrowdUnderSent { sent_share: 0.9 },
        Void::CrowdBusy { cpu_share: 0.9 },
        Void::CrowdStarved { wait_share: 0.4 },
        Void::NoisyNeighbour { other_share: 0.3, steal_share: 0.0 },
    ];
    let mut words: Vec<&str> = reasons.iter().map(Void::word).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), reasons.len(), "a word for each");
    for reason in &reasons {
        let (seen, to_try) =
            reason.to_string().rsplit_once([';', ',']).map(|(a, b)| (a.len(), b.len())).unwrap();
        assert!(seen > 10 && to_try > 10, "{reason}");
    }
}

/// Of windows that wrote so many bytes and had so much time stolen per second, those that are believed.
fn believed(seen: &[(u64, f64)]) -> Vec<bool> {
    let (sound, header) = sound(OPEN);
    let windows = seen.iter().map(|&(write_bytes, steal_s)| {
        let mut window = sound.clone();
        window.probes.iter_mut().for_each(|p| (p.write_bytes, p.steal_s) = (write_bytes, steal_s));
        window
    });
    own_steal::left_out(windows.collect()).iter().map(|w| void(w, &header).is_none()).collect()
}

/// Every window of an app that wrote 55 MB/s in a virtual machine was void: the hypervisor's disk had its CPU meanwhile.
#[test]
fn steal_that_goes_with_what_the_app_writes_is_no_neighbour() {
    let quiet = [(0, 0.02), (1_000_000, 0.05), (0, 0.08)];
    let busy = [(55_000_000, 0.26), (50_000_000, 0.25), (60_000_000, 0.29)];
    assert_eq!(believed(&[quiet, busy].concat()), [true; 6]);
    assert_eq!(believed(&busy), [false; 3], "nothing was seen to compare it with");
}

#[test]
fn steal_that_comes_and_goes_by_itself_is_a_neighbour() {
    let seen = [(0, 0.02), (0, 0.3), (0, 0.3), (55_000_000, 0.02), (50_000_000, 0.3), (60_000_000, 0.3)];
    assert_eq!(believed(&seen), [true, false, false, true, false, false]);
    let little = [(0, 0.02), (0, 0.02), (0, 0.02), (9_000, 0.3), (9_000, 0.3), (9_000, 0.3)];
    assert_eq!(believed(&little)[3..], [false; 3], "9 kB/s cost nobody a CPU");
}

#[test]
fn a_neighbour_beside_what_the_app_writes_is_still_seen() {
    let quiet = [(0, 0.02), (0, 0.02), (0, 0.02)];
    let busy = [(50_000_000, 0.25), (50_000_000, 0.25), (50_000_000, 0.25), (50_000_000, 0.5)];
    assert_eq!(believed(&[&quiet[..], &busy].concat()), [true, true, true, true, true, true, false]);
}
