//! The manual page of the daemon's configuration: `conf_manual.txt` with the parameters put in, as roff.

use clap_mangen::roff::{Roff, bold, italic, roman};

use super::manual::{inlines, render};
use crate::daemon::config::{Parameter, Set, parameters};

const TEXT: &str = include_str!("conf_manual.txt");

/// The manual page in roff. The markup is that of [`super::manual`].
#[must_use]
pub fn page() -> String {
    let mut roff = Roff::new();
    let version = concat!("sluice ", env!("CARGO_PKG_VERSION"));
    // No date: the page changes with the version only.
    roff.control("TH", ["SLUICED.CONF", "5", "\\&", version, "File Formats"]);
    render(&mut roff, TEXT, &|roff, word| {
        for parameter in parameters().filter(|parameter| place(parameter) == word) {
            explain(roff, parameter);
        }
    });
    roff.to_roff()
}

/// Under which word of the text a parameter is explained.
fn place(parameter: &Parameter) -> &'static str {
    match parameter.set {
        Set::Global(_) => "GLOBAL",
        Set::Module(_) => "MODULE",
        Set::NoEffect => "ACCEPTED",
        Set::OnlyOff(_) | Set::Refused(_) => "REFUSED",
    }
}

fn explain(roff: &mut Roff, parameter: &Parameter) {
    roff.control("TP", []);
    let mut head = vec![bold(parameter.name)];
    if !parameter.default.is_empty() {
        head.extend([roman(" (default: "), italic(parameter.default), roman(")")]);
    }
    roff.text(head);
    for (at, paragraph) in parameter.text.split("\n\n").enumerate() {
        if at > 0 {
            roff.control("IP", []);
        }
        roff.text(inlines(paragraph));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::config::Config;

    #[test]
    #[allow(clippy::disallowed_methods)] // the test writes what is read
    fn the_example_is_a_configuration() {
        let behind = TEXT.split("# EXAMPLE\n\n").nth(1).unwrap();
        let example = behind.lines().map_while(|line| match line {
            "" => Some(line),
            _ => line.strip_prefix("    "),
        });
        let scratch = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(scratch.path(), example.collect::<Vec<_>>().join("\n")).unwrap();
        let config = Config::load(scratch.path().as_os_str(), &|_| None, &[]).unwrap();
        assert_eq!(config.modules.len(), 2);
        assert!(config.find(b"pub").unwrap().settings.read_only);
    }

    #[test]
    fn every_parameter_is_on_the_page_once() {
        let page = page();
        for parameter in parameters() {
            let head = format!(".TP\n\\fB{}\\fR", parameter.name.replace('-', r"\-"));
            let found: usize = [" (default", "\n"]
                .iter()
                .map(|behind| page.matches(&format!("{head}{behind}")).count())
                .sum();
            assert_eq!(found, 1, "{}", parameter.name);
            assert!(parameter.text.ends_with(['.', '`']), "{}", parameter.name);
        }
        assert!(!page.contains("\n@"), "a placeholder is left");
    }
}
