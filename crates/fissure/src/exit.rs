//! Exit statuses: a published contract, used by scripts and CI.

use std::fmt::Display;
use std::process::ExitCode;

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The goal is met, or the verb did what it was asked.
    Met = 0,
    /// The goal is not met.
    NotMet = 1,
    /// Could not tell.
    CouldNotTell = 2,
    /// The command line was wrong (EX_USAGE).
    Usage = 64,
    /// An input file was wrong (EX_DATAERR).
    BadInput = 65,
    /// The app would not start (EX_UNAVAILABLE).
    NotStarted = 69,
    /// A bug in fissure (EX_SOFTWARE).
    Bug = 70,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A verb that ended early: the status and the sentence for the person.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    sentence: String,
}

impl Failure {
    pub fn new(exit: Exit, sentence: impl Display) -> Self {
        Self { exit, sentence: sentence.to_string() }
    }

    /// With another thing to try.
    pub fn or(mut self, hint: &str) -> Self {
        self.sentence += " ";
        self.sentence += hint;
        self
    }

    /// Prints the sentence and gives the status.
    pub fn tell(self) -> Exit {
        anstream::eprintln!("fissure: {}", self.sentence);
        self.exit
    }
}
