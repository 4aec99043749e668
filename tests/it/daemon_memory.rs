//! What a daemon's child takes of memory, by the number of entries. Many more, as it was measured:
//! `SLUICE_TEST_ENTRIES=1000000 cargo test --release --test it daemon_memory -- --nocapture`

use std::fs::{self, File};
use std::path::Path;

use crate::hostile::memory_of_children;
use crate::requirement::is_root;
use crate::served::Served;
use crate::under_test::is_sluice;

/// KiB: 50 MiB, whatever the number of entries.
const MOST: u64 = 50 << 10;

/// Entries in each directory.
const WIDTH: usize = 500;

fn entries() -> usize {
    std::env::var("SLUICE_TEST_ENTRIES").map_or(60_000, |text| text.parse().unwrap())
}

#[test]
fn the_memory_of_a_daemon_s_child_does_not_grow_with_the_tree() {
    if !is_sluice() {
        return;
    }
    let own = if is_root() { "uid = root\ngid = root\n" } else { "" };
    let modules = format!("use chroot = no\n{own}[m]\npath = @/mod\nread only = no\n");
    let served = Served::new(&modules, |at: &Path| {
        fs::create_dir(at.join("mod")).unwrap();
        for dir in 0..entries() / WIDTH {
            let dir = at.join(format!("src/{:03}/{:04}", dir % 40, dir / 40));
            fs::create_dir_all(&dir).unwrap();
            (0..WIDTH)
                .for_each(|n| drop(File::create(dir.join(format!("a file of some name {n}"))).unwrap()));
        }
    });
    let measured = |what: &str, args: &[&str]| {
        let memory = memory_of_children(&served, || drop(served.run(args).expect(0).text()));
        println!("{what}, {} entries: {:.1} MiB", entries(), memory as f64 / 1024.0);
        assert!(memory > 0 && memory <= MOST, "{what}: {memory} KiB");
    };
    measured("push", &["-a", "src/", "localhost::m/"]);
    measured("push of nothing new", &["-ai", "--delete-before", "src/", "localhost::m/"]);
    measured("pull", &["-a", "localhost::m/", "back/"]);
    measured("pull of nothing new", &["-aiH", "--delete", "localhost::m/", "back/"]);
}
