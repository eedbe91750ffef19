//! What all sessions of one run share: the executable, the private folder, where output goes, how long things may take.

use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::config::{FIRE, Wiring};
use super::name::SessionName;
use super::output::OutputSink;
use super::process::StartError;
use super::project::SessionSpec;
use super::release::Release;
use super::runtime_dir::RuntimeDir;
use super::spawner::Spawner;
use super::state::{Generation, Services};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From the start of a process to its last socket. workerd takes 25 ms, and half a minute on a machine that is
    /// busy building.
    pub start: Duration,
    /// For the calls of an old generation to end by themselves.
    pub drain: Duration,
    /// The same where the new generation has to wait for the old one, because both store the same objects. New events
    /// are parked meanwhile, so this stays well below the time after which parked events fail.
    pub hand_over: Duration,
    /// The same for WebSockets, which seldom end by themselves: long enough for one that is about to.
    pub hand_over_sockets: Duration,
    /// From SIGTERM to SIGKILL. workerd ends in 5 ms unless it waits for a peer, and then it waits for minutes.
    pub terminate: Duration,
    /// The first pause before a session that keeps failing is started again; doubled up to `longest_pause`.
    pub first_pause: Duration,
    /// The longest of these pauses.
    pub longest_pause: Duration,
    /// A generation that served this long has not failed: its successor is started at once.
    pub healthy: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            hand_over: Duration::from_secs(4),
            hand_over_sockets: Duration::from_secs(1),
            terminate: Duration::from_secs(2),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            healthy: Duration::from_secs(5),
        }
    }
}

/// What a run gives to its sessions.
pub struct Host {
    workerd: PathBuf,
    pub(super) runtime: Arc<RuntimeDir>,
    /// `.jackfield` of the project.
    own_folder: PathBuf,
    pub(super) output: Arc<dyn OutputSink>,
    pub(super) times: Times,
    pub(super) spawner: Spawner,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("workerd", &self.workerd).finish_non_exhaustive()
    }
}

impl Host {
    /// Must be called inside the tokio runtime that will watch the processes. `root` is the project's folder.
    pub fn new(
        workerd: PathBuf,
        root: &Path,
        runtime: Arc<RuntimeDir>,
        output: Arc<dyn OutputSink>,
        times: Times,
    ) -> io::Result<Self> {
        let own_folder = root.join(".jackfield");
        Ok(Self { workerd, runtime, own_folder, output, times, spawner: Spawner::new()? })
    }

    /// What runs a session.
    pub(super) fn workerd_of<'a>(&'a self, spec: &'a SessionSpec) -> &'a Path {
        spec.compiled.as_ref().map_or(&self.workerd, |compiled| &compiled.workerd)
    }

    /// For a process that serves.
    pub(super) fn wiring(&self, spec: &SessionSpec, start: u64) -> Result<Wiring, StartError> {
        let named = spec.entrypoints.iter().cloned().map(Some);
        let http_sockets = [None].into_iter().chain(named).enumerate();
        Ok(Wiring {
            http_sockets: http_sockets
                .map(|(index, entrypoint)| (entrypoint, self.runtime.http_socket(&spec.name, start, index)))
                .collect(),
            front_socket: Some(self.runtime.front_socket(&spec.name, start)),
            state_folder: self.state_of(spec)?,
            ..self.deaf_wiring(spec)
        })
    }

    /// For a process that listens nowhere and keeps nothing.
    pub(super) fn deaf_wiring(&self, spec: &SessionSpec) -> Wiring {
        Wiring {
            http_sockets: Vec::new(),
            link_faces: spec
                .services
                .iter()
                .map(|link| (link.binding.clone(), self.runtime.link_face(&spec.name, &link.binding)))
                .collect(),
            debug_face: self.runtime.debug_face(&spec.name),
            cf_header: self.runtime.cf_header().to_owned(),
            front_socket: None,
            state_folder: None,
            trial_folder: None,
        }
    }

    pub(super) fn generation(&self, spec: &SessionSpec, start: u64, wiring: &Wiring) -> Generation {
        Generation {
            session: spec.name.clone(),
            number: 0,
            pid: 0,
            release: Release::of_executable(self.workerd_of(spec)),
            debug_port: self.runtime.debug_socket(&spec.name, start).into(),
            services: Services { default: spec.front(), named: spec.service(), others: others(spec) },
            http_sockets: wiring.http_sockets.iter().cloned().collect(),
            front_socket: Some(self.runtime.front_socket(&spec.name, start)),
            cf_header: wiring.cf_header.clone(),
        }
    }

    fn state_of(&self, spec: &SessionSpec) -> Result<Option<PathBuf>, StartError> {
        match &spec.compiled {
            Some(compiled) => Ok(compiled.keeps.then(|| compiled.state.clone())),
            None => spec.stores_objects().then(|| self.state_folder(&spec.name)).transpose(),
        }
    }

    /// workerd wants the folder to exist. State is no part of anybody's repository.
    fn state_folder(&self, session: &SessionName) -> Result<PathBuf, StartError> {
        let failed = |action, path: &Path| {
            let (session, path) = (session.clone(), path.to_owned());
            move |source| StartError::File { session, action, path, source }
        };
        let folder = self.own_folder.join("state").join(session.to_string());
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700).create(&folder).map_err(failed("create", &folder))?;
        let ignore = self.own_folder.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n").map_err(failed("write", &ignore))?;
        }
        Ok(folder)
    }
}

/// The helper beside the worker, and what takes messages of others.
fn others(spec: &SessionSpec) -> Vec<String> {
    let queues = spec.compiled.iter().filter_map(|compiled| compiled.queues.as_ref());
    let consumed = queues.flat_map(|queues| queues.consumers.keys());
    consumed.map(|queue| Services::of_queue(queue)).chain([FIRE.to_owned()]).collect()
}

/// workerd leaves its socket files behind.
pub(super) fn remove_sockets<'a>(sockets: impl Iterator<Item = &'a Path>) {
    for path in sockets {
        // The owner of the private folder removes what stays at the next start.
        let _ = std::fs::remove_file(path);
    }
}
