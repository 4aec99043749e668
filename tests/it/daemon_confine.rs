//! What a confined process can still do, tried out in a process of its own: this test binary, run again.

use std::collections::BTreeMap;

use std::fs;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::prctl;
use sluice::daemon::config::{Config, Peer};
use sluice::daemon::confine::{Plan, Roots};
use sluice::path::temp::PRIVATE;
use sluice::path::{Kind, Name, operand};
use sluice::process::ids::Identity;

use crate::alone;
use crate::requirement::{Need, met};

/// Where the child finds its scratch directory.
const SCRATCH: &str = "SLUICE_TEST_CONFINED";

struct Place {
    scratch: tempfile::TempDir,
}

impl Place {
    /// A module that everybody may write to, and things outside that everybody may too: what fails then
    /// fails because of the confinement.
    fn new() -> Place {
        let scratch = tempfile::tempdir().unwrap();
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        open(scratch.path(), 0o777);
        for dir in ["module", "module/dir", "outside"] {
            fs::create_dir(scratch.path().join(dir)).unwrap();
            open(&scratch.path().join(dir), 0o777);
        }
        for file in ["module/file", "outside/file"] {
            fs::write(scratch.path().join(file), "text").unwrap();
            open(&scratch.path().join(file), 0o666);
        }
        symlink("../outside/file", scratch.path().join("module/link")).unwrap();
        Place { scratch }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// What each attempt came to in a child that is confined as `parameters` say.
    fn attempts(&self, parameters: &str, begin_as: &str) -> BTreeMap<String, String> {
        let module = self.at("module");
        fs::write(self.at("conf"), format!("[m]\npath = {}\n{parameters}\n", module.display())).unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let output = alone::command("daemon_confine::child")
            .env("SLUICE_TEST_CONNECT", listener.local_addr().unwrap().to_string())
            .env(SCRATCH, self.scratch.path())
            .env("SLUICE_TEST_BEGIN_AS", begin_as)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let found = text.lines().filter_map(|line| line.strip_prefix("tried ")?.split_once(": "));
        let found: BTreeMap<String, String> = found.map(|(k, v)| (k.into(), v.into())).collect();
        assert!(found.contains_key("level"), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        found
    }
}

/// The other side of [`Place::attempts`]; passes without doing anything unless it is run by it.
#[test]
fn child() {
    alone::if_child("daemon_confine::child", || {
        try_everything();
        0
    });
}

fn try_everything() {
    let scratch = std::env::var_os(SCRATCH).unwrap();
    let at = |name: &str| Path::new(&scratch).join(name);
    if std::env::var_os("SLUICE_TEST_BEGIN_AS").is_some_and(|who| who == "nobody") {
        Identity { uid: 65534, gid: 65534, groups: Vec::new() }.assume().unwrap();
    }
    let config = Config::load(at("conf").as_os_str(), &|_| None, &[]).unwrap();
    let module = config.find(b"m").unwrap();
    let settings = &module.settings;
    let connect = std::env::var("SLUICE_TEST_CONNECT").unwrap();
    let held = operand::open_dir(at("outside").as_os_str()).unwrap();
    let roots = Roots::open(&settings.path.as_ref().unwrap().fixed().unwrap()).unwrap();
    let plan = Plan::new(settings, &Peer::default(), !settings.read_only).unwrap();
    let outcome = plan.carry_out(&roots);
    // Not through the macro: the test runner takes that for itself.
    let mut out = std::io::stdout();
    let mut tell = |what: &str, result: Result<(), String>| {
        let _told = writeln!(out, "\ntried {what}: {}", result.map_or_else(|e| e, |()| "ok".into()));
    };
    let confined = match outcome {
        Ok(confined) => confined,
        Err(why) => return tell("level", Err(why)),
    };
    tell("level", Err(confined.level));
    let io = |r: std::io::Result<()>| r.map_err(|_| "no".to_string());
    let os = |r: Result<(), sluice::sys::Errno>| r.map_err(|_| "no".to_string());
    let name = |text: &str| Name::parse(text.as_bytes()).unwrap();
    tell("read outside", io(fs::read(at("outside/file")).map(drop)));
    tell("read through a link", io(fs::read(at("module/link")).map(drop)));
    tell("read through a directory held before", os(held.open_file(&name("file")).map(drop)));
    tell("list outside", io(fs::read_dir(at("outside")).map(drop)));
    tell("list /", io(fs::read_dir("/proc").map(drop)));
    tell("write outside", io(fs::write(at("outside/file"), "x")));
    tell("make outside", io(fs::create_dir(at("outside/new"))));
    tell("remove outside", io(fs::remove_file(at("outside/file"))));
    tell("move out", io(fs::rename(at("module/file"), at("outside/moved"))));
    tell("link in", io(fs::hard_link(at("outside/file"), at("module/hard"))));
    tell("chmod outside", io(fs::set_permissions(at("outside/file"), fs::Permissions::from_mode(0o600))));
    tell("run a program", io(Command::new("/bin/true").status().map(drop)));
    tell("connect", io(std::net::TcpStream::connect(connect).map(drop)));
    tell("become root", os(sluice::sys::credentials::set_uid(0)));
    tell("list the module", os(roots.module.list(|_, _| ())));
    tell("read in the module", os(roots.module.open_file(&name("file")).map(drop)));
    tell("make in the module", os(roots.module.make_dir(&name("made"))));
    tell("make a device", os(roots.module.make_node(&name("dev"), Kind::CharDevice, 0x103)));
    let module_path = if confined.chroot {
        PathBuf::from(if roots.outer.is_some() { "/module" } else { "/" })
    } else {
        at("module")
    };
    let unnamed = roots.module.create_unnamed(PRIVATE);
    let unnamed = unnamed.and_then(|f| roots.module.link_unnamed(f.as_fd(), &name("linked")));
    tell("make without a name first", os(unnamed));
    // As before Linux 6.10 and 6.6.
    let unnamed = roots.module.create_unnamed(PRIVATE).and_then(|file| {
        let module = std::fs::File::open(&module_path).map_err(|_| sluice::sys::Errno::EIO)?;
        sluice::sys::attrs::chmod_proc_fd(file.as_fd(), 0o640)?;
        sluice::sys::names::link_proc_fd(file.as_fd(), module.as_fd(), c"by-proc")
    });
    tell("make by /proc", os(unnamed));
    let dir = roots.module.child(&name("dir"));
    tell("move within", os(dir.and_then(|dir| roots.module.rename(&name("file"), &dir, &name("f")))));
    let limit = |which| nix::sys::resource::getrlimit(which).unwrap().1;
    let memory = limit(nix::sys::resource::Resource::RLIMIT_DATA);
    let core = limit(nix::sys::resource::Resource::RLIMIT_CORE);
    tell("limits", if memory <= 512 << 20 && core == 0 { Ok(()) } else { Err("no".into()) });
    let sealed = prctl::get_no_new_privs() == Ok(true) && prctl::get_dumpable() == Ok(false);
    tell("seal", if sealed { Ok(()) } else { Err("no".into()) });
    let (effective, permitted) = sluice::sys::capabilities::get().unwrap();
    tell("capabilities", Err(format!("{:x}", effective | permitted)));
    let (known, names) = (sluice::process::ids::user(b"daemon").is_ok(), confined.numeric_ids);
    tell("look a user up", if known { Ok(()) } else { Err("no".into()) });
    tell("numeric ids", if names { Ok(()) } else { Err("no".into()) });
}

const OUTSIDE: &[&str] = &[
    "read outside",
    "read through a link",
    "read through a directory held before",
    "list outside",
    "list /",
    "write outside",
    "make outside",
    "remove outside",
    "move out",
    "link in",
    "run a program",
];

const WRITING: &[&str] = &["make in the module", "make without a name first", "make by /proc", "move within"];

#[track_caller]
fn expect(found: &BTreeMap<String, String>, names: &[&str], result: &str) {
    for name in names {
        assert_eq!(found.get(*name).map(String::as_str), Some(result), "{name}; {}", found["level"]);
    }
}

#[test]
fn a_read_only_module_can_be_read_and_nothing_else_by_nobody() {
    if !met(&[Need::Root]) {
        return;
    }
    for chroot in ["yes", "no"] {
        let found = Place::new().attempts(&format!("use chroot = {chroot}"), "root");
        expect(&found, OUTSIDE, "no");
        expect(&found, WRITING, "no");
        expect(&found, &["list the module", "read in the module"], "ok");
        expect(&found, &["become root", "make a device", "chmod outside", "connect"], "no");
        expect(&found, &["limits", "seal"], "ok");
        expect(&found, &["capabilities"], "0");
        assert!(found["level"].starts_with("user 65534, ") && found["level"].contains("read only"));
        assert_eq!(found["level"].contains("no chroot"), chroot == "no");
        assert_eq!(found["numeric ids"] == "ok", chroot == "yes");
        assert_eq!(found["look a user up"] == "ok", chroot == "no", "names only where there is an /etc");
    }
}

#[test]
fn a_writable_module_can_be_written_inside_only() {
    if !met(&[Need::Root]) {
        return;
    }
    for chroot in ["yes", "no"] {
        let found = Place::new().attempts(&format!("use chroot = {chroot}\nread only = no"), "root");
        expect(&found, OUTSIDE, "no");
        expect(&found, WRITING, "ok");
        expect(&found, &["become root", "make a device", "chmod outside"], "no");
    }
}

#[test]
fn a_module_that_works_as_root_has_its_rights_inside_only() {
    if !met(&[Need::Root]) {
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.at("module"), fs::Permissions::from_mode(0o700)).unwrap();
    let found = place.attempts("uid = root\ngid = root\nread only = no", "root");
    expect(&found, OUTSIDE, "no");
    expect(&found, WRITING, "ok");
    expect(&found, &["chmod outside"], "no");
    assert_eq!(found["make a device"], "ok");
    // setfcap, mknod, fsetid, fowner, dac_override, chown: by their bits in capabilities(7).
    let kept = 1u32 << 31 | 1 << 27 | 1 << 4 | 1 << 3 | 1 << 1 | 1;
    assert_eq!(found["capabilities"], format!("{kept:x}"));
    let reading = place.attempts("uid = root\ngid = root", "root");
    expect(&reading, OUTSIDE, "no");
    expect(&reading, WRITING, "no");
    expect(&reading, &["make a device"], "no");
    assert_eq!(reading["capabilities"], "2", "dac_override");
    assert!(found["level"].contains("user 0, chroot"));
}

#[test]
fn without_root_there_is_no_chroot_and_the_same_fence() {
    if !met(&[Need::Root]) {
        return;
    }
    let found = Place::new().attempts("read only = no\nnumeric ids = yes", "nobody");
    expect(&found, OUTSIDE, "no");
    expect(&found, WRITING, "ok");
    expect(&found, &["look a user up", "connect"], "no");
    expect(&found, &["limits", "seal"], "ok");
    assert!(found["level"].contains("no chroot"));
    let found = Place::new().attempts("use chroot = yes", "nobody");
    assert!(found["level"].starts_with("chroot: "), "{}", found["level"]);
}

#[test]
fn a_divided_path_puts_the_chroot_above_the_module() {
    if !met(&[Need::Root]) {
        return;
    }
    let place = Place::new();
    let divided = format!("{}/./module", place.scratch.path().display());
    let found = place.attempts(&format!("&merge {}", write_part(&place, &divided)), "root");
    expect(&found, OUTSIDE, "no");
    assert!(found["level"].contains("chroot") && !found["level"].contains("no chroot"));
}

/// A part that gives the module another path.
fn write_part(place: &Place, path: &str) -> String {
    let part = place.at("part");
    fs::write(&part, format!("path = {path}\n")).unwrap();
    part.display().to_string()
}
