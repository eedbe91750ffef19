//! Which entrypoint a host's label means, of a session that does not say what it exports.
//!
//! Browsers write hosts in lower case, and a debug port knows its names as they are. So it is asked for all that the label
//! may stand for: once for each generation, and no code of the worker runs for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::OnceCell;

use crate::client::Session;
use crate::net::Endpoint;
use crate::wire::exception::Exception;

/// Spellings that are tried: all of a name of twelve letters, and of a longer one those with the fewest capitals. workerd
/// needs some ten microseconds for each.
const MOST: usize = 1 << 12;

/// How many are asked for at a time: enough for the way there and back not to count, and little to keep.
const AT_ONCE: usize = 128;

/// How long a debug port may take, which does so in a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a label means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Entrypoint(String),
    /// Only their case tells them apart.
    Several(Vec<String>),
    /// None that was tried.
    Nothing,
}

/// A generation, and what it has said, or is being asked.
type Found = (Arc<str>, Arc<OnceCell<Meant>>);

/// One label, and what it means in the generation that was asked last.
pub(super) struct Spelling {
    typed: String,
    found: Mutex<Option<Found>>,
}

impl Spelling {
    pub fn new(typed: String) -> Self {
        Self { typed, found: Mutex::default() }
    }

    /// As it stands in the host.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// Asks the debug port of a generation, or remembers what it said.
    ///
    /// # Cancellation
    /// The next event asks anew.
    pub async fn meant(&self, generation: &Arc<str>, port: &Endpoint, service: &str) -> Meant {
        let cell = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            match &*found {
                Some((known, cell)) if known == generation => cell.clone(),
                _ => found.insert((generation.clone(), Arc::default())).1.clone(),
            }
        };
        let asked = cell.get_or_try_init(|| ask(port, service, &self.typed)).await;
        // Whoever does not answer is asked for what was typed, and says what is wrong.
        asked.map_or_else(|_| Meant::Entrypoint(self.typed.clone()), Meant::clone)
    }
}

async fn ask(port: &Endpoint, service: &str, typed: &str) -> Result<Meant, Exception> {
    let session = Session::connect_within(&port.into(), PATIENCE).await.map_err(Exception::failed)?;
    if session.exports(service, Some(typed)).await? {
        return Ok(Meant::Entrypoint(typed.to_owned()));
    }
    let mut found = Vec::new();
    for some in spellings(typed, MOST).chunks(AT_ONCE) {
        let asked = join_all(some.iter().map(|name| session.exports(service, Some(name)))).await;
        for (name, is_there) in some.iter().zip(asked) {
            if is_there? {
                found.push(name.clone());
            }
        }
    }
    Ok(match found.len() {
        0 => Meant::Nothing,
        1 => Meant::Entrypoint(found.remove(0)),
        _ => Meant::Several(found),
    })
}

/// A name in all cases, those with few capitals first: most that there are have one for each word.
fn spellings(typed: &str, most: usize) -> Vec<String> {
    let lower = typed.to_ascii_lowercase();
    let letters: Vec<_> = lower.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphabetic()).collect();
    let mut all = vec![(lower, 0)];
    let mut from = 0;
    // Each round adds one capital more, behind the last one of each of those before.
    while from < all.len() {
        let upto = all.len();
        for index in from..upto {
            let Some((name, next)) = all.get(index).cloned() else { break };
            for (at, (place, byte)) in letters.iter().enumerate().skip(next) {
                if all.len() == most {
                    return all.into_iter().map(|(name, _)| name).collect();
                }
                let mut more = name.clone();
                more.replace_range(place..&(place + 1), &char::from(byte.to_ascii_uppercase()).to_string());
                all.push((more, at + 1));
            }
        }
        from = upto;
    }
    all.into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_is_spelled_in_all_cases_and_of_a_long_one_in_the_likely_ones() {
        assert_eq!(spellings("aB1", 99), ["ab1", "Ab1", "aB1", "AB1"]);
        assert_eq!(spellings("1", 99), ["1"]);
        let all = spellings("administrate", MOST);
        assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (MOST, MOST));
        let long = spellings("a_very-long-administration$", MOST);
        assert_eq!(long.len(), MOST);
        for name in ["A_very-long-administration$", "a_Very-Long-administration$"] {
            assert!(long.iter().any(|known| known == name), "{name}");
        }
    }
}
