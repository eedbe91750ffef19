//! How results look: data on standard output, everything else on standard error, colour only where it is seen.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::control::shape::State;

/// Green, for what works.
pub(super) const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
/// Yellow, for what is on its way.
pub(super) const PENDING: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
/// Red, for what does not work.
pub(super) const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
/// For what is less important.
pub(super) const FAINT: Style = Style::new().dimmed();
/// For what is asked about.
pub(super) const STRONG: Style = Style::new().bold();

/// What others have said, as it can be shown: it may come from a file that anybody wrote, or from a worker.
pub(super) fn plain(text: &str) -> String {
    let shown = |c: char| match c.is_control() && c != '\n' {
        true => c.escape_default().collect(),
        false => String::from(c),
    };
    text.chars().map(shown).collect()
}

/// Between two columns.
const GAP: &str = "  ";

/// One place in a table.
pub(super) struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    pub(super) fn new(text: impl ToString) -> Self {
        Self { text: text.to_string(), style: Style::new(), right: false }
    }

    /// A dash where there is nothing to show: an empty place looks like a mistake.
    pub(super) fn or_dash(text: Option<impl ToString>) -> Self {
        text.map_or_else(|| Self::new("-").style(FAINT), Self::new)
    }

    pub(super) fn state(state: State) -> Self {
        match state {
            State::Starting => Self::new("starting").style(PENDING),
            State::Up => Self::new("up").style(GOOD),
            State::Down => Self::new("down").style(BAD),
        }
    }

    pub(super) fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// For numbers.
    pub(super) fn right(self) -> Self {
        Self { right: true, ..self }
    }
}

/// Lines up `rows` under `heads`. Texts are ASCII by construction of names, so bytes are columns.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: Vec<[Cell; N]>) -> String {
    let mut widths = heads.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.len());
        }
    }
    let aligned: [bool; N] = rows.first().map_or([false; N], |row| row.each_ref().map(|cell| cell.right));
    let mut index = 0;
    let heads = heads.map(|head| {
        let cell =
            Cell { right: aligned.get(index).copied().unwrap_or_default(), ..Cell::new(head).style(FAINT) };
        index += 1;
        cell
    });
    let lines = std::iter::once(heads).chain(rows).map(|row| line(&row, &widths));
    lines.collect::<Vec<_>>().join("\n")
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    for (index, (Cell { text, style, right }, width)) in row.iter().zip(widths).enumerate() {
        let last = index + 1 == row.len();
        let space = " ".repeat(width - text.len());
        let gap = if index == 0 { "" } else { GAP };
        line.push_str(gap);
        match right {
            true => line.push_str(&format!("{space}{style}{text}{style:#}")),
            false if last => line.push_str(&format!("{style}{text}{style:#}")),
            false => line.push_str(&format!("{style}{text}{style:#}{space}")),
        }
    }
    line
}

/// Prints a result on standard output.
pub(super) fn data(text: &str) -> io::Result<()> {
    print(anstream::stdout().lock(), text)
}

/// Prints what is not the result on standard error.
pub(super) fn note(text: &str) {
    // Nobody listens any more: then nobody misses it.
    let _ = print(anstream::stderr().lock(), text);
}

/// Prints a result as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    data(&serde_json::to_string(value)?)
}

/// A reader that has seen enough (`| head`) is no error.
fn print(mut out: impl Write, text: &str) -> io::Result<()> {
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// How long ago, to the one unit that matters.
pub(super) fn ago(since: Duration) -> String {
    match since.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colour() {
        let rows = vec![
            [Cell::new("a"), Cell::new(7).right(), Cell::state(State::Up)],
            [Cell::new("longer").style(BAD), Cell::or_dash(None::<u8>).right(), Cell::new("x")],
        ];
        let plain = anstream::adapter::strip_str(&table(["NAME", "NUMBER", "STATE"], rows)).to_string();
        assert_eq!(plain, "NAME    NUMBER  STATE\na            7  up\nlonger       -  x");
    }

    #[test]
    fn times_have_one_unit() {
        let shown = [0, 59, 60, 3_599, 3_600, 86_399, 200_000].map(|s| ago(Duration::from_secs(s)));
        assert_eq!(shown, ["0s", "59s", "1m", "59m", "1h", "23h", "2d"]);
    }
}
