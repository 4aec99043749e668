//! How a run ended: rsync's exit statuses and the line that explains them.

use crate::event::{Ended, Severity};

/// How a run ended. Scripts know the numbers; they are rsync's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Everything was done: 0.
    Success,
    /// The command line cannot be understood: 1.
    Usage,
    /// Operands that cannot be read, written or combined: 3.
    FileSelection,
    /// Something that this sluice cannot do: 4.
    Unsupported,
    /// A root could not be used: 11.
    FileIo,
    /// What was to be shown could not be written: 13.
    Diagnostics,
    /// SIGUSR1: 19.
    UserSignal,
    /// SIGINT, SIGTERM or SIGHUP: 20.
    Signal,
    /// Some entries were not, or not completely, transferred: 23.
    Partial,
    /// Some source entries vanished: 24.
    Vanished,
    /// `--max-delete` stopped deletions: 25.
    DeleteLimit,
    /// Refused before anything was touched (`--delete-limit`, an unmounted root): 25.
    Refused,
    /// `--stop-after`, `--stop-at` or `--timeout`: 30.
    Timeout,
    /// Another run has the destination (`--lock`): 40.
    Locked,
    /// `--exit-codes=extended`: there was nothing to do, 41.
    Unchanged,
    /// `--exit-codes=extended`: nothing went wrong but that source entries vanished, 42.
    OnlyVanished,
    /// `--exit-codes=extended`: what was stored of a file was not what had been read, 43.
    Unverified,
    /// `--exit-codes=extended`: files were not copied only because they could not be without a copy, 44.
    ZeroCopy,
}

impl Status {
    /// The status that a run with this as its worst problem ends with.
    #[must_use]
    pub fn of(severity: Severity) -> Status {
        match severity {
            Severity::Vanished => Status::Vanished,
            Severity::ZeroCopy | Severity::Partial | Severity::Unverified => Status::Partial,
            Severity::DeleteLimit => Status::DeleteLimit,
            Severity::FileIo => Status::FileIo,
            Severity::Syntax => Status::Usage,
            Severity::FileSelection => Status::FileSelection,
            Severity::Refused => Status::Refused,
            Severity::Locked => Status::Locked,
        }
    }

    /// What `--exit-codes=extended` makes of this status of a run whose worst problem is `worst`, and which
    /// has `changed` something.
    #[must_use]
    pub fn extended(self, worst: Option<Severity>, changed: bool) -> Status {
        match (self, worst) {
            (Status::Success, _) if !changed => Status::Unchanged,
            (Status::Vanished, _) => Status::OnlyVanished,
            (Status::Partial, Some(Severity::Unverified)) => Status::Unverified,
            (Status::Partial, Some(Severity::ZeroCopy)) => Status::ZeroCopy,
            (status, _) => status,
        }
    }

    /// The status of a run that ended like this, unless its problems decide.
    #[must_use]
    pub fn of_end(ended: Ended) -> Option<Status> {
        match ended {
            Ended::Complete | Ended::Aborted => None,
            Ended::Stopped => Some(Status::Signal),
            Ended::Deadline => Some(Status::Timeout),
        }
    }

    /// The number for the shell.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Status::Success => 0,
            Status::Usage => 1,
            Status::FileSelection => 3,
            Status::Unsupported => 4,
            Status::FileIo => 11,
            Status::Diagnostics => 13,
            Status::UserSignal => 19,
            Status::Signal => 20,
            Status::Partial => 23,
            Status::Vanished => 24,
            Status::DeleteLimit | Status::Refused => 25,
            Status::Timeout => 30,
            Status::Locked => 40,
            Status::Unchanged => 41,
            Status::OnlyVanished => 42,
            Status::Unverified => 43,
            Status::ZeroCopy => 44,
        }
    }

    /// What it means, in rsync's words where rsync has the case.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Usage => "syntax or usage error",
            Status::FileSelection => "errors selecting input/output files, dirs",
            Status::Unsupported => "requested action not supported",
            Status::FileIo => "error in file IO",
            Status::Diagnostics => "errors with program diagnostics",
            Status::UserSignal => "received SIGUSR1",
            Status::Signal => "received SIGINT, SIGTERM, or SIGHUP",
            Status::Partial => "some files/attrs were not transferred (see previous errors)",
            Status::Vanished | Status::OnlyVanished => "some files vanished before they could be transferred",
            Status::DeleteLimit => "the --max-delete limit stopped deletions",
            Status::Refused => "refused before anything was changed (see previous errors)",
            Status::Timeout => "timeout in data send/receive",
            Status::Locked => "another run has this destination",
            Status::Unchanged => "nothing to do",
            Status::Unverified => "some files were not stored as they were read (see previous errors)",
            Status::ZeroCopy => "some files cannot be copied as --zero-copy or --reflink demands",
        }
    }

    /// The closing line on standard error; none for success. Vanished files are a warning, as in rsync.
    #[must_use]
    pub fn closing_line(self) -> Option<String> {
        let kind = match self {
            Status::Success | Status::Unchanged => return None,
            Status::Vanished | Status::OnlyVanished => "warning",
            _ => "error",
        };
        Some(format!("sluice {kind}: {} (code {})", self.meaning(), self.code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_rsyncs_but_for_the_name() {
        assert_eq!(Status::Success.closing_line(), None);
        assert_eq!(
            Status::Partial.closing_line().unwrap(),
            "sluice error: some files/attrs were not transferred (see previous errors) (code 23)"
        );
        assert_eq!(
            Status::Vanished.closing_line().unwrap(),
            "sluice warning: some files vanished before they could be transferred (code 24)"
        );
        assert_eq!(
            Status::DeleteLimit.closing_line().unwrap(),
            "sluice error: the --max-delete limit stopped deletions (code 25)"
        );
        assert_eq!(Status::FileIo.closing_line().unwrap(), "sluice error: error in file IO (code 11)");
        assert_eq!(
            Status::Signal.closing_line().unwrap(),
            "sluice error: received SIGINT, SIGTERM, or SIGHUP (code 20)"
        );
    }

    #[test]
    fn extended_codes_tell_apart_what_rsyncs_do_not() {
        let code = |status: Status, worst, changed| status.extended(worst, changed).code();
        assert_eq!(code(Status::Success, None, true), 0);
        assert_eq!(code(Status::Success, None, false), 41);
        assert_eq!(code(Status::Vanished, Some(Severity::Vanished), false), 42);
        assert_eq!(code(Status::Partial, Some(Severity::Unverified), true), 43);
        assert_eq!(code(Status::Partial, Some(Severity::ZeroCopy), true), 44);
        assert_eq!(code(Status::Partial, Some(Severity::Partial), true), 23);
        assert_eq!(code(Status::Signal, Some(Severity::ZeroCopy), true), 20);
        assert_eq!(Status::Unchanged.closing_line(), None);
    }

    #[test]
    fn a_worse_problem_is_never_hidden_by_a_vanished_file() {
        let worst = [Severity::Partial, Severity::Vanished].into_iter().max().map(Status::of);
        assert_eq!(worst, Some(Status::Partial));
    }
}
