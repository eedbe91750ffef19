//! The compatibility flag that was probably meant.
//!
//! A list of flags would be that of one version. The executable itself has all of its flags in it as texts, among
//! millions of others: those that look like what was asked for are put to it, and the ones it knows are its flags.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::blame::NO_SUCH_FLAG;
use super::process;
use crate::session::config;
use crate::session::host::Host;
use crate::session::nearest::likeness;

/// Texts that are put to workerd.
const CANDIDATES: usize = 12;
/// A word counts as a candidate from this likeness on: far above what makes a suggestion, since there are so many words.
const ALIKE: f64 = 0.85;
/// What is read at once.
const CHUNK: usize = 1 << 20;
/// The longest flag; the longest today has 63 letters.
const LONGEST: usize = 128;

/// The flag that is most like `wrong`, of those that this workerd knows.
pub(super) async fn nearest(host: &Arc<Host>, workerd: &Path, wrong: &str) -> Option<String> {
    let (program, text) = (workerd.to_owned(), wrong.to_owned());
    let found = tokio::task::spawn_blocking(move || candidates(&program, &text)).await;
    let candidates = found.ok()?.ok()?;
    let mut flags = vec![wrong.to_owned()];
    flags.extend(candidates.iter().cloned());
    let message = config::build_flags(&flags).ok()?;
    let said = process::run(host, workerd, message).await.ok()?.err;
    let unknown: BTreeSet<_> =
        said.iter().filter_map(|line| Some(line.split_once(NO_SUCH_FLAG)?.1)).collect();
    // If it does not complain about the one that is wrong, it has not looked at them.
    let looked = unknown.contains(wrong);
    candidates.into_iter().find(|flag| looked && !unknown.contains(flag.as_str()))
}

/// Words in the executable that are like `wrong`, the likest first.
fn candidates(workerd: &Path, wrong: &str) -> io::Result<Vec<String>> {
    let mut words = Words { wrong, word: String::new(), found: BTreeSet::new() };
    let mut file = File::open(workerd)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        chunk.iter().take(read).for_each(|byte| words.byte(*byte));
    }
    let mut found: Vec<_> = words.found.into_iter().collect();
    found.sort_by_cached_key(|word| Reverse((likeness(wrong, word) * 1e6) as u64));
    found.truncate(CANDIDATES);
    Ok(found)
}

struct Words<'a> {
    wrong: &'a str,
    /// Letters since the last byte that is none.
    word: String,
    found: BTreeSet<String>,
}

impl Words<'_> {
    fn byte(&mut self, byte: u8) {
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_') {
            if self.word.len() < LONGEST {
                self.word.push(char::from(byte));
            }
            return;
        }
        let (length, wanted) = (self.word.len(), self.wrong.len());
        // Texts of Cap'n Proto end with a zero. A typing error hardly changes the length.
        if byte == 0
            && length.abs_diff(wanted) <= 3.max(wanted / 4)
            && likeness(self.wrong, &self.word) >= ALIKE
        {
            self.found.insert(self.word.clone());
        }
        self.word.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_alike_are_found_in_an_executable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("executable");
        std::fs::write(
            &file,
            b"\x7fELF\x01nodejs_compat\0\0\xffnodejs_compat_v2\0nodejs_compas nodejs\0other\0",
        )
        .unwrap();
        assert_eq!(candidates(&file, "nodejs_compta").unwrap(), ["nodejs_compat", "nodejs_compat_v2"]);
    }
}
