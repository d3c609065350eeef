//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fissure_facts::config::Span;
use fissure_facts::{FaultKind, Route, Trigger};
use fissure_judge::threshold::Threshold;

use crate::exit::Exit;
use crate::load::shape::{Ramp, Rate, Spike};

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
    #[command(after_help = "Examples: fissure check --budget 5m\n          \
                            fissure check --against 2026-03-01T10-00-00-1f2e     what changed since that run\n          \
                            fissure check --before-folder ../app-before          prove it: old and new in turns\n          \
                            fissure check --before-command 'node old/server.js'")]
    Check(CheckArgs),
    /// Is it safe to run two copies, to split an area off, to restart?
    #[command(after_help = ISOLATE_EXAMPLES)]
    Isolate(IsolateArgs),
    /// What breaks what: kill, pause, squeeze the app and cut its links under load, and see which routes suffer and heal
    #[command(after_help = CHAOS_EXAMPLES)]
    Chaos(ChaosArgs),
    /// Load a server or journeys: open arrivals, honest latencies, thresholds
    #[command(after_help = LOAD_EXAMPLES)]
    Load(Box<LoadArgs>),
    /// Write a load as a script for k6, or a run's profiles for speedscope or pprof
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Show a run again, compare two, or add up what several machines loaded
    #[command(after_help = "Examples: fissure report                    the last run\n          \
                            fissure report RUN1 RUN2          what changed\n          \
                            fissure report --merge RUN RUN... load runs of several machines as one")]
    Report(ReportArgs),
    /// Run the app behind a front door and record what people do with it
    #[command(
        after_help = "Examples: fissure up                  click through http://127.0.0.1:8080, then Ctrl-C\n          \
                            fissure up ~/my-app --tls     for apps that insist on https\n\n\
                            What comes through the door is recorded in .fissure/recordings; `fissure users import` makes \
                            journeys of it."
    )]
    Up(UpArgs),
    /// Run the app with one area as a process of its own, behind the front door, to click through
    #[command(
        after_help = "Examples: fissure split thumbs                  an area of fissure.toml\n          \
                            fissure split 'POST /photos'          a route, or several with commas between\n\n\
                            Both processes are the same program in the same folder; each finds its name in FISSURE_ROLE."
    )]
    Split(SplitArgs),
    /// What this machine allows, what falls away without it, and what to do
    #[command(after_help = "Example: fissure doctor\n\nExit status 2 when something essential is missing.")]
    Doctor(DoctorArgs),
    /// The users' journeys: list them, learn them from a recording or a file, replay them
    #[command(after_help = USERS_EXAMPLES)]
    Users(UsersArgs),
    /// Keeps the processes of one role (started by fissure itself)
    #[command(name = "__guard", hide = true)]
    Guard,
    /// Plays the users (started by fissure itself)
    #[command(name = "__crowd", hide = true)]
    Crowd,
    /// Keeps answers for a moment (started by fissure itself)
    #[command(name = "__cache", hide = true)]
    Cache,
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
pub struct DoctorArgs {
    /// Print JSON instead of text for people
    #[arg(long)]
    pub json: bool,
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
pub struct UpArgs {
    /// The app's folder, or its fissure.toml
    #[arg(default_value = ".")]
    pub project: PathBuf,
    #[command(flatten)]
    pub door: DoorArgs,
}

#[derive(Debug, Args)]
pub struct SplitArgs {
    /// A name in `[areas]`, or routes
    pub area: String,
    /// The app's folder, or its fissure.toml
    #[arg(default_value = ".")]
    pub project: PathBuf,
    #[command(flatten)]
    pub door: DoorArgs,
}

#[derive(Debug, Args)]
pub struct DoorArgs {
    /// Where the door listens on 127.0.0.1 (default: 8080, or another one when that is taken)
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Run the app in its own folder instead of a scratch copy: what people change stays changed
    #[arg(long)]
    pub in_place: bool,
    /// Record nothing
    #[arg(long)]
    pub no_record: bool,
    /// Serve https, too, with a certificate of its own for this machine
    #[arg(long)]
    pub tls: bool,
    /// A proxy of yours stands before the door: believe its X-Forwarded-* and Forwarded, and add to them
    #[arg(long)]
    pub behind_proxy: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The app's folder, or its fissure.toml
    #[arg(default_value = ".")]
    pub project: PathBuf,
    /// Run the app in its own folder instead of a scratch copy: it may change its data
    #[arg(long)]
    pub in_place: bool,
    /// Say also what changed since this run (a folder, or a name in .fissure/runs)
    #[arg(long, value_name = "RUN")]
    pub against: Option<PathBuf>,
    /// Prove a change: this starts the program as it was, and both are measured in turns
    #[arg(long, value_name = "COMMAND")]
    pub before_command: Option<String>,
    /// Where the program as it was lies (default: the app's own folder); its command is the app's unless --before-command says another
    #[arg(long, value_name = "FOLDER")]
    pub before_folder: Option<PathBuf>,
    #[command(flatten)]
    pub measure: MeasureArgs,
}

const ISOLATE_EXAMPLES: &str = "\
Examples:
  fissure isolate                   two copies, every area of fissure.toml apart, a restart between requests
  fissure isolate --budget 20s      with little time differences are repeated less often

The journeys are played by one user after another, on copies of the app that differ only in how they are run.
Exit status: 0 every answer stays the same, 1 an answer differs, 2 could not tell, 130 interrupted";

#[derive(Debug, Args)]
pub struct IsolateArgs {
    /// The app's folder, or its fissure.toml
    #[arg(default_value = ".")]
    pub project: PathBuf,
    /// How long to compare at most, like 30s or 5m (default: 2m)
    #[arg(long, value_name = "TIME")]
    pub budget: Option<Span>,
    /// Repeat the randomness of another run
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Print JSON instead of text for people
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ChaosArgs {
    /// The app's folder, or its fissure.toml
    #[arg(default_value = ".")]
    pub project: PathBuf,
    /// Only the faults that teach most, in a few minutes
    #[arg(long)]
    pub quick: bool,
    /// Only this fault (may be repeated)
    #[arg(long, value_name = "FAULT")]
    pub only: Vec<FaultKind>,
    /// Only what befalls this role or link, like web or db (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub on: Vec<String>,
    /// Whom faults of links befall: 10% or every:3 (connections), request:5, first-byte, commit (default: everybody)
    #[arg(long, value_name = "TRIGGER")]
    pub when: Option<Trigger>,
    /// Only requests of this route, in faults of HTTP (status, delay, truncate)
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<Route>,
    /// The same again with this area of fissure.toml as its own process, to compare
    #[arg(long, value_name = "AREA")]
    pub split: Option<String>,
    /// Break nothing more when the faults together have spoiled as much as a whole outage of this length, like 30s
    #[arg(long, value_name = "TIME")]
    pub outage_at_most: Option<Span>,
    /// Show the faults and break nothing
    #[arg(long)]
    pub list: bool,
    /// Run the app in its own folder instead of a scratch copy: it may change its data
    #[arg(long)]
    pub in_place: bool,
    /// Repeat the randomness of another run
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Print report.json instead of the report for people
    #[arg(long)]
    pub json: bool,
}

const CHAOS_EXAMPLES: &str = "\
Examples:
  fissure chaos --quick
  fissure chaos --only pause --only half-open
  fissure chaos --quick --split thumbs     the same with an area apart
  fissure chaos --list

Only processes that fissure started and their links are broken, and everything is undone, also when fissure is killed.
Exit status: 0 every route was as before after each fault, 1 one was not or answered wrongly, 2 could not tell, 69 the app
would not start, 130 interrupted";

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
pub struct LoadArgs {
    /// URLs of one server, .hurl files, or a folder with fissure.toml (default: the folder here)
    #[arg(value_name = "WHAT")]
    pub what: Vec<String>,
    /// The server that the journeys' {{base}} stands for, when it is running already
    #[arg(long, value_name = "URL")]
    pub base: Option<String>,

    /// Users arriving per second, like 500, or a ramp like 100..1000; a URL is one request of one user
    #[arg(short, long, value_name = "RATE", help_heading = LOAD, conflicts_with_all = ["stairs", "users", "closed"])]
    pub rate: Option<Ramp>,
    /// Rates one after the other, each for an equal share of the time
    #[arg(long, value_name = "R,R,...", value_delimiter = ',', help_heading = LOAD, conflicts_with_all = ["profile", "users", "closed"])]
    pub stairs: Vec<Rate>,
    /// A burst on top: rate, when it begins and how long it lasts, like 2000@10s+5s (may be repeated)
    #[arg(long, value_name = "R@T+T", help_heading = LOAD, requires = "rate")]
    pub spike: Vec<Spike>,
    /// The hours of an access log, of a CSV file with hour,rate (requests per second), or those that `users import` wrote into
    /// fissure.toml, squeezed into the time of --for; --rate says what the busiest hour is to be
    #[arg(long, value_name = "FILE", help_heading = LOAD, conflicts_with_all = ["users", "closed", "spike"])]
    pub profile: Option<PathBuf>,
    /// Users at once, on average: as many arrive as Little's law asks for
    #[arg(short, long, value_name = "N", help_heading = LOAD, conflicts_with = "closed")]
    pub users: Option<u32>,
    /// So many users in a closed loop: each sends again as soon as it is answered, without pauses, so a slow server is spared
    #[arg(short, long, value_name = "N", help_heading = LOAD, conflicts_with = "think")]
    pub closed: Option<u32>,
    /// Users arrive like a clock instead of like strangers (Poisson)
    #[arg(long, help_heading = LOAD, conflicts_with_all = ["users", "closed"])]
    pub even: bool,
    /// How long, in whole seconds (default: 10s, or the length of the profile)
    #[arg(long = "for", value_name = "TIME", help_heading = LOAD)]
    pub duration: Option<Span>,
    /// Load before that is not measured (default: none, or with --users as long as the longest journey pauses)
    #[arg(long, value_name = "TIME", help_heading = LOAD)]
    pub warmup: Option<Span>,
    /// Begin at this instant on every machine, like 2026-11-25T14:30:00Z
    #[arg(long, value_name = "TIME", help_heading = LOAD)]
    pub start_at: Option<jiff::Timestamp>,
    /// Repeat the randomness of another run
    #[arg(long, value_name = "NUMBER", help_heading = LOAD)]
    pub seed: Option<u64>,

    /// Method of the requests to URLs
    #[arg(short = 'X', long, value_name = "METHOD", help_heading = REQUEST)]
    pub method: Option<String>,
    /// A header of the requests to URLs, like 'Accept: text/html' (may be repeated)
    #[arg(short = 'H', long, value_name = "HEADER", help_heading = REQUEST)]
    pub header: Vec<String>,
    /// The body of the requests to URLs, or @FILE; the method becomes POST
    #[arg(short = 'd', long, value_name = "BODY", help_heading = REQUEST)]
    pub body: Option<String>,
    /// A pause of each user before its request to a URL (default: 1s with --users, else none)
    #[arg(long, value_name = "TIME", help_heading = REQUEST)]
    pub think: Option<Span>,
    /// A request without a whole answer after this is an error
    #[arg(long, value_name = "TIME", help_heading = REQUEST)]
    pub timeout: Option<Span>,
    /// Speak HTTP/2 only (default: over TLS as the server prefers, else HTTP/1.1)
    #[arg(long, help_heading = REQUEST)]
    pub http2: bool,
    /// At most so many connections; who finds none waits, and the wait counts
    #[arg(long, value_name = "N", help_heading = REQUEST, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: Option<u32>,
    /// A row for each user: the columns become variables of the journeys
    #[arg(long, value_name = "CSV", help_heading = REQUEST)]
    pub data: Option<PathBuf>,

    /// What must hold, like 'p95<300ms', 'p99 of GET /a < 50ms', 'p95 of every route<1s', 'errors<1%', 'rate>450' (may be repeated)
    #[arg(long, value_name = "THRESHOLD", help_heading = RESULT)]
    pub require: Vec<Threshold>,
    /// Print JSON (fissure.load/1)
    #[arg(long, help_heading = RESULT)]
    pub json: bool,
    /// Keep the run in this folder (default: in .fissure/runs, where there is a fissure.toml)
    #[arg(long, value_name = "FOLDER", help_heading = RESULT)]
    pub out: Option<PathBuf>,
    /// The folder with the fissure.toml that names your own hosts (`own_hosts` of its `[load]`)
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub project: PathBuf,
    /// Run the app in its own folder instead of a scratch copy: it may change its data
    #[arg(long)]
    pub in_place: bool,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(subcommand)]
    pub to: ExportTo,
}

#[derive(Debug, Subcommand)]
pub enum ExportTo {
    /// What `load` would play, as a script for those who have a cluster of k6
    K6(Box<K6Args>),
    /// What the profilers of a run saw, for speedscope.app (which works without a network, too)
    Speedscope(StacksArgs),
    /// What the profilers of a run saw, for `go tool pprof`, Pyroscope, Parca
    Pprof(PprofArgs),
}

#[derive(Debug, Args)]
#[command(mut_arg("out", |arg| arg.value_name("FILE").help("Write the script to this file (default: standard output)")))]
#[command(mut_args(|arg| { let is_lost = NOT_EXPORTED.contains(&arg.get_id().as_str()); arg.hide(is_lost) }))]
#[command(after_help = "What k6 cannot do is an error with its line.")]
pub struct K6Args {
    #[command(flatten)]
    pub load: LoadArgs,
}

/// Options of `load` that a script cannot hold; they are refused.
const NOT_EXPORTED: [&str; 6] = ["warmup", "seed", "start_at", "connections", "json", "in_place"];

#[derive(Debug, Args)]
pub struct StacksArgs {
    /// The run: a folder, or a name in .fissure/runs (default: the last one)
    pub run: Option<PathBuf>,
    /// Write to this file (default: standard output)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The folder of the app
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub project: PathBuf,
}

#[derive(Debug, Args)]
pub struct PprofArgs {
    #[command(flatten)]
    pub stacks: StacksArgs,
    /// The window in which the heaviest route was repeated, instead of the journeys' mix
    #[arg(long)]
    pub hot: bool,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  fissure export k6 --rate 200 --for 5m --out load.js     the options of `fissure load`
  k6 run -e BASE=http://127.0.0.1:8000 load.js
  fissure export speedscope --out stacks.json             the last run in which profilers looked: open it at speedscope.app
  fissure export pprof --out stacks.pb && go tool pprof -http=: stacks.pb";

const LOAD: &str = "Load";
const REQUEST: &str = "Requests";
const RESULT: &str = "Result";

const LOAD_EXAMPLES: &str = "\
Examples:
  fissure load http://127.0.0.1:8000/ --rate 500 --for 10s --require 'p95<300ms'
  fissure load http://127.0.0.1:8000/a http://127.0.0.1:8000/b --rate 100..1000 --for 1m
  fissure load http://127.0.0.1:8000/ --rate 100 --spike 2000@10s+5s --for 30s
  fissure load journeys/*.hurl --base http://127.0.0.1:8000 --users 50
  fissure load                      the app and the goal of the fissure.toml here

Load goes to this machine, or to hosts that fissure.toml names as your own.
Exit status: 0 every threshold held, 1 one was broken, 2 could not tell (void), 69 nobody answered, 130 interrupted";

const USERS_EXAMPLES: &str = "\
Examples:
  fissure users                      the journeys, their weights, routes and last replay
  fissure users import               the newest recording of `fissure up` becomes journeys
  fissure users import shop.har      so does what a browser's developer tools saved, or a file of curl commands
  fissure users import openapi.yaml  journeys drawn up from an OpenAPI description (3.0, 3.1), JSON or YAML
  fissure users import access.log    an access log: journeys that read, and how often each is played
  fissure users replay               each journey alone, then two users at the same time, then fifty";

#[derive(Debug, Args)]
pub struct UsersArgs {
    #[command(subcommand)]
    pub verb: Option<UsersVerb>,
    /// The app's folder, or its fissure.toml
    #[arg(long, default_value = ".", value_name = "FOLDER", global = true)]
    pub project: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum UsersVerb {
    /// Make journeys of a recording, a HAR file, an OpenAPI description, curl commands or an access log, and replay them
    #[command(after_help = USERS_EXAMPLES)]
    Import(ImportArgs),
    /// Play each journey alone, then by two users at the same time, then by fifty
    #[command(after_help = "Example: fissure users replay\n\nExit status 1 when a journey does not replay.")]
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file, or the folder of a recording (default: the newest in .fissure/recordings); its kind is told by its content
    pub file: Option<PathBuf>,
    /// Write over journeys that are there
    #[arg(long)]
    pub force: bool,
    /// Do not replay the journeys now
    #[arg(long)]
    pub no_replay: bool,
    /// Replay on the app's own folder instead of a scratch copy: it may change its data
    #[arg(long)]
    pub in_place: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Replay on the app's own folder instead of a scratch copy: it may change its data
    #[arg(long)]
    pub in_place: bool,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of runs, or their names (default: the last run)
    #[arg(value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Add up load runs that several machines made with the same command, without loss
    #[arg(long, requires = "runs")]
    pub merge: bool,
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
