//! The options that a session's client has in effect, by rsync's names: what `refuse options` is about.
//!
//! Which of them reach a daemon that sends, and which one that receives, was observed of rsync 3.5.0.

use crate::daemon::refuse::{Asked, Refused};
use crate::engine::{Freeze, Holes, Reflink, ZeroCopy};
use crate::plan::basis::Use;
use crate::plan::{Append, Delete};
use crate::session::Options;
use crate::session::compress::Compress;
use crate::session::lock::Lock;
use crate::wire::Role;

/// The first option in effect that `refused` names, as a message shows it: `--checksum (-c)`.
#[must_use]
pub fn refused(refused: &Refused, role: Role, options: &Options) -> Option<String> {
    let sending = role == Role::Sender;
    let found = in_effect(role, options).into_iter().find(|asked| refused.refuses(*asked, sending))?;
    let Asked { long, short } = found;
    Some(short.map_or_else(|| format!("--{long}"), |c| format!("--{long} (-{c})")))
}

fn in_effect(role: Role, options: &Options) -> Vec<Asked<'static>> {
    let Options { plan, apply, engine, .. } = options;
    let links = plan.links;
    let receives = role == Role::Receiver;
    let delete = plan.delete;
    let on = |is_on: bool, long: &'static str, short: char| {
        is_on.then_some(Asked { long, short: (short != ' ').then_some(short) })
    };
    let based = |how| !plan.bases.dirs.is_empty() && plan.bases.how == how;
    let packs = |asks: fn(&Compress) -> bool| options.compress.as_ref().is_some_and(asks);
    let all = [
        on(plan.recursive, "recursive", 'r'),
        on(plan.dirs, "dirs", 'd'),
        on(links.preserve, "links", 'l'),
        on(links.copy_all && !receives, "copy-links", 'L'),
        on(links.copy_unsafe, "copy-unsafe-links", ' '),
        on(links.safe, "safe-links", ' '),
        on(links.copy_dirlinks && !receives, "copy-dirlinks", 'k'),
        on(links.keep_dirlinks && receives, "keep-dirlinks", 'K'),
        on(plan.hard_links, "hard-links", 'H'),
        on(plan.perms, "perms", 'p'),
        on(plan.acls, "acls", 'A'),
        on(plan.superuser == Some(true) && receives, "super", ' '),
        on(if receives { plan.fakes.dest } else { plan.fakes.source }, "fake-super", ' '),
        on(plan.xattrs > 0, "xattrs", 'X'),
        on(plan.file_flags, "fileflags", ' '),
        on(plan.times, "times", 't'),
        on(plan.omit_dir_times && !apply.backup && receives, "omit-dir-times", 'O'),
        on(plan.omit_link_times && receives, "omit-link-times", 'J'),
        on(plan.executability && receives, "executability", 'E'),
        on(plan.atimes, "atimes", 'U'),
        on(plan.open_noatime, "open-noatime", ' '),
        on(plan.owner, "owner", 'o'),
        on(plan.group, "group", 'g'),
        on(plan.devices, "devices", 'D'),
        on(plan.specials, "specials", 'D'),
        on(plan.checksum, "checksum", 'c'),
        on(plan.size_only && receives, "size-only", ' '),
        on(plan.ignore_times, "ignore-times", 'I'),
        on(plan.update, "update", 'u'),
        on(plan.existing && receives, "existing", ' '),
        on(plan.ignore_existing && receives, "ignore-existing", ' '),
        on(plan.modify_window != 0 && receives, "modify-window", '@'),
        on(plan.one_file_system > 0, "one-file-system", 'x'),
        on(delete == Delete::Before && receives, "delete-before", ' '),
        // The same thing by two names: either may be refused.
        on(delete == Delete::During && receives, "delete", ' '),
        on(delete == Delete::During && receives, "delete-during", ' '),
        on(delete == Delete::Delay && receives, "delete-delay", ' '),
        on(delete == Delete::After && receives, "delete-after", ' '),
        on(plan.delete_excluded && receives, "delete-excluded", ' '),
        on(plan.force && receives, "force", ' '),
        on(plan.ignore_errors, "ignore-errors", ' '),
        on(plan.max_size.is_some() && receives, "max-size", ' '),
        on(plan.min_size.is_some() && receives, "min-size", ' '),
        // One bound, by two names: either may be refused.
        on(plan.oldest.is_some() && receives, "max-age", ' '),
        on(plan.oldest.is_some() && receives, "newer-than", ' '),
        on(plan.youngest.is_some() && receives, "min-age", ' '),
        on(plan.prune_empty_dirs && receives, "prune-empty-dirs", 'm'),
        on(plan.numeric_ids, "numeric-ids", ' '),
        on(!plan.usermap.is_empty() && receives, "usermap", ' '),
        on(!plan.groupmap.is_empty() && receives, "groupmap", ' '),
        on(apply.backup, "backup", 'b'),
        on(apply.backup_dir.is_some(), "backup-dir", ' '),
        on(apply.backup && !matches!(&apply.suffix[..], b"~" | b""), "suffix", ' '),
        on(plan.append != Append::Off, "append", ' '),
        on(plan.append == Append::Verified, "append-verify", ' '),
        on(apply.inplace && plan.append == Append::Off, "inplace", ' '),
        // Where files may not be replaced by halves of new ones, halves may still be kept apart.
        on(apply.partial && apply.partial_dir.is_none() && !apply.inplace && receives, "partial", ' '),
        on(apply.partial_dir.is_some() && receives, "partial-dir", ' '),
        on(plan.copy_devices && !receives, "copy-devices", ' '),
        on(plan.write_devices && receives, "write-devices", ' '),
        on(apply.preallocate && receives, "preallocate", ' '),
        on(apply.fsync && receives, "fsync", ' '),
        on(apply.delay_updates && receives, "delay-updates", ' '),
        on(apply.temp_dir.is_some() && receives, "temp-dir", 'T'),
        on(based(Use::Compare) && receives, "compare-dest", ' '),
        on(based(Use::Copy) && receives, "copy-dest", ' '),
        on(based(Use::Link) && receives, "link-dest", ' '),
        on(apply.remove_source_files, "remove-source-files", ' '),
        on(apply.max_delete.is_some() && receives, "max-delete", ' '),
        on(apply.bwlimit.is_some_and(|limit| limit > 0), "bwlimit", ' '),
        on(options.compress.is_some(), "compress", 'z'),
        on(packs(|compress| compress.level != 0), "compress-level", ' '),
        on(packs(|compress| compress.threads > 0), "compress-threads", ' '),
        on(packs(|compress| compress.skip.is_some()), "skip-compress", ' '),
        on(options.timeout.is_some(), "timeout", ' '),
        // One moment, by two names: either may be refused.
        on(options.deadline.is_some(), "stop-after", ' '),
        on(options.deadline.is_some(), "stop-at", ' '),
        on(engine.holes == Holes::Make, "sparse", 'S'),
        on(engine.reflink != Reflink::Auto && !apply.preallocate, "reflink", ' '),
        on(engine.zero_copy != ZeroCopy::Auto, "zero-copy", ' '),
        on(engine.freeze != Freeze::Auto, "freeze", ' '),
        on(!options.mount_check, "no-mount-check", ' '),
        // Digests are left out by two names: either may be refused.
        on(apply.unverified, "checksum-choice", ' '),
        on(apply.unverified, "no-verify", ' '),
        on(options.delete_limit.is_some() && receives, "delete-limit", ' '),
        on(options.lock != Lock::Off && receives, "lock", ' '),
        on(options.dry_run, "dry-run", 'n'),
        on(options.only_batch && receives, "only-write-batch", ' '),
        on(plan.drop_nodes && receives, "drop-D", ' '),
        on(options.insecure_links, "insecure-links", ' '),
        on(options.copy_as.is_some(), "copy-as", ' '),
        on(options.ignore_missing && !receives, "ignore-missing-args", ' '),
        on(options.delete_missing, "delete-missing-args", ' '),
        on(options.relative, "relative", 'R'),
        on(options.relative && !options.implied_dirs, "no-implied-dirs", ' '),
        on(options.mkpath && receives, "mkpath", ' '),
        on(options.files_from.is_some() || options.names_there.is_some(), "files-from", ' '),
        on(apply.verify, "verify", ' '),
    ];
    // What an option does here decides; a name is the client's word, for options that do nothing here.
    let named = options.named.iter().filter(|name| receives || !name.receives);
    let named = named.map(|name| Asked { long: name.long, short: name.short });
    all.into_iter().flatten().chain(named).collect()
}
