//! A sender that lists more than it was asked for, by name, by kind or against the rules, is refused before
//! anything of that is made.

use serde_bytes::ByteBuf;
use sluice::path::{Kind, Name};
use sluice::session::handshake::Greeted;
use sluice::session::{Options, remote};
use sluice::wire::to_receiver::Roots;
use sluice::wire::{Listed, ToReceiver, ToSender};

use crate::liar::with_options;
use crate::scripted::*;
use crate::wire::samples::listed;

/// Entries by name: `/` behind it means a directory, `@` a link, `%` a device, `|` a FIFO.
fn entries(names: &[&str]) -> Vec<Listed> {
    let entry = |text: &&str| {
        let (name, kind) = match text.split_at(text.len() - 1) {
            (name, "/") => (name, Kind::Dir),
            (name, "@") => (name, Kind::Symlink),
            (name, "%") => (name, Kind::CharDevice),
            (name, "|") => (name, Kind::Fifo),
            _ => (*text, Kind::File),
        };
        listed(name, kind)
    };
    names.iter().map(entry).collect()
}

/// What a sender says first, and the listings of its directories.
struct Tree {
    roots: fn(&mut Roots),
    dirs: &'static [&'static [&'static str]],
}

fn send(link: &mut Greeted, tree: &Tree) {
    link.requested(1 << 20).unwrap();
    link.ready().unwrap();
    let mut roots = Roots { prefixes: vec![ByteBuf::new()], last: true, ..Roots::default() };
    (tree.roots)(&mut roots);
    say(link, &ToReceiver::Roots(roots));
    if !matches!(link.reader.expect(), Ok(ToSender::List { .. })) {
        return;
    }
    for (dir, names) in (0..).zip(tree.dirs) {
        say(link, &listing(dir, entries(names)));
    }
}

#[track_caller]
fn refused(line: &[&str], change: fn(&mut Options), tree: Tree, part: &str) {
    with_options(remote::pull, line, change, None, move |link| send(link, &tree)).failed(part);
}

/// A pull of these operands and options gets these directories.
#[track_caller]
fn more(line: &[&str], dirs: &'static [&'static [&'static str]], part: &str) {
    refused(line, |_| {}, Tree { roots: |_| {}, dirs }, part);
}

#[test]
fn a_name_that_no_operand_has() {
    let part = "was not asked for";
    more(&["-a", "h:src/f", "@/dst"], &[&["g"]], part);
    more(&["-a", "h:src/f", "@/dst"], &[&["f", "g"]], part);
    more(&["-a", "h:src/f", "h:b", "@/dst"], &[&["a", "b"]], part);
    more(&["-a", "h:src", "@/dst"], &[&["f", "src/"]], part);
    more(&["-a", "h:src", "@/dst"], &[&["other/", "src/"]], part);
    more(&["-aR", "h:a/b/f", "@/dst"], &[&["f"]], part);
    more(&["-aR", "h:a/b/f", "@/dst"], &[&["a/"], &["c/"]], part);
    more(&["-aR", "h:a/b/f", "@/dst"], &[&["a/"], &["b/"], &["g"]], part);
    more(&["-aR", "h:x/./b/f", "@/dst"], &[&["x/"]], part);
}

#[test]
fn a_name_that_is_not_on_the_list() {
    let part = "was not asked for";
    let list: fn(&mut Options) = |options| {
        options.files_from = Some(vec![b"a/f".to_vec(), b"b".to_vec()]);
        options.relative = true;
        options.plan.recursive = false;
    };
    let tree = |dirs| Tree { roots: |_| {}, dirs };
    refused(&["-a", "h:src/", "@/dst"], list, tree(&[&["c"]]), part);
    refused(&["-a", "h:src/", "@/dst"], list, tree(&[&["b", "a/"], &["g"]]), part);
    // A directory of the list is not what is in it.
    refused(&["-a", "h:src/", "@/dst"], list, tree(&[&["b/"], &["g"]]), part);
}

#[test]
fn what_is_below_where_nothing_below_was_wanted() {
    more(&["-dt", "h:src/", "@/dst"], &[&["sub/"], &["x"]], "was not asked for");
    more(&["-dt", "h:src", "@/dst"], &[&["src/"], &["x"]], "was not asked for");
}

#[test]
fn a_kind_that_was_not_wanted() {
    let part = "of a kind that was not asked for";
    more(&["-rt", "h:src/", "@/dst"], &[&["l@"]], part);
    more(&["-rt", "h:src/", "@/dst"], &[&["d%"]], part);
    more(&["-rt", "h:src/", "@/dst"], &[&["p|"]], part);
    more(&["-rlt", "h:src/", "@/dst"], &[&["f", "l@", "p|"]], part);
}

#[test]
fn a_link_that_leads_out_where_only_safe_ones_were_wanted() {
    let came = with_options(
        remote::pull,
        &["-a", "--safe-links", "h:src/", "@/dst"],
        |_| {},
        None,
        |link| {
            link.requested(1 << 20).unwrap();
            link.ready().unwrap();
            say(
                link,
                &ToReceiver::Roots(Roots { prefixes: vec![ByteBuf::new()], last: true, ..Roots::default() }),
            );
            assert!(matches!(link.reader.expect(), Ok(ToSender::List { .. })));
            let entry = Listed { link: Some(b"/etc/passwd"[..].into()), ..listed("l", Kind::Symlink) };
            say(link, &listing(0, vec![entry]));
        },
    );
    came.refused("leads out of the transfer");
}

#[test]
fn what_a_rule_leaves_out() {
    let part = "is left out by a rule";
    more(&["-a", "--exclude=*.key", "h:src/", "@/dst"], &[&["a.key"]], part);
    more(&["-a", "--exclude=/sub/f", "h:src/", "@/dst"], &[&["sub/"], &["f"]], part);
    more(&["-a", "--include=*/", "--include=*.c", "--exclude=*", "h:src/", "@/dst"], &[&["a.h"]], part);
    more(&["-a", "-f", "H *.c", "h:src/", "@/dst"], &[&["x.c"]], part);
}

#[test]
fn attributes_of_a_root_that_no_operand_names() {
    let root: fn(&mut Roots) = |roots| roots.root = Some(properties());
    let tree = Tree { roots: root, dirs: &[&["f"]] };
    refused(&["-a", "h:src/f", "@/dst"], |_| {}, tree, "no operand names the contents");
}

#[test]
fn more_than_the_single_entry_that_it_claims_to_have() {
    let single: fn(&mut Roots) = |roots| roots.single = Some(Name::parse(b"f").unwrap());
    let tree = Tree { roots: single, dirs: &[&["f", "g"]] };
    refused(&["-a", "h:src/f", "h:src/g", "@/dst"], |_| {}, tree, "was not asked for");
}
