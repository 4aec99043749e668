//! Include and exclude rules: first match wins.
//!
//! [`RulesBuilder`] takes the options in the order of the command line and gives [`Rules`], the same for
//! the whole run. [`Scope`] is those rules as one side of the transfer applies them inside one directory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::merge::ReadHere;
use super::rules::{DirMerge, Item, List, Reading, Shown, Syntax, parse_rule, parse_text};
pub use super::rules::{FilterError, ReadFile};
pub use super::scope::{ReadAbove, Scope, Side, Verdict};
use super::{cvs, gitignore};

/// The filter rules of a run. Cheap to clone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rules {
    pub(super) items: Arc<[Item]>,
    pub(super) settings: Settings,
}

/// What rules read later (from per-directory files) need to know about the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Settings {
    /// A rule that names no side is for the sender only.
    pub(super) delete_excluded: bool,
    /// Rules in per-directory files end with NUL.
    pub(super) from0: bool,
    /// The names that `-C` rules stand for.
    pub(super) cvs: Arc<[Item]>,
    /// Some rule, of whichever side, is about names of extended attributes: none are left out by themselves.
    pub(super) xattrs: bool,
}

/// Collects the filter options in the order of the command line.
#[derive(Clone, Debug, Default)]
pub struct RulesBuilder {
    list: List,
    from0: bool,
    cvs: bool,
    home: Vec<u8>,
    environment: Vec<u8>,
}

impl RulesBuilder {
    /// No rules.
    #[must_use]
    pub fn new() -> RulesBuilder {
        RulesBuilder::default()
    }

    /// `--from0`: rules end with NUL in the merge files that later rules name, and in all per-directory ones.
    pub fn from0(&mut self, on: bool) {
        self.from0 = on;
    }

    /// `--filter=RULE`. `read` gives the contents of a merge file that the rule names, or why it cannot.
    ///
    /// # Errors
    ///
    /// The rule, or one in a file that it merges, is malformed, or the file cannot be read.
    pub fn filter(&mut self, rule: &[u8], read: ReadFile) -> Result<(), FilterError> {
        let reading = Reading { from0: self.from0, ..Reading::lines(Syntax::Full) };
        parse_rule(&mut self.list, rule, &reading, Shown::Typed(rule), 0, read)
    }

    /// `--exclude=PATTERN`; as in rsync, `- PATTERN`, `+ PATTERN` and `!` are understood as well.
    ///
    /// # Errors
    ///
    /// A prefix without a pattern.
    pub fn exclude(&mut self, pattern: &[u8]) -> Result<(), FilterError> {
        self.old(pattern, false)
    }

    /// `--include=PATTERN`; otherwise like [`RulesBuilder::exclude`].
    ///
    /// # Errors
    ///
    /// A prefix without a pattern.
    pub fn include(&mut self, pattern: &[u8]) -> Result<(), FilterError> {
        self.old(pattern, true)
    }

    /// `--exclude-from=FILE`, given what the file holds and its name for messages.
    ///
    /// # Errors
    ///
    /// A line with a prefix and no pattern.
    pub fn exclude_from(&mut self, name: &[u8], contents: &[u8], from0: bool) -> Result<(), FilterError> {
        self.old_file(name, contents, from0, false)
    }

    /// `--include-from=FILE`, given what the file holds and its name for messages.
    ///
    /// # Errors
    ///
    /// A line with a prefix and no pattern.
    pub fn include_from(&mut self, name: &[u8], contents: &[u8], from0: bool) -> Result<(), FilterError> {
        self.old_file(name, contents, from0, true)
    }

    /// A daemon's `filter` parameter: rules of any kind, apart by blanks.
    ///
    /// # Errors
    ///
    /// As [`RulesBuilder::filter`].
    pub fn filter_words(&mut self, text: &[u8], read: ReadFile) -> Result<(), FilterError> {
        let reading = Reading { words: true, ..Reading::lines(Syntax::Full) };
        parse_text(&mut self.list, text, &reading, "the configuration", 0, read)
    }

    /// A daemon's `exclude` parameter: patterns, apart by blanks.
    ///
    /// # Errors
    ///
    /// As [`RulesBuilder::exclude`].
    pub fn exclude_words(&mut self, text: &[u8]) -> Result<(), FilterError> {
        self.old_words(text, false)
    }

    /// A daemon's `include` parameter: patterns, apart by blanks.
    ///
    /// # Errors
    ///
    /// As [`RulesBuilder::include`].
    pub fn include_words(&mut self, text: &[u8]) -> Result<(), FilterError> {
        self.old_words(text, true)
    }

    /// `-F`: pass 1 for its first occurrence, 2 for the second; more have no effect.
    pub fn per_dir_filter(&mut self, times: u8) {
        let rule: &[u8] = match times {
            1 => b": /.rsync-filter",
            2 => b"- .rsync-filter",
            _ => return,
        };
        // Neither rule can be refused: both are well-formed and merge no file now.
        let _added = self.filter(rule, &mut |_| Err(String::new()));
    }

    /// `--gitignore`: the `.gitignore` of each directory counts here, by git's rules.
    pub fn gitignore(&mut self) {
        let path = gitignore::FILE.into();
        let merge = DirMerge { path, own_directory_only: false, reading: Reading::lines(Syntax::Git) };
        self.list.add_dir_merge(merge);
    }

    /// What the `-C` option and every `-C` rule add to the default list: the contents of
    /// `$HOME/.cvsignore` and the value of `$CVSIGNORE`.
    pub fn cvs_sources(&mut self, home_cvsignore: Option<Vec<u8>>, environment: Option<Vec<u8>>) {
        self.home = home_cvsignore.unwrap_or_default();
        self.environment = environment.unwrap_or_default();
    }

    /// `--cvs-exclude`: its rules stand behind all others, wherever the option stood.
    pub fn cvs(&mut self, home_cvsignore: Option<Vec<u8>>, environment: Option<Vec<u8>>) {
        self.cvs = true;
        self.cvs_sources(home_cvsignore, environment);
    }

    /// The rules. With `delete_excluded` (`--delete-excluded`) a rule that names no side protects nothing.
    #[must_use]
    pub fn build(mut self, delete_excluded: bool) -> Rules {
        if self.cvs {
            for rule in [b":C", b"-C"] {
                // Neither rule can be refused: both are well-formed and merge no file now.
                let _added = self.filter(rule, &mut |_| Err(String::new()));
            }
        }
        let mut names = List::default();
        let bare = Syntax::Bare { include: false, clears: true };
        let words = Reading { words: true, ..Reading::lines(bare) };
        let sources = [(cvs::DEFAULT, true), (&self.home, false), (&self.environment, false)];
        for (text, perishable) in sources {
            let words = Reading { perishable, ..words };
            // Words without prefixes are never malformed.
            let _added = parse_text(&mut names, text, &words, "", 0, &mut |_| Err(String::new()));
        }
        let xattrs = self.list.items.iter().any(|item| matches!(item, Item::Rule(rule) if rule.xattr));
        let settings = Settings { delete_excluded, from0: self.from0, cvs: names.items.into(), xattrs };
        Rules { items: self.list.items.into(), settings }
    }

    fn old(&mut self, pattern: &[u8], include: bool) -> Result<(), FilterError> {
        let reading = Reading::lines(Syntax::Old { include });
        parse_rule(&mut self.list, pattern, &reading, Shown::Typed(pattern), 0, &mut |_| Err(String::new()))
    }

    fn old_words(&mut self, text: &[u8], include: bool) -> Result<(), FilterError> {
        let reading = Reading { words: true, ..Reading::lines(Syntax::Old { include }) };
        parse_text(&mut self.list, text, &reading, "the configuration", 0, &mut |_| Err(String::new()))
    }

    fn old_file(&mut self, name: &[u8], text: &[u8], from0: bool, include: bool) -> Result<(), FilterError> {
        let reading = Reading { from0, ..Reading::lines(Syntax::Old { include }) };
        let name = crate::path::escape(name);
        parse_text(&mut self.list, text, &reading, &name, 0, &mut |_| Err(String::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hides(builder: &RulesBuilder, path: &str) -> bool {
        !Scope::root(&builder.clone().build(false), Side::Sender).check(path.as_bytes(), false).allowed
    }

    #[test]
    fn old_options_know_two_prefixes_and_the_clearing_mark() {
        let mut builder = RulesBuilder::new();
        builder.exclude(b"+ kept").unwrap();
        builder.include(b"- gone").unwrap();
        builder.exclude(b"*").unwrap();
        assert!(!hides(&builder, "kept") && hides(&builder, "gone") && hides(&builder, "other"));
        builder.include(b"!").unwrap();
        assert!(!hides(&builder, "gone"));
        assert!(matches!(builder.exclude(b"- "), Err(FilterError::Syntax(_))));
        builder.exclude_from(b"f", b"# c\n;c\r\n\n+ x\n-_y\n!z\n*\n", false).unwrap();
        assert!(!hides(&builder, "x") && hides(&builder, "-_y") && hides(&builder, "#"));
    }

    #[test]
    fn words_are_rules_and_the_blank_behind_a_prefix_does_not_end_one() {
        let mut builder = RulesBuilder::new();
        builder.filter_words(b"+ /kept  - /k*\t- x", &mut |_| Err(String::new())).unwrap();
        builder.exclude_words(b"+ old o* ").unwrap();
        builder.include_words(b"- in").unwrap();
        assert!(!hides(&builder, "kept") && hides(&builder, "kin") && hides(&builder, "x"));
        assert!(!hides(&builder, "old") && hides(&builder, "other") && hides(&builder, "in"));
        assert!(!hides(&builder, "-") && !hides(&builder, "+"));
    }

    #[test]
    fn rules_of_a_file_may_end_with_nul() {
        let mut builder = RulesBuilder::new();
        builder.exclude_from(b"f", b"a\nb\0#c\0d", true).unwrap();
        assert!(
            hides(&builder, "a\nb")
                && hides(&builder, "d")
                && !hides(&builder, "a")
                && !hides(&builder, "#c")
        );
        builder.from0(true);
        builder.filter(b". f", &mut |_| Ok(b"- x\0- y".to_vec())).unwrap();
        assert!(hides(&builder, "x") && hides(&builder, "y"));
    }

    #[test]
    fn the_names_of_cvs_come_last_and_are_perishable() {
        let mut builder = RulesBuilder::new();
        builder.cvs(Some(b"mine other\n".to_vec()), Some(b"theirs".to_vec()));
        builder.include(b"kept.o").unwrap();
        assert!(!hides(&builder, "kept.o"));
        assert!(["a.o", "core", "mine", "theirs", "x~"].iter().all(|name| hides(&builder, name)));
        assert!(!hides(&builder, ".git"), "only directories");
        let receiver = Scope::root(&builder.clone().build(false), Side::Receiver);
        assert!(!receiver.check(b"a.o", false).allowed && receiver.dying().check(b"a.o", false).allowed);
        assert!(!receiver.dying().check(b"mine", false).allowed);
        builder.cvs_sources(None, Some(b"a ! b".to_vec()));
        assert!(hides(&builder, "b") && !hides(&builder, "a") && !hides(&builder, "core"));
    }

    #[test]
    fn with_delete_excluded_only_a_named_side_protects() {
        let mut builder = RulesBuilder::new();
        for rule in ["- a", "P b", "-sr c"] {
            builder.filter(rule.as_bytes(), &mut |_| Err(String::new())).unwrap();
        }
        let scope = Scope::root(&builder.build(true), Side::Receiver);
        let protects = |name: &str| !scope.check(name.as_bytes(), false).allowed;
        assert!(!protects("a") && protects("b") && protects("c"));
    }

    #[test]
    fn a_file_that_merges_itself_is_refused() {
        let mut builder = RulesBuilder::new();
        let looping = builder.filter(b". f", &mut |_| Ok(b". f".to_vec()));
        assert!(matches!(looping, Err(FilterError::File(_))));
        let missing = builder.filter(b"merge f", &mut |_| Err("No such file".into()));
        assert!(matches!(missing, Err(FilterError::File(text)) if text.ends_with("No such file")));
    }
}
