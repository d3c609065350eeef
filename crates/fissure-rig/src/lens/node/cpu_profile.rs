//! V8's profile of one thread: a tree of calls with the ticks of the clock that fell into each.

use std::collections::HashMap;

use fissure_facts::profile::{Doing, Frame};
use serde::Deserialize;
use serde_json::Value;

use super::scripts::Scripts;
use crate::lens::folded::{Folded, Sample};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CpuProfile {
    nodes: Vec<Node>,
    start_time: f64,
    end_time: f64,
    #[serde(default)]
    samples: Vec<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: u64,
    call_frame: CallFrame,
    #[serde(default)]
    hit_count: u64,
    #[serde(default)]
    children: Vec<u64>,
    #[serde(default)]
    position_ticks: Vec<Ticks>,
}

/// Where a function begins; line and column count from 0.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallFrame {
    pub function_name: String,
    pub url: String,
    pub line_number: i64,
    pub column_number: i64,
}

/// Counts from 1, other than everything else.
#[derive(Debug, Deserialize)]
struct Ticks {
    line: u32,
    ticks: u64,
}

/// Where a call tree begins, and what a thread does that waits for events.
const NOT_RUNNING: [&str; 2] = ["(root)", "(idle)"];

impl CpuProfile {
    pub fn read(mut answer: Value) -> Result<Self, String> {
        let profile = answer.get_mut("profile").map(Value::take).unwrap_or_default();
        serde_json::from_value(profile).map_err(|e| format!("its profile cannot be read ({e})"))
    }

    pub fn seconds(&self) -> f64 {
        (self.end_time - self.start_time) / 1e6
    }

    /// Those in which the thread waited, too.
    pub fn samples(&self) -> u64 {
        match self.samples.len() as u64 {
            0 => self.nodes.iter().map(|node| node.hit_count).sum(),
            n => n,
        }
    }

    /// V8 knows the line of the innermost function only; of its callers it knows where they begin, and their text the rest.
    pub fn fold(&self, process: u32, thread: &str, scripts: &mut Scripts, folded: &mut Folded<Frame>) {
        let nodes: HashMap<u64, &Node> = self.nodes.iter().map(|node| (node.id, node)).collect();
        let callers: HashMap<u64, u64> =
            self.nodes.iter().flat_map(|node| node.children.iter().map(|&child| (child, node.id))).collect();
        for node in &self.nodes {
            if node.hit_count == 0 || NOT_RUNNING.contains(&&*node.call_frame.function_name) {
                continue;
            }
            let mut outer = Vec::new();
            let (mut at, mut callee) = (node.id, &node.call_frame);
            // A tree has no way back to where one has been; what a foreign program says need not be one.
            while let Some(&caller) = callers.get(&at).filter(|_| outer.len() < nodes.len()) {
                at = caller;
                let Some(node) = nodes.get(&at) else { break };
                if node.call_frame.function_name != "(root)" {
                    outer.push(scripts.caller(&node.call_frame, callee));
                }
                callee = &node.call_frame;
            }
            let of_lines: u64 = node.position_ticks.iter().map(|ticks| ticks.ticks).sum();
            let by_line = node.position_ticks.iter().map(|ticks| (Some(ticks.line), ticks.ticks));
            for (line, count) in by_line.chain([(None, node.hit_count.saturating_sub(of_lines))]) {
                if count == 0 {
                    continue;
                }
                let mut stack = vec![scripts.frame(&node.call_frame, line)];
                stack.extend(outer.iter().cloned());
                let (thread, doing, holder) = (thread.to_owned(), Doing::Running, Vec::new());
                folded.add(Sample { process, thread, doing, stack, holder }, count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn folded(profile: Value) -> fissure_facts::Profile {
        let profile = CpuProfile::read(json!({ "profile": profile })).unwrap();
        let mut folded = Folded::default();
        profile.fold(7, "main", &mut Scripts::new(&["/app".into()]), &mut folded);
        folded.into_profile(|frame| vec![frame.clone()])
    }

    fn node(id: u64, name: &str, children: &[u64], hits: u64, ticks: &[(u32, u64)]) -> Value {
        let ticks: Vec<Value> =
            ticks.iter().map(|(line, ticks)| json!({ "line": line, "ticks": ticks })).collect();
        let at = json!({ "functionName": name, "scriptId": "1", "url": "file:///app/shop.js", "lineNumber": 9, "columnNumber": 4 });
        json!({ "id": id, "callFrame": at, "hitCount": hits, "children": children, "positionTicks": ticks })
    }

    #[test]
    fn ticks_of_lines_become_stacks_and_waiting_does_not() {
        let nodes = [
            node(1, "(root)", &[2, 3, 4], 0, &[]),
            node(2, "(idle)", &[], 500, &[]),
            node(3, "(program)", &[], 5, &[]),
            node(4, "handle", &[5], 0, &[]),
            node(5, "total", &[], 33, &[(12, 20), (13, 10)]),
        ];
        let profile = folded(json!({ "nodes": nodes, "startTime": 0.0, "endTime": 1e6 }));
        let frames = |s| profile.frames(s).map(|f| (f.function.as_str(), f.line)).collect::<Vec<_>>();
        let seen: Vec<_> = profile.stacks.iter().map(|s| (frames(s), s.count)).collect();
        let caller = ("handle", Some(10));
        assert_eq!(seen[0], (vec![("total", Some(12)), caller], 20));
        assert_eq!(seen[1], (vec![("total", Some(13)), caller], 10));
        assert!(
            seen.contains(&(vec![("total", Some(10)), caller], 3)),
            "what no line got counts for the function"
        );
        assert_eq!(seen.iter().map(|(_, n)| n).sum::<u64>(), 38);
        assert_eq!(profile.frames[0].file.as_deref(), Some("shop.js"));
    }

    proptest! {
        #[test]
        fn a_profile_that_is_no_tree_ends_too(edges in prop::collection::vec((1u64..9, 1u64..9, 0u64..5), 1..30)) {
            let nodes: Vec<Value> = edges.iter().map(|&(id, child, hits)| node(id, "f", &[child], hits, &[])).collect();
            let hits: u64 = edges.iter().map(|(.., hits)| hits).sum();
            let profile = folded(json!({ "nodes": nodes, "startTime": 0.0, "endTime": 1.0 }));
            prop_assert_eq!(profile.stacks.iter().map(|s| s.count).sum::<u64>(), hits);
        }

        #[test]
        fn any_answer_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = CpuProfile::read(serde_json::from_str(&text).unwrap_or_default());
        }
    }
}
