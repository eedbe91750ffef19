//! Looking for capabilities in content. Nothing is claimed: content is never patched.

use smallvec::SmallVec;

use super::{Frame, MAX_TRANSFORM, Struct, struct_size};

/// Most pointers that are looked at to find the capabilities in an answer: an answer has a handful, behind one or
/// two structs.
const MAX_WALK: usize = 1024;

/// Paths to capabilities, and their indices in the capability table.
pub type Paths = SmallVec<[(SmallVec<[u16; 4]>, u32); 2]>;

/// A walk through content: where it is, how many pointers it may still look at, and what it found.
struct Walk {
    path: SmallVec<[u16; 4]>,
    left: usize,
    found: Paths,
}

impl Frame<'_> {
    /// The index of the capability that `path` leads to from pointer `index` of `parent`; `None` where there is
    /// none. Nothing is claimed: this reads content, which is never patched.
    pub fn capability(&mut self, parent: &Struct, index: u16, path: &[u16]) -> Option<u32> {
        let (mut segment, mut ptr) = (parent.segment, parent.pointer(index)?);
        for &field in path {
            let found = self.follow(segment, ptr, false).ok()?;
            let (data, ptrs) = struct_size(found.word);
            if found.word == 0 || found.word & 3 != 0 || field >= ptrs {
                return None;
            }
            self.within(found.segment, found.pos, u32::from(data) + u32::from(ptrs), ptr).ok()?;
            (segment, ptr) = (found.segment, found.pos + u32::from(data) + u32::from(field));
        }
        let word = self.follow(segment, ptr, false).ok()?.word;
        (word as u32 == 3).then_some((word >> 32) as u32)
    }

    /// The capabilities behind pointer `index` of `parent` that can be reached through structs, each with its path
    /// and its index. Nothing is claimed. What lies deeper than anybody nests is not looked for.
    pub fn capabilities(&mut self, parent: &Struct, index: u16) -> Paths {
        let mut walk = Walk { path: SmallVec::new(), left: MAX_WALK, found: Paths::new() };
        if let Some(ptr) = parent.pointer(index) {
            self.walk(parent.segment, ptr, &mut walk);
        }
        walk.found
    }

    fn walk(&mut self, segment: u16, ptr: u32, walk: &mut Walk) {
        let Ok(to) = self.follow(segment, ptr, false) else { return };
        if to.word as u32 == 3 {
            return walk.found.push((walk.path.clone(), (to.word >> 32) as u32));
        }
        let (data, ptrs) = struct_size(to.word);
        let words = u32::from(data) + u32::from(ptrs);
        let is_struct = to.word & 3 == 0 && self.within(to.segment, to.pos, words, ptr).is_ok();
        if to.word == 0 || !is_struct || walk.path.len() >= MAX_TRANSFORM {
            return;
        }
        for field in 0..ptrs {
            let Some(left) = walk.left.checked_sub(1) else { return };
            walk.left = left;
            let at = to.pos + u32::from(data) + u32::from(field);
            if self.word(at) != 0 {
                walk.path.push(field);
                self.walk(to.segment, at, walk);
                walk.path.pop();
            }
        }
    }
}
