//! How the control API says no.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::router::ChangeError;
use crate::session::{ProjectError, SurveyError};

/// What kind of refusal it is; scripts may match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is malformed.
    BadRequest,
    /// It looks like it comes from a web page.
    Forbidden,
    /// There is nothing at this path.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The body is larger than any request needs to be.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// No link has that name.
    UnknownLink,
    /// No session has that name.
    UnknownSession,
    /// The session has no such class.
    UnknownClass,
    /// The session has no such entrypoint.
    UnknownEntrypoint,
    /// The link cannot point at that.
    BadTarget,
    /// A link has changed since the expected revision.
    Stale,
    /// The project file, or a file it names, is wrong.
    BadProject,
    /// The project is right, and a source of it is wrong.
    BadSources,
    /// A session does not start.
    StartFailed,
    /// The daemon is on its way out.
    Stopping,
    /// Nobody answers. Said by the client alone.
    Unreachable,
    /// The daemon could not do it; the message says why.
    Failed,
    /// A code that this version does not know.
    #[serde(other)]
    Other,
}

impl Code {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound
            | Self::UnknownLink
            | Self::UnknownSession
            | Self::UnknownClass
            | Self::UnknownEntrypoint => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Stale => StatusCode::CONFLICT,
            Self::BadTarget | Self::BadProject | Self::BadSources | Self::StartFailed => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Stopping | Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed | Self::Other => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A refusal: what happened to what and why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// For scripts.
    pub code: Code,
    /// For people.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
}

/// A refusal as the body of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: Problem,
}

impl Problem {
    /// A refusal without advice.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with advice.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        if let ChangeError::UnknownEntrypoint { session, exports, .. } = &error {
            let names: Vec<_> = exports.entrypoint_names().collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Self::new(Code::UnknownEntrypoint, error.to_string())
                .hint(format!("entrypoints of {session}: {known}"));
        }
        let (code, hint) = match &error {
            ChangeError::UnknownLink { .. } => (Code::UnknownLink, "`jackfield links` lists the links"),
            ChangeError::UnknownSession { .. } => (Code::UnknownSession, "`jackfield ls` lists the sessions"),
            ChangeError::UnknownClass { .. } => {
                (Code::UnknownClass, "`jackfield ls --json` lists the classes of each session")
            }
            ChangeError::UnknownEntrypoint { .. } => (Code::UnknownEntrypoint, "`jackfield ls` lists them"),
            ChangeError::NotAClass { .. } => {
                (Code::BadTarget, "name the class after a `#`, like `api@green#Room`")
            }
            ChangeError::PropsNotAnObject { .. } => {
                (Code::BadTarget, "give an object, like '{\"tenant\":1}'")
            }
            ChangeError::OtherKind { .. } => {
                (Code::BadTarget, "take the link out, reload, and put it in again")
            }
            ChangeError::OtherIds { .. } => (
                Code::BadTarget,
                "give both classes the same `storage` and `unique_key` in the project file, and reload",
            ),
            ChangeError::Twice { .. } => (Code::BadRequest, "give each link once"),
            ChangeError::StillAimed { .. } => (Code::BadTarget, "retarget that link first"),
            ChangeError::Stale { .. } => (Code::Stale, "list the links again and decide anew"),
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}

impl From<ProjectError> for Problem {
    fn from(error: ProjectError) -> Self {
        let code = match error {
            ProjectError::Sources { .. } => Code::BadSources,
            ProjectError::Unreadable { .. } | ProjectError::Invalid { .. } => Code::BadProject,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SurveyError> for Problem {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Project(error) => error.into(),
            SurveyError::Late { .. } => Self::new(Code::BadSources, error.to_string()),
            _ => Self::new(Code::StartFailed, error.to_string()),
        }
    }
}
