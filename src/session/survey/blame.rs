//! Which part of the project file a complaint of workerd's is about.

use super::super::project::{Part, Problem, Project, SessionSpec};

/// Said of a flag that this workerd does not have.
pub(super) const NO_SUCH_FLAG: &str = "No such compatibility flag: ";

/// A complaint with its place.
pub(super) struct Blamed {
    pub(super) problem: Problem,
    /// Whether the script is to blame, and not what the file says.
    pub(super) is_source: bool,
    /// A flag that there is not, and for which there may be a near one.
    pub(super) unknown_flag: Option<String>,
}

/// workerd's words differ from version to version, the names in them do not: so those are looked for.
pub(super) fn problem(project: &Project, spec: &SessionSpec, text: String) -> Blamed {
    let (part, what) = if let Some(flag) = text.strip_prefix(NO_SUCH_FLAG) {
        (Part::Flag(flag.to_owned()), format!("this workerd knows no compatibility flag `{flag}`"))
    } else if let Some(flag) = spec.compatibility_flags.iter().rfind(|flag| names(&text, flag)) {
        (Part::Flag(flag.clone()), format!("the compatibility flag `{flag}` cannot stand here"))
    } else if text.contains(&spec.compatibility_date) {
        let date = &spec.compatibility_date;
        (Part::Date, format!("this workerd cannot take the compatibility date `{date}`"))
    } else {
        let (_, script) = spec.main();
        let script = script.strip_prefix(&project.root).unwrap_or(script);
        (Part::Script, format!("`{}` of session `{}` cannot be loaded", script.display(), spec.name))
    };
    let unknown_flag = text.strip_prefix(NO_SUCH_FLAG).map(str::to_owned);
    let why = match &part {
        Part::Flag(_) if unknown_flag.is_some() => {
            "they are listed at https://developers.cloudflare.com/workers/configuration/compatibility-flags/; \
             a newer workerd may know it"
                .to_owned()
        }
        Part::Date => format!("{text}\nuse an earlier date, or a newer workerd"),
        _ => text,
    };
    let is_source = part == Part::Script;
    let at = project.places.find(&spec.name, part);
    Blamed {
        problem: Problem { file: project.places.file(&spec.name), at, what, why, nearest: None },
        is_source,
        unknown_flag,
    }
}

/// Whether `text` has `name` as a whole word.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name)
}
