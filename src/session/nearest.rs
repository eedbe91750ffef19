//! The name that was probably meant.

use std::fmt;

use super::name::SessionName;

/// How much likeness makes a suggestion, by Jaro-Winkler.
///
/// 0.7 is where it starts to accept a swapped, missing or doubled letter in short names (`srcipt`, `scrpt`,
/// `api@gren`) and still drops names that merely share a letter or two.
const ENOUGH: f64 = 0.7;

/// A suggestion, printed as `; did you mean X?`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nearest(pub Option<String>);

impl Nearest {
    /// The closest of `known` to `wanted`, if any is close enough to be what was meant.
    pub fn of<T: fmt::Display>(
        wanted: &(impl fmt::Display + ?Sized),
        known: impl IntoIterator<Item = T>,
    ) -> Self {
        let wanted = wanted.to_string();
        let scored = known.into_iter().map(|name| {
            let name = name.to_string();
            (likeness(&wanted, &name), name)
        });
        // Of equals the first by name, whatever order they come in.
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
        Self(best.filter(|(likeness, _)| *likeness >= ENOUGH).map(|(_, name)| name))
    }

    /// The same for a session: one of several scopes is meant by a name alone.
    pub fn session<'a>(wanted: &SessionName, known: impl IntoIterator<Item = &'a SessionName>) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        let named = known.iter().filter(|name| wanted.scope().is_none() && name.name() == wanted.name());
        let mut named: Vec<_> = named.map(ToString::to_string).collect();
        named.sort();
        match named.len() {
            0 | 1 => Self::of(wanted, known),
            _ => Self(Some(named.join(" or "))),
        }
    }
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |name| write!(f, "; did you mean {name}?"))
    }
}

/// How alike two names are, whatever their case: from 0, not at all, to 1.
pub(super) fn likeness(wanted: &str, name: &str) -> f64 {
    let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
    let likeness = strsim::jaro_winkler(&wanted, &name);
    // In names of three letters Jaro-Winkler sees no swapped ones.
    match wanted.len() == 3 && name.len() == 3 && strsim::osa_distance(&wanted, &name) == 1 {
        true => likeness.max(ENOUGH),
        false => likeness,
    }
}
