//! Races against every option that makes names of its own: while sluice runs as root, a directory of one of
//! the trees keeps turning into another user's link to a directory outside. Nothing outside is read, written,
//! deleted or given other attributes.
//!
//! `SLUICE_TEST_SECONDS` is the time for each race.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::confine::while_flipping;
use crate::oracle::Manifest;
use crate::requirement::is_root;
use crate::under_test;

fn seconds() -> Duration {
    let asked = std::env::var("SLUICE_TEST_SECONDS").ok().and_then(|v| v.parse().ok());
    Duration::from_millis(asked.map_or(700, |seconds: u64| seconds * 1000))
}

/// A directory with files of the names that the trees have, read by nobody since 1990.
struct Outside {
    root: PathBuf,
    before: Manifest,
}

const LONG_AGO: i64 = 631_152_000;

impl Outside {
    fn new(root: &Path) -> Outside {
        fill(root, "secret");
        let outside = Outside { root: root.to_owned(), before: Manifest::exact(root) };
        outside.forget_reads();
        outside
    }

    fn forget_reads(&self) {
        for entry in walkdir::WalkDir::new(&self.root).contents_first(true) {
            let (read, kept) = (TimeSpec::new(LONG_AGO, 0), TimeSpec::UTIME_OMIT);
            let flags = UtimensatFlags::NoFollowSymlink;
            utimensat(nix::fcntl::AT_FDCWD, entry.unwrap().path(), &read, &kept, flags).unwrap();
        }
    }

    fn is_untouched(&self, what: &str) {
        // Before the manifest reads them itself.
        for (path, entry) in &self.before.0 {
            let path = self.root.join(std::ffi::OsStr::new(std::str::from_utf8(path).unwrap()));
            let now =
                fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{what}: {}: {e}", path.display()));
            assert_eq!(now.atime(), LONG_AGO, "{what}: {} was read ({entry})", path.display());
        }
        let after = Manifest::exact(&self.root);
        assert_eq!(after.difference(&self.before), "", "{what}: something outside was changed");
        self.forget_reads();
    }
}

/// `f0`… and `sub/g0`…, with other attributes for each kind of content.
fn fill(root: &Path, content: &str) {
    fs::create_dir_all(root.join("sub")).unwrap();
    for i in 0..20 {
        for name in [format!("f{i}"), format!("sub/g{i}")] {
            fs::write(root.join(&name), content).unwrap();
            let time = UNIX_EPOCH + Duration::from_secs(1_600_000_000 + content.len() as u64);
            fs::File::open(root.join(&name)).unwrap().set_modified(time).unwrap();
        }
    }
}

/// Runs `options` again and again on new trees, of which `name` is being exchanged with a link to the outside.
fn race(options: &[&str], name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let outside = Outside::new(&dir.path().join("outside"));
    let end = Instant::now() + seconds();
    let mut runs = 0;
    while Instant::now() < end || runs == 0 {
        let at = dir.path().join(format!("run{runs}"));
        fill(&at.join("src/dir"), "public");
        fill(&at.join("dst/dir"), "older file");
        fs::write(at.join("dst/dir/surplus"), "s").unwrap();
        fill(&at.join("dst/dir/gone"), "surplus");
        fill(&at.join("dst/tmp"), "t");
        fs::create_dir_all(at.join("dst/bak/dir")).unwrap();
        let link = at.join("link");
        symlink(&outside.root, &link).unwrap();
        if is_root() {
            lchown(&link, Some(65_534), Some(65_534)).unwrap();
        }
        while_flipping(&at.join(name), &link, || {
            under_test::run(&at, options.iter().copied().chain(["src/", "dst/"]));
        });
        let what = format!("{options:?} with {name}, run {runs}");
        outside.is_untouched(&what);
        for tree in ["dst", "src"] {
            for file in walkdir::WalkDir::new(at.join(tree)).into_iter().map(Result::unwrap) {
                let secret = file.file_type().is_file() && fs::read(file.path()).unwrap() == b"secret";
                assert!(!secret, "{what}: {} came from outside", file.path().display());
            }
        }
        fs::remove_dir_all(&at).unwrap();
        runs += 1;
    }
    println!("{runs} runs");
}

macro_rules! races {
    ($($test:ident: $options:expr, $name:expr;)*) => { $(
        #[test]
        fn $test() {
            race($options, $name);
        }
    )* };
}

races! {
    deleting: &["-a", "--delete"], "dst/dir";
    deleting_before: &["-a", "--delete-before"], "dst/dir/gone";
    deleting_after: &["-a", "--delete-after"], "dst/dir";
    deleting_below: &["-a", "--delete"], "dst/dir/gone/sub";
    keeping_dirlinks: &["-aK", "--delete"], "dst/dir";
    backing_up_beside: &["-ab", "--delete"], "dst/dir";
    backing_up_elsewhere: &["-ab", "--delete", "--exclude=/bak", "--backup-dir=bak"], "dst/bak";
    backing_up_below: &["-ab", "--delete", "--exclude=/bak", "--backup-dir=bak"], "dst/bak/dir";
    temp_files_elsewhere: &["-a", "--temp-dir=tmp"], "dst/tmp";
    in_place: &["-a", "--inplace"], "dst/dir";
    in_place_with_backups: &["-ab", "--inplace"], "dst/dir/sub";
    attributes_only: &["-a", "--size-only", "--chmod=F600,D700"], "dst/dir";
    hard_links: &["-aH"], "dst/dir/sub";
    removing_sources: &["-a", "--remove-source-files"], "src/dir";
    removing_sources_below: &["-a", "--remove-source-files", "--ignore-times"], "src/dir/sub";
    comparing_contents: &["-ac"], "src/dir";
    verifying: &["-a", "--verify", "--ignore-times"], "src/dir/sub";
    source_files: &["-a", "--ignore-times"], "src/dir/f3";
    source_files_compared: &["-ac"], "dst/dir/f3";
    merging_filters: &["-aF", "--delete"], "src/dir";
}
