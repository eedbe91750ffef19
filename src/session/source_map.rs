//! From places in a bundle back to the sources that it was made of.

use serde::Deserialize;

/// The version of the format that all bundlers write.
const VERSION: u32 = 3;

/// The map of one module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceMap {
    /// As stack traces call it.
    module: String,
    sources: Vec<String>,
    /// For each line of the module what begins where, in order.
    lines: Vec<Vec<Segment>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    column: i64,
    source: i64,
    line: i64,
    source_column: i64,
}

#[derive(Deserialize)]
struct Raw {
    version: u32,
    sources: Vec<String>,
    mappings: String,
}

impl SourceMap {
    /// Reads the map of `module`; `name` says what each of its sources is to be called. `None` if it is none.
    pub fn read(module: &str, text: &[u8], name: impl Fn(&str) -> String) -> Option<Self> {
        let raw: Raw = serde_json::from_slice(text).ok()?;
        let sources = raw.sources.iter().map(|source| name(source)).collect();
        let lines = lines(&raw.mappings).filter(|_| raw.version == VERSION)?;
        Some(Self { module: module.to_owned(), sources, lines })
    }

    /// A line of a stack trace, or of anything else, with the places of the module made those of its sources.
    pub fn back(&self, line: &str) -> String {
        let (mut told, mut rest) = (String::new(), line);
        while let Some(at) = rest.find(&self.module) {
            let (before, found) = rest.split_at(at);
            let after = found.get(self.module.len()..).unwrap_or_default();
            told.push_str(before);
            // `other-index.js` is another module.
            let begins = !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
            match place(after)
                .filter(|_| begins)
                .and_then(|(place, length)| Some((self.find(place)?, length)))
            {
                Some((source, length)) => {
                    told.push_str(&source);
                    rest = after.get(length..).unwrap_or_default();
                }
                None => {
                    told.push_str(&self.module);
                    rest = after;
                }
            }
        }
        told.push_str(rest);
        told
    }

    fn find(&self, (line, column): (usize, i64)) -> Option<String> {
        let segments = self.lines.get(line.checked_sub(1)?)?;
        let index = segments.partition_point(|segment| segment.column < column).checked_sub(1)?;
        let Segment { source, line, source_column, .. } = segments.get(index)?;
        let source = self.sources.get(usize::try_from(*source).ok()?)?;
        Some(format!("{source}:{}:{}", line + 1, source_column + 1))
    }
}

/// `:LINE:COLUMN` at the beginning, both from 1, and its length.
fn place(text: &str) -> Option<((usize, i64), usize)> {
    let number = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        text.get(..digits).filter(|digits| (1..=9).contains(&digits.len())).map(str::to_owned)
    };
    let line = number(text.strip_prefix(':')?)?;
    let rest = text.get(line.len() + 1..)?;
    let column = number(rest.strip_prefix(':')?)?;
    Some(((line.parse().ok()?, column.parse().ok()?), line.len() + column.len() + 2))
}

/// Numbers are differences: of the column to the segment before in its line, of all else to the last that said it.
fn lines(mappings: &str) -> Option<Vec<Vec<Segment>>> {
    let mut now = Segment { column: 0, source: 0, line: 0, source_column: 0 };
    let mut all = Vec::new();
    for line in mappings.split(';') {
        now.column = 0;
        let mut segments = Vec::new();
        for text in line.split(',').filter(|text| !text.is_empty()) {
            let numbers = numbers(text)?;
            now.column = now.column.checked_add(*numbers.first()?)?;
            // What has no source was made by the bundler.
            if let [_, source, line, column, ..] = numbers[..] {
                now.source = now.source.checked_add(source)?;
                now.line = now.line.checked_add(line)?;
                now.source_column = now.source_column.checked_add(column)?;
                segments.push(now);
            }
        }
        all.push(segments);
    }
    Some(all)
}

/// Five bits a letter, the lowest first; the sixth says that more follow, and the lowest of all is the sign.
fn numbers(text: &str) -> Option<Vec<i64>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut all, mut value, mut shift) = (Vec::new(), 0_i64, 0);
    for byte in text.bytes() {
        let bits = LETTERS.iter().position(|letter| *letter == byte)? as i64;
        if shift > 30 {
            return None;
        }
        value |= (bits & 31) << shift;
        shift += 5;
        if bits & 32 == 0 {
            all.push(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
            (value, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.ts` has `const x = 1;` in its first line and `throw x` in its third.
    const MAP: &str = r#"{"version":3,"sources":["../a.ts"],"mappings":";AAAA,MAAM,IAAI;AAEV,MAAM"}"#;

    #[test]
    fn places_of_the_bundle_become_those_of_the_sources() {
        let map = SourceMap::read("index.js", MAP.as_bytes(), |name| name.replace("../", "src/")).unwrap();
        let cases = [
            ("    at f (index.js:2:1)", "    at f (src/a.ts:1:1)"),
            ("    at index.js:2:8", "    at src/a.ts:1:7"),
            ("at f (index.js:3:7), index.js:3:99", "at f (src/a.ts:3:7), src/a.ts:3:7"),
            ("at f (index.js:1:1)", "at f (index.js:1:1)"),
            ("at f (my-index.js:3:1) index.js: index.js", "at f (my-index.js:3:1) index.js: index.js"),
            ("at f (index.js:999999999999999999999:1)", "at f (index.js:999999999999999999999:1)"),
        ];
        for (line, wanted) in cases {
            assert_eq!(map.back(line), wanted);
        }
    }

    #[test]
    fn what_is_no_map_is_none() {
        for text in [
            "",
            "{}",
            r#"{"version":3,"sources":[],"mappings":"!"}"#,
            r#"{"version":2,"sources":[],"mappings":""}"#,
        ] {
            assert_eq!(SourceMap::read("index.js", text.as_bytes(), str::to_owned), None, "{text}");
        }
        assert_eq!(numbers("gggggggggggggggB"), None);
        assert_eq!(numbers("AAgBC"), Some(vec![0, 0, 16, 1]));
    }
}
