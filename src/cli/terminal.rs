//! The terminal as progress sees it: a little narrower than it is.

use std::io;

use console::Term;
use indicatif::TermLike;

/// Columns that stay free. A terminal echoes `^C` where the cursor is; if that began a new line, the
/// one with the progress could not be cleared any more.
const MARGIN: u16 = 3;

/// Standard output, which is a terminal.
#[derive(Clone, Debug)]
pub struct Terminal(Term);

impl Terminal {
    /// Standard output; nothing is written before [`TermLike::flush`].
    #[must_use]
    pub fn stdout() -> Terminal {
        Terminal(Term::buffered_stdout())
    }

    /// The columns that progress may fill.
    #[must_use]
    pub fn columns(&self) -> usize {
        usize::from(self.width())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.0.size().1.saturating_sub(MARGIN).max(1)
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
