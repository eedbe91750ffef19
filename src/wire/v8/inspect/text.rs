//! Strings, keys and colours.

use super::Inspector;
use crate::wire::v8::key::Key;
use crate::wire::v8::string::JsStr;
use unicode_width::UnicodeWidthChar as _;

/// What something is coloured as.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    /// Numbers, BigInts and truth values.
    Number,
    String,
    Undefined,
    Null,
    Special,
    Date,
    RegExp,
}

impl Style {
    /// What switches the colour on and off.
    fn codes(self) -> (u8, u8) {
        match self {
            Style::Number => (33, 39),
            Style::String => (32, 39),
            Style::Undefined => (90, 39),
            Style::Null => (1, 22),
            Style::Special => (36, 39),
            Style::Date => (35, 39),
            Style::RegExp => (31, 39),
        }
    }
}

/// Strings are broken at line ends only where they are longer than this.
const SHORT: usize = 16;

impl Inspector<'_> {
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        if !self.options.colors {
            return text.to_owned();
        }
        let (on, off) = style.codes();
        format!("\x1b[{on}m{text}\x1b[{off}m")
    }

    /// A string in quotes; a long one with several lines as a sum of its lines.
    pub(super) fn string(&self, string: JsStr<'_>) -> String {
        let units = string.utf16();
        let shown = units.get(..self.options.characters).unwrap_or(&units);
        let long = shown.len() > SHORT && shown.len() + self.indentation + 4 > self.options.width;
        let lines: Vec<&[u16]> = if long {
            shown.split_inclusive(|unit| *unit == u16::from(b'\n')).collect()
        } else {
            vec![shown]
        };
        let lines: Vec<String> = lines.iter().map(|line| self.paint(Style::String, &quoted(line))).collect();
        let mut text = lines.join(&format!(" +\n{}", " ".repeat(self.indentation + 2)));
        match units.len() - shown.len() {
            0 => {}
            1 => text.push_str("... 1 more character"),
            more => text.push_str(&format!("... {more} more characters")),
        }
        text
    }

    /// A key, in quotes where it is no name.
    pub(super) fn key(&self, key: Key<'_>) -> String {
        let name = match key {
            Key::Index(index) => return self.paint(Style::String, &format!("'{index}'")),
            Key::Name(name) => name,
        };
        let starts = |first: char| first.is_ascii_alphabetic() || first == '_';
        match name.as_str() {
            Some(text)
                if text.starts_with(starts)
                    && text.chars().all(|next| starts(next) || next.is_ascii_digit()) =>
            {
                text.to_owned()
            }
            _ => self.paint(Style::String, &quoted(&name.utf16())),
        }
    }
}

/// In single quotes; in others if there are single quotes in it, and none of those.
pub(super) fn quoted(units: &[u16]) -> String {
    let has =
        |quote: &str| units.windows(quote.len()).any(|part| part.iter().copied().eq(quote.encode_utf16()));
    let quote = match () {
        () if !has("'") => '\'',
        () if !has("\"") => '"',
        () if !has("`") && !has("${") => '`',
        () => '\'',
    };
    let mut text = String::from(quote);
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok('\n') => text.push_str("\\n"),
            Ok('\t') => text.push_str("\\t"),
            Ok('\r') => text.push_str("\\r"),
            Ok('\u{8}') => text.push_str("\\b"),
            Ok('\u{c}') => text.push_str("\\f"),
            Ok('\u{b}') => text.push_str("\\v"),
            Ok('\\') => text.push_str("\\\\"),
            Ok(character) if character == quote => text.extend(['\\', quote]),
            Ok(character) if character.is_control() => {
                text.push_str(&format!("\\x{:02X}", u32::from(character)))
            }
            Ok(character) => text.push(character),
            Err(alone) => text.push_str(&format!("\\u{:04x}", alone.unpaired_surrogate())),
        }
    }
    text.push(quote);
    text
}

/// Text that others wrote, without what a terminal would obey: lines stay lines.
pub(super) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            harmless.extend(character.escape_default());
        } else {
            harmless.push(character);
        }
    }
    harmless
}

/// How long a text is, as JavaScript counts, without what only colours it.
pub(super) fn visible_len(text: &str) -> usize {
    visible(text).map(char::len_utf16).sum()
}

/// How many columns of a terminal it takes.
pub(super) fn visible_width(text: &str) -> usize {
    visible(text).map(|character| character.width().unwrap_or_default()).sum()
}

fn visible(text: &str) -> impl Iterator<Item = char> {
    let mut in_color = false;
    text.chars().filter(move |character| match character {
        '\x1b' => {
            in_color = true;
            false
        }
        'm' if in_color => {
            in_color = false;
            false
        }
        _ => !in_color,
    })
}
