//! How a command gets to what it speaks to: a debug port that is named, or the running router.

use serde_json::Value;

use super::args::ReachArgs;
use super::failure::Failure;
use super::place::Place;
use super::target::{Export, Id, Target};
use crate::client::{ActorId, Address, AddressError, ConnectError, Entrypoint, Session};

/// A debug port, or the router of a project.
#[derive(Debug)]
pub(super) enum Reach {
    At {
        address: Address,
        /// Of the class of Durable Objects that is named, where its objects have names.
        unique_key: Option<String>,
    },
    Router(Place),
}

impl Reach {
    /// `place` finds the project, where no address is given.
    pub(super) fn of(
        args: &ReachArgs,
        place: impl FnOnce() -> Result<Place, Failure>,
    ) -> Result<Self, Failure> {
        let ReachArgs { at, unique_key, props: _ } = args;
        let Some(at) = at else { return place().map(Reach::Router) };
        let address = at.parse().map_err(|error: AddressError| {
            Failure::usage(format!("--at: {error}")).advised(Some(error.advice()))
        })?;
        Ok(Reach::At { address, unique_key: unique_key.clone() })
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
                    Id::Hex(id) => id.clone(),
                    Id::Plain(text) => ActorId::ephemeral(text),
                    Id::Name(name) => ActorId::from_name(&self.unique_key(service, class).await?, name),
                };
                Ok(session.actor(service, class, id))
            }
        }
    }

    async fn session(&self) -> Result<Session, Failure> {
        let address = match self {
            Reach::At { address, .. } => address.clone(),
            Reach::Router(place) => Address::Unix(place.client().status().await?.port),
        };
        Ok(Session::connect(&address).await?)
    }

    async fn unique_key(&self, service: &str, class: &str) -> Result<String, Failure> {
        match self {
            Reach::At { unique_key: Some(key), .. } => Ok(key.clone()),
            Reach::At { unique_key: None, .. } => Err(Failure::usage(format!(
                "the id of an object of {class} cannot be made from its name alone: a debug port does not tell the \
                 unique key of a class"
            ))
            .hint("give --unique-key (wrangler's is `<worker>-<class>`), or the object's id as `id:`")),
            Reach::Router(place) => {
                let sessions = place.client().sessions().await?.sessions;
                let session = sessions.into_iter().find(|row| row.session.to_string() == service);
                let known = session.and_then(|row| row.unique_keys.get(class).cloned());
                known.ok_or_else(|| {
                    Failure::usage(format!("session {service} has no stored class {class}"))
                        .hint("`jackfield ls` shows the classes; objects of an ephemeral one are named `str:`")
                })
            }
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Failure::unreachable(&error).advised(Some(error.advice()))
    }
}
