//! Rules for absolute paths (`/` behind the rule's sign, and dir-merge files above the transfer): on one machine and by
//! a remote shell they see the path on the disk, in a daemon's module that in the module.

use std::fs;
use std::path::Path;

use crate::requirement::{self, Need};
use crate::served::Served;
use crate::under_test::Run;
use crate::ways::{self, Way};

/// `src` and `dst` in `dir`, one beside the other as in a module: both have `a` and `src/a`, and the destination `c` too.
fn trees(dir: &Path) {
    for tree in ["src", "dst"] {
        fs::create_dir_all(dir.join(tree).join("src")).unwrap();
        for name in ["a", "src/a"] {
            fs::write(dir.join(tree).join(name), format!("{tree}\n")).unwrap();
        }
    }
    for name in ["c", "src/c"] {
        fs::write(dir.join("dst").join(name), "surplus\n").unwrap();
    }
}

fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_default()
}

fn done(run: &Run) {
    assert_eq!((run.code, run.errors().as_str()), (0, ""));
}

#[test]
fn by_the_path_on_the_disk_on_one_machine_and_by_a_remote_shell() {
    for way in [Way::Here, Way::ShellPush, Way::ShellPull] {
        for options in [
            ["-rI", "--delete", "-f-/ @/src/a", "-fP/ @/dst/c"],
            ["-rI", "--delete", "-f-/ /src/a", "-fP/ /dst/c"],
        ] {
            let named = options[2].contains('@');
            ways::run(way, "", &options, trees, |dir, run| {
                done(run);
                let left_out = !text(dir, "dst/a").contains("src");
                assert_eq!((left_out, dir.join("dst/c").exists()), (named, named), "{way:?} {options:?}");
                assert_eq!(text(dir, "dst/src/a"), "src\n", "{way:?} {options:?}");
                assert!(!dir.join("dst/src/c").exists(), "{way:?} {options:?}");
            });
        }
    }
}

#[test]
fn by_the_path_in_the_module_with_a_daemon_wherever_that_is() {
    for chroot in ["yes", "no"] {
        if chroot == "yes" && !requirement::met(&[Need::Root]) {
            continue;
        }
        let own = if requirement::is_root() { "uid = root\ngid = root\n" } else { "" };
        let served =
            Served::new(&format!("{own}use chroot = {chroot}\n[m]\npath = @/mod\nread only = no\n"), |at| {
                fs::create_dir(at.join("mod")).unwrap();
                trees(&at.join("mod"));
                trees(at);
            });
        let at = served.at("");
        // What is sent: by the path in the module, and nothing is learnt of the path on the disk.
        let disk = format!("-f-/ {}mod/src/a", at.display());
        for (rule, left_out) in [("-f-/ /src/a", true), ("-f-/ /a", false), (&disk, false)] {
            fs::write(at.join("dst/a"), "dst\n").unwrap();
            done(&served.run(["-rI", rule, "localhost::m/src/", "dst"]));
            assert_eq!(text(&at, "dst/a"), if left_out { "dst\n" } else { "src\n" }, "{chroot} {rule}");
            assert_eq!(text(&at, "dst/src/a"), "src\n", "{chroot} {rule}");
        }
        // The same for what is there where something arrives.
        let disk = format!("-fP/ {}mod/dst/c", at.display());
        for (rule, stays) in [("-fP/ /dst/c", true), ("-fP/ /c", false), (&disk, false)] {
            fs::write(at.join("mod/dst/c"), "surplus\n").unwrap();
            done(&served.run(["-r", "--delete", rule, "src/", "localhost::m/dst/"]));
            assert_eq!(at.join("mod/dst/c").exists(), stays, "{chroot} {rule}");
            assert!(!at.join("mod/dst/src/c").exists(), "{chroot} {rule}");
        }
    }
}

#[test]
fn dir_merge_files_above_a_transfer_are_looked_for_from_the_modules_top() {
    let own = if requirement::is_root() { "uid = root\ngid = root\n" } else { "" };
    let modules = |more: &str| format!("{own}use chroot = no\n{more}[m]\npath = @/mod\nread only = no\n");
    for (more, reads) in [("", true), ("exclude = .rules\n", false)] {
        let served = Served::new(&modules(more), |at| {
            fs::create_dir(at.join("mod")).unwrap();
            trees(&at.join("mod"));
            fs::write(at.join("mod/.rules"), "- a\n").unwrap();
            fs::write(at.join(".rules"), "- src\n").unwrap();
        });
        let at = served.at("");
        done(&served.run(["-r", "-f: /.rules", "localhost::m/src/", "new"]));
        assert_eq!(at.join("new/a").exists(), !reads, "{more}");
        assert!(at.join("new/src").exists(), "{more}");
    }
}
