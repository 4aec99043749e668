//! Which entries get a line, and which line: `-v`, `-i`, `--out-format` and the log, by one rule.

use crate::event::{Change, Item, LinkText, Update};
use crate::path::Kind;

use super::clock::Clock;
use super::format::{Format, ITEMIZED, NAME, Subject, short_name};
use super::reporting::Reporting;

/// Decides over the lines of entries for one place where they are written.
#[derive(Clone, Debug)]
pub struct EntryLines {
    format: Format,
    /// The same, for what is deleted.
    gone: Format,
    /// The format was asked for: entries are named whatever the level of names.
    formatted: bool,
    /// What is shown itemizes, and so every difference has a line: in the log too, whatever its format.
    itemizes: bool,
    /// Unchanged entries have lines too (`-ii`, `-vv`).
    unchanged: bool,
    /// The level of names in words: 1 changed, 2 the rest.
    names: u8,
    /// Deletions have lines.
    deletions: bool,
}

impl EntryLines {
    /// Lines on standard output.
    #[must_use]
    pub fn on_output(reporting: &Reporting) -> EntryLines {
        let Reporting { info, itemize, out_format, .. } = reporting;
        EntryLines {
            format: of_items(out_format.as_deref().unwrap_or(NAME), reporting),
            gone: Format::parse(out_format.as_deref().unwrap_or(NAME)),
            formatted: out_format.is_some(),
            itemizes: out_format.as_ref().is_some_and(|format| Format::parse(format).has(b'i')),
            unchanged: *itemize >= 2 || info.name >= 2,
            names: info.name,
            deletions: info.del >= 1 || info.name >= 1 || out_format.is_some(),
        }
    }

    /// Lines in the log: itemized unless `--log-file-format` says otherwise; where that is empty, deletions only.
    #[must_use]
    pub fn in_log(reporting: &Reporting) -> EntryLines {
        let format = reporting.log_file_format.as_deref().unwrap_or(ITEMIZED);
        let silent = format.is_empty();
        EntryLines {
            format: of_items(format, reporting),
            gone: Format::parse(format),
            formatted: !silent,
            names: if silent { 0 } else { reporting.info.name },
            deletions: true,
            ..EntryLines::on_output(reporting)
        }
    }

    /// The line for an entry of the transfer, if it gets one; raw bytes.
    ///
    /// A format that itemizes mentions every difference. Without, a plain list of names mentions what was
    /// transferred, made or linked, and directories with any difference; files whose attributes alone
    /// differ come with the second level of names, which also says what is up to date.
    #[must_use]
    pub fn updated(&self, item: &Item, clock: &Clock) -> Option<Vec<u8>> {
        let subject = Subject::Item(item);
        let formatted = || Some(self.format.render(subject, clock));
        let itemizes = self.itemizes;
        let is_dir = item.attrs.kind == Kind::Dir;
        if is_unchanged(item) {
            return match itemizes {
                true if self.unchanged => formatted(),
                false if self.names >= 2 && (!is_dir || item.change.update == Update::Created) => {
                    Some(named(b"", subject, b" is uptodate"))
                }
                _ => None,
            };
        }
        let significant = item.change.update != Update::Attributes || is_dir;
        if itemizes || (significant && (self.formatted || self.names >= 1)) {
            return formatted();
        }
        (self.names >= 2).then(|| named(b"", subject, b""))
    }

    /// The line for a deleted entry, if it gets one; raw bytes.
    ///
    /// It is formatted only where the format tells a deletion from an update, and said in words elsewhere.
    #[must_use]
    pub fn deleted(&self, subject: Subject<'_>, clock: &Clock) -> Option<Vec<u8>> {
        self.deletions.then(|| deletion(&self.gone, subject, clock))
    }

    /// Whether unchanged entries are of interest.
    #[must_use]
    pub fn tells_unchanged(&self) -> bool {
        self.unchanged
    }
}

/// The format of what is transferred: with the sources on another machine, `%o` is what this side does.
fn of_items(format: &[u8], reporting: &Reporting) -> Format {
    let operation: &[(u8, &[u8])] = if reporting.receiving { &[(b'o', b"recv")] } else { &[] };
    Format::parse_with(format, operation)
}

/// The line for a deletion: in a format that says what is done, or with words.
#[must_use]
pub fn deletion(format: &Format, subject: Subject<'_>, clock: &Clock) -> Vec<u8> {
    if format.has(b'i') || format.has(b'o') {
        format.render(subject, clock)
    } else {
        named(b"deleting ", subject, b"")
    }
}

/// Whether nothing differs; a hard link that is one already is unchanged too, one that is made is not. What is
/// made just as a basis directory has it is unchanged.
#[must_use]
pub fn is_unchanged(item: &Item) -> bool {
    if matches!(item.link, Some(LinkText::Hard(_))) {
        return false;
    }
    let update = match item.change.update {
        Update::HardLink | Update::Created => Update::Attributes,
        other => other,
    };
    Change { update, ..item.change }.is_none()
}

fn named(before: &[u8], subject: Subject<'_>, after: &[u8]) -> Vec<u8> {
    let mut line = before.to_vec();
    short_name(&mut line, subject);
    line.extend_from_slice(after);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::reporting::{Debug, Info};
    use crate::cli::sample;
    use crate::event::LinkText;
    use crate::path::RelPath;

    fn reporting(verbose: u8, itemize: u8, format: Option<&str>) -> Reporting {
        let itemized = (itemize > 0).then_some(ITEMIZED);
        Reporting {
            verbose,
            itemize,
            info: Info::at_verbosity(verbose),
            debug: Debug::at_verbosity(verbose),
            out_format: format.map(str::as_bytes).or(itemized).map(<[u8]>::to_vec),
            ..Reporting::default()
        }
    }

    /// The entries of a run of rsync 3.5.0 that was repeated with the options below.
    fn entries() -> Vec<Item> {
        let change = |update, time, perms| Change { update, time, perms, ..Change::NONE };
        let text = Change { content: true, ..change(Update::Created, false, false) };
        vec![
            sample::item("", Kind::Dir, Change::NONE),
            sample::item("f1", Kind::File, change(Update::Attributes, false, true)),
            sample::item("f2", Kind::File, Change::NONE),
            sample::item("f3", Kind::File, change(Update::Received, true, false)),
            Item {
                link: Some(LinkText::Symlink(b"f1".to_vec())),
                ..sample::item("l1", Kind::Symlink, change(Update::Attributes, true, false))
            },
            Item { link: Some(LinkText::Symlink(b"f2".to_vec())), ..sample::item("l2", Kind::Symlink, text) },
            sample::item("p", Kind::Fifo, change(Update::Attributes, false, true)),
            sample::item("d1", Kind::Dir, change(Update::Attributes, false, true)),
            Item {
                link: Some(LinkText::Hard(RelPath::parse(b"f3").unwrap())),
                ..sample::item("f4", Kind::File, change(Update::HardLink, true, false))
            },
            sample::item("f5", Kind::File, change(Update::HardLink, false, false)),
        ]
    }

    fn lines(lines: &EntryLines) -> Vec<String> {
        let clock = Clock::utc();
        let shown = entries().iter().filter_map(|item| lines.updated(item, &clock)).collect::<Vec<_>>();
        shown.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn without_options_no_entry_is_named() {
        assert!(lines(&EntryLines::on_output(&reporting(0, 0, None))).is_empty());
    }

    #[test]
    fn v_names_what_was_updated() {
        let shown = lines(&EntryLines::on_output(&reporting(1, 0, None)));
        assert_eq!(shown, ["f3", "l2 -> f2", "d1/", "f4 => f3"]);
    }

    #[test]
    fn second_v_names_attributes_and_what_is_up_to_date() {
        let shown = lines(&EntryLines::on_output(&reporting(2, 0, None)));
        let expected =
            ["f1", "f2 is uptodate", "f3", "l1", "l2 -> f2", "p", "d1/", "f4 => f3", "f5 is uptodate"];
        assert_eq!(shown, expected);
    }

    const CHANGES: [&str; 7] = [
        ".f...p..... f1",
        ">f..t...... f3",
        ".L..t...... l1 -> f1",
        "cLc........ l2 -> f2",
        ".S...p..... p",
        ".d...p..... d1/",
        "hf..t...... f4 => f3",
    ];

    #[test]
    fn itemizing_shows_every_difference() {
        assert_eq!(lines(&EntryLines::on_output(&reporting(0, 1, None))), CHANGES);
        assert_eq!(lines(&EntryLines::on_output(&reporting(1, 1, None))), CHANGES);
        assert_eq!(lines(&EntryLines::in_log(&reporting(0, 1, None))), CHANGES);
    }

    #[test]
    fn a_log_tells_of_attributes_alone_only_beside_an_output_that_itemizes() {
        let significant = [CHANGES[1], CHANGES[3], CHANGES[5], CHANGES[6]];
        assert_eq!(lines(&EntryLines::in_log(&reporting(0, 0, None))), significant);
        assert_eq!(lines(&EntryLines::in_log(&reporting(1, 0, Some("%n")))), significant);
        assert_eq!(lines(&EntryLines::in_log(&reporting(0, 0, Some("%i")))), CHANGES);
    }

    #[test]
    fn itemizing_twice_or_with_second_v_shows_unchanged_entries() {
        for reporting in [reporting(0, 2, None), reporting(2, 1, None)] {
            let shown = lines(&EntryLines::on_output(&reporting));
            assert_eq!(shown.len(), entries().len());
            assert_eq!((&*shown[0], &*shown[2]), (".d          ./", ".f          f2"));
            assert_eq!(shown[9], "hf          f5");
        }
    }

    #[test]
    fn a_format_without_itemizing_shows_what_was_updated() {
        let expected = ["f3", "l2", "d1/", "f4"];
        assert_eq!(lines(&EntryLines::on_output(&reporting(0, 0, Some("%n")))), expected);
        assert_eq!(lines(&EntryLines::on_output(&reporting(1, 0, Some("%n")))), expected);
        assert_eq!(lines(&EntryLines::on_output(&reporting(0, 1, Some("%n")))), expected);
    }

    #[test]
    fn an_empty_log_format_keeps_all_but_deletions_out_of_the_log() {
        let silent = Reporting { log_file_format: Some(Vec::new()), ..reporting(2, 0, None) };
        assert!(lines(&EntryLines::in_log(&silent)).is_empty());
        let path = RelPath::parse(b"gone").unwrap();
        let gone = Subject::Deleted(&path, Kind::File);
        let line = EntryLines::in_log(&silent).deleted(gone, &Clock::utc());
        assert_eq!(line.unwrap(), b"deleting gone");
    }

    #[test]
    fn deletions_are_itemized_formatted_or_said() {
        let path = RelPath::parse(b"xd").unwrap();
        let line = |reporting: &Reporting| {
            let gone = Subject::Deleted(&path, Kind::Dir);
            let line = EntryLines::on_output(reporting).deleted(gone, &Clock::utc());
            line.map(|line| String::from_utf8(line).unwrap())
        };
        assert_eq!(line(&reporting(0, 0, None)), None);
        assert_eq!(line(&reporting(1, 0, None)).unwrap(), "deleting xd/");
        assert_eq!(line(&reporting(1, 1, None)).unwrap(), "*deleting   xd/");
        assert_eq!(line(&reporting(0, 0, Some("%n"))).unwrap(), "deleting xd/");
        assert_eq!(line(&reporting(0, 0, Some("%o %n"))).unwrap(), "del. xd/");
    }
}
