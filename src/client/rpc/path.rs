use std::fmt;

/// The way from an object to one of its methods or properties: names, of which there may be none.
///
/// A text is one name, whatever is in it; an array of texts is one name after the other. No names at all stand for
/// the object itself, which is how a function is called.
///
/// ```
/// use jackfield::client::Path;
///
/// assert_eq!(Path::from("add").to_string(), "add");
/// assert_eq!(Path::from(["obj", "deep", "v"]), Path::dotted("obj.deep.v"));
/// assert_eq!(Path::default().to_string(), "(this)");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<String>);

impl Path {
    /// Names that are separated by dots. An empty text is no name.
    pub fn dotted(text: &str) -> Self {
        match text {
            "" => Path::default(),
            text => text.split('.').collect(),
        }
    }

    /// Its names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// How many bytes its names have together.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|name| name.len() + 16).sum()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("(this)"),
            names => f.write_str(&names.join(".")),
        }
    }
}

impl<S: Into<String>> FromIterator<S> for Path {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Path(names.into_iter().map(Into::into).collect())
    }
}

impl From<&str> for Path {
    fn from(name: &str) -> Self {
        Path(vec![name.to_owned()])
    }
}

impl From<String> for Path {
    fn from(name: String) -> Self {
        Path(vec![name])
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().collect()
    }
}

impl From<&[&str]> for Path {
    fn from(names: &[&str]) -> Self {
        names.iter().copied().collect()
    }
}

impl From<&[String]> for Path {
    fn from(names: &[String]) -> Self {
        Path(names.to_vec())
    }
}

impl From<Vec<String>> for Path {
    fn from(names: Vec<String>) -> Self {
        Path(names)
    }
}
