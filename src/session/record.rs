//! What workerd writes where its configuration wants structured logs: a record on each line, in JSON.
//!
//! What a worker writes stands in a record as well, so nothing of that can pass for workerd's.

use serde::{Deserialize, Deserializer};

use super::output::Level;

/// The longest record that is read whole: of a longer one the rest is left out.
pub(super) const MAX_RECORD: usize = 1 << 20;
/// What ends a record whose text was cut.
const END: &str = "\"}";
/// Of the last character of a text that was cut there may be a part: of `\uXXXX\uXXXX` in JSON.
const LONGEST: usize = 12;
/// What is said then.
const CUT: &str = "… (the rest of this is left out: it is too long)";

/// One record.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Record {
    #[serde(deserialize_with = "level")]
    pub(super) level: Level,
    /// Where in workerd's own source; `None`: a console has written it.
    pub(super) source: Option<String>,
    #[serde(rename = "message")]
    pub(super) text: String,
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Level, D::Error> {
    Ok(match &*String::deserialize(deserializer)? {
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" | "warning" => Level::Warn,
        "error" | "fatal" => Level::Error,
        _ => Level::Log,
    })
}

impl Record {
    /// Reads a line; `None` if it is none.
    pub(super) fn read(line: &str) -> Option<Self> {
        line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()
    }

    /// Reads the beginning of a line that is too long.
    pub(super) fn read_cut(line: &str) -> Option<Self> {
        let ends = (line.len().saturating_sub(LONGEST)..=line.len()).rev();
        let mut cut = ends.filter_map(|end| Self::read(&format!("{}{END}", line.get(..end)?)));
        let record = cut.next()?;
        Some(Self { text: record.text + CUT, ..record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_consoles_and_of_workerd_itself() {
        let record = |level, source: Option<&str>, text: &str| {
            Some(Record { level, source: source.map(str::to_owned), text: text.to_owned() })
        };
        let line = r#"{"timestamp":1795352802024,"level":"log","message":"log x\ny"}"#;
        assert_eq!(Record::read(line), record(Level::Log, None, "log x\ny"));
        let line = r#"{"timestamp":"1795352802050","level":"fatal","source":"kj/x.c++:7","message":"m","context_depth":0}"#;
        assert_eq!(Record::read(line), record(Level::Error, Some("kj/x.c++:7"), "m"));
        for other in ["", "log", "{}", "[1]", "1", r#"{"level":"log"}"#, "*** Received signal #11"] {
            assert_eq!(Record::read(other), None, "{other}");
        }
    }

    #[test]
    fn of_a_record_that_is_too_long_the_beginning_is_read() {
        let whole = r#"{"timestamp":1,"level":"warn","message":"aé\n😀\ud83d\ude00"#;
        let begins = whole.find("aé").unwrap();
        for end in (begins..=whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            let record = Record::read_cut(&whole[..end]).expect(&whole[..end]);
            let text = record.text.strip_suffix(CUT).unwrap();
            assert!("aé\n😀😀".starts_with(text) && record.level == Level::Warn, "{text}");
        }
        assert_eq!(Record::read_cut("something else"), None);
    }
}
