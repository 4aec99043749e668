//! Random trees under random options, side by side with rsync: same tree afterwards (the source's
//! too), same exit status, same itemized lines in the same order.
//!
//! What is drawn: [`random_command`](crate::random_command). A case that fails names its seed and keeps
//! both outcomes and the trees as they were before.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::built_tree;
use crate::either_daemon::EitherDaemon;
use crate::known_difference::{self, Before};
use crate::oracle::Manifest;
use crate::random_cases;
use crate::random_command::{Case, random_case};
use crate::random_options;
use crate::random_tree::{Rng, Shape, Tree};
use crate::remote_shell;
use crate::requirement::{self, Need};
use crate::under_test::{self, Run};

/// What is compared of a run's output.
#[derive(PartialEq, Eq, Debug)]
struct Lines {
    /// Itemized lines in order, but for those in the other two.
    items: Vec<Vec<u8>>,
    /// Deletions in order: rsync reports them from another process than the rest, at any place.
    deletions: Vec<Vec<u8>>,
    /// Hard links, sorted: rsync reports them when it happens to hear that the leader has arrived.
    hard_links: Vec<Vec<u8>>,
}

fn lines(run: &Run, dry: bool, case: &Case) -> Lines {
    let mut lines = Lines { items: Vec::new(), deletions: Vec::new(), hard_links: Vec::new() };
    for line in run.out.split(|b| *b == b'\n') {
        // rsync leaves DEL as it is; a terminal must not get it from a name.
        let line = &line
            .iter()
            .flat_map(|b| if *b == 0x7f { &b"\\#177"[..] } else { std::slice::from_ref(b) })
            .copied()
            .collect::<Vec<u8>>()[..];
        let itemized =
            matches!(line, [b'<' | b'>' | b'c' | b'h' | b'.', b'f' | b'd' | b'L' | b'D' | b'S', ..]);
        if line.starts_with(b"*deleting ") {
            lines.deletions.push(line.to_vec());
        } else if line.starts_with(b"h") && !dry && itemized {
            lines.hard_links.push(line.to_vec());
        } else if itemized && line.get(11) == Some(&b' ') || line.starts_with(b"created ") {
            lines.items.push(line.to_vec());
        }
    }
    lines.hard_links.sort();
    if case.has("--append-verify") {
        // Where what is there is no beginning of the source, rsync tells of the file once more when it is written anew.
        let is_file = |line: &[u8]| matches!(line, [b'<' | b'>', b'f', ..]);
        let all = std::mem::take(&mut lines.items);
        for line in all {
            let name = line.get(12..);
            if !(is_file(&line) && lines.items.iter().any(|told| is_file(told) && told.get(12..) == name)) {
                lines.items.push(line);
            }
        }
    }
    // rsync's dry run with --mkpath tells twice what it would have made.
    lines.items.dedup_by(|later, first| later.starts_with(b"created ") && first.starts_with(b"created "));
    // rsync says so only where the list has more than its root.
    if lines.items.len() < 3 {
        lines.items.retain(|line| !line.starts_with(b"created "));
    }
    lines
}

/// One program's half of a case.
struct Outcome {
    run: Run,
    lines: Lines,
    tree: Manifest,
    before: Before,
}

/// Whether our dry run is held to rsync's real run: a dry run is to print what the real run does.
///
/// rsync's does not always: with `-H` it takes no notice of what it would have done to the leader of a
/// group, so it makes way for each member again and shows fewer links than are made; with `-b` it deletes
/// directories that backups keep. Where deletions come first, a real run shows the times of directories that
/// they have changed, which no dry run can.
fn real_run_decides(case: &Case) -> bool {
    case.has("-n") && !case.has("--delete-before")
}

/// Makes the trees and files of a case in `dir`.
pub fn set_up(case: &Case, dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    built_tree::build_outside(dir);
    std::fs::create_dir(dir.join("tmp")).unwrap();
    for (name, text) in &case.files {
        std::fs::write(dir.join(name), text).unwrap();
    }
    for (name, tree) in &case.trees {
        tree.build(&dir.join(name));
    }
}

/// The beginning of a text that may be endless.
fn cut(text: &str) -> String {
    text.lines().take(24).map(|line| format!("{}\n", line.chars().take(300).collect::<String>())).collect()
}

/// Where the two sides of a case are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Both here.
    Here,
    /// The destination behind a remote shell.
    Push,
    /// The sources behind a remote shell.
    Pull,
    /// The destination in a daemon's module.
    DaemonPush,
    /// The sources in a daemon's module.
    DaemonPull,
}

impl Way {
    /// Whether rsync does on this way what it does here.
    fn is_faithful(self, case: &Case) -> bool {
        let lost = |arg: &OsString| {
            let arg = arg.as_bytes();
            arg.starts_with(b"src") && arg.iter().any(|b| b"\n*?[".contains(b))
        };
        let deletes_excluded = case.has("--delete-excluded") && case.has("-C");
        // What such a daemon refuses ends its client by the refusal or by the connection's end.
        if self.by_daemon() && case.has("--copy-devices") {
            return false;
        }
        // A daemon of ours follows no links.
        let followed = ["-L", "-k", "--copy-unsafe-links"].iter().any(|option| case.has(option));
        if self == Way::DaemonPull && followed {
            return false;
        }
        // What several links lead to has been read for the first of them when the next is listed, or not yet: seed 90156.
        if followed && case.has("-U") {
            return false;
        }
        // In its chroot rsync's daemon knows no names of users and groups, and tells none.
        let options: Vec<&str> = case.args.iter().filter_map(|arg| arg.to_str()).collect();
        let any = |words: &[&str]| options.iter().any(|o| words.iter().any(|word| o.starts_with(word)));
        if self.by_daemon() && any(&["--usermap", "--groupmap=:"]) {
            return false;
        }
        // Rules reach a receiver there only where something is deleted, and not with --delete-excluded: `setfattr -n user.a -v 1 d/f; rsync -aX
        // -f'-x user.a' s/ h:d/` removes it, where a local run does not.
        let rules =
            options.iter().any(|rule| rule.starts_with("+x") || rule.starts_with("-x") && rule.len() > 3);
        // It copies lists as attributes then, and they bring back the modes that it has changed.
        if rules && any(&["--chmod"])
            || rules && case.has("-A") && any(&["--chown", "--usermap", "--groupmap"])
        {
            return false;
        }
        let told = random_options::deletes(&options) && !any(&["--delete-excluded"]);
        if matches!(self, Way::Push | Way::DaemonPush) && rules && !told {
            return false;
        }
        let far = self != Way::Here;
        // It reads the old file for its delta transfer, so that its backup and its other names have been accessed.
        if far && any(&["-U"]) && any(&["-b", "--backup", "-H"]) {
            return false;
        }
        // To a module with `numeric ids`, maps of owners hold for those in access control lists who have a name at the client.
        if self == Way::DaemonPush && case.has("-A") && any(&["--chown", "--usermap", "--groupmap"]) {
            return false;
        }
        // It may give a file a time of 1969: seeds 63885, 63997, 73111, 82384.
        let times = |o: &&str| !o.starts_with("--") && o.starts_with('-') && o.contains(['t', 'a']);
        let untimed = any(&["--no-t"]) || !options.iter().any(times);
        if any(&["-U"]) && any(&["-X"]) && untimed {
            return false;
        }
        // When `.rules` are read, before the access time is taken or after it, is not the same in both.
        if (far || case.has("-c")) && any(&["-U"]) && any(&[":", "-F"]) {
            return false;
        }
        // From a module it does not remove all that it has sent: seeds 55271, 65415, 71097.
        let listed = any(&["--files-from=names"]);
        if self == Way::DaemonPull && listed && any(&["--remove-source-files"]) {
            return false;
        }
        // Its receiver refuses directories on the way that a rule of its own leaves out: `ERROR: rejecting excluded
        // file-list name`, exit 4, after `mkdir -p s/a/b; rsync -aR --exclude=a h:s/./a/b d/`.
        let excludes = ["-f", "-F", "-C", "--exclude", "--include", "--old-dirs"];
        let excluded = any(&excludes) || any(&["--partial-dir"]);
        if self.pulls() && (listed || any(&["-R"])) && excluded {
            return false;
        }
        // It makes no destination where nothing takes part: `touch s/f; rsync -a --exclude=f h:s/f d/`.
        let missing = case.trees.iter().all(|(name, _)| *name != "dst");
        let entry = |arg: &OsString| {
            let arg = arg.as_bytes();
            arg.starts_with(b"src/") && arg.len() > 4 && arg != b"src/."
        };
        if self.pulls() && missing && case.args.iter().any(entry) && any(&excludes) {
            return false;
        }
        // And what a rule of its own lets through at the sender for its path on the disk, and leaves out here.
        if self.pulls() && any(&["include,/ "]) {
            return false;
        }
        // Nor do rules reach a receiver there for --force: see differences.md.
        let forced = any(&["--force"]) && !random_options::deletes(&options);
        if matches!(self, Way::Push | Way::DaemonPush) && forced && any(&excludes) {
            return false;
        }
        // Its client ends with 0 where a daemon has stopped deleting.
        if self == Way::DaemonPush && any(&["--max-delete"]) && random_options::deletes(&options) {
            return false;
        }
        // It loses newlines in the names that it tells the other side's shell, and expands patterns in them; a
        // receiver on this side keeps what -C hides, where one on the other side, or with the sources, deletes it.
        !self.pulls() || !(deletes_excluded || case.args.iter().any(lost))
    }

    fn by_daemon(self) -> bool {
        matches!(self, Way::DaemonPush | Way::DaemonPull)
    }

    fn pulls(self) -> bool {
        matches!(self, Way::Pull | Way::DaemonPull)
    }

    /// The command line of `case`, set up in `dir`, for `program` on both sides; `module` stands before a
    /// path that a daemon serves.
    fn args(self, case: &Case, program: &OsStr, dir: &Path, module: &str) -> Vec<OsString> {
        // To a module the case is all that there is.
        let root = if self == Way::DaemonPush { Path::new("") } else { dir };
        let args = case.args_in(root).into_iter();
        let far: &[u8] = match self {
            Way::Here => return args.collect(),
            Way::Push | Way::DaemonPush => b"dst",
            Way::Pull | Way::DaemonPull => b"src",
        };
        let prefix = OsStr::new(if self.by_daemon() { module } else { "far:" });
        let host = |arg: OsString| match arg.as_bytes().starts_with(far) {
            true => [prefix, &arg].into_iter().collect(),
            false => arg,
        };
        if self.by_daemon() {
            return args.map(host).collect();
        }
        remote_shell::options(dir.parent().unwrap(), program).into_iter().chain(args.map(host)).collect()
    }
}

/// Takes away what a daemon of ours has not the right for: extended attributes of `trusted` and `security`.
fn keep_to_users(dir: &Path) {
    for entry in walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap) {
        for name in xattr::list(entry.path()).into_iter().flatten() {
            if !name.as_bytes().starts_with(b"user.") && !name.as_bytes().starts_with(b"system.") {
                xattr::remove(entry.path(), name).unwrap();
            }
        }
    }
}

fn play(case: &Case, way: Way, program: &OsStr, dir: &Path, since: SystemTime) -> Outcome {
    set_up(case, dir);
    if way.by_daemon() {
        keep_to_users(dir);
    }
    let before = Before::of(dir);
    // A program that waits for ever fails its case and no other.
    let mut command = under_test::command(OsStr::new("timeout"), dir);
    let daemon = way.by_daemon().then(|| EitherDaemon::start(program, dir));
    let module = daemon.as_ref().map(EitherDaemon::prefix).unwrap_or_default();
    command.args(["--signal=KILL", "20"]).arg(program).args(way.args(case, program, dir, &module));
    let run = under_test::finish(command);
    // What reading has accessed is no matter, but what was written is, before anybody looks into it.
    let access = case.keeps_access_times() && dir.join("dst").exists();
    let access = access.then(|| Manifest::with_access(&dir.join("dst"), since));
    // Directories of backups take what theirs had, before the run (sluice) or after it, and not all of it (rsync).
    let backups = ["bak", "dst/.bak"].map(|name| walkdir::WalkDir::new(dir.join(name)));
    for entry in backups.into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_dir() {
            std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::chown(entry.path(), Some(0), Some(0)).ok();
            for name in xattr::list(entry.path()).into_iter().flatten() {
                let _not_ours = xattr::remove(entry.path(), name);
            }
        }
    }
    let mut lines = lines(&run, case.has("-n") && !real_run_decides(case), case);
    let mut tree = Manifest::of(dir, since);
    for (path, entry) in access.into_iter().flat_map(|access| access.0) {
        let at = if path.is_empty() { b"dst".to_vec() } else { [b"dst/", &path[..]].concat() };
        tree.0.entry(at).and_modify(|known| known.atime = entry.atime);
    }
    for line in lines.items.iter_mut().filter(|line| way.by_daemon() && line.starts_with(b"created ")) {
        // A path in a module begins with a slash for rsync, and as it was typed here.
        if let Some(at) = line.windows(2).position(|two| two == b" /") {
            line.remove(at + 1);
        }
    }
    Outcome { run, lines, tree, before }
}

/// So often rsync may fail for a reason of its own: of seed 806073 every other run does.
const ATTEMPTS: usize = 8;

/// As [`play`] for rsync, whose two receiving processes, one that deletes and one that replaces, get in each
/// other's way when both make the same directory for backups: one then ends the run with 11, "error in file
/// IO". Such a run is played again, unless `ours` ended like that too.
fn play_rsync(case: &Case, way: Way, dir: &Path, since: SystemTime, ours: &Run) -> Outcome {
    let backups = case.args.iter().any(|arg| arg.as_bytes().starts_with(b"--backup-dir"));
    let in_its_own_way = |run: &Run| backups && run.code == 11 && ours.code != 11;
    // On a busy machine its daemon may not be there yet.
    let refused = |run: &Run| run.code == 10 && run.errors().contains("Connection refused");
    for _ in 1..ATTEMPTS {
        let outcome = play(case, way, OsStr::new("rsync"), dir, since);
        if !refused(&outcome.run) && !in_its_own_way(&outcome.run) {
            return outcome;
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
    play(case, way, OsStr::new("rsync"), dir, since)
}

/// What differs between the outcome of the program under test and rsync's, whose real run leaves the tree
/// `after`; empty when nothing does.
fn difference(case: &Case, ours: &Outcome, theirs: &Outcome, after: &Manifest) -> String {
    let mut text = String::new();
    if ours.run.code != theirs.run.code {
        writeln!(text, "exit status {} but rsync's {}", ours.run.code, theirs.run.code).unwrap();
    }
    let mut items = [ours.lines.items.clone(), theirs.lines.items.clone()];
    if !case.has("-n") || real_run_decides(case) {
        items[0] = ours.before.forgetting_owners(&items[0], after, case);
    }
    if case.has("-n") && case.has("-A") && !real_run_decides(case) {
        let [ours, theirs] = &mut items;
        Before::with_masks_as_bits(ours, theirs);
    }
    let attribute_rule =
        |arg: &OsString| matches!(arg.as_bytes(), [b'-' | b'+', b'x', b' ' | b'!' | b's' | b'r', ..]);
    let ruled = case.args.iter().any(attribute_rule);
    if case.has("-A") && ruled {
        let [ours, theirs] = &mut items;
        Before::with_lists_as_attributes(ours, theirs);
    }
    let mut leaders = [Vec::new(), Vec::new()];
    if case.has("-H") && items[0] != items[1] {
        leaders = items.each_mut().map(|items| ours.before.take_groups(items));
    }
    let mut links =
        [ours, theirs].map(|of| known_difference::without_basis_access(&of.lines.hard_links, case));
    if links[0] != links[1] {
        links = links.map(known_difference::without_far_xattrs);
    }
    let lists = [
        ("items", &items[0], &items[1]),
        ("leaders", &leaders[0], &leaders[1]),
        ("deletions", &ours.lines.deletions, &theirs.lines.deletions),
        ("hard links", &links[0], &links[1]),
    ];
    for (what, ours, theirs) in lists {
        if let Some(at) = (0..ours.len().max(theirs.len())).find(|i| ours.get(*i) != theirs.get(*i)) {
            let show =
                |list: &[Vec<u8>]| list.get(at).map_or("(end)".into(), |l| l.escape_ascii().to_string());
            writeln!(text, "{what} line {}:\n   {}\n   {} (rsync)", at + 1, show(ours), show(theirs))
                .unwrap();
        }
    }
    let trees = match case.has("-A") {
        true => ours.before.losing_group(&ours.tree, &theirs.tree).difference(&theirs.tree),
        false if ruled => ours.tree.difference(&ours.before.without_inherited(&ours.tree, &theirs.tree)),
        false => ours.tree.difference(&theirs.tree),
    };
    if !trees.is_empty() {
        writeln!(text, "trees (second line: rsync's):\n{}", cut(&trees)).unwrap();
    }
    text
}

fn shown(args: &[OsString]) -> String {
    args.iter().map(|a| format!(" $'{}'", a.as_bytes().escape_ascii())).collect()
}

/// Plays the case of `seed`; what went wrong, with all that is needed to see it again.
///
/// Returns whether it was played: on some ways rsync does not do what it does here.
fn compare(seed: u64, way: Way, root: bool) -> Result<bool, String> {
    let case = random_case(seed, root);
    if !random_cases::asked_for(&case.args) || !way.is_faithful(&case) {
        return Ok(false);
    }
    let since = SystemTime::now();
    let dir = tempfile::Builder::new().prefix("sluice-diff.").tempdir().unwrap();
    let ours = play(&case, way, &under_test::binary(), &dir.path().join("ours"), since);
    let mut theirs = play_rsync(&case, way, &dir.path().join("rsync"), since, &ours.run);
    let mut after = theirs.tree.clone();
    if real_run_decides(&case) {
        let mut real = case.clone();
        real.args.retain(|arg| arg != "-n");
        let done = play_rsync(&real, way, &dir.path().join("really"), since, &ours.run);
        theirs.run = done.run;
        theirs.lines = done.lines;
        after = done.tree;
    }
    let wrong = difference(&case, &ours, &theirs, &after);
    if wrong.is_empty() {
        return Ok(true);
    }
    let kept = dir.keep();
    let before = kept.join("before");
    set_up(&case, &before);
    let message = format!(
        "SLUICE_TEST_SEED={seed} SLUICE_TEST_CASES=1 {way:?} fails:\n{wrong}stderr: {}rsync's: {}again: cp -a {} x && cd x && rsync{}\n",
        cut(&ours.run.errors()),
        cut(&theirs.run.errors()),
        before.display(),
        shown(&way.args(&case, OsStr::new("rsync"), &before, "localhost::m/")),
    );
    std::fs::write(kept.join("ours.out"), [ours.run.out, ours.run.err].concat()).unwrap();
    std::fs::write(kept.join("rsync.out"), [theirs.run.out, theirs.run.err].concat()).unwrap();
    Err(message)
}

/// So many failures show a pattern; each keeps its trees.
const ENOUGH: usize = 12;

/// Cases that are played at the same time: they wait for processes most of the time.
const THREADS: usize = 4;

#[test]
fn random_trees_and_options_come_out_as_with_rsync() {
    compare_all(500, |_| Way::Here);
}

#[test]
fn behind_a_remote_shell_they_come_out_as_with_rsync_too() {
    compare_all(300, |seed| if seed % 2 == 0 { Way::Push } else { Way::Pull });
}

#[test]
fn with_a_daemon_they_come_out_as_with_rsync_too() {
    if !requirement::met(&[Need::Root]) {
        return;
    }
    compare_all(300, |seed| if seed % 2 == 0 { Way::DaemonPush } else { Way::DaemonPull });
}

/// Plays `usual` cases, each on its way.
fn compare_all(usual: u64, way: impl Fn(u64) -> Way + Sync) {
    if !requirement::met(&[Need::Program("rsync")]) {
        return;
    }
    let root = requirement::is_root();
    let seeds = random_cases::seeds(usual);
    let left = Mutex::new(seeds.clone());
    let failures = Mutex::new(Vec::new());
    let left_out = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while failures.lock().unwrap().len() < ENOUGH {
                    let Some(seed) = left.lock().unwrap().next() else { return };
                    match compare(seed, way(seed), root) {
                        Ok(true) => {}
                        Ok(false) => {
                            left_out.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(wrong) => failures.lock().unwrap().push(wrong),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{} of seeds {seeds:?} are left out on their way", left_out.into_inner());
    assert!(failures.is_empty(), "{} of seeds {seeds:?}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_program_that_does_something_else_is_found_out() {
    if !requirement::met(&[Need::Program("rsync")]) {
        return;
    }
    // rsync with one attribute less stands for a sluice with a bug.
    let since = SystemTime::now();
    for sabotage in [
        "--no-times",
        "--no-perms",
        "--no-links",
        "--omit-dir-times",
        "--dry-run",
        "--exclude=*.c",
        "--no-xattrs",
        "--no-acls",
        "--delete",
    ] {
        let found = (1..30).any(|seed| {
            let shape = Shape {
                depth: 2,
                width: 9,
                long_names: true,
                hard_links: false,
                follow: false,
                dangling: true,
                root: requirement::is_root(),
                attached: true,
            };
            let rng = &mut Rng::new(seed);
            let source = Tree::random(rng, &shape);
            let dest = source.mutated(rng, &shape);
            let trees = vec![("src", source), ("dst", dest)];
            let mut case = Case {
                trees,
                files: Vec::new(),
                args: ["-aiAX", "src/", "dst"].map(OsString::from).to_vec(),
            };
            let dir = tempfile::tempdir().unwrap();
            let right = play(&case, Way::Here, OsStr::new("rsync"), &dir.path().join("right"), since);
            case.args.insert(1, sabotage.into());
            let wrong = play(&case, Way::Here, OsStr::new("rsync"), &dir.path().join("wrong"), since);
            !difference(&case, &wrong, &right, &right.tree).is_empty()
        });
        assert!(found, "{sabotage} made no difference");
    }
}
