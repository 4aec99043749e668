//! Lines: what a configuration file consists of before anything in it means something.

use std::sync::Arc;

use super::ConfigError;

/// Where something stands in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file as it was named, escaped.
    pub file: Arc<str>,
    /// The line, the first being 1; of several that are continued, the first.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} line {}", self.file, self.line)
    }
}

/// One line that is neither empty nor a comment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// `[NAME]`.
    Section(Vec<u8>),
    /// `NAME = VALUE`. The name is in lower case and without blanks; the value begins and ends without.
    Parameter(String, Vec<u8>),
    /// `&include PATH`.
    Include(Vec<u8>),
    /// `&merge PATH`.
    Merge(Vec<u8>),
}

/// Takes a file apart.
///
/// # Errors
///
/// A line that is none of the four kinds.
pub fn lines(file: &Arc<str>, text: &[u8]) -> Result<Vec<(Place, Line)>, ConfigError> {
    let mut found = Vec::new();
    let mut physical = text.split(|&b| b == b'\n').enumerate();
    while let Some((at, first)) = physical.next() {
        let place = Place { file: Arc::clone(file), line: at + 1 };
        let begin = first.trim_ascii();
        if begin.is_empty() || begin.starts_with(b"#") {
            continue;
        }
        let mut line = first.to_vec();
        while let Some(continued) = line.trim_ascii_end().strip_suffix(b"\\") {
            line.truncate(continued.len());
            let Some((_, next)) = physical.next() else { break };
            line.extend_from_slice(next);
        }
        if line.contains(&0) {
            return Err(ConfigError::at(&place, "a NUL byte"));
        }
        found.push((place.clone(), parse(line.trim_ascii()).map_err(|why| ConfigError::at(&place, why))?));
    }
    Ok(found)
}

fn parse(line: &[u8]) -> Result<Line, String> {
    if let Some(rest) = line.strip_prefix(b"[") {
        let name = rest.strip_suffix(b"]").ok_or("a section is `[NAME]` and nothing behind it")?;
        return module_name(name).map(Line::Section);
    }
    if let Some(rest) = line.strip_prefix(b"&") {
        let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        let path = rest[end..].trim_ascii();
        return match &rest[..end] {
            b"include" | b"merge" if path.is_empty() => Err("a path is missing".into()),
            b"include" => Ok(Line::Include(path.to_vec())),
            b"merge" => Ok(Line::Merge(path.to_vec())),
            other => Err(format!("unknown directive &{}", crate::path::escape(other))),
        };
    }
    let at = line.iter().position(|&b| b == b'=').ok_or("neither `[section]` nor `parameter = value`")?;
    let name: Vec<u8> = line[..at].iter().filter(|b| !b.is_ascii_whitespace()).copied().collect();
    let name = String::from_utf8(name).map_err(|_| "a parameter's name is not text")?.to_lowercase();
    if name.is_empty() {
        return Err("a parameter's name is missing before `=`".into());
    }
    Ok(Line::Parameter(name, line[at + 1..].trim_ascii().to_vec()))
}

/// A module's name as it is compared: blanks within made one, those around it taken off.
///
/// # Errors
///
/// Empty, or with a `/` or `]` in it.
pub fn module_name(text: &[u8]) -> Result<Vec<u8>, String> {
    let words: Vec<&[u8]> = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let name = words.join(&b' ');
    if name.is_empty() || name.contains(&b'/') || name.contains(&b']') {
        return Err("a module's name is not empty and has no / or ] in it".into());
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, Line)> {
        let lines = lines(&"F".into(), text.as_bytes()).unwrap();
        lines.into_iter().map(|(place, line)| (place.line, line)).collect()
    }

    fn parameter(name: &str, value: &str) -> Line {
        Line::Parameter(name.into(), value.as_bytes().to_vec())
    }

    #[test]
    fn blanks_and_case_in_names_do_not_matter_and_values_are_kept() {
        assert_eq!(read(" Read\tONLY =  a = b  c \n"), [(1, parameter("readonly", "a = b  c"))]);
        assert_eq!(read("[ a \t b ]"), [(1, Line::Section(b"a b".to_vec()))]);
        assert_eq!(read("&include  /x y "), [(1, Line::Include(b"/x y".to_vec()))]);
    }

    #[test]
    fn comments_stand_alone_and_are_not_continued() {
        let text = "# one \\\npath = /a # b\n\n  #c\n; = d";
        assert_eq!(read(text), [(2, parameter("path", "/a # b")), (5, parameter(";", "d"))]);
    }

    #[test]
    fn a_backslash_at_the_end_continues_as_rsync_does() {
        assert_eq!(
            read("c = one \\\n   two\nd=e"),
            [(1, parameter("c", "one    two")), (3, parameter("d", "e"))]
        );
        assert_eq!(read("c = a\\\\\nb"), [(1, parameter("c", "a\\b"))]);
        assert_eq!(read("c = a \\ \t\nb"), [(1, parameter("c", "a b"))]);
        assert_eq!(read("c = a\\"), [(1, parameter("c", "a"))]);
    }

    #[test]
    fn what_is_no_line_of_it_is_refused_with_its_place() {
        for text in ["x", "[a", "[a] b", "[]", "[a/b]", "= x", "&include", "&exec x", "a = \0"] {
            let error = lines(&"F".into(), format!("\n{text}").as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("F line 2: "), "{text}: {error}");
        }
    }
}
