//! The reader against files in a scratch directory.
#![allow(clippy::disallowed_methods)] // the tests write what the reader reads

use std::fs;
use std::path::Path;

use super::*;

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new(files: &[(&str, &str)]) -> Scratch {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("@", at)).unwrap();
        }
        Scratch(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.path().join("conf").as_os_str(), &|_| None, &[])
    }
}

fn load(text: &str) -> Result<Config, ConfigError> {
    Scratch::new(&[("conf", text)]).load()
}

fn comments(config: &Config) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    config.modules.iter().map(|m| (text(&m.name), text(&m.settings.comment))).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn a_module_begins_with_the_defaults_of_its_place() {
    let config = load(
        "comment = one\n[a]\npath=/a\n[b]\npath=/b\ncomment = own\n[ Global ]\ncomment = two\nport = 99\n\
         [c]\npath=/c\n[a]\nlist = no\n",
    )
    .unwrap();
    assert_eq!(comments(&config), pairs(&[("a", "one"), ("b", "own"), ("c", "two")]));
    assert!(!config.modules[0].settings.list && config.modules[2].settings.list);
    assert_eq!(config.globals.port, Some(99));
}

#[test]
fn what_the_command_line_says_stands_at_the_end_of_the_global_section() {
    let with = |files: &[(&str, &str)], overrides: &[&str]| {
        let overrides: Vec<_> = overrides.iter().map(Into::into).collect();
        let scratch = Scratch::new(files);
        Config::load(scratch.path().join("conf").as_os_str(), &|_| None, &overrides)
    };
    let text = "comment = file\nport = 1\n[a]\npath=/a\n[b]\npath=/b\ncomment = own\n[global]\ncomment = late\n[c]\npath=/c\n";
    let config = with(&[("conf", text)], &["comment=typed", "Port = 2", "pidfile=/run/x"]).unwrap();
    assert_eq!(comments(&config), pairs(&[("a", "typed"), ("b", "own"), ("c", "late")]));
    assert_eq!((config.globals.port, config.globals.pid_file), (Some(2), Some("/run/x".into())));
    // Also where the first module stands in an included file, and where there is none.
    let files = [
        ("conf", "&include @/d\n[z]\npath=/z\n"),
        ("d/a.conf", "[a]\npath=/a\n"),
        ("d/b.conf", "[b]\npath=/b\n"),
    ];
    let config = with(&files, &["comment=typed", "port=3"]).unwrap();
    assert_eq!(comments(&config), pairs(&[("a", "typed"), ("b", "typed"), ("z", "typed")]));
    assert_eq!(config.globals.port, Some(3));
    assert_eq!(with(&[("conf", "")], &["port=4"]).unwrap().globals.port, Some(4));
    for (bad, why) in [
        ("prot=4", "--dparam line 1: unknown parameter `prot`"),
        ("port", "--dparam line 1: neither"),
        ("[a]", "--dparam line 1: \"[a]\" is not NAME=VALUE"),
        ("port=1\n[a]", "is not NAME=VALUE"),
        ("", "\"\" is not NAME=VALUE"),
    ] {
        let error = with(&[("conf", "")], &[bad]).unwrap_err().to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[test]
fn included_files_leave_the_defaults_alone_and_merged_ones_do_not() {
    let scratch = Scratch::new(&[
        ("conf", "comment = main\n&merge @/d\n&include @/d\n[z]\npath=/z\n"),
        ("d/2.conf", "[two]\npath=/2\n"),
        ("d/1.conf", "comment = inner\n[one]\npath=/1\n"),
        ("d/x.inc", "comment = merged\n"),
        ("d/x.txt", "nonsense"),
    ]);
    let expected = pairs(&[("one", "inner"), ("two", "merged"), ("z", "merged")]);
    // A parameter that a merged file has set may be set again by the file that merges it, not twice in one.
    assert_eq!(comments(&scratch.load().unwrap()), expected);
}

#[test]
fn a_merged_file_goes_on_with_the_module_it_stands_in() {
    let scratch =
        Scratch::new(&[("conf", "[m]\npath=/m\n&merge @/part\nlist=no\n"), ("part", "read only=no\n")]);
    let config = scratch.load().unwrap();
    assert!(!config.modules[0].settings.read_only && !config.modules[0].settings.list);
}

#[test]
fn every_mistake_is_an_error_with_file_and_line() {
    for (text, line, what) in [
        ("\nbogus = 1", 2, "unknown parameter `bogus`"),
        ("[m]\npath=/m\nhost deny = *", 3, "unknown parameter"),
        ("[m]\npath=/m\nread only = maybe", 3, "neither yes nor no"),
        ("[m]\npath=/m\nport = 1", 3, "before the first module"),
        ("port = 0", 1, "from 1 to 65535"),
        ("address = localhost", 1, "not an IP address"),
        ("hosts allow = localhost", 1, "write an address"),
        ("hosts deny =", 1, "empty"),
        ("fake super = maybe", 1, "neither yes nor no"),
        ("pre-xfer exec = /bin/true", 1, "runs no other programs"),
        ("incoming chmod = q", 1, "--chmod"),
        ("auth users = joe:x", 1, ":deny"),
        ("lock file = /run/%RSYNC_USER_NAME%", 1, "path, uid and gid"),
        ("list = no\ncomment = x\nlist = yes", 3, "twice"),
        ("&include /nonexistent/x", 1, "No such file"),
    ] {
        let error = load(text).unwrap_err().to_string();
        assert!(error.contains(&format!("/conf line {line}: ")) && error.contains(what), "{text:?}: {error}");
    }
}

#[test]
fn what_a_module_lacks_is_told_with_its_name() {
    for (text, what) in [
        ("[m m]\n", "module [m m]: `path` is missing"),
        ("[m]\npath=/m\nauth users=a", "needs a `secrets file`"),
        ("[m]\npath=/m\nwrite only=yes", "read only = no"),
        ("[m]\npath=/m\nfilter = nonsense", "line 3: `filter`: Unknown filter rule"),
        ("[m]\npath=/m\nfilter = dir-merge_.rules", "line 3: `filter`: dir-merge rules are not supported"),
    ] {
        let error = load(text).unwrap_err().to_string();
        assert!(error.contains(what), "{text:?}: {error}");
    }
}

#[test]
fn files_that_include_each_other_are_refused() {
    let scratch = Scratch::new(&[("conf", "&merge @/conf\n")]);
    assert!(scratch.load().unwrap_err().to_string().contains("deep"));
}

#[test]
fn behind_an_include_in_a_module_a_section_has_to_begin() {
    let text = "[a]\npath=/a\n&include @/x\n";
    let scratch = Scratch::new(&[("conf", &format!("{text}list=no\n")), ("x", "")]);
    assert!(scratch.load().unwrap_err().to_string().contains("conf line 4"));
    let scratch = Scratch::new(&[("conf", &format!("{text}[a]\nlist=no\n")), ("x", "")]);
    assert!(!scratch.load().unwrap().modules[0].settings.list);
}

#[test]
fn the_example_of_rsyncs_manual_is_understood() {
    let scratch = Scratch::new(&[(
        "conf",
        "uid = nobody\ngid = nobody\nuse chroot = yes\nmax connections = 4\nsyslog facility = local5\n\
         pid file = /var/run/rsyncd.pid\n[ftp]\n\tpath = /var/ftp/./pub\n\tcomment = whole ftp area (approx 6.1 GB)\n\
         [cvs]\n\tpath = /data/cvs\n\tcomment = CVS repository (requires authentication)\n\
         \tauth users = tridge, susan\n\tsecrets file = /etc/rsyncd.secrets\n",
    )]);
    let config = scratch.load().unwrap();
    let cvs = config.find(b"cvs").unwrap();
    assert_eq!(cvs.settings.auth_users.as_ref().unwrap().len(), 2);
    assert_eq!(cvs.settings.max_connections, super::super::Connections::AtMost(4));
    assert_eq!(cvs.settings.use_chroot, Some(true));
}

#[test]
fn a_module_of_the_command_line_is_read_only_unless_it_says_rw() {
    let config = Config::quick(&["a=/x".into(), "b c=/y,z,rw".into()]).unwrap();
    let path = |at: usize| config.modules[at].settings.path.as_ref().unwrap().fixed().unwrap();
    assert!(config.modules[0].settings.read_only && path(0) == b"/x");
    assert!(!config.modules[1].settings.read_only && path(1) == b"/y,z");
    assert!(config.globals.address.unwrap().is_loopback());
    for text in ["", "a", "=x", "a=", "a=,rw", "a/b=/x"] {
        assert!(Config::quick(&[text.into()]).is_err(), "{text:?}");
    }
    assert!(Config::quick(&["a=/x".into(), "a=/y".into()]).is_err());
}
