//! What a module says, or the defaults for those that follow.

use std::time::Duration;

use super::{Parameter, module};
use crate::daemon::access::Hosts;
use crate::daemon::config::settings::{Connections, Facility, Ids};
use crate::daemon::config::value::{Value, split};
use crate::daemon::config::{NO_DIR_MERGE, Template};
use crate::daemon::refuse::Refused;
use crate::daemon::users::UserRule;
use crate::plan::chmod;
use crate::plan::filter::RulesBuilder;
use crate::plan::veil::Veil;

pub const ALL: &[Parameter] = &[
    module(
        "path",
        "",
        |s, v| {
            let template = v.template();
            if v.raw.is_empty() {
                return Err("empty".into());
            }
            s.path = Some(template);
            Ok(())
        },
        "The directory that the module offers. Every module needs one. A `/./` in it says where a chroot begins: \
         `/srv/./pub` locks the connection into `/srv` and offers `pub`.\n\n\
         A symbolic link in the path is followed only if root, or the user who runs the daemon, owns it.",
    ),
    module(
        "comment",
        "none",
        |s, v| {
            s.comment = v.text()?;
            Ok(())
        },
        "A line about the module for those who list the modules.",
    ),
    module(
        "list",
        "yes",
        |s, v| {
            s.list = v.boolean()?;
            Ok(())
        },
        "Whether the module is listed. One that is not also pretends not to exist to addresses that may not use it.",
    ),
    module(
        "read only",
        "yes",
        |s, v| {
            s.read_only = v.boolean()?;
            Ok(())
        },
        "Whether the module refuses to be written to. `auth users` may say otherwise for single users. In a \
         module that is read only, the connection's process has no right to write at all: the kernel refuses, \
         not only sluice.",
    ),
    module(
        "write only",
        "no",
        |s, v| {
            s.write_only = v.boolean()?;
            Ok(())
        },
        "Whether the module refuses to be read from. Such a module will probably want `refuse options = delete`.",
    ),
    module(
        "uid",
        "nobody, if root runs the daemon",
        |s, v| {
            let uid = (!v.raw.is_empty()).then(|| v.template());
            s.ids = match std::mem::replace(&mut s.ids, Ids::Own) {
                Ids::Configured { gid, .. } => Ids::Configured { uid, gid },
                Ids::Own => Ids::Configured { uid, gid: None },
            };
            Ok(())
        },
        "The user as whom a connection works, by name or number. A name that the system does not know refuses \
         the connection. `%RSYNC_USER_NAME%` is the user who logged in. Unless root runs the daemon, a \
         module that names another user than its own refuses the connection.",
    ),
    module(
        "gid",
        "nogroup or nobody, if root runs the daemon",
        |s, v| {
            let environment = v.environment;
            let list: Vec<_> = split(v.raw).iter().map(|group| Template::parse(group, environment)).collect();
            let gid = (!list.is_empty()).then_some(list);
            s.ids = match std::mem::replace(&mut s.ids, Ids::Own) {
                Ids::Configured { uid, .. } => Ids::Configured { uid, gid },
                Ids::Own => Ids::Configured { uid: None, gid },
            };
            Ok(())
        },
        "The groups of a connection, by name or number. The first is the one that new files get; `*` in first \
         place stands for all groups of the `uid`.",
    ),
    module(
        "use chroot",
        "if possible",
        |s, v| {
            s.use_chroot = v.boolean_or_unset()?;
            Ok(())
        },
        "Whether the connection's process is locked into the module by chroot(2) as well. `yes` makes a failure \
         of it refuse the connection; without a value it is done when root runs the daemon. It is one wall of \
         several: a connection can reach nothing outside its module without it either (see CONFINEMENT).",
    ),
    module(
        "numeric ids",
        "yes with a chroot, else no",
        |s, v| {
            s.numeric_ids = v.boolean_or_unset()?;
            Ok(())
        },
        "Whether owners and groups go by number, as with --numeric-ids. Where they go by name, a connection can \
         read `/etc/passwd` and `/etc/group` besides its module; in a chroot it finds those of the chroot.",
    ),
    module(
        "open noatime",
        "as the client asks",
        |s, v| {
            s.open_noatime = v.boolean_or_unset()?;
            Ok(())
        },
        "Whether reading a file leaves its access time, as with --open-noatime.",
    ),
    module(
        "ignore nonreadable",
        "no",
        |s, v| {
            s.ignore_nonreadable = v.boolean()?;
            Ok(())
        },
        "Whether files and directories that the connection may not read do not exist for its clients. Otherwise they \
         are listed, and reading them is an error. What a client asks for by its name is an error in any case.",
    ),
    module(
        "munge symlinks",
        "yes, but for a module that is the root of its chroot",
        |s, v| {
            s.munge_symlinks = v.boolean_or_unset()?;
            Ok(())
        },
        "Whether symbolic links are stored so that they lead nowhere: with `/rsyncd-munged/` before their text. \
         Clients see them without it. sluice itself follows no link in a module whatever this says; it keeps \
         other programs from following what a client uploaded.",
    ),
    module(
        "fake super",
        "no",
        |s, v| {
            s.fake_super = v.boolean()?;
            Ok(())
        },
        "Whether owners, devices and what else only root could keep is written down in extended attributes \
         and read from there, as with --fake-super, so that the daemon need not be root. Clients cannot turn it \
         on or off.",
    ),
    module(
        "auth users",
        "everybody, without a password",
        |s, v| {
            let rules = v.list()?.iter().map(|rule| UserRule::parse(rule)).collect::<Result<Vec<_>, _>>()?;
            if rules.is_empty() {
                return Err("nobody is named; leave it out if the module needs no password".into());
            }
            s.auth_users = Some(rules);
            Ok(())
        },
        "Who may use the module, after giving a password of the `secrets file`. A list of names, apart by blanks \
         or commas; if it begins with a comma, only commas separate. A name may be a pattern (`*`, `?`, `[...]`). \
         `@group` means the users of this system in that group. Behind a name `:deny` refuses, `:ro` and `:rw` \
         let read only or write too, whatever `read only` says. The first that fits decides:\n\n\
         `auth users = joe:deny @guest:deny admin:rw @staff:ro susan`",
    ),
    module(
        "secrets file",
        "none",
        |s, v| {
            s.secrets_file = v.path()?;
            Ok(())
        },
        "The file of passwords: a line `user:password` or `@group:password` each. Everything behind the colon \
         counts, blanks at the end too; lines that begin with `#` do not. Of several lines for one name the \
         first counts. A group's password is for those whom a rule `@group` let in and who have no line of their \
         own. An empty password lets nobody in.",
    ),
    module(
        "strict modes",
        "yes",
        |s, v| {
            s.strict_modes = v.boolean()?;
            Ok(())
        },
        "Whether the `secrets file` is refused if others than its owner and group can read or write it, or if \
         root runs the daemon and does not own it.",
    ),
    module(
        "hosts allow",
        "every address",
        |s, v| {
            s.hosts_allow = Some(hosts(v)?);
            Ok(())
        },
        "Addresses that may use the module, apart by blanks or commas: an address (`192.0.2.7`, `2001:db8::7`), a \
         network (`192.0.2.0/24`, `192.0.2.0/255.255.255.0`, `2001:db8::/32`), or `*`. Names of hosts, patterns \
         of names and netgroups are refused: see DIFFERENCES.\n\n\
         Of `hosts allow` and `hosts deny`, `hosts allow` is asked first, and whoever is in it comes in. Then \
         whoever is in `hosts deny` does not. Whoever is in neither comes in if there is a `hosts deny`, or no \
         list at all.",
    ),
    module(
        "hosts deny",
        "none",
        |s, v| {
            s.hosts_deny = Some(hosts(v)?);
            Ok(())
        },
        "Addresses that may not use the module. See `hosts allow`.",
    ),
    module(
        "max connections",
        "0",
        |s, v| {
            s.max_connections = match v.integer(-1_000_000, 65_535)? {
                0 => Connections::Unlimited,
                n => u16::try_from(n).map_or(Connections::Off, Connections::AtMost),
            };
            Ok(())
        },
        "How many may use the module at once; 0 is any number, a negative one switches the module off. Modules \
         with the same `lock file` share what is the limit of each.",
    ),
    module(
        "lock file",
        "/run/sluiced.lock",
        |s, v| {
            s.lock_file = v.path()?.ok_or("empty")?;
            Ok(())
        },
        "The file in which connections are counted, for `max connections`.",
    ),
    module(
        "filter",
        "none",
        |s, v| {
            s.filter = v.text()?;
            written_here(&s.filter)
        },
        "Filter rules apart by blanks, as for --filter. What they leave out does not exist for clients: it is \
         neither sent nor replaced nor deleted. They are asked in this order: `filter`, `include from`, \
         `include`, `exclude from`, `exclude`. A pattern that begins with `/` begins at the module's root; to hide \
         a directory with all that is in it, write `- /secret/***`. Files that they merge are read for each \
         connection: one that cannot be used, as that of `include from` or `exclude from`, refuses the connections \
         to the module, and the log says why. `dir-merge` is not supported.",
    ),
    module(
        "include from",
        "none",
        |s, v| {
            s.include_from = v.path()?;
            Ok(())
        },
        "A file of patterns not to leave out, one a line.",
    ),
    module(
        "include",
        "none",
        |s, v| {
            s.include = v.text()?;
            Ok(())
        },
        "Patterns not to leave out, apart by blanks.",
    ),
    module(
        "exclude from",
        "none",
        |s, v| {
            s.exclude_from = v.path()?;
            Ok(())
        },
        "A file of patterns to leave out, one a line.",
    ),
    module(
        "exclude",
        "none",
        |s, v| {
            s.exclude = v.text()?;
            Ok(())
        },
        "Patterns to leave out, apart by blanks.",
    ),
    module(
        "incoming chmod",
        "none",
        |s, v| {
            s.incoming_chmod = changes(v)?;
            Ok(())
        },
        "Changes to the permissions of whatever is uploaded, as for --chmod, after everything else has been \
         decided.",
    ),
    module(
        "outgoing chmod",
        "none",
        |s, v| {
            s.outgoing_chmod = changes(v)?;
            Ok(())
        },
        "Changes to the permissions that clients are told.",
    ),
    module(
        "refuse options",
        "none",
        |s, v| {
            s.refused = Refused::parse(&v.words()?)?;
            Ok(())
        },
        "Options that a client may not use, apart by blanks: words, letters or patterns; one behind a `!` is \
         accepted again. The last that fits decides, so `* !a !v` accepts only -a and -v. Refusing `delete` \
         refuses every kind of deletion, and `a` whatever -a stands for. A pattern spares what everything depends \
         on (--dry-run, --from0, --secluded-args, --checksum-seed and the like), --out-format, --stop-after and --stop-at. An \
         option that means nothing here (-v, -W, --stats) is refused on the client's word, as rsync's daemon does it. --copy-devices and \
         --write-devices are refused unless accepted; --log-file always is.",
    ),
    module(
        "max verbosity",
        "1",
        |s, v| {
            s.max_verbosity = u8::try_from(v.integer(0, 9)?).unwrap_or(9);
            Ok(())
        },
        "How much a client may make the daemon tell with -v, --info and --debug.",
    ),
    module(
        "timeout",
        "0",
        |s, v| {
            let seconds = u64::try_from(v.integer(0, 1_000_000_000)?).unwrap_or(0);
            s.timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            Ok(())
        },
        "Seconds without a word from the client after which the connection ends; 0 leaves it to the client. Before \
         a client has logged in it has 10 seconds, whatever this says.",
    ),
    module(
        "dont compress",
        "the suffixes of --skip-compress",
        |s, v| {
            s.dont_compress = Some(v.words()?);
            Ok(())
        },
        "Patterns of names, in any case, of files that are sent without compression; `*` means all.",
    ),
    module(
        "ignore errors",
        "no",
        |s, v| {
            s.ignore_errors = v.boolean()?;
            Ok(())
        },
        "Whether deletion goes on where something could not be read. What was never listed is not deleted even so.",
    ),
    module(
        "log file",
        "standard error, else syslog",
        |s, v| {
            s.log_file = v.path()?;
            Ok(())
        },
        "The file to which events are appended, one a line. In a module it is for what happens in that module \
         once a client has been let in. A file that cannot be opened refuses the connection.",
    ),
    module(
        "syslog facility",
        "daemon",
        |s, v| {
            s.syslog_facility = Facility::named(&v.text()?).ok_or("no facility of syslog")?;
            Ok(())
        },
        "Under which heading syslog gets what no `log file` gets.",
    ),
    module(
        "syslog tag",
        "sluiced",
        |s, v| {
            s.syslog_tag = v.text()?;
            Ok(())
        },
        "The name before each message to syslog.",
    ),
    module(
        "transfer logging",
        "no",
        |s, v| {
            s.transfer_logging = v.boolean()?;
            Ok(())
        },
        "Whether each file that is transferred gets a line in the log.",
    ),
    module(
        "log format",
        "%o %h [%a] %m (%u) %f %l",
        |s, v| {
            s.log_format = v.raw.to_vec();
            Ok(())
        },
        "What that line says; the letters are those of --out-format in sluice(1), and `%a` and `%h` the client's \
         address, `%m` the module, `%P` its path, `%u` the user. `%VAR%` is not a variable here.",
    ),
];

fn hosts(value: &Value<'_>) -> Result<Vec<Hosts>, String> {
    let list = value.list()?;
    if list.is_empty() {
        return Err("empty; leave it out, or write *".into());
    }
    list.iter().map(|text| Hosts::parse(text)).collect()
}

fn changes(value: &Value<'_>) -> Result<Vec<chmod::Rule>, String> {
    let text = value.text()?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    chmod::parse(&text).map_err(|_| "not a list of changes as for --chmod".into())
}

/// Whether what a `filter` holds by itself are rules that a module can have; the files that it names are read later.
fn written_here(rules: &[u8]) -> Result<(), String> {
    let mut builder = RulesBuilder::new();
    builder.filter_words(rules, &mut |_| Ok(Vec::new())).map_err(|e| e.to_string())?;
    if Veil::understands(&builder.build(false)) { Ok(()) } else { Err(NO_DIR_MERGE.into()) }
}
