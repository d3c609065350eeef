//! Java, Kotlin, Scala: what runs, by the recorder that the JVM brings along (Flight Recorder), started and read through
//! its attach socket; what waits, by the JVM's own list of its threads. Nothing of the app is changed, and no tool of a
//! JDK is needed.

mod attach;
mod classes;
mod dump;
mod recording;
pub(super) mod waits;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fissure_facts::Profile;
use fissure_facts::profile::Doing;

use super::folded::{Folded, Sample};
use super::profiler::{Stop, Subject};
use attach::Door;
use classes::{Classes, Method};
use recording::{Chunk, Value, chunks};

/// What the recorder is to record, and how often; `Hooks` puts it where the JVM can read it.
pub(super) const SETTINGS: &str = include_str!("settings.jfc");
pub(super) const SETTINGS_FILE: &str = "fissure.jfc";
/// As the settings say.
const PERIOD_S: f64 = 0.01;
const LOOK_EVERY: Duration = Duration::from_secs(1);
const RECORDING: &str = "fissure";
/// No window makes more.
const RECORDING_BYTES_MAX: u64 = 256 << 20;

/// The first recording and the first list take a JVM a second and more, in which it loads what they are made of. What
/// fails here will be told when it is needed.
pub(super) fn prepare(pid: u32, hooks: &Path) {
    if let Ok(recorder) = Recorder::begin(pid, hooks) {
        let _ = recorder.end();
    }
    let _ = Door::open(pid).and_then(|door| door.ask("threaddump", ""));
}

/// Samples until told to stop.
pub(super) fn watch(subject: &Subject, stop: &Stop) -> Result<Profile, String> {
    let hooks = subject.hooks.as_deref().ok_or("it was not started for a profiler")?;
    let mut why = String::new();
    let begin = |&pid: &u32| Recorder::begin(pid, hooks).inspect_err(|e| why.clone_from(e)).ok();
    let recorders: Vec<Recorder> = subject.processes.iter().filter_map(begin).collect();
    if recorders.is_empty() {
        return Err(why);
    }
    while !stop.wait(LOOK_EVERY) {}

    let mut folded: Folded<Method> = Folded::default();
    let (mut seen, mut stops_us) = (0, Vec::new());
    for recorder in recorders {
        let pid = recorder.door.pid;
        match recorder.end() {
            Ok(recording) => {
                let samples = chunks(&recording, "jdk.ExecutionSample");
                seen += samples.iter().map(|chunk| fold(pid, chunk, &mut folded)).sum::<u64>();
                stops_us.extend(chunks(&recording, "jdk.GarbageCollection").iter().flat_map(stops));
            }
            Err(e) => why = e,
        }
    }
    if seen == 0 && !why.is_empty() {
        return Err(why);
    }
    let mut classes = Classes::of(&subject.folders);
    let frames: HashMap<Method, _> =
        folded.places().map(|method| (method.clone(), classes.frame(method))).collect();
    let profile = folded.into_profile(|method| frames.get(method).cloned().into_iter().collect());
    Ok(Profile { period_s: PERIOD_S, user_only: true, stops_us, ..profile })
}

/// A recording under way in one JVM.
struct Recorder {
    door: Door,
    file: PathBuf,
}

impl Recorder {
    fn begin(pid: u32, hooks: &Path) -> Result<Self, String> {
        let door = Door::open(pid)?;
        let (settings, file) = (hooks.join(SETTINGS_FILE), hooks.join(format!("{pid}.jfr")));
        // What the recorder keeps in between: a JVM that is killed would leave it in /tmp.
        let _ = door.ask("jcmd", &format!("JFR.configure repositorypath={}", quoted(hooks)));
        let started =
            door.ask("jcmd", &format!("JFR.start name={RECORDING} settings={}", quoted(&settings)))?;
        // Before Java 17 a refusal is an answer like any other.
        if !started.contains("Started recording") {
            let why = started.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            return Err(format!(
                "this JVM starts no recording ({}): Java 8u262, 11 or later can",
                why.trim()
            ));
        }
        Ok(Self { door, file })
    }

    fn end(self) -> Result<Vec<u8>, String> {
        let file = quoted(&self.file);
        self.door.ask("jcmd", &format!("JFR.stop name={RECORDING} filename={file}"))?;
        let told = |e: std::io::Error| format!("the JVM's recording cannot be read ({e})");
        let mut bytes = Vec::new();
        let opened = File::open(&self.file).map_err(told)?;
        opened.take(RECORDING_BYTES_MAX).read_to_end(&mut bytes).map_err(told)?;
        let _ = fs::remove_file(&self.file); // its folder goes away, too
        Ok(bytes)
    }
}

/// Threads of one pool are numbered, and do the same.
fn pool(name: &str) -> String {
    name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()
}

/// As the JVM's commands take a path with spaces.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// Microseconds for which each collection had all threads stand still.
fn stops(chunk: &Chunk) -> Vec<u64> {
    let ticks = chunk.events().filter_map(|event| chunk.number(event, &["sumOfPauses"]));
    ticks.filter_map(|ticks| chunk.us(ticks)).collect()
}

/// Answers how many samples there were.
fn fold(pid: u32, chunk: &Chunk, folded: &mut Folded<Method>) -> u64 {
    let mut count = 0;
    for event in chunk.events() {
        let frames = chunk.many(event, &["stackTrace", "frames"]);
        let stack: Vec<Method> = frames.iter().filter_map(|frame| method(chunk, frame)).collect();
        let name = chunk.text(event, &["sampledThread", "javaName"]);
        let thread = name.or_else(|| chunk.text(event, &["sampledThread", "osName"])).unwrap_or_default();
        let sample =
            Sample { process: pid, thread: pool(thread), doing: Doing::Running, stack, holder: Vec::new() };
        folded.add(sample, 1);
        count += 1;
    }
    count
}

fn method(chunk: &Chunk, frame: &Value) -> Option<Method> {
    let text = |path: &[&str]| chunk.text(frame, path).unwrap_or_default().to_owned();
    let class = text(&["method", "type", "name", "string"]);
    let line = chunk.number(frame, &["lineNumber"]).and_then(|line| u32::try_from(line).ok());
    (!class.is_empty()).then(|| Method {
        class,
        method: text(&["method", "name", "string"]),
        module: text(&["method", "type", "package", "module", "name", "string"]),
        file: None,
        line: line.filter(|line| *line > 0),
    })
}
