//! Options for one side only: `--munge-links`, `--drop-D`, `--insecure-links`, `--confine-root`, `--remote-option`;
//! and `--old-dirs`. Sentences of rsync(1).

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;

use nix::sys::stat::Mode;

use crate::requirement::{Need, has, met};
use crate::served::{file, tree};
use crate::under_test::{command, finish, run};
use crate::ways::{self, Way};

fn links(dir: &Path) {
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::create_dir(dir.join("dst")).unwrap();
    fs::write(dir.join("src/f"), "").unwrap();
    symlink("/etc/passwd", dir.join("src/abs")).unwrap();
    symlink("f", dir.join("src/rel")).unwrap();
    symlink("/rsyncd-munged/f", dir.join("src/munged")).unwrap();
}

const MUNGED: [&str; 4] = [
    "abs -> /rsyncd-munged//etc/passwd",
    "f: ",
    "munged -> /rsyncd-munged//rsyncd-munged/f",
    "rel -> /rsyncd-munged/f",
];
const UNMUNGED: [&str; 4] = ["abs -> /etc/passwd", "f: ", "munged -> f", "rel -> f"];

#[test]
fn munge_links_munges_when_receiving_and_unmunges_when_sending() {
    for (way, wanted) in [
        (Way::Here, UNMUNGED),
        (Way::ShellPush, UNMUNGED),
        (Way::ShellPull, MUNGED),
        (Way::DaemonPush, UNMUNGED),
        (Way::DaemonPull, MUNGED),
    ] {
        ways::run(way, "", &["-ai", "--munge-links"], links, |dir, run| {
            run.expect(0);
            assert_eq!(tree(&dir.join("dst")), wanted, "{way:?}");
            let shown =
                if wanted == MUNGED { "abs -> /rsyncd-munged//etc/passwd" } else { "abs -> /etc/passwd" };
            assert!(run.text().contains(&format!("cL+++++++++ {shown}\n")), "{way:?}: {}", run.text());
        });
    }
}

#[test]
fn on_a_local_transfer_the_client_is_the_sender_and_a_remote_option_munges() {
    for (way, wanted) in [(Way::Here, MUNGED), (Way::ShellPush, MUNGED), (Way::ShellPull, UNMUNGED)] {
        let again = |dir: &Path| {
            links(dir);
            if way != Way::ShellPull {
                run(dir, ["-a", "-M--munge-links", "src/", "dst/"]).expect(0);
            }
        };
        ways::run(way, "", &["-a", "-M--munge-links"], links, |dir, run| {
            run.expect(0);
            assert_eq!(tree(&dir.join("dst")), wanted, "{way:?}");
        });
        ways::run(way, "", &["-ai", "-M--munge-links"], again, |_, run| {
            let silent =
                run.expect(0).text().lines().all(|line| way == Way::ShellPull || line.ends_with("./"));
            assert!(silent, "{way:?}: {}", run.text());
        });
    }
}

#[test]
fn munge_links_has_no_effect_when_sent_to_a_daemon_because_the_daemon_configures_it() {
    ways::run(Way::DaemonPush, "", &["-a", "-M--munge-links"], links, |dir, run| {
        run.expect(0);
        assert_eq!(tree(&dir.join("dst")), tree(&dir.join("src")));
    });
    ways::run(Way::DaemonPush, "munge symlinks = yes\n", &["-ai"], links, |dir, run| {
        assert!(run.expect(0).text().contains("abs -> /etc/passwd\n"), "{}", run.text());
        assert_eq!(tree(&dir.join("dst")), MUNGED);
    });
}

#[test]
fn if_a_receiver_has_munging_enabled_safe_links_causes_all_symlinks_to_be_ignored() {
    for way in [Way::Here, Way::ShellPush] {
        ways::run(way, "", &["-a", "--safe-links", "-M--munge-links"], links, |dir, run| {
            run.expect(0);
            assert_eq!(tree(&dir.join("dst")), ["f: "], "{way:?}");
        });
        ways::run(way, "", &["-a", "--safe-links", "--munge-links"], links, |dir, run| {
            run.expect(0);
            assert_eq!(tree(&dir.join("dst")), ["f: ", "munged -> f", "rel -> f"], "{way:?}");
        });
    }
}

#[test]
fn munging_is_refused_if_that_path_is_a_directory() {
    if !met(&[Need::Root]) {
        return;
    }
    // A namespace of the test's own: nobody else sees that directory.
    let dir = tempfile::tempdir().unwrap();
    links(dir.path());
    let script = "mount -t tmpfs none /mnt && mkdir /mnt/rsyncd-munged /mnt/old &&
        for d in /*; do case $d in /mnt) ;; *) if [ -L $d ]; then cp -P $d /mnt/; else [ ! -d $d ] || { mkdir /mnt$d && mount --rbind $d /mnt$d; }; fi;; esac; done &&
        cd \"$1\" && here=$PWD && exec chroot /mnt sh -c 'cd \"$1\" && shift && exec \"$@\"' x \"$here\" \"$2\" -a --munge-links src/ dst/";
    let mut command = command("unshare".as_ref(), dir.path());
    command.args(["-m", "sh", "-ec", script, "x"]).arg(dir.path()).arg(crate::under_test::binary());
    let refused = finish(command);
    if refused.errors().contains("mount") && !refused.errors().contains("munged") {
        return crate::requirement::skip(&format!("no mount namespace: {}", refused.errors()));
    }
    assert!(refused.expect(4).errors().contains("/rsyncd-munged"), "{}", refused.errors());
    assert_eq!(tree(&dir.path().join("dst")).len(), 0);
}

fn nodes(dir: &Path) {
    file(dir, "src/sub/x", "x");
    fs::create_dir(dir.join("dst")).unwrap();
    for name in ["src/p", "src/q", "dst/q"] {
        nix::unistd::mkfifo(&dir.join(name), Mode::from_bits_truncate(0o600)).unwrap();
    }
    file(dir, "dst/p", "a file");
}

#[test]
fn drop_d_skips_entries_exactly_as_if_d_had_not_been_used_and_leaves_nodes_there_alone() {
    for (way, option) in [
        (Way::Here, "--drop-D"),
        (Way::Here, "-M--drop-D"),
        (Way::ShellPull, "--drop-D"),
        (Way::ShellPush, "-M--drop-D"),
        (Way::DaemonPull, "--drop-D"),
        (Way::DaemonPush, "-M--drop-D"),
    ] {
        ways::run(way, "", &["-a", "--delete", option], nodes, |dir, run| {
            run.expect(0);
            let said = run.errors() + &run.text();
            assert!(said.contains("skipping non-regular file \"p\""), "{way:?} {option}: {said}");
            assert_eq!(fs::read_to_string(dir.join("dst/p")).unwrap(), "a file", "{way:?} {option}");
            assert!(fs::metadata(dir.join("dst/q")).unwrap().file_type().is_fifo(), "{way:?} {option}");
        });
    }
}

#[test]
fn drop_d_has_no_effect_on_a_sending_side() {
    for way in [Way::ShellPush, Way::DaemonPush] {
        ways::run(way, "", &["-a", "--drop-D"], nodes, |dir, run| {
            run.expect(0);
            assert!(fs::metadata(dir.join("dst/p")).unwrap().file_type().is_fifo(), "{way:?}");
        });
    }
}

#[test]
fn old_dirs_is_a_hack_of_r_and_an_exclude_of_everything_two_levels_down() {
    if !has("rsync") {
        return;
    }
    for options in [
        &["--old-dirs", "src/", "dst"][..],
        &["-lpt", "--old-d", "src", "dst"],
        &["--old-dirs", "-r", "src/", "dst"],
        &["--old-dirs", "--include=sub/x", "src/", "dst"],
        &["--old-dirs", "--no-d", "src/", "dst"],
        &["--old-dirs", "--delete", "src/", "dst"],
        &["--old-dirs", "-d", "src", "dst"],
    ] {
        let trees = [crate::under_test::binary(), "rsync".into()].map(|program| {
            let dir = tempfile::tempdir().unwrap();
            for name in ["src/f", "src/sub/x", "src/sub/deep/y", "dst/sub/old"] {
                file(dir.path(), name, name);
            }
            let mut command = command(&program, dir.path());
            command.args(options);
            let done = finish(command);
            (done.code, tree(&dir.path().join("dst")))
        });
        assert_eq!(trees[0], trees[1], "{options:?}");
    }
}

#[test]
fn a_symlink_of_any_other_user_is_refused_and_insecure_links_turns_that_off() {
    if !met(&[Need::Root]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "src/f", "1");
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    std::os::unix::fs::lchown(dir.path().join("link"), Some(4242), None).unwrap();
    run(dir.path(), ["-a", "src/", "link/"]).expect(3);
    run(dir.path(), ["-a", "--insecure-links", "src/", "link/"]).expect(0);
    assert_eq!(tree(&dir.path().join("real")), ["f: 1"]);
    let both = run(dir.path(), ["-a", "--insecure-links", "--confine-root=/", "src/", "link/"]);
    assert!(both.expect(1).errors().contains("cannot be combined"), "{}", both.errors());
}

#[test]
fn a_daemon_that_receives_insecure_links_from_a_client_refuses_the_request() {
    ways::run(Way::DaemonPush, "", &["-a", "-M--insecure-links"], links, |dir, run| {
        assert!(run.expect(4).errors().contains("--insecure-links"), "{}", run.errors());
        assert_eq!(tree(&dir.join("dst")).len(), 0);
    });
}

/// `in` and `out`, each with a source, rules and a list.
fn two_places(dir: &Path) {
    for side in ["in", "out"] {
        file(dir, &format!("{side}/src/f"), "new");
        file(dir, &format!("{side}/src/sub/x"), "new");
        file(dir, &format!("{side}/dst/f"), "older");
        file(dir, &format!("{side}/rules"), "- sub\n");
        file(dir, &format!("{side}/list"), "sub/x\n");
    }
    symlink("../../out", dir.join("in/src/to-out")).unwrap();
    symlink("../out", dir.join("in/to-out")).unwrap();
    file(dir, "in/far-list", "to-out/src/f\n");
}

#[test]
fn confine_root_refuses_an_option_path_that_ends_up_outside_even_if_every_link_was_trusted() {
    let dir = tempfile::tempdir().unwrap();
    two_places(dir.path());
    let before = tree(&dir.path().join("out"));
    let root = format!("--confine-root={}/in", dir.path().display());
    let confined = |options: &[&str], source: &str| {
        let at = dir.path().display().to_string();
        let options = options.iter().map(|option| option.replace('@', &at));
        let args = ["-ab".to_string(), root.clone()].into_iter().chain(options);
        run(dir.path(), args.chain([source.into(), "in/dst/".into()]))
    };
    for options in [
        &["--exclude-from=@/out/rules"][..],
        &["--exclude-from=@/in/to-out/rules"],
        &["-f", ". @/out/rules"],
        &["--files-from=@/out/list"],
        &["--files-from=@/in/far-list"],
        &["--backup-dir=@/out/bak"],
        &["--backup-dir=@/in/to-out/bak"],
        &["--backup-dir=../../out/bak"],
        &["--temp-dir=@/out"],
        &["--log-file=@/out/log"],
        &["--newer-than=@/out/rules"],
        &["--newer-than=@/in/to-out/"],
    ] {
        let refused = confined(options, "in/src/");
        assert_ne!(refused.code, 0, "{options:?}");
        assert!(
            refused.errors().contains("it is outside of --confine-root"),
            "{options:?}: {}",
            refused.errors()
        );
    }
    assert_eq!(tree(&dir.path().join("out")), before);
    confined(&["--exclude-from=@/in/rules", "--backup-dir=@/in/bak", "--log-file=@/in/log"], "in/src/")
        .expect(0);
    confined(&["--files-from=@/in/list"], "in/src/").expect(0);
    // Explicit source roots remain the operator's.
    confined(&[], "out/src/").expect(0);
    let relative = run(dir.path(), ["-a", "--confine-root=in", "in/src/", "in/dst/"]);
    assert!(relative.expect(1).errors().contains("absolute"), "{}", relative.errors());
}

#[test]
fn a_daemon_ignores_confine_root_and_another_server_is_confined() {
    ways::run(Way::DaemonPush, "", &["-a", "-M--confine-root=/nowhere"], links, |dir, run| {
        run.expect(0);
        assert_eq!(tree(&dir.join("dst")), tree(&dir.join("src")));
    });
    let old = |dir: &Path| {
        links(dir);
        fs::write(dir.join("dst/f"), "older").unwrap();
    };
    let options = ["-ab", "--backup-dir=@/bak", "-M--confine-root=@/dst"];
    ways::run(Way::ShellPush, "", &options, old, |dir, run| {
        assert!(run.errors().contains("EXDEV") || run.code != 0, "{}", run.errors());
        assert!(!dir.join("bak").exists());
    });
}

#[test]
fn to_have_an_option_affect_only_the_local_side_its_negation_is_sent_to_the_remote_side() {
    let old = |dir: &Path| {
        links(dir);
        fs::write(dir.join("dst/old"), "").unwrap();
    };
    for way in [Way::ShellPush, Way::DaemonPush] {
        // Deleting is the receiver's: it is what decides.
        ways::run(way, "", &["-a", "-M--delete"], old, |dir, run| {
            run.expect(0);
            assert!(!dir.join("dst/old").exists(), "{way:?}");
        });
    }
    ways::run(Way::ShellPush, "", &["-rt", "-M--no-t"], links, |dir, run| {
        run.expect(0);
        let time = |name| fs::metadata(dir.join(name)).unwrap().modified().unwrap();
        assert_ne!(time("src/f"), time("dst/f"));
    });
}

#[test]
fn what_cannot_be_an_option_for_the_other_side_only_is_refused_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    links(dir.path());
    for option in [
        "-Mfile",
        "-M--no-such-option",
        "-M--exclude=x",
        "-M--files-from=x",
        "-M-M-v",
        "-M--log-file=x",
        "-M--no-t",
        "-M--suffix",
    ] {
        let refused = run(dir.path(), ["-a", option, "src/", "new/"]);
        assert!(refused.expect(1).errors().contains("--remote-option: "), "{option}: {}", refused.errors());
    }
    assert!(!dir.path().join("new").exists());
}

#[test]
fn a_link_that_is_stored_munged_is_removed_from_its_source_where_sources_are_to_be_removed() {
    for way in [Way::Here, Way::ShellPush] {
        ways::run(way, "", &["-a", "-M--munge-links", "--remove-source-files"], links, |dir, run| {
            run.expect(0);
            assert_eq!(tree(&dir.join("dst")), MUNGED, "{way:?}");
            assert!(tree(&dir.join("src")).is_empty(), "{way:?}");
        });
    }
}
