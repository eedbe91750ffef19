//! Values whose bytes are known.

use std::sync::Arc;

use jackfield::wire::v8::{External, ExternalKind, JsValue, deserialize, serialize};

/// The value that this is the form of; it is written as it was read.
fn both_ways(hex: &str) -> JsValue {
    let bytes = hex::decode(hex.replace(' ', "")).unwrap();
    let value = deserialize(&bytes, Vec::new()).unwrap();
    assert_eq!(hex::encode(serialize(&value).unwrap().bytes), hex::encode(&bytes));
    value
}

#[test]
fn primitives_arrays_and_objects() {
    assert_eq!(both_ways("ff0f 49 06"), JsValue::from(3));
    assert_eq!(both_ways("ff0f 22 02 6869"), JsValue::from("hi"));
    assert_eq!(both_ways("ff0f 63 02 604f"), JsValue::from("你"));
    assert_eq!(both_ways("ff0f 6f 2201 61 4902 7b01"), JsValue::object([("a", 1)]));
    assert_eq!(both_ways("ff0f 41 02 4902 4904 24 0002"), JsValue::array([1, 2]));
    let holey = both_ways("ff0f 61 03 4900 4902 4904 4906 40 0203");
    assert_eq!((holey.at(0), holey.at(1), holey.at(2)), (Some(1.into()), None, Some(3.into())));
}

#[test]
fn what_was_one_object_stays_one() {
    let shared = JsValue::object([("a", 1)]);
    let twice = JsValue::array([shared.clone(), shared.clone()]);
    let apart = JsValue::array([shared, JsValue::object([("a", 1)])]);
    assert_ne!(twice, apart);
    let bytes = serialize(&twice).unwrap().bytes;
    assert_eq!(hex::encode(&bytes), "ff0f41026f22016149027b015e01240002");
    assert_eq!(deserialize(&bytes, Vec::new()).unwrap(), twice);
}

#[test]
fn an_object_may_contain_itself() {
    let cycle = both_ways("ff0f 6f 2204 73656c66 5e00 7b01");
    let around = cycle.get("self").and_then(|value| value.get("self"));
    assert_eq!(around, Some(cycle));
}

#[test]
fn stubs_travel_beside_the_value() {
    let stub = External::new(ExternalKind::Stub, Arc::new(7_u8));
    let value = JsValue::object([("callback", JsValue::from(stub.clone())), ("n", 1.into())]);
    let encoded = serialize(&value).unwrap();
    assert_eq!(encoded.externals, std::slice::from_ref(&stub));
    assert_eq!(deserialize(&encoded.bytes, encoded.externals).unwrap(), value);
    let back = value.get("callback").and_then(|stub| stub.as_external()?.downcast::<u8>());
    assert_eq!(back.as_deref(), Some(&7));
    let refused = deserialize(&encoded.bytes, Vec::new()).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the value cannot be read at byte 14: it refers to RpcStub here, and nothing came beside it in this place"
    );
}

#[test]
fn values_go_between_threads() {
    fn goes<T: Send + Sync + 'static>(_: &T) {}
    goes(&JsValue::UNDEFINED);
}

#[test]
fn what_is_printed_cannot_command_a_terminal() {
    let stack = JsValue::object([("stack", "Error: \x1b[2J\n    at \u{9b}2J")]);
    let error = JsValue::error_with("Error", "\x1b[2J", stack).unwrap();
    let values = [
        error,
        JsValue::from("\x1b"),
        JsValue::object([("\x1b", "\r")]),
        JsValue::reg_exp("\x1b", "").unwrap(),
    ];
    for value in values {
        let printed = format!("{value:?}");
        assert!(printed.chars().all(|character| character == '\n' || !character.is_control()), "{printed:?}");
    }
}
