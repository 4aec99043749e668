//! Sessions with a daemon: what its modules are, show, hide, change and refuse.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::requirement::{Need, is_root, met};
use crate::served::{Served, file, tree};

/// Whoever runs the tests serves them: root does not become nobody.
fn own() -> &'static str {
    if is_root() { "uid = root\ngid = root\n" } else { "" }
}

fn two_trees(at: &Path) {
    file(at, "mod/f", "one");
    file(at, "mod/a/z", "two");
    file(at, "src/one", "1");
    file(at, "src/sub/two", "2");
    symlink("sub/two", at.join("src/link")).unwrap();
    fs::create_dir(at.join("up")).unwrap();
}

/// Two modules, `pub` to read and `up` to write, and `more` in both.
fn two_modules(more: &str) -> String {
    let own = own();
    let munge = if more.contains("munge") { "" } else { "munge symlinks = no\n" };
    format!(
        "use chroot = no\n{own}{munge}{more}\n[pub]\npath = @/mod\ncomment = the first\n[up]\npath = @/up\nread only = no\n"
    )
}

#[test]
fn the_list_names_modules_with_comments_after_the_greeting_and_no_hidden_one() {
    let more = "[secret]\npath = @/mod\nlist = no\n";
    let text = format!("motd file = @/motd\n{}{more}", two_modules(""));
    let served = Served::new(&text, |at| {
        two_trees(at);
        fs::write(at.join("motd"), "be nice\n").unwrap();
    });
    let listed = served.run(["localhost::"]);
    assert_eq!(listed.expect(0).text(), "be nice\n\npub            \tthe first\nup             \t\n");
    assert_eq!(
        served.run(["--no-motd", "localhost::"]).text(),
        "pub            \tthe first\nup             \t\n"
    );
    assert!(served.run(["--no-motd", "localhost::secret/"]).expect(0).text().ends_with(" a\n"));
    let unknown = served.run(["-a", "localhost::nowhere/", "d"]);
    assert!(unknown.expect(5).errors().contains("unknown module \"nowhere\""));
}

#[test]
fn what_is_pushed_and_pulled_is_equal_and_a_second_run_is_silent() {
    let served = Served::new(&two_modules(""), two_trees);
    let url = format!("sluice://127.0.0.1:{}/up/x/", served.port());
    let first = served.run(["-ai", "--mkpath", "src/", &url]);
    assert!(first.expect(0).text().contains("<f+++++++++ sub/two\n"), "{}", first.text());
    assert_eq!(tree(&served.at("src")), tree(&served.at("up/x")));
    assert_eq!(served.run(["-ai", "src/", "localhost::up/x"]).expect(0).text(), "");
    served.run(["-ai", "localhost::up/x/", "back/"]).expect(0);
    assert_eq!(tree(&served.at("src")), tree(&served.at("back")));
    assert_eq!(served.run(["-ai", "localhost::up/x/", "back/"]).expect(0).text(), "");
    fs::remove_file(served.at("src/one")).unwrap();
    let deleted = served.run(["-ai", "--delete", "src/", "localhost::up/x"]);
    assert!(deleted.expect(0).text().contains("*deleting   one\n"));
    let log = served.logged("module \"up\" for 127.0.0.1: done, sent ");
    assert!(log.contains(" bytes  received "), "{log}");
    assert_eq!(tree(&served.at("src")), tree(&served.at("up/x")));
}

#[test]
fn a_module_to_read_takes_nothing_and_one_to_write_gives_nothing() {
    let text = format!("{}write only = yes\n", two_modules(""));
    let served = Served::new(&text, two_trees);
    let before = tree(&served.at("mod"));
    let refused = served.run(["-a", "src/", "localhost::pub/"]);
    assert!(refused.expect(1).errors().contains("module \"pub\" is read only"));
    assert_eq!(tree(&served.at("mod")), before);
    let refused = served.run(["-a", "localhost::up/", "d/"]);
    assert!(refused.expect(1).errors().contains("module \"up\" is write only"));
    assert!(!served.at("d").exists());
    served.logged("refused: module \"up\" is write only");
}

#[test]
fn hidden_names_are_not_there_for_whoever_pulls() {
    let served = Served::new(&two_modules("exclude = /hid /a/deep *.key\n"), |at| {
        two_trees(at);
        for name in ["hid/in/s", "a/deep/x", "a/n.key", "b/hid", "b/deep/x"] {
            file(&at.join("mod"), name, "s");
        }
    });
    served.run(["-a", "localhost::pub/", "d/"]).expect(0);
    let seen = ["a/", "a/z: two", "b/", "b/deep/", "b/deep/x: s", "b/hid: s", "f: one"];
    assert_eq!(tree(&served.at("d")), seen);
    // The rules are anchored at the module, wherever the transfer begins.
    served.run(["-a", "localhost::pub/a/", "below/"]).expect(0);
    assert_eq!(tree(&served.at("below")), ["z: two"]);
    for hidden in ["hid", "hid/", "hid/in", "hid/in/s", "a/deep/x", "a/n.key", "./hid/./in/s", "/hid//in"] {
        for more in [&["-a"][..], &["-aR"]] {
            let operand = format!("localhost::pub/{hidden}");
            let pulled = served.run(more.iter().copied().chain([operand.as_str(), "e/"]));
            assert!(pulled.expect(23).errors().contains("No such file or directory"), "{hidden}");
        }
    }
    fs::write(served.at("names"), "hid/in/s\nf\n").unwrap();
    for more in [&["-a"][..], &["-a", "--no-relative"]] {
        let args = more.iter().copied().chain(["--files-from=names", "localhost::pub/", "e/"]);
        served.run(args).expect(23);
    }
    assert_eq!(tree(&served.at("e")), ["f: one"]);
}

#[test]
fn directories_of_options_beside_the_destination_serve_in_a_module() {
    let served = Served::new(&two_modules(""), two_trees);
    served.run(["-a", "src/", "localhost::up/monday/"]).expect(0);
    served.run(["-a", "--link-dest=../monday", "src/", "localhost::up/tuesday/"]).expect(0);
    let inode = |day: &str| fs::metadata(served.at(&format!("up/{day}/one"))).unwrap().ino();
    assert_eq!(inode("tuesday"), inode("monday"));
    // Above the module there is nothing, as above `/`.
    served.run(["-a", "--link-dest=../../../monday", "src/", "localhost::up/wednesday/"]).expect(0);
    assert_eq!(inode("wednesday"), inode("monday"));
    fs::write(served.at("src/one"), "other").unwrap();
    served.run(["-ab", "--backup-dir=../old", "src/", "localhost::up/tuesday/"]).expect(0);
    assert_eq!(fs::read(served.at("up/old/one")).unwrap(), b"1");
    assert_eq!(fs::read(served.at("up/monday/one")).unwrap(), b"1");
    // Which links are followed at the source is the client's business, but not at a module's.
    served.run(["-aL", "src/", "localhost::up/followed/"]).expect(0);
    assert_eq!(fs::read(served.at("up/followed/link")).unwrap(), b"2");
    assert!(!served.at("up/followed/link").is_symlink());
    served.run(["-aL", "localhost::up/monday/", "back/"]).expect(1);
    served.run(["-aK", "src/", "localhost::up/monday/"]).expect(1);
}

#[test]
fn hidden_names_are_not_touched_by_whoever_pushes() {
    let served = Served::new(&two_modules("filter = - /hid - *.key\n"), |at| {
        two_trees(at);
        for name in ["up/hid/old", "up/old.key", "up/gone", "up/deep/k.key"] {
            file(at, name, "kept");
        }
        for name in ["src/hid/new", "src/old.key", "src/new.key"] {
            file(at, name, "new");
        }
    });
    let kept = ["deep/", "deep/k.key: kept", "hid/", "hid/old: kept"];
    let pushed = served.run(["-a", "--delete", "src/", "localhost::up/"]);
    let errors = pushed.expect(23).errors();
    assert_eq!(errors.matches("the daemon's configuration does not allow that name").count(), 3, "{errors}");
    let mut want: Vec<&str> = kept.to_vec();
    want.extend(["link -> sub/two", "old.key: kept", "one: 1", "sub/", "sub/two: 2"]);
    assert_eq!(tree(&served.at("up")), want);
    for (status, args) in [
        (3, &["-a", "src/one", "localhost::up/hid/one"][..]),
        (3, &["-a", "src/one", "localhost::up/n.key"]),
        (3, &["-a", "src/", "localhost::up/hid/"]),
        (4, &["-ab", "--backup-dir=hid", "src/one", "localhost::up/"]),
        (4, &["-ab", "--backup-dir=/hid", "src/one", "localhost::up/sub/"]),
        (4, &["-a", "--temp-dir=hid", "src/one", "localhost::up/"]),
        (4, &["-a", "--temp-dir=../hid", "src/one", "localhost::up/sub/"]),
        (4, &["-a", "--link-dest=../sub/../hid", "src/one", "localhost::up/sub/"]),
    ] {
        served.run(args.iter()).expect(status);
    }
    assert_eq!(tree(&served.at("up")), want);
    // Backups are names as well.
    fs::write(served.at("src/one"), "other").unwrap();
    file(served.at("up").as_path(), "one.key", "kept");
    for args in [
        &["-rb", "--suffix=.key", "src/one", "localhost::up/"][..],
        &["-rb", "--suffix=.key", "--backup-dir=sub", "src/one", "localhost::up/"],
    ] {
        let run = served.run(args.iter());
        assert!(run.expect(23).errors().contains("does not allow the name of the backup"), "{args:?}");
    }
    assert_eq!(fs::read_to_string(served.at("up/one.key")).unwrap(), "kept");
    assert!(!served.at("up/sub/one.key").exists());
}

#[test]
fn modes_change_on_the_way_in_and_out() {
    let text = two_modules("incoming chmod = D0750,F0640\noutgoing chmod = Fg+w\n");
    let served = Served::new(&text, two_trees);
    let mode = |name: &str| fs::metadata(served.at(name)).unwrap().mode() & 0o7777;
    served.run(["-a", "src/", "localhost::up/"]).expect(0);
    assert_eq!((mode("up/sub"), mode("up/one")), (0o750, 0o640));
    assert_eq!(served.run(["-ai", "src/", "localhost::up/"]).expect(0).text(), "");
    fs::set_permissions(served.at("mod/f"), fs::Permissions::from_mode(0o604)).unwrap();
    served.run(["-a", "localhost::pub/f", "d/"]).expect(0);
    assert_eq!((mode("d/f"), mode("mod/f")), (0o624, 0o604));
}

#[test]
fn munged_links_lead_nowhere_in_the_module_and_where_they_did_outside() {
    let served = Served::new(&two_modules("munge symlinks = yes\n"), two_trees);
    let pushed = served.run(["-ai", "src/link", "localhost::up/"]);
    assert_eq!(pushed.expect(0).text(), "cL+++++++++ link -> sub/two\n");
    assert_eq!(tree(&served.at("up")), ["link -> /rsyncd-munged/sub/two"]);
    assert_eq!(served.run(["-ai", "src/link", "localhost::up/"]).expect(0).text(), "");
    let pulled = served.run(["-ai", "localhost::up/", "d/"]);
    assert!(pulled.expect(0).text().contains("cL+++++++++ link -> sub/two\n"));
    assert_eq!(tree(&served.at("d")), ["link -> sub/two"]);
}

#[test]
fn refused_options_are_named_and_nothing_is_done() {
    let served = Served::new(&two_modules("refuse options = c delete !delete-after a* backup\n"), two_trees);
    for (args, option) in [
        (&["-rc", "src/", "localhost::up/"][..], "--checksum (-c)"),
        (&["-rc", "localhost::pub/", "d/"], "--checksum (-c)"),
        (&["-r", "--delete", "src/", "localhost::up/"], "--delete"),
        (&["-rb", "src/", "localhost::up/"], "--backup (-b)"),
    ] {
        let refused = served.run(args.iter());
        assert!(refused.expect(4).errors().contains(&format!("configured to refuse {option}\n")), "{option}");
    }
    assert!(tree(&served.at("up")).is_empty() && !served.at("d").exists());
    served.logged("refused: The server is configured to refuse --backup (-b)");
    // What only the client does is no business of the daemon's.
    served.run(["-r", "--delete", "localhost::pub/", "d/"]).expect(0);
    served.run(["-r", "--delete-after", "src/", "localhost::up/"]).expect(0);
}

#[test]
fn the_log_has_a_line_for_each_file_that_was_moved_or_deleted() {
    let served =
        Served::new(&two_modules("transfer logging = yes\nlog format = %o %m %a (%u) %f %l\n"), |at| {
            two_trees(at);
            file(at, "mod/a\nb", "three");
        });
    served.run(["-a", "localhost::pub/", "d/"]).expect(0);
    served.run(["-a", "src/sub", "localhost::up/k/"]).expect(0);
    served.run(["-a", "src/one", "localhost::up/k/renamed"]).expect(0);
    fs::remove_file(served.at("src/sub/two")).unwrap();
    served.run(["-a", "--delete", "src/sub/", "localhost::up/k/sub"]).expect(0);
    let log = served.logged("del. up 127.0.0.1 () k/sub/two 0\n");
    for line in [
        "send pub 127.0.0.1 () f 3\n",
        "send pub 127.0.0.1 () a/z 3\n",
        "send pub 127.0.0.1 () a\\#012b 5\n",
        "recv up 127.0.0.1 () k/sub/two 1\n",
        "recv up 127.0.0.1 () k/one 1\n",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}{log}");
    }
}

#[test]
fn files_belong_to_the_user_whom_the_module_names() {
    if !met(&[Need::Root]) {
        return;
    }
    let served = Served::new("[m]\npath = @/up\nread only = no\nuid = 1234\ngid = 4321\n", |at| {
        two_trees(at);
        fs::set_permissions(at.join("up"), fs::Permissions::from_mode(0o777)).unwrap();
    });
    served.run(["-r", "src/", "localhost::m/"]).expect(0);
    let made = fs::metadata(served.at("up/one")).unwrap();
    assert_eq!((made.uid(), made.gid()), (1234, 4321));
    served.logged("user 1234, chroot, read and write");
}

#[test]
fn owners_go_by_number_where_the_module_says_so() {
    if !met(&[Need::Root]) {
        return;
    }
    let served = Served::new(&two_modules("numeric ids = yes\n"), two_trees);
    nix::unistd::chown(&served.at("src/one"), Some(54321.into()), Some(54322.into())).unwrap();
    served.run(["-a", "src/one", "localhost::up/"]).expect(0);
    let made = fs::metadata(served.at("up/one")).unwrap();
    assert_eq!((made.uid(), made.gid()), (54321, 54322));
}

#[test]
fn addresses_that_may_not_and_modules_that_are_full_are_told_so() {
    let served = Served::new(
        &format!(
            "{}[deny]\npath = @/mod\nhosts deny = *\n[off]\npath = @/mod\nmax connections = -1\n",
            two_modules("")
        ),
        two_trees,
    );
    let denied = served.run(["localhost::deny/"]);
    assert!(denied.expect(5).errors().contains("access denied to module \"deny\""));
    let full = served.run(["localhost::off/"]);
    assert!(full.expect(5).errors().contains("try again later"));
}

#[test]
fn a_client_of_rsyncs_daemon_and_rsync_at_ours_are_told_and_do_not_hang() {
    if !met(&[Need::Program("rsync")]) {
        return;
    }
    let served = Served::new(&two_modules(""), two_trees);
    let mut rsync = std::process::Command::new("timeout");
    rsync
        .args(["20", "rsync", "-a"])
        .arg(format!("--port={}", served.port()))
        .args(["localhost::pub/", "d/"]);
    let rsync = crate::under_test::finish(rsync);
    assert!(rsync.code > 0 && rsync.code < 100, "{}", rsync.errors());
    served.logged("the peer speaks rsync's own protocol");
    // And rsync's greeting, as its daemon sends it, to our client.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let greeter = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n").unwrap();
        let _rest = stream.read_to_end(&mut Vec::new());
    });
    let client = served.run(["-a", &format!("rsync://127.0.0.1:{port}/m/"), "d/"]);
    assert!(client.expect(12).errors().contains("rsync"), "{}", client.errors());
    greeter.join().unwrap();
}

#[test]
fn a_client_connects_from_the_address_that_it_is_told() {
    let served = Served::new(&two_modules("hosts allow = 127.0.0.9\n"), two_trees);
    served.run(["localhost::pub/"]).expect(5);
    served.run(["--address=127.0.0.9", "--contimeout=10", "localhost::pub/"]).expect(0);
    served.logged("connect from 127.0.0.9");
    let nowhere = served.run(["--address=192.0.2.1", "localhost::pub/"]);
    assert!(nowhere.expect(10).errors().contains("Cannot assign requested address"));
}

#[test]
fn a_silent_daemon_ends_the_client_and_a_silent_client_the_session() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent = format!("sluice://127.0.0.1:{}/m/", listener.local_addr().unwrap().port());
    let served = Served::new(&two_modules("timeout = 1\n"), two_trees);
    let run = served.run(["-a", "--timeout=1", &silent, "d/"]);
    assert!(run.expect(30).errors().contains("1 second"), "{}", run.errors());
    // A client that is stopped in the middle of a session, which its limited pace makes long.
    fs::write(served.at("mod/large"), vec![7; 3_000_000]).unwrap();
    let mut client = served.client(["-a", "--bwlimit=100", "localhost::pub/large", "e/"]).spawn().unwrap();
    served.logged("module \"pub\" for 127.0.0.1");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(client.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let log = served.logged("for 1 second");
    assert!(log.contains("module \"pub\" for 127.0.0.1: "), "{log}");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    client.wait().unwrap();
}

#[test]
fn a_rate_holds_for_what_is_pushed_and_for_what_is_pulled() {
    let served = Served::new(&two_modules(""), two_trees);
    fs::write(served.at("src/large"), vec![7; 600_000]).unwrap();
    for (from, to) in [("src/large", "localhost::up/"), ("localhost::up/large", "d/")] {
        let began = std::time::Instant::now();
        served.run(["-a", "--bwlimit=500", from, to]).expect(0);
        // A limit is a least duration: 1.17 seconds, but for what goes out before the first pause.
        assert!(began.elapsed().as_millis() >= 900, "{from}: {:?}", began.elapsed());
    }
}

#[test]
fn a_daemon_that_is_busy_for_longer_than_the_time_out_shows_that_it_lives() {
    // The rate makes the daemon rest for longer than the client would wait for something to come.
    let served = Served::new(&two_modules(""), two_trees);
    fs::write(served.at("mod/a/large"), vec![7; 30_000]).unwrap();
    fs::write(served.at("mod/a/other"), vec![7; 30_000]).unwrap();
    served.run(["-a", "--timeout=7", "--bwlimit=3", "localhost::pub/a/", "d/"]).expect(0);
}

#[test]
fn a_long_greeting_is_shown_as_far_as_whole_lines_of_4_kib_go() {
    let text = format!("motd file = @/motd\n{}", two_modules(""));
    let lines: String = (1..=1200).map(|n| format!("{n}\n")).collect();
    let served = Served::new(&text, |at| {
        two_trees(at);
        fs::write(at.join("motd"), &lines).unwrap();
    });
    let shown = served.run(["localhost::"]).expect(0).text();
    let (greeting, _) = shown.split_once("\n\n").unwrap();
    let most = lines[..4096].rfind('\n').unwrap();
    assert_eq!(greeting, &lines[..most]);
    served.logged("motd file: only the first ");
}

#[test]
fn files_of_rules_that_cannot_be_used_fail_their_own_module_only() {
    let more = "[a]\npath = @/mod\nexclude from = @/gone\n[b]\npath = @/mod\nfilter = merge_@/rules\n\
                [c]\npath = @/mod\nfilter = merge_@/dirs\n";
    let served = Served::new(&format!("{}{more}", two_modules("")), |at| {
        two_trees(at);
        fs::write(at.join("rules"), "- x\nnonsense\n").unwrap();
        fs::write(at.join("dirs"), ": .rules\n").unwrap();
    });
    assert!(served.run(["localhost::"]).expect(0).text().contains("pub "));
    served.run(["-a", "localhost::pub/", "d/"]).expect(0);
    for module in ["a", "b", "c"] {
        let run = served.run(["-a", &format!("localhost::{module}/"), "e/"]);
        let told = run.expect(5).errors();
        assert!(told.contains(&format!("module \"{module}\" cannot be served now")), "{told}");
        assert!(!told.contains("gone") && !told.contains("rules"), "{told}");
    }
    let at = |name: &str| served.at(name).display().to_string();
    served.logged(&at("gone"));
    served.logged(&format!("merges \"{}\"", at("rules")));
    served.logged("line 2>");
    served.logged("dir-merge rules are not supported in a module; connection refused");
}

#[test]
fn a_mistake_in_the_configuration_is_told_to_clients_without_its_place_and_logged_with_it() {
    let served = Served::new(&two_modules(""), two_trees);
    let good = fs::read_to_string(served.at("conf")).unwrap();
    fs::write(served.at("conf"), format!("{good}no such = thing\n")).unwrap();
    for operands in
        [&["localhost::"][..], &["-a", "localhost::pub/", "d/"], &["-a", "src/", "localhost::up/"]]
    {
        let told = served.run(operands.iter());
        assert!(told.expect(5).errors().contains("the daemon can serve nobody now"), "{}", told.errors());
        assert!(!told.errors().contains("such"), "{}", told.errors());
    }
    served.logged("connection from 127.0.0.1 turned away: ");
    served.logged("unknown parameter `nosuch`");
    fs::write(served.at("conf"), good).unwrap();
    served.run(["-a", "localhost::pub/", "d/"]).expect(0);
}

#[test]
fn what_a_daemon_cannot_send_is_in_its_log() {
    if !met(&[Need::Root]) {
        return;
    }
    let served = Served::new("[m]\npath = @/mod\n", |at| {
        two_trees(at);
        for name in ["f", "a"] {
            fs::set_permissions(at.join("mod").join(name), fs::Permissions::from_mode(0o000)).unwrap();
        }
    });
    served.run(["-r", "localhost::m/", "d/"]).expect(23);
    let log = served.logged("\"./f\": Permission denied");
    assert!(log.contains("\"./a\": Permission denied"), "{log}");
}

/// rsyncd.conf(5): "completely ignore files that are not readable by the user".
#[test]
fn what_a_module_may_not_read_does_not_exist_if_it_says_so() {
    if !met(&[Need::Root]) {
        return;
    }
    let modes = [("hid", 0o600), ("closed/in", 0o644), ("open/in", 0o644), ("f", 0o644)];
    let conf = "uid = 65534\ngid = 65534\nuse chroot = no\nmunge symlinks = no\n[m]\npath = @/mod\nread only = no\n\
                ignore nonreadable = yes\n[told]\npath = @/mod\n";
    let served = Served::new(conf, |at| {
        for (name, mode) in modes {
            file(at, &format!("mod/{name}"), "text");
            fs::set_permissions(at.join("mod").join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        // It may be searched, but not read.
        fs::set_permissions(at.join("mod/closed"), fs::Permissions::from_mode(0o711)).unwrap();
        symlink("hid", at.join("mod/link")).unwrap();
        file(at, "src/new", "text");
        for name in ["mod", "mod/open"] {
            std::os::unix::fs::chown(at.join(name), Some(65534), Some(65534)).unwrap();
        }
    });
    let all = ["f: text", "link -> hid", "open/", "open/in: text"];
    assert_eq!(served.run(["-a", "localhost::m/", "d/"]).expect(0).errors(), "");
    assert_eq!(tree(&served.at("d")), all);
    served.run(["-a", "localhost::told/", "told/"]).expect(23);
    assert_eq!(tree(&served.at("told")), ["closed/", "f: text", "link -> hid", "open/", "open/in: text"]);
    // What is asked for by its name is an error, as with rsync.
    let named = served.run(["-a", "localhost::m/hid", "n/"]);
    assert!(named.expect(23).errors().contains("hid"), "{}", named.errors());
    // Nor is it surplus.
    served.run(["-a", "--delete", "src/", "localhost::m/"]).expect(0);
    assert_eq!(tree(&served.at("mod")), ["closed/", "closed/in: text", "hid: text", "new: text"]);
}

#[test]
fn sources_are_not_removed_from_a_module_that_is_read_only_and_nothing_is_copied() {
    let served = Served::new(&two_modules(""), two_trees);
    for more in ["-v", "-n"] {
        let run = served.run(["-a", more, "--remove-source-files", "localhost::pub/", "d/"]);
        assert!(run.expect(1).errors().contains("--remove-source-files"), "{}", run.errors());
    }
    assert!(!served.at("d").exists() && served.at("mod/f").exists());
}
