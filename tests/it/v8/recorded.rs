//! What real V8s wrote: read, printed as they print it, and written again byte for byte.

use std::sync::Arc;

use jackfield::wire::v8::{External, ExternalKind, JsValue, Options, deserialize, serialize};
use serde_json::Value;

/// A line of `golden/*.jsonl`.
pub struct Recorded {
    pub name: String,
    pub bytes: Vec<u8>,
    pub externals: Vec<External>,
    line: Value,
}

impl Recorded {
    /// All lines of a file.
    pub fn all(lines: &str) -> Vec<Recorded> {
        lines.lines().map(|line| Recorded::new(serde_json::from_str(line).unwrap())).collect()
    }

    fn new(line: Value) -> Recorded {
        let externals = line["externals"].as_array().into_iter().flatten().map(|kind| {
            let kind = match kind.as_str().unwrap() {
                "RpcStub" => ExternalKind::Stub,
                "WritableStream" => ExternalKind::WritableStream,
                "ReadableStream" => ExternalKind::ReadableStream,
                kind => panic!("{kind}"),
            };
            External::new(kind, Arc::new(()))
        });
        Recorded {
            name: line["name"].as_str().unwrap().to_owned(),
            bytes: hex::decode(line["hex"].as_str().unwrap()).unwrap(),
            externals: externals.collect(),
            line,
        }
    }

    pub fn value(&self) -> JsValue {
        deserialize(&self.bytes, self.externals.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// What its maker printed.
    pub fn printed(&self, how: &str) -> Option<&str> {
        self.line[how].as_str()
    }
}

pub fn node() -> Vec<Recorded> {
    Recorded::all(include_str!("../golden/node.jsonl"))
}

pub fn workerd() -> Vec<Recorded> {
    Recorded::all(include_str!("../golden/workerd.jsonl"))
}

/// A property that is a fraction in one object is a double in objects like it, also where it is an integer.
const DOUBLES: &str = "records";

/// node's V8 keeps integers of 32 bits, where workerd's keeps 31, and writes an error's stack after its cause.
const NODES_OWN: [&str; 8] = [
    DOUBLES,
    "2^30",
    "-2^30 - 1",
    "2^31 - 1",
    "-2^31",
    "large integer keys",
    "error with a cause",
    "error with a plain cause",
];

fn are_written_as_they_were_read(recorded: &[Recorded], except: &[&str]) {
    for one in recorded {
        let value = one.value();
        let encoded = serialize(&value).unwrap();
        let same = hex::encode(&encoded.bytes) == hex::encode(&one.bytes);
        assert_eq!(same, !except.contains(&&*one.name), "{}: {value:?}", one.name);
        assert_eq!(encoded.externals, one.externals, "{}", one.name);
        assert_eq!(deserialize(&encoded.bytes, encoded.externals).unwrap(), value, "{}", one.name);
    }
}

fn are_printed_as_by_their_maker(recorded: &[Recorded]) {
    let usual = Options::default();
    let ways = [
        ("inspect", usual),
        ("deep", Options { depth: None, ..usual }),
        ("colors", Options { colors: true, ..usual }),
    ];
    for one in recorded {
        for (way, options) in &ways {
            if let Some(printed) = one.printed(way) {
                assert_eq!(one.value().as_ref().inspect(options), printed, "{} ({way})", one.name);
            }
        }
    }
}

#[test]
fn by_node() {
    are_written_as_they_were_read(&node(), &NODES_OWN);
    are_printed_as_by_their_maker(&node());
}

#[test]
fn by_workerd() {
    are_written_as_they_were_read(&workerd(), &[DOUBLES]);
    are_printed_as_by_their_maker(&workerd());
}

/// Errors of workers have another form, and look the same.
#[test]
fn errors_by_workerd_are_printed_as_by_node() {
    let recorded = workerd();
    let of_worker = |name: &str| recorded.iter().find(|one| one.name == name);
    let mut seen = 0;
    for by_node in node().iter().filter(|one| one.name.to_lowercase().contains("error")) {
        let Some(by_workerd) = of_worker(&by_node.name) else { continue };
        let printed = by_workerd.value().as_ref().inspect(&Options::default());
        assert_eq!(Some(&*printed), by_node.printed("inspect"), "{}", by_node.name);
        seen += 1;
    }
    assert!(seen > 10);
    let several = of_worker("AggregateError").unwrap().value();
    assert_eq!(
        format!("{several:?}"),
        "AggregateError: several\n    at place (file.js:1:2) {\n  [errors]: [\n    Error: one\n        at place (file.js:1:2)\n  ]\n}"
    );
}
