//! What goes on one line, and what on several.

use super::Inspector;
use super::text::{visible_len, visible_width};
use crate::wire::v8::view::{JsRef, View};

/// An object goes on one line only if fewer levels than this were printed within it.
const COMPACT: usize = 3;

/// More elements than this are put in columns.
const LIST: usize = 6;

/// What separates elements takes this much.
const SEPARATOR: usize = 2;

impl Inspector<'_> {
    /// The contents between braces: on one line where they fit, else a line each, or in columns.
    pub(super) fn lay_out(
        &self,
        value: JsRef<'_>,
        mut contents: Vec<String>,
        base: &str,
        braces: &(String, &'static str),
        level: usize,
    ) -> String {
        let (open, close) = braces;
        let base = if base.is_empty() { String::new() } else { format!("{base} ") };
        let count = contents.len();
        if matches!(value.view(), View::Array(_) | View::Typed(_)) && *close == "]" && count > LIST {
            contents = self.columns(value, contents);
        }
        if self.reached < level + COMPACT && contents.len() == count {
            // Here colours count, as they do in node.
            let around = open.encode_utf16().count() + base.trim_end().encode_utf16().count();
            let start = count + self.indentation + around + 10;
            if self.fits(&contents, start) && !base.contains('\n') {
                let joined = contents.join(", ");
                if !joined.contains('\n') {
                    return format!("{base}{open} {joined} {close}");
                }
            }
        }
        let line = format!("\n{}", " ".repeat(self.indentation));
        format!("{base}{open}{line}  {}{line}{close}", contents.join(&format!(",{line}  ")))
    }

    fn fits(&self, contents: &[String], start: usize) -> bool {
        let separators = contents.len() + start;
        separators + contents.len() <= self.options.width
            && separators + contents.iter().map(|text| visible_len(text)).sum::<usize>() <= self.options.width
    }

    /// Puts elements in columns, if that makes fewer lines and they are of similar length.
    fn columns(&self, value: JsRef<'_>, contents: Vec<String>) -> Vec<String> {
        // The last may say how many more there are; it stays on a line of its own.
        let count = contents.len() - usize::from(contents.len() > self.options.elements);
        let (elements, more) = contents.split_at_checked(count).unwrap_or((&contents, &[]));
        let lengths: Vec<usize> = elements.iter().map(|text| visible_width(text)).collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let widest = longest + SEPARATOR;
        let total: usize = lengths.iter().map(|length| length + SEPARATOR).sum();
        let similar = total as f64 / widest as f64 > 5.0 || longest <= 6;
        if widest * 3 + self.indentation >= self.options.width || !similar {
            return contents;
        }
        // As many columns as make a square, taking characters for two and a half times as high as wide.
        let bias = (widest as f64 - total as f64 / contents.len() as f64).sqrt();
        let biased = (widest as f64 - 3.0 - bias).max(1.0);
        let square = ((2.5 * biased * count as f64).sqrt() / biased).round() as usize;
        let columns = square.min((self.options.width - self.indentation) / widest).min(COMPACT * 4).min(15);
        if columns <= 1 {
            return contents;
        }
        let width = |column: usize| {
            lengths.iter().skip(column).step_by(columns).copied().max().unwrap_or_default() + SEPARATOR
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let right = are_numbers(value, contents.len());
        let mut lines: Vec<String> = Vec::new();
        for (line, lengths) in elements.chunks(columns).zip(lengths.chunks(columns)) {
            let mut text = String::new();
            for (nth, ((element, length), width)) in line.iter().zip(lengths).zip(&widths).enumerate() {
                let last = nth + 1 == line.len();
                let gap = " ".repeat(width.saturating_sub(length + SEPARATOR));
                let separator = if last { "" } else { ", " };
                match (right, last) {
                    (true, _) => text.extend([&gap, element.as_str(), separator]),
                    (false, true) => text.push_str(element),
                    (false, false) => text.extend([element.as_str(), separator, &gap]),
                }
            }
            lines.push(text);
        }
        lines.extend(more.iter().cloned());
        lines
    }
}

/// Whether the first elements are all numbers: those are aligned on the right.
fn are_numbers(value: JsRef<'_>, count: usize) -> bool {
    match value.view() {
        View::Array(array) => (0..count as u32).all(|index| {
            matches!(array.get(index).map(JsRef::view), Some(View::Number(_) | View::BigInt(_)))
        }),
        View::Typed(typed) => typed.byte_len() / typed.element().size() >= count,
        _ => false,
    }
}
