//! Numbers as JavaScript prints them.

/// The text of a number. Minus zero has no sign here, as in JavaScript.
pub(super) fn number_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    if number == 0.0 {
        return "0".into();
    }
    // The shortest digits that mean this number, and where the point is: 0.DIGITS × 10^point.
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    let sign = if number < 0.0 { "-" } else { "" };
    let len = digits.len() as i32;
    match point {
        // Up to 21 digits before the point, or six zeros after it, are written out.
        1..=21 if point >= len => format!("{sign}{digits}{}", "0".repeat((point - len) as usize)),
        1..=21 => {
            let (whole, fraction) = digits.split_at_checked(point as usize).unwrap_or((&digits, ""));
            format!("{sign}{whole}.{fraction}")
        }
        -5..=0 => format!("{sign}0.{}{digits}", "0".repeat(-point as usize)),
        _ => {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{dot}{rest}e{:+}", point - 1)
        }
    }
}

/// A half-precision number.
pub(super) fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

/// The furthest that a Date is from 1970, in milliseconds.
const FURTHEST: f64 = 8.64e15;

/// The time that a Date has which was given this one: NaN beyond the furthest, and whole milliseconds within.
pub(super) fn time(milliseconds: f64) -> f64 {
    // Zero is added so that there is no negative zero.
    if milliseconds.abs() <= FURTHEST { milliseconds.trunc() + 0.0 } else { f64::NAN }
}

/// A time as `Date.prototype.toISOString` prints it; `None` for an invalid date.
pub(super) fn iso_date(milliseconds: f64) -> Option<String> {
    const DAY: i64 = 86_400_000;
    if milliseconds.is_nan() || milliseconds.abs() > FURTHEST {
        return None;
    }
    let milliseconds = milliseconds as i64;
    let (day, time) = (milliseconds.div_euclid(DAY), milliseconds.rem_euclid(DAY));
    // Days are counted from the first of March of year 0, so that leap days are the last of their year; 400 years
    // have 146,097 days.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let of_era_year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_year + of_era_year / 4 - of_era_year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = of_era_year + era * 400 + i64::from(month <= 2);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{}{:06}", if year < 0 { '-' } else { '+' }, year.abs()),
    };
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, rest) = (time / 1000 % 60, time % 1000);
    Some(format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_javascript() {
        for (number, text) in [
            (1.0, "1"),
            (-1.5, "-1.5"),
            (1e21, "1e+21"),
            (123456789012345680000.0, "123456789012345680000"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (-0.0, "0"),
            (4294967295.0, "4294967295"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }

    #[test]
    fn dates_look_as_in_javascript() {
        for (time, text) in [
            (0.0, "1970-01-01T00:00:00.000Z"),
            (-1.0, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000.0, "2000-02-29T00:00:00.000Z"),
            (8.64e15, "+275760-09-13T00:00:00.000Z"),
            (-8.64e15, "-271821-04-20T00:00:00.000Z"),
            (-62_167_219_200_000.0, "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_date(time).as_deref(), Some(text));
        }
        assert_eq!(iso_date(f64::NAN), None);
    }

    #[test]
    fn halves() {
        for (bits, number) in [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (1, 5.960464477539063e-8)] {
            assert_eq!(half(bits), number);
        }
        assert_eq!(half(0x7c00), f64::INFINITY);
        assert!(half(0x7e00).is_nan());
    }
}
