//! What a cut transfer leaves, and what the next run makes of it: between machines it goes on where the other
//! one ended, after comparing.
//!
//! The connection is cut at chosen and at random offsets: a proxy stands between client and daemon, a remote shell
//! passes on so many bytes and no more.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::random_cases::{Random, seeds};
use crate::requirement::{Need, is_root, met};
use crate::served::{Served, file, tree};
use crate::under_test::{self, Run, binary, command, finish};

/// Long enough for any machine; whatever needs it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the two sides are connected, and which of them sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    ShellPush,
    ShellPull,
    DaemonPush,
    DaemonPull,
}

const WAYS: [Way; 4] = [Way::ShellPush, Way::ShellPull, Way::DaemonPush, Way::DaemonPull];

impl Way {
    fn pushes(self) -> bool {
        matches!(self, Way::ShellPush | Way::DaemonPush)
    }

    fn by_shell(self) -> bool {
        matches!(self, Way::ShellPush | Way::ShellPull)
    }
}

/// `src` and `dst`, to be synchronised over a connection that can be cut.
struct Sides {
    served: Served,
    proxy: Proxy,
}

impl Sides {
    fn new(prepare: impl FnOnce(&Path)) -> Sides {
        Sides::with("", prepare)
    }

    /// With `more` in the module's configuration.
    fn with(more: &str, prepare: impl FnOnce(&Path)) -> Sides {
        let own = if is_root() { "uid = root\ngid = root\n" } else { "" };
        let text = format!("use chroot = no\n{own}{more}[all]\npath = @/\nread only = no\n");
        let served = Served::new(&text, |at| {
            for tree in ["src", "dst"] {
                fs::create_dir(at.join(tree)).unwrap();
            }
            prepare(at);
        });
        let proxy = Proxy::before(served.port());
        Sides { served, proxy }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.served.at(name)
    }

    /// `src/` to `dst/`; after so many bytes in the direction of the data, if that is said, the connection ends.
    /// Whoever receives has come to its end when this returns.
    fn run(&self, way: Way, options: &[&str], cut: Option<u64>) -> Run {
        // A run that waits for ever fails its test and no other.
        let mut client = command(OsStr::new("timeout"), &self.at(""));
        client.args(["--signal=KILL", "60"]).arg(binary()).args(options);
        if way.by_shell() {
            let limit = cut.map_or("cat".into(), |bytes| format!("stdbuf -o0 head -c {bytes}"));
            let program = PathBuf::from(binary()).display().to_string();
            let serve = if way.pushes() {
                format!("{limit} | {program} --server")
            } else {
                format!("{program} --server | {limit}")
            };
            fs::write(self.at("shell"), format!("{serve}\n")).unwrap();
            let ends = if way.pushes() { ["src/", "h:dst/"] } else { ["h:src/", "dst/"] };
            let run = finish({
                client.arg("--rsh=sh ./shell").args(ends);
                client
            });
            self.wait_for(|| self.servers() == 0);
            return run;
        }
        self.proxy.cut_after(way.pushes(), cut);
        let url = |name: &str| format!("sluice://127.0.0.1:{}/all/{name}/", self.proxy.port);
        let ends = if way.pushes() { ["src/".into(), url("dst")] } else { [url("src"), "dst/".into()] };
        client.args(ends);
        let run = finish(client);
        // A process for each connection: it is gone when what it received is where it belongs.
        self.wait_for(|| self.served.sessions() == 0);
        run
    }

    /// Processes behind the remote shell: they are known by where they run.
    fn servers(&self) -> usize {
        let here = fs::canonicalize(self.at("")).unwrap();
        let is_server = |process: &Path| {
            let words = fs::read(process.join("cmdline")).unwrap_or_default();
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == here)
                && words.split(|b| *b == 0).any(|word| word == b"--server")
        };
        fs::read_dir("/proc").unwrap().filter(|entry| is_server(&entry.as_ref().unwrap().path())).count()
    }

    fn wait_for(&self, over: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !over() {
            assert!(Instant::now() < end, "the other side goes on");
            sleep(Duration::from_millis(5));
        }
    }

    /// The bytes that the run `told` with `--stats` moved in the direction of the data.
    fn moved(way: Way, told: &Run) -> u64 {
        let line = if way.pushes() { "Total bytes sent: " } else { "Total bytes received: " };
        Sides::figure(told, line)
    }

    /// The figure of `--stats` behind `line`.
    fn figure(told: &Run, line: &str) -> u64 {
        let text = told.text();
        let figure =
            text.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_else(|| panic!("no {line}{text}"));
        figure.trim_end_matches(" bytes").replace(',', "").parse().unwrap()
    }
}

/// Passes bytes on between its clients and a port, and ends a connection when it is told to.
struct Proxy {
    port: u16,
    /// How many bytes more may go to the server and to the client.
    left: [Arc<AtomicU64>; 2],
}

impl Proxy {
    fn before(server: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = [(); 2].map(|()| Arc::new(AtomicU64::new(u64::MAX)));
        let budgets = left.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
                let ends =
                    [(client.try_clone(), server.try_clone()), (server.try_clone(), client.try_clone())];
                for ((from, to), left) in ends.into_iter().zip(&budgets) {
                    let (from, to, left) = (from.unwrap(), to.unwrap(), Arc::clone(left));
                    std::thread::spawn(move || pass_on(from, to, &left));
                }
            }
        });
        Proxy { port, left }
    }

    fn cut_after(&self, to_server: bool, bytes: Option<u64>) {
        let limited = usize::from(!to_server);
        for (at, left) in self.left.iter().enumerate() {
            left.store(bytes.filter(|_| at == limited).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, left: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = from.read(&mut buffer).unwrap_or(0) as u64;
        let may = left.load(Ordering::SeqCst).min(n);
        left.fetch_sub(may, Ordering::SeqCst);
        let sent = to.write_all(&buffer[..usize::try_from(may).unwrap()]).is_ok();
        if n == 0 || !sent {
            // One direction ends as the peer has ended it.
            let _gone = to.shutdown(Shutdown::Write);
            return;
        }
        if may < n {
            let _gone = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Both));
            // What the receiver still says is read, or it might lose what is on its way to it.
            let _said = std::io::copy(&mut to, &mut std::io::sink());
            return;
        }
    }
}

/// Bytes that no compression and no hole makes less of.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Every name below `dir` with its length; directories with a slash.
fn names(dir: &Path) -> Vec<(String, u64)> {
    let found = walkdir::WalkDir::new(dir).min_depth(1).sort_by_file_name().into_iter().map(Result::unwrap);
    let name = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(dir).unwrap().display().to_string();
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { (path + "/", 0) } else { (path, meta.len()) }
    };
    found.map(name).collect()
}

const BIG: usize = 3 << 20;

/// Where the options keep a partial file of `sub/big`.
const KEEPERS: [(&[&str], &str); 4] = [
    (&["--partial-dir=.p"], "dst/sub/.p/big"),
    (&["--partial-dir=/apart"], "apart/big"),
    (&["--partial"], "dst/sub/big"),
    (&["--inplace"], "dst/sub/big"),
];

#[test]
fn what_arrived_before_a_cut_is_kept_and_the_next_run_sends_the_rest() {
    if !met(&[Need::Program("stdbuf")]) {
        return;
    }
    for way in WAYS {
        for (keeper, kept) in KEEPERS {
            let sides = Sides::new(|at| {
                fs::create_dir(at.join("src/sub")).unwrap();
                fs::write(at.join("src/sub/big"), noise(1, BIG)).unwrap();
            });
            // A daemon's paths begin at the module, which is where the test is.
            let absolute = format!("--partial-dir={}", sides.at("apart").display());
            let mut options: Vec<&str> = ["-a", "--stats"].iter().chain(keeper).copied().collect();
            if keeper == ["--partial-dir=/apart"] && way != Way::DaemonPush {
                options[2] = &absolute;
            }
            let what = format!("{way:?} {options:?}");
            let cut = sides.run(way, &options, Some(2 << 20));
            assert!([12, 20].contains(&cut.code), "{what}: {}\n{}", cut.code, cut.errors());
            let left = fs::metadata(sides.at(kept)).unwrap_or_else(|e| panic!("{what}: {e}")).len();
            assert!((1 << 20..=2 << 20).contains(&left), "{what}: {left}");
            let next = sides.run(way, &options, None);
            let moved = Sides::moved(way, next.expect(0));
            assert!(moved < BIG as u64 - left + 4096, "{what}: {moved} bytes although {left} were there");
            assert!(fs::read(sides.at("dst/sub/big")).unwrap() == noise(1, BIG), "{what}");
            assert_eq!(
                names(&sides.at("dst")),
                [("sub/".into(), 0), ("sub/big".into(), BIG as u64)],
                "{what}"
            );
            let equal = sides.run(way, &[&options[..], &["-i"]].concat(), None);
            assert!(!equal.expect(0).text().contains("big"), "{what}: {}", equal.text());
        }
    }
}

#[test]
fn the_variables_say_where_partial_files_go_and_ours_wins() {
    if !met(&[Need::Program("stdbuf")]) {
        return;
    }
    for (variables, place) in [
        (&[("RSYNC_PARTIAL_DIR", ".r")][..], Some(".r")),
        (&[("RSYNC_PARTIAL_DIR", ".r"), ("SLUICE_PARTIAL_DIR", ".s")], Some(".s")),
        (&[("RSYNC_PARTIAL_DIR", ".")], None),
    ] {
        for options in [&["-a", "--partial"][..], &["-aP"]] {
            let sides = Sides::new(|at| fs::write(at.join("src/big"), noise(2, BIG)).unwrap());
            let program = PathBuf::from(binary()).display().to_string();
            fs::write(sides.at("shell"), format!("{program} --server | stdbuf -o0 head -c 1500000\n"))
                .unwrap();
            let mut client = command(&binary(), &sides.at(""));
            client.envs(variables.iter().copied()).args(options).args(["--rsh=sh ./shell", "h:src/", "dst/"]);
            finish(client);
            let kept = place.map_or("dst/big".into(), |place| format!("dst/{place}/big"));
            assert!(sides.at(&kept).exists(), "{variables:?} {options:?}: {:?}", names(&sides.at("dst")));
        }
        // Without --partial they mean nothing.
        let sides = Sides::new(|at| fs::create_dir(at.join("src/.s")).unwrap());
        let mut client = command(&binary(), &sides.at(""));
        finish({
            client.envs(variables.iter().copied()).args(["-a", "src/", "dst/"]);
            client
        })
        .expect(0);
        assert!(sides.at("dst/.s").exists());
    }
}

#[test]
fn an_old_complete_file_stays_and_an_older_half_gives_way_to_a_longer_one() {
    if !met(&[Need::Program("stdbuf")]) {
        return;
    }
    for way in WAYS {
        let sides = Sides::new(|at| fs::write(at.join("src/big"), noise(3, BIG)).unwrap());
        let size = || fs::metadata(sides.at("dst/big")).unwrap().len();
        for text in ["old", &"longer than 32 KiB ".repeat(4000)] {
            fs::write(sides.at("dst/big"), text).unwrap();
            sides.run(way, &["-a", "--partial"], Some(1 << 20));
            assert_eq!(fs::read_to_string(sides.at("dst/big")).unwrap(), text, "{way:?}");
            assert_eq!(names(&sides.at("dst")).len(), 1, "{way:?}");
        }
        fs::remove_file(sides.at("dst/big")).unwrap();
        sides.run(way, &["-a", "--partial"], Some(1 << 20));
        let first = size();
        sides.run(way, &["-a", "--partial"], Some(1 << 20));
        assert!(size() > first + (512 << 10), "{way:?}: {first} and then {}", size());
        assert_eq!(fs::metadata(sides.at("dst/big")).unwrap().mtime(), 0, "{way:?}");
        sides.run(way, &["-a", "--partial"], None).expect(0);
        assert!(fs::read(sides.at("dst/big")).unwrap() == noise(3, BIG), "{way:?}");
    }
}

#[test]
fn what_is_no_beginning_of_the_source_is_not_used() {
    for way in WAYS {
        for (keeper, kept) in KEEPERS {
            if keeper == ["--partial-dir=/apart"] {
                continue;
            }
            let left = [
                ("another-beginning", noise(9, 1 << 20)),
                ("longer-than-the-source", noise(4, BIG + 1)),
                ("one-byte-changed", {
                    let mut left = noise(4, BIG - 1);
                    left[777] ^= 1;
                    left
                }),
            ];
            let sides = Sides::new(|at| {
                fs::create_dir(at.join("src/sub")).unwrap();
                for (name, left) in &left {
                    fs::write(at.join("src/sub").join(name), noise(4, BIG)).unwrap();
                    let kept = at.join(kept).with_file_name(name);
                    fs::create_dir_all(kept.parent().unwrap()).unwrap();
                    fs::write(&kept, left).unwrap();
                }
            });
            let what = format!("{way:?} {keeper:?}");
            let run = sides.run(way, &[&["-a", "--stats"], keeper].concat(), None);
            assert!(Sides::moved(way, run.expect(0)) > 3 * BIG as u64, "{what}");
            for (name, _) in &left {
                assert!(fs::read(sides.at("dst/sub").join(name)).unwrap() == noise(4, BIG), "{what}: {name}");
            }
            assert_eq!(names(&sides.at("dst")).len(), 4, "{what}: {:?}", names(&sides.at("dst")));
        }
    }
}

#[test]
fn a_partial_file_of_the_whole_length_needs_no_data() {
    for way in WAYS {
        let sides = Sides::new(|at| {
            fs::write(at.join("src/big"), noise(5, BIG)).unwrap();
            fs::create_dir(at.join("dst/.p")).unwrap();
            fs::write(at.join("dst/.p/big"), noise(5, BIG)).unwrap();
        });
        let run = sides.run(way, &["-a", "--stats", "--partial-dir=.p"], None);
        assert!(Sides::moved(way, run.expect(0)) < 4096, "{way:?}");
        assert_eq!(names(&sides.at("dst")), [("big".into(), BIG as u64)], "{way:?}");
    }
}

#[test]
fn partial_files_that_others_could_change_are_not_gone_on_with() {
    if !met(&[Need::Program("stdbuf")]) {
        return;
    }
    for way in WAYS {
        type Spoil = fn(&Path);
        let spoils: [(&str, Spoil); 3] = [
            ("writable", |at| {
                fs::set_permissions(at.join("dst/.p/big"), fs::Permissions::from_mode(0o622)).unwrap();
            }),
            ("another name", |at| fs::hard_link(at.join("dst/.p/big"), at.join("other")).unwrap()),
            ("a link", |at| {
                fs::rename(at.join("dst/.p/big"), at.join("other")).unwrap();
                symlink("../../other", at.join("dst/.p/big")).unwrap();
            }),
        ];
        for (name, spoil) in spoils {
            let sides = Sides::new(|at| {
                fs::write(at.join("src/big"), noise(6, BIG)).unwrap();
                fs::create_dir(at.join("dst/.p")).unwrap();
                fs::write(at.join("dst/.p/big"), noise(6, BIG / 2)).unwrap();
                spoil(at);
            });
            let run = sides.run(way, &["-a", "--stats", "--partial-dir=.p"], None);
            assert!(Sides::moved(way, run.expect(0)) > BIG as u64, "{way:?}: {name}");
            assert!(fs::read(sides.at("dst/big")).unwrap() == noise(6, BIG), "{way:?}: {name}");
            if sides.at("other").exists() {
                assert!(fs::read(sides.at("other")).unwrap() == noise(6, BIG / 2), "{way:?}: {name}");
            }
        }
        // Nor is a directory that is a link.
        let sides = Sides::new(|at| {
            fs::write(at.join("src/big"), noise(6, BIG)).unwrap();
            fs::create_dir(at.join("out")).unwrap();
            symlink("../out", at.join("dst/.p")).unwrap();
        });
        sides.run(way, &["-a", "--partial-dir=.p"], Some(1 << 20));
        assert_eq!(names(&sides.at("out")), [], "{way:?}");
    }
}

/// Every file of the tree that is cut at random.
const FILES: [(&str, usize); 6] = [
    ("a/first", 700_000),
    ("a/second", 150_000),
    ("a/small", 900),
    ("b/large", 1_500_000),
    ("b/same", 60_000),
    ("top", 40_000),
];

fn old(name: &str) -> Option<Vec<u8>> {
    match name {
        "a/second" => Some(noise(70, 90_000)),
        "b/same" => Some(noise(75, 60_000)),
        "top" => Some(b"old".to_vec()),
        _ => None,
    }
}

fn new(name: &str) -> Vec<u8> {
    let at = FILES.iter().position(|(other, _)| *other == name).unwrap();
    noise(80 + at as u64, FILES[at].1)
}

/// Under every name is the old file or the new one, and beside them there is nothing but partial files.
#[track_caller]
fn whole_or_apart(dst: &Path, what: &str) {
    for (name, _) in names(dst) {
        let own = name.replace(".p/", "");
        if ["", "a/", "b/"].contains(&own.as_str()) {
            continue;
        }
        assert!(FILES.iter().any(|(known, _)| *known == own), "{what}: {name} is nobody's");
        if own != name {
            continue;
        }
        let there = fs::read(dst.join(&name)).unwrap();
        assert!(
            there == new(&name) || Some(&there) == old(&name).as_ref(),
            "{what}: {name} is neither old nor new"
        );
    }
}

#[test]
fn cut_anywhere_nothing_is_half_and_the_next_run_sends_only_what_is_missing() {
    if !met(&[Need::Program("stdbuf")]) {
        return;
    }
    let whole: usize = FILES.iter().map(|(_, len)| len).sum();
    let (mut kept, mut saved) = (0, 0);
    for seed in seeds(8) {
        let random = &mut Random::new(seed);
        let way = WAYS[random.below(4)];
        let sides = Sides::new(|at| {
            for (name, _) in FILES {
                file(at, &format!("src/{name}"), "");
                fs::write(at.join("src").join(name), new(name)).unwrap();
                if let Some(old) = old(name) {
                    file(at, &format!("dst/{name}"), "");
                    fs::write(at.join("dst").join(name), old).unwrap();
                }
            }
        });
        let more = random.of(&[&[][..], &["--jobs=1"], &["--no-verify"], &["-S"], &["--delete-after"]]);
        let options = [&["-aI", "--stats", "--partial-dir=.p"], more].concat();
        let mut cuts = Vec::new();
        for _ in 0..1 + random.below(3) {
            cuts.push(random.below(whole + whole / 8) as u64);
            let what =
                format!("SLUICE_TEST_SEED={seed} SLUICE_TEST_CASES=1: {way:?} {more:?} cut at {cuts:?}");
            let run = sides.run(way, &options, cuts.last().copied());
            assert!([0, 12, 20].contains(&run.code), "{what}: {}\n{}", run.code, run.errors());
            whole_or_apart(&sides.at("dst"), &what);
        }
        let what = format!("SLUICE_TEST_SEED={seed} SLUICE_TEST_CASES=1: {way:?} {more:?} cut at {cuts:?}");
        // With -I what is complete is sent again; what is partial is not.
        let left: u64 =
            names(&sides.at("dst")).iter().filter(|(n, _)| n.contains(".p/")).map(|(_, len)| len).sum();
        let last = sides.run(way, &options, None);
        let moved = Sides::moved(way, last.expect(0));
        assert!(moved < whole as u64 - left + 65536, "{what}: {moved} bytes although {left} were there");
        let literal = Sides::figure(&last, "Literal data: ");
        assert!(
            literal < whole as u64 - left + 65536,
            "{what}: {literal} literal although {left} were there"
        );
        for (name, _) in FILES {
            assert!(fs::read(sides.at("dst").join(name)).unwrap() == new(name), "{what}: {name}");
        }
        assert!(names(&sides.at("dst")).iter().all(|(name, _)| !name.contains('.')), "{what}: litter");
        kept += u64::from(left > 0);
        saved += left;
    }
    // The test is about something.
    assert!(kept == 0 || saved > 100_000, "{kept} cases kept {saved} bytes");
}

#[test]
fn files_are_added_to_on_every_way_as_on_one_machine() {
    let grown = noise(20, 400_000);
    let prepare = |at: &Path| {
        for (name, source, dest) in [
            ("grown", &grown[..], &grown[..300_000]),
            ("small", b"hello world", b"hello"),
            ("other", b"hello world", b"HELLO"),
            ("large-other", &grown[..], &noise(21, 300_000)[..]),
            ("shorter", b"abc", b"abcdef"),
            ("same", b"abc", b"xyz"),
            ("from-nothing", b"abc", b""),
            ("to-nothing", b"", b"abc"),
        ] {
            for (tree, text, second) in [("src", source, 1_000_000_000), ("dst", dest, 900_000_000)] {
                let path = at.join(tree).join(name);
                fs::write(&path, text).unwrap();
                let time = std::time::UNIX_EPOCH + Duration::from_secs(second);
                fs::File::open(&path).unwrap().set_modified(time).unwrap();
            }
        }
        fs::write(at.join("src/new"), "n").unwrap();
        for tree in ["src", "dst"] {
            let time = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            fs::File::open(at.join(tree)).unwrap().set_modified(time).unwrap();
        }
    };
    for mode in ["--append", "--append-verify"] {
        for more in [&[][..], &["-b"], &["-c"], &["--verify"], &["--no-verify"], &["-n"]] {
            let options = [&["-ai", mode], more].concat();
            let here = tempfile::tempdir().unwrap();
            for tree in ["src", "dst"] {
                fs::create_dir(here.path().join(tree)).unwrap();
            }
            prepare(here.path());
            let args = options.iter().copied().chain(["src/", "dst/"]);
            let local = under_test::run(here.path(), args);
            let lines = local.expect(0).text();
            assert!(lines.contains(" grown\n") && !lines.contains("shorter"), "{options:?}: {lines}");
            let wanted = tree(&here.path().join("dst"));
            let content = |name: &str| fs::read(here.path().join("dst").join(name)).unwrap();
            if !more.contains(&"-n") {
                assert!(content("grown") == grown, "{options:?}");
                let mixed = if mode == "--append" { "HELLO world" } else { "hello world" };
                assert_eq!(content("other"), mixed.as_bytes(), "{options:?}");
                assert_eq!(content("large-other") == grown, mode == "--append-verify", "{options:?}");
            }
            for way in WAYS {
                let sides = Sides::new(prepare);
                let told = sides.run(way, &options, None).expect(0).text();
                let told = if way.pushes() { told.replace("<f", ">f") } else { told };
                assert_eq!(told, lines, "{way:?} {options:?}");
                assert_eq!(tree(&sides.at("dst")), wanted, "{way:?} {options:?}");
                for name in ["grown", "large-other"] {
                    let there = fs::read(sides.at("dst").join(name)).unwrap();
                    assert!(there == content(name), "{way:?} {options:?}: {name}");
                }
            }
        }
    }
    // And only what is new travels.
    for way in WAYS {
        for mode in ["--append", "--append-verify"] {
            let sides = Sides::new(|at| {
                fs::write(at.join("src/log"), noise(22, 2_000_000)).unwrap();
                fs::write(at.join("dst/log"), noise(22, 1_990_000)).unwrap();
            });
            let inode = || fs::metadata(sides.at("dst/log")).unwrap().ino();
            let before = inode();
            let run = sides.run(way, &["-a", "--stats", mode], None);
            assert!(Sides::moved(way, run.expect(0)) < 20_000, "{way:?} {mode}");
            assert!(fs::read(sides.at("dst/log")).unwrap() == noise(22, 2_000_000), "{way:?} {mode}");
            assert_eq!(inode(), before, "{way:?} {mode}");
        }
    }
}

#[test]
fn on_one_machine_partial_files_are_kept_hidden_and_removed_with_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (name, text) in [
        ("src/new", "new"),
        ("src/same", "same"),
        ("src/.p/theirs", "hidden"),
        ("dst/.p/new", "ne"),
        ("dst/.p/same", "sam"),
        ("dst/.p/gone", "of a file that is no more"),
        ("dst/sub/.p/x", "of a directory that is no more"),
        ("dst/kept/.p/y", "y"),
        ("src/kept/z", "z"),
    ] {
        file(at, name, text);
    }
    under_test::run(at, ["-a", "src/same", "dst/"]).expect(0);
    under_test::run(at, ["-a", "--delete", "--partial-dir=.p", "src/", "dst/"]).expect(0);
    let left =
        [".p/", ".p/gone: of a file that is no more", "kept/", "kept/.p/", "kept/.p/y: y", "kept/z: z"];
    let left = left.into_iter().chain(["new: new", "same: same"]);
    assert_eq!(tree(&at.join("dst")), left.collect::<Vec<_>>());
    under_test::run(at, ["-a", "--delete-excluded", "--partial-dir=.p", "src/", "dst/"]).expect(0);
    assert_eq!(tree(&at.join("dst")), ["kept/", "kept/z: z", "new: new", "same: same"]);
    for (args, part) in [
        (&["--inplace", "--partial-dir=.p"][..], "--inplace cannot be used with --partial-dir"),
        (&["--append", "--partial-dir=.p"], "--append cannot be used with --partial-dir"),
        (&["--partial-dir=a/../b"], "below the directory of each file"),
    ] {
        let args = args.iter().copied().chain(["-a", "src/", "dst/"]);
        assert!(under_test::run(at, args).expect(1).errors().contains(part), "{part}");
    }
}

#[test]
fn a_module_hides_and_refuses_partial_directories_as_it_does_others() {
    let more = "exclude = /dst/hid /dst/a/.p *.key\nrefuse options = append\n";
    let sides = Sides::with(more, |at| {
        for name in ["src/big", "src/a/big", "src/hid/big", "src/other.key"] {
            file(at, name, "");
            fs::write(at.join(name), noise(30, BIG)).unwrap();
        }
        file(at, "dst/a/.p/big", "precious");
        file(at, "dst/hid/big", "precious");
    });
    for (code, dir) in [(1, "../x"), (1, "/x/../y"), (4, "/dst/hid"), (4, "hid")] {
        let option = OsString::from(format!("--partial-dir={dir}"));
        let refused =
            sides.served.run([OsString::from("-a"), option, "src/".into(), "localhost::all/dst/".into()]);
        refused.expect(code);
    }
    let refused = sides.served.run(["-a", "--append", "src/", "localhost::all/dst/"]);
    assert!(refused.expect(4).errors().contains("refuse --append"), "{}", refused.errors());
    let run =
        sides.run(Way::DaemonPush, &["-a", "--exclude=*.key", "--exclude=hid", "--partial-dir=.p"], None);
    run.expect(0);
    assert_eq!(fs::read_to_string(sides.at("dst/a/.p/big")).unwrap(), "precious");
    assert_eq!(fs::read_to_string(sides.at("dst/hid/big")).unwrap(), "precious");
    assert!(fs::read(sides.at("dst/a/big")).unwrap() == noise(30, BIG));
}
