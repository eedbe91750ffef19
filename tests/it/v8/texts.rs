//! The textual form.

use std::sync::Arc;

use jackfield::wire::v8::{
    ArrayBuffer, BigInt, Blob, Builder, DomException, Element, External, ExternalKind, Guard, Headers,
    JsValue, from_loose_text, from_text, to_text,
};
use serde_json::{Value, json};

use super::recorded;

/// This text means this value, and this value is said so.
fn says(text: Value, value: impl Into<JsValue>) {
    let value = value.into();
    assert_eq!(to_text(&value).unwrap(), text, "{value:?}");
    assert_eq!(from_text(&text, &[]).unwrap_or_else(|error| panic!("{text}: {error}")), value);
}

fn array(elements: impl IntoIterator<Item = JsValue>) -> JsValue {
    JsValue::array(elements)
}

#[test]
fn what_capn_web_says() {
    says(json!(null), JsValue::NULL);
    says(json!(true), true);
    says(json!(3), 3);
    says(json!(-1.5), -1.5);
    says(json!(1e21), 1e21);
    says(json!("text"), "text");
    says(
        json!({ "a": 1, "b": {} }),
        JsValue::object([("a", 1.into()), ("b", JsValue::object::<&str, u8>([]))]),
    );
    says(json!([[1, "a", [[]]]]), array([1.into(), "a".into(), array([])]));
    says(json!(["undefined"]), ());
    says(json!(["nan"]), f64::NAN);
    says(json!(["inf"]), f64::INFINITY);
    says(json!(["-inf"]), f64::NEG_INFINITY);
    says(json!(["bigint", "10"]), BigInt::from(10_u64));
    says(json!(["date", 0]), JsValue::date(0.0));
    says(json!(["date", null]), JsValue::date(f64::NAN));
    says(json!(["bytes", "AQI"]), JsValue::bytes(vec![1, 2]));
    says(json!(["error", "TypeError", "m"]), JsValue::error("TypeError", "m"));
    let stack = JsValue::object([("stack", "TypeError: m\n    at x")]);
    let error = JsValue::error_with("TypeError", "m", stack).unwrap();
    says(json!(["error", "TypeError", "m", "TypeError: m\n    at x"]), error);
    let properties = JsValue::object([("code", JsValue::from(7)), ("cause", JsValue::error("Error", "c"))]);
    let error = JsValue::error_with("MyError", "m", properties).unwrap();
    says(json!(["error", "MyError", "m", null, { "code": 7, "cause": ["error", "Error", "c"] }]), error);
    let mut headers = Headers::new(Guard::None);
    headers.append("content-type", "text/plain");
    headers.append("x-own", "1");
    says(json!(["headers", [["content-type", "text/plain"], ["x-own", "1"]]]), headers.clone());
    let cf = JsValue::object([("list", JsValue::array([1]))]);
    let init = [("method", "POST".into()), ("headers", headers.into()), ("body", "text".into()), ("cf", cf)];
    says(
        json!(["request", "https://a/", {
            "method": "POST", "headers": [["content-type", "text/plain"], ["x-own", "1"]], "body": "text", "cf": { "list": [1] },
        }]),
        JsValue::request("https://a/", JsValue::object(init)),
    );
    let init = JsValue::object([("status", 201)]);
    says(
        json!(["response", ["bytes", "AQ"], { "status": 201 }]),
        JsValue::response(JsValue::bytes(vec![1]), init),
    );
}

#[test]
fn what_capn_web_does_not_say() {
    says(json!(-0.0), -0.0);
    says(json!(["map", [[1, [[2]]]]]), JsValue::map([(1, JsValue::array([2]))]));
    says(json!(["set", [1, ["undefined"]]]), JsValue::set([JsValue::from(1), JsValue::UNDEFINED]));
    says(json!(["regexp", "a\\/b", "gi"]), JsValue::reg_exp("a\\/b", "gi").unwrap());
    says(json!(["boxed", 1]), JsValue::boxed(1).unwrap());
    says(json!(["boxed", ["bigint", "-1"]]), JsValue::boxed(BigInt::from(-1_i64)).unwrap());
    let mut headers = Headers::new(Guard::Immutable);
    headers.append([b'x', 0xff], "1");
    says(json!(["headers", [[["bytes", "eP8"], "1"]], "immutable"]), headers);
    let buffer = ArrayBuffer { bytes: vec![1, 2, 3, 4].into(), max_len: None };
    says(json!(["buffer", "AQIDBA"]), buffer.clone());
    let view = JsValue::typed(Element::Int16, &buffer.clone().into(), 2, Some(2)).unwrap();
    says(json!(["view", "Int16Array", ["buffer", "AQIDBA"], 2, 2]), view);
    let resizable = JsValue::from(ArrayBuffer { max_len: Some(8), ..buffer });
    says(json!(["buffer", "AQIDBA", 8]), resizable.clone());
    let view = JsValue::typed(Element::DataView, &resizable, 1, None).unwrap();
    says(json!(["view", "DataView", ["buffer", "AQIDBA", 8], 1, null]), view);
    says(json!(["domexception", "AbortError", "m"]), DomException::new("AbortError", "m"));
    says(json!(["blob", "text/plain", "aGk"]), Blob { mime: "text/plain".into(), bytes: "hi".into() });
    says(json!(["string", [55357, 97]]), JsValue::from_utf16(&[0xd83d, 97]));
    let text = json!(["response", null, { "cf": { "a": 1 }, "$forms": { "at": ["date", 1] } }]);
    let init = JsValue::object([("cf", JsValue::object([("a", 1)])), ("at", JsValue::date(1.0))]);
    says(text, JsValue::response(JsValue::NULL, init));
}

#[test]
fn holes_and_what_is_far_away() {
    let mut builder = Builder::new();
    let (one, holey, far) = (builder.value(1), builder.array(), builder.array());
    builder.push(holey, one);
    builder.lengthen(holey, 2);
    builder.push(holey, one);
    builder.set(far, "8000", one);
    builder.set(far, "name", one);
    builder.lengthen(far, 9000);
    let both = builder.array();
    builder.push(both, holey);
    builder.push(both, far);
    let text = json!([[[[1, ["hole"], 1]], ["array", 9000, { "8000": 1, "name": 1 }]]]);
    says(text, builder.finish(both));
}

#[test]
fn what_is_shared_has_a_number() {
    let shared = JsValue::object([("a", 1)]);
    says(json!([[["def", 0, { "a": 1 }], ["ref", 0]]]), array([shared.clone(), shared]));
    let mut builder = Builder::new();
    let (object, map) = (builder.object(), builder.map());
    builder.set(object, "self", object);
    builder.set(object, "map", map);
    builder.entry(map, map, object);
    says(
        json!(["def", 0, { "self": ["ref", 0], "map": ["def", 1, ["map", [[["ref", 1], ["ref", 0]]]]] }]),
        builder.finish(object),
    );
    let bytes = JsValue::bytes(vec![1]);
    let response = JsValue::response(bytes.clone(), JsValue::object::<&str, u8>([]));
    assert_eq!(to_text(&response).unwrap(), json!(["response", ["bytes", "AQ"], {}]));
    let shared =
        json!([[["def", 0, { "a": 1 }], ["response", ["ref", 0], { "$forms": { "b": ["ref", 0] } }]]]);
    assert_eq!(to_text(&from_text(&shared, &[]).unwrap()).unwrap(), shared);
    // Two views of one buffer.
    let mut builder = Builder::new();
    let buffer = builder.value(ArrayBuffer { bytes: vec![1, 2].into(), max_len: None });
    let views =
        [builder.typed(Element::Uint8, buffer, 0, None), builder.typed(Element::Int8, buffer, 1, None)];
    let list = builder.array();
    views.into_iter().flatten().for_each(|view| builder.push(list, view));
    says(
        json!([[
            ["view", "Uint8Array", ["def", 0, ["buffer", "AQI"]], 0, 2],
            ["view", "Int8Array", ["ref", 0], 1, 1]
        ]]),
        builder.finish(list),
    );
}

#[test]
fn stubs_are_said_by_their_place() {
    let kinds = [ExternalKind::Stub, ExternalKind::ReadableStream, ExternalKind::WritableStream];
    let externals = kinds.map(|kind| External::new(kind, Arc::new(())));
    let value = array(externals.clone().map(JsValue::from));
    let text = to_text(&value).unwrap();
    assert_eq!(text, json!([[["export", 0], ["readable", 1], ["writable", 2]]]));
    assert_eq!(from_text(&text, &externals).unwrap(), value);
    assert!(from_text(&text, &[]).is_err());
}

/// Everything that was recorded, but what text does not tell apart.
#[test]
fn everything_that_was_recorded() {
    for one in recorded::workerd() {
        let value = one.value();
        let text = to_text(&value).unwrap().to_string();
        let back = from_text(&serde_json::from_str(&text).unwrap(), &one.externals).unwrap();
        let in_v8s_form = one.name.ends_with(", before");
        let with_undefined_init = one.name.starts_with("Request") || one.name.starts_with("Response");
        if in_v8s_form || with_undefined_init {
            assert_eq!(to_text(&back).unwrap().to_string(), text, "{}", one.name);
        } else {
            assert_eq!(back, value, "{}: {text}", one.name);
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let wrong = |text: Value| from_text(&text, &[]).unwrap_err().to_string();
    assert_eq!(
        wrong(json!({ "a": [[1, [2]]] })),
        "$.a[1]: an array that means an array stands in another one, as in [[1,2]]; and a form begins with its name, as in [\"date\",0]"
    );
    assert_eq!(
        wrong(json!([["a", "b"]].as_slice()[0].clone())),
        "$: [\"a\"] with 1 more is no form; the forms are those of Cap'n Web, such as [\"date\",0], and an array that begins with a string is [[\"a\"]]"
    );
    assert_eq!(wrong(json!(["ref", 3])), "$: no [\"def\",3,…] comes before this");
    assert_eq!(wrong(json!([[["bytes", "?"]]])), "$[0]: bytes are base64");
    assert!(wrong(json!(["bigint", "1.5"])).contains("no integer"));
    assert!(wrong(json!(["regexp", "x", "gg"])).contains("\"gg\""));
    assert!(wrong(json!(["view", "Int16Array", ["buffer", "AQID"], 0, 3])).contains("within its buffer"));
    assert!(wrong(json!(["hole"])).contains("among the elements"));
}

#[test]
fn people_may_write_arrays_as_in_json() {
    let loose = |text: Value| from_loose_text(&text, &[]).unwrap();
    assert_eq!(loose(json!([1, 2])), JsValue::array([1, 2]));
    assert_eq!(loose(json!([])), array([]));
    assert_eq!(loose(json!(["a", ["b", "c"]])), array(["a".into(), JsValue::array(["b", "c"])]));
    assert_eq!(loose(json!([[1, 2]])), JsValue::array([1, 2]));
    assert_eq!(loose(json!([["date", 0], 1])), array([JsValue::date(0.0), 1.into()]));
    assert_eq!(
        loose(json!({ "a": [1, ["undefined"]] })),
        JsValue::object([("a", array([1.into(), ().into()]))])
    );
    assert!(from_loose_text(&json!(["bigint", "x"]), &[]).is_err());
}
