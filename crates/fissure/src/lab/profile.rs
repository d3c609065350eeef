//! The profilers' part in a window that is held for them.

use std::path::Path;

use fissure_facts::{Arrangement, Fact};
use fissure_rig::lens::{Profiler, Seen, Subject};
use tokio::task::JoinHandle;

use super::Lab;
use crate::exit::Failure;

impl Lab<'_> {
    /// What they look into.
    pub(super) fn subject(&mut self, arrangement: &Arrangement) -> Subject {
        let databases = self.stage.databases();
        let mut subject = Subject { cpus: self.cpus.app.clone(), databases, ..Subject::default() };
        if let Some(standing) = self.stage.of(arrangement) {
            subject.processes = standing.processes.iter().flat_map(|p| p.kept.tree()).collect();
            subject.folders.extend(standing.copy().map(Path::to_path_buf));
            subject.hooks = standing.hooks().map(Path::to_path_buf);
        }
        subject.folders.push(self.project.folder.clone());
        subject
    }

    /// Before a window in which profilers look.
    pub(super) async fn prepare_profilers(&mut self, arrangement: &Arrangement) {
        let subject = self.subject(arrangement);
        let _ = tokio::task::spawn_blocking(move || Profiler::prepare(&subject)).await;
    }

    /// Records what they saw. Nothing to do where no profiler was at work.
    pub(super) async fn keep(&mut self, profiled: Option<JoinHandle<Seen>>) -> Result<(), Failure> {
        let Some(profiled) = profiled else { return Ok(()) };
        let Ok(seen) = profiled.await else { return Ok(()) };
        for profile in seen.profiles {
            self.record(Fact::Profiled(profile))?;
        }
        for statements in seen.statements {
            self.record(Fact::StatementsSeen(statements))?;
        }
        for (instrument, why) in seen.blind {
            self.record(Fact::LeftOut { what: format!("the {instrument} profile"), why })?;
        }
        Ok(())
    }
}
