//! A line between two network namespaces that is slow, loses packets, or is pulled out in the middle.
//!
//! The namespaces are those of two processes, which die with the thread of their test; the line dies with them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::requirement::{Need, met, skip};
use crate::served::{file, tree};
use crate::under_test::{Run, binary, finish, is_sluice};

/// Long enough for any machine; whatever needs it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon's end of the line.
const ADDRESS: &str = "10.87.30.2";

/// A process that has a network namespace of its own.
struct Host(Child);

impl Host {
    fn new() -> Host {
        let mut holder = Command::new("setpriv");
        // It says so once it is in its namespace.
        holder.args(["--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo here; exec sleep 1000"]);
        let mut child = holder.stdout(Stdio::piped()).spawn().unwrap();
        let mut here = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut here).unwrap();
        Host(child)
    }

    /// A command to be run there.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([format!("--target={}", self.0.id()), "--net".into(), program.into()]);
        command
    }

    /// Runs a line of words there.
    fn run(&self, line: &str) -> Run {
        let (program, args) = line.split_once(' ').unwrap();
        let mut command = self.command(program);
        command.args(args.split(' '));
        finish(command)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Two hosts, `here/` in one and `there/` in the other, which a daemon serves.
struct Line {
    daemon: Child,
    near: Host,
    far: Host,
    dir: tempfile::TempDir,
}

impl Line {
    fn new() -> Option<Line> {
        let programs = ["ip", "tc", "nsenter", "unshare", "setpriv"].map(Need::Program);
        if !is_sluice() || !met(&[Need::Root]) || !met(&programs) {
            return None;
        }
        let (near, far) = (Host::new(), Host::new());
        let made = near.run(&format!("ip link add near type veth peer name far netns {}", far.0.id()));
        if made.code != 0 {
            skip(&format!("no veth here: {}", made.errors()));
            return None;
        }
        for (host, name, address) in [(&near, "near", "10.87.30.1"), (&far, "far", ADDRESS)] {
            host.run(&format!("ip addr add {address}/24 dev {name}")).expect(0);
            host.run(&format!("ip link set {name} up")).expect(0);
        }
        let dir = tempfile::tempdir().unwrap();
        for name in ["here/f", "there/f"] {
            file(dir.path(), name, "old");
        }
        let mut daemon = far.command("setpriv");
        daemon.args(["--pdeathsig", "KILL"]).arg(binary()).args(["--daemon", "--no-detach"]);
        daemon.args([format!("--address={ADDRESS}"), "--module=m=there,rw".into()]).current_dir(dir.path());
        let daemon = daemon.stderr(Stdio::null()).spawn().unwrap();
        let line = Line { daemon, near, far, dir };
        let began = Instant::now();
        while finish(line.client(&[&line.module()])).code != 0 {
            assert!(began.elapsed() < PATIENCE, "the daemon does not answer");
        }
        Some(line)
    }

    fn module(&self) -> String {
        format!("sluice://{ADDRESS}/m/")
    }

    /// A client on the near side.
    fn client(&self, args: &[&str]) -> Command {
        let mut command = self.near.command("timeout");
        command.args(["--signal=KILL", "120"]).arg(binary()).args(args).current_dir(self.dir.path());
        command
    }

    /// Has both directions shaped by the words of `tc qdisc`; whether the kernel can.
    fn shaped(&self, how: &str) -> bool {
        [(&self.near, "near"), (&self.far, "far")]
            .iter()
            .all(|(host, name)| host.run(&format!("tc qdisc replace dev {name} root {how}")).code == 0)
    }

    /// Bytes that have gone over the line towards `there`, or from there.
    fn moved(&self, name: &str) -> u64 {
        let host = if name == "near" { &self.near } else { &self.far };
        let told = host.run(&format!("ip -s -j link show {name}")).text();
        let sent = told.rsplit_once("\"tx\":{\"bytes\":").unwrap().1;
        sent.split(',').next().unwrap().parse().unwrap()
    }

    /// The operands of a push or pull.
    fn operands(&self, push: bool) -> [String; 2] {
        if push { ["here/".into(), self.module()] } else { [self.module(), "here/".into()] }
    }

    /// Nothing but `f`, as it was.
    #[track_caller]
    fn old(&self, tree_of: &str) {
        assert_eq!(tree(&self.dir.path().join(tree_of)), ["f: old"], "{tree_of}");
    }

    /// Waits until the daemon has no session any more.
    fn alone(&self) {
        let began = Instant::now();
        let children = format!("/proc/{0}/task/{0}/children", self.daemon.id());
        while !fs::read_to_string(&children).unwrap().trim().is_empty() {
            assert!(began.elapsed() < PATIENCE, "the daemon's child goes on");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ended = self.daemon.kill();
        let _reaped = self.daemon.wait();
    }
}

/// No zeros, and no two blocks alike.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| 1 + (at / 7 % 251) as u8).collect()
}

#[test]
fn a_line_that_is_pulled_out_ends_both_sides_in_time_and_leaves_nothing() {
    for push in [true, false] {
        let Some(line) = Line::new() else { return };
        let at = line.dir.path();
        let (from, to, sends) = if push { ("here", "there", "near") } else { ("there", "here", "far") };
        fs::write(at.join(from).join("f"), content(32 << 20)).unwrap();
        assert!(line.shaped("tbf rate 20mbit burst 64kb latency 200ms"));
        let [source, dest] = line.operands(push);
        let mut client = line.client(&["-a", "--timeout=2", &source, &dest]);
        let mut client = client.stderr(Stdio::piped()).spawn().unwrap();
        let (began, before) = (Instant::now(), line.moved(sends));
        while line.moved(sends) < before + (1 << 20) {
            assert!(began.elapsed() < PATIENCE, "nothing moves");
        }
        line.near.run("ip link set near down").expect(0);
        let pulled = Instant::now();
        let code = client.wait().unwrap().code();
        assert_eq!(code, Some(30), "push {push}");
        assert!(pulled.elapsed() < PATIENCE, "push {push}: after {:?}", pulled.elapsed());
        line.alone();
        line.old(to);
    }
}

#[test]
fn a_slow_line_takes_its_time_and_all_arrives() {
    let Some(line) = Line::new() else { return };
    let at = line.dir.path();
    assert!(line.shaped("tbf rate 40mbit burst 64kb latency 200ms"));
    for push in [true, false] {
        let (from, to) = if push { ("here", "there") } else { ("there", "here") };
        let name = format!("large-{push}");
        fs::write(at.join(from).join(&name), content(8 << 20)).unwrap();
        let [source, dest] = line.operands(push);
        let run = finish(line.client(&["-a", "--info=progress2", "--timeout=10", &source, &dest]));
        let shown: std::collections::BTreeSet<String> = run
            .expect(0)
            .text()
            .split(['\r', '\n', ' '])
            .filter(|word| word.ends_with('%'))
            .map(str::to_owned)
            .collect();
        assert!(shown.contains("100%"), "push {push}: {shown:?}");
        let [a, b] = [from, to].map(|tree| fs::read(at.join(tree).join(&name)).unwrap());
        assert!(a == b, "push {push}");
    }
}

/// A queue that holds a few packets loses the rest; `netem`, where the kernel has it, changes their order too.
#[test]
fn a_line_that_loses_packets_loses_no_file() {
    let Some(line) = Line::new() else { return };
    let at = line.dir.path();
    for number in 0..200 {
        file(at, &format!("here/small/{number}"), &number.to_string());
    }
    fs::write(at.join("here/large"), content(8 << 20)).unwrap();
    let before = fs::metadata(at.join("here/large")).unwrap();
    for how in ["tbf rate 60mbit burst 20kb limit 24kb", "netem loss 2% delay 4ms reorder 25%"] {
        if !line.shaped(how) {
            // No package brings it, so nothing is missing that could be there.
            eprintln!("SKIP: the kernel has no {how}");
            continue;
        }
        let _gone =
            fs::remove_dir_all(at.join("there/small")).and_then(|()| fs::remove_file(at.join("there/large")));
        for push in [true, false] {
            let [source, dest] = line.operands(push);
            finish(line.client(&["-a", "--timeout=20", &source, &dest])).expect(0);
        }
        assert!(tree(&at.join("here")) == tree(&at.join("there")), "{how}");
        assert_eq!(fs::metadata(at.join("there/large")).unwrap().mtime(), before.mtime(), "{how}");
    }
}

/// Nothing of all this is left when a test ends, in whatever way.
#[test]
fn hosts_are_gone_with_their_test() {
    let Some(line) = Line::new() else { return };
    let pids = [line.near.0.id(), line.far.0.id(), line.daemon.id()];
    let ended = std::thread::spawn(move || {
        let _line = line;
        panic!("on purpose");
    });
    assert!(ended.join().is_err());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}/exe")).exists(), "{pid}");
    }
}
