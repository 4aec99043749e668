//! The completions, asked in the shells themselves.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test looks at files by path

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A home directory with ssh's files, and a directory `sub` to complete.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".ssh")).unwrap();
    fs::create_dir_all(home.path().join("sub")).unwrap();
    fs::write(home.path().join("summary"), "").unwrap();
    let config = "Host alpha beta *.example\n  HostName 192.0.2.1\n";
    fs::write(home.path().join(".ssh/config"), config).unwrap();
    let known = "delta,192.0.2.2 ssh-rsa AAA\n[epsilon]:2222 ssh-rsa BBB\n|1|aGFzaA= ssh-rsa CCC\n";
    fs::write(home.path().join(".ssh/known_hosts"), known).unwrap();
    home
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(name)
}

fn run(home: &TempDir, command: &mut Command) -> String {
    let Output { stdout, stderr, status } =
        command.current_dir(home).env("HOME", home.path()).output().unwrap();
    assert!(status.success(), "{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(String::from_utf8_lossy(&stderr), "");
    String::from_utf8(stdout).unwrap()
}

/// What bash offers for words cut as readline cuts them, the last one being completed.
fn bash(home: &TempDir, words: &[&str]) -> Vec<String> {
    bash_in(home, &std::env::var("PATH").unwrap_or_default(), words)
}

fn bash_in(home: &TempDir, path: &str, words: &[&str]) -> Vec<String> {
    let program = r#"
        source "$1"; shift
        COMP_WORDBREAKS=$' \t\n"\'@><=;|&(:'
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        word=${!#}; [[ ${COMP_WORDS[COMP_CWORD - 1]} == @ ]] && word=@$word
        _sluice sluice "$word" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", program, "bash"]).arg(script("sluice.bash")).arg("sluice").args(words);
    command.env("PATH", path);
    sorted(&run(home, &mut command))
}

/// What fish offers for a command line, without the descriptions.
fn fish(home: &TempDir, line: &str) -> Vec<String> {
    fish_in(home, &std::env::var("PATH").unwrap_or_default(), line)
}

fn fish_in(home: &TempDir, path: &str, line: &str) -> Vec<String> {
    let program = "source $argv[1]; complete -C $argv[2]";
    let mut command = Command::new("fish");
    command.args(["--no-config", "-c", program]).arg(script("sluice.fish")).arg(line);
    command.env("PATH", path);
    let offers = run(home, &mut command);
    sorted(&offers.lines().map(|l| l.split('\t').next().unwrap_or(l)).collect::<Vec<_>>().join("\n"))
}

/// What zsh offers for each of some command lines.
fn zsh(home: &TempDir, lines: &[&str]) -> Vec<Vec<String>> {
    zsh_in(home, &std::env::var("PATH").unwrap_or_default(), lines)
}

fn zsh_in(home: &TempDir, path: &str, lines: &[&str]) -> Vec<Vec<String>> {
    let scratch = tempfile::tempdir().unwrap();
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/completion.zsh");
    let mut command = Command::new("zsh");
    command.arg("-f").arg(capture).arg(script("_sluice")).arg(scratch.path()).args(lines);
    command.env("PATH", path);
    let output = run(home, &mut command);
    let offers: Vec<_> = output
        .lines()
        .map(|line| {
            sorted(&line.rsplit("] ").next().unwrap_or("").split_whitespace().collect::<Vec<_>>().join("\n"))
        })
        .collect();
    assert_eq!(offers.len(), lines.len(), "{output}");
    offers
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn bash_completes_options_values_and_hosts() {
    if !crate::requirement::has("bash") {
        return;
    }
    let home = home();
    assert_eq!(bash(&home, &["--refl"]), ["--reflink="]);
    assert_eq!(bash(&home, &["--verif"]), ["--verify", "--verify="]);
    assert_eq!(bash(&home, &["--reflink", "=", "a"]), ["always", "auto"]);
    assert_eq!(bash(&home, &["--reflink", "="]), ["always", "auto", "never"]);
    assert_eq!(bash(&home, &["--zero-copy", "n"]), ["never"]);
    assert_eq!(bash(&home, &["--info", "=", "name2,pro"]), ["name2,progress", "name2,progress2"]);
    assert_eq!(bash(&home, &["--filter", "=", "p"]), ["protect_"]);
    assert_eq!(bash(&home, &["-f", "mer"]), ["merge_"]);
    assert_eq!(bash(&home, &["--no-tim"]), ["--no-timeout", "--no-times"]);
    assert_eq!(bash(&home, &["al"]), ["alpha:"]);
    assert_eq!(bash(&home, &["joe", "@", "ep"]), ["@epsilon:"]);
    assert_eq!(bash(&home, &["-a", "--verify", "de"]), ["delta:"], "a value follows --verify behind = only");
    // Where the function offers nothing, bash completes files (`complete -o default`).
    assert_eq!(bash(&home, &["-a", "su"]), [""; 0]);
    assert_eq!(bash(&home, &["-avT", "su"]), [""; 0]);
}

/// Has `ssh` be a shell on this machine, and `sluice` the program; returns what goes into PATH.
fn with_ssh(home: &TempDir) -> String {
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = "#!/bin/sh\ncase \"$*\" in *-oBatchMode=yes*) ;; *) exit 9 ;; esac\n\
                  while :; do case $1 in -p | -l) shift 2 ;; -*) shift ;; *) break ;; esac; done\n\
                  [ \"$1\" = silent ] && exec sleep 20\nshift\nexec sh -c \"$*\"\n";
    fs::write(bin.join("ssh"), script).unwrap();
    fs::set_permissions(bin.join("ssh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(crate::under_test::binary(), bin.join("sluice")).unwrap();
    fs::create_dir_all(home.path().join("far/docs")).unwrap();
    fs::create_dir_all(home.path().join("far/.hidden")).unwrap();
    fs::write(home.path().join("far/data"), "").unwrap();
    fs::write(home.path().join("far/d s"), "").unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn operands_on_other_machines_are_completed_by_the_program_itself() {
    let home = home();
    let path = with_ssh(&home);
    let offers = |words: &[&str]| {
        let mut command = Command::new(crate::under_test::binary());
        let output =
            command.arg("--complete").args(words).current_dir(&home).env("PATH", &path).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}");
        sorted(&String::from_utf8(output.stdout).unwrap())
    };
    let far = home.path().join("far").display().to_string();
    let there = |path: &str| format!("host:{far}/{path}");
    assert_eq!(offers(&["-a", &there("d")]), [there("d s"), there("data"), there("docs/")]);
    assert_eq!(offers(&[&there(".")]), [there(".hidden/")]);
    assert_eq!(offers(&["host:far/do"]), ["host:far/docs/"]);
    assert_eq!(offers(&["-e", "ssh -p 22", "host:far/do"]), ["host:far/docs/"]);
    for silent in [
        &["host:gone/"][..],
        &["silent:far/"],
        &["./host:far/"],
        &["far/"],
        &[],
        &["-e", "sh -c false", "host:far/"],
    ] {
        assert_eq!(offers(silent), [""; 0], "{silent:?}");
    }
}

#[test]
fn modules_and_what_is_in_them_are_completed() {
    let modules = "[music]\npath = @/music\nuse chroot = no\n[locked]\npath = @/music\nuse chroot = no\nauth users = joe\nsecrets file = @/secrets\n";
    let served = crate::served::Served::new(modules, |at| {
        crate::served::file(at, "music/rock/x", "");
        crate::served::file(at, "music/readme", "");
        crate::served::file(at, "secrets", "joe:secret\n");
        fs::set_permissions(at.join("secrets"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    });
    let port = format!("--port={}", served.port());
    let offers = |word: &str| {
        let mut command = Command::new(crate::under_test::binary());
        let output = command.args(["--complete", "-a", &port, word]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{word}");
        sorted(&String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(offers("localhost::"), ["localhost::locked/", "localhost::music/"]);
    assert_eq!(offers("localhost::mu"), ["localhost::music/"]);
    assert_eq!(offers("localhost::music/r"), ["localhost::music/readme", "localhost::music/rock/"]);
    assert_eq!(offers("sluice://localhost/music/ro"), ["sluice://localhost/music/rock/"]);
    assert_eq!(offers("localhost::locked/"), [""; 0], "nobody is asked for a password");
    assert_eq!((offers("sluice://local"), offers("localhost::gone/")), (vec![], vec![]));
}

#[test]
fn the_shells_complete_remote_directories() {
    let home = home();
    let path = with_ssh(&home);
    if crate::requirement::has("bash") {
        assert_eq!(
            bash_in(&home, &path, &["-a", "host", ":", "far/d"]),
            ["far/d\\ s", "far/data", "far/docs/"]
        );
        assert_eq!(bash_in(&home, &path, &["--rsh", "=", "ssh", "host", ":", "far/do"]), ["far/docs/"]);
        assert_eq!(bash_in(&home, &path, &["joe", "@", "host", ":", "far/do"]), ["far/docs/"]);
    }
    if crate::requirement::has("fish") {
        assert_eq!(fish_in(&home, &path, "sluice -a host:far/do"), ["host:far/docs/"]);
        assert_eq!(
            fish_in(&home, &path, "sluice -a host:far/d"),
            ["host:far/d s", "host:far/data", "host:far/docs/"]
        );
    }
    if crate::requirement::has("zsh") {
        let lines = ["sluice -a host:far/do", "sluice -a host:far/da"];
        assert_eq!(zsh_in(&home, &path, &lines), [["host:far/docs/"], ["host:far/data"]]);
    }
}

#[test]
fn bash_completes_files_through_readline() {
    if !crate::requirement::has("bash") {
        return;
    }
    let home = home();
    // An interactive bash on a pipe has no readline; `complete -p` shows what it would fall back to.
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", "source \"$1\"; complete -p sluice", "bash"]).arg(script("sluice.bash"));
    assert_eq!(run(&home, &mut command), "complete -o default -F _sluice sluice\n");
}

#[test]
fn fish_completes_options_values_and_hosts() {
    if !crate::requirement::has("fish") {
        return;
    }
    let home = home();
    assert_eq!(fish(&home, "sluice --refl"), ["--reflink"]);
    assert_eq!(fish(&home, "sluice --reflink=a"), ["--reflink=always", "--reflink=auto"]);
    assert_eq!(fish(&home, "sluice --reflink n"), ["never"]);
    assert_eq!(fish(&home, "sluice --verify=al"), ["--verify=always"]);
    assert_eq!(fish(&home, "sluice --info=name2,prog"), ["--info=name2,progress", "--info=name2,progress2"]);
    assert_eq!(fish(&home, "sluice --filter=pro"), ["--filter=protect_"]);
    assert_eq!(fish(&home, "sluice --temp-dir=su"), ["--temp-dir=sub/"]);
    assert_eq!(fish(&home, "sluice -a su"), ["sub/", "summary"]);
    assert_eq!(fish(&home, "sluice -a al"), ["alpha:"]);
}

#[test]
fn zsh_completes_options_values_files_and_hosts() {
    if !crate::requirement::has("zsh") {
        return;
    }
    let cases: &[(&str, &[&str])] = &[
        ("sluice --refl", &["--reflink"]),
        ("sluice --reflink=a", &["always", "auto"]),
        ("sluice --zero-copy n", &["never"]),
        ("sluice --verify=", &["always", "auto", "never"]),
        ("sluice --info=name2,prog", &["progress", "progress2"]),
        ("sluice --filter=dir", &["dir-merge"]),
        ("sluice --temp-dir=su", &["sub"]),
        ("sluice -avT su", &["sub"]),
        ("sluice --generate ", &["complete-bash", "complete-fish", "complete-zsh", "man", "man-conf"]),
        ("sluice -a su", &["sub", "summary"]),
        ("sluice -a ep", &["epsilon"]),
    ];
    let home = home();
    let lines: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
    for ((line, expected), offered) in cases.iter().zip(zsh(&home, &lines)) {
        assert_eq!(offered, *expected, "{line}");
    }
}
