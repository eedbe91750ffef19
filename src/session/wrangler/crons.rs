//! Schedules, as workerd's own clock takes them.

use super::text::Value;
use super::worker::Reading;

impl Reading<'_> {
    /// A schedule that workerd's clock does not take would end the process, with a stack of its own.
    pub(super) fn crons(&mut self, triggers: &Value) -> Vec<String> {
        let mut crons = Vec::new();
        for cron in triggers.get("crons").map(Value::items).unwrap_or_default() {
            let Some(text) = cron.text() else {
                self.problem(cron.at, "this schedule is no text", "write one like \"*/5 * * * *\"");
                continue;
            };
            if let Err(why) = check(text) {
                self.problem(cron.at, format!("`{text}` is no schedule"), why);
            }
            crons.push(text.to_owned());
        }
        crons
    }
}

/// One of the five fields: its name, the numbers that it takes, and names for them.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", first: 0, last: 59, names: &[] };
const HOUR: Field = Field { name: "hour", first: 0, last: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", first: 1, last: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// As Cloudflare counts: from Sunday, which is 1.
const WEEKDAY: Field =
    Field { name: "weekday", first: 1, last: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// How many days a month has at most.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Whether it is a schedule that ever comes.
///
/// # Errors
/// What is wrong with it.
fn check(text: &str) -> Result<(), String> {
    let fields: Vec<_> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(format!("it has {} fields, not 5: minute, hour, day, month and weekday", fields.len()));
    };
    MINUTE.list(minute)?;
    HOUR.list(hour)?;
    let days = days(day)?;
    let months = MONTH.list(month)?;
    weekdays(weekday)?;
    // With both said, either will do.
    let comes = weekday != "*" && day != "*"
        || days.is_none_or(|days| {
            let fits =
                |(last, month): (&u32, u32)| months.contains(&month) && days.iter().any(|day| day <= last);
            DAYS.iter().zip(1..).any(fits)
        });
    if comes { Ok(()) } else { Err("no month that it names has such a day".to_owned()) }
}

/// The days that are named by their numbers, if they are.
fn days(text: &str) -> Result<Option<Vec<u32>>, String> {
    let bad = || format!("the day of the month cannot be `{text}`");
    if matches!(text, "*" | "L" | "LW") {
        return Ok(None);
    }
    if let Some(before_last) = text.strip_prefix("L-") {
        let before_last = before_last.strip_suffix('W').unwrap_or(before_last);
        return match digits(before_last) {
            Some(1..=30) => Ok(None),
            _ => Err(bad()),
        };
    }
    match text.strip_suffix('W') {
        Some(day) => DAY.value(day).map(|day| Some(vec![day])),
        None => DAY.list(text).map(Some),
    }
}

fn weekdays(text: &str) -> Result<(), String> {
    if matches!(text, "*" | "L") {
        return Ok(());
    }
    if let Some(day) = text.strip_suffix('L') {
        return WEEKDAY.value(day).map(drop);
    }
    if let Some((day, which)) = text.split_once('#') {
        WEEKDAY.value(day)?;
        return match digits(which) {
            Some(1..=5) => Ok(()),
            _ => Err(format!("a month has no {which}th of a weekday, as in `{text}`")),
        };
    }
    WEEKDAY.list(text).map(drop)
}

impl Field {
    fn value(&self, text: &str) -> Result<u32, String> {
        let Self { name, first, last, names } = self;
        let named = names.iter().position(|known| known.eq_ignore_ascii_case(text));
        let value = named.and_then(|index| Some(first + u32::try_from(index).ok()?)).or_else(|| digits(text));
        match value {
            Some(value) if (*first..=*last).contains(&value) => Ok(value),
            Some(value) => Err(format!("the {name} cannot be {value}, only {first} to {last}")),
            None => Err(format!("the {name} cannot be `{text}`")),
        }
    }

    /// Values, ranges and steps.
    fn list(&self, text: &str) -> Result<Vec<u32>, String> {
        let name = self.name;
        let mut all = Vec::new();
        for item in text.split(',') {
            if item == "*" && text != "*" {
                return Err(format!("the {name} has a `*` beside others, in `{text}`"));
            }
            let (range, step) =
                item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
            let every =
                step.map_or(Some(1), digits).filter(|step| (1..=self.last - self.first).contains(step));
            let every = every.ok_or_else(|| format!("the {name} cannot go in such steps: `{item}`"))?;
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.first, self.last),
                Some((from, to)) => (self.value(from)?, self.value(to)?),
                None if step.is_some() => (self.value(range)?, self.last),
                None => (self.value(range)?, self.value(range)?),
            };
            if from > to {
                return Err(format!("the {name} goes backwards in `{item}`; write it as two ranges"));
            }
            all.extend((from..=to).step_by(usize::try_from(every).unwrap_or(1)));
        }
        Ok(all)
    }
}

fn digits(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_of_all_kinds() {
        for good in [
            "* * * * *",
            "*/5 0-6,12,20/2 1,15 JAN-mar,12 *",
            "0 0 L * *",
            "0 0 L-3W * *",
            "0 0 LW * *",
            "0 0 15W * *",
            "0 0 * * 2#1",
            "0 0 * * FRIL",
            " 0  0 * * mon-FRI ",
            "0 0 29 2 *",
            "0 0 31 2 mon",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("60 * * * *", "minute cannot be 60"),
            ("* 1,* * * *", "beside others"),
            ("*/0 * * * *", "steps"),
            ("*/5/2 * * * *", "steps"),
            ("1-2-3 * * * *", "`2-3`"),
            ("* * 0W * *", "cannot be 0"),
            ("* * L-31 * *", "L-31"),
            ("* * * foo *", "month cannot be `foo`"),
            ("* * * * 0", "weekday cannot be 0"),
            ("* * * * 2#6", "6th"),
            ("* * * * SAT-SUN", "backwards"),
            ("+5 * * * *", "`+5`"),
            ("0 0 30 2 *", "no month"),
            ("0 0 31W 4,6 *", "no month"),
        ] {
            let said = check(bad).expect_err(bad);
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
