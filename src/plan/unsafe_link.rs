//! Which symbolic links are unsafe: those whose text leads out of the transfer.

/// Whether the text of a link at `depth` directories below the top of the transfer leads, or might lead,
/// out of it.
///
/// Decided from the text alone, nothing is looked up. Unsafe are absolute texts, texts that climb above
/// the top by their leading `../`, and texts with a `..` anywhere else, because what stands before it may
/// be a link itself; a lone `..` counts as a leading one.
///
/// Source: rsync(1), SYMBOLIC LINKS; the treatment of `./../x` and of a last `..` observed with 3.5.0.
#[must_use]
pub fn is_unsafe(text: &[u8], depth: usize) -> bool {
    if text.is_empty() || text[0] == b'/' {
        return true;
    }
    if text == b".." {
        return depth == 0;
    }
    let mut rest = text;
    let mut climbs = 0;
    while let Some(behind) = rest.strip_prefix(b"../") {
        climbs += 1;
        let slashes = behind.iter().take_while(|&&b| b == b'/').count();
        rest = &behind[slashes..];
    }
    climbs > depth || rest.split(|&b| b == b'/').any(|part| part == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_climb_to_the_top_of_the_transfer_and_no_further() {
        assert!(!is_unsafe(b"../../f", 2));
        assert!(is_unsafe(b"../../../f", 2));
        assert!(is_unsafe(b"../f", 0));
        assert!(!is_unsafe(b"f", 0));
        assert!(!is_unsafe(b"./a//b", 0));
    }

    #[test]
    fn absolute_texts_and_climbing_after_a_name_are_unsafe() {
        assert!(is_unsafe(b"/etc/passwd", 5));
        assert!(is_unsafe(b"", 5));
        assert!(is_unsafe(b"x/../../s", 5));
        assert!(is_unsafe(b"y/..", 5));
        assert!(is_unsafe(b"../..", 2) && !is_unsafe(b"../../", 2) && !is_unsafe(b"../../.", 2));
        assert!(is_unsafe(b"./../x", 1) && !is_unsafe(b".././x", 1) && !is_unsafe(b"..//../x", 2));
        assert!(is_unsafe(b"..", 0) && !is_unsafe(b"..", 1) && !is_unsafe(b".", 0));
    }
}
