//! A value in eight bytes: a number, or what no number looks like.

/// A value inside a heap: immediate, or the place of something in the heap's tables.
///
/// Numbers are stored as they are, with one NaN for all. Everything else hides among the negative NaNs: the upper
/// sixteen bits say what it is, the lower 48 where. So a million elements take eight megabytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u64);

/// A [`Slot`], taken apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Item {
    Undefined,
    Null,
    Bool(bool),
    /// What is not there: a hole in an array, a cause that was not given.
    Hole,
    Number(f64),
    /// A string of UTF-8, by its place in `Heap::texts`.
    Text(usize),
    /// A string with lone surrogates, by its place in `Heap::wides`.
    Wide(usize),
    BigInt(usize),
    Node(usize),
}

const TAG: u64 = 0xffff << 48;
const PAYLOAD: u64 = !TAG;
const SPECIAL: u64 = 0xfff9 << 48;
const TEXT: u64 = 0xfffa << 48;
const WIDE: u64 = 0xfffb << 48;
const BIG_INT: u64 = 0xfffc << 48;
const NODE: u64 = 0xfffd << 48;

impl Slot {
    pub(super) const UNDEFINED: Slot = Slot(SPECIAL);
    pub(super) const NULL: Slot = Slot(SPECIAL | 1);
    pub(super) const FALSE: Slot = Slot(SPECIAL | 2);
    pub(super) const TRUE: Slot = Slot(SPECIAL | 3);
    pub(super) const HOLE: Slot = Slot(SPECIAL | 4);

    #[inline]
    pub(super) fn bool(value: bool) -> Slot {
        if value { Slot::TRUE } else { Slot::FALSE }
    }

    #[inline]
    pub(super) fn number(value: f64) -> Slot {
        Slot(if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() })
    }

    /// The places below count things that take at least eight bytes each: 48 bits hold any of them.
    #[inline]
    pub(super) fn text(place: usize) -> Slot {
        Slot(TEXT | place as u64 & PAYLOAD)
    }

    #[inline]
    pub(super) fn wide(place: usize) -> Slot {
        Slot(WIDE | place as u64 & PAYLOAD)
    }

    #[inline]
    pub(super) fn big_int(place: usize) -> Slot {
        Slot(BIG_INT | place as u64 & PAYLOAD)
    }

    #[inline]
    pub(super) fn node(place: usize) -> Slot {
        Slot(NODE | place as u64 & PAYLOAD)
    }

    #[inline]
    pub(super) fn item(self) -> Item {
        let place = (self.0 & PAYLOAD) as usize;
        match self.0 & TAG {
            SPECIAL => match place {
                0 => Item::Undefined,
                1 => Item::Null,
                2 => Item::Bool(false),
                3 => Item::Bool(true),
                _ => Item::Hole,
            },
            TEXT => Item::Text(place),
            WIDE => Item::Wide(place),
            BIG_INT => Item::BigInt(place),
            NODE => Item::Node(place),
            _ => Item::Number(f64::from_bits(self.0)),
        }
    }

    #[inline]
    pub(super) fn is_hole(self) -> bool {
        self == Slot::HOLE
    }

    /// Whether it stands for itself, in any heap or none.
    #[inline]
    pub(super) fn is_immediate(self) -> bool {
        !matches!(self.0 & TAG, TEXT | WIDE | BIG_INT | NODE)
    }

    /// The place of an object.
    #[inline]
    pub(super) fn as_node(self) -> Option<usize> {
        (self.0 & TAG == NODE).then_some((self.0 & PAYLOAD) as usize)
    }

    /// The same thing, in tables to which others were moved.
    #[inline]
    pub(super) fn moved(self, by: &Moved) -> Slot {
        let by = match self.0 & TAG {
            TEXT => by.texts,
            WIDE => by.wides,
            BIG_INT => by.big_ints,
            NODE => by.nodes,
            _ => 0,
        };
        // Places stay below 2^48: see `text`.
        Slot(self.0 + by as u64)
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.item().fmt(f)
    }
}

/// How far the tables of a heap moved when it became a part of another.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    pub(super) nodes: usize,
    pub(super) slots: usize,
    pub(super) texts: usize,
    pub(super) utf8: usize,
    pub(super) wides: usize,
    pub(super) utf16: usize,
    pub(super) big_ints: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_places_are_told_apart() {
        for number in [0.0, -0.0, 1.5, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY] {
            let Item::Number(back) = Slot::number(number).item() else { panic!("{number} is no number") };
            assert_eq!(back.to_bits(), number.to_bits());
        }
        for bits in [u64::MAX, 0xfff8 << 48, 0x7ff0_0000_0000_0001, 0xfffa_0000_0000_0003] {
            assert!(matches!(Slot::number(f64::from_bits(bits)).item(), Item::Number(n) if n.is_nan()));
        }
        assert_eq!(Slot::node(7).item(), Item::Node(7));
        assert_eq!(Slot::text(1 << 40).item(), Item::Text(1 << 40));
        assert_eq!(Slot::HOLE.item(), Item::Hole);
        assert_eq!(Slot::bool(true).item(), Item::Bool(true));
    }
}
