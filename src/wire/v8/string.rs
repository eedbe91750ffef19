//! Strings as JavaScript has them: sequences of code units, nearly always text.

use std::borrow::Cow;
use std::fmt;

/// A borrowed string. Only one in which a surrogate is alone is kept as code units.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JsStr<'a> {
    /// Text.
    Utf8(&'a str),
    /// Code units that are no text, since a surrogate among them is alone.
    Wide(&'a [u16]),
}

impl<'a> JsStr<'a> {
    /// The text, if it is text.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            JsStr::Utf8(text) => Some(text),
            JsStr::Wide(_) => None,
        }
    }

    /// The text, with U+FFFD for every lone surrogate.
    pub fn to_string_lossy(self) -> Cow<'a, str> {
        match self {
            JsStr::Utf8(text) => Cow::Borrowed(text),
            JsStr::Wide(units) => Cow::Owned(String::from_utf16_lossy(units)),
        }
    }

    /// The code units.
    pub fn utf16(self) -> Vec<u16> {
        match self {
            JsStr::Utf8(text) => text.encode_utf16().collect(),
            JsStr::Wide(units) => units.to_vec(),
        }
    }

    /// Its `length` in JavaScript: the number of code units.
    pub fn len(self) -> usize {
        match self {
            JsStr::Utf8(text) => text.chars().map(char::len_utf16).sum(),
            JsStr::Wide(units) => units.len(),
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        matches!(self, JsStr::Utf8(""))
    }
}

/// Text, or the code units when it is none.
impl fmt::Debug for JsStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsStr::Utf8(text) => text.fmt(f),
            JsStr::Wide(units) => {
                f.write_str("\"")?;
                for unit in char::decode_utf16(units.iter().copied()) {
                    match unit {
                        Ok(character) => write!(f, "{}", character.escape_debug())?,
                        Err(alone) => write!(f, "\\u{{{:x}}}", alone.unpaired_surrogate())?,
                    }
                }
                f.write_str("\"")
            }
        }
    }
}

impl fmt::Display for JsStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

impl PartialEq<str> for JsStr<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for JsStr<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(other)
    }
}

impl<'a> From<&'a str> for JsStr<'a> {
    fn from(text: &'a str) -> Self {
        JsStr::Utf8(text)
    }
}
