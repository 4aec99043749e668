//! Sources that change while they are sent to another machine, pushed and pulled, through a remote shell and
//! by TCP. Every state of a source says of each byte which state it belongs to.
//!
//! What is promised:
//! - A file that is replaced (`rename`) arrives as one of its states, whole: what was opened is what is sent.
//! - One that is cut and made longer arrives as a state that it had, or stays as it was.
//! - One that grows arrives as long as it was at one moment.
//! - One that is rewritten in place arrives as the bytes that the sender has read, from its beginning to its
//!   end: each belongs to a state that the file had meanwhile, not all to the same. Whoever needs more takes a
//!   snapshot. What was stored and what was read are compared in any case.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::changing::while_changing;
use crate::remote_shell;
use crate::requirement::is_root;
use crate::served::Served;
use crate::under_test::{Run, binary, command, finish, is_sluice};

/// More than a socket and a pipe hold, so that the file changes while it is on its way.
const LEN: usize = 3 << 20;

const ROUNDS: usize = 8;

/// How the two sides are connected, and which of them is the far one.
struct Way {
    served: Option<Served>,
    push: bool,
    dir: tempfile::TempDir,
}

impl Way {
    fn run(&self) -> Run {
        let at = self.dir.path();
        let mut run = command(&binary(), at);
        run.args(["-aI", "--timeout=30"]);
        let far: OsString = match &self.served {
            None => {
                run.args(remote_shell::to_itself(at));
                "far:".into()
            }
            Some(served) => format!("sluice://127.0.0.1:{}/all", served.port()).into(),
        };
        let [src, dst] = ["src/", "dst/"].map(|name| at.join(name).into_os_string());
        let at_far = |path: OsString| [far.clone(), path].into_iter().collect::<OsString>();
        run.args(if self.push { [src, at_far(dst)] } else { [at_far(src), dst] });
        finish(run)
    }

    fn source(&self) -> std::path::PathBuf {
        self.dir.path().join("src/f")
    }

    fn stored(&self) -> Vec<u8> {
        let dst = self.dir.path().join("dst");
        let names: Vec<_> = fs::read_dir(&dst).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["f"], "something is left");
        fs::read(dst.join("f")).unwrap()
    }
}

fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for by_tcp in [false, true] {
        // Whoever else runs the tests does not become root.
        for push in [true, false].into_iter().filter(|_| !by_tcp || is_root()) {
            let all = "use chroot = no\nuid = root\ngid = root\n[all]\npath = /\nread only = no\n";
            let served = by_tcp.then(|| Served::new(all, |_: &Path| {}));
            let dir = tempfile::tempdir().unwrap();
            for tree in ["src", "dst"] {
                fs::create_dir(dir.path().join(tree)).unwrap();
            }
            fs::write(dir.path().join("dst/f"), "old").unwrap();
            ways.push(Way { served, push, dir });
        }
    }
    if is_sluice() { ways } else { Vec::new() }
}

/// The state of that number: in every eight bytes.
fn state(number: u64, len: usize) -> Vec<u8> {
    number.to_le_bytes().repeat(len / 8)
}

/// Which states the bytes belong to, in order, the same once.
fn states(bytes: &[u8]) -> Vec<u64> {
    let mut states: Vec<u64> =
        bytes.chunks(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap_or([0xff; 8]))).collect();
    states.dedup();
    states
}

#[test]
fn a_file_that_is_replaced_arrives_as_one_of_its_states() {
    for way in ways() {
        let (number, spare) = (AtomicU64::new(1), way.dir.path().join("spare"));
        let replace = || {
            let number = number.fetch_add(1, Ordering::Relaxed);
            // Of many lengths, too.
            fs::write(&spare, state(number, LEN - 8 * (number % 1000) as usize)).unwrap();
            fs::rename(&spare, way.source()).unwrap();
        };
        replace();
        while_changing(replace, || {
            for _ in 0..ROUNDS {
                way.run().expect(0);
                let stored = way.stored();
                let [number] = states(&stored)[..] else { panic!("a mixture: {:?}", states(&stored)) };
                assert_eq!(stored.len(), LEN - 8 * (number % 1000) as usize, "state {number}");
            }
        });
    }
}

#[test]
fn a_file_that_is_cut_and_made_longer_arrives_as_a_state_that_it_had() {
    for way in ways() {
        fs::write(way.source(), state(7, LEN)).unwrap();
        let file = OpenOptions::new().write(true).open(way.source()).unwrap();
        let (short, zeros) = (state(7, LEN / 2), vec![0; LEN / 2]);
        let cut = || {
            file.set_len(LEN as u64 / 2).unwrap();
            std::thread::sleep(Duration::from_micros(300));
            file.set_len(LEN as u64).unwrap();
            std::thread::sleep(Duration::from_micros(300));
        };
        cut();
        while_changing(cut, || {
            for _ in 0..ROUNDS {
                let before = way.stored();
                let run = way.run();
                let stored = way.stored();
                if run.code != 0 {
                    assert!([23, 24].contains(&run.code), "{} {}", run.code, run.errors());
                    assert!(stored == before, "{}", run.errors());
                    continue;
                }
                let (first, rest) = stored.split_at(LEN / 2);
                assert!(first == short && (rest.is_empty() || rest == zeros), "{} bytes", stored.len());
            }
        });
    }
}

#[test]
fn a_file_that_grows_arrives_as_long_as_it_was_at_one_moment() {
    for way in ways() {
        // Page by page, which is how the kernel tells others what was added.
        fs::write(way.source(), state(1, 4096)).unwrap();
        let file = OpenOptions::new().append(true).open(way.source()).unwrap();
        let number = AtomicU64::new(1);
        let grow = || {
            // Slowly, and not for ever.
            std::thread::sleep(Duration::from_micros(200));
            if number.load(Ordering::Relaxed) < 4000 {
                let number = number.fetch_add(1, Ordering::Relaxed) + 1;
                std::io::Write::write_all(&mut &file, &state(number, 4096)).unwrap();
            }
        };
        while_changing(grow, || {
            for _ in 0..ROUNDS {
                way.run().expect(0);
                let stored = way.stored();
                let all = states(&stored);
                assert!((1..).zip(&all).all(|(expected, number)| expected == *number), "{}", all.len());
                assert_eq!(stored.len(), all.len() * 4096, "the end is none that it had");
            }
        });
    }
}

#[test]
fn a_file_that_is_rewritten_in_place_arrives_as_bytes_that_it_had_meanwhile() {
    let mut seen = [0, 0, 0];
    for way in ways() {
        fs::write(way.source(), state(1, LEN)).unwrap();
        let file = OpenOptions::new().write(true).open(way.source()).unwrap();
        let number = AtomicU64::new(1);
        let rewrite = || {
            let number = number.fetch_add(1, Ordering::Relaxed) + 1;
            file.write_all_at(&state(number, LEN), 0).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        };
        while_changing(rewrite, || {
            for _ in 0..ROUNDS {
                let before = (number.load(Ordering::Relaxed).saturating_sub(1), way.stored());
                let run = way.run();
                let (after, stored) = (number.load(Ordering::Relaxed) + 1, way.stored());
                if run.code != 0 {
                    assert!(
                        run.expect(23).errors().contains("not what the source holds"),
                        "{}",
                        run.errors()
                    );
                    assert!(stored == before.1, "{}", run.errors());
                    seen[2] += 1;
                    continue;
                }
                assert_eq!(stored.len(), LEN);
                let all = states(&stored);
                assert!(
                    all.iter().all(|state| (before.0..=after).contains(state)),
                    "{all:?} of {} to {after}",
                    before.0
                );
                seen[usize::from(all.len() > 1)] += 1;
            }
        });
        drop(File::open(way.source()).unwrap());
        way.run().expect(0);
        assert!(fs::read(way.source()).unwrap() == way.stored());
    }
    println!("of one state, of several, refused: {seen:?}");
}
