//! Filter rules as they would be typed: for the script beside a batch, which has to delete by the same ones.

use super::filter::Rules;
use super::rules::{DirMerge, Item, Rule, Sides, Syntax};

impl Rules {
    /// The rules in full syntax, each for a line of its own, as far as it has one: `--gitignore` has none.
    ///
    /// `None`: one of them holds a line's end.
    #[must_use]
    pub fn written(&self) -> Option<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        for item in self.items.iter() {
            let line = match item {
                Item::Rule(rule) => [&prefix(rule, false)[..], b" ", rule.pattern.text()].concat(),
                Item::Cvs(rule) => prefix(rule, true),
                Item::DirMerge(merge) if merge.reading.syntax == Syntax::Git => continue,
                Item::DirMerge(merge) => [&merge_prefix(merge)[..], b" ", &merge.path].concat(),
            };
            if line.contains(&b'\n') || line.contains(&b'\r') {
                return None;
            }
            lines.push(line);
        }
        Some(lines)
    }
}

fn prefix(rule: &Rule, cvs: bool) -> Vec<u8> {
    let Rule { include, sides, negated, absolute, perishable, xattr, .. } = rule;
    let mut prefix = vec![if *include { b'+' } else { b'-' }];
    add(&mut prefix, &[(*absolute, b'/'), (*negated, b'!'), (cvs, b'C')]);
    add_sides(&mut prefix, *sides);
    add(&mut prefix, &[(*perishable, b'p'), (*xattr, b'x')]);
    prefix
}

fn merge_prefix(merge: &DirMerge) -> Vec<u8> {
    let reading = &merge.reading;
    let mut prefix = b":".to_vec();
    let (cvs, sign) = match reading.syntax {
        Syntax::Bare { clears: true, .. } => (true, None),
        Syntax::Bare { include, .. } => (false, Some(include)),
        _ => (false, None),
    };
    add(&mut prefix, &[(reading.absolute, b'/'), (cvs, b'C')]);
    add(&mut prefix, &[(sign == Some(false), b'-'), (sign == Some(true), b'+')]);
    add_sides(&mut prefix, reading.sides);
    add(&mut prefix, &[(reading.perishable, b'p')]);
    // `C` says both of these itself.
    add(&mut prefix, &[(merge.own_directory_only && !cvs, b'n'), (reading.words && !cvs, b'w')]);
    prefix
}

fn add_sides(prefix: &mut Vec<u8>, sides: Option<Sides>) {
    if let Some(Sides { sender, receiver }) = sides {
        add(prefix, &[(sender, b's'), (receiver, b'r')]);
    }
}

fn add(prefix: &mut Vec<u8>, letters: &[(bool, u8)]) {
    prefix.extend(letters.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter));
}

#[cfg(test)]
mod tests {
    use crate::plan::filter::RulesBuilder;

    fn written(rules: &[&str]) -> Vec<String> {
        let mut builder = RulesBuilder::new();
        for rule in rules {
            builder.filter(rule.as_bytes(), &mut |_| Ok(b"- in\n+ x y\n".to_vec())).unwrap();
        }
        let lines = builder.build(false).written().unwrap();
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn what_is_written_means_the_same_when_it_is_read() {
        let rules = [
            "- *.o",
            "+ /a/",
            "P keep",
            "R gone",
            "H x",
            "S y",
            "-!/p z",
            "-x user.*",
            ": /.rsync-filter",
            ":n- .ex",
            ":C",
            "-C",
            ":+w list",
            "-sr both",
            ". merged",
        ];
        let lines = written(&rules);
        assert_eq!(lines[..4], ["- *.o", "+ /a/", "-r keep", "+r gone"]);
        let again: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(written(&again), lines);
        assert!(lines.contains(&"+ x y".to_owned()), "a file that is merged is taken apart");
    }

    #[test]
    fn a_rule_of_two_lines_cannot_be_written() {
        let mut builder = RulesBuilder::new();
        builder.exclude(b"a\nb").unwrap();
        assert_eq!(builder.build(false).written(), None);
    }
}
