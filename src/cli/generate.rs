//! `--generate`: the manual pages and the completions, made of the tables of options and parameters.

use super::{complete, conf_manual, manual};

/// What can be generated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// `man/sluice.1`.
    Manual,
    /// `man/sluiced.conf.5`.
    ConfManual,
    /// `completions/sluice.bash`.
    Bash,
    /// `completions/_sluice`.
    Zsh,
    /// `completions/sluice.fish`.
    Fish,
}

/// The values of `--generate`.
pub const PAGES: &[(&str, Page)] = &[
    ("man", Page::Manual),
    ("man-conf", Page::ConfManual),
    ("complete-bash", Page::Bash),
    ("complete-zsh", Page::Zsh),
    ("complete-fish", Page::Fish),
];

/// The text of a page.
#[must_use]
pub fn page(page: Page) -> String {
    match page {
        Page::Manual => manual::page(),
        Page::ConfManual => conf_manual::page(),
        Page::Bash => complete::bash::script(),
        Page::Zsh => complete::zsh::script(),
        Page::Fish => complete::fish::script(),
    }
}
