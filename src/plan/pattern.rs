//! One pattern of a filter rule: anchors, `*`, `**`, `***`, `?`, classes.
//!
//! A pattern is compiled once and matched very often, so the shapes that people really write (`name`,
//! `*.ext`, `prefix*`) have their own form. The general matcher never recurses: it keeps one place to
//! resume for the last `*` and one for the last `**`, which is enough because what follows a `**` can
//! only gain from an earlier end of what went before.

/// A compiled pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: Box<[u8]>,
    /// A trailing `/`: directories only.
    dir_only: bool,
    /// What the form is compared with.
    against: Against,
    form: Form,
    /// For `NAME/***`: the form of `NAME`, which directories match as well.
    head: Option<Form>,
}

/// Which part of an entry's path a pattern is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Against {
    /// The last component.
    Name,
    /// The last so many components.
    Tail(usize),
    /// The whole path.
    Whole,
    /// What begins at the path's start or behind any `/`.
    AnyTail,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    Literal(Box<[u8]>),
    /// `PREFIX*`, where the `*` may cross no slash.
    Prefix(Box<[u8]>),
    /// `*SUFFIX`, the same.
    Suffix(Box<[u8]>),
    Program(Box<[Op]>),
    Never,
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
    /// Compiles `text` as it stands in a rule. Every text is a pattern; a malformed class matches nothing.
    #[must_use]
    pub fn new(text: &[u8]) -> Pattern {
        let (body, dir_only) = match text {
            [rest @ .., b'/'] => (rest, true),
            _ => (text, false),
        };
        let (body, anchored) = match body {
            [b'/', rest @ ..] => (rest, true),
            _ => (body, false),
        };
        let wild = body.iter().any(|b| matches!(b, b'*' | b'?' | b'['));
        let deep = body.windows(2).any(|w| w == b"**");
        let slashes = body.iter().filter(|&&b| b == b'/').count();
        let against = match (anchored, deep, slashes) {
            (true, ..) => Against::Whole,
            (false, true, _) => Against::AnyTail,
            (false, false, 0) => Against::Name,
            (false, false, n) => Against::Tail(n + 1),
        };
        let head = body.strip_suffix(b"/***").map(|head| compile(head, wild));
        Pattern { text: text.into(), dir_only, against, form: compile(body, wild), head }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the entry at `path` matches; `name` is where its last component begins.
    #[must_use]
    pub fn matches(&self, path: &[u8], name: usize, is_dir: bool) -> bool {
        if self.dir_only && !is_dir {
            return false;
        }
        self.form_matches(&self.form, path, name)
            || is_dir && self.head.as_ref().is_some_and(|head| self.form_matches(head, path, name))
    }

    fn form_matches(&self, form: &Form, path: &[u8], name: usize) -> bool {
        match self.against {
            Against::Name => form.matches(&path[name..]),
            Against::Whole => form.matches(path),
            Against::Tail(components) => tail(path, components).is_some_and(|tail| form.matches(tail)),
            Against::AnyTail => {
                form.matches(path)
                    || path.iter().enumerate().any(|(at, &b)| b == b'/' && form.matches(&path[at + 1..]))
            }
        }
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

fn compile(body: &[u8], wild: bool) -> Form {
    if !wild {
        return Form::Literal(body.into());
    }
    let Some(ops) = ops(body) else { return Form::Never };
    let bytes = |ops: &[Op]| -> Option<Box<[u8]>> {
        ops.iter().map(|op| if let Op::Byte(b) = op { Some(*b) } else { None }).collect()
    };
    match &ops[..] {
        [rest @ .., Op::Star] => bytes(rest).map(Form::Prefix),
        [Op::Star, rest @ ..] => bytes(rest).map(Form::Suffix),
        rest => bytes(rest).map(Form::Literal),
    }
    .unwrap_or_else(|| Form::Program(ops.into()))
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
        if let Some(named) = rest.strip_prefix(b"[:") {
            let end = named.windows(2).position(|w| w == b":]")?;
            let member = posix(&named[..end])?;
            (0..=255u8).filter(member).for_each(&mut put);
            rest = &named[end + 2..];
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
        } else {
            put(*low);
        }
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
    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Form::Literal(literal) => **literal == *text,
            Form::Prefix(prefix) => text.strip_prefix(&**prefix).is_some_and(|rest| !rest.contains(&b'/')),
            Form::Suffix(suffix) => text.strip_suffix(&**suffix).is_some_and(|rest| !rest.contains(&b'/')),
            Form::Program(ops) => run(ops, text),
            Form::Never => false,
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
            (star, star_star) = (None, Some((resume, from + 1)));
            (op, at) = (resume, from + 1);
        } else {
            return false;
        }
    }
}
