//! Values of any shape, with cycles and shared objects: what is written is read, and the same; so with their text.

use proptest::prelude::*;

use crate::fuzz_bodies::script::Script;
use crate::fuzz_bodies::v8::{any_value, check_written};

proptest! {
    #[test]
    fn there_and_back(choices in proptest::collection::vec(any::<u8>(), 0..1500)) {
        check_written(&any_value(&mut Script::new(&choices)));
    }
}
