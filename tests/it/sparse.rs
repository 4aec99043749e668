//! Holes are kept, and made where that was asked for, whichever rung moves the data.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use sluice::engine::{Holes, Outcome, Rung, Unpaced};

use crate::copy::{Place, copy, pattern};

const MIB: usize = 1 << 20;

/// A file of `len` bytes with 1 MiB of data at each of `data`, in MiB.
fn sparse_file(place: &Place, len: usize, data: &[usize]) -> (std::path::PathBuf, Vec<u8>) {
    let path = place.file("source", b"");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(len as u64).unwrap();
    let mut bytes = vec![0; len];
    for at in data {
        let part = pattern(MIB);
        file.write_all_at(&part, (at * MIB) as u64).unwrap();
        bytes[at * MIB..(at + 1) * MIB].copy_from_slice(&part);
    }
    (path, bytes)
}

fn allocated(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

fn copied_with_holes(place: &Place, len: usize, data: &[usize]) {
    let (src, bytes) = sparse_file(place, len, data);
    let copied = copy(&place.engine(), &src, len as u64, &place.target(), &Unpaced).unwrap();
    assert_eq!(copied.outcome, Outcome::Complete);
    assert!(fs::read(place.target()).unwrap() == bytes, "other bytes");
    let most = ((data.len() + 1) * MIB) as u64;
    assert!(allocated(&place.target()) < most, "{} of {most} allocated", allocated(&place.target()));
}

fn a_hole_at_the_start_is_kept(place: &Place) {
    copied_with_holes(place, 4 * MIB, &[3]);
}

fn a_hole_in_the_middle_is_kept(place: &Place) {
    copied_with_holes(place, 5 * MIB, &[0, 4]);
}

fn a_hole_at_the_end_is_kept(place: &Place) {
    copied_with_holes(place, 5 * MIB + 77, &[0]);
}

fn nothing_but_a_hole_is_kept(place: &Place) {
    copied_with_holes(place, 5 * MIB + 77, &[]);
}

fn a_hole_replaces_old_bytes_in_place(place: &Place) {
    place.file("target", &vec![0xff; 7 * MIB]);
    copied_with_holes(place, 5 * MIB + 77, &[1, 3]);
}

fn zeros_stay_data_unless_holes_are_asked_for(place: &Place) {
    let src = place.file("source", &vec![0; 2 * MIB]);
    let copied = copy(&place.engine(), &src, 2 * MIB as u64, &place.target(), &Unpaced).unwrap();
    assert_eq!(copied.bytes, 2 * MIB as u64);
}

fn runs_of_zeros_become_holes(place: &Place) {
    let mut bytes = pattern(3 * MIB + 77);
    bytes[MIB..2 * MIB].fill(0);
    bytes[3 * MIB - 4096..].fill(0);
    let src = place.file("source", &bytes);
    let engine = place.with(|p| p.holes = Holes::Make);
    let copied = copy(&engine, &src, bytes.len() as u64, &place.target(), &Unpaced).unwrap();
    assert_eq!((copied.bytes, copied.outcome), (2 * MIB as u64 - 4096, Outcome::Complete));
    assert!(fs::read(place.target()).unwrap() == bytes, "other bytes");
    assert!(allocated(&place.target()) < (2 * MIB + MIB / 2) as u64);
}

fn a_source_cut_in_its_zeros_is_told(place: &Place) {
    let src = place.file("source", &[0; 300_000]);
    let engine = place.with(|p| p.holes = Holes::Make);
    let copied = copy(&engine, &src, 900_000, &place.target(), &Unpaced).unwrap();
    assert_eq!(copied.outcome, Outcome::SourceShrank { at: 300_000 });
    assert_eq!(fs::read(place.target()).unwrap(), [0; 300_000]);
}

fn a_source_cut_in_its_last_hole_is_told(place: &Place) {
    let (src, bytes) = sparse_file(place, 3 * MIB, &[1]);
    let copied = copy(&place.engine(), &src, 5 * MIB as u64, &place.target(), &Unpaced).unwrap();
    assert_eq!(copied.outcome, Outcome::SourceShrank { at: 3 * MIB as u64 });
    assert!(fs::read(place.target()).unwrap() == bytes, "other bytes");
}

macro_rules! keeping {
    ($($rung:ident in $place:expr;)*) => { $(
        cases!($rung, $place, [
            a_hole_at_the_start_is_kept,
            a_hole_in_the_middle_is_kept,
            a_hole_at_the_end_is_kept,
            nothing_but_a_hole_is_kept,
            a_hole_replaces_old_bytes_in_place,
            zeros_stay_data_unless_holes_are_asked_for,
            a_source_cut_in_its_last_hole_is_told,
        ]);
    )* };
}

macro_rules! making {
    ($($rung:ident in $place:expr;)*) => { $(
        cases!($rung, $place, [runs_of_zeros_become_holes, a_source_cut_in_its_zeros_is_told]);
    )* };
}

mod kept {
    use super::*;
    keeping! {
        copy_file_range in Place::forced(Rung::CopyFileRange);
        sendfile in Place::forced(Rung::Sendfile);
        splice in Place::forced(Rung::Splice);
        buffered in Place::forced(Rung::Buffered);
        reflink_xfs in Place::reflinking("xfs");
        reflink_btrfs in Place::reflinking("btrfs");
    }
}

mod made {
    use super::*;
    making! {
        copy_file_range in Place::forced(Rung::CopyFileRange);
        sendfile in Place::forced(Rung::Sendfile);
        splice in Place::forced(Rung::Splice);
        buffered in Place::forced(Rung::Buffered);
    }
}
