//! What a run says: events in, lines and an exit status out.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

use std::io::{self, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use sluice::cli::console::Outputs;
use sluice::cli::exit::Status;
use sluice::cli::report::{Listing, Reporter};
use sluice::cli::reporting::{Debug, Info, Reporting};
use sluice::cli::signalled::Signalled;
use sluice::engine::ledger::Ledger;
use sluice::event::{Change, Event, Item, LinkText, Meter, Note, Observer, Problem, Severity, Stats, Update};
use sluice::path::{Attrs, Kind, RelPath, Time};
use sluice::session::{Ended, Summary};
use sluice::sys::Errno;

/// A writer that the test can read, or that fails.
#[derive(Clone, Default)]
struct Page {
    text: Arc<Mutex<Vec<u8>>>,
    fails: Option<io::ErrorKind>,
}

impl Page {
    fn failing(kind: io::ErrorKind) -> Page {
        Page { fails: Some(kind), ..Page::default() }
    }

    fn read(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.read().lines().map(str::to_string).collect()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.fails {
            Some(kind) => Err(kind.into()),
            None => self.text.lock().unwrap().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reporter with everything it writes to.
struct Told {
    reporter: Reporter,
    meter: Arc<Meter>,
    stdout: Page,
    stderr: Page,
    log: Page,
}

impl Told {
    fn new(reporting: &Reporting) -> Told {
        Told::to(reporting, Page::default())
    }

    fn to(reporting: &Reporting, stdout: Page) -> Told {
        let (stderr, log, meter) = (Page::default(), Page::default(), Arc::new(Meter::default()));
        let outputs = Outputs {
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr.clone()),
            log: Some(Box::new(log.clone())),
            terminal: false,
        };
        let reporter = Reporter::new(reporting, Arc::clone(&meter), Signalled::default(), outputs);
        Told { reporter, meter, stdout, stderr, log }
    }

    fn run(&self, events: &[Event]) -> Status {
        self.reporter.start(Listing::Incremental);
        for event in events {
            self.reporter.event(event);
        }
        self.finish(None)
    }

    fn finish(&self, ended: Option<Status>) -> Status {
        self.finish_knowing(ended, None)
    }

    /// The end of a run that itself knows of a problem as bad as `worst`.
    fn finish_knowing(&self, ended: Option<Status>, worst: Option<Severity>) -> Status {
        let stats = Stats { total_size: 1_234_588, ..Stats::default() };
        let ledger = Ledger::default().snapshot();
        let summary = Summary { stats, ledger, worst, ended: Ended::Complete, traffic: None };
        self.reporter.finish(ended, &summary, Duration::from_secs(1))
    }

    /// The log's lines without the time and the process.
    fn logged(&self) -> Vec<String> {
        self.log.lines().iter().map(|line| line.split_once("] ").unwrap().1.to_string()).collect()
    }
}

fn verbosity(verbose: u8) -> Reporting {
    let (info, debug) = (Info::at_verbosity(verbose), Debug::at_verbosity(verbose));
    Reporting { verbose, stats: info.stats, info, debug, ..Reporting::default() }
}

fn itemizing() -> Reporting {
    Reporting { itemize: 1, out_format: Some(b"%i %n%L".to_vec()), ..Reporting::default() }
}

fn rel(path: &[u8]) -> RelPath {
    RelPath::parse(path).unwrap()
}

/// Attributes that are easy to recognise.
pub fn attrs(kind: Kind, size: u64) -> Attrs {
    let time = Time { sec: 1_767_323_045, nsec: 0 };
    Attrs {
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size,
        mtime: time,
        atime: time,
        dev: 1,
        ino: 1,
        nlink: 1,
        rdev: 0,
        allocated: 0,
    }
}

/// A new entry of `kind` at `path`.
pub fn new_item(path: &[u8], kind: Kind) -> Item {
    let update = if kind == Kind::File { Update::Received } else { Update::Created };
    Item {
        path: rel(path),
        source: [b"s/", path].concat(),
        attrs: attrs(kind, 1_234_567),
        change: Change { update, new: true, ..Change::NONE },
        link: None,
        moved: 1_234_567,
        digest: None,
    }
}

fn new(path: &[u8], kind: Kind) -> Event {
    Event::Item(new_item(path, kind))
}

/// The run that rsync 3.5.0 told in the lines of the tests below.
fn first_copy() -> Vec<Event> {
    let link = Item { link: Some(LinkText::Symlink(b"a.txt".to_vec())), ..new_item(b"lnk", Kind::Symlink) };
    vec![
        Event::Note(Note::CreatedDestination(b"d1".to_vec(), 0)),
        new(b"", Kind::Dir),
        new(b"bad\xffname", Kind::File),
        new(b"ctl\nnl", Kind::File),
        Event::Item(link),
        new(b"sub", Kind::Dir),
        Event::Deleted { path: rel(b"xd"), kind: Kind::Dir },
    ]
}

#[test]
fn a_first_copy_is_told_as_rsync_tells_it() {
    let told = Told::new(&verbosity(1));
    told.meter.bytes_done.store(2_469_134, Relaxed);
    assert_eq!(told.run(&first_copy()), Status::Success);
    let expected = [
        "sending incremental file list",
        "created directory d1",
        "./",
        "bad\\#377name",
        "ctl\\#012nl",
        "lnk -> a.txt",
        "sub/",
        "deleting xd/",
        "",
        "sent 2,469,134 bytes  received 0 bytes  2,469,134.00 bytes/sec",
        "total size is 1,234,588  speedup is 0.50",
    ];
    assert_eq!(told.stdout.lines(), expected);
    assert_eq!(told.stderr.read(), "");
}

#[test]
fn itemized_lines_stand_alone() {
    let told = Told::new(&itemizing());
    told.run(&first_copy());
    let expected = [
        "created directory d1",
        "cd+++++++++ ./",
        ">f+++++++++ bad\\#377name",
        ">f+++++++++ ctl\\#012nl",
        "cL+++++++++ lnk -> a.txt",
        "cd+++++++++ sub/",
        "*deleting   xd/",
    ];
    assert_eq!(told.stdout.lines(), expected);
}

#[test]
fn a_made_destination_is_told_only_where_the_list_has_more_than_one_entry() {
    let told = |typed: &[u8], entries: &[Event]| {
        let told = Told::new(&itemizing());
        let mut events = vec![Event::Note(Note::CreatedDestination(typed.to_vec(), 0))];
        events.extend_from_slice(entries);
        told.run(&events);
        told.stdout.lines()
    };
    let (made, root) = ("created directory d", "cd+++++++++ ./");
    let empty = [new(b"", Kind::Dir)];
    assert_eq!(told(b"d", &empty), [root]);
    assert_eq!(told(b"d/", &empty), [made, root]);
    assert_eq!(told(b"d", &[]), [""; 0]);
    let two = [new(b"", Kind::Dir), Event::Note(Note::NotCreated(rel(b"f"), Kind::File))];
    assert_eq!(told(b"d", &two), [made, root]);
    let problem = [new(b"", Kind::Dir), Event::Problem(Problem::os("open", b"s", Errno::EACCES))];
    assert_eq!(told(b"d", &problem), [root]);
}

#[test]
fn without_options_only_problems_and_omissions_are_told() {
    let told = Told::new(&Reporting::default());
    let mut events = first_copy();
    events.push(Event::Note(Note::SkippingNonRegular(rel(b"fifo"))));
    told.run(&events);
    assert_eq!(told.stdout.lines(), ["skipping non-regular file \"fifo\""]);
}

#[test]
fn quiet_silences_everything_but_problems() {
    let quiet = Reporting {
        quiet: true,
        stats: 2,
        info: Info { progress: 2, ..Info::all(2) },
        progress: true,
        ..itemizing()
    };
    let told = Told::new(&quiet);
    let mut events = first_copy();
    events.push(Event::Note(Note::SkippingDirectory(b"d".to_vec())));
    events.push(Event::Note(Note::DeletionsStopped(2)));
    events.push(Event::Problem(Problem::os("open", b"s/a\nb", Errno::EACCES)));
    assert_eq!(told.run(&events).code(), 23);
    assert_eq!(told.stdout.read(), "");
    let expected = [
        "Deletions stopped due to --max-delete limit (2 skipped)",
        "sluice: open \"s/a\\#012b\": Permission denied (os error 13)",
        "sluice error: some files/attrs were not transferred (see previous errors) (code 23)",
    ];
    assert_eq!(told.stderr.lines(), expected);
}

#[test]
fn the_worst_problem_decides_over_the_exit_status() {
    let problem = |severity| Event::Problem(Problem::text("test", b"x", "why").severity(severity));
    let status = |severities: &[Severity]| {
        let events: Vec<Event> = severities.iter().map(|s| problem(*s)).collect();
        Told::new(&Reporting::default()).run(&events).code()
    };
    assert_eq!(status(&[]), 0);
    assert_eq!(status(&[Severity::Vanished]), 24);
    assert_eq!(status(&[Severity::Vanished, Severity::Partial, Severity::Vanished]), 23);
    assert_eq!(status(&[Severity::FileIo, Severity::Partial]), 11);
    assert_eq!(status(&[Severity::FileSelection]), 3);
    assert_eq!(status(&[Severity::Refused]), 25);
}

#[test]
fn a_fatal_end_has_no_statistics() {
    let told = Told::new(&verbosity(1));
    let root = Problem::os("mkdir", b"/proc/xx", Errno::ENOENT).severity(Severity::FileIo);
    assert_eq!(told.run(&[Event::Problem(root)]).code(), 11);
    assert_eq!(told.stdout.lines(), ["sending incremental file list"]);
    assert_eq!(told.stderr.lines().last().unwrap(), "sluice error: error in file IO (code 11)");
    let told = Told::new(&verbosity(1));
    assert_eq!(told.finish(Some(Status::Signal)).code(), 20);
    assert_eq!(told.stdout.read(), "");
}

#[test]
fn a_problem_whose_line_was_not_seen_counts_for_the_status() {
    let told = Told::new(&verbosity(0));
    assert_eq!(told.finish_knowing(None, Some(Severity::Partial)).code(), 23);
    let last = "sluice error: some files/attrs were not transferred (see previous errors) (code 23)";
    assert_eq!(told.stderr.lines(), [last]);
}

#[test]
fn a_log_has_a_header_every_change_and_a_summary() {
    let told = Told::new(&Reporting::default());
    let mut events = first_copy();
    events.push(Event::Problem(Problem::os("open", b"s/a", Errno::EACCES)));
    told.run(&events);
    let expected = [
        "building file list",
        "cd+++++++++ ./",
        ">f+++++++++ bad\\#377name",
        ">f+++++++++ ctl\\#012nl",
        "cL+++++++++ lnk -> a.txt",
        "cd+++++++++ sub/",
        "*deleting   xd/",
        "sluice: open \"s/a\": Permission denied (os error 13)",
        "sent 0 bytes  received 0 bytes  total size 1234588",
        "sluice error: some files/attrs were not transferred (see previous errors) (code 23)",
    ];
    assert_eq!(told.logged(), expected);
    let pid = format!("[{}]", std::process::id());
    for line in told.log.lines() {
        let time = &line[..19];
        assert_eq!(&line[20..20 + pid.len()], pid);
        let mask: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(mask, "9999/99/99 99:99:99");
    }
}

#[test]
fn json_is_all_that_standard_output_gets() {
    let reporting = Reporting { json: true, stats: 2, ..verbosity(2) };
    let told = Told::new(&reporting);
    let mut events = first_copy();
    events.push(Event::Problem(Problem::os("open", b"s/a", Errno::EACCES)));
    let status = told.run(&events);
    let objects: Vec<serde_json::Value> =
        told.stdout.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<&str> = objects.iter().map(|o| o["type"].as_str().unwrap()).collect();
    let expected = ["start", "note", "item", "item", "item", "item", "item", "deleted", "problem", "summary"];
    assert_eq!(types, expected);
    assert!(objects.iter().all(|o| o["schema"] == 1));
    assert_eq!(objects[2]["path"], ".");
    assert_eq!((&objects[3]["update"], &objects[7]["kind"]), (&"received".into(), &"directory".into()));
    assert_eq!(objects[3]["path_bytes"], "626164ff6e616d65");
    assert_eq!(objects[3]["itemized"], ">f+++++++++");
    assert_eq!(objects[4]["path"], "ctl\nnl");
    assert_eq!(objects[5]["symlink"]["path"], "a.txt");
    assert_eq!(objects[8]["errno"], "EACCES");
    assert_eq!(objects[9]["exit_code"], status.code());
    assert_eq!(objects[9]["ledger"]["user_copied"], 0);
}

#[test]
fn json_tells_unchanged_entries_from_changed_attributes_and_from_a_listing() {
    let update = |reporting: &Reporting, change: Change, link: Option<LinkText>| {
        let told = Told::new(reporting);
        told.run(&[Event::Item(Item { change, link, ..new_item(b"f", Kind::File) })]);
        let object: serde_json::Value = serde_json::from_str(&told.stdout.lines()[1]).unwrap();
        object["update"].as_str().unwrap().to_owned()
    };
    let all = Reporting { json: true, itemize: 2, ..Reporting::default() };
    let linked = Change { update: Update::HardLink, ..Change::NONE };
    assert_eq!(update(&all, Change::NONE, None), "unchanged");
    assert_eq!(update(&all, Change { perms: true, ..Change::NONE }, None), "attributes");
    assert_eq!(update(&all, linked, None), "unchanged");
    assert_eq!(update(&all, linked, Some(LinkText::Hard(rel(b"g")))), "hard_link");
    let listing = Reporting { list_only: true, ..all };
    assert_eq!(update(&listing, Change::NONE, None), "listed");
}

#[test]
fn a_closed_pipe_ends_a_dry_run_quietly() {
    let dry = Reporting { dry_run: true, ..verbosity(1) };
    let told = Told::to(&dry, Page::failing(io::ErrorKind::BrokenPipe));
    let many = vec![new(b"a-name-of-some-length", Kind::File); 10_000];
    for event in &many {
        told.reporter.event(event);
    }
    assert!(told.meter.stopped());
    assert_eq!(told.finish(Some(Status::Signal)), Status::Success);
    assert_eq!(told.stderr.read(), "");
}

#[test]
fn a_closed_pipe_does_not_stop_a_transfer() {
    let told = Told::to(&verbosity(1), Page::failing(io::ErrorKind::BrokenPipe));
    let many = vec![new(b"a-name-of-some-length", Kind::File); 10_000];
    assert_eq!(told.run(&many), Status::Success);
    assert!(!told.meter.stopped());
}

#[test]
fn a_full_disk_under_the_output_is_told_once() {
    let told = Told::to(&verbosity(1), Page::failing(io::ErrorKind::StorageFull));
    assert_eq!(told.run(&first_copy()).code(), 13);
    let expected = [
        "sluice: write to standard output: no storage space",
        "sluice error: errors with program diagnostics (code 13)",
    ];
    assert_eq!(told.stderr.lines(), expected);
}

#[test]
fn progress_of_each_file_follows_its_name() {
    let reporting = Reporting {
        progress: true,
        info: Info { progress: 1, name: 1, flist: 2, ..Info::default() },
        ..Reporting::default()
    };
    let told = Told::new(&reporting);
    told.meter.total_entries.store(3, Relaxed);
    told.meter.checked.store(2, Relaxed);
    told.meter.total_known.store(true, Relaxed);
    told.run(&[new(b"", Kind::Dir), new(b"big", Kind::File)]);
    let lines = told.stdout.lines();
    assert_eq!(lines[..3], ["sending incremental file list", "./", "big"]);
    assert!(lines[3].starts_with("      1,234,567 100% "), "{}", lines[3]);
    assert!(lines[3].ends_with(" (xfr#1, to-chk=1/3)"), "{}", lines[3]);
    assert_eq!(lines.len(), 4);
}

#[test]
fn progress_of_the_run_ends_with_a_plain_line() {
    let reporting = Reporting { info: Info { progress: 2, ..Info::default() }, ..Reporting::default() };
    let told = Told::new(&reporting);
    told.meter.bytes_done.store(400, Relaxed);
    told.meter.bytes_unchanged.store(600, Relaxed);
    told.meter.total_bytes.store(400, Relaxed);
    told.meter.total_unchanged.store(600, Relaxed);
    told.meter.files_done.store(1, Relaxed);
    told.meter.total_known.store(true, Relaxed);
    told.run(&[new(b"big", Kind::File)]);
    let line = told.stdout.lines().pop().unwrap();
    assert!(line.starts_with("          1,000 100% "), "{line}");
    assert!(line.ends_with(" (xfr#1, to-chk=0/0)"), "{line}");
}

#[test]
fn a_listing_shows_entries_and_nothing_is_transferred() {
    let told = Told::new(&Reporting { list_only: true, ..itemizing() });
    let item = Item { change: Change::NONE, ..new_item(b"big.bin", Kind::File) };
    told.run(&[Event::Item(item)]);
    let lines = told.stdout.lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("-rw-r--r--      1,234,567 20"), "{}", lines[0]);
    assert!(lines[0].ends_with(" big.bin"), "{}", lines[0]);
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>().prop_map(|b| if b == 0 || b == b'/' { b'\n' } else { b }), 3..40)
}

proptest! {
    #[test]
    fn no_name_writes_a_control_character_anywhere(name in component(), text in component(), json: bool) {
        let told = Told::new(&Reporting { json, ..verbosity(3) });
        let link = Item { link: Some(LinkText::Symlink(text.clone())), ..new_item(&name, Kind::Symlink) };
        told.run(&[
            Event::Item(link),
            new(&name, Kind::File),
            Event::Deleted { path: rel(&name), kind: Kind::File },
            Event::Note(Note::UnsafeLink(rel(&name), text.clone())),
            Event::Note(Note::Hidden(rel(&name), true, text.clone())),
            Event::Problem(Problem::text("open", &name, String::from_utf8_lossy(&text))),
        ]);
        for page in [&told.stdout, &told.stderr, &told.log] {
            let text = page.read();
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{:?}", text);
        }
        prop_assert_eq!(told.stderr.lines().len(), 2);
    }
}
