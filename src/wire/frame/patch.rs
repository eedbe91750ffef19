//! Changing a frame: words where they lie, and what is longer than it was, behind the frame.

use super::{Frame, Segment, Struct, StructList};

impl Frame<'_> {
    /// Makes `of` at least `data` words and `ptrs` pointers long, by moving it behind the frame where it is not.
    /// The slot of its pointer must exist.
    pub fn lengthen(&mut self, of: Struct, data: u16, ptrs: u16) -> Struct {
        if of.data >= data && of.ptrs >= ptrs {
            return of;
        }
        let to = self.append(of.ptr, of.data.max(data), of.ptrs.max(ptrs));
        for index in 0..of.data {
            let word = self.word(of.pos + u32::from(index));
            self.set_word(to.pos + u32::from(index), word);
        }
        for index in 0..of.ptrs {
            let from = of.pos + u32::from(of.data) + u32::from(index);
            let word = self.moved_pointer(of.segment, from);
            self.set_word(to.pos + u32::from(to.data) + u32::from(index), word);
        }
        to
    }

    /// A new zeroed struct behind the frame, to which the pointer at `ptr` leads from now on.
    pub fn append(&mut self, ptr: u32, data: u16, ptrs: u16) -> Struct {
        let pad = self.end() + self.added.len() as u32;
        self.added.push(u64::from(data) << 32 | u64::from(ptrs) << 48);
        self.added.extend(std::iter::repeat_n(0, usize::from(data) + usize::from(ptrs)));
        let (segment, far) = self.far_to(pad);
        self.set_word(ptr, far);
        Struct { ptr, ptr_segment: segment, segment, pos: pad + 1, data, ptrs }
    }

    /// A new list of `len` zeroed structs behind the frame, to which the pointer at `ptr` leads from now on.
    pub fn append_list(&mut self, ptr: u32, len: u32, data: u16, ptrs: u16) -> StructList {
        let pad = self.end() + self.added.len() as u32;
        let words = len * (u32::from(data) + u32::from(ptrs));
        self.added.push(1 | 7 << 32 | u64::from(words) << 35);
        self.added.push(u64::from(len) << 2 | u64::from(data) << 32 | u64::from(ptrs) << 48);
        self.added.extend(std::iter::repeat_n(0, words as usize));
        let (segment, far) = self.far_to(pad);
        self.set_word(ptr, far);
        StructList { segment, pos: pad + 2, len, data, ptrs }
    }

    fn far_to(&self, pad: u32) -> (u16, u64) {
        let (last, Segment { start, .. }) = self.last_segment();
        (last as u16, 2 | u64::from(pad - start) << 3 | u64::from(last) << 32)
    }

    /// What to write elsewhere so that it leads where the pointer at `from` leads.
    fn moved_pointer(&mut self, segment: u16, from: u32) -> u64 {
        let word = self.word(from);
        if word == 0 || word & 3 >= 2 {
            return word;
        }
        // A relative pointer reaches only its own segment and the pad of a plain far pointer would have to lie
        // there too, so it becomes a double far pointer, whose pad may lie anywhere.
        let target = (i64::from(from) + 1 + i64::from((word as i32) >> 2)) as u32;
        let start = self.segment(u32::from(segment)).map_or(0, |segment| segment.start);
        let pad = self.end() + self.added.len() as u32;
        self.added.push(2 | u64::from(target.wrapping_sub(start)) << 3 | u64::from(segment) << 32);
        self.added.push(word & !0xffff_fffc);
        self.far_to(pad).1 | 4
    }

    /// Appends the patched message to `out`.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        if self.added.is_empty() {
            out.extend_from_slice(self.bytes);
            return;
        }
        let (last, segment) = self.last_segment();
        let at = 4 + 4 * last as usize;
        if let Some(len) = self.bytes.get_mut(at..at + 4) {
            len.copy_from_slice(&(segment.len + self.added.len() as u32).to_le_bytes());
        }
        out.reserve(self.bytes.len() + self.added.len() * 8);
        out.extend_from_slice(self.bytes);
        for word in &self.added {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
}
