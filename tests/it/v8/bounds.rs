//! Bytes that are no value, and values that would be too much.

use std::sync::Arc;

use jackfield::wire::v8::{
    ArrayBuffer, Builder, EncodeError, External, ExternalKind, Fault, JsValue, Limits, Options, View,
    deserialize, deserialize_within, from_text, serialize, serialize_within, to_text,
};

use super::recorded;

fn fault(bytes: &[u8]) -> Fault {
    deserialize(bytes, Vec::new()).unwrap_err().fault
}

/// What is said of these bytes, after what is always said.
fn refused(hex: &str) -> String {
    let bytes = hex::decode(hex.replace(' ', "")).unwrap();
    let error = deserialize(&bytes, Vec::new()).unwrap_err();
    assert!(error.offset <= bytes.len());
    error.to_string().strip_prefix("the value cannot be read at byte ").unwrap().to_owned()
}

#[test]
fn what_is_no_value_is_refused_with_its_place() {
    for (hex, said) in [
        ("", "0: it does not begin with a version (ff 0d to ff 10): these are no V8 bytes"),
        ("4902", "0: it does not begin with a version (ff 0d to ff 10): these are no V8 bytes"),
        ("ff0c5f", "1: version 12 is not known; versions 13 to 16 are read"),
        ("ff115f", "1: version 17 is not known; versions 13 to 16 are read"),
        ("ff0f", "2: it ends in the middle"),
        ("ff0f 2a", "2: 0x2a is not known as the beginning of a value"),
        ("ff0f 41 02 5f 7b 24 00 02", "5: 0x7b is not known as the beginning of a value"),
        (
            "ff0f 5c 09",
            "3: an AbortSignal (host object 9) is not read here, and how long it is cannot be told",
        ),
        ("ff0f 5c 63", "3: host object 99 is not read here, and how long it is cannot be told"),
        (
            "ff0f 74 00",
            "2: a transferred ArrayBuffer refers to memory of another process and cannot be read here",
        ),
        ("ff0f 5f 5f", "3: 1 bytes come after its end"),
        ("ff0f 5e 00", "3: it refers to object 0, and 0 come before it"),
        ("ff0f 41 01 5e 01 24 00 01", "5: it refers to object 1, and 1 come before it"),
        ("ff0f 6f 22 01 61 5f 7b 02", "8: it says 2 properties, and has 1"),
        ("ff0f 41 01 5f 24 00 02", "7: it says 2 elements, and has 1"),
        ("ff0f 3b 5f 3a 02", "4: 0x3a is not known as the beginning of a value"),
        ("ff0f 3b 5f 5f 3a 01", "6: it says 1 values, and has 2"),
        ("ff0f 6f 2201 61 5f 2201 61 5f 7b02", "13: an object that ends here has the same key twice"),
        ("ff0f 6f 4902 5f 2201 31 5f 7b02", "12: an object that ends here has the same key twice"),
        ("ff0f 6f 5f 5f 7b 01", "3: a key, which is a string or a number, must come here"),
        ("ff0f 61 01 4902 5f 40 0101", "4: an index below the array's length must come here"),
        ("ff0f 41 00 4900 5f 24 0100", "4: a key that is no index must come here"),
        ("ff0f 49 ffffffffff01", "3: a number of 32 bits is too large"),
        ("ff0f 63 03 616161", "4: an even number of bytes must come here"),
        ("ff0f 42 05 01", "4: it ends in the middle"),
        ("ff0f 7e 02 01 0000", "3: a buffer no longer than its own limit must come here"),
        ("ff0f 42 02 0000 56 57 00 04 00", "7: a view within its buffer must come here"),
        ("ff0f 42 03 000000 56 57 01 02 00", "8: a view of whole elements must come here"),
        ("ff0f 42 02 0000 56 21 00 02 00", "7: the class of a view must come here"),
        ("ff0f 42 02 0000 56 57 00 02 01", "7: flags of a view that agree with its buffer must come here"),
        ("ff0f 52 2201 78 50", "6: flags of a regular expression must come here"),
        ("ff0f 72 6d 5f", "4: a string must come here"),
        ("ff0f 72 78", "3: a part of an error, or its end, must come here"),
        ("ff0f 5c 0a 0e", "4: the number of an error class must come here"),
        ("ff0f 5c 0a 01 2200 5f", "8: an object with an error's properties must come here"),
        (
            "ff0f 5c 0a 01 2200 6f 2201 61 5e 00 7b 01",
            "12: it refers to object 0 from within it, which no worker can read",
        ),
        ("ff0f 5c 04 04", "4: the guard of headers must come here"),
        ("ff0f 5c 04 00 01 30", "6: the number of a header must come here"),
        ("ff0f 5c 08 01 ff", "5: text in UTF-8 must come here"),
        ("ff0f 5c 01", "3: it refers to RpcStub here, and nothing came beside it in this place"),
    ] {
        assert_eq!(refused(hex), said, "{hex}");
    }
}

#[test]
fn stubs_that_do_not_fit_are_refused() {
    let stream = External::new(ExternalKind::ReadableStream, Arc::new(()));
    let wrong = deserialize(&[0xff, 0x0f, 0x5c, 1], vec![stream.clone()]).unwrap_err();
    assert_eq!(wrong.fault, Fault::External { said: "RpcStub", found: "ReadableStream" });
    let unused = deserialize(&[0xff, 0x0f, 0x5f], vec![stream]).unwrap_err();
    assert_eq!(unused.fault, Fault::UnusedExternals(1));
}

#[test]
fn whatever_ends_too_early_is_refused() {
    for one in recorded::node().into_iter().chain(recorded::workerd()) {
        for length in 0..one.bytes.len() {
            match deserialize(&one.bytes[..length], one.externals.clone()) {
                Err(error) => assert!(error.offset <= length, "{}: {error}", one.name),
                // A view without the view.
                Ok(value) => assert!(matches!(value.view(), View::ArrayBuffer(_)), "{}: {value:?}", one.name),
            }
        }
    }
}

/// `prefix` so many times, then `end`.
fn repeated(prefix: &[u8], count: usize, end: &[u8]) -> Vec<u8> {
    [&[0xff, 0x0f][..], &prefix.repeat(count), end].concat()
}

#[test]
fn depth_is_bounded() {
    let deep = |levels: usize| [repeated(&[b'A', 1], levels, b"_"), [b'$', 0, 1].repeat(levels)].concat();
    assert_eq!(fault(&deep(Limits::DEPTH + 1)), Fault::TooDeep { limit: Limits::DEPTH });
    assert_eq!(fault(&repeated(&[b'A', 1], 1 << 20, b"_")), Fault::TooDeep { limit: Limits::DEPTH });
    // As deep as can be, on the stack of a test.
    let bytes = deep(Limits::DEPTH);
    let value = deserialize(&bytes, Vec::new()).unwrap();
    assert_eq!(serialize(&value).unwrap().bytes, bytes);
    assert_eq!(value, deserialize(&bytes, Vec::new()).unwrap());
    assert!(to_text(&value).is_err());
    let all = Options { depth: None, ..Options::default() };
    assert!(value.as_ref().inspect(&all).contains("[Array]"));
    let wrapped = (0..10).fold(value, |value, _| JsValue::array([value]));
    assert_eq!(serialize(&wrapped), Err(EncodeError::TooDeep { limit: Limits::DEPTH }));
    // Nothing of it is nested, since it ends nowhere.
    assert_eq!(fault(&repeated(b"?\0", 1 << 20, b"")), Fault::Truncated);
}

#[test]
fn length_is_bounded() {
    let limits = Limits { bytes: 100, ..Limits::default() };
    let text = JsValue::from("x".repeat(100));
    assert_eq!(serialize_within(&text, limits), Err(EncodeError::TooLong { limit: 100 }));
    let buffer = JsValue::from(ArrayBuffer { bytes: vec![0; 100].into(), max_len: None });
    assert_eq!(serialize_within(&buffer, limits), Err(EncodeError::TooLong { limit: 100 }));
    let numbers = JsValue::array(vec![1.5; 12]);
    assert_eq!(serialize_within(&numbers, limits), Err(EncodeError::TooLong { limit: 100 }));
    let error = deserialize_within(&[0; 101], Vec::new(), limits).unwrap_err();
    assert_eq!(error.fault, Fault::TooLong { len: 101, limit: 100 });
}

#[test]
fn what_only_says_that_it_is_long_takes_nothing() {
    // Four thousand million elements, none of which is there.
    assert_eq!(fault(&[0xff, 0x0f, b'A', 0xff, 0xff, 0xff, 0xff, 0x0f]), Fault::Truncated);
    assert_eq!(fault(&[0xff, 0x0f, b'"', 0xff, 0xff, 0xff, 0xff, 0x0f]), Fault::Truncated);
    assert_eq!(fault(&[0xff, 0x0f, b'Z', 0xff, 0xff, 0xff, 0xff, 0x0f]), Fault::Truncated);
    assert_eq!(fault(&[0xff, 0x0f, b'\\', 4, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]), Fault::Truncated);
    let empty = [0xff, 0x0f, b'a', 0xff, 0xff, 0xff, 0xff, 0x0f, b'@', 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let value = deserialize(&empty, Vec::new()).unwrap();
    assert_eq!(format!("{value:?}"), "[ <4294967295 empty items> ]");
    assert_eq!(serialize(&value).unwrap().bytes, empty);
    let text = to_text(&value).unwrap();
    assert_eq!(text.to_string(), r#"["array",4294967295,{}]"#);
    assert_eq!(from_text(&text, &[]).unwrap(), value);
}

#[test]
fn memory_is_bounded() {
    let limits = Limits { memory: 1 << 20, ..Limits::default() };
    let many = |one: &[u8], count: u32| {
        let mut bytes = vec![0xff, 0x0f, b'\''];
        bytes.extend(one.repeat(count as usize));
        bytes.push(b',');
        let mut left = count;
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes
    };
    let tiny: [&[u8]; 8] = [b"_", b"y", b"\"\0", b"Z\0", b"o{\0", b"B\0", b"r.", b"\\\x04\0\0"];
    for one in tiny {
        assert!(deserialize_within(&many(one, 1000), Vec::new(), limits).is_ok(), "{one:x?}");
        let error = deserialize_within(&many(one, 1 << 20), Vec::new(), limits).unwrap_err();
        assert_eq!(error.fault, Fault::TooMuchMemory { limit: 1 << 20 }, "{one:x?}");
    }
}

/// Many levels of two references to the one below: as many objects as there are levels, and as many paths as there
/// are stars.
#[test]
fn what_is_shared_is_not_multiplied() {
    let mut builder = Builder::new();
    let mut inner = builder.object();
    for _ in 0..200 {
        let outer = builder.array();
        builder.push(outer, inner);
        builder.push(outer, inner);
        inner = outer;
    }
    let value = builder.finish(inner);
    let bytes = serialize(&value).unwrap().bytes;
    assert!(bytes.len() < 3000);
    let read = deserialize(&bytes, Vec::new()).unwrap();
    assert_eq!(read, value);
    let text = to_text(&value).unwrap();
    assert_eq!(from_text(&text, &[]).unwrap(), value);
    let printed = read.as_ref().inspect(&Options { depth: None, ..Options::default() });
    assert!(printed.len() < 200 << 20);
    let twice = JsValue::array([value.clone(), value]);
    assert!(serialize(&twice).unwrap().bytes.len() < 3000);
}

#[test]
fn wrapping_costs_what_the_wrapper_has() {
    let mut value = JsValue::array((0..10_000).map(|n| n.to_string()));
    for _ in 0..10_000 {
        value = JsValue::object([("next", value)]);
    }
    assert!(value.get("next").is_some());
}

#[test]
fn other_versions_are_read() {
    // A view has no flags in version 13, and by a mistake it sometimes has.
    let view = |version: u8, end: &[u8]| {
        let bytes = [&[0xff, version, b'B', 2, 7, 8, b'V', b'B', 0, 2][..], end].concat();
        deserialize(&bytes, Vec::new()).unwrap()
    };
    let expected = JsValue::bytes(vec![7, 8]);
    assert_eq!(view(13, &[]), expected);
    assert_eq!(view(13, &[0]), expected);
    assert_eq!(view(14, &[0]), expected);
    assert_eq!(view(16, &[0]), expected);
    let resizable =
        |version: u8| deserialize(&[0xff, version, b'~', 1, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 7], Vec::new());
    assert!(resizable(16).is_ok());
    assert_eq!(resizable(15).unwrap_err().fault, Fault::TooLarge("number of 32 bits"));
    // Old strings, and a count that says nothing.
    let old = deserialize(&[0xff, 0x0d, b'?', 9, 0, 0, b'S', 2, 0xc3, 0xa9], Vec::new()).unwrap();
    assert_eq!(old.as_str(), Some("é"));
}
