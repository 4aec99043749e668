//! The command line: what options mean, alone and together, and what is refused.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at files by path

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use sluice::cli::remote::{Peer, Way};
use sluice::cli::{Parsed, Run, UsageError, World, flags, later, parse};
use sluice::plan::Delete;
use sluice::session::DeleteLimit;
use sluice::session::ssh::Shell;

/// Parses a line whose files are: `list` (names with newlines), `list0` (with NULs).
fn parsed(line: &[&str]) -> Result<Parsed, UsageError> {
    let read = |file: &OsStr| match file.to_str() {
        Some("list") => Ok(b"a\n# no\n\n; no\nb/c\r\n".to_vec()),
        Some("list0") => Ok(b"a\0b\nc\0".to_vec()),
        Some("-") => Ok(b"stdin\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let world = World { read: &read, bound: &|_, _| Ok(()), variable: &|_| None, now: Instant::now() };
    parse(line.iter().map(OsString::from), &world)
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn run(line: &str) -> Run {
    match parsed(&words(line)) {
        Ok(Parsed::Run(run)) => *run,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> String {
    match parsed(&words(line)) {
        Err(UsageError { message, status: 1 }) => message,
        other => panic!("{line}: {other:?}"),
    }
}

fn printed(line: &str) -> String {
    match parsed(&words(line)) {
        Ok(Parsed::Print(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn archive_is_rlptgod_and_no_more() {
    let spelled = run("-rlptgoD a b").options.plan;
    assert_eq!(run("-a a b").options.plan, spelled);
    assert!(spelled.recursive && spelled.links.preserve && spelled.perms && spelled.times);
    assert!(spelled.group && spelled.owner && spelled.devices && spelled.specials);
    assert!(!spelled.hard_links && !spelled.dirs);
}

#[test]
fn order_decides_between_an_option_and_its_opposite() {
    assert!(!run("-a --no-o a b").options.plan.owner);
    assert!(run("--no-o -a a b").options.plan.owner);
    assert!(!run("-r --no-r a b").options.plan.recursive);
    assert!(run("a --no-r b -a").options.plan.recursive);
    assert_eq!(run("-vv --no-v -v a b").reporting.verbose, 1);
    assert!(!run("-aP --no-partial a b").options.apply.partial);
}

#[test]
fn single_operand_is_listed_and_implies_dirs() {
    let listed = run("a/");
    assert!(listed.reporting.list_only && listed.options.dest.is_none() && listed.options.plan.dirs);
    assert!(!run("-r a").options.plan.dirs);
    let two = run("--list-only a b c");
    assert_eq!(two.options.sources, ["a", "b"]);
    assert_eq!(two.options.dest, None);
}

#[test]
fn files_from_implies_relative_and_dirs_wherever_it_stands() {
    for line in ["-a --files-from=list s d", "--files-from list -a s d"] {
        let options = run(line).options;
        assert_eq!(options.files_from, Some(vec![b"a".to_vec(), b"b/c".to_vec()]));
        assert!(options.relative && options.plan.dirs && !options.plan.recursive, "{line}");
    }
    let options = run("--no-R --no-d -r --files-from=- s d").options;
    assert!(!options.relative && !options.plan.dirs && options.plan.recursive);
    assert_eq!(options.files_from, Some(vec![b"stdin".to_vec()]));
    let options = run("--files-from=list0 -0 s d").options;
    assert_eq!(options.files_from, Some(vec![b"a".to_vec(), b"b\nc".to_vec()]));
    assert!(refusal("--files-from=none s d").starts_with("open --files-from \"none\": "));
    assert_eq!(refusal("--files-from=list a b d"), "--files-from takes one source and a destination");
    assert_eq!(refusal("--files-from=list s"), "--files-from takes one source and a destination");
    assert_eq!(refusal("--files-from=h:l a d"), "--files-from cannot be remote when the transfer is local");
}

#[test]
fn delete_needs_recursion_or_dirs_and_one_time_to_do_it() {
    assert_eq!(run("-r --delete a b").options.plan.delete, Delete::During);
    assert_eq!(run("-d --delete a b").options.plan.delete, Delete::During);
    assert_eq!(run("-r --delete-excluded a b").options.plan.delete, Delete::During);
    assert_eq!(run("-r --delete --delete-after a b").options.plan.delete, Delete::After);
    assert_eq!(run("-r --del --delete-during a b").options.plan.delete, Delete::During);
    let alone = "--delete does not work without --recursive (-r) or --dirs (-d)";
    for line in ["--delete a b", "-a --no-r --delete a b", "--delete-excluded a b", "--del a b"] {
        assert_eq!(refusal(line), alone, "{line}");
    }
    assert_eq!(
        refusal("-r --delete-before --del a b"),
        "--delete-before cannot be used with --delete-during"
    );
    assert_eq!(run("-r --delete-limit=25% a b").options.delete_limit, Some(DeleteLimit::Percent(25)));
    assert_eq!(run("-r --max-delete=-1 a b").options.apply.max_delete, Some(0));
}

#[test]
fn backups_get_a_tilde_unless_they_have_a_directory() {
    let beside = run("-rb a b").options;
    assert_eq!(beside.apply.suffix, b"~");
    assert!(beside.plan.omit_dir_times, "each backup would change its directory's time");
    let apart = run("-r --backup-dir=old a b").options;
    assert!(apart.apply.backup && apart.apply.suffix.is_empty() && !apart.plan.omit_dir_times);
    assert_eq!(apart.apply.backup_dir.as_deref(), Some(std::ffi::OsStr::new("old")));
    assert_eq!(refusal("-rb --suffix= a b"), "--suffix cannot be empty without --backup-dir");
    assert_eq!(refusal("-rb --suffix=a/b a b"), "--suffix cannot contain slashes: a/b");
}

#[test]
fn levels_come_from_v_progress_stats_and_info_in_that_order() {
    let info = |line: &str| run(line).reporting.info;
    assert_eq!((info("-v a b").name, info("-vv a b").name), (1, 2));
    assert_eq!((info("-r --stats a b").stats, info("-rvv --stats a b").stats), (2, 3));
    assert_eq!(info("-P a b").progress, 1);
    assert_eq!(info("--info=flist0 --progress a b").flist, 0, "--info wins wherever it stands");
    assert_eq!(info("--info=name0 -vi a b").name, 0);
    assert_eq!(info("--info=progress2 a b").progress, 2);
    assert_eq!(info("-v --info=none a b").stats, 0);
    assert_eq!(refusal("--info=foo a b"), "unknown --info word: foo");
    assert_eq!(refusal("--debug=foo a b"), "unknown --debug word: foo");
}

#[test]
fn itemizing_is_an_out_format_and_twice_shows_unchanged_entries() {
    let once = run("-i a b");
    assert_eq!(once.reporting.out_format.as_deref(), Some(&b"%i %n%L"[..]));
    assert!(!once.options.report_unchanged && run("-ii a b").options.report_unchanged);
    assert!(run("-vv a b").options.report_unchanged);
    assert_eq!(run("-i --out-format=%n a b").reporting.out_format.as_deref(), Some(&b"%n"[..]));
}

#[test]
fn human_levels_are_rsyncs() {
    let human = |line: &str| run(line).reporting.human;
    assert_eq!([human("a b"), human("-h a b"), human("-hh a b"), human("-hhhh a b")], [1, 2, 3, 3]);
    assert_eq!([human("--no-h a b"), human("--no-h -h a b")], [0, 1]);
}

#[test]
fn values_reach_their_floor() {
    let options = run("-S --bwlimit=1.5m --max-size=1k --min-size=1kb -@-1 --jobs=3 --inplace a b").options;
    assert_eq!(options.apply.bwlimit, Some(1_572_864));
    assert_eq!((options.plan.max_size, options.plan.min_size), (Some(1024), Some(1000)));
    assert_eq!((options.plan.modify_window, options.jobs, options.engine.threads), (-1, 3, 3));
    assert!(options.apply.inplace && options.apply.partial, "--inplace means --partial");
    let deadline = run("--stop-after=5 a b").options.deadline.unwrap();
    assert!(deadline > Instant::now() + Duration::from_secs(4 * 60));
    assert_eq!(run("-rp --chmod=D700 --chmod=F600 a b").options.plan.chmod.len(), 2);
}

#[test]
fn bad_values_are_refused_with_option_and_value() {
    assert_eq!(refusal("--max-size=1x a b"), "--max-size=1x is invalid");
    assert_eq!(
        refusal("--bwlimit=1b a b"),
        "--bwlimit=1b is too small (the least is 512, or 0 for no limit)"
    );
    assert_eq!(refusal("--timeout=x a b"), "--timeout=x: invalid numeric value");
    assert_eq!(refusal("--chmod=zz a b"), "--chmod=zz is invalid");
    assert_eq!(refusal("--jobs=0 a b"), "--jobs=0: invalid number of threads");
    assert_eq!(refusal("-s --old-args a b"), "--secluded-args (-s) cannot be used with --old-args");
    assert!(refusal("--filter=zzz a b").contains("zzz"));
}

#[test]
fn file_of_rules_that_cannot_be_read_is_exit_11() {
    for line in ["--exclude-from=none a b", "--include-from none a b", "-f._none a b"] {
        let error = parsed(&words(line)).unwrap_err();
        assert_eq!(error.status, 11, "{line}");
        assert!(error.message.contains("none"), "{error}");
    }
    run("--exclude-from=list -0 --include-from=list0 --exclude-from=- -C -FF a b");
}

/// The shell of a run, and whether the sources are behind it.
fn shell(line: &str) -> (Shell, bool) {
    match run(line).peer {
        Some(Peer { sends, way: Way::Shell(shell), .. }) => (shell, sends),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn an_operand_with_a_host_is_reached_by_the_remote_shell() {
    let usual = Shell {
        command: b"ssh".to_vec(),
        user: None,
        host: b"h".to_vec(),
        program: b"sluice".to_vec(),
        family: None,
        modules: false,
    };
    assert_eq!(shell("-a h:p d"), (usual.clone(), true));
    assert_eq!(shell("-a s h:p"), (usual.clone(), false));
    assert_eq!(shell("-a u@h:p d").0, Shell { user: Some(b"u".to_vec()), ..usual.clone() });
    assert_eq!(shell("-a [::1]:p d").0, Shell { host: b"::1".to_vec(), ..usual.clone() });
    let told = shell("-a -4 -e /bin/rsh --rsync-path=/opt/sluice h:p d").0;
    let program = b"/opt/sluice".to_vec();
    assert_eq!(told, Shell { command: b"/bin/rsh".to_vec(), program, family: Some(4), ..usual });
    assert_eq!(run("-a --timeout=7 h:p d").peer.unwrap().idle, Some(Duration::from_secs(7)));
    assert_eq!(run("-a --timeout=0 h:p d").peer.unwrap().idle, None);
    assert_eq!(run("-a ./h:p d").peer, None);
    assert_eq!(run("-a ./h:p d").options.sources, ["./h:p"]);
}

#[test]
fn what_follows_the_host_is_the_path_there() {
    let sources = |line: &str| run(line).options.sources;
    assert_eq!(sources("-a h:p/ d"), ["p/"]);
    assert_eq!(sources("-a h: d"), ["."]);
    assert_eq!(sources("-a h:a :b h:c:d d"), ["a", "b", "c:d"]);
    assert_eq!(run("-a s h:p").options.dest, Some("p".into()));
    assert_eq!(run("-a s h:").options.dest, Some(".".into()));
    assert_eq!(sources("-a h::m/p/ d"), ["p/"]);
    assert_eq!(sources("-a h::m d"), ["./"]);
    assert_eq!(sources("-a h:p"), ["p"]);
    assert_eq!(run("-a h:p").options.dest, None);
}

#[test]
fn an_operand_with_a_module_is_a_daemons() {
    for (line, host, port, name) in [
        ("-a h::m d", "h", 8730, Some("m")),
        ("-a s h::m/sub", "h", 8730, Some("m")),
        ("-a --port=99 h::m d", "h", 99, Some("m")),
        ("-a sluice://h:98/m d", "h", 98, Some("m")),
        ("h::", "h", 8730, None),
    ] {
        match run(line).peer.unwrap().way {
            Way::Daemon { daemon, module, .. } => {
                assert_eq!((&*daemon.host, daemon.port), (host, port), "{line}");
                assert_eq!(module.as_deref(), name.map(str::as_bytes), "{line}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn operands_on_two_machines_are_refused() {
    for (line, part) in [
        ("-a h:s h:d", "source and destination cannot both be on another machine"),
        ("-a h:s s d", "a source on this machine among others: s"),
        ("-a s h:s d", "sources on this and on another machine cannot be combined: h:s"),
        ("-a h:s i:t d", "all sources must be on the same machine: i:t"),
        ("-a u@h:s h:t d", "all sources must be on the same machine: h:t"),
        ("-a h:s h::m d", "all sources must be on the same machine: h::m"),
        ("-a :s d", "the first source names no machine"),
        ("-a s h::", "no module is named"),
    ] {
        assert!(refusal(line).contains(part), "{line}: {}", refusal(line));
    }
}

#[test]
fn missing_and_empty_operands_are_refused() {
    assert!(refusal("-a").starts_with("no operands"));
    assert!(parsed(&["-a", "", "d"]).unwrap_err().message.starts_with("empty source"));
    assert!(parsed(&["-a", "s", ""]).unwrap_err().message.starts_with("empty destination"));
}

#[test]
fn options_for_the_network_are_taken_and_change_nothing() {
    let bare = run("-a a b");
    let scripted = run("-a -z -e ssh --rsync-path=x -W --no-W --timeout=60 -s --outbuf=B --protocol=31 a b");
    assert_eq!(scripted.options.plan, bare.options.plan);
    assert_eq!(scripted.options.apply, bare.options.apply);
    assert_eq!(scripted.reporting, bare.reporting);
}

#[test]
fn texts_go_to_standard_output() {
    assert_eq!(printed("-h"), printed("--help"));
    assert!(printed("-V").starts_with("sluice "));
    assert!(printed("-VV").starts_with("{\n  \"program\": \"sluice\""));
    assert!(printed("--info=help").contains("progress"));
    assert!(printed("--debug=help").contains("filter"));
    assert!(printed("--generate=man").contains(".TH SLUICE 1"));
}

#[test]
fn help_has_one_line_for_each_option() {
    let help = printed("--help");
    for flag in flags::all() {
        let lines = help.lines().filter(|line| line.contains(flag.help)).count();
        assert!(lines >= 1, "{} takes more than a line", flag.id());
    }
}

/// The option names in a line of rsync's own summary: `--verbose, -v   increase verbosity`.
fn summary_names(line: &str) -> Vec<String> {
    if !line.starts_with('-') {
        return Vec::new();
    }
    let names = line.split("  ").next().unwrap_or("");
    names.split(", ").map(|name| name.split(['=', ' ', '[']).next().unwrap_or("").to_owned()).collect()
}

#[test]
fn every_option_of_rsync_is_taken_or_refused_by_name() {
    if !crate::requirement::has("rsync") {
        return;
    }
    let output = Command::new("rsync").arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let mut seen = 0;
    for name in help.lines().flat_map(summary_names).filter(|name| name != "--no-OPTION" && name != "--help")
    {
        // A value that suits every option that takes one, given in the next word.
        if let Err(error) = parsed(&[&name, "1", "-r", "a", "b"]) {
            assert!(!error.message.contains("unknown option"), "{name}: {error}");
        }
        seen += 1;
    }
    assert!(seen > 150, "only {seen} names in rsync's help");
}

#[test]
fn every_negation_of_rsync_is_taken() {
    if !crate::requirement::has("rsync") {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let words = flags::all().flat_map(|flag| {
        let short = flag.short.map(|c| c.to_string());
        flag.words().map(str::to_owned).chain(short).collect::<Vec<_>>()
    });
    let later = later::LATER.iter().flat_map(|option| {
        let short = option.short.map(|c| c.to_string());
        option.words.iter().map(|&word| word.to_owned()).chain(short).collect::<Vec<_>>()
    });
    for word in words.chain(later) {
        let option = format!("--no-{word}");
        let rsync =
            Command::new("rsync").arg(&option).args(["-n", "a", "b"]).current_dir(&here).output().unwrap();
        if String::from_utf8_lossy(&rsync.stderr).contains("unknown option") {
            continue;
        }
        if let Err(error) = parsed(&[&option, "a", "b"]) {
            panic!("rsync takes {option}, sluice says: {error}");
        }
    }
}
