//! Rust types as values, and values as Rust types.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use jackfield::wire::v8::{
    BigInt, Buffer, Builder, ConvertError, Date, Element, External, ExternalKind, JsMap, JsSet, JsValue,
    Undefined, from_value, to_value,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

fn both_ways<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    rust: T,
    value: impl Into<JsValue>,
) {
    let value = value.into();
    assert_eq!(to_value(&rust).unwrap(), value);
    assert_eq!(from_value::<T>(&value).unwrap(), rust);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: Option<i32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Circle(f64),
    Line(i32, i32),
    Box { width: u8, height: u8 },
}

#[test]
fn what_json_has() {
    both_ways(true, true);
    both_ways(3_u64, 3);
    both_ways(-7_i64, -7);
    both_ways((1_i64 << 53) - 1, 9007199254740991.0);
    both_ways(1.5, 1.5);
    both_ways(String::from("x"), "x");
    both_ways('x', "x");
    both_ways((), ());
    both_ways(None::<u8>, JsValue::NULL);
    both_ways(Some(1), 1);
    both_ways(vec![1, 2], [1, 2]);
    both_ways((1, String::from("a")), JsValue::array([JsValue::from(1), "a".into()]));
    both_ways(Point { x: 1.0, y: None }, JsValue::object([("x", JsValue::from(1)), ("y", JsValue::NULL)]));
    both_ways(BTreeMap::from([(1, 2), (10, 3)]), JsValue::object([("1", 2), ("10", 3)]));
    both_ways(HashMap::from([(true, 1)]), JsValue::object([("true", 1)]));
    both_ways(Shape::Nothing, "Nothing");
    both_ways(Shape::Circle(1.5), JsValue::object([("Circle", 1.5)]));
    both_ways(Shape::Line(1, 2), JsValue::object([("Line", JsValue::array([1, 2]))]));
    let contents = JsValue::object([("width", 1), ("height", 2)]);
    both_ways(Shape::Box { width: 1, height: 2 }, JsValue::object([("Box", contents)]));
}

#[test]
fn what_json_lacks() {
    both_ways(u64::MAX, BigInt::from(u64::MAX));
    both_ways(i64::MIN, BigInt::from(i64::MIN));
    both_ways(u128::MAX, BigInt::from(u128::MAX));
    both_ways(i128::MIN, BigInt::from(i128::MIN));
    both_ways(BigInt::from(7_u64), BigInt::from(7_u64));
    both_ways(Undefined, JsValue::UNDEFINED);
    both_ways(Date(5.0), JsValue::date(5.0));
    both_ways(Buffer(Bytes::from_static(b"abc")), {
        jackfield::wire::v8::ArrayBuffer { bytes: Bytes::from_static(b"abc"), max_len: None }
    });
    both_ways(JsMap(vec![(Date(1.0), 2)]), JsValue::map([(JsValue::date(1.0), 2)]));
    both_ways(JsMap(BTreeMap::from([(1, Undefined)])), JsValue::map([(1, JsValue::UNDEFINED)]));
    both_ways(JsSet(BTreeSet::from([1, 2])), JsValue::set([1, 2]));
    let error = JsValue::error("TypeError", "m");
    both_ways(vec![(error.clone(), 1)], [JsValue::array([error, 1.into()])]);
}

#[test]
fn values_pass_as_they_are() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        id: u32,
        callback: JsValue,
        rest: HashMap<String, JsValue>,
    }
    let stub = JsValue::from(External::new(ExternalKind::Stub, Arc::new(())));
    let mut builder = Builder::new();
    let array = builder.array();
    builder.push(array, array);
    let cycle = builder.finish(array);
    let rest = HashMap::from([("cycle".to_owned(), cycle), ("none".to_owned(), JsValue::UNDEFINED)]);
    let order = Order { id: 1, callback: stub, rest };
    let value = to_value(&order).unwrap();
    assert_eq!(value.get("rest").unwrap().get("cycle"), order.rest.get("cycle").cloned());
    assert_eq!(from_value::<Order>(&value).unwrap(), order);
}

#[test]
fn other_formats_see_the_textual_form() {
    let value = JsValue::array([JsValue::date(0.0), JsValue::UNDEFINED]);
    let json = serde_json::to_string(&Some(&value)).unwrap();
    assert_eq!(json, r#"[[["date",0],["undefined"]]]"#);
    assert_eq!(serde_json::from_str::<JsValue>(&json).unwrap(), value);
    let refused = serde_json::from_str::<JsValue>("[1]").unwrap_err().to_string();
    assert!(refused.contains("[[1,2]]"), "{refused}");
}

#[test]
fn more_is_read_than_is_written() {
    let floats = JsValue::typed(Element::Float32, &buffer(&1.5_f32.to_le_bytes()), 0, None).unwrap();
    assert_eq!(from_value::<Vec<f64>>(&floats).unwrap(), [1.5]);
    assert_eq!(from_value::<Vec<u8>>(&JsValue::bytes(&b"ab"[..])).unwrap(), b"ab");
    assert_eq!(from_value::<(Option<u8>, ())>(&JsValue::array([(), ()])).unwrap(), (None, ()));
    assert_eq!(from_value::<u8>(&JsValue::boxed(7).unwrap()).unwrap(), 7);
    assert_eq!(from_value::<f64>(&JsValue::date(7.0)).unwrap(), 7.0);
    assert_eq!(
        from_value::<BTreeMap<String, u8>>(&JsValue::map([("a", 1)])).unwrap(),
        BTreeMap::from([("a".into(), 1)])
    );
    #[derive(Debug, PartialEq, Deserialize)]
    struct Failure {
        name: String,
        message: String,
        code: u8,
    }
    let error = JsValue::error_with("RangeError", "m", JsValue::object([("code", 7)])).unwrap();
    let failure = Failure { name: "RangeError".into(), message: "m".into(), code: 7 };
    assert_eq!(from_value::<Failure>(&error).unwrap(), failure);
}

fn buffer(bytes: &[u8]) -> JsValue {
    jackfield::wire::v8::ArrayBuffer { bytes: Bytes::copy_from_slice(bytes), max_len: None }.into()
}

fn refused<T: DeserializeOwned + std::fmt::Debug>(value: &JsValue) -> String {
    from_value::<T>(value).unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_refused() {
    let nested = JsValue::object([("a", JsValue::array([JsValue::object([("x", "text")])]))]);
    assert_eq!(
        refused::<HashMap<String, Vec<Point>>>(&nested),
        "at a.x: invalid type: string \"text\", expected f64"
    );
    assert_eq!(refused::<u8>(&300.into()), "invalid value: integer `300`, expected u8");
    assert_eq!(
        refused::<String>(&JsValue::reg_exp("x", "").unwrap()),
        "invalid type: /x/, expected a string"
    );
    assert_eq!(refused::<Date>(&1.into()), "a Date is expected, and 1 was found");
    let wide: Result<String, ConvertError> = from_value(&JsValue::from_utf16(&[0xd83d]));
    assert!(wide.unwrap_err().to_string().contains("is no text"));
    let keyed = to_value(&HashMap::from([(vec![1], 2)])).unwrap_err().to_string();
    assert_eq!(keyed, "[ 1 ] cannot be the key of an object; a map with such keys is a JsMap");
}

#[test]
fn what_does_not_end_is_refused() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Endless {
        next: Option<Box<Endless>>,
    }
    let mut builder = Builder::new();
    let object = builder.object();
    builder.set(object, "next", object);
    assert!(refused::<Endless>(&builder.finish(object)).contains("contains itself"));

    // Sixty levels of two references to the same object are 2^60 objects.
    let mut builder = Builder::new();
    let mut inner = builder.array();
    for _ in 0..60 {
        let outer = builder.array();
        builder.push(outer, inner);
        builder.push(outer, inner);
        inner = outer;
    }
    let many = builder.finish(inner);
    assert!(refused::<serde_json::Value>(&many).contains("so often"));

    let mut builder = Builder::new();
    let array = builder.array();
    builder.lengthen(array, u32::MAX);
    assert!(refused::<Vec<()>>(&builder.finish(array)).contains("too many holes"));
}
