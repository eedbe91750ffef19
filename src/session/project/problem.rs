//! What can be wrong with a project file, said so that it can be put right.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::places::{Position, position};

/// One thing that is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In which file, if not in the project's own.
    pub file: Option<PathBuf>,
    /// Where.
    pub at: Position,
    /// What is wrong.
    pub what: String,
    /// Why it cannot be used, or what would be right.
    pub why: String,
    /// The nearest valid name.
    pub nearest: Option<String>,
}

impl Problem {
    /// In words, where the project's own file is that one.
    pub fn text(&self, own: &Path) -> String {
        let Self { file, at: Position { line, column }, what, why, nearest } = self;
        let file = file.as_deref().unwrap_or(own).display();
        let why = why.replace('\n', "\n  ");
        let like = nearest.as_ref().map(|nearest| format!("\n  did you mean `{nearest}`?"));
        format!("{file}:{line}:{column}: {what}\n  {why}{}", like.unwrap_or_default())
    }
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
    /// The text is right, and sources that it names are wrong.
    Sources {
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
            Self::Invalid { file, problems } | Self::Sources { file, problems } => {
                for (index, problem) in problems.iter().enumerate() {
                    if index > 0 {
                        writeln!(f)?;
                    }
                    f.write_str(&problem.text(file))?;
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
            Self::Invalid { .. } | Self::Sources { .. } => None,
        }
    }
}

/// Problems as they are found, with byte positions.
#[derive(Debug, Default)]
pub(in crate::session) struct Problems {
    found: Vec<(Range<usize>, String, String, Option<String>)>,
}

impl Problems {
    pub(in crate::session) fn add(
        &mut self,
        at: Range<usize>,
        what: impl Into<String>,
        why: impl Into<String>,
    ) {
        self.found.push((at, what.into(), why.into(), None));
    }

    pub(in crate::session) fn add_near(
        &mut self,
        at: Range<usize>,
        what: impl Into<String>,
        why: impl Into<String>,
        nearest: Option<String>,
    ) {
        self.found.push((at, what.into(), why.into(), nearest));
    }

    pub(in crate::session) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the text, with lines and columns.
    pub(in crate::session) fn into_list(mut self, text: &str) -> Vec<Problem> {
        self.found.sort_by_key(|(at, ..)| at.start);
        self.found
            .into_iter()
            .map(|(at, what, why, nearest)| Problem {
                file: None,
                at: position(text, at.start),
                what,
                why,
                nearest,
            })
            .collect()
    }
}
