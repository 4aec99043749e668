//! Operands and directories of options that cannot be used: refused before anything is touched, with
//! what to do about it.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;

use crate::requirement::{Need, met};
use crate::under_test::{is_sluice, run};

/// `src/` with a file, `out/` outside of every destination.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("src/a")).unwrap();
    fs::write(dir.path().join("src/a/f"), "content").unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    dir
}

/// Runs, and expects exit status `code`, a message with all of `parts`, and nothing in `out/` and no `d`.
#[track_caller]
fn refused(dir: &Path, args: &str, code: i32, parts: &[&str]) {
    let run = run(dir, args.split(' '));
    run.expect(code);
    for part in parts.iter().filter(|_| is_sluice()) {
        assert!(run.errors().contains(part), "{part:?} is missing in: {}", run.errors());
    }
    assert_eq!(fs::read_dir(dir.join("out")).unwrap().count(), 0, "something was written outside");
    assert!(!dir.join("d").exists() || !is_sluice(), "the destination was made");
}

#[test]
fn a_destination_link_that_leads_nowhere_is_not_followed() {
    let dir = place();
    let at = dir.path();
    symlink("nowhere", at.join("link")).unwrap();
    let why = ["\"link\"", "leads nowhere", "make the directory that it leads to"];
    refused(at, "-a src/ link", 11, &why);
    refused(at, "-a src/ link/", 11, &why);
    refused(at, "-a src/a/f link/", 11, &why);
    refused(at, "-a --mkpath src/ link/deeper", 11, &why);
    if is_sluice() {
        refused(at, "-an src/ link", 11, &why);
    }
    assert!(!at.join("nowhere").exists());
    assert_eq!(fs::read_link(at.join("link")).unwrap(), Path::new("nowhere"));
}

#[test]
fn a_file_takes_the_place_of_a_link_that_leads_nowhere() {
    let dir = place();
    symlink("nowhere", dir.path().join("link")).unwrap();
    run(dir.path(), ["-a", "src/a/f", "link"]).expect(0);
    assert_eq!(fs::read_to_string(dir.path().join("link")).unwrap(), "content");
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn a_missing_temp_dir_is_refused_before_the_destination_is_made() {
    let dir = place();
    let at = dir.path();
    let missing = format!("-a --temp-dir={}/none src/ d", at.display());
    refused(at, &missing, 1, &["--temp-dir", "/none\"", "make it first"]);
    refused(at, &missing.replace("-a ", "-an "), 1, &["--temp-dir"]);
    refused(at, "-a --temp-dir=none src/ d", 1, &["--temp-dir \"d/none\""]);
    refused(at, "-a --temp-dir=/dev/null src/ d", 1, &["Not a directory"]);
    refused(at, "-a --temp-dir=none src/a/f out/copy", 1, &["--temp-dir \"out/none\""]);
}

#[test]
fn directories_of_options_are_beside_a_destination_that_is_a_file() {
    let dir = place();
    let at = dir.path();
    fs::create_dir(at.join("out/tmp")).unwrap();
    fs::write(at.join("out/copy"), "old").unwrap();
    run(at, ["-a", "-b", "--backup-dir=old", "--temp-dir=tmp", "src/a/f", "out/copy"]).expect(0);
    assert_eq!(fs::read_to_string(at.join("out/copy")).unwrap(), "content");
    assert_eq!(fs::read_to_string(at.join("out/old/copy")).unwrap(), "old");
    assert!(!at.join("old").exists());
}

#[test]
fn a_destination_below_a_file_or_below_nothing_is_refused() {
    let dir = place();
    let at = dir.path();
    fs::write(at.join("file"), "").unwrap();
    refused(at, "-a src/ file/x", 3, &["\"file\"", "Not a directory"]);
    refused(at, "-a src/ d/x", 11, &["\"d/x\"", "--mkpath"]);
    refused(at, "-a src/a/f d/x", 3, &["\"d/x\"", "--mkpath"]);
}

#[test]
fn a_dry_run_counts_the_directories_that_mkpath_would_make() {
    if !is_sluice() {
        return; // rsync mentions them twice
    }
    let dir = place();
    let told = |args: &[&str]| run(dir.path(), args).expect(0).text().lines().next().unwrap().to_owned();
    let expected = "created 3 directories for d/e/f";
    assert_eq!(told(&["-ain", "--mkpath", "src/", "d/e/f"]), expected);
    assert!(!dir.path().join("d").exists());
    assert_eq!(told(&["-ai", "--mkpath", "src/", "d/e/f"]), expected);
}

#[test]
fn a_link_of_another_user_is_refused_with_the_reason() {
    // Only root can make a link that belongs to somebody else; rsync follows it.
    if !met(&[Need::Root]) || !is_sluice() {
        return;
    }
    let dir = place();
    let at = dir.path();
    symlink("src", at.join("link")).unwrap();
    lchown(at.join("link"), Some(12_345), None).unwrap();
    let why = ["belongs to neither root nor you", "chown -h"];
    refused(at, "-a link/ d", 11, &why);
    refused(at, "-a src/ link/x", 3, &why);
    refused(at, "-a --exclude-from=link/a/f src/ d", 11, &why);
    refused(at, &format!("-a --temp-dir={}/link src/ d", at.display()), 1, &why);
    lchown(at.join("link"), Some(0), None).unwrap();
    run(at, ["-a", "link/", "d"]).expect(0);
}

#[test]
fn a_kept_link_that_leads_out_of_the_destination_is_not_used_and_told() {
    let dir = place();
    let at = dir.path();
    fs::create_dir(at.join("dest")).unwrap();
    symlink("../out", at.join("dest/a")).unwrap();
    let why = ["\"dest/a\"", "leads out of the destination", "--keep-dirlinks"];
    refused(at, "-aK src/ dest", 23, &why);
    assert_eq!(fs::read_link(at.join("dest/a")).unwrap(), Path::new("../out"));
}

#[test]
fn a_directory_of_one_source_and_a_followed_link_to_one_in_another_become_one_directory() {
    let dir = place();
    let at = dir.path();
    for made in ["one/d", "two", "apart"] {
        fs::create_dir_all(at.join(made)).unwrap();
    }
    fs::write(at.join("one/d/mine"), "mine").unwrap();
    fs::write(at.join("apart/theirs"), "theirs").unwrap();
    symlink("../apart", at.join("two/d")).unwrap();
    for (order, dest) in [(["one/", "two/"], "forth"), (["two/", "one/"], "back")] {
        run(at, ["-rL", order[0], order[1], dest]).expect(0);
        assert_eq!(fs::read_to_string(at.join(dest).join("d/mine")).unwrap(), "mine", "{order:?}");
        assert_eq!(fs::read_to_string(at.join(dest).join("d/theirs")).unwrap(), "theirs", "{order:?}");
    }
}

#[test]
fn a_name_in_a_list_that_a_rule_leaves_out_is_still_on_the_way_to_others() {
    let dir = place();
    let at = dir.path();
    fs::create_dir(at.join("src/a/deep")).unwrap();
    fs::write(at.join("src/a/deep/g"), "g").unwrap();
    for (names, dest) in [("./a/deep\na/deep/g\n", "forth"), ("a/deep/g\n./a/deep\n", "back")] {
        fs::write(at.join("names"), names).unwrap();
        run(at, ["-a", "--exclude=**/deep", "--files-from=names", "src/", dest]).expect(0);
        assert_eq!(fs::read_to_string(at.join(dest).join("a/deep/g")).unwrap(), "g", "{names:?}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_left_out_by_a_rule_about_directories_too() {
    let dir = place();
    let at = dir.path();
    symlink("/nowhere", at.join("src/sub")).unwrap();
    for link in ["-L", "--copy-unsafe-links"] {
        let told = run(at, ["-a", link, "src/", "told"]);
        assert!(told.expect(23).errors().contains("symlink has no referent"), "{}", told.errors());
        fs::create_dir(at.join("dst")).unwrap();
        fs::write(at.join("dst/surplus"), "").unwrap();
        let left_out = run(at, ["-a", link, "--delete", "--exclude=sub/", "src/", "dst"]);
        assert_eq!(left_out.expect(0).errors(), "");
        assert!(at.join("dst/a/f").exists() && !at.join("dst/surplus").exists());
        fs::remove_dir_all(at.join("dst")).unwrap();
    }
}
