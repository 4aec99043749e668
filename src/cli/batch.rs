//! `--write-batch`, `--only-write-batch`, `--read-batch`: what is typed around a batch.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::Instant;

use super::flag::{Flag, Sign};
use super::report::Reporter;
use super::resolve::Run;
use super::typed::Typed;
use super::{UsageError, complain, remote};
use crate::engine::{Ledger, Reflink, ZeroCopy, stream};
use crate::event::Meter;
use crate::path::{Kind, dir, escape, operand, temp};
use crate::plan::filter::Rules;
use crate::session::tape::{self, Wanted};

/// What is read at once of a batch that comes from a pipe, in bytes.
const PIECE: usize = 1 << 20;

/// An option as it was typed.
#[derive(Clone)]
pub struct Word {
    /// Which.
    pub flag: &'static Flag,
    /// `--x`, and not `--no-x`.
    pub on: bool,
    /// Its value, if it takes one.
    pub value: OsString,
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", self.flag.id(), self.on, self.value)
    }
}

/// What was typed about batches.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `--write-batch`, `--only-write-batch`: the last one.
    pub write: Option<OsString>,
    /// It was the latter.
    pub only: bool,
    /// `--read-batch`.
    pub read: Option<OsString>,
    /// All options in order, where a batch is to be written.
    pub words: Vec<Word>,
}

/// Options that say nothing where the batch is read: about the way between two machines, what is picked from the
/// sources, and rules, which stand at the script's end. By their ids.
const DROPPED: &[&str] = &[
    "files-from",
    "from0",
    "filter",
    "F",
    "exclude",
    "include",
    "exclude-from",
    "include-from",
    "cvs-exclude",
    "remove-source-files",
    "rsh",
    "rsync-path",
    "password-file",
    "no-motd",
    "contimeout",
    "timeout",
    "sockopts",
    "address",
    "port",
    "ipv4",
    "ipv6",
    "retry",
    "compress",
    "compress-choice",
    "compress-level",
    "compress-threads",
    "skip-compress",
    "freeze",
    "remote-option",
    "old-args",
    "secluded-args",
    "blocking-io",
];

/// Options about batches that exclude each other, or others.
///
/// # Errors
///
/// Two of them: exit 1.
pub fn refuse_contradictions(typed: &Typed) -> Result<(), UsageError> {
    let Asked { write, only, read, .. } = &typed.batch;
    // What goes by a batch goes from the source into that, and from there on: small files in messages.
    let demands = match (typed.engine.reflink, typed.engine.zero_copy) {
        (Reflink::Always, _) => Some("--reflink=always"),
        (_, ZeroCopy::Always) => Some("--zero-copy=always"),
        _ => None,
    };
    let ours = match (write, read) {
        (Some(_), None) if *only => "--only-write-batch",
        (Some(_), None) => "--write-batch",
        (_, Some(_)) => "--read-batch",
        (None, None) => return Ok(()),
    };
    if let Some(demand) = demands {
        return Err(UsageError::new(format!("{ours} cannot be used with {demand}")));
    }
    if read.is_none() {
        return Ok(());
    }
    let other = match () {
        () if write.is_some() && *only => "--only-write-batch",
        () if write.is_some() => "--write-batch",
        () if typed.files_from.is_some() => "--files-from",
        () if typed.apply.remove_source_files => "--remove-source-files",
        () => return Ok(()),
    };
    Err(UsageError::new(format!("--read-batch cannot be used with {other}")))
}

/// What is to be recorded, if anything is: nothing, where nothing is transferred. `here`: both sides are on this
/// machine, where `-M` is about the destination, as it is when the batch is read.
///
/// # Errors
///
/// A rule that cannot stand in the script: exit 1.
pub fn wanted(
    typed: &Typed,
    dest: Option<&OsStr>,
    rules: &Rules,
    here: bool,
) -> Result<Option<Wanted>, UsageError> {
    let (Some(file), Some(dest)) = (&typed.batch.write, dest) else { return Ok(None) };
    if typed.reporting.dry_run {
        return Ok(None);
    }
    let script = script(file, &typed.batch.words, dest, rules, here)?;
    Ok(Some(Wanted { file: file.clone(), script }))
}

/// `FILE.sh`: a command that repeats the update, of the destination that it is given, or else of the same.
fn script(
    file: &OsStr,
    words: &[Word],
    dest: &OsStr,
    rules: &Rules,
    here: bool,
) -> Result<Vec<u8>, UsageError> {
    let lines = rules.written().ok_or_else(|| {
        UsageError::new("a filter rule with a line's end in it cannot be kept with --write-batch")
    })?;
    let program = std::env::args_os().next().unwrap_or_else(|| "sluice".into());
    let mut out = b"#!/bin/sh\ndest=".to_vec();
    quote(&mut out, dest.as_bytes());
    out.extend_from_slice(b"\nexec ");
    quote(&mut out, program.as_bytes());
    if !lines.is_empty() {
        out.extend_from_slice(b" --filter='. -'");
    }
    let ours = |id: &str| matches!(id, "write-batch" | "only-write-batch");
    let last = words.iter().rposition(|word| ours(&word.flag.id()));
    for (at, word) in words.iter().enumerate() {
        let id = word.flag.id();
        if Some(at) == last {
            out.extend_from_slice(b" --read-batch=");
            quote(&mut out, file.as_bytes());
        } else if !ours(&id) && (!DROPPED.contains(&&*id) || here && id == "remote-option") {
            spell(&mut out, word);
        }
    }
    out.extend_from_slice(b" -- \"${1:-$dest}\"");
    if !lines.is_empty() {
        out.extend_from_slice(b" <<'#E#'\n");
        for line in lines {
            out.extend_from_slice(&line);
            out.push(b'\n');
        }
        out.extend_from_slice(b"#E#");
    }
    out.push(b'\n');
    Ok(out)
}

fn spell(out: &mut Vec<u8>, Word { flag, on, value }: &Word) {
    out.push(b' ');
    let negative = || flag.negative_words().into_iter().next().unwrap_or_default();
    match (flag.long, flag.short) {
        _ if !on && flag.sign != Sign::Plain => out.extend_from_slice(format!("--{}", negative()).as_bytes()),
        (Some(long), _) => out.extend_from_slice(format!("--{long}").as_bytes()),
        (None, short) => out.extend_from_slice(format!("-{}", short.unwrap_or_default()).as_bytes()),
    }
    if *on && flag.value.is_some() {
        if flag.long.is_some() {
            out.push(b'=');
        }
        quote(out, value.as_bytes());
    }
}

/// Adds a word as a shell reads it.
fn quote(out: &mut Vec<u8>, word: &[u8]) {
    out.push(b'\'');
    for byte in word {
        if *byte == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(*byte);
        }
    }
    out.push(b'\'');
}

/// Updates the destination from the batch `file`.
pub fn read(run: &Run, file: &OsStr, meter: &Meter, reporter: &Reporter, began: Instant) -> ExitCode {
    let batch = match open(file, meter) {
        Ok(batch) => batch,
        Err(message) => {
            complain(&message);
            return ExitCode::from(super::exit::Status::FileIo.code());
        }
    };
    end(tape::read(&run.options, batch, file, meter, reporter), reporter, began)
}

/// Runs a transfer on this machine that is recorded.
pub fn write(run: &Run, meter: &Meter, reporter: &Reporter, began: Instant) -> ExitCode {
    end(tape::local(&run.options, meter, reporter), reporter, began)
}

fn end(
    result: Result<crate::session::Summary, crate::session::frames::LinkError>,
    reporter: &Reporter,
    began: Instant,
) -> ExitCode {
    match result {
        Ok(summary) => remote::finish(reporter, &summary, began),
        Err(e) => {
            let lost = remote::lost(&e, None);
            reporter.broken(&lost.lines);
            reporter.give_up(lost.code)
        }
    }
}

/// The batch, as a file in which any byte can be read at any time: what comes from a pipe is stored first.
fn open(file: &OsStr, meter: &Meter) -> Result<OwnedFd, String> {
    let shown = escape(file.as_bytes());
    let failed = |e: &dyn std::fmt::Display| format!("batch file \"{shown}\": {e}");
    let fd = if file == "-" {
        std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| failed(&e))?
    } else {
        operand::open_to_read(file).map_err(|e| format!("batch file: {e}"))?
    };
    let kind = dir::attrs_of(fd.as_fd()).map_err(|e| failed(&std::io::Error::from(e)))?.kind;
    match kind {
        Kind::File if file != "-" => Ok(fd),
        Kind::Dir | Kind::BlockDevice => Err(failed(&"is neither a file nor a pipe")),
        _ => spool(fd, meter).map_err(|e| failed(&e)),
    }
}

fn spool(from: OwnedFd, meter: &Meter) -> Result<OwnedFd, String> {
    let place = std::env::temp_dir();
    let dir = operand::open_dir(place.as_os_str()).map_err(|e| e.to_string())?;
    let shown = escape(place.as_os_str().as_bytes());
    let failed = |e: std::io::Error| format!("store it in \"{shown}\": {e}");
    let unnamed = dir.create_unnamed(temp::PRIVATE).map_err(|e| failed(e.into()))?;
    let (mut from, ledger) = (std::fs::File::from(from), Ledger::default());
    let (mut buffer, mut at) = (vec![0; PIECE], 0);
    loop {
        if meter.stopped() {
            return Err("interrupted".into());
        }
        match from.read(&mut buffer) {
            Ok(0) => return Ok(unnamed),
            Ok(n) => {
                let piece = buffer.get(..n).unwrap_or_default();
                stream::write_at(unnamed.as_fd(), piece, at, &ledger).map_err(|e| failed(e.into()))?;
                at += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::order;
    use crate::plan::filter::RulesBuilder;

    fn lines(args: &[&str], rules: &[&str]) -> Vec<String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let mut builder = RulesBuilder::new();
        rules.iter().for_each(|rule| builder.exclude(rule.as_bytes()).unwrap());
        let rules = builder.build(false);
        let words = order::words(&args).unwrap();
        let script = script(OsStr::new("b"), &words, OsStr::new("it's"), &rules, false).unwrap();
        String::from_utf8(script).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_script_has_what_matters_where_the_batch_is_read() {
        let args = ["-av", "--write-batch=b", "-e", "ssh -p 1", "--no-o", "--suffix", "a b", "s", "it's"];
        let lines = lines(&args, &[]);
        assert_eq!(lines[..2], ["#!/bin/sh", "dest='it'\\''s'"]);
        let rest = " --archive --verbose --read-batch='b' --no-owner --suffix='a b' -- \"${1:-$dest}\"";
        assert!(lines[2].starts_with("exec '") && lines[2].ends_with(rest), "{lines:?}");
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn rules_are_one_list_at_its_end() {
        let args = ["-r", "--exclude=*.o", "-F", "--only-write-batch", "b", "s", "d"];
        let lines = lines(&args, &["*.o", "+ x"]);
        assert!(lines[2].contains(" --filter='. -' --recursive --read-batch='b' -- "), "{lines:?}");
        assert!(lines[2].ends_with(" <<'#E#'"));
        assert_eq!(lines[3..], ["- *.o", "+ x", "#E#"]);
    }
}
