//! Bytes as a value, and values of any shape: what was read is written, read again, and the same; so with its text.
//! Whatever else can be done with a value does not panic.

use std::sync::Arc;

use jackfield::wire::v8::{
    ArrayBuffer, BigInt, Blob, Builder, DomException, Element, External, ExternalKind, Guard, Headers,
    JsValue, Limits, Options, Place, deserialize_within, from_text, from_value, serialize, to_text,
};

use super::script::Script;

/// What a value that was read may take.
const LIMITS: Limits = Limits { bytes: 1 << 20, depth: 1000, memory: 16 << 20 };

/// Values that a real V8 wrote.
const RECORDED: [&str; 2] =
    [include_str!("../../tests/it/golden/node.jsonl"), include_str!("../../tests/it/golden/workerd.jsonl")];

pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.pick(4) {
        0 => check_written(&any_value(&mut script)),
        1 => check_bytes(&damaged(&mut script), 3),
        _ => {
            let externals = script.pick(3);
            check_bytes(script.take(usize::MAX), externals);
        }
    }
}

fn externals(count: usize) -> Vec<External> {
    let kinds = [ExternalKind::Stub, ExternalKind::ReadableStream, ExternalKind::WritableStream];
    kinds.into_iter().cycle().take(count).map(|kind| External::new(kind, Arc::new(()))).collect()
}

/// Bytes of others.
pub fn check_bytes(bytes: &[u8], count: usize) {
    match deserialize_within(bytes, externals(count), LIMITS) {
        Ok(value) => check_written(&value),
        Err(error) => assert!(error.offset <= bytes.len(), "{error}"),
    }
}

/// A value, however it was made.
pub fn check_written(value: &JsValue) {
    let Ok(encoded) = serialize(value) else { return };
    let limits = Limits { depth: Limits::DEPTH, ..Limits::default() };
    let again = deserialize_within(&encoded.bytes, encoded.externals.clone(), limits)
        .unwrap_or_else(|error| panic!("{error} in {:x?} of {value:?}", encoded.bytes));
    assert_eq!(&again, value);
    assert_eq!(serialize(&again).unwrap(), encoded, "{value:?}");
    if let Ok(text) = to_text(value) {
        let back = from_text(&text, &encoded.externals).unwrap_or_else(|error| panic!("{error} in {text}"));
        assert_eq!(to_text(&back).unwrap(), text);
    }
    let all = Options { depth: Some(20), colors: true, ..Options::default() };
    let _ = (value.as_ref().inspect(&all), from_value::<serde_json::Value>(value));
    let wrapped = JsValue::array([value.clone(), JsValue::from(1), value.clone()]);
    assert_eq!(wrapped.at(0).as_ref(), Some(value));
}

/// Bytes of a real V8, with some of them changed.
fn damaged(script: &mut Script<'_>) -> Vec<u8> {
    let lines = RECORDED[script.pick(2)].lines();
    let line = lines.clone().nth(script.pick(256) % lines.count()).unwrap_or_default();
    let hex = line.split("\"hex\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let mut bytes = hex::decode(hex).unwrap_or_default();
    while !script.is_over() && !bytes.is_empty() {
        let place = script.word() as usize % bytes.len();
        match script.pick(3) {
            0 => bytes[place] = script.byte(),
            1 => bytes.insert(place, script.byte()),
            _ => drop(bytes.remove(place)),
        }
    }
    bytes
}

/// A value of any shape: objects that are put into each other in any way.
pub fn any_value(script: &mut Script<'_>) -> JsValue {
    let mut builder = Builder::new();
    let mut places = vec![builder.object()];
    while !script.is_over() {
        match script.pick(16) {
            0..6 => places.push(leaf(&mut builder, script)),
            6 => places.push(builder.object()),
            7 => places.push(builder.array()),
            8 => places.push(builder.map()),
            9 => places.push(builder.set_of_values()),
            10 => {
                let properties = builder.object();
                let name = ["Error", "TypeError", "Own"][script.pick(3)];
                // Within itself an error cannot be read again: it gets primitives.
                let code = builder.value(f64::from(script.byte()));
                builder.set(properties, ["stack", "code", "cause"][script.pick(3)], code);
                places.extend(builder.error(name, "message", properties));
            }
            11 => {
                let buffer = places[script.pick(places.len())];
                let elements = [Element::Uint8, Element::Int16, Element::Float64, Element::DataView];
                let element = elements[script.pick(4)];
                let length = [None, Some(0), Some(8)][script.pick(3)];
                places.extend(builder.typed(element, buffer, script.pick(9), length));
            }
            _ => connect(&mut builder, &places, script),
        }
    }
    let root = places[script.pick(places.len())];
    builder.finish(root)
}

/// Puts an object into another.
fn connect(builder: &mut Builder, places: &[Place], script: &mut Script<'_>) {
    let mut any = || places[script.word() as usize % places.len()];
    let (object, value, other) = (any(), any(), any());
    match script.pick(4) {
        0 => builder.push(object, value),
        1 => builder.entry(object, value, other),
        2 => builder.lengthen(object, script.word() as u32 >> script.pick(32)),
        _ => match script.pick(4) {
            0 => builder.set(object, &script.pick(99).to_string(), value),
            1 => builder.set(object, &(script.word() as u32).to_string(), value),
            2 => builder.set(object, ["a", "b", "", "你", "it's"][script.pick(5)], value),
            _ => builder.set_key(
                object,
                jackfield::wire::v8::Key::Name(jackfield::wire::v8::JsStr::Wide(&[0xdc00])),
                value,
            ),
        },
    }
}

fn leaf(builder: &mut Builder, script: &mut Script<'_>) -> Place {
    let value = match script.pick(16) {
        0 => JsValue::UNDEFINED,
        1 => JsValue::NULL,
        2 => JsValue::from(script.pick(2) == 0),
        3 => JsValue::from(f64::from_bits(script.word())),
        4 => JsValue::from(script.word() as i32 >> script.pick(32)),
        5 => {
            let digits = (0..script.pick(4)).map(|_| script.word()).collect();
            JsValue::from(BigInt::from_digits(script.pick(2) == 0, digits))
        }
        6 => JsValue::from(String::from_utf8_lossy(script.take(5)).into_owned()),
        7 => {
            let units: Vec<u16> =
                (0..script.pick(4)).map(|_| 0xd700 + u16::from(script.byte()) * 10).collect();
            JsValue::from_utf16(&units)
        }
        8 => JsValue::date(f64::from_bits(script.word())),
        9 => JsValue::reg_exp("a/b", ["", "gi", "dsy"][script.pick(3)]).unwrap_or_default(),
        10 => JsValue::boxed(script.word() as f64).unwrap_or_default(),
        11 => {
            let bytes = script.take(9).to_vec();
            let max_len = [None, Some(16)][script.pick(2)];
            JsValue::from(ArrayBuffer { bytes: bytes.into(), max_len })
        }
        12 => {
            let mut headers = Headers::new([Guard::None, Guard::Request][script.pick(2)]);
            headers.append(["accept", "x-own"][script.pick(2)], script.take(3));
            JsValue::from(headers)
        }
        13 => JsValue::from(DomException::new("AbortError", "m")),
        14 => JsValue::from(Blob { mime: "a/b".into(), bytes: script.take(3).to_vec().into() }),
        _ => JsValue::from(externals(3).swap_remove(script.pick(3))),
    };
    builder.value(value)
}
