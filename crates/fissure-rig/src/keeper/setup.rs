//! `[app] setup`: a command that makes a scratch copy ready, run to its end under a guard.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::kept::last_lines;
use super::{KeepError, Kept, Launch};

/// How many of its last lines are shown when it fails.
const LINES: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    NotStarted(#[from] KeepError),
    #[error("The setup command `{command}` failed with {how}. Run it in the app's folder to see why.")]
    Failed { command: String, how: String, last_lines: Vec<String> },
    #[error(
        "The setup command `{command}` was still running after {}s and was ended. Does it wait for input, or start a server? [app] setup must end by itself.",
        within.as_secs()
    )]
    TooLong { command: String, within: Duration, last_lines: Vec<String> },
}

impl SetupError {
    pub fn last_lines(&self) -> &[String] {
        match self {
            Self::NotStarted(_) => &[],
            Self::Failed { last_lines, .. } | Self::TooLong { last_lines, .. } => last_lines,
        }
    }
}

/// Runs `launch` until its main process ends, and whatever it left running is ended too.
pub async fn setup(program: &Path, launch: &Launch, within: Duration) -> Result<(), SetupError> {
    let deadline = Instant::now() + within;
    let kept = Kept::start(program, launch).await?;
    let ended = loop {
        if let Some(ended) = kept.main_ended() {
            break Some(ended);
        }
        if Instant::now() >= deadline {
            break None;
        }
        sleep(Duration::from_millis(20)).await;
    };
    kept.stop().await;
    let command = launch.command.clone();
    match ended {
        Some((_, true)) => Ok(()),
        Some((how, false)) => {
            Err(SetupError::Failed { command, how, last_lines: last_lines(&launch.output, LINES) })
        }
        None => Err(SetupError::TooLong { command, within, last_lines: last_lines(&launch.output, LINES) }),
    }
}
