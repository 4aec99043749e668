//! The pages in the repository are those that `--generate` prints now.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at files by path

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sluice::cli::generate::{Page, page};

const PAGES: &[(&str, &str, Page)] = &[
    ("man/sluice.1", "man", Page::Manual),
    ("man/sluiced.conf.5", "man-conf", Page::ConfManual),
    ("completions/sluice.bash", "complete-bash", Page::Bash),
    ("completions/_sluice", "complete-zsh", Page::Zsh),
    ("completions/sluice.fish", "complete-fish", Page::Fish),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn committed_pages_are_current() {
    for (name, word, kind) in PAGES {
        let committed = fs::read_to_string(path(name)).unwrap_or_default();
        assert!(
            committed == page(*kind),
            "{name} is old; make it with: cargo run -- --generate {word} > {name}"
        );
    }
}

/// Runs a checker over a page; it has to succeed and to be silent.
fn silent(program: &str, args: &[&str], page: &str) {
    if !crate::requirement::has(program) {
        return;
    }
    let output = Command::new(program).args(args).arg(path(page)).output().unwrap();
    assert!(output.status.success(), "{program} {page}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{program} {page}");
}

#[test]
fn manual_pages_render_without_warnings() {
    silent("groff", &["-man", "-ww", "-z"], "man/sluice.1");
    silent("man", &["--warnings"], "man/sluice.1");
    silent("groff", &["-man", "-ww", "-z"], "man/sluiced.conf.5");
    silent("man", &["--warnings"], "man/sluiced.conf.5");
}

#[test]
fn each_shell_can_parse_its_completions() {
    silent("bash", &["-n"], "completions/sluice.bash");
    silent("zsh", &["-n"], "completions/_sluice");
    silent("fish", &["--no-execute"], "completions/sluice.fish");
}

#[test]
fn manual_page_has_every_section_that_a_reader_looks_for() {
    let text = page(Page::Manual);
    for section in [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "FILTER RULES",
        "EXAMPLES",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "DIFFERENCES FROM RSYNC",
        "SEE ALSO",
    ] {
        assert!(
            text.contains(&format!(".SH {section}\n")) || text.contains(&format!(".SH \"{section}\"\n")),
            "{section}"
        );
    }
}
