//! Options for one side only: `-M`, and those that are never told to the other side.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;

use super::remote::Peer;
use super::typed::Typed;
use super::{UsageError, order};
use crate::plan::Fakes;
use crate::session;
use crate::session::watch::LogFile;

/// Reads files as `read` does, and each one once: what is read for this side is good for the other.
pub fn once<'r>(
    read: &'r dyn Fn(&OsStr) -> io::Result<Vec<u8>>,
) -> impl Fn(&OsStr) -> io::Result<Vec<u8>> + 'r {
    let kept: RefCell<HashMap<OsString, Vec<u8>>> = RefCell::default();
    move |path| {
        if let Some(contents) = kept.borrow().get(path) {
            return Ok(contents.clone());
        }
        let contents = read(path)?;
        kept.borrow_mut().insert(path.to_owned(), contents.clone());
        Ok(contents)
    }
}

/// Has `options`, which are this side's, say what holds for one side only. With a `peer`, what the server is told
/// is put with them; on one machine the other side is the receiving one.
///
/// # Errors
///
/// Something that cannot be for the other side only; what `weigh` says of its options.
pub fn settle(
    typed: &Typed,
    options: &mut session::Options,
    peer: Option<&Peer>,
    weigh: impl FnOnce(&Typed) -> Result<session::Options, UsageError>,
) -> Result<(), UsageError> {
    options.plan.links.unmunge = typed.munge_links;
    options.plan.links.munge = typed.munge_links && peer.is_some();
    let fakes = |fake: bool, receives: bool| Fakes { source: fake && !receives, dest: fake && receives };
    options.plan.fakes = match peer {
        Some(peer) => fakes(typed.fake_super, peer.sends),
        None => Fakes { source: typed.fake_super, dest: typed.fake_super },
    };
    if typed.remote.is_empty() && !typed.is_partly_for_this_side() {
        return Ok(());
    }
    let far_typed = order::far(typed, peer.is_none())?;
    let mut far = weigh(&far_typed)?;
    far.plan.links.munge = far_typed.munge_links;
    far.plan.links.unmunge = far_typed.munge_links;
    far.copy_as.clone_from(&far_typed.copy_as);
    far.insecure_links = far_typed.insecure_links;
    far.confine_root.clone_from(&far_typed.confine_root);
    let log = far_typed.reporting.log_file.clone();
    if let Some(peer) = peer {
        far.log = log.map(|path| LogFile {
            path,
            format: far_typed.reporting.log_file_format.clone(),
            unchanged: far_typed.reporting.itemize >= 2,
            entries: !options.dry_run,
        });
        far.plan.fakes = fakes(far_typed.fake_super, !peer.sends);
        // Who sends leaves the others out, for the receiving side does not take them.
        options.plan.links.safe |= far.plan.links.safe;
        options.far = Some(Box::new(far));
        return Ok(());
    }
    options.plan.links.munge = far_typed.munge_links;
    (options.plan.fakes.dest, options.plan.superuser) = (far_typed.fake_super, far_typed.plan.superuser);
    far.plan.fakes = options.plan.fakes;
    far.plan.links = session_links(&options.plan.links, &far.plan.links);
    let drops = options.plan.drop_nodes || far.plan.drop_nodes;
    (options.plan.drop_nodes, far.plan.drop_nodes) = (drops, drops);
    let removes = options.apply.remove_source_files;
    let text = |what: &str| UsageError::new(format!("--remote-option: {what}"));
    if far.plan != options.plan || far.apply.remove_source_files != removes {
        return Err(text("on one machine it takes only what concerns how files are written there"));
    }
    if far.insecure_links || far.confine_root.is_some() || far.copy_as.is_some() || log.is_some() {
        return Err(text("on one machine, give that option without it"));
    }
    options.apply = far.apply;
    Ok(())
}

/// The links of the far side with what is this side's own business left out of the comparison.
fn session_links(here: &crate::plan::Links, far: &crate::plan::Links) -> crate::plan::Links {
    crate::plan::Links { munge: here.munge, unmunge: here.unmunge, ..*far }
}
