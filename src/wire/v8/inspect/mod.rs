//! Values as node's inspector prints them.
//!
//! The same words in the same places: `util.inspect` with its usual options, whose outcome the golden values hold.
//! What node does not have (stubs, and the parts of requests and responses) is printed in the same manner.

mod layout;
mod object;
mod text;

use super::number::number_text;
use super::view::{JsRef, View};
use text::Style;

/// How to print a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many levels of objects within objects; `None` for all, up to [`Options::DEEPEST`].
    pub depth: Option<usize>,
    /// Whether to colour it for a terminal.
    pub colors: bool,
    /// How wide a line may become before it is broken.
    pub width: usize,
    /// How many elements of an array, a Map or a Set.
    pub elements: usize,
    /// How many characters of a string.
    pub characters: usize,
}

impl Options {
    /// No level below this is printed.
    pub const DEEPEST: usize = 200;
}

/// As node has it.
impl Default for Options {
    fn default() -> Self {
        Options { depth: Some(2), colors: false, width: 80, elements: 100, characters: 10_000 }
    }
}

/// Once so much was printed, objects are only named: what is shared is printed as often as it is referred to, and so
/// a small value can be endless. node stops in the same way.
const ENOUGH: usize = 16 << 20;

impl JsRef<'_> {
    /// The value as node's inspector prints it.
    pub fn inspect(self, options: &Options) -> String {
        let depth = options.depth.unwrap_or(Options::DEEPEST).min(Options::DEEPEST);
        let mut inspector = Inspector {
            options,
            depth,
            within: Vec::new(),
            circular: Vec::new(),
            indentation: 0,
            reached: 0,
            printed: 0,
        };
        inspector.value(self, 0)
    }
}

struct Inspector<'o> {
    options: &'o Options,
    depth: usize,
    /// The objects around the one that is being printed.
    within: Vec<usize>,
    /// Those of them that are referred to from within themselves, in the order in which that was seen.
    circular: Vec<usize>,
    indentation: usize,
    /// The level of the object that was begun last.
    reached: usize,
    printed: usize,
}

impl Inspector<'_> {
    fn value(&mut self, value: JsRef<'_>, level: usize) -> String {
        let text = match value.view() {
            View::Undefined => self.paint(Style::Undefined, "undefined"),
            View::Null => self.paint(Style::Null, "null"),
            View::Bool(value) => self.paint(Style::Number, &value.to_string()),
            View::Number(number) => self.number(number),
            View::BigInt(value) => self.paint(Style::Number, &format!("{value}n")),
            View::String(string) => self.string(string),
            _ => self.object(value, level),
        };
        self.printed += text.len();
        text
    }

    fn number(&self, number: f64) -> String {
        let minus_zero = number == 0.0 && number.is_sign_negative();
        self.paint(Style::Number, &if minus_zero { "-0".to_owned() } else { number_text(number) })
    }

    fn object(&mut self, value: JsRef<'_>, level: usize) -> String {
        let Some(node) = value.slot.as_node() else { return String::new() };
        if self.within.contains(&node) {
            let known = self.circular.iter().position(|other| *other == node);
            let number = known.unwrap_or_else(|| {
                self.circular.push(node);
                self.circular.len() - 1
            });
            return self.paint(Style::Special, &format!("[Circular *{}]", number + 1));
        }
        let shape = match self.shape(value) {
            Ok(shape) => shape,
            Err(whole) => return whole,
        };
        if level > self.depth || self.printed > ENOUGH {
            return self.paint(Style::Special, &format!("[{}]", shape.class));
        }
        self.within.push(node);
        self.reached = level + 1;
        let contents = self.contents(value, level + 1);
        self.within.pop();
        let mut base = shape.base;
        if let Some(number) = self.circular.iter().position(|other| *other == node) {
            let mark = self.paint(Style::Special, &format!("<ref *{}>", number + 1));
            base = if base.is_empty() { mark } else { format!("{mark} {base}") };
        }
        self.lay_out(value, contents, &base, &shape.braces, level + 1)
    }
}
