//! sluice: file sync with rsync's command line that leaves the bytes in the kernel.
//!
//! This page is the guided tour. The program is `main.rs`, which calls [`cli::run`] and nothing else;
//! everything it does is in this library, which prints nothing itself: what there is to tell goes up
//! as an [`event::Event`].
//!
//! # Floors
//!
//! A room imports only rooms below it (`tests/it/floors.rs` fails on anything else).
//!
//! | floor | room | what it is |
//! |---|---|---|
//! | 0 | [`sys`] | one file per kernel call: retries `EINTR`, no policy, no output; the only unsafe code |
//! | 1 | [`path`] | names, held directories, temp files, attributes: what may be touched, as values |
//! | 1 | [`process`] | user, capabilities, limits: what a process gives away for good |
//! | 2 | [`engine`] | moves and hashes bytes between open descriptors; never sees a path |
//! | 2 | [`auth`] | logs in with a password that never crosses the wire |
//! | 3 | [`plan`] | two trees in, ordered decisions out; changes nothing |
//! | 4 | [`apply`] | one decision becomes one result: file, node, backup, removal |
//! | 4 | [`wire`] | frames and messages between two processes; parsing only, no I/O |
//! | 5 | [`session`] | the conversation of sender and receiver; here, both in one process |
//! | 5 | [`daemon`] | configuration, listener, access, confinement of a connection |
//! | 6 | [`cli`] | options, operands, progress, reports, exit status; the only terminal and environment |
//!
//! [`event`] lies beside them: what a run tells, as values, for every floor from the third up.
//!
//! # The life of one file
//!
//! 1. [`cli::parse`](fn@cli::parse) makes options of what was typed, and [`session::local::run`] begins.
//!    [`session::selection::select`] walks each operand once ([`path::operand::resolve`]) and holds the
//!    directory that it leads to; [`session::destination::destination`] does so for the other side. From
//!    here on nothing is looked up by a path that has more than one component.
//! 2. [`plan::ahead::Ahead`] goes through both trees on a few threads. For each directory
//!    [`plan::visit::visit`] reads the source's names ([`plan::listing::list`]), asks the filter rules
//!    ([`plan::filter::Scope::check`]) and looks at what the destination has ([`path::Dir::stat_if_any`]).
//! 3. [`plan::compare::decide`] compares size and time, or content with `-c`, and says what is to be done:
//!    a [`plan::compare::Decision`]. [`plan::basis::Search`] asks the basis directories (`--link-dest`) too. [`plan::surplus::find`] names what only the destination has.
//! 4. The thread that called [`session::local::run`] takes the decisions in rsync's order, makes
//!    directories, deletes, places hard links in their groups ([`plan::links::Groups::place`]), and queues
//!    the rest in batches for the workers (`--jobs`). A dry run stops here and tells what it would do.
//! 5. A worker opens the source ([`path::Dir::open_file`]) and makes a file without a name beside the
//!    target ([`path::TempFile::create`]): [`apply::Applier::transfer`] is this step and all up to the eighth.
//! 6. [`engine::Engine::copy`] moves the bytes down the ladder ([`engine::Rung`]): reflink,
//!    `copy_file_range`, `sendfile`, `splice`, and read and write last; holes stay holes. Each step is
//!    counted in the [`engine::Ledger`] and lets the run be stopped or slowed ([`engine::Pace`]).
//! 7. With `--verify`, [`engine::Engine::digest`] hashes what was stored and what the source holds. Then
//!    owner, mode and time are set through the descriptor, never by name.
//! 8. What is to be replaced is backed up if that was asked for, and [`path::TempFile::commit`] gives the
//!    file its name, in one step: whoever looks sees the old file or the new one.
//! 9. [`session::order::Sequencer::deliver`] puts what the workers tell back into plan order and passes it
//!    to the [`event::Observer`], which is [`cli::report::Reporter`]: a line, a row of JSON, a bar.
//! 10. When the last file below a directory is done, the directory gets its own attributes
//!     ([`apply::Applier::finish_dir`]). [`cli::exit::Status`] says how it all went.
//!
//! The reasons behind this are in `docs/`: `data-path.md`, `confinement.md`, `security.md`, `protocol.md`, `differences.md`,
//! `testing.md`.
#![allow(clippy::missing_errors_doc)]

pub mod event;

pub mod sys;

pub mod auth;
pub mod engine;
pub mod path;
pub mod process;

pub mod plan;

pub mod apply;

pub mod wire;

pub mod daemon;
pub mod session;

pub mod cli;
