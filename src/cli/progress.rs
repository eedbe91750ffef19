//! The bar that is shown while workerd or esbuild is fetched.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::screen;
use crate::session::workerd::{FetchProgress, FetchStep};

/// Shows a fetch on standard error: a bar on a terminal, a line for each long step elsewhere.
#[derive(Default)]
pub(super) struct FetchBar {
    bar: Option<ProgressBar>,
}

impl FetchProgress for FetchBar {
    fn step(&mut self, step: FetchStep, total: u64) {
        self.finish();
        let (text, long) = match &step {
            FetchStep::WaitingForAnother => {
                ("waiting for another jackfield that is fetching the same".to_owned(), true)
            }
            FetchStep::Downloading { package, version } => {
                (format!("fetching {package} {version} with npm"), true)
            }
            FetchStep::Checking => ("checking it".to_owned(), false),
            FetchStep::Unpacking => ("unpacking it".to_owned(), false),
        };
        if std::io::stderr().is_terminal() {
            self.bar = Some(bar(text, total));
        } else if long {
            screen::note(&text);
        }
    }

    fn advance_to(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes.min(bar.length().unwrap_or(bytes)));
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// No colours, so that there is nothing for NO_COLOR to turn off.
fn bar(text: String, total: u64) -> ProgressBar {
    let (bar, template) = match total {
        0 => (ProgressBar::new_spinner(), "{spinner} {msg} ({elapsed})"),
        _ => (ProgressBar::new(total), "{msg} [{wide_bar}] {bytes}/{total_bytes} {eta}"),
    };
    // A template that does not parse costs the looks of the bar and nothing else.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(text);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}
