//! Events of real workers through a real router.

mod basics;
