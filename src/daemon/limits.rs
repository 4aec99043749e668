//! How many connections strangers may have, and how fast they may guess.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::log::Log;

/// How many connections there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// At once.
    pub all: usize,
    /// Of them, not let in yet.
    pub strangers: usize,
    /// Of those, from one IPv4 address, or one IPv6 network of 64 bits.
    pub strangers_of_one_source: usize,
}

impl Limits {
    /// Whether one more connection from `source` is within the limits, given the source of each that there
    /// is, and whether its client has been let in.
    ///
    /// # Errors
    ///
    /// Why it is not; for the log.
    pub fn admit(
        &self,
        connections: impl Iterator<Item = (IpAddr, bool)>,
        source: IpAddr,
    ) -> Result<(), &'static str> {
        let (mut all, mut strangers, mut of_source) = (0, 0, 0);
        for (from, let_in) in connections {
            all += 1;
            strangers += usize::from(!let_in);
            of_source += usize::from(!let_in && from == source);
        }
        if all >= self.all {
            Err("too many connections")
        } else if strangers >= self.strangers {
            Err("too many connections that have not logged in")
        } else if of_source >= self.strangers_of_one_source {
            Err("too many connections from there that have not logged in")
        } else {
            Ok(())
        }
    }
}

impl Default for Limits {
    /// A guess: a machine that is asked for more is being flooded.
    fn default() -> Limits {
        Limits { all: 512, strangers: 100, strangers_of_one_source: 10 }
    }
}

/// What counts as one source: an IPv4 address; in IPv6, where anybody has many, the network.
#[must_use]
pub fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Sources whose logins failed, and until when they are not heard: guesses are not to come fast.
#[derive(Default)]
pub struct Penalties {
    failures: HashMap<IpAddr, (u32, Instant)>,
}

impl Penalties {
    /// Failures that cost nothing: people mistype.
    const FREE: u32 = 3;

    /// The longest penalty.
    const LONGEST: Duration = Duration::from_secs(30);

    /// How long after the end of a penalty a source is forgotten.
    const MEMORY: Duration = Duration::from_secs(300);

    /// The most sources that are remembered. A guess: some megabytes.
    const MOST: usize = 50_000;

    /// Another login from `source` failed.
    pub fn failed(&mut self, source: IpAddr, now: Instant) {
        if self.failures.len() >= Penalties::MOST {
            self.failures.retain(|_, (_, until)| *until + Penalties::MEMORY > now);
        }
        if self.failures.len() >= Penalties::MOST {
            return;
        }
        let (count, until) = self.failures.entry(source).or_insert((0, now));
        *count = count.saturating_add(1);
        let seconds = 1u64 << count.saturating_sub(Penalties::FREE).min(10);
        if *count > Penalties::FREE {
            *until = now + Duration::from_secs(seconds).min(Penalties::LONGEST);
        }
    }

    /// Whether `source` is heard now.
    ///
    /// # Errors
    ///
    /// Why not; for the log.
    pub fn check(&mut self, source: IpAddr, now: Instant) -> Result<(), &'static str> {
        match self.failures.get(&source) {
            Some((_, until)) if *until > now => Err("too many failed logins from there"),
            Some((_, until)) if *until + Penalties::MEMORY < now => {
                self.failures.remove(&source);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Tells of connections that were turned away, but not of so many that the log fills up.
#[derive(Default)]
pub struct TurnedAway {
    recent: VecDeque<Instant>,
    untold: u64,
}

impl TurnedAway {
    /// Lines in a second.
    const MOST: usize = 5;

    /// One more, from `peer`.
    pub fn tell(&mut self, log: &Log, peer: IpAddr, why: &str) {
        let now = Instant::now();
        while self.recent.front().is_some_and(|at| now.duration_since(*at) > Duration::from_secs(1)) {
            self.recent.pop_front();
        }
        if self.recent.len() >= TurnedAway::MOST {
            self.untold += 1;
            return;
        }
        self.recent.push_back(now);
        let more = match std::mem::take(&mut self.untold) {
            0 => String::new(),
            n => format!(" ({n} more were turned away before)"),
        };
        log.line(&format!("connection from {peer} turned away: {why}{more}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_take_no_places_from_those_who_logged_in() {
        let limits = Limits { all: 5, strangers: 3, strangers_of_one_source: 2 };
        let from = |ip: &str| source(ip.parse().unwrap());
        let mut there = vec![(from("192.0.2.1"), false), (from("192.0.2.1"), false)];
        let may = |there: &[(IpAddr, bool)], ip: &str| limits.admit(there.iter().copied(), from(ip)).is_ok();
        assert!(!may(&there, "192.0.2.1") && !may(&there, "::ffff:192.0.2.1"));
        assert!(may(&there, "192.0.2.2"));
        there[0].1 = true;
        assert!(may(&there, "192.0.2.1"));
        there.extend([(from("2001:db8::1"), false), (from("2001:db8::2"), false)]);
        assert!(!may(&there, "192.0.2.3"), "three strangers");
        there.iter_mut().for_each(|(_, let_in)| *let_in = true);
        assert!(may(&there, "2001:db8::3"));
        there.push((from("192.0.2.1"), true));
        assert!(!may(&there, "192.0.2.9"), "five in all");
    }

    #[test]
    fn failed_logins_cost_more_and_more_time_and_are_forgotten() {
        let mut penalties = Penalties::default();
        let (bad, good) = (source("192.0.2.1".parse().unwrap()), source("192.0.2.2".parse().unwrap()));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        (0..3).for_each(|_| penalties.failed(bad, start));
        assert!(penalties.check(bad, at(0)).is_ok(), "three are free");
        penalties.failed(bad, start);
        assert!(penalties.check(bad, at(1)).is_err() && penalties.check(bad, at(3)).is_ok());
        (0..40).for_each(|_| penalties.failed(bad, start));
        assert!(penalties.check(bad, at(29)).is_err() && penalties.check(bad, at(31)).is_ok());
        assert!(penalties.check(good, at(0)).is_ok());
        assert!(penalties.check(bad, at(1000)).is_ok() && penalties.failures.is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let source = |ip: &str| source(ip.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
