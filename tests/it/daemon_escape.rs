//! Nothing outside a module is read or written, with `use chroot = no` as root and for an ordinary user.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::requirement::{Need, met};
use crate::served::{Served, file, tree};

const MODULES: &str = "use chroot = no\nmunge symlinks = no\n[m]\npath = @/mod\nread only = no\n";
const AS_ROOT: &str =
    "use chroot = no\nmunge symlinks = no\nuid = root\ngid = root\n[m]\npath = @/mod\nread only = no\n";

/// A module full of links that lead outside it.
fn planted(at: &Path) {
    file(at, "outside/secret", "not for you");
    file(at, "mod/own", "inside");
    file(at, "src/new", "new");
    file(at, "src/dir/new", "new");
    for (text, name) in
        [("../outside", "up"), ("../outside/secret", "file"), ("/", "root"), ("../outside", "dir")]
    {
        symlink(text, at.join("mod").join(name)).unwrap();
    }
    symlink(at.join("outside"), at.join("mod/absolute")).unwrap();
    for name in ["", "outside", "mod", "src", "src/dir"] {
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
}

fn each(test: impl Fn(&Served, &str)) {
    let mut ran = false;
    if met(&[Need::Root]) {
        test(&Served::new(AS_ROOT, planted), "as root");
        ran = true;
    }
    if met(&[Need::OtherUser]) {
        test(&Served::by_nobody(MODULES, planted), "as nobody");
        ran = true;
    }
    if !ran {
        test(&Served::new(MODULES, planted), "as the tests' user");
    }
}

fn nothing_outside_changed(served: &Served, what: &str) {
    assert_eq!(tree(&served.at("outside")), ["secret: not for you"], "{what}");
    for name in ["new", "dir", "tmp"] {
        assert!(!Path::new("/").join(name).join("new").exists(), "{what}");
    }
}

#[test]
fn nothing_outside_the_module_is_read() {
    each(|served, who| {
        fs::write(served.at("names"), "up/secret\nfile\n../outside/secret\n").unwrap();
        fs::write(served.at("names2"), "up/secret\nroot/etc/hostname\nabsolute/secret\n").unwrap();
        for args in [
            &["-a", "localhost::m/up/"][..],
            &["-a", "localhost::m/up/secret"],
            &["-aR", "localhost::m/up/secret"],
            &["-a", "localhost::m/absolute/secret"],
            &["-a", "localhost::m/root/etc/hostname"],
            &["-a", "localhost::m/../outside/secret"],
            &["-a", "localhost::m//outside/secret"],
            &["-aL", "localhost::m/"],
            &["-aL", "localhost::m/file"],
            &["-ak", "localhost::m/"],
            &["-ak", "localhost::m/up"],
            &["-a", "--copy-unsafe-links", "localhost::m/"],
            &["-rR", "localhost::m/./up/./secret"],
            &["-r", "--files-from=names", "localhost::m/"],
            &["-r", "--files-from=names2", "localhost::m/"],
            &["-r", "--no-R", "--files-from=names2", "localhost::m/"],
        ] {
            let run = served.run(args.iter().chain(&["got/"]));
            let got = if served.at("got").exists() { tree(&served.at("got")) } else { Vec::new() };
            assert!(!got.iter().any(|line| line.contains("not for you")), "{who}: {args:?}: {got:?}");
            assert_ne!(run.code, 0, "{who}: {args:?}");
            let _gone = fs::remove_dir_all(served.at("got"));
        }
    });
}

#[test]
fn nothing_outside_the_module_is_written() {
    each(|served, who| {
        let outside = served.at("outside");
        let outside = outside.to_str().unwrap();
        let (backup, temp) = (format!("--backup-dir={outside}"), format!("--temp-dir={outside}"));
        for args in [
            &["-a", "src/", "localhost::m/up/"][..],
            &["-a", "src/new", "localhost::m/file"],
            &["-a", "src/new", "localhost::m/up/secret"],
            &["-a", "src/", "localhost::m/absolute/"],
            &["-a", "src/", "localhost::m/../outside/"],
            &["-a", "--mkpath", "src/", "localhost::m/up/deep/er/"],
            &["-aK", "src/", "localhost::m/"],
            &["-a", "--keep-dirlinks", "src/dir", "localhost::m/"],
            &["-ab", "--backup-dir=up", "src/", "localhost::m/"],
            &["-ab", "--backup-dir=../outside", "src/", "localhost::m/"],
            &["-ab", &backup, "src/", "localhost::m/"],
            &["-a", "--temp-dir=../outside", "src/", "localhost::m/"],
            &["-a", "--temp-dir=up", "src/", "localhost::m/"],
            &["-a", &temp, "src/", "localhost::m/"],
            &["-a", "--inplace", "src/new", "localhost::m/file"],
            &["-r", "--delete", "src/", "localhost::m/up/"],
            &["-r", "--delete", "src/", "localhost::m/"],
        ] {
            served.run(args.iter());
            nothing_outside_changed(served, &format!("{who}: {args:?}"));
        }
    });
}

#[test]
fn a_module_that_became_a_link_after_the_start_is_the_link_owners_risk_and_no_strangers() {
    if !met(&[Need::OtherUser]) {
        return;
    }
    // Somebody else owns the directory above the module, and puts a link in its place.
    let text = AS_ROOT.replace("@/mod", "@/theirs/mod");
    let served = Served::new(&text, |at| {
        planted(at);
        file(at, "theirs/mod/own", "inside");
    });
    served.run(["-a", "localhost::m/", "before/"]).expect(0);
    fs::remove_dir_all(served.at("theirs/mod")).unwrap();
    symlink("../outside", served.at("theirs/mod")).unwrap();
    nix::unistd::fchownat(
        nix::fcntl::AT_FDCWD,
        &served.at("theirs/mod"),
        Some(65534.into()),
        Some(65534.into()),
        nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
    )
    .unwrap();
    let run = served.run(["-a", "localhost::m/", "after/"]);
    assert!(run.expect(5).errors().contains("the daemon's log says why"));
    assert!(!served.at("after").exists());
    served.logged("symbolic link on the way belongs to neither root nor you");
}
