//! Whether two values are the same.

use std::collections::HashMap;

use super::collection::Object;
use super::failure::Error;
use super::key::Key;
use super::view::{JsRef, View};

/// The same structure: equal primitives (NaN equals itself, and -0 is not 0), and objects of the same kind with equal
/// contents. Objects that are one on one side are one on the other; cycles are no trouble. The order of properties
/// does not count, the order in maps and sets does.
impl PartialEq for JsRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        let mut left = HashMap::new();
        let mut right = HashMap::new();
        let mut todo = vec![(*self, *other)];
        while let Some((from, to)) = todo.pop() {
            let (Some(one), Some(other)) = (from.slot.as_node(), to.slot.as_node()) else {
                if primitives(from, to) { continue } else { return false }
            };
            match (left.insert(one, other), right.insert(other, one)) {
                (None, None) if objects(from, to, &mut todo) => {}
                known if known == (Some(other), Some(one)) => {}
                _ => return false,
            }
        }
        true
    }
}

type Pairs<'a> = Vec<(JsRef<'a>, JsRef<'a>)>;

fn primitives(left: JsRef<'_>, right: JsRef<'_>) -> bool {
    match (left.view(), right.view()) {
        (View::String(left), View::String(right)) => left == right,
        (View::BigInt(left), View::BigInt(right)) => left == right,
        // Everything else is in the slot: bit for bit, with one NaN.
        _ => left.slot.is_immediate() && left.slot == right.slot,
    }
}

/// Compares what is at hand of two objects, and lists what is left to compare.
fn objects<'a>(left: JsRef<'a>, right: JsRef<'a>, todo: &mut Pairs<'a>) -> bool {
    match (left.view(), right.view()) {
        (View::Object(left), View::Object(right)) => properties(left, right, todo),
        (View::Array(left), View::Array(right)) => {
            let elements = all(left.entries(), right.entries(), |(left, from), (right, to)| {
                todo.push((from, to));
                left == right
            });
            let mut named = left.properties().map(|(name, from)| (right.property(name), from));
            elements
                && left.len() == right.len()
                && left.properties().len() == right.properties().len()
                && named.all(|(to, from)| to.map(|to| todo.push((from, to))).is_some())
        }
        (View::Map(left), View::Map(right)) => {
            all(left.iter(), right.iter(), |(key, value), (same, other)| {
                todo.extend([(key, same), (value, other)]);
                true
            })
        }
        (View::Set(left), View::Set(right)) => all(left.iter(), right.iter(), |left, right| {
            todo.push((left, right));
            true
        }),
        (View::Date(left), View::Date(right)) => {
            left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
        }
        (View::RegExp(left), View::RegExp(right)) => left.source == right.source && left.flags == right.flags,
        (View::Boxed(left), View::Boxed(right)) => primitives(left, right),
        (View::ArrayBuffer(left), View::ArrayBuffer(right)) => left == right,
        (View::Typed(left), View::Typed(right)) => {
            todo.push((left.buffer(), right.buffer()));
            let facts = |view: super::Typed<'_>| (view.element, view.offset, view.length, view.tracking);
            facts(left) == facts(right)
        }
        (View::Error(left), View::Error(right)) => errors(left, right, todo),
        (View::DomException(left), View::DomException(right)) => left == right,
        (View::Headers(left), View::Headers(right)) => left == right,
        (View::Request(left), View::Request(right)) => {
            todo.push((left.init, right.init));
            left.url == right.url
        }
        (View::Response(left), View::Response(right)) => {
            todo.extend([(left.body, right.body), (left.init, right.init)]);
            true
        }
        (View::Blob(left), View::Blob(right)) => left == right,
        (View::External(left), View::External(right)) => left == right,
        _ => false,
    }
}

/// Whether two sequences are equally long, and the same everywhere.
fn all<T>(
    mut left: impl Iterator<Item = T>,
    mut right: impl Iterator<Item = T>,
    mut same: impl FnMut(T, T) -> bool,
) -> bool {
    left.all(|one| right.next().is_some_and(|other| same(one, other))) && right.next().is_none()
}

fn properties<'a>(left: Object<'a>, right: Object<'a>, todo: &mut Pairs<'a>) -> bool {
    let mut pairs = left.iter().zip(right.iter());
    left.len() == right.len()
        && pairs.all(|((key, from), (there, to)): ((Key<'a>, _), _)| {
            let to = if key == there { Some(to) } else { right.find(key) };
            to.map(|to| todo.push((from, to))).is_some()
        })
}

/// Errors of the two forms differ, even where they say the same.
fn errors<'a>(left: Error<'a>, right: Error<'a>, todo: &mut Pairs<'a>) -> bool {
    let parts = |error: Error<'a>| {
        let node = error.node;
        [node.name, node.message, node.stack, node.cause, node.props].map(|slot| error.value.with(slot))
    };
    todo.extend(parts(left).into_iter().zip(parts(right)));
    left.form() == right.form()
}
