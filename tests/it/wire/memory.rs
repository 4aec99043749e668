//! Hostile bytes cost neither a panic nor memory.
#![allow(clippy::print_stdout)] // the seed of a failure

use std::process::Command;

use sluice::wire::hello::{Features, Hello};
use sluice::wire::{FrameKind, Header, Message};

use super::{probe, samples};
use crate::random_cases::{Random, seeds};

fn payloads() -> Vec<Vec<u8>> {
    fn encoded<M: Message>(samples: Vec<(&'static str, M)>) -> impl Iterator<Item = Vec<u8>> {
        samples.into_iter().map(|(_, message)| {
            let mut payload = Vec::new();
            message.encode(&mut payload).unwrap();
            payload
        })
    }
    encoded(samples::to_server())
        .chain(encoded(samples::to_client()))
        .chain(encoded(samples::to_receiver()))
        .chain(encoded(samples::to_sender()))
        .collect()
}

/// Changes a few bytes: others, more, fewer, twice, or a number as large as can be.
pub fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.below(256) as u8),
            2 => drop(bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f])),
            3 => drop(bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])),
            4 => bytes.extend_from_within(at..),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
        bytes.truncate(4096);
    }
}

fn stream(payloads: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = Hello::ours(Features::NONE, [3; 32]).encode().to_vec();
    for _ in 0..random.below(8) {
        if random.one_in(4) {
            bytes.extend(Header::new(FrameKind::Data, 5).unwrap().encode());
            bytes.extend([1, 2, 3, 4, 5, 5, 0, 0, 0]);
        }
        let payload = &payloads[random.below(payloads.len())];
        bytes.extend(Header::new(FrameKind::Control, payload.len()).unwrap().encode());
        bytes.extend(payload);
    }
    bytes
}

#[test]
#[ignore = "run by the test below, in a process with little memory"]
fn hostile_bytes() {
    let payloads = payloads();
    for seed in seeds(20_000) {
        println!("SLUICE_TEST_SEED={seed}");
        let mut random = Random::new(seed);
        let mut payload = payloads[random.below(payloads.len())].clone();
        mutate(&mut payload, &mut random);
        probe::payload(&payload);
        let noise: Vec<u8> = (0..random.below(200)).map(|_| random.below(256) as u8).collect();
        probe::payload(&noise);
        let mut stream = stream(&payloads, &mut random);
        if random.one_in(2) {
            mutate(&mut stream, &mut random);
        }
        probe::stream(&stream);
    }
}

#[test]
fn hostile_bytes_are_refused_without_a_panic_within_little_memory() {
    // Address space, of which the threads of a test and their allocators take a part; one length believed
    // in a payload would be 4 GiB.
    let limited = "ulimit -v 400000 && exec \"$0\" \"$@\"";
    let run = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "wire::memory::hostile_bytes", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&run.stdout);
    let last = out.rfind("SLUICE_TEST_SEED=").map_or("no case was run", |at| &out[at..]);
    let last = last.lines().next().unwrap_or_default();
    assert!(
        run.status.success() && out.contains("1 passed"),
        "repeat with SLUICE_TEST_CASES=1 {last}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn a_full_list_of_a_message_takes_a_megabyte() {
    use sluice::wire::{listing::PART_ENTRIES, to_sender::TOLD_MAX};
    for (max, size) in [
        (PART_ENTRIES, size_of::<sluice::wire::Listed>()),
        (PART_ENTRIES, size_of::<sluice::event::Note>()),
        (PART_ENTRIES, size_of::<sluice::event::Problem>()),
        (TOLD_MAX, size_of::<sluice::event::Event>()),
    ] {
        assert!(max * size <= 1 << 20, "{max} of {size} bytes");
    }
}
