//! The parent's side: starts the crowd's process, reads what it says, and ends it.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::event::CrowdEvent;
use super::plan::CrowdPlan;

/// Name of the hidden subcommand.
pub const CROWD: &str = "__crowd";

#[derive(Debug, thiserror::Error)]
pub enum CrowdError {
    #[error("the crowd's process could not be started ({program}): {source}")]
    Start { program: String, source: io::Error },
    /// The child says itself what is wrong with its plan or its machine.
    #[error("{0}")]
    Refused(String),
    #[error(
        "the crowd's process ended before its work was done ({how}); this is a bug of fissure unless somebody killed it{last_words}"
    )]
    Died { how: String, last_words: String },
    #[error("the crowd said something that is not an event ({reason}); this is a bug of fissure")]
    Gibberish { reason: String },
}

/// One line on the child's standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Event(CrowdEvent),
    Failed(String),
}

/// A crowd at work. Dropping it kills it.
#[derive(Debug)]
pub struct Crowd {
    child: Child,
    pid: u32,
    /// Closing it tells the child that nobody is there any more.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    errors: Option<ChildStderr>,
}

impl Crowd {
    /// Starts `program __crowd` and hands it the plan. Call it from a thread that lives as long as the crowd: the kernel
    /// takes the end of the starting thread for the death of the parent.
    pub async fn start(program: &Path, plan: &CrowdPlan) -> Result<Self, CrowdError> {
        let start = |source| CrowdError::Start { program: program.display().to_string(), source };
        let mut child = Command::new(program)
            .arg(CROWD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let missing = || start(io::Error::other("a pipe is missing"));
        let pid = child.id().ok_or_else(missing)?;
        let mut input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take();
        let mut text = serde_json::to_string(plan).map_err(|e| start(io::Error::other(e)))?;
        text.push('\n');
        // A child that ends before it has read its plan has said why on its output.
        let _ = input.write_all(text.as_bytes()).await;
        let output = BufReader::new(output).lines();
        Ok(Self { child, pid, input: Some(input), output, errors })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The next thing that it says; None when it is done.
    pub async fn next(&mut self) -> Option<Result<CrowdEvent, CrowdError>> {
        match self.output.next_line().await {
            Ok(Some(line)) => Some(match serde_json::from_str(&line) {
                Ok(Line::Event(event)) => Ok(event),
                Ok(Line::Failed(sentence)) => Err(CrowdError::Refused(sentence)),
                Err(e) => Err(CrowdError::Gibberish { reason: e.to_string() }),
            }),
            Ok(None) => self.farewell().await.map(Err),
            Err(e) => Some(Err(CrowdError::Gibberish { reason: e.to_string() })),
        }
    }

    /// Asks it to end now. What it has still to say, `WindowEnd` with this reason last, comes by `next`.
    pub async fn stop(&mut self, reason: &str) {
        if let Some(input) = &mut self.input {
            let line = format!("{}\n", reason.replace(['\n', '\r'], " "));
            // When it has ended by itself there is nobody to ask.
            let _ = input.write_all(line.as_bytes()).await;
        }
    }

    async fn farewell(&mut self) -> Option<CrowdError> {
        let status = self.child.wait().await;
        let errors = self.errors.take()?; // told once
        match status {
            // 1 is the child's own way to say that it has said why.
            Ok(status) if matches!(status.code(), Some(0 | 1)) => None,
            status => Some(CrowdError::Died { how: describe(status), last_words: last_words(errors).await }),
        }
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|e| e.to_string(), |s| s.to_string())
}

/// The end of what it wrote to standard error, such as the message of a panic.
async fn last_words(mut errors: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let _ = errors.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let last: Vec<&str> = text.lines().rev().take(5).collect();
    last.into_iter().rev().map(|line| format!("\n{line}")).collect()
}
