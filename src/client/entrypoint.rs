use std::sync::Arc;

use capnp::traits::HasTypeId;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::event::Event;
use super::session::{GET_ACTOR, GET_ENTRYPOINT, PORT, Session};
use crate::net::local::{Body, Pending, RpcError, Stub};
use crate::schema::worker_interface_capnp::{workerd_bootstrap, workerd_debug_port};
use crate::wire::actor_id::ActorId;

const BOOTSTRAP: u64 = workerd_bootstrap::Client::TYPE_ID;
const START_EVENT: u16 = 0;

/// What an entrypoint was asked for with.
pub(super) enum Origin {
    Entrypoint { service: String, name: Option<String>, props: Option<Value> },
    Actor { service: String, class: String, id: ActorId },
}

/// Something on which events start: an entrypoint of a service, or a Durable Object. Clones share it.
#[derive(Clone)]
pub struct Entrypoint(Arc<Inner>);

struct Inner {
    session: Session,
    origin: Origin,
    known: OnceCell<Known>,
}

/// An entrypoint that was asked for, perhaps not answered yet.
struct Known {
    stub: Stub,
    /// While the answer is held, calls on the stub go to what it brought.
    _answer: Pending,
}

impl Entrypoint {
    pub(super) fn new(session: Session, origin: Origin) -> Self {
        Entrypoint(Arc::new(Inner { session, origin, known: OnceCell::new() }))
    }

    /// The session that it is of.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// Starts an event. It takes one use: one fetch, or one RPC session. Nothing is waited for but room in the queue
    /// of the connection: what is asked of the event goes in the same flight.
    ///
    /// # Cancellation
    /// Dropping the future starts nothing.
    ///
    /// # Errors
    /// Only what is wrong here; the rest comes with the answers to what the event is asked.
    pub async fn event(&self) -> Result<Event, RpcError> {
        self.event_with_cf(None).await
    }

    /// As [`Entrypoint::event`], with the JSON that a worker finds as `request.cf`.
    ///
    /// # Cancellation
    /// Dropping the future starts nothing.
    ///
    /// # Errors
    /// As [`Entrypoint::event`].
    pub async fn event_with_cf(&self, cf: Option<&str>) -> Result<Event, RpcError> {
        let body = match cf {
            None => Body::empty(),
            Some(cf) => {
                Body::sized::<workerd_bootstrap::start_event_params::Owned>(cf.len(), |mut params, _| {
                    params.set_cf_blob_json(cf);
                    Ok(())
                })?
            }
        };
        let stub = self.stub().await?;
        let started = stub.start(BOOTSTRAP, START_EVENT, body).await?;
        Ok(Event::new(started.pipeline(&[0]), self.0.session.clone()))
    }

    /// The WorkerdBootstrap to start on.
    async fn stub(&self) -> Result<Stub, RpcError> {
        let Inner { session, origin, known } = &*self.0;
        match origin {
            Origin::Entrypoint { service, name, props } => {
                let ask = || async {
                    let body = get_entrypoint(service, name.as_deref(), props.as_ref())?;
                    let answer = session.port().start(PORT, GET_ENTRYPOINT, body).await?;
                    Ok::<_, RpcError>(Known { stub: answer.pipeline(&[0]), _answer: answer })
                };
                Ok(known.get_or_try_init(ask).await?.stub.clone())
            }
            Origin::Actor { service, class, id } => {
                let answer = session.port().start(PORT, GET_ACTOR, get_actor(service, class, id)?).await?;
                Ok(answer.pipeline(&[0]))
            }
        }
    }
}

/// The parameters of a debug port's `getEntrypoint`.
pub(super) fn get_entrypoint(
    service: &str,
    name: Option<&str>,
    props: Option<&Value>,
) -> Result<Body, RpcError> {
    let props = props.map(Value::to_string);
    let texts = service.len() + name.map_or(0, str::len) + props.as_ref().map_or(0, String::len);
    Body::sized::<workerd_debug_port::get_entrypoint_params::Owned>(texts, |mut params, _| {
        params.set_service(service);
        if let Some(name) = name {
            params.set_entrypoint(name);
        }
        if let Some(props) = &props {
            params.init_props().set_json(&**props);
        }
        Ok(())
    })
}

fn get_actor(service: &str, class: &str, id: &ActorId) -> Result<Body, RpcError> {
    let id = id.to_string();
    Body::sized::<workerd_debug_port::get_actor_params::Owned>(
        service.len() + class.len() + id.len(),
        |mut params, _| {
            params.set_service(service);
            params.set_entrypoint(class);
            params.set_actor_id(&*id);
            Ok(())
        },
    )
}
