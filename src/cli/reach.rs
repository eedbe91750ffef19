//! How a command gets to what it speaks to: a debug port that is named, or the running router.

use serde_json::Value;

use super::args::ReachArgs;
use super::failure::Failure;
use super::place::Place;
use super::target::{Export, Id, Target};
use crate::client::{ActorId, Address, AddressError, ConnectError, Entrypoint, Session};
use crate::control::shape::{Places, SessionRow, State};
use crate::session::{Nearest, SessionName};
use crate::wire::actor_id::ActorIdError;

/// What an event is told that found its session down for too long. It was never handed on.
const NOT_TAKEN: &str = "takes no events. Make sure it is running";

/// What to do where an id cannot be made of a name.
const GIVE_KEY: &str = "give --unique-key (wrangler's is `<worker>-<class>`), or the object's id as `id:`";

/// A debug port, or the router of a project.
#[derive(Debug)]
pub(super) enum Reach {
    At {
        address: Address,
        /// Of the class of Durable Objects that is named, where its objects have names.
        unique_key: Option<String>,
    },
    Router {
        place: Place,
        /// As above, of a class that the router does not know.
        unique_key: Option<String>,
    },
}

impl Reach {
    /// `place` finds the project, where no address is given.
    pub(super) fn of(
        args: &ReachArgs,
        place: impl FnOnce() -> Result<Place, Failure>,
    ) -> Result<Self, Failure> {
        let ReachArgs { at, unique_key, props: _ } = args;
        let unique_key = unique_key.clone();
        let Some(at) = at else { return Ok(Reach::Router { place: place()?, unique_key }) };
        let address = at.parse().map_err(|error: AddressError| {
            Failure::usage(format!("--at: {error}")).advised(Some(error.advice()))
        })?;
        Ok(Reach::At { address, unique_key })
    }

    pub(super) async fn entrypoint(
        &self,
        target: &Target,
        props: Option<Value>,
    ) -> Result<Entrypoint, Failure> {
        let Target { service, export } = target;
        if props.is_some() && matches!(export, Export::Actor { .. }) {
            return Err(Failure::usage(format!("{target} is a Durable Object, and those have no props"))
                .hint("leave --props out"));
        }
        let session = self.session().await?;
        match export {
            Export::Default => Ok(session.entrypoint(service, None, props)),
            Export::Entrypoint(name) => Ok(session.entrypoint(service, Some(name), props)),
            Export::Actor { class, id } => {
                let id = match id {
                    Id::Hex(id) => self.checked(service, class, id.clone()).await?,
                    Id::Plain(text) if self.known_key(service, class).await?.is_some() => {
                        return Err(Failure::usage(format!(
                            "objects of {class} are stored, and `{text}` is no id of one"
                        ))
                        .hint(
                            "give its name as `name:`, or its id as `id:`; `str:` is for ephemeral classes",
                        ));
                    }
                    Id::Plain(text) => ActorId::ephemeral(text),
                    // The objects of a fake are all alike.
                    Id::Name(name) if self.is_fake(service).await? => ActorId::ephemeral(name),
                    Id::Name(name) => ActorId::from_name(&self.unique_key(service, class).await?, name),
                };
                Ok(session.actor(service, class, id))
            }
        }
    }

    async fn is_class(&self, target: &Target, name: &str) -> bool {
        let Reach::Router { place, .. } = self else { return false };
        let known = row(place, &target.service).await.ok().flatten();
        known.is_some_and(|row| row.classes.iter().any(|class| class == name))
    }

    async fn session(&self) -> Result<Session, Failure> {
        let address = match self {
            Reach::At { address, .. } => address.clone(),
            Reach::Router { place, .. } => Address::Unix(place.client().status().await?.port),
        };
        Ok(Session::connect(&address).await?)
    }

    async fn is_fake(&self, service: &str) -> Result<bool, Failure> {
        match self {
            Reach::At { .. } => Ok(false),
            Reach::Router { place, .. } => {
                Ok(row(place, service).await?.is_some_and(|row| row.fake.is_some()))
            }
        }
    }

    async fn unique_key(&self, service: &str, class: &str) -> Result<String, Failure> {
        match self {
            Reach::At { unique_key: Some(key), .. } => Ok(key.clone()),
            Reach::At { unique_key: None, .. } => Err(Failure::usage(format!(
                "the id of an object of {class} cannot be made from its name alone: a debug port does not tell the \
                 unique key of a class"
            ))
            .hint(GIVE_KEY)),
            Reach::Router { place, .. } => {
                if let Some(key) = self.known_key(service, class).await? {
                    return Ok(key);
                }
                let is_known = row(place, service).await?.is_none_or(|row| !row.joined);
                Err(match is_known {
                    true => Failure::usage(format!("session {service} has no stored class {class}")).hint(
                        "`jackfield ls --json` shows the classes; objects of an ephemeral one are named `str:`",
                    ),
                    false => Failure::usage(format!(
                        "the id of an object of {class} cannot be made from its name alone: another tool runs {service}, \
                         and does not tell the unique keys of its classes"
                    ))
                    .hint(GIVE_KEY),
                })
            }
        }
    }

    /// The unique key of a class whose objects are stored, where it is known.
    async fn known_key(&self, service: &str, class: &str) -> Result<Option<String>, Failure> {
        match self {
            Reach::At { unique_key, .. } => Ok(unique_key.clone()),
            Reach::Router { place, unique_key } => {
                let known = row(place, service).await?.and_then(|row| row.unique_keys.get(class).cloned());
                Ok(known.or_else(|| unique_key.clone()))
            }
        }
    }

    /// workerd opens an object by any id; one of another class would be one that no worker can name.
    async fn checked(&self, service: &str, class: &str, id: ActorId) -> Result<ActorId, Failure> {
        match self.known_key(service, class).await? {
            Some(key) if !id.is_of(&key) => Err(Failure::usage(ActorIdError::OtherClass(id, key))
                .hint(format!("look whether it is of {class}, and whether all of it is there"))),
            _ => Ok(id),
        }
    }

    /// Leads stack traces of bundles back to the sources, where the daemon knows them.
    async fn in_sources(&self, target: &Target, failure: Failure) -> Failure {
        let (Reach::Router { place, .. }, texts) = (self, failure.places()) else { return failure };
        let Ok(session) = target.service.parse() else { return failure };
        if texts.is_empty() {
            return failure;
        }
        match place.client().places(&Places { session, texts }).await {
            Ok(placed) => failure.with_places(placed.texts),
            // What was thrown matters more than where.
            Err(_) => failure,
        }
    }

    /// What is the matter with a session that does not answer, if the daemon knows.
    pub(super) async fn trouble(&self, target: &Target) -> Option<String> {
        let Reach::Router { place, .. } = self else { return None };
        let row = row(place, &target.service).await.ok().flatten()?;
        let state = match row.state {
            State::Up => return None,
            State::Starting => "starting",
            State::Stopped => "stopped",
            State::Down => "down",
        };
        let why = row.why.map(|why| format!(": {why}")).unwrap_or_default();
        Some(format!("{} is {state}{why}", target.service))
    }

    /// What the port itself cannot say of what went wrong: where that is in the sources, and which names there are.
    pub(super) async fn explain(&self, target: &Target, failure: Failure) -> Failure {
        let failure = self.in_sources(target, failure).await;
        if let Export::Entrypoint(name) = &target.export
            && (failure.says("Unable to get exported handler") || self.is_class(target, name).await)
        {
            let service = &target.service;
            return Failure::failed(format!("{name} is a Durable Object class, and no entrypoint")).hint(format!(
                "say which of its objects: {service}#{name}/name:NAME (.../id:HEX, or .../str:TEXT for an ephemeral class)"
            ));
        }
        if failure.says("was destroyed before completion") {
            return failure.hint(
                "is it a worker? Disks, the network and external servers are services too, and take no calls",
            );
        }
        if failure.says("Invalid Durable Object ID") {
            return failure
                .hint("objects of a stored class are `name:` or `id:`; `str:` is for ephemeral ones");
        }
        let Reach::Router { place, .. } = self else { return failure };
        if failure.says(NOT_TAKEN) {
            let down =
                self.trouble(target).await.unwrap_or_else(|| format!("{} takes no events", target.service));
            return Failure::failed(format!("{down}; nothing was sent"))
                .hint(format!("`jackfield explain {}` says what to do", target.service));
        }
        if !failure.says("Worker does not export") {
            return failure;
        }
        let Ok(Some(row)) = row(place, &target.service).await else { return failure };
        let (wanted, known) = match &target.export {
            Export::Default => return failure,
            Export::Entrypoint(name) => (name, row.entrypoints),
            Export::Actor { class, .. } => (class, row.classes),
        };
        let has = match known.is_empty() {
            true => format!("session {} has none", target.service),
            false => format!("session {} has {}", target.service, known.join(", ")),
        };
        match Nearest::of(wanted, &known) {
            Nearest(Some(name)) => failure.hint(format!("did you mean {}#{name}? {has}", target.service)),
            Nearest(None) => failure.hint(has),
        }
    }
}

async fn row(place: &Place, service: &str) -> Result<Option<SessionRow>, Failure> {
    let sessions = place.client().sessions().await?.sessions;
    let Ok(name) = service.parse::<SessionName>() else { return Ok(None) };
    let meant = name.meant_among(sessions.iter().map(|row| &row.session));
    Ok(sessions.into_iter().find(|row| row.session == meant))
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Failure::unreachable(&error).advised(Some(error.advice()))
    }
}
