//! Where a message ends, and where its segments are.

use super::{FrameError, Segment};

/// Most segments that a message may have: C++ refuses 512 and more.
pub const MAX_SEGMENTS: usize = 511;

/// Length in bytes of the message that starts with `prefix`; `None` while the segment table is incomplete.
///
/// # Errors
/// The table names too many segments, or a message of more than `max` bytes.
pub fn length(prefix: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(count) = u32_at(prefix, 0) else { return Ok(None) };
    let count = u64::from(count) + 1;
    if count > MAX_SEGMENTS as u64 {
        return Err(FrameError::TooManySegments(count));
    }
    let count = count as usize;
    let table = (4 + 4 * count).next_multiple_of(8);
    let mut total = table as u64;
    for index in 0..count {
        let Some(words) = u32_at(prefix, 4 + 4 * index) else { return Ok(None) };
        total += u64::from(words) * 8;
    }
    if total > max as u64 {
        return Err(FrameError::TooLong { bytes: total, max });
    }
    Ok(Some(total as usize))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The segments behind the first of a message that is exactly `bytes`.
#[cold]
pub(super) fn segments(bytes: &[u8], first: &mut Segment) -> Result<Vec<Segment>, FrameError> {
    match length(bytes, bytes.len())? {
        Some(len) if len == bytes.len() => {}
        _ => return Err(FrameError::Truncated),
    }
    let count = u32_at(bytes, 0).ok_or(FrameError::Truncated)? as usize + 1;
    let mut start = (4 + 4 * count).div_ceil(8) as u32;
    let mut further = Vec::new();
    for index in 0..count {
        let len = u32_at(bytes, 4 + 4 * index).ok_or(FrameError::Truncated)?;
        let segment = Segment { start, len };
        match index {
            0 => *first = segment,
            _ => further.push(segment),
        }
        start += len;
    }
    Ok(further)
}
