//! Queues of which one session sends and another consumes.
//!
//! The broker of the sender keeps a message until ours has brought it to the broker of the consumer, which stands behind
//! a service that is called like Miniflare's, so that sessions of other tools find it too.

use std::path::Path;

use serde_json::{Value, json};

use super::Wiring;
use super::slots::{Slots, named, size};
use super::worker::{EXTRA_HANDLERS, OWN_DATE, set_flags};
use super::{address, has_fire};
use crate::schema::workerd_config_capnp::{service, worker};
use crate::session::project::{Queues, SessionSpec};
use crate::session::state::Services;

/// What brings messages to other sessions.
const POST: &str = "jackfield:post";
/// Its module text.
const POST_TEXT: &str = include_str!("../../../workers/post/index.js");
/// The module text of what takes messages of others.
const POST_BOX: &str = include_str!("../../../workers/post-box/index.js");

/// Until there is a consumer it is looked for this often, in seconds.
const RETRY_DELAY: u32 = 1;
/// For as long as the broker keeps messages at all.
const MAX_RETRIES: u32 = 1_000_000_000;
/// The most that it delivers at once.
const BATCH: u32 = 100;

/// The queues of a process that serves.
fn of<'a>(spec: &'a SessionSpec, wiring: &Wiring) -> Option<&'a Queues> {
    spec.compiled.as_ref()?.queues.as_ref().filter(|_| has_fire(spec, wiring))
}

/// How many services [`add`] adds.
pub(super) fn count(spec: &SessionSpec, wiring: &Wiring) -> usize {
    of(spec, wiring).map_or(0, |queues| queues.consumers.len() + 2 * usize::from(!queues.foreign.is_empty()))
}

pub(super) fn add(
    spec: &SessionSpec,
    wiring: &Wiring,
    services: &mut Slots<'_, service::Owned>,
) -> capnp::Result<()> {
    let Some(queues) = of(spec, wiring) else { return Ok(()) };
    for queue in queues.consumers.keys() {
        let mut taken = services.next()?;
        taken.set_name(Services::of_queue(queue));
        post_box(&queues.broker, queue, taken.init_worker())?;
    }
    if queues.foreign.is_empty() {
        return Ok(());
    }
    let mut post = services.next()?;
    post.set_name(POST);
    self::post(queues, &wiring.debug_face, post.init_worker())?;
    // The compiler's own, which is told of one more consumer.
    let mut broker = services.next()?;
    broker.set_name(&queues.broker);
    let mut bindings = Slots::new(broker.init_worker().init_bindings(2));
    named(&mut bindings, "CONSUMERS")?.set_json(consumers(queues).to_string());
    named(&mut bindings, POST)?.init_service().set_name(POST);
    Ok(())
}

fn consumers(queues: &Queues) -> Value {
    // One batch at a time, so that messages stay in order.
    let ours = json!({
        "consumer": POST,
        "maxBatchSize": BATCH,
        "maxBatchTimeout": 0,
        "maxConcurrency": 1,
        "maxRetries": MAX_RETRIES,
        "retryDelay": RETRY_DELAY,
    });
    let mut all = queues.consumers.clone();
    all.extend(queues.foreign.iter().map(|queue| (queue.clone(), ours.clone())));
    Value::Object(all)
}

fn post(queues: &Queues, debug_face: &Path, mut worker: worker::Builder<'_>) -> capnp::Result<()> {
    let mut module = worker.reborrow().init_modules(1).get(0);
    module.set_name("post.js");
    module.set_es_module(POST_TEXT);
    worker.set_compatibility_date(OWN_DATE);
    set_flags(&[EXTRA_HANDLERS.to_owned()], worker.reborrow())?;
    let mut bindings = Slots::new(worker.init_bindings(size(2 + queues.foreign.len())?));
    named(&mut bindings, "PORT")?.set_workerd_debug_port(());
    named(&mut bindings, "ADDRESS")?.set_text(address(debug_face));
    for queue in &queues.foreign {
        let mut way = named(&mut bindings, &format!("to {queue}"))?.init_queue();
        way.set_name(POST);
        way.init_props().set_json(json!({ "queue": queue }).to_string());
    }
    Ok(())
}

fn post_box(broker: &str, queue: &str, mut worker: worker::Builder<'_>) -> capnp::Result<()> {
    let mut module = worker.reborrow().init_modules(1).get(0);
    module.set_name("post-box.js");
    module.set_es_module(POST_BOX);
    worker.set_compatibility_date(OWN_DATE);
    let mut bindings = Slots::new(worker.init_bindings(1));
    let mut behind = named(&mut bindings, "BROKER")?.init_service();
    behind.set_name(broker);
    behind.init_props().set_json(json!({ "queue": queue }).to_string());
    Ok(())
}
