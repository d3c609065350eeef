//! A run with two windows in which profilers looked.

use fissure_facts::{Arrangement, Config, Emphasis, Header, Load, Stamped, Step, WindowPlan};
use proptest::prelude::*;

use super::*;

fn profile(window: u32, instrument: &str, stacks: Vec<Stack>) -> Profile {
    let frame = |function: &str, line| Frame {
        function: function.to_owned(),
        file: Some("app.py".to_owned()),
        line: Some(line),
        in_app: true,
        ..Frame::default()
    };
    let frames = vec![frame("total", 3), frame("handle", 9), frame("total", 4)];
    Profile {
        window,
        instrument: instrument.to_owned(),
        period_s: 0.01,
        frames,
        stacks,
        ..Profile::default()
    }
}

fn stack(process: u32, doing: Doing, frames: &[u32], count: u64) -> Stack {
    Stack { process, thread: "web".to_owned(), doing, frames: frames.to_vec(), count, ..Stack::default() }
}

fn run_of(profiles: Vec<Profile>) -> Run {
    let config =
        "[app]\ncommand = \"./app\"\n[users]\njourneys = [\"a.hurl\"]\n[goal]\nusers = 40\np95 = \"100ms\"\n";
    let mut run = Run::new(Header {
        format: fissure_facts::run::FORMAT.to_owned(),
        fissure: "1.2.3".to_owned(),
        run: "monday".to_owned(),
        started_unix_s: 0,
        verb: "check".to_owned(),
        seed: 1,
        machine: fissure_facts::Machine::default(),
        config: Config::parse(config).unwrap(),
        journeys: Vec::new(),
    });
    let plan = |window, emphasis| WindowPlan {
        window,
        purpose: fissure_facts::Purpose::Profile,
        arrangement: Arrangement::profiled(),
        load: Load::Closed { users: 4 },
        emphasis,
        warmup_s: 0.0,
        visit_max_s: None,
        seconds: 5,
        seed: 1,
    };
    let hot = Emphasis { route: "POST /photos".parse().unwrap(), times: 4, ends: false };
    let windows = [plan(7, Some(hot)), plan(8, None)];
    let steps = windows.map(|plan| Fact::StepBegan { step: Step::Hold(plan), why: String::new() });
    let facts = steps.into_iter().chain(profiles.into_iter().map(Fact::Profiled));
    run.facts = facts.map(|fact| Stamped { at_s: 1.0, fact }).collect();
    run
}

fn shop() -> Run {
    let python = vec![stack(1, Doing::Running, &[0, 1], 30), stack(1, Doing::Sleeping, &[2, 1], 5)];
    run_of(vec![
        profile(7, "python", vec![stack(1, Doing::Running, &[0, 1], 90)]),
        profile(8, "native", vec![stack(1, Doing::Running, &[], 99), stack(2, Doing::Running, &[], 7)]),
        profile(8, "python", python),
    ])
}

#[test]
fn speedscope_gets_every_window_and_instrument_with_the_outermost_function_first() {
    let file = speedscope::file(&shop()).unwrap();
    let names: Vec<&str> =
        file["profiles"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "the journeys' mix: what runs (native)",
            "the journeys' mix: what runs (python)",
            "the journeys' mix: what waits (python)",
            "more of POST /photos: what runs (python)",
        ]
    );
    let named = |profile: usize, sample: usize| -> Vec<&str> {
        let sample = file["profiles"][profile]["samples"][sample].as_array().unwrap();
        sample
            .iter()
            .map(|i| file["shared"]["frames"][i.as_u64().unwrap() as usize]["name"].as_str().unwrap())
            .collect()
    };
    assert_eq!(named(1, 0), ["web (process 1)", "handle", "total"]);
    assert_eq!(named(2, 0), ["web (process 1)", "handle", "total", "(sleeps)"]);
    assert_eq!(file["profiles"][1]["weights"][0], 0.3);
    assert_eq!(file["profiles"][1]["endValue"], 0.3);
    assert_eq!(file["shared"]["frames"][3], json_frame("total", "app.py", 3));
    assert_eq!(speedscope::file(&run_of(Vec::new())), None);
}

fn json_frame(name: &str, file: &str, line: u32) -> serde_json::Value {
    serde_json::json!({ "name": name, "file": file, "line": line })
}

/// Fields of a message: number, and what stands there.
#[derive(Debug, Clone, PartialEq)]
enum Content {
    Number(u64),
    Bytes(Vec<u8>),
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Content)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut number = 0;
        for place in 0.. {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let content = match key & 7 {
            0 => Content::Number(varint(&mut bytes)),
            2 => {
                let count = varint(&mut bytes) as usize;
                let (content, rest) = bytes.split_at(count);
                bytes = rest;
                Content::Bytes(content.to_vec())
            }
            kind => panic!("{kind}"),
        };
        fields.push((key >> 3, content));
    }
    fields
}

fn parts(bytes: &[u8], field: u64) -> Vec<Vec<u8>> {
    let of = fields(bytes).into_iter().filter(|(number, _)| *number == field);
    of.map(|(_, content)| if let Content::Bytes(bytes) = content { bytes } else { panic!("{content:?}") })
        .collect()
}

fn numbers(bytes: &[u8], field: u64) -> Vec<u64> {
    let of = fields(bytes).into_iter().filter(|(number, _)| *number == field);
    of.map(|(_, content)| if let Content::Number(number) = content { number } else { panic!("{content:?}") })
        .collect()
}

#[test]
fn pprof_gets_each_process_once_with_cpu_and_waiting_apart() {
    let run = shop();
    let (window, seen) = &windows(&run)[0];
    let file = pprof::file(window, seen);
    let texts = parts(&file, 6);
    let text = |index: u64| String::from_utf8(texts[index as usize].clone()).unwrap();
    assert_eq!(text(0), "");
    let kinds: Vec<String> = parts(&file, 1).iter().map(|kind| text(numbers(kind, 1)[0])).collect();
    assert_eq!(kinds, ["samples", "cpu", "wait"]);
    let values: Vec<Vec<u64>> = parts(&file, 2).iter().map(|sample| numbers(sample, 2)).collect();
    assert_eq!(
        values,
        [[7, 70_000_000, 0], [30, 300_000_000, 0], [5, 0, 50_000_000]],
        "process 1 is Python's"
    );

    let functions = parts(&file, 5);
    let function = |id: u64| functions.iter().find(|f| numbers(f, 1) == [id]).unwrap();
    let locations = parts(&file, 4);
    let named = |id: &u64| {
        let line = parts(locations.iter().find(|l| numbers(l, 1) == [*id]).unwrap(), 4).remove(0);
        let name = text(numbers(function(numbers(&line, 1)[0]), 2)[0]);
        (name, numbers(&line, 2).first().copied().unwrap_or(0))
    };
    let stack: Vec<(String, u64)> = numbers(&parts(&file, 2)[2], 1).iter().map(named).collect();
    let wanted = [("(sleeps)", 0), ("total", 4), ("handle", 9), ("web (process 1)", 0)];
    assert_eq!(stack, wanted.map(|(name, line)| (name.to_owned(), line)));
    assert_eq!(functions.len(), 5, "one function of two lines");
}

proptest! {
    #[test]
    fn no_sample_is_lost_in_either_format(counts in prop::collection::vec((0u32..3, 0usize..3, 1u64..999), 1..40)) {
        let doings = [Doing::Running, Doing::Sleeping, Doing::WaitingForLock { address: 4 }];
        let stacks = counts.iter().map(|(frame, doing, count)| stack(1, doings[*doing].clone(), &[*frame], *count));
        let run = run_of(vec![profile(8, "java", stacks.collect())]);
        let all: u64 = counts.iter().map(|(.., count)| count).sum();
        let (window, seen) = &windows(&run)[0];
        let samples = parts(&pprof::file(window, seen), 2);
        prop_assert_eq!(samples.iter().map(|sample| numbers(sample, 2)[0]).sum::<u64>(), all);
        let file = speedscope::file(&run).unwrap();
        let seconds: f64 = file["profiles"].as_array().unwrap().iter().map(|p| p["endValue"].as_f64().unwrap()).sum();
        prop_assert!((seconds - all as f64 * 0.01).abs() < 1e-6);
    }
}
