//! `refuse options`: every option that means something to a daemon can be refused by its name.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sluice::cli::flag::{Flag, Sign};
use sluice::cli::flags;

use crate::every_option::VALUES;
use crate::requirement::is_root;
use crate::served::{Served, file, tree};

/// What is the client's business, in sluice and, where it has them, in rsync: nothing of it reaches a daemon, or
/// (rules, lists, changes of modes) it is no option there that could be refused.
const CLIENTS: &[&str] = &[
    "8-bit-output",
    "address",
    "blocking-io",
    "chmod",
    "config",
    "confine-root",
    "contimeout",
    "copy-as",
    "daemon",
    "debug",
    "detach",
    "dparam",
    "exclude",
    "exclude-from",
    "exit-codes",
    "filter",
    "from0",
    "generate",
    "gitignore",
    "help",
    "human-readable",
    "include",
    "include-from",
    "inc-recursive",
    "ipv4",
    "ipv6",
    "json",
    "log-file",
    "log-file-format",
    "module",
    "msgs2stderr",
    "munge-links",
    "no-config",
    "no-motd",
    "old-args",
    "outbuf",
    "password-file",
    "port",
    "profile",
    "progress",
    "protocol",
    "qsort",
    "read-batch",
    "remote-option",
    "retry",
    "rsh",
    "rsync-path",
    "server",
    "sockopts",
    "stderr",
    "trust-sender",
    "version",
    "write-batch",
];

/// Options that reach a daemon by another name: the name, and one that it can be refused by.
const BY_ANOTHER_NAME: &[(&str, &str)] = &[
    ("archive", "archive"),
    ("chown", "usermap"),
    ("del", "delete-during"),
    ("itemize-changes", "out-format"),
    ("old-dirs", "recursive"),
    ("secluded-args", "secluded-args"),
];

/// Options that mean nothing alone.
const COMPANY: &[(&str, &[&str])] = &[
    ("compress-threads", &["-z"]),
    ("delete-excluded", &["--delete"]),
    ("delete-limit", &["--delete"]),
    ("ignore-errors", &["--delete"]),
    ("max-delete", &["--delete"]),
    ("no-implied-dirs", &["-R"]),
    ("skip-compress", &["-z"]),
    ("suffix", &["-b"]),
];

/// Options of which only a daemon that sends is told.
const SENDERS: &[&str] = &["copy-devices", "copy-dirlinks", "copy-links", "ignore-missing-args", "list-only"];

/// Options of which a daemon is told only on purpose.
const FOR_THE_OTHER_SIDE: &[&str] = &["drop-D", "fake-super", "insecure-links"];

fn own() -> &'static str {
    if is_root() { "use chroot = no\nuid = root\ngid = root\n" } else { "use chroot = no\n" }
}

fn name(flag: &Flag) -> String {
    let long = flag.long.unwrap_or_default().to_owned();
    if flag.sign == Sign::Negative { format!("no-{long}") } else { long }
}

#[test]
fn every_option_that_reaches_a_daemon_can_be_refused_by_its_name() {
    let all: Vec<String> = flags::all()
        .filter(|flag| flag.long.is_some_and(|long| !CLIENTS.contains(&long)))
        .map(name)
        .collect();
    let terms: BTreeSet<&str> = all
        .iter()
        .map(|option| {
            BY_ANOTHER_NAME.iter().find(|(own, _)| own == option).map_or(&option[..], |(_, by)| *by)
        })
        .collect();
    let mut text = format!("read only = no\n{}", own());
    for term in &terms {
        writeln!(text, "[{term}]\npath = @/mod\nrefuse options = {term}").unwrap();
    }
    let served = Served::new(&text, |at| {
        file(at, "mod/f", "one");
        file(at, "src/g", "two");
        std::fs::write(at.join("list"), "g\n").unwrap();
    });
    let mut wrong = Vec::new();
    for option in &all {
        let term = BY_ANOTHER_NAME.iter().find(|(own, _)| own == option).map_or(&option[..], |(_, by)| *by);
        let typed = format!("--{option}");
        let takes = flags::all()
            .find(|flag| name(flag) == *option)
            .is_some_and(|flag| flag.value.is_some_and(|value| value.missing.is_none()));
        let value = VALUES.iter().find(|(name, _)| *name == typed).map_or("1", |(_, value)| value);
        let value = match &option[..] {
            "checksum-choice" => "none",
            "max-age" | "min-age" => "1d",
            "newer-than" => "2020-01-01",
            "stop-at" => "2099-01-01T00:00",
            "zero-copy" | "reflink" | "freeze" => "never",
            _ => value,
        };
        let typed = if takes { format!("{typed}={value}") } else { typed };
        let far = FOR_THE_OTHER_SIDE.contains(&&option[..]);
        let typed = if far { format!("--remote-option={typed}") } else { typed };
        let sends = SENDERS.contains(&&option[..]);
        let there = format!("localhost::{term}/");
        let mut args = vec![typed.as_str()];
        args.extend(COMPANY.iter().filter(|(with, _)| with == option).flat_map(|(_, more)| more.iter()));
        args.extend((!matches!(&option[..], "dirs" | "old-dirs" | "files-from")).then_some("-r"));
        args.extend(if sends { [there.as_str(), "d/"] } else { ["src/", there.as_str()] });
        let run = served.run(&args);
        if run.code != 4 || !run.errors().contains("configured to refuse --") {
            wrong.push(format!("{args:?}: {} {}", run.code, run.errors()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(tree(&served.at("mod")), ["f: one"]);
}

#[test]
fn the_list_of_the_clients_own_options_has_no_other_names() {
    for known in CLIENTS {
        assert!(flags::all().any(|flag| flag.long == Some(known)), "{known}");
    }
}

#[test]
fn a_pattern_refuses_options_that_do_nothing_here_as_rsync_does() {
    let text = format!(
        "read only = no\n{}[m]\npath = @/mod\nrefuse options = * !a !v\n[n]\npath = @/mod\nrefuse options = cc zl log-format\n",
        own()
    );
    let served = Served::new(&text, |at| {
        file(at, "mod/f", "one");
        file(at, "src/f", "one");
    });
    // What rsync 3.5.0 refuses whichever side sends.
    let both =
        ["--cc=none", "-C", "--timeout=60", "--info=name", "-q", "-W", "-B1000", "-S", "--zc=none", "--zl=9"];
    for option in both {
        for operands in [["src/", "localhost::m/"], ["localhost::m/", "d/"]] {
            served.run([&["-a", option][..], &operands].concat()).expect(4);
        }
    }
    // Only a daemon that receives is told of these.
    for option in ["--stats", "-y"] {
        served.run(["-a", option, "src/", "localhost::m/"]).expect(4);
        served.run(["-a", option, "localhost::m/", "d/"]).expect(0);
    }
    for option in
        ["-v", "-i", "--out-format=%n", "--no-W", "-h", "--progress", "--stop-after=99", "--exclude=x"]
    {
        served.run(["-a", option, "src/", "localhost::m/"]).expect(0);
        served.run(["-a", option, "localhost::m/", "d/"]).expect(0);
    }
    for option in ["--cc=none", "--no-verify", "--compress-level=22", "--out-format=%n", "-i"] {
        served.run(["-a", option, "src/", "localhost::n/"]).expect(4);
    }
}
