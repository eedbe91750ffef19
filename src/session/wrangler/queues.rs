//! `queues`, for workerd's compiler.

use serde_json::Value as Json;

use super::text::Value;
use super::worker::Reading;

/// Of a producer of a queue: how long its messages wait before they are delivered.
const DELAY: &str = "delivery_delay";

impl Reading<'_> {
    /// Without what the compiler does not know, and what nothing here can do.
    pub(super) fn queues(&mut self, value: &Value) -> Json {
        let producers = value.get("producers").map(Value::items).unwrap_or_default().iter();
        for field in producers.flat_map(Value::fields).filter(|field| field.name == DELAY) {
            let what = format!("`{DELAY}` has no effect here");
            self.warnings.add(field.at..field.at, what, "messages are delivered as if it were 0");
        }
        let mut queues = value.to_json();
        let producers = queues.get_mut("producers").and_then(Json::as_array_mut);
        for producer in producers.into_iter().flatten().filter_map(Json::as_object_mut) {
            producer.remove(DELAY);
        }
        queues
    }
}
