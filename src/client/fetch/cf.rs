/// What a worker finds as `request.cf`: an extension of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cf(String);

impl Cf {
    /// From JSON. A text that is none makes the event fail, since the worker cannot read it.
    pub fn new(json: impl Into<String>) -> Self {
        Cf(json.into())
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
