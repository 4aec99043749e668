//! Extended attributes and access control lists: what `differential` cannot draw.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use crate::attached::{self, ACCESS, DEFAULT};
use crate::remote_shell;
use crate::requirement::{self, Need};
use crate::served::Served;
use crate::under_test::{self, Run, is_sluice};
use crate::ways::{self, Way};

/// `cap_net_raw=ep`, as `security.capability` has it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CAPABILITIES: &str = "security.capability";

/// A place where attributes can be long; `None`, after telling why, where there is none.
fn roomy() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    match xattr::set(dir.path(), "user.long", &[7; 60_000]) {
        Ok(()) => {
            xattr::remove(dir.path(), "user.long").unwrap();
            Some(dir)
        }
        Err(e) => {
            requirement::skip(&format!("no filesystem with long extended attributes: {e}"));
            None
        }
    }
}

/// Everything attached to `names` in `tree`.
fn attached_in(tree: &Path, names: &[&str]) -> Vec<std::collections::BTreeMap<Vec<u8>, Vec<u8>>> {
    names.iter().map(|name| attached::of(&tree.join(name))).collect()
}

fn run(dir: &Path, args: &[&str]) -> Run {
    under_test::run(dir, args)
}

#[test]
fn capabilities_survive_every_way_to_write_a_file() {
    if !requirement::met(&[Need::Root]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [src, dst] = ["src", "dst"].map(|name| dir.path().join(name));
    fs::create_dir(&src).unwrap();
    let file = src.join("f");
    let give = |content: &str, owner| {
        fs::write(&file, content).unwrap();
        chown(&file, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
        xattr::set(&file, CAPABILITIES, &CAPABILITY).unwrap();
    };
    let kept = |what: &str| {
        let there = attached::of(&dst.join("f"));
        assert_eq!(there.get(CAPABILITIES.as_bytes()), Some(&CAPABILITY.to_vec()), "{what}");
        let meta = fs::metadata(dst.join("f")).unwrap();
        assert_eq!(
            (meta.mode() & 0o7777, meta.uid()),
            (0o4755, fs::metadata(&file).unwrap().uid()),
            "{what}"
        );
    };
    give("one", 33);
    run(dir.path(), &["-aX", "src/", "dst"]).expect(0);
    kept("a new file");
    give("three", 33);
    run(dir.path(), &["-aX", "src/", "dst"]).expect(0);
    kept("a file that is replaced");
    give("seven", 33);
    run(dir.path(), &["-aXI", "--inplace", "src/", "dst"]).expect(0);
    kept("a file written in place");
    give("seven", 7);
    run(dir.path(), &["-aX", "--size-only", "src/", "dst"]).expect(0);
    kept("a file that gets another owner");
    fs::write(dst.join("f"), "eight").unwrap();
    chown(dst.join("f"), Some(1), Some(1)).unwrap();
    give("eight", 1);
    run(dir.path(), &["-aXc", "src/", "dst"]).expect(0);
    kept("a file that has lost them");
    assert_eq!(run(dir.path(), &["-aiXc", "src/", "dst"]).expect(0).text(), "");
}

/// A source with long values on everything that may have some.
fn long_source(src: &Path) -> Vec<&'static str> {
    fs::create_dir_all(src.join("d/e")).unwrap();
    fs::write(src.join("f"), "f").unwrap();
    fs::write(src.join("d/big"), vec![1; 100_000]).unwrap();
    let names = vec!["", "f", "d", "d/e", "d/big"];
    for (at, name) in names.iter().enumerate() {
        for number in 0..3 {
            let value = vec![u8::try_from(at).unwrap(); 20_000 + number];
            xattr::set(src.join(name), format!("user.long{number}"), &value).unwrap();
        }
        xattr::set(src.join(name), "user.short", b"x").unwrap();
    }
    names
}

#[test]
fn long_values_arrive_on_every_way_and_are_not_sent_again() {
    let Some(dir) = roomy() else { return };
    let names = long_source(&dir.path().join("src"));
    let shell = remote_shell::to_itself(dir.path());
    let here = dir.path().to_str().unwrap();
    for (way, far_src, far_dst) in [("local", "", ""), ("push", "", "far:"), ("pull", "far:", "")] {
        let [src, dst] = [format!("{far_src}{here}/src/"), format!("{far_dst}{here}/{way}")];
        let run = |options: &str| {
            let args = shell.iter().cloned().chain([options, &src, &dst].map(OsString::from));
            under_test::run(dir.path(), args)
        };
        run("-aX").expect(0);
        let [there, source] = [way, "src"].map(|tree| attached_in(&dir.path().join(tree), &names));
        assert_eq!(there, source, "{way}");
        assert_eq!(run("-aiX").expect(0).text(), "", "{way}");
        for name in ["f", "d"] {
            xattr::set(dir.path().join(way).join(name), "user.long1", &[0; 20_001]).unwrap();
            xattr::set(dir.path().join(way).join(name), "user.more", &[0; 200]).unwrap();
        }
        assert_eq!(run("-aiX").expect(0).text(), ".f........x f\n.d........x d/\n", "{way}");
        assert_eq!(attached_in(&dir.path().join(way), &names), source, "{way}");
    }
}

#[test]
fn a_daemon_keeps_attributes_and_lists_and_refuses_them_by_name() {
    if !requirement::met(&[Need::Root]) || !is_sluice() {
        return;
    }
    let modules = "[m]\npath = @/m\nread only = no\nuid = root\n[no]\npath = @/m\nrefuse options = acls X\n";
    let served = Served::new(modules, |at| fs::create_dir(at.join("m")).unwrap());
    let src = served.at("src");
    fs::create_dir(&src).unwrap();
    fs::write(src.join("f"), "f").unwrap();
    let file = src.join("f");
    let list = attached::acl(0o664, 4, (7, 6), (3, 4));
    if xattr::set(&file, "user.long", &[3; 700]).is_err() || xattr::set(&file, ACCESS, &list).is_err() {
        return requirement::skip("no extended attributes here");
    }
    xattr::set(&file, "trusted.t", b"1").unwrap();
    xattr::set(&file, CAPABILITIES, &CAPABILITY).unwrap();
    xattr::set(&src, DEFAULT, &attached::acl(0o750, 4, (7, 6), (3, 4))).unwrap();
    served.run(["-aAX", "src/", "localhost::m/"]).expect(0);
    let mut expected = attached_in(&src, &["", "f"]);
    expected[1].remove(&b"trusted.t"[..]);
    assert!(expected[1].contains_key(CAPABILITIES.as_bytes()));
    assert_eq!(attached_in(&served.at("m"), &["", "f"]), expected);
    assert_eq!(served.run(["-aiAX", "src/", "localhost::m/"]).expect(0).text(), "");
    served.run(["-aAX", "localhost::m/", "back"]).expect(0);
    assert_eq!(attached_in(&served.at("back"), &["", "f"]), expected);
    for (option, name) in [("-A", "--acls (-A)"), ("-X", "--xattrs (-X)")] {
        let refused = served.run(["-r", option, "localhost::no/", "back"]);
        assert!(refused.expect(4).errors().contains(name), "{}", refused.errors());
    }
}

#[test]
fn what_cannot_be_set_is_told_once_for_each_entry_and_the_rest_goes_on() {
    if !requirement::met(&[Need::MountTmpfs]) || !is_sluice() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [src, dst] = ["src", "dst"].map(|name| dir.path().join(name));
    fs::create_dir(&src).unwrap();
    fs::create_dir(&dst).unwrap();
    fs::write(src.join("f"), "f").unwrap();
    fs::set_permissions(src.join("f"), fs::Permissions::from_mode(0o664)).unwrap();
    if xattr::set(src.join("f"), "user.a", b"1").is_err() {
        return requirement::skip("no extended attributes here");
    }
    xattr::set(src.join("f"), "user.b", b"1").unwrap();
    xattr::set(src.join("f"), ACCESS, &attached::acl(0o664, 4, (7, 6), (3, 4))).unwrap();
    let nothing = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("none"), &dst, Some("ramfs"), nothing, None::<&str>).unwrap();
    let done = run(dir.path(), &["-aAX", "src/", "dst/"]);
    let meta = fs::metadata(dst.join("f")).unwrap();
    nix::mount::umount(&dst).unwrap();
    let told = done.expect(23).errors();
    assert_eq!((meta.mode() & 0o7777, meta.size()), (0o664, 1), "{told}");
    assert_eq!(told.matches("set extended attributes of \"dst/f\": \"user.a\": ").count(), 1, "{told}");
    assert!(told.contains(", and 1 more"), "{told}");
    assert_eq!(told.matches("set access control list of \"dst/f\": ").count(), 1, "{told}");
}

#[test]
fn an_owner_who_may_not_write_a_file_keeps_its_attributes_too() {
    if !requirement::met(&[Need::OtherUser]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    let file = dir.path().join("src/f");
    fs::write(&file, "f").unwrap();
    if xattr::set(&file, "user.a", b"1").is_err() {
        return requirement::skip("no extended attributes here");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    fs::create_dir(dir.path().join("dst")).unwrap();
    chown(dir.path().join("dst"), Some(65534), Some(65534)).unwrap();
    for value in ["1", "2"] {
        xattr::set(&file, "user.a", value.as_bytes()).unwrap();
        under_test::run_as_nobody(dir.path(), ["-rtpX", "src/", "dst/"]).expect(0);
        let there = dir.path().join("dst/f");
        assert_eq!(attached::of(&there).get(&b"user.a"[..]), Some(&value.as_bytes().to_vec()));
        assert_eq!(fs::metadata(&there).unwrap().mode() & 0o7777, 0o444);
    }
}

#[test]
fn a_directorys_default_list_decides_about_new_modes_and_is_not_inherited_where_lists_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("src/d")).unwrap();
    fs::write(dir.path().join("src/f"), "f").unwrap();
    fs::set_permissions(dir.path().join("src/f"), fs::Permissions::from_mode(0o666)).unwrap();
    for (options, mode, lists) in [("-rt", 0o660, true), ("-rtA", 0o666, false)] {
        let name = options.trim_start_matches('-');
        let dst = dir.path().join(name);
        fs::create_dir(&dst).unwrap();
        if xattr::set(&dst, DEFAULT, &attached::acl(0o770, 7, (7, 7), (3, 7))).is_err() {
            return requirement::skip("no access control lists here");
        }
        run(dir.path(), &[options, "src/f", "src/d", name]).expect(0);
        let meta = fs::metadata(dst.join("f")).unwrap();
        assert_eq!(meta.mode() & 0o7777, mode, "{options}");
        assert_eq!(attached::of(&dst.join("f")).contains_key(ACCESS.as_bytes()), lists, "{options}");
        assert_eq!(attached::of(&dst.join("d")).contains_key(DEFAULT.as_bytes()), lists, "{options}");
    }
}

#[test]
fn maps_of_owners_are_for_lists_too_unless_ids_are_numeric() {
    if !requirement::met(&[Need::Root, Need::Program("rsync")]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/f"), "f").unwrap();
    xattr::set(dir.path().join("src/f"), ACCESS, &attached::acl(0o640, 4, (12_345, 4), (7, 4))).unwrap();
    for (at, more) in
        [&["--chown=5:33"][..], &["--chown=5:33", "--numeric-ids"], &["--groupmap=7:9", "--numeric-ids"]]
            .iter()
            .enumerate()
    {
        let [ours, theirs] = [under_test::binary(), "rsync".into()].map(|program| {
            let to = format!("{at}-{}", Path::new(&program).file_name().unwrap().display());
            let mut command = under_test::command(&program, dir.path());
            command.arg("-aA").args(*more).args(["src/", &to]);
            under_test::finish(command).expect(0);
            attached::of(&dir.path().join(to).join("f"))
        });
        assert_eq!(ours, theirs, "{more:?}");
    }
}

#[test]
fn where_an_extended_attribute_is_set_the_time_is_set_to_the_nanosecond() {
    let Some(dir) = roomy() else { return };
    let dir = dir.path();
    let lay_out = || {
        for (tree, nanos) in [("src", 1), ("dst", 0)] {
            let _fresh = fs::remove_dir_all(dir.join(tree));
            fs::create_dir_all(dir.join(tree).join("d")).unwrap();
            fs::write(dir.join(tree).join("f"), "text").unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::new(1000, nanos);
            for name in ["f", "d"] {
                if tree == "src" {
                    xattr::set(dir.join(tree).join(name), "user.a", b"1").unwrap();
                }
                fs::File::open(dir.join(tree).join(name)).unwrap().set_modified(time).unwrap();
            }
        }
    };
    let nanos = || ["f", "d"].map(|name| fs::metadata(dir.join("dst").join(name)).unwrap().mtime_nsec());
    lay_out();
    run(dir, &["-aX", "src/", "dst/"]).expect(0);
    assert_eq!(nanos(), [1, 1]);
    lay_out();
    run(dir, &["-a", "src/", "dst/"]).expect(0);
    assert_eq!(nanos(), [0, 0]);
    lay_out();
    run(dir, &["-aXO", "src/", "dst/"]).expect(0);
    assert_eq!(nanos(), [1, 0]);
}

#[test]
fn access_control_lists_that_are_kept_as_such_are_no_attributes_beside_whatever_rules_say() {
    if !requirement::met(&[Need::Root]) {
        return;
    }
    let Some(dir) = roomy() else { return };
    drop(dir);
    // An own rule takes the place of the one that leaves out `system`.
    let prepare = |dir: &Path| {
        for tree in ["src", "dst"] {
            fs::create_dir(dir.join(tree)).unwrap();
            fs::write(dir.join(tree).join("f"), "f").unwrap();
            xattr::set(dir.join(tree).join("f"), "user.a", tree.as_bytes()).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
            fs::File::open(dir.join(tree).join("f")).unwrap().set_modified(time).unwrap();
            fs::File::open(dir.join(tree)).unwrap().set_modified(time).unwrap();
        }
        // rw for the owner, r for user 33, the group and the mask.
        let entry = |tag: u16, bits: u16, id: u32| {
            [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let none = u32::MAX;
        let list =
            [entry(1, 6, none), entry(2, 4, 33), entry(4, 4, none), entry(16, 4, none), entry(32, 4, none)];
        xattr::set(dir.join("src/f"), ACCESS, &[&2_u32.to_le_bytes()[..], &list.concat()].concat()).unwrap();
    };
    for way in [Way::Here, Way::ShellPush, Way::ShellPull, Way::DaemonPush, Way::DaemonPull] {
        ways::run(way, "", &["-aiXA", "--delete", "-f-x user.a"], prepare, |dir, run| {
            assert_eq!(run.code, 0, "{way:?}: {}", run.errors());
            let line = String::from_utf8_lossy(&run.out).replace('<', ".");
            assert_eq!(line, ".f.......a. f\n", "{way:?}");
            assert_eq!(
                xattr::get(dir.join("dst/f"), ACCESS).unwrap(),
                xattr::get(dir.join("src/f"), ACCESS).unwrap()
            );
            assert_eq!(
                xattr::get(dir.join("dst/f"), "user.a").unwrap().as_deref(),
                Some(&b"dst"[..]),
                "{way:?}"
            );
        });
    }
}
