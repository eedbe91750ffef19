//! Whether two values are the same.

use std::collections::HashMap;

use super::view::{JsRef, Properties, View};

/// The same structure: equal primitives (NaN equals itself, and -0 is not 0), and objects of the same kind with equal
/// contents. Objects that are one on one side are one on the other; cycles are no trouble. The order of properties
/// does not count, the order in maps and sets does.
impl PartialEq for JsRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        let mut comparison = Comparison::default();
        let mut todo = vec![(*self, *other)];
        while let Some((left, right)) = todo.pop() {
            if !comparison.go_on(left, right, &mut todo) {
                return false;
            }
        }
        true
    }
}

/// Which object on the left is which on the right, as far as it was seen.
#[derive(Default)]
struct Comparison {
    left: HashMap<usize, usize>,
    right: HashMap<usize, usize>,
}

impl Comparison {
    /// Compares what is at hand, and lists what is left to compare.
    fn go_on<'a>(
        &mut self,
        left: JsRef<'a>,
        right: JsRef<'a>,
        todo: &mut Vec<(JsRef<'a>, JsRef<'a>)>,
    ) -> bool {
        match (left.view(), right.view()) {
            (View::Number(left), View::Number(right)) => same_number(left, right),
            (View::String(left), View::String(right)) => left == right,
            (View::BigInt(left), View::BigInt(right)) => left == right,
            _ => match (left.slot.as_node(), right.slot.as_node()) {
                (None, None) => left.slot == right.slot,
                (Some(from), Some(to)) => {
                    let known = (self.left.insert(from, to), self.right.insert(to, from));
                    match known {
                        (None, None) => objects(left, right, todo),
                        known => known == (Some(to), Some(from)),
                    }
                }
                _ => false,
            },
        }
    }
}

fn same_number(left: f64, right: f64) -> bool {
    left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan())
}

fn objects<'a>(left: JsRef<'a>, right: JsRef<'a>, todo: &mut Vec<(JsRef<'a>, JsRef<'a>)>) -> bool {
    match (left.view(), right.view()) {
        (View::Object(left), View::Object(right)) => properties(left.0, right.0, todo),
        (View::Array(left), View::Array(right)) => {
            if left.len() != right.len() {
                return false;
            }
            let (mut from, mut to) = (left.entries(), right.entries());
            loop {
                match (from.next(), to.next()) {
                    (None, None) => break,
                    (Some((left, from)), Some((right, to))) if left == right => todo.push((from, to)),
                    _ => return false,
                }
            }
            let named = left.properties().len() == right.properties().len();
            named
                && left.properties().all(|(name, from)| {
                    let to = right.property(name);
                    to.map(|to| todo.push((from, to))).is_some()
                })
        }
        (View::External(left), View::External(right)) => left == right,
        _ => false,
    }
}

fn properties<'a>(
    left: Properties<'a>,
    right: Properties<'a>,
    todo: &mut Vec<(JsRef<'a>, JsRef<'a>)>,
) -> bool {
    left.len() == right.len()
        && left.pairs().zip(right.pairs()).all(|((key, from), (there, to))| {
            let to = if key == there { Some(to) } else { right.find(key) };
            to.map(|to| todo.push((from, to))).is_some()
        })
}
