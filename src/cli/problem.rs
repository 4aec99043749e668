//! A problem as the line that people read.

use crate::event::{Cause, Problem, Severity};

/// `sluice: OP "PATH": CAUSE; HINT`, unescaped; a vanished file is told in rsync's words, which scripts
/// filter by.
#[must_use]
pub fn line(problem: &Problem) -> Vec<u8> {
    if problem.severity == Severity::Vanished {
        let what = if problem.op == "read directory" { &b"directory"[..] } else { b"file" };
        return [what, b" has vanished: \"", &problem.path[..], b"\""].concat();
    }
    let mut line = format!("sluice: {}", problem.op).into_bytes();
    if !problem.path.is_empty() {
        line.extend_from_slice(b" \"");
        line.extend_from_slice(&problem.path);
        line.push(b'"');
    }
    line.extend_from_slice(b": ");
    line.extend_from_slice(cause(&problem.cause).as_bytes());
    if let Some(hint) = &problem.hint {
        line.extend_from_slice(b"; ");
        line.extend_from_slice(hint.as_bytes());
    }
    line
}

/// Why, in words.
#[must_use]
pub fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Os(errno) => std::io::Error::from(*errno).to_string(),
        Cause::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Errno;

    fn text(problem: &Problem) -> String {
        String::from_utf8(line(problem)).unwrap()
    }

    #[test]
    fn a_problem_names_operation_path_cause_and_remedy() {
        let open = Problem::os("open", b"a/b", Errno::EACCES);
        assert_eq!(text(&open), "sluice: open \"a/b\": Permission denied (os error 13)");
        let mount = Problem::text("delete", b"/mnt/b", "not mounted").hint("use --no-mount-check");
        assert_eq!(text(&mount), "sluice: delete \"/mnt/b\": not mounted; use --no-mount-check");
        assert_eq!(
            text(&Problem::text("read rules", b"", "no such file")),
            "sluice: read rules: no such file"
        );
    }

    #[test]
    fn a_vanished_file_is_told_in_rsyncs_words() {
        let gone = Problem::os("open", b"a", Errno::ENOENT).severity(Severity::Vanished);
        assert_eq!(text(&gone), "file has vanished: \"a\"");
    }
}
