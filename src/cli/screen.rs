//! How results look: data on standard output, everything else on standard error, colour only where it is seen.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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

/// Between two columns.
const GAP: &str = "  ";

/// What no column is made narrower than: less of a name tells nothing.
const NARROWEST: usize = 10;

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
            State::Stopped => Self::new("stopped").style(PENDING),
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

/// Lines up `rows` under `heads`. On a terminal what is longest is shortened until a line of it holds a row.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: Vec<[Cell; N]>) -> String {
    lined_up(heads, rows, columns())
}

/// How wide the terminal is; `None` where nobody looks on.
fn columns() -> Option<usize> {
    let out = io::stdout();
    let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| out.is_terminal())?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

fn lined_up<const N: usize>(heads: [&str; N], mut rows: Vec<[Cell; N]>, columns: Option<usize>) -> String {
    let mut widths = heads.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.width());
        }
    }
    fit(&mut widths, columns.unwrap_or(usize::MAX));
    for row in &mut rows {
        for (cell, width) in row.iter_mut().zip(widths) {
            shorten(&mut cell.text, width);
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

/// Takes from the widest column, again and again, until all fit or none can give any more.
fn fit(widths: &mut [usize], columns: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(columns);
    while over > 0
        && let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > NARROWEST)
    {
        (*widest, over) = (*widest - 1, over - 1);
    }
}

/// Leaves out the middle of a text that is too wide: names differ at their ends.
fn shorten(text: &mut String, width: usize) {
    if text.width() <= width {
        return;
    }
    let half = width.saturating_sub(1);
    let (before, after) = (half.div_ceil(2), half / 2);
    let upto = |most: usize, all: &mut dyn Iterator<Item = char>| {
        let mut room = most;
        let fits = |c: &char| {
            let needed = c.width().unwrap_or_default();
            let fits = needed <= room;
            room = room.saturating_sub(needed);
            fits
        };
        all.take_while(fits).collect::<String>()
    };
    let head = upto(before, &mut text.chars());
    let tail: String = upto(after, &mut text.chars().rev()).chars().rev().collect();
    *text = format!("{head}…{tail}");
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    for (index, (Cell { text, style, right }, width)) in row.iter().zip(widths).enumerate() {
        let last = index + 1 == row.len();
        let space = " ".repeat(width.saturating_sub(text.width()));
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

/// Text of which a terminal obeys nothing but colours: workers, registries and names are others' words.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let (mut harmless, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((at, control)) = rest.char_indices().find(|(_, c)| obeyed(*c)) {
        let (before, from) = rest.split_at(at);
        harmless.push_str(before);
        let colour = from.strip_prefix("\x1b[").and_then(|inner| {
            let length = inner.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
            inner.get(length..)?.starts_with('m').then_some("\x1b[".len() + length + 1)
        });
        let (word, after) = from.split_at(colour.unwrap_or(control.len_utf8()));
        match colour {
            Some(_) => harmless.push_str(word),
            None => harmless.extend(control.escape_default()),
        }
        rest = after;
    }
    harmless.push_str(rest);
    Cow::Owned(harmless)
}

/// A reader that has seen enough (`| head`) is no error.
fn print(mut out: impl Write, text: &str) -> io::Result<()> {
    match writeln!(out, "{}", harmless(text)).and_then(|()| out.flush()) {
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
    fn what_is_longest_is_shortened_in_its_middle_until_a_row_fits() {
        let row = || {
            vec![[Cell::new("api@a-very-long-branch"), Cell::new("up"), Cell::new("http://api.localhost/")]]
        };
        let shown = |columns| {
            let text = lined_up(["SESSION", "STATE", "URL"], row(), columns);
            anstream::adapter::strip_str(&text).to_string()
        };
        assert_eq!(shown(Some(40)), "SESSION           STATE  URL\napi@a-ve…-branch  up     http://…alhost/");
        assert!(shown(Some(40)).lines().all(|line| line.width() <= 40));
        assert_eq!(shown(None), shown(Some(52)));
        assert_eq!(shown(Some(1)), "SESSION     STATE  URL\napi@a…anch  up     http:…ost/");
        let mut wide = "日本語日本語".to_owned();
        shorten(&mut wide, 8);
        assert_eq!(wide, "日本…語");
    }

    #[test]
    fn a_terminal_obeys_nothing_but_colours() {
        assert_eq!(harmless("a\tb\n\x1b[1;31mred\x1b[0m"), "a\tb\n\x1b[1;31mred\x1b[0m");
        assert_eq!(
            harmless("\x1b]0;title\x07\x1b[2J\r\u{9b}x\x1b[1"),
            "\\u{1b}]0;title\\u{7}\\u{1b}[2J\\r\\u{9b}x\\u{1b}[1"
        );
    }

    #[test]
    fn times_have_one_unit() {
        let shown = [0, 59, 60, 3_599, 3_600, 86_399, 200_000].map(|s| ago(Duration::from_secs(s)));
        assert_eq!(shown, ["0s", "59s", "1m", "59m", "1h", "23h", "2d"]);
    }
}
