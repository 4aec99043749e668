//! `Veil`: what of a tree does not exist for a client, because a daemon's configuration says so.

use super::filter::{Rules, Scope, Side};
use crate::path::{Name, RelPath};

/// The rules of a module, as they hold below one of its directories. They are anchored at the module, not
/// at what is transferred.
#[derive(Clone, Debug)]
pub struct Veil {
    rules: Scope,
    at: RelPath,
}

impl Veil {
    /// The rules as they hold in the module's directory `at`; `None` where there are none.
    #[must_use]
    pub fn new(rules: &Rules, at: RelPath) -> Option<Veil> {
        let rules = Scope::root(rules, Side::Sender);
        (!rules.is_empty()).then_some(Veil { rules, at })
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

    /// Whether the directory itself, or one on the way to it, does not exist for the client.
    #[must_use]
    pub fn hides_itself(&self) -> bool {
        let names: Vec<Name> = self.at.components().collect();
        (1..=names.len()).any(|n| {
            let path = RelPath::from_names(names.iter().take(n));
            !self.rules.check(path.as_bytes(), true).allowed
        })
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
        let veil =
            |at: &str| Veil::new(&rules, if at.is_empty() { RelPath::root() } else { path(at) }).unwrap();
        assert!(veil("a").hides(&path("secret"), false) && veil("").hides(&path("a/secret"), true));
        assert!(!veil("b").hides(&path("secret"), false) && !veil("a").hides(&path("b/secret"), false));
        assert!(veil("b").hides(&path("c/x.key"), false));
        assert!(veil("a/secret/more").hides_itself() && !veil("a/more").hides_itself());
        assert!(Veil::new(&RulesBuilder::new().build(false), RelPath::root()).is_none());
    }
}
