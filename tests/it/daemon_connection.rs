//! The daemon over real sockets on loopback: who is let in, and what the process behind it can do.
//!
//! The protocol is a stand-in with lines of text; the rest is the daemon's own. The listener and each
//! connection are processes of their own: this test binary, run again.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sluice::auth::{Client, Password, Transcript};
use sluice::daemon::config::Config;
use sluice::daemon::connection::{self, Outcome};
use sluice::daemon::conversation::{Conversation, Listed, ModuleSession, Refusal, Request};
use sluice::daemon::limits::Limits;
use sluice::daemon::listener::{LET_IN, LOGIN_FAILED, Listener, Signals, bind};
use sluice::daemon::log::Log;
use sluice::path::Name;
use sluice::process::inherited;

use crate::alone;
use crate::requirement::{Need, met};

const CONF: &str = "SLUICE_TEST_CONF";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}

/// The stand-in: a line each way.
struct Lines {
    stream: TcpStream,
    deadline: Instant,
}

impl Lines {
    fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut byte = [0];
            match self.stream.read(&mut byte) {
                Ok(0) => return Err("the peer went away".into()),
                Ok(_) if byte[0] == b'\n' => return String::from_utf8(line).map_err(|e| e.to_string()),
                Ok(_) => line.push(byte[0]),
                Err(e) => return Err(format!("receive: {e}")),
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<(), String> {
        self.stream.write_all(format!("{text}\n").as_bytes()).map_err(|e| e.to_string())
    }
}

fn transcript(module: &[u8], user: &[u8]) -> Transcript {
    Transcript::new(b"client", b"server", module, user)
}

impl Conversation for Lines {
    fn request(&mut self, motd: &[u8]) -> Result<Request, String> {
        self.say(&format!("motd {}", String::from_utf8_lossy(motd).trim_end()))?;
        let line = self.line()?;
        match line.split_once(' ') {
            Some(("module", name)) => Ok(Request::Module(name.into())),
            _ if line == "list" => Ok(Request::List),
            _ => Err("it speaks something else".into()),
        }
    }

    fn list(&mut self, modules: &[Listed<'_>]) -> Result<(), String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all: Vec<String> =
            modules.iter().map(|m| format!("{}={}", text(m.name), text(m.comment))).collect();
        self.say(&all.join(";"))
    }

    fn refuse(&mut self, refusal: &Refusal) {
        let _gone = self.say(&format!("refused {refusal}"));
    }

    fn challenge(&mut self) -> Result<Vec<u8>, String> {
        self.say("who")?;
        unhex(&self.line()?).ok_or("no message".into())
    }

    fn transcript(&self, module: &[u8], user: &[u8]) -> Transcript {
        transcript(module, user)
    }

    fn answer(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        self.say(&hex(message))?;
        unhex(&self.line()?).ok_or("no message".into())
    }

    fn serve(mut self: Box<Self>, session: ModuleSession) -> Result<(), String> {
        let mut names = Vec::new();
        let listed =
            session.root.list(|name, _| names.push(String::from_utf8_lossy(name.as_bytes()).into_owned()));
        names.sort();
        let made = session.root.make_dir(&Name::parse(b"made").unwrap()).is_ok();
        let user = session.user.map(|user| String::from_utf8(user).unwrap()).unwrap_or_default();
        let key = session.key.map(|key| hex(key.bytes())).unwrap_or_default();
        let (ro, uid) = (session.rules.read_only, sluice::process::ids::own_uid());
        self.say(&format!(
            "served names={} listed={} ro={ro} made={made} user={user} uid={uid} key={key}",
            names.join(","),
            listed.is_ok()
        ))?;
        // Until the client has seen enough.
        let _end = self.line();
        Ok(())
    }
}

#[test]
fn connection_child() {
    alone::if_child("daemon_connection::connection_child", || {
        let conf = std::env::var_os(CONF).unwrap();
        let config = Config::load(&conf, &|_| None, &[]).unwrap();
        let connection = inherited::connection().unwrap().expect("no connection");
        let let_in = || drop(std::io::stdout().write_all(&[LET_IN]).and_then(|()| std::io::stdout().flush()));
        let begin = |connection: inherited::Connection, deadline| {
            Box::new(Lines { stream: connection.output.into(), deadline }) as Box<dyn Conversation>
        };
        match connection::handle(connection, &config, &begin, true, &let_in) {
            Outcome::LoginFailed => LOGIN_FAILED,
            Outcome::Served | Outcome::Failed => 0,
        }
    });
}

#[test]
fn listener_child() {
    alone::if_child("daemon_connection::listener_child", || {
        let conf = std::env::var_os(CONF).unwrap();
        let config = Config::load(&conf, &|_| None, &[]).unwrap();
        let sockets = bind(Some("127.0.0.1".parse().unwrap()), 0).unwrap();
        let signals = Signals::register().unwrap();
        let port = sockets[0].local_addr().unwrap().port();
        let mut out = std::io::stdout();
        out.write_all(format!("\nlistening {} {port}\n", std::process::id()).as_bytes()).unwrap();
        out.flush().unwrap();
        let log = Log::open(&config.defaults, true).unwrap();
        let command = || {
            let mut command = alone::command("daemon_connection::connection_child");
            command.env(CONF, &conf);
            command
        };
        let limits = Limits { all: 20, strangers: 5, strangers_of_one_source: 3 };
        let unheard = b"not heard\n".to_vec();
        let mut again = || "configuration read again".to_owned();
        let listener = Listener { sockets, command: &command, limits, log: &log, unheard, again: &mut again };
        listener.run(&signals).unwrap();
        0
    });
}

/// A running daemon; ends with the test.
struct Daemon {
    scratch: tempfile::TempDir,
    runner: Child,
    listener: Pid,
    port: u16,
}

impl Daemon {
    /// Starts one; `@` in the configuration is its scratch directory, where `mod` is a module's directory.
    fn start(configuration: &str) -> Daemon {
        let scratch = tempfile::tempdir().unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir(at("mod")).unwrap();
        fs::set_permissions(at("mod"), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(at("mod/file"), "text").unwrap();
        fs::write(at("secrets"), "ann:right\nkim:other\n").unwrap();
        fs::set_permissions(at("secrets"), fs::Permissions::from_mode(0o600)).unwrap();
        let text = configuration.replace('@', scratch.path().to_str().unwrap());
        fs::write(at("conf"), format!("log file = {}\n{text}", at("log").display())).unwrap();
        let mut command = alone::command("daemon_connection::listener_child");
        let mut runner = command.env(CONF, at("conf")).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(runner.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line =
            lines.into_iter().find_map(|line| line.strip_prefix("listening ").map(str::to_owned)).unwrap();
        let (pid, port) = line.split_once(' ').unwrap();
        Daemon { runner, listener: Pid::from_raw(pid.parse().unwrap()), port: port.parse().unwrap(), scratch }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn connect(&self) -> Lines {
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).unwrap();
        Lines { stream, deadline: Instant::now() + Duration::from_secs(20) }
    }

    /// What a client hears that asks for `module`, without a password.
    fn ask(&self, module: &str) -> String {
        let mut client = self.connect();
        client.line().unwrap();
        client.say(&format!("module {module}")).unwrap();
        client.line().unwrap_or_else(|e| e)
    }

    /// A login, to the end or to where one side gave up: what the client has heard last, and its own key.
    fn login(&self, module: &str, user: &str, password: &str) -> (String, String) {
        let mut client = self.connect();
        client.line().unwrap();
        client.say(&format!("module {module}")).unwrap();
        let heard = client.line().unwrap();
        if heard != "who" {
            return (heard, String::new());
        }
        let password = Password::new(password.into()).unwrap();
        let user = user.as_bytes();
        let (state, first) = Client::start(user, password, transcript(module.as_bytes(), user)).unwrap();
        client.say(&hex(&first)).unwrap();
        let second = unhex(&client.line().unwrap()).unwrap();
        match state.finish(&second) {
            Ok((key, third)) => {
                client.say(&hex(&third)).unwrap();
                (client.line().unwrap_or_else(|e| e), hex(key.bytes()))
            }
            Err(e) => (e.to_string(), String::new()),
        }
    }

    /// The log, once `what` is in it.
    #[track_caller]
    fn logged(&self, what: &str) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let text = fs::read_to_string(self.at("log")).unwrap_or_default();
            if text.contains(what) {
                return text;
            }
            assert!(Instant::now() < end, "{what:?} is not in the log:\n{text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = kill(self.listener, Signal::SIGTERM);
        let _waited = self.runner.wait();
    }
}

/// The tests start daemons that change users.
fn root() -> bool {
    met(&[Need::Root])
}

#[test]
fn a_module_is_served_by_nobody_in_it_and_to_it_only() {
    if !root() {
        return;
    }
    let daemon = Daemon::start("[m]\npath = @/mod\n[w]\npath = @/mod\nread only = no\n");
    assert_eq!(daemon.ask("m"), "served names=file listed=true ro=true made=false user= uid=65534 key=");
    assert_eq!(daemon.ask("w"), "served names=file listed=true ro=false made=true user= uid=65534 key=");
    daemon.logged("module \"w\" for 127.0.0.1: user 65534, chroot, read and write, Landlock");
}

#[test]
fn the_list_has_comments_the_message_of_the_day_and_no_hidden_module() {
    if !root() {
        return;
    }
    let daemon = Daemon::start(
        "motd file = @/secrets\n[a b]\npath=@/mod\ncomment=one\n[hidden]\npath=@/mod\nlist=no\n[c]\npath=@/mod\n",
    );
    let mut client = daemon.connect();
    assert_eq!(client.line().unwrap(), "motd ann:right");
    client.line().unwrap();
    client.say("list").unwrap();
    assert_eq!(client.line().unwrap(), "a b=one;c=");
}

#[test]
fn addresses_that_may_not_are_told_so_or_nothing() {
    if !root() {
        return;
    }
    let daemon = Daemon::start(
        "hosts allow = 10.0.0.0/8\n[shown]\npath=@/mod\n[hidden]\npath=@/mod\nlist=no\n[open]\npath=@/mod\nhosts allow=127.0.0.0/8\n",
    );
    assert_eq!(daemon.ask("shown"), "refused access denied to module \"shown\"");
    assert_eq!(daemon.ask("hidden"), "refused unknown module \"hidden\"");
    assert_eq!(daemon.ask("other\x1b"), "refused unknown module \"other\\#033\"");
    assert!(daemon.ask("open").starts_with("served"));
    daemon.logged("access denied to module \"hidden\" from 127.0.0.1");
}

#[test]
fn a_password_gives_both_ends_the_same_key_and_the_rights_of_its_rule() {
    if !root() {
        return;
    }
    let daemon = Daemon::start("[m]\npath=@/mod\nauth users = ann:rw kim joe\nsecrets file=@/secrets\n");
    let (served, key) = daemon.login("m", "ann", "right");
    assert!(served.contains("ro=false made=true user=ann") && served.ends_with(&format!("key={key}")));
    let (served, _) = daemon.login("m", "kim", "other");
    assert!(served.contains("ro=true made=false user=kim"), "{served}");
}

#[test]
fn a_wrong_password_and_a_stranger_look_the_same_and_soon_cost_time() {
    if !root() {
        return;
    }
    let daemon = Daemon::start("[m]\npath=@/mod\nauth users = ann joe\nsecrets file=@/secrets\n");
    for (user, password) in [("ann", "wrong"), ("stranger", "right"), ("joe", "right"), ("kim", "other")] {
        assert_eq!(daemon.login("m", user, password).0, "authentication failed", "{user}");
    }
    let log = daemon.logged("for user \"kim\"");
    assert!(log.contains("for user \"ann\" (wrong password)") && log.contains("(no rule lets this user in)"));
    assert!(!log.contains("right"), "no password in the log");
    // Four failures: the next connection from there is not heard, and told so.
    let end = Instant::now() + Duration::from_secs(20);
    while daemon.connect().line().unwrap() != "not heard" {
        assert!(Instant::now() < end);
    }
    daemon.logged("turned away: too many failed logins from there");
}

#[test]
fn secrets_that_others_can_read_let_nobody_in() {
    if !root() {
        return;
    }
    let daemon = Daemon::start("[m]\npath=@/mod\nauth users = ann\nsecrets file=@/secrets\n");
    fs::set_permissions(daemon.at("secrets"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(daemon.login("m", "ann", "right").0, "authentication failed");
    daemon.logged("others may read or write it");
}

#[test]
fn no_more_connections_are_served_than_the_module_allows() {
    if !root() {
        return;
    }
    let daemon = Daemon::start(
        "lock file=@/lock\nmax connections=2\n[m]\npath=@/mod\n[off]\npath=@/mod\nmax connections=-1\n",
    );
    let open = || {
        let mut client = daemon.connect();
        client.line().unwrap();
        client.say("module m").unwrap();
        let heard = client.line().unwrap();
        (client, heard)
    };
    let (first, one) = open();
    let (_second, two) = open();
    assert!(one.starts_with("served") && two.starts_with("served"));
    assert!(open().1.starts_with("refused all connections are taken"));
    assert!(daemon.ask("off").starts_with("refused all connections are taken"));
    drop(first);
    let end = Instant::now() + Duration::from_secs(20);
    while !open().1.starts_with("served") {
        assert!(Instant::now() < end, "the place stays taken");
    }
}

#[test]
fn what_is_wrong_on_this_side_is_for_the_log_only() {
    if !root() {
        return;
    }
    let daemon = Daemon::start("[gone]\npath=@/nowhere\n[who]\npath=@/mod\nuid = no-such-user-as-this\n");
    let heard = daemon.ask("gone");
    assert!(heard.starts_with("refused module \"gone\" cannot be served now") && !heard.contains("nowhere"));
    daemon.logged("nowhere\": No such file or directory");
    assert!(daemon.ask("who").starts_with("refused module \"who\" cannot be served now"));
    daemon.logged("no user \"no-such-user-as-this\"");
}

#[test]
fn a_silent_client_is_gone_after_its_time_and_strangers_are_few() {
    if !root() {
        return;
    }
    let daemon = Daemon::start("[m]\npath=@/mod\n");
    let mut silent: Vec<Lines> = (0..3).map(|_| daemon.connect()).collect();
    silent.iter_mut().for_each(|client| drop(client.line().unwrap()));
    assert!(daemon.connect().line().is_err(), "a fourth stranger from one address");
    daemon.logged("turned away: too many connections from there");
    // One that speaks gets through the login and is no stranger then.
    silent[0].say("module m").unwrap();
    assert!(silent[0].line().unwrap().starts_with("served"));
    let end = Instant::now() + Duration::from_secs(20);
    while daemon.connect().line().is_err() {
        assert!(Instant::now() < end);
    }
    assert!(silent[1].line().is_err(), "cut off when its time was over");
    daemon.logged("receive: ");
}

#[test]
fn hangup_reads_the_configuration_and_term_ends_the_listener_but_no_session() {
    if !root() {
        return;
    }
    let mut daemon = Daemon::start("[m]\npath=@/mod\n");
    let mut client = daemon.connect();
    client.line().unwrap();
    client.say("module m").unwrap();
    assert!(client.line().unwrap().starts_with("served"));
    kill(daemon.listener, Signal::SIGHUP).unwrap();
    daemon.logged("configuration read again");
    kill(daemon.listener, Signal::SIGTERM).unwrap();
    assert!(daemon.runner.wait().unwrap().success());
    assert!(TcpStream::connect(("127.0.0.1", daemon.port)).is_err());
    client.say("still here").unwrap();
}
