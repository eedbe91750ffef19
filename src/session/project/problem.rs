//! What can be wrong with a project file, said so that it can be put right.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// One thing that is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// Why it cannot be used, or what would be right.
    pub why: String,
    /// The nearest valid name.
    pub nearest: Option<String>,
}

/// Why a project could not be loaded.
#[derive(Debug)]
pub enum ProjectError {
    /// There is no text to look at.
    Unreadable {
        /// As it was given.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The text, or what it names, is wrong. In the order of the text.
    Invalid {
        /// The project file.
        file: PathBuf,
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl fmt::Display for ProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, source } if source.kind() == std::io::ErrorKind::NotFound => {
                write!(
                    f,
                    "{}: there is no such file; name one, or start in the folder that has it",
                    file.display()
                )
            }
            Self::Unreadable { file, source } => write!(f, "{}: cannot be read: {source}", file.display()),
            Self::Invalid { file, problems } => {
                for (index, problem) in problems.iter().enumerate() {
                    if index > 0 {
                        writeln!(f)?;
                    }
                    let Problem { line, column, what, why, nearest } = problem;
                    write!(f, "{}:{line}:{column}: {what}\n  {why}", file.display())?;
                    if let Some(nearest) = nearest {
                        write!(f, "\n  did you mean `{nearest}`?")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ProjectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Invalid { .. } => None,
        }
    }
}

/// Problems as they are found, with byte positions.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<(Range<usize>, String, String, Option<String>)>,
}

impl Problems {
    pub(super) fn add(&mut self, at: Range<usize>, what: impl Into<String>, why: impl Into<String>) {
        self.found.push((at, what.into(), why.into(), None));
    }

    pub(super) fn add_near(
        &mut self,
        at: Range<usize>,
        what: impl Into<String>,
        why: impl Into<String>,
        nearest: Option<String>,
    ) {
        self.found.push((at, what.into(), why.into(), nearest));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the text, with lines and columns.
    pub(super) fn into_list(mut self, text: &str) -> Vec<Problem> {
        self.found.sort_by_key(|(at, ..)| at.start);
        self.found
            .into_iter()
            .map(|(at, what, why, nearest)| {
                let (line, column) = position(text, at.start);
                Problem { line, column, what, why, nearest }
            })
            .collect()
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before.get(line_start..).unwrap_or("").chars().count() + 1)
}

/// The candidate that `wrong` most resembles, if any does.
///
/// 0.7 is where Jaro-Winkler starts to accept a swapped, missing or doubled letter in short names (`srcipt`, `scrpt`)
/// and still rejects unrelated words of the same length.
pub(super) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wrong.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate.to_owned())
}
