//! The bar while workerd is fetched.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::session::workerd::{FetchProgress, FetchStep};

const TICK: Duration = Duration::from_millis(100);

/// Shows the steps of a fetch. Hidden by itself where standard error is not a terminal.
#[derive(Default)]
pub(super) struct Bar {
    shown: Option<ProgressBar>,
}

impl FetchProgress for Bar {
    fn step(&mut self, step: FetchStep, total: u64) {
        self.finish();
        let what = match step {
            FetchStep::WaitingForAnother => "waiting for another jackfield that fetches workerd".to_owned(),
            FetchStep::Downloading { package, version } => format!("fetching {package} {version}"),
            FetchStep::Checking => "checking workerd".to_owned(),
            FetchStep::Unpacking => "unpacking workerd".to_owned(),
        };
        let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
        let template = if total == 0 { "{spinner} {msg}" } else { "{msg} [{bar:30}] {bytes}/{total_bytes}" };
        // A template of ours that does not parse would only cost its looks.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        self.shown = Some(bar);
    }

    fn advance_to(&mut self, bytes: u64) {
        if let Some(bar) = &self.shown {
            bar.set_position(bytes.min(bar.length().unwrap_or(bytes)));
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.shown.take() {
            bar.finish_and_clear();
        }
    }
}
