//! Both roles in one process: the bytes go from descriptor to descriptor.
//!
//! The operands are resolved and held ([`selection`]); what must be refused is refused here. Then the
//! sources are listed, or received (`session::receiver`).

use super::order::Sequencer;
use super::pace::Pacer;
use super::receiver::Receiver;
use super::{Options, Summary, mounts, selection};
use crate::engine::Engine;
use crate::event::{Meter, Observer};
use crate::path::held::Budget;
use crate::path::operand;
use crate::plan::owners::Owners;

/// Runs a local transfer (or listing) and tells `observer` about it in plan order.
///
/// # Errors
///
/// The operands or options can never be right: a message for the user; nothing was touched, exit 1.
pub fn run(options: &Options, meter: &Meter, observer: &dyn Observer) -> Result<Summary, String> {
    let budget = Budget::new(operand::raise_descriptor_limit());
    let mut selection = selection::select(options, &budget)?;
    mounts::guard(options, &mut selection);
    let engine = Engine::new(options.engine);
    let pacer = Pacer::new(meter, options.apply.bwlimit, options.deadline);
    let order = Sequencer::new(observer, meter);
    let (owners, notes) = Owners::new(&options.plan, true);
    selection.notes.extend(notes);
    let run = Receiver {
        options,
        plan: &options.plan,
        budget,
        engine: &engine,
        pacer: &pacer,
        order: &order,
        meter,
        owners: &owners,
        peer: None,
    };
    let ended = run.begin(selection);
    let (stats, worst) = order.totals();
    Ok(Summary { stats, ledger: engine.ledger().snapshot(), worst, ended, traffic: None })
}
