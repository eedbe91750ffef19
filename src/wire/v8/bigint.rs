//! Integers of any size.

use std::fmt;
use std::str::FromStr;

/// A BigInt: a sign, and digits of 64 bits, the lowest first and no zero on top.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct BigInt {
    negative: bool,
    digits: Vec<u64>,
}

/// BigInts with more digits than this are printed in hexadecimal: decimal takes quadratic time.
const DECIMAL_DIGITS: usize = 2048;

/// The greatest power of ten in a digit, and its exponent.
const TEN_POWER: u64 = 10_000_000_000_000_000_000;
const TEN_EXPONENT: usize = 19;

impl BigInt {
    /// An integer of these digits, the lowest first. There is no negative zero.
    pub fn from_digits(negative: bool, mut digits: Vec<u64>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        BigInt { negative: negative && !digits.is_empty(), digits }
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The digits of its magnitude, the lowest first.
    pub fn digits(&self) -> &[u64] {
        &self.digits
    }

    /// The number, if 128 bits hold it.
    pub fn to_i128(&self) -> Option<i128> {
        let magnitude = self.magnitude()?;
        if self.negative { 0_i128.checked_sub_unsigned(magnitude) } else { i128::try_from(magnitude).ok() }
    }

    /// The number, if it is not negative and 128 bits hold it.
    pub fn to_u128(&self) -> Option<u128> {
        self.magnitude().filter(|_| !self.negative)
    }

    fn magnitude(&self) -> Option<u128> {
        match self.digits.as_slice() {
            [] => Some(0),
            [low] => Some(u128::from(*low)),
            [low, high] => Some(u128::from(*high) << 64 | u128::from(*low)),
            _ => None,
        }
    }

    /// Multiplies the digits, and adds.
    fn multiply_add(digits: &mut Vec<u64>, factor: u64, term: u64) {
        let mut carry = term;
        for digit in digits.iter_mut() {
            let product = u128::from(*digit) * u128::from(factor) + u128::from(carry);
            (*digit, carry) = (product as u64, (product >> 64) as u64);
        }
        if carry != 0 {
            digits.push(carry);
        }
    }

    fn decimal(&self) -> String {
        let mut left = self.digits.clone();
        let mut parts = Vec::new();
        while !left.is_empty() {
            let mut rest = 0_u64;
            for digit in left.iter_mut().rev() {
                let dividend = u128::from(rest) << 64 | u128::from(*digit);
                *digit = (dividend / u128::from(TEN_POWER)) as u64;
                rest = (dividend % u128::from(TEN_POWER)) as u64;
            }
            if left.last() == Some(&0) {
                left.pop();
            }
            parts.push(rest);
        }
        let mut parts = parts.iter().rev();
        let mut text = parts.next().copied().unwrap_or_default().to_string();
        parts.for_each(|part| text.push_str(&format!("{part:019}")));
        text
    }
}

/// Decimal; in hexadecimal after `0x` from some 40,000 decimal digits on.
impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.digits.len() <= DECIMAL_DIGITS {
            self.decimal()
        } else {
            let mut digits = self.digits.iter().rev();
            let mut text = format!("{:#x}", digits.next().copied().unwrap_or_default());
            digits.for_each(|digit| text.push_str(&format!("{digit:016x}")));
            text
        };
        f.write_str(if self.negative { "-" } else { "" })?;
        f.write_str(&text)
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}n")
    }
}

/// It is no integer, or too long for decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no integer in decimal, or in hexadecimal after 0x; beyond 39,000 digits only hexadecimal is read"
)]
pub struct ParseBigIntError;

/// Reads what [`BigInt`]'s `Display` writes.
impl FromStr for BigInt {
    type Err = ParseBigIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (hexadecimal, text) = text.strip_prefix("0x").map_or((false, text), |text| (true, text));
        let radix = if hexadecimal { 16 } else { 10 };
        let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
        let too_long = !hexadecimal && text.len() > DECIMAL_DIGITS * TEN_EXPONENT;
        if text.is_empty() || too_long || !text.as_bytes().iter().all(is_digit) {
            return Err(ParseBigIntError);
        }
        let mut digits = Vec::new();
        if hexadecimal {
            for part in text.as_bytes().rchunks(16) {
                digits.push(number(part, radix)?);
            }
        } else {
            let (first, rest) = text.as_bytes().split_at(text.len() % TEN_EXPONENT);
            BigInt::multiply_add(&mut digits, 0, if first.is_empty() { 0 } else { number(first, radix)? });
            for part in rest.chunks(TEN_EXPONENT) {
                BigInt::multiply_add(&mut digits, TEN_POWER, number(part, radix)?);
            }
        }
        Ok(BigInt::from_digits(negative, digits))
    }
}

fn number(digits: &[u8], radix: u32) -> Result<u64, ParseBigIntError> {
    let text = std::str::from_utf8(digits).map_err(|_| ParseBigIntError)?;
    u64::from_str_radix(text, radix).map_err(|_| ParseBigIntError)
}

impl From<u128> for BigInt {
    fn from(number: u128) -> Self {
        BigInt::from_digits(false, vec![number as u64, (number >> 64) as u64])
    }
}

impl From<i128> for BigInt {
    fn from(number: i128) -> Self {
        BigInt { negative: number < 0, ..BigInt::from(number.unsigned_abs()) }
    }
}

impl From<u64> for BigInt {
    fn from(number: u64) -> Self {
        BigInt::from(u128::from(number))
    }
}

impl From<i64> for BigInt {
    fn from(number: i64) -> Self {
        BigInt::from(i128::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in ["0", "1", "-1", "18446744073709551616", "-170141183460469231731687303715884105728"] {
            let read: BigInt = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(BigInt::from(text.parse::<i128>().unwrap()), read);
        }
        let long = format!("-7{}", "0123456789".repeat(400));
        assert_eq!(long.parse::<BigInt>().unwrap().to_string(), long);
        let hex = format!("-0xf{}", "0123456789abcdef".repeat(DECIMAL_DIGITS));
        assert_eq!(hex.parse::<BigInt>().unwrap().to_string(), hex);
        assert_eq!("0x10".parse::<BigInt>().unwrap(), BigInt::from(16_u64));
        assert_eq!("-0".parse::<BigInt>().unwrap(), BigInt::default());
        for bad in ["", "-", "0x", "1.5", "x", "1n", " 1", "+1", "--1"] {
            assert!(bad.parse::<BigInt>().is_err(), "{bad}");
        }
    }
}
