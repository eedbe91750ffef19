//! The workerd that tests run against.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jackfield::session::workerd::{Options, Workerd, locate, locate_esbuild};

/// The workerd that jackfield itself would run here; fetched if there is none, once for all tests.
///
/// # Panics
/// Without a workerd: a test that needs one must not pass for want of it.
pub fn workerd() -> &'static Workerd {
    static FOUND: OnceLock<Workerd> = OnceLock::new();
    FOUND.get_or_init(|| {
        let found = Options::from_env(Path::new(env!("CARGO_MANIFEST_DIR")))
            .and_then(|options| locate(&options, &mut ()));
        found.unwrap_or_else(|error| panic!("this test runs a real workerd, and there is none: {error}"))
    })
}

/// The binary of [`workerd`].
pub fn workerd_path() -> &'static Path {
    &workerd().path
}

/// The esbuild with which a workerd compiles projects; found or fetched in the same way.
///
/// # Panics
/// Without one.
pub fn esbuild_path() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let options = Options::from_env(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("a known platform");
        locate_esbuild(&options, &mut ()).unwrap_or_else(|error| panic!("this test bundles: {error}"))
    })
}
