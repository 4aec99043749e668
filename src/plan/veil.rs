//! `Veil`: what of a tree does not exist for a client, because a daemon's configuration says so.

use super::filter::{Rules, Scope, Side};
use crate::path::{Dir, Kind, Name, RelPath};

/// The rules of a module, as they hold below one of its directories. They are anchored at the module, not
/// at what is transferred.
#[derive(Clone, Debug)]
pub struct Veil {
    rules: Scope,
    at: RelPath,
    /// Nor does what this process may not read, where a directory is listed (`ignore nonreadable`).
    readable_only: bool,
}

impl Veil {
    /// The rules as they hold in the module's directory `at`; `None` where nothing is hidden.
    #[must_use]
    pub fn new(rules: &Rules, at: RelPath, readable_only: bool) -> Option<Veil> {
        let rules = Scope::root(rules, Side::Sender);
        (readable_only || !rules.is_empty()).then_some(Veil { rules, at, readable_only })
    }

    /// Whether all of these rules can be kept to: per-directory files of a module are not read.
    #[must_use]
    pub fn understands(rules: &Rules) -> bool {
        !Scope::root(rules, Side::Sender).needs_enter()
    }

    /// Whether the entry at `path` below that directory does not exist for the client.
    #[must_use]
    pub fn hides(&self, path: &RelPath, is_dir: bool) -> bool {
        let full = path.components().fold(self.at.clone(), |at, name| at.join(&name));
        !self.rules.check(full.as_bytes(), is_dir).allowed
    }

    /// Whether `name` in `dir`, which is of this `kind`, does not exist for the client because it cannot be read. Of a
    /// symbolic link to be `followed`, the kind is that of what it leads to.
    #[must_use]
    pub fn hides_unread(&self, dir: &Dir, name: &Name, kind: Kind, followed: bool) -> bool {
        self.readable_only && kind != Kind::Symlink && !dir.is_readable(name, followed)
    }

    /// As [`Veil::hides`], or a directory on the way from there to the entry does not exist.
    #[must_use]
    pub fn hides_on_the_way(&self, path: &RelPath, is_dir: bool) -> bool {
        let names: Vec<Name> = path.components().collect();
        (1..=names.len())
            .any(|n| self.hides(&RelPath::from_names(names.iter().take(n)), is_dir || n < names.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::filter::RulesBuilder;

    #[test]
    fn rules_are_anchored_at_the_module_and_not_at_what_is_transferred() {
        let mut builder = RulesBuilder::new();
        builder.exclude_words(b"/a/secret *.key").unwrap();
        let rules = builder.build(false);
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let veil = |at: &str| {
            Veil::new(&rules, if at.is_empty() { RelPath::root() } else { path(at) }, false).unwrap()
        };
        assert!(veil("a").hides(&path("secret"), false) && veil("").hides(&path("a/secret"), true));
        assert!(!veil("b").hides(&path("secret"), false) && !veil("a").hides(&path("b/secret"), false));
        assert!(veil("b").hides(&path("c/x.key"), false));
        assert!(!veil("").hides(&path("a/secret/more"), false));
        assert!(veil("").hides_on_the_way(&path("a/secret/more"), false));
        assert!(Veil::new(&RulesBuilder::new().build(false), RelPath::root(), false).is_none());
    }
}
