//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fissure_facts::config::Span;

use crate::exit::Exit;

/// Is the server holding up, and if not, what is the simplest thing that helps?
#[derive(Debug, Parser)]
#[command(name = "fissure", version, propagate_version = true, after_help = EXIT_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_STATUS: &str = "Exit status: 0 goal met, 1 goal not met, 2 could not tell, 64 usage, 65 bad input file, \
                           69 the app would not start, 70 bug, 130 interrupted";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The whole story on the embedded photo shop, in under two minutes
    #[command(after_help = "Example: fissure demo")]
    Demo(DemoArgs),
    /// Write a fissure.toml from what is found in a folder with an app
    #[command(after_help = "Example: fissure init ~/my-app")]
    Init(InitArgs),
    /// Is the app holding up, and if not, what is the simplest thing that helps?
    #[command(after_help = "Example: fissure check --budget 5m")]
    Check(CheckArgs),
    /// Show a run again, or compare two
    #[command(
        after_help = "Examples: fissure report            the last run\n          fissure report RUN1 RUN2  what changed"
    )]
    Report(ReportArgs),
    /// Keeps the processes of one role (started by fissure itself)
    #[command(name = "__guard", hide = true)]
    Guard,
    /// Plays the users (started by fissure itself)
    #[command(name = "__crowd", hide = true)]
    Crowd,
    /// The embedded monolith (started by `demo`)
    #[command(name = "__photo-shop", hide = true)]
    PhotoShop,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to unpack the photo shop (default: a new folder in the system's place for temporary files)
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    #[command(flatten)]
    pub measure: MeasureArgs,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The app's folder
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Overwrite a fissure.toml that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The app's folder, or its fissure.toml
    #[arg(default_value = ".")]
    pub project: PathBuf,
    /// Run the app in its own folder instead of a scratch copy: it may change its data
    #[arg(long)]
    pub in_place: bool,
    #[command(flatten)]
    pub measure: MeasureArgs,
}

#[derive(Debug, Args)]
pub struct MeasureArgs {
    /// How long to measure at most, like 90s or 5m (default: what fissure.toml says, else 8m)
    #[arg(long, value_name = "TIME")]
    pub budget: Option<Span>,
    /// Repeat the randomness of another run
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Print report.json instead of the report for people
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of runs, or their names (default: the last run)
    #[arg(num_args = 0..=2, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The folder with the app's fissure.toml
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub project: PathBuf,
    /// Print JSON
    #[arg(long, conflicts_with = "html")]
    pub json: bool,
    /// Print HTML
    #[arg(long)]
    pub html: bool,
}

impl Cli {
    /// Parses the arguments; on a mistake prints clap's sentence and ends with status 64.
    pub fn parse_or_exit() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let _ = error.print();
            std::process::exit(if error.use_stderr() { Exit::Usage as i32 } else { 0 })
        })
    }
}
