//! Progress bars on standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over the bytes of a file, or a counter where their number is not
/// known; invisible if nobody looks.
pub(crate) fn bytes(total: Option<u64>, visible: bool) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::with_draw_target(Some(total), target(visible)),
        None => ProgressBar::with_draw_target(None, target(visible)),
    };
    let template = match total {
        Some(_) => "{wide_bar} {bytes}/{total_bytes} {eta} {msg}",
        None => "{spinner} {bytes} {msg}",
    };
    styled(bar, template)
}

/// A counter of records.
pub(crate) fn records(visible: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target(visible));
    styled(bar, "{spinner} {human_pos} records {msg}")
}

fn target(visible: bool) -> ProgressDrawTarget {
    if visible {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    bar
}
