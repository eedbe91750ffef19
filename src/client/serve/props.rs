use serde_json::{Map, Value};

use crate::schema::frankenvalue_capnp::frankenvalue;

/// How deep props may be nested: each level is a struct of its own.
const DEPTH: usize = 32;

/// Props as JSON. Those that JSON cannot say are an error.
pub(super) fn read(from: frankenvalue::Reader) -> capnp::Result<Value> {
    read_to(from, DEPTH)
}

fn read_to(from: frankenvalue::Reader, depth: usize) -> capnp::Result<Value> {
    let error = |text: &str| capnp::Error::failed(text.into());
    let depth = depth.checked_sub(1).ok_or_else(|| error("the props are nested too deep"))?;
    let mut value = match from.which()? {
        frankenvalue::EmptyObject(()) => Value::Object(Map::new()),
        frankenvalue::Json(text) => serde_json::from_slice(text?.as_bytes())
            .map_err(|error| capnp::Error::failed(format!("the props are not JSON: {error}")))?,
        _ => return Err(error("the props are no JSON")),
    };
    for property in from.get_properties()? {
        let name = property.get_name()?.to_string()?;
        let content = read_to(property, depth)?;
        match &mut value {
            Value::Object(value) => value.insert(name, content),
            _ => return Err(error("props with properties that are no object")),
        };
    }
    Ok(value)
}
