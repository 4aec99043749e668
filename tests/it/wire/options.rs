//! A session's options as they travel in a request.

use std::time::{Duration, Instant};

use sluice::apply;
use sluice::engine::{self, Freeze, Holes, Reflink, Rung, ZeroCopy};
use sluice::path::RelPath;
use sluice::plan::filter::{Rules, RulesBuilder, Scope, Side};
use sluice::plan::{self, Delete, Links, chmod};
use sluice::session::compress::Compress;
use sluice::session::expand::Wild;
use sluice::session::files_from::There;
use sluice::session::lock::Lock;
use sluice::session::named::Named;
use sluice::session::watch::LogFile;
use sluice::session::{DeleteLimit, Options};
use sluice::wire::{WireError, decode_value, encode_value};

use super::memory::mutate;
use crate::random_cases::{Random, seeds};

fn rules() -> Rules {
    let mut builder = RulesBuilder::new();
    builder.filter(b": /.rsync-filter", &mut |_| Err(String::new())).unwrap();
    for rule in ["*.o", "/a/**/b[a-c]?", "dir/***", "+ kept/", "**x"] {
        builder.exclude(rule.as_bytes()).unwrap();
    }
    builder.cvs(Some(b"mine".to_vec()), None);
    builder.build(true)
}

fn options() -> Options {
    Options {
        sources: vec!["a b".into(), "-c".into()],
        dest: Some("d".into()),
        dry_run: true,
        copy_as: Some("nobody".into()),
        ignore_missing: true,
        delete_missing: true,
        insecure_links: true,
        confine_root: Some("/in".into()),
        relative: true,
        implied_dirs: false,
        mkpath: true,
        files_from: Some(vec![b"x/y".to_vec(), b"\xff".to_vec()]),
        names_there: Some(There { path: b"/list".to_vec(), from0: true }),
        wild: Wild::AsShell,
        jobs: 3,
        delete_limit: Some(DeleteLimit::Percent(7)),
        mount_check: true,
        lock: Lock::Wait,
        deadline: None,
        timeout: Some(std::time::Duration::from_secs(60)),
        named: Named::default(),
        compress: Some(Compress { level: -7, threads: 3, skip: None }),
        report_unchanged: true,
        count_ahead: true,
        record: None,
        only_batch: true,
        far: None,
        module: None,
        watch: None,
        log: Some(LogFile {
            path: "log".into(),
            format: Some(b"%n".to_vec()),
            unchanged: true,
            entries: false,
        }),
        filter: rules(),
        plan: plan::Options {
            recursive: true,
            links: Links { preserve: true, safe: true, ..Links::default() },
            modify_window: -1,
            one_file_system: 2,
            delete: Delete::Delay,
            max_size: Some(1 << 40),
            chmod: chmod::parse(b"Du=rwx,go=u,F644,a+X,o-t").unwrap(),
            ..plan::Options::default()
        },
        apply: apply::Options {
            verify: true,
            backup_dir: Some("old".into()),
            suffix: b"~".to_vec(),
            bwlimit: Some(1000),
            ..apply::Options::default()
        },
        engine: engine::Policy {
            reflink: Reflink::Never,
            zero_copy: ZeroCopy::Always,
            holes: Holes::Make,
            freeze: Freeze::Never,
            threads: 2,
            forced: Some(Rung::Splice),
        },
    }
}

#[test]
fn options_come_back_as_they_were() {
    let encoded = encode_value("Options", &options()).unwrap();
    let back: Options = decode_value("Options", &encoded).unwrap();
    assert_eq!(format!("{back:?}"), format!("{:?}", options()));
    let cut: Result<Options, _> = decode_value("Options", &encoded[..encoded.len() - 1]);
    assert!(matches!(cut, Err(WireError::Malformed { message: "Options", .. })));
}

#[test]
fn a_deadline_travels_as_the_time_that_is_left() {
    let deadline = Instant::now() + Duration::from_secs(1000);
    let sent = Options { deadline: Some(deadline), ..options() };
    let back: Options = decode_value("Options", &encode_value("Options", &sent).unwrap()).unwrap();
    let late = back.deadline.unwrap().duration_since(deadline);
    assert!(late < Duration::from_secs(100), "{late:?}");
    let passed = Options { deadline: Instant::now().checked_sub(Duration::from_secs(1)), ..options() };
    let back: Options = decode_value("Options", &encode_value("Options", &passed).unwrap()).unwrap();
    assert!(back.deadline.unwrap() <= Instant::now());
}

#[test]
fn options_of_a_peer_can_be_used_whatever_they_are() {
    let encoded = encode_value("Options", &options()).unwrap();
    let path = RelPath::parse(b"a/b/c.o").unwrap();
    for seed in seeds(3_000) {
        let mut bytes = encoded.clone();
        mutate(&mut bytes, &mut Random::new(seed));
        let Ok(options) = decode_value::<Options>("Options", &bytes) else { continue };
        let used = std::panic::catch_unwind(|| {
            for side in [Side::Sender, Side::Receiver] {
                let _either = Scope::root(&options.filter, side).check(path.as_bytes(), false).allowed;
            }
            chmod::apply(&options.plan.chmod, 0o644, false, 0o022)
        });
        let mode = used.unwrap_or_else(|_| panic!("SLUICE_TEST_SEED={seed} SLUICE_TEST_CASES=1"));
        assert!(mode <= 0o7777, "SLUICE_TEST_SEED={seed} SLUICE_TEST_CASES=1: {mode:o}");
    }
}
