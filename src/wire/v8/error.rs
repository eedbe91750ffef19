//! What is wrong with a value.

/// Bytes that are no value, or none that is read here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the value cannot be read at byte {offset}: {fault}")]
pub struct V8Error {
    /// Where, counted from the first byte of the value.
    pub offset: usize,
    /// What.
    pub fault: Fault,
}

/// What is wrong with bytes that should be a value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It ends in the middle.
    #[error("it ends in the middle")]
    Truncated,
    /// It does not begin as a value does.
    #[error("it does not begin with a version (ff 0d to ff 10): these are no V8 bytes")]
    NoHeader,
    /// A version that is not known.
    #[error("version {0} is not known; versions 13 to 16 are read")]
    Version(u32),
    /// A tag that is not known.
    #[error("0x{0:02x} is not known as the beginning of a value")]
    UnknownTag(u8),
    /// A host object that is not known.
    #[error("{} is not read here, and how long it is cannot be told", host_object(*.0))]
    UnknownHostObject(u32),
    /// Something that cannot leave its process.
    #[error("{0} refers to memory of another process and cannot be read here")]
    NotPortable(&'static str),
    /// A reference to an object that does not come before it.
    #[error("it refers to object {id}, and {known} come before it")]
    DanglingReference {
        /// The object that is referred to.
        id: u32,
        /// How many there are.
        known: usize,
    },
    /// A reference to an object of workerd from within it.
    #[error("it refers to object {id} from within it, which no worker can read")]
    UnfinishedReference {
        /// The object that is referred to.
        id: u32,
    },
    /// A count that is not what was counted.
    #[error("it says {said} {what}, and has {found}")]
    Count {
        /// Of what.
        what: &'static str,
        /// The number in it.
        said: u64,
        /// The number found.
        found: u64,
    },
    /// A number that does not fit.
    #[error("a {0} is too large")]
    TooLarge(&'static str),
    /// Something else than must be there.
    #[error("{expected} must come here")]
    Expected {
        /// What.
        expected: &'static str,
    },
    /// An object says the same key twice.
    #[error("an object that ends here has the same key twice")]
    TwiceTheSameKey,
    /// There is more after the value.
    #[error("{0} bytes come after its end")]
    Trailing(usize),
    /// It is nested too deep.
    #[error("it is nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// It is too long.
    #[error("it is {len} bytes long, and the limit is {limit}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// It takes too much memory.
    #[error("it would take more than {limit} bytes of memory")]
    TooMuchMemory {
        /// The limit.
        limit: usize,
    },
    /// The externals are not those that it refers to.
    #[error("it refers to {said} here, and {found} came beside it in this place")]
    External {
        /// What it refers to.
        said: &'static str,
        /// What came.
        found: &'static str,
    },
    /// Externals to which nothing refers.
    #[error("{0} stubs or streams came beside it to which it does not refer")]
    UnusedExternals(usize),
}

/// Host objects that workers can send in some circumstances.
fn host_object(tag: u32) -> String {
    let name = match tag {
        9 => "an AbortSignal",
        13 => "an R2 bucket",
        14 => "a KV namespace",
        16 => "a Socket",
        17 => "a binding",
        _ => return format!("host object {tag}"),
    };
    format!("{name} (host object {tag})")
}

const AS_STREAM: &str = "send large data as a stream";
const FLATTER: &str = "make it flatter: workers read about 2,000 levels";

/// A value that cannot be written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// It is too long.
    #[error("the value takes more than the {limit} bytes that are allowed; {AS_STREAM}")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// It is nested too deep.
    #[error("the value is nested deeper than {limit} levels; {FLATTER}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// One part is longer than the format can say.
    #[error("{0} in the value is longer than the format can say; {AS_STREAM}")]
    Oversized(&'static str),
}

impl EncodeError {
    /// What to do next, as the message ends with it.
    pub fn advice(&self) -> &'static str {
        match self {
            EncodeError::TooLong { .. } | EncodeError::Oversized(_) => AS_STREAM,
            EncodeError::TooDeep { .. } => FLATTER,
        }
    }
}

/// What reading and writing may take. Whatever the bytes, nothing takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the serialized value.
    pub bytes: usize,
    /// Objects within objects.
    pub depth: usize,
    /// Bytes of memory that a value that was read takes.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: Limits::BYTES, depth: Limits::DEPTH, memory: Limits::MEMORY }
    }
}

impl Limits {
    /// workerd takes no longer message. (A value in a JS RPC call may have half of it.)
    pub const BYTES: usize = 64 << 20;
    /// V8 writes between 2,000 and 3,700 levels with its usual stack, less the more there is in each.
    pub const DEPTH: usize = 4096;
    /// Eight times as much as the longest message. Data takes one to eight times its length; only long runs of tiny
    /// objects, such as empty ones, take more.
    pub const MEMORY: usize = 8 * Limits::BYTES;
}
