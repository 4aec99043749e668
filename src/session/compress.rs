//! `-z`: which files are packed on their way to the other machine, and how.

use serde::{Deserialize, Serialize};

use super::Options;
use super::frames::LinkError;
use super::handshake::Greeted;
use crate::engine::pack::{Crew, LEVEL};
use crate::path::Name;
use crate::plan::pattern::Pattern;
use crate::wire::Features;

/// Suffixes of files that are compressed already: rsync 3.5.0's list, by its manual.
pub const SUFFIXES: &str = "3g2 3gp 7z aac ace apk avi bz2 deb dmg ear f4v flac flv gpg gz iso jar jpeg jpg lrz lz lz4 \
    lzma lzo m1a m1v m2a m2ts m2v m4a m4b m4p m4r m4v mka mkv mov mp1 mp2 mp3 mp4 mpa mpeg mpg mpv mts odb odf odg odi \
    odm odp ods odt oga ogg ogm ogv ogx opus otg oth otp ots ott oxt png qt rar rpm rz rzip spx squashfs sxc sxd sxg \
    sxm sxw sz tbz tbz2 tgz tlz ts txz tzo vob war webm webp xz z zip zst";

/// Threads that pack at most. Each has a context of up to 20 MiB, and twice a piece.
const THREADS_MAX: u8 = 16;

/// The same for a daemon's child, which has 64 MiB for everything.
const DAEMON_THREADS_MAX: u8 = 2;

/// How file data is packed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compress {
    /// zstd's level; 0 is its default.
    pub level: i32,
    /// Threads that pack at the same time; 0 and 1 are one.
    pub threads: u8,
    /// Names that are not packed, as patterns of lower-case letters; `None`: those with one of [`SUFFIXES`].
    pub skip: Option<Vec<Pattern>>,
}

/// What this side packs of what it sends.
#[derive(Debug)]
pub(super) struct Packing {
    level: i32,
    threads: u8,
    usual: bool,
    skip: Vec<Pattern>,
}

impl Packing {
    /// As the options and the module say; `None`: nothing.
    pub(super) fn of(options: &Options) -> Option<Packing> {
        let Compress { level, threads, skip } = options.compress.as_ref()?;
        let module = options.module.as_deref();
        let own = module.and_then(|module| module.dont_compress.as_ref());
        // What a client adds to a module's list takes nothing away from it.
        let usual = own.is_none() && (skip.is_none() || module.is_some());
        let skip: Vec<Pattern> = own.into_iter().chain(skip).flatten().cloned().collect();
        if module.is_some() && skip.iter().any(|pattern| pattern.text() == b"*") {
            return None;
        }
        let most = if module.is_some() { DAEMON_THREADS_MAX } else { THREADS_MAX };
        Some(Packing {
            level: if *level == 0 { LEVEL } else { *level },
            threads: (*threads).min(most),
            usual,
            skip,
        })
    }

    /// Whether a file of that name is worth trying.
    pub(super) fn takes(&self, name: &Name) -> bool {
        let name = name.as_bytes().to_ascii_lowercase();
        let suffix = name.iter().rposition(|&b| b == b'.').and_then(|dot| name.get(dot + 1..));
        let usual =
            self.usual && suffix.is_some_and(|s| SUFFIXES.split(' ').any(|usual| usual.as_bytes() == s));
        !usual && !self.skip.iter().any(|pattern| pattern.matches(&name, None, 0, false))
    }

    /// Whoever packs.
    pub(super) fn crew(&self) -> Option<Crew> {
        Crew::new(self.level, usize::from(self.threads))
    }
}

impl Greeted {
    /// Makes sure that both sides can do what the options ask for.
    ///
    /// # Errors
    ///
    /// Exit 4, as with rsync: the peer cannot.
    pub(super) fn can_compress(&self, options: &Options) -> Result<(), LinkError> {
        if options.compress.is_some() && !self.agreed.features.has(Features::ZSTD) {
            return Err(LinkError::Fatal(4, "the sluice there cannot compress by zstd; leave out -z".into()));
        }
        Ok(())
    }

    /// From here on the peer may pack, if the options say so.
    pub(super) fn may_unpack(&mut self, options: &Options) {
        if options.compress.is_some() {
            self.reader.unpack();
        }
    }

    /// From here on messages are packed, if the options and the module say so.
    pub(super) fn packs(&mut self, options: &Options) {
        if let Some(packing) = Packing::of(options) {
            self.writer.pack(packing.level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packing(own: Option<&[&str]>, skip: Option<&[&str]>) -> Packing {
        let list =
            |words: &[&str]| words.iter().map(|w| Pattern::new(w.as_bytes(), false)).collect::<Vec<_>>();
        let usual = own.is_none() && skip.is_none();
        let skip = own.into_iter().chain(skip).flat_map(list).collect();
        Packing { level: 3, threads: 0, usual, skip }
    }

    fn takes(packing: &Packing, name: &str) -> bool {
        packing.takes(&Name::parse(name.as_bytes()).unwrap())
    }

    #[test]
    fn usual_suffixes_are_left_out_in_either_case_and_a_list_takes_their_place() {
        let usual = packing(None, None);
        for name in ["a.gz", "b.tar.XZ", "c.JPEG", ".zip"] {
            assert!(!takes(&usual, name), "{name}");
        }
        for name in ["gz", "a.gz.txt", "a.gzz", "a.", "README"] {
            assert!(takes(&usual, name), "{name}");
        }
        let own = packing(None, Some(&["*.mp[34]", "*.c"]));
        assert!(!takes(&own, "x.MP3") && !takes(&own, "x.c") && takes(&own, "x.mp5") && takes(&own, "x.gz"));
        assert!(takes(&packing(None, Some(&[])), "x.gz"));
        assert!(!takes(&packing(Some(&["core*"]), Some(&["*.c"])), "Core.1"));
    }

    #[test]
    fn the_list_is_in_order_and_has_no_name_twice() {
        let words: Vec<&str> = SUFFIXES.split(' ').collect();
        assert!(
            words.iter().all(|word| !word.is_empty()) && words.windows(2).all(|w| w[0] < w[1]),
            "{words:?}"
        );
    }
}
