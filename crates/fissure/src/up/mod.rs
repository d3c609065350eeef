//! An arrangement of the app behind the front door, for people to click through: what `fissure up` and `fissure split` do.

mod line;
mod notes;
mod traffic;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use fissure_facts::arrangement::WEB;
use fissure_facts::recording::{self, Writer};
use fissure_facts::{Arrangement, Fact};
use fissure_rig::door::{Certificate, Door, Opening, Page, Table};
use fissure_rig::keeper;
use fissure_show::live::{self, Live};

use crate::cli::DoorArgs;
use crate::exit::{Exit, Failure};
use crate::lab::{self, Interrupt, Stage};
use crate::project::Project;
use crate::runs;

use notes::{Noted, Notes};

const PORT: u16 = 8080;
const OR_IN_PLACE: &str = "Or say --in-place: then the app writes wherever it always writes.";
/// How often its connections are looked at: a person may leave it running all day.
const CONNECTIONS_EVERY: Duration = Duration::from_millis(50);
/// How often the app is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs the arrangement behind the door until Ctrl-C.
pub fn serve(project: &Project, arrangement: &Arrangement, args: &DoorArgs) -> Result<Exit, Failure> {
    if !args.in_place {
        lab::refuse_shared_data(project).map_err(|e| e.or(OR_IN_PLACE))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| {
        Failure::new(Exit::CouldNotTell, format!("the machine gives fissure no event loop: {e}."))
    })?;
    runtime.block_on(Up::prepare(project, arrangement, args)?.run())
}

/// Everything that can go wrong before the app is started has gone well.
struct Up<'p> {
    project: &'p Project,
    arrangement: &'p Arrangement,
    args: &'p DoorArgs,
    listener: TcpListener,
    base: String,
    certificate: Option<Certificate>,
    recording: Option<(Writer, PathBuf)>,
    stage: Stage<'p>,
}

impl<'p> Up<'p> {
    fn prepare(
        project: &'p Project,
        arrangement: &'p Arrangement,
        args: &'p DoorArgs,
    ) -> Result<Self, Failure> {
        let home = runs::home(&project.folder);
        let unwritable = |e: std::io::Error| {
            Failure::new(Exit::CouldNotTell, format!("{} cannot be written: {e}.", home.display()))
        };
        runs::prepare(&project.folder).map_err(unwritable)?;
        let program = std::env::current_exe().map_err(unwritable)?;
        fissure_rig::keeper::sweep();
        fissure_rig::scratch::sweep(&home.join("scratch"));

        let listener = listen(args.port, project.config.app.port)?;
        let address = listener.local_addr().map_err(unwritable)?;
        let base = format!("{}://{address}", if args.tls { "https" } else { "http" });
        let certificate = args.tls.then(|| Certificate::in_folder(&home.join("certificate"))).transpose();
        let certificate =
            certificate.map_err(|e| Failure::new(Exit::CouldNotTell, format!("no TLS at the door: {e}.")))?;

        let recording = (!args.no_record).then(|| create(&home, &base)).transpose()?;
        let logs = match &recording {
            Some((_, folder)) => folder.clone(),
            None => home.join("up"),
        };
        std::fs::create_dir_all(&logs).map_err(unwritable)?;
        // Nothing is measured: the app may use the whole machine.
        let cpus = keeper::cpu_split(Some(usize::MAX));
        let mut stage = Stage::new(project, args.in_place, &program, &logs, &cpus);
        stage.base = Some(base.clone());
        Ok(Self { project, arrangement, args, listener, base, certificate, recording, stage })
    }

    async fn run(mut self) -> Result<Exit, Failure> {
        let mut interrupt = Interrupt::listen();
        let arrangement = self.arrangement;
        let roles: Vec<&str> = arrangement.roles.iter().map(|role| role.name.as_str()).collect();
        let command = &self.project.config.app.command;
        match roles[..] {
            [_] => anstream::println!("starting `{command}` ..."),
            _ => anstream::println!("starting `{command}` as {} ...", roles.join(" and ")),
        }
        let staged = tokio::select! {
            staged = self.stage.ensure(arrangement) => staged,
            () = interrupt.came() => {
                self.stage.strike().await;
                return Ok(Exit::Interrupted);
            }
        };
        if let Err(failure) = staged {
            if let Some((_, folder)) = self.recording.take() {
                discard(&folder);
            }
            return Err(Failure::new(Exit::NotStarted, told(&failure.sentence, &failure.last_lines)));
        }
        let table = self.table();
        let (writer, folder) = self.recording.take().unzip();
        let notes = Notes::begin(writer, table.routes.clone());
        let opening = Opening {
            protocol: self.project.config.app.protocol(),
            table,
            certificate: self.certificate.take(),
            behind_proxy: self.args.behind_proxy,
            keeps_bodies: folder.is_some(),
            witness: notes.witness(),
        };
        let certificate = opening.certificate.as_ref().map(|c| c.file().to_owned());
        let door = self.listener.try_clone().and_then(|listener| Door::open(listener, opening));
        let door =
            door.map_err(|e| Failure::new(Exit::CouldNotTell, format!("the door does not open: {e}.")))?;
        let page = self.page(&notes, folder.as_deref());
        let page = page.map_err(|e| Failure::new(Exit::CouldNotTell, format!("no live page: {e}.")))?;
        self.welcome(folder.as_deref(), certificate.as_deref(), page.url());

        let foreign =
            self.stage.of(arrangement).map(|standing| standing.foreign_databases(CONNECTIONS_EVERY));
        let foreign = foreign.filter(|_| !self.args.in_place);
        let ended = loop {
            tokio::select! {
                () = interrupt.came() => break Ok(Exit::Met),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let refused = foreign.as_ref().map_or(Ok(()), |foreign| {
                lab::refuse_foreign_databases(self.project, foreign).map_err(|e| e.or(OR_IN_PLACE))
            });
            if let Err(failure) = refused {
                break Err(failure);
            }
            let deaths = self.stage.of(arrangement).map(lab::Standing::deaths).unwrap_or_default();
            if let Some(Fact::ChildDied { role, how, last_lines, .. }) = deaths.into_iter().next() {
                let who = if role == WEB { "the app" } else { &role };
                let sentence = told(&format!("{who} ended by itself: {how}."), &last_lines);
                break Err(Failure::new(Exit::CouldNotTell, sentence));
            }
        };
        drop((door, page, foreign));
        self.stage.strike().await;
        farewell(&notes.finish(), folder.as_deref());
        ended
    }

    /// Where the processes that were started listen.
    fn table(&mut self) -> Table {
        let mut table = Table { routes: self.arrangement.table.clone(), ..Table::default() };
        for process in self.stage.of(self.arrangement).into_iter().flat_map(|s| &s.processes) {
            let addresses: &mut Vec<_> = table.roles.entry(process.role.clone()).or_default();
            addresses.push(([127, 0, 0, 1], process.port).into());
        }
        table
    }

    /// What comes through the door, for a browser.
    fn page(&self, notes: &Notes, folder: Option<&Path>) -> std::io::Result<Page> {
        let traffic = notes.traffic();
        let fixed = Live {
            command: self.project.config.app.command.clone(),
            base: self.base.clone(),
            recording: folder.map(|folder| shortest(folder).display().to_string()),
            ..Live::default()
        };
        Page::open(rand::random(), move || {
            let mut traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
            live::page(&Live {
                seconds: traffic.seconds(),
                routes: traffic.routes(),
                refused: traffic.refused,
                messages: traffic.messages,
                troubles: traffic.troubles(),
                ..fixed.clone()
            })
        })
    }

    fn welcome(&self, folder: Option<&Path>, certificate: Option<&Path>, page: &str) {
        anstream::println!("\nThe app answers at {}  (Ctrl-C ends it)", self.base);
        anstream::println!("What comes through: {page}");
        if let Some(file) = certificate {
            anstream::println!(
                "Its certificate is signed by itself: browsers ask once; curl takes --cacert {}",
                shortest(file).display()
            );
        }
        for (route, role) in &self.arrangement.table {
            anstream::println!("{route} is answered by the process `{role}`.");
        }
        if self.args.in_place {
            anstream::println!("It runs in its own folder: what you change there stays changed.");
        } else {
            let links = &self.project.config.links;
            let written: Vec<&str> = links
                .iter()
                .filter(|(_, link)| link.disposable && link.kind.is_database_server())
                .map(|(name, _)| name.as_str())
                .collect();
            match written[..] {
                [] => anstream::println!(
                    "It runs in a copy of its folder: whatever you click, your data stays as it is."
                ),
                _ => anstream::println!(
                    "It runs in a copy of its folder; what it writes to {} is written there (`disposable = true`).",
                    written.join(" and ")
                ),
            }
        }
        match folder {
            Some(folder) => anstream::println!(
                "Recording to {}: as it is, passwords too, so only you may read it.\n",
                shortest(folder).display()
            ),
            None => anstream::println!("Nothing is recorded.\n"),
        }
    }
}

/// Port 8080 unless somebody has it, or the one that was asked for.
fn listen(wanted: Option<u16>, of_app: Option<u16>) -> Result<TcpListener, Failure> {
    if let Some(port) = wanted {
        if of_app == Some(port) {
            let sentence =
                format!("port {port} is the app's own ([app] port): give the door another --port.");
            return Err(Failure::new(Exit::Usage, sentence));
        }
        return TcpListener::bind(("127.0.0.1", port)).map_err(|e| {
            let by = keeper::port_taken(port).map_or_else(|| e.to_string(), |who| format!("{who} has it"));
            Failure::new(Exit::CouldNotTell, format!("the door cannot listen on port {port}: {by}."))
        });
    }
    let usual = (of_app != Some(PORT)).then(|| TcpListener::bind(("127.0.0.1", PORT)).ok()).flatten();
    match usual {
        Some(listener) => Ok(listener),
        None => keeper::free_port()
            .and_then(|port| TcpListener::bind(("127.0.0.1", port)))
            .map_err(|e| Failure::new(Exit::CouldNotTell, format!("no port is free on 127.0.0.1: {e}."))),
    }
}

fn create(home: &Path, base: &str) -> Result<(Writer, PathBuf), Failure> {
    let name = runs::new_name(rand::random());
    let folder = home.join("recordings").join(&name);
    let header = recording::Header {
        format: recording::FORMAT.to_owned(),
        fissure: env!("CARGO_PKG_VERSION").to_owned(),
        recording: name,
        started_unix_s: runs::unix_s(),
        base: base.to_owned(),
    };
    match Writer::create(&folder, &header) {
        Ok(writer) => Ok((writer, folder)),
        Err(e) => Err(Failure::new(Exit::CouldNotTell, format!("{e}; --no-record does without."))),
    }
}

/// What was recorded, and what to do with it.
fn farewell(noted: &Noted, folder: Option<&Path>) {
    let Some(folder) = folder else { return };
    let place = shortest(folder);
    if noted.recorded == 0 {
        anstream::println!("\nNothing came through the door, so nothing was recorded.");
        discard(folder);
        return;
    }
    let requests = if noted.recorded == 1 { "request" } else { "requests" };
    anstream::println!("\nRecorded {} {requests} in {}.", noted.recorded, place.display());
    if noted.lost > 0 {
        anstream::println!("{} more are missing in it: the disk was too slow for them.", noted.lost);
    }
    if let Some(trouble) = &noted.trouble {
        anstream::println!("It is not complete: {trouble}.");
    }
    anstream::println!(
        "Next: `fissure users import` makes journeys of it. It holds what was typed, passwords too: delete the folder when you have them."
    );
}

/// A recording without traffic would only be the newest one for `fissure users import`.
fn discard(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}

fn told(sentence: &str, last_lines: &[String]) -> String {
    if last_lines.is_empty() {
        return sentence.to_owned();
    }
    format!("{sentence} Its last lines:\n  {}", last_lines.join("\n  "))
}

/// The path as a person would type it from here.
fn shortest(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}
