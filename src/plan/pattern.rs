//! One pattern of a filter rule: anchors, `*`, `**`, `***`, `?`, classes.
//!
//! A pattern is compiled once and matched very often, so the shapes that people really write (`name`,
//! `*.ext`, `prefix*`) have their own form. The general matcher never recurses: it keeps one place to
//! resume for the last `*` and one for the last `**`, which is enough because what follows a `**` can
//! only gain from an earlier end of what went before.

use serde::{Deserialize, Serialize};

/// A compiled pattern. It travels as it was written, and is compiled again where it arrives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Pattern {
    text: Box<[u8]>,
    absolute: bool,
    /// A trailing `/`: directories only.
    dir_only: bool,
    /// What the forms are compared with.
    against: Against,
    form: Form,
    /// `NAME/***` is also the directory `NAME`.
    dir_itself: Option<Box<Pattern>>,
}

/// What [`Pattern::new`] makes a pattern of.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(with = "serde_bytes")]
    text: Box<[u8]>,
    absolute: bool,
}

impl From<Pattern> for Written {
    fn from(pattern: Pattern) -> Written {
        Written { text: pattern.text, absolute: pattern.absolute }
    }
}

impl From<Written> for Pattern {
    fn from(written: Written) -> Pattern {
        Pattern::new(&written.text, written.absolute)
    }
}

/// Which part of an entry's path a pattern is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Against {
    /// The last component.
    Name,
    /// The last so many components.
    Tail(usize),
    /// The whole path.
    Path,
    /// What the path is below the directory that an anchor stands for.
    Anchored,
    /// What begins at the path's start or behind any `/`.
    AnyTail,
    /// The pattern is malformed.
    Nothing,
}

impl Against {
    /// For a pattern that may begin at any component.
    fn tail(deep: bool, slashes: usize) -> Against {
        match slashes {
            _ if deep => Against::AnyTail,
            0 => Against::Name,
            n => Against::Tail(n + 1),
        }
    }
}

fn count<T: PartialEq>(items: &[T], wanted: &T) -> usize {
    items.iter().filter(|item| *item == wanted).count()
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    Literal(Box<[u8]>),
    /// `PREFIX*`, where the `*` may cross no slash.
    Prefix(Box<[u8]>),
    /// `*SUFFIX`, the same.
    Suffix(Box<[u8]>),
    Program(Box<[Op]>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Op {
    Byte(u8),
    /// `?`
    Any,
    /// `[...]`: one bit per byte.
    Class(Box<[u64; 4]>),
    /// `*`
    Star,
    /// `**`
    StarStar,
}

impl Pattern {
    /// Compiles `text` as it stands in a rule; `absolute` if it will be compared with absolute paths. Every
    /// text is a pattern; a malformed class matches nothing.
    #[must_use]
    pub fn new(text: &[u8], absolute: bool) -> Pattern {
        let (body, dir_only) = match text {
            [rest @ .., b'/'] => (rest, true),
            _ => (text, false),
        };
        let (body, anchored) = match body {
            [b'/', rest @ ..] => (rest, true),
            _ => (body, false),
        };
        // Counted in the text as it is written: escaped and bracketed ones count as well.
        let wild = body.iter().any(|b| matches!(b, b'*' | b'?' | b'['));
        let deep = body.windows(2).any(|w| w == b"**");
        let ops = if wild { ops(body) } else { Some(body.iter().map(|b| Op::Byte(*b)).collect()) };
        let (ops, against) = match ops.as_deref() {
            None => (&[][..], Against::Nothing),
            Some(ops) if anchored => (ops, Against::Anchored),
            // `**/NAME` is what begins at the top or behind any slash; for fast matching, what ends there.
            Some([Op::StarStar, Op::Byte(b'/'), rest @ ..]) if !absolute => {
                (rest, Against::tail(rest.contains(&Op::StarStar), count(rest, &Op::Byte(b'/'))))
            }
            Some(ops @ [Op::StarStar, ..]) => (ops, Against::Path),
            Some(ops) => (ops, Against::tail(deep, count(body, &b'/'))),
        };
        let form = Form::new(ops);
        let dir_itself = text.strip_suffix(b"/***").filter(|head| !head.is_empty());
        let dir_itself = dir_itself.map(|head| Box::new(Pattern::new(&[head, b"/"].concat(), absolute)));
        Pattern { text: text.into(), absolute, dir_only, against, form, dir_itself }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the entry at `path` matches. `name` is where its last component begins; `anchored` is what
    /// a pattern with a leading `/` sees of it, `None` if nothing.
    #[must_use]
    pub fn matches(&self, path: &[u8], anchored: Option<&[u8]>, name: usize, is_dir: bool) -> bool {
        if self.dir_only && !is_dir {
            return false;
        }
        let matches = match self.against {
            Against::Nothing => false,
            Against::Name => self.form.matches(&path[name..]),
            Against::Path => self.form.matches(path),
            Against::Anchored => anchored.is_some_and(|below| self.form.matches(below)),
            Against::Tail(components) => tail(path, components).is_some_and(|tail| self.form.matches(tail)),
            Against::AnyTail => {
                self.form.matches(path)
                    || path.iter().enumerate().any(|(at, &b)| b == b'/' && self.form.matches(&path[at + 1..]))
            }
        };
        matches || self.dir_itself.as_ref().is_some_and(|dir| dir.matches(path, anchored, name, is_dir))
    }
}

/// The last `components` components of `path`, if it has as many.
fn tail(path: &[u8], components: usize) -> Option<&[u8]> {
    let mut left = components;
    for (at, &b) in path.iter().enumerate().rev() {
        if b == b'/' {
            left -= 1;
            if left == 0 {
                return Some(&path[at + 1..]);
            }
        }
    }
    (left == 1).then_some(path)
}

/// The program of a wildcard pattern; `None` if a class is malformed.
fn ops(mut body: &[u8]) -> Option<Vec<Op>> {
    let mut ops = Vec::with_capacity(body.len());
    while let [first, rest @ ..] = body {
        body = rest;
        match first {
            b'\\' => match body {
                [escaped, rest @ ..] => {
                    ops.push(Op::Byte(*escaped));
                    body = rest;
                }
                [] => ops.push(Op::Byte(b'\\')),
            },
            b'?' => ops.push(Op::Any),
            b'[' => {
                let (class, rest) = class(body)?;
                ops.push(Op::Class(Box::new(class)));
                body = rest;
            }
            b'*' => {
                let stars = body.iter().take_while(|&&b| b == b'*').count();
                body = &body[stars..];
                ops.push(if stars == 0 { Op::Star } else { Op::StarStar });
            }
            other => ops.push(Op::Byte(*other)),
        }
    }
    Some(ops)
}

/// Reads a class behind its `[`; gives its bytes and what follows its `]`.
fn class(body: &[u8]) -> Option<([u64; 4], &[u8])> {
    let mut set = [0u64; 4];
    let mut put = |b: u8| set[usize::from(b >> 6)] |= 1 << (b & 63);
    let (mut rest, negated) = match body {
        [b'!' | b'^', rest @ ..] => (rest, true),
        _ => (body, false),
    };
    let mut first = true;
    loop {
        let (mut low, mut after) = rest.split_first()?;
        if *low == b']' && !first {
            rest = after;
            break;
        }
        first = false;
        let named = rest.strip_prefix(b"[:").and_then(|named| {
            let end = named.iter().position(|&b| b == b']')?;
            Some((named[..end].strip_suffix(b":")?, &named[end + 1..]))
        });
        if let Some((named, behind)) = named {
            let member = posix(named)?;
            (0..=255u8).filter(member).for_each(&mut put);
            rest = behind;
            continue;
        }
        if *low == b'\\' {
            (low, after) = after.split_first()?;
        }
        rest = after;
        if let [b'-', high, after @ ..] = rest
            && *high != b']'
        {
            let (high, after) = if *high == b'\\' { after.split_first()? } else { (high, after) };
            (*low..=*high).for_each(&mut put);
            rest = after;
        }
        put(*low); // a range that runs backwards still holds its first byte
    }
    if negated {
        set.iter_mut().for_each(|word| *word = !*word);
    }
    set[usize::from(b'/' >> 6)] &= !(1 << (b'/' & 63));
    Some((set, rest))
}

fn posix(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |b| matches!(b, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |b| (b' '..=b'~').contains(b),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |b| matches!(b, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

impl Form {
    /// The cheapest form of a program.
    fn new(ops: &[Op]) -> Form {
        let bytes = |ops: &[Op]| -> Option<Box<[u8]>> {
            ops.iter().map(|op| if let Op::Byte(b) = op { Some(*b) } else { None }).collect()
        };
        match ops {
            [rest @ .., Op::Star] => bytes(rest).map(Form::Prefix),
            [Op::Star, rest @ ..] => bytes(rest).map(Form::Suffix),
            all => bytes(all).map(Form::Literal),
        }
        .unwrap_or_else(|| Form::Program(ops.into()))
    }

    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Form::Literal(literal) => **literal == *text,
            Form::Prefix(prefix) => text.strip_prefix(&**prefix).is_some_and(|rest| !rest.contains(&b'/')),
            Form::Suffix(suffix) => text.strip_suffix(&**suffix).is_some_and(|rest| !rest.contains(&b'/')),
            Form::Program(ops) => run(ops, text),
        }
    }
}

/// Whether `ops` match all of `text`. Time: length of `ops` times length of `text` squared, at worst.
fn run(ops: &[Op], text: &[u8]) -> bool {
    let (mut op, mut at) = (0, 0);
    // Where to resume: the op behind the star, and the first byte that the star has not taken yet.
    let (mut star, mut star_star) = (None, None);
    loop {
        let step = match (ops.get(op), text.get(at)) {
            (None, None) => return true,
            (Some(Op::Star), _) => {
                op += 1;
                star = Some((op, at));
                continue;
            }
            (Some(Op::StarStar), _) => {
                op += 1;
                if op == ops.len() {
                    return true;
                }
                (star, star_star) = (None, Some((op, at)));
                continue;
            }
            (Some(Op::Byte(want)), Some(have)) => want == have,
            (Some(Op::Any), Some(have)) => *have != b'/',
            (Some(Op::Class(set)), Some(have)) => set[usize::from(have >> 6)] >> (have & 63) & 1 == 1,
            (None, Some(_)) | (Some(_), None) => false,
        };
        if step {
            (op, at) = (op + 1, at + 1);
            continue;
        }
        if let Some((resume, from)) = star
            && text.get(from).is_some_and(|b| *b != b'/')
        {
            star = Some((resume, from + 1));
            (op, at) = (resume, from + 1);
        } else if let Some((resume, from)) = star_star
            && from < text.len()
        {
            // What follows a `**` is mostly a byte: go where it is next, or nowhere.
            let skipped = match ops.get(resume) {
                Some(Op::Byte(want)) => text[from + 1..].iter().position(|have| have == want),
                _ => Some(0),
            };
            let Some(skipped) = skipped else { return false };
            at = from + 1 + skipped;
            op = resume;
            (star, star_star) = (None, Some((op, at)));
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let bare = path.trim_end_matches('/');
        let name = bare.rfind('/').map_or(0, |at| at + 1);
        Pattern::new(pattern.as_bytes(), false).matches(
            bare.as_bytes(),
            Some(bare.as_bytes()),
            name,
            bare != path,
        )
    }

    #[test]
    fn examples_of_the_manual_hold() {
        let yes = [
            ("*.o", "d/a.o"),
            ("/foo", "foo"),
            ("foo/", "d/foo/"),
            ("foo/*/bar", "x/foo/y/bar"),
            ("/foo/**/bar", "foo/x/y/bar"),
            ("foo/bar", "a/foo/bar"),
            ("dir/***", "dir/"),
            ("dir/***", "x/dir/a/b"),
            ("foo\\bar", "foo\\bar"),
            ("foo\\\\bar*", "foo\\bar1"),
            ("[a-z][[:digit:]]", "b7"),
            ("**/a", "a"),
        ];
        let no = [
            ("*.o", "a.o/b"),
            ("/foo", "d/foo"),
            ("foo/", "foo"),
            ("foo/*/bar", "foo/x/y/bar"),
            ("/foo/**/bar", "foo/bar"),
            ("foo/bar", "foo/barx"),
            ("dir/***", "dir"),
            ("foo\\bar*", "foo\\bar"),
            ("?", "/"),
            ("[!a]b", "ab"),
            ("a[b", "ab"),
            ("/**/a", "a"),
            ("**/**/a", "a"),
        ];
        yes.iter().for_each(|(pattern, path)| assert!(matches(pattern, path), "{pattern} {path}"));
        no.iter().for_each(|(pattern, path)| assert!(!matches(pattern, path), "{pattern} {path}"));
    }

    #[test]
    fn many_stars_on_a_long_name_come_to_an_end() {
        let name = "a".repeat(255);
        assert!(!matches(&("a*".repeat(60) + "b"), &name));
        assert!(!matches(&("**a*".repeat(60) + "/b"), &name));
        assert!(!matches(&("**?".repeat(60) + "[b]"), &name));
    }

    /// What a program means, by trying everything.
    fn naive(ops: &[Op], text: &[u8]) -> bool {
        let Some((op, ops)) = ops.split_first() else { return text.is_empty() };
        let takes = |n: usize| naive(ops, &text[n..]);
        match op {
            Op::Byte(b) => text.first() == Some(b) && takes(1),
            Op::Any => text.first().is_some_and(|b| *b != b'/') && takes(1),
            Op::Class(set) => {
                text.first().is_some_and(|b| (set[usize::from(b / 64)] >> (b % 64)) & 1 == 1) && takes(1)
            }
            Op::Star => (0..=text.len()).take_while(|&n| !text[..n].contains(&b'/')).any(takes),
            Op::StarStar => (0..=text.len()).any(takes),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn the_matcher_agrees_with_trying_everything(pattern in "[ab/?*]{0,9}|([ab/*]|\\[a\\]|\\[!a\\]){0,7}", text in "[ab/]{0,9}") {
            let ops = ops(pattern.as_bytes()).unwrap_or_default();
            let want = naive(&ops, text.as_bytes());
            prop_assert_eq!(run(&ops, text.as_bytes()), want);
            prop_assert_eq!(Form::new(&ops).matches(text.as_bytes()), want);
        }

        #[test]
        fn no_pattern_and_no_path_panics(pattern in any::<Vec<u8>>(), path in "[a-c/.]{0,12}") {
            let name = path.rfind('/').map_or(0, |at| at + 1);
            let _either = Pattern::new(&pattern, false).matches(path.as_bytes(), None, name, true);
        }
    }
}
