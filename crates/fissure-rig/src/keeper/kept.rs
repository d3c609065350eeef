//! A process of the app that is kept: started under a guard, and gone with it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::mark::{self, Mark};
use super::protocol::{Launch, Order, Report};
use super::{GUARD, guard};
use crate::process;

/// A guard starts a shell; more than this means a machine in trouble, not a slow app.
const START_WITHIN: Duration = Duration::from_secs(20);
/// How much of the end of an output is searched for its last lines.
const TAIL_BYTES: u64 = 64 * 1024;
const LINE_CHARS_MAX: usize = 400;

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error(
        "The output of {label} cannot be written to {path}: {source}. Is the disk full, or the folder read-only?"
    )]
    Output { label: String, path: PathBuf, source: std::io::Error },
    #[error("fissure cannot start itself ({program}) as a guard for {label}: {source}.")]
    Guard { label: String, program: PathBuf, source: std::io::Error },
    #[error("The guard of {label} ended before it had started anything. Its output says more: {path}")]
    GuardEnded { label: String, path: PathBuf },
    /// Said by the guard, as a sentence.
    #[error("{0}")]
    NotStarted(String),
}

/// What the guard has said so far.
#[derive(Debug, Default)]
struct Said {
    exited: Option<(String, bool)>,
    empty: bool,
    guard_gone: bool,
    asked_cpu: Vec<oneshot::Sender<Duration>>,
}

/// A kept process tree. Dropping it closes the pipe to the guard, which then ends the tree on its own; [`Kept::stop`]
/// also waits for that.
#[derive(Debug)]
pub struct Kept {
    guard: Child,
    guard_pid: u32,
    pid: u32,
    orders: Option<ChildStdin>,
    said: Arc<Mutex<Said>>,
    /// True when the guard has ended and everything of its tree with it.
    gone: watch::Receiver<bool>,
    output: PathBuf,
}

impl Kept {
    /// Starts `program` (fissure's own) as a guard, and `launch` under it. The output file is emptied first.
    pub async fn start(program: &Path, launch: &Launch) -> Result<Self, KeepError> {
        let label = || launch.label.clone();
        let output = File::create(&launch.output).map_err(|source| KeepError::Output {
            label: label(),
            path: launch.output.clone(),
            source,
        })?;
        let trouble = |source| KeepError::Guard { label: label(), program: program.to_owned(), source };
        let ended = || KeepError::GuardEnded { label: label(), path: launch.output.clone() };
        let mut guard = Command::new(program)
            .arg(GUARD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(output)
            .spawn()
            .map_err(trouble)?;
        let (Some(guard_pid), Some(mut orders), Some(reports)) =
            (guard.id(), guard.stdin.take(), guard.stdout.take())
        else {
            return Err(ended());
        };
        let mut line = serde_json::to_vec(launch).map_err(|e| trouble(e.into()))?;
        line.push(b'\n');
        orders.write_all(&line).await.map_err(|_| ended())?;
        let mut reports = BufReader::new(reports);
        let mut first = String::new();
        match timeout(START_WITHIN, reports.read_line(&mut first)).await {
            Ok(Ok(1..)) => {}
            _ => return Err(ended()),
        }
        let pid = match serde_json::from_str(&first) {
            Ok(Report::Started(pid)) => pid,
            Ok(Report::Failed(sentence)) => return Err(KeepError::NotStarted(sentence)),
            _ => return Err(ended()),
        };
        let said = Arc::new(Mutex::new(Said::default()));
        let (tell, gone) = watch::channel(false);
        let mark = Mark::of(guard_pid);
        tokio::spawn(listen(reports, Arc::clone(&said), mark, tell));
        Ok(Self { guard, guard_pid, pid, orders: Some(orders), said, gone, output: launch.output.clone() })
    }

    /// The guard's pid: parent of everything, to be counted as fissure's own.
    pub fn guard_pid(&self) -> u32 {
        self.guard_pid
    }

    /// The main process: the shell, or the command itself where the shell replaced itself by it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All live processes of the tree, daemons and orphans included, the guard not.
    pub fn tree(&self) -> Vec<u32> {
        process::descendants(self.guard_pid)
    }

    /// How it ended, if it did so by itself. A launcher that leaves with success while processes that it started live
    /// on has only become a daemon; it has not died.
    pub fn died(&mut self) -> Option<String> {
        let said = lock(&self.said);
        match &said.exited {
            Some((how, false)) => Some(how.clone()),
            Some((how, true)) if said.empty => Some(how.clone()),
            _ if said.guard_gone => Some("its guard was killed, and it was ended with it".to_owned()),
            _ => None,
        }
    }

    /// How the main process ended, and whether with success, no matter what it left running.
    pub(super) fn main_ended(&self) -> Option<(String, bool)> {
        let said = lock(&self.said);
        let lost = || said.guard_gone.then(|| ("its guard was killed".to_owned(), false));
        said.exited.clone().or_else(lost)
    }

    /// CPU of all processes of the tree that have ended, those that they had waited for included.
    pub async fn reaped_cpu(&mut self) -> Option<Duration> {
        let (sender, answer) = oneshot::channel();
        lock(&self.said).asked_cpu.push(sender);
        self.order(Order::Cpu).await?;
        timeout(START_WITHIN, answer).await.ok()?.ok()
    }

    /// From now on, for so long, the calls that its [`Launch`] has watched fail. The guard ends it by itself.
    pub async fn fail_calls(&mut self, span: Duration) {
        let for_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let _ = self.order(Order::FailCalls { for_ms }).await; // without its guard it has ended
    }

    /// They work again.
    pub async fn mend_calls(&mut self) {
        let _ = self.order(Order::MendCalls).await; // as above
    }

    /// Ends the tree and waits until nothing of it is left. Two seconds of grace for those who handle SIGTERM.
    pub async fn stop(self) {
        self.stop_within(guard::GRACE).await;
    }

    /// The same with another grace; zero kills at once.
    pub async fn stop_within(mut self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let _ = self.order(Order::Stop { grace_ms }).await; // if it cannot be told, it is told by the end of the pipe
        self.orders = None;
        let patience = grace + Duration::from_secs(10);
        if timeout(patience, self.gone.wait_for(|&gone| gone)).await.is_err() {
            // Somebody froze the guard, or a process cannot die. Without the guard, its mark finds the rest.
            let _ = self.guard.start_kill();
            let _ = timeout(patience, self.gone.wait_for(|&gone| gone)).await;
        }
        let _ = timeout(patience, self.guard.wait()).await;
    }

    /// The last lines that it printed, without terminal colours.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        last_lines(&self.output, count)
    }

    /// Everything that it printed.
    pub fn output(&self) -> &Path {
        &self.output
    }

    async fn order(&mut self, order: Order) -> Option<()> {
        let mut line = serde_json::to_vec(&order).ok()?;
        line.push(b'\n');
        self.orders.as_mut()?.write_all(&line).await.ok()
    }
}

/// Reads what the guard says until it ends. A guard that ended without its last word was killed: then its tree is
/// ended here.
async fn listen(
    reports: BufReader<ChildStdout>,
    said: Arc<Mutex<Said>>,
    mark: Option<Mark>,
    gone: watch::Sender<bool>,
) {
    let mut lines = reports.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut said = lock(&said);
        match serde_json::from_str(&line) {
            Ok(Report::Exited { how, success }) => said.exited = Some((how, success)),
            Ok(Report::Empty) => said.empty = true,
            Ok(Report::ReapedCpuUs(us)) => {
                let cpu = Duration::from_micros(us);
                said.asked_cpu.drain(..).for_each(|asked| {
                    let _ = asked.send(cpu); // whoever asked may have given up
                });
            }
            _ => {}
        }
    }
    lock(&said).guard_gone = true;
    if let Some(mark) = mark {
        let _ = tokio::task::spawn_blocking(move || mark::kill_leftovers(mark)).await;
    }
    let _ = gone.send(true); // nobody waits when the Kept was dropped
}

/// A panic while the lock was held cannot leave `Said` in halves: each change is one assignment.
fn lock(said: &Mutex<Said>) -> std::sync::MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last `count` lines of a file that hold anything, cut to a readable length.
pub(super) fn last_lines(output: &Path, count: usize) -> Vec<String> {
    let mut tail = Vec::new();
    let read = |tail: &mut Vec<u8>| -> std::io::Result<()> {
        let mut file = File::open(output)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        file.take(TAIL_BYTES).read_to_end(tail)?;
        Ok(())
    };
    if read(&mut tail).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

/// A line without escape sequences and other control characters, which would colour or move whatever shows it.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.trim_end().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // CSI: parameters up to a final letter. OSC: up to BEL or the string terminator.
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']') => while chars.next().is_some_and(|c| c != '\u{7}' && c != '\\') {},
                _ => {}
            },
            '\t' => out.push_str("    "),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    match out.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_cursor_moves_do_not_reach_the_report() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\tand \u{1b}]0;title\u{7}plain\r"), "red    and plain");
        assert_eq!(plain(&"é".repeat(500)).chars().count(), LINE_CHARS_MAX + 1);
    }

    #[test]
    fn the_last_lines_of_a_long_output_are_found_from_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let text: String = (0..50_000).map(|i| format!("line {i}\n\n")).collect();
        std::fs::write(&path, text).unwrap();
        assert_eq!(last_lines(&path, 2), ["line 49998", "line 49999"]);
        assert!(last_lines(&folder.path().join("none"), 3).is_empty());
    }
}
