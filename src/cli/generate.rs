//! `--generate`: the manual page and the completions, made of the table of options.

use super::{complete, manual};

/// What can be generated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// `man/sluice.1`.
    Manual,
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
    ("complete-bash", Page::Bash),
    ("complete-zsh", Page::Zsh),
    ("complete-fish", Page::Fish),
];

/// The text of a page.
#[must_use]
pub fn page(page: Page) -> String {
    match page {
        Page::Manual => manual::page(),
        Page::Bash => complete::bash::script(),
        Page::Zsh => complete::zsh::script(),
        Page::Fish => complete::fish::script(),
    }
}
