//! `--version`, and `-VV` in the shape of rsync's.

use serde::Serialize;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const LICENSE: &str = env!("CARGO_PKG_LICENSE");

/// `sluice --version`.
#[must_use]
pub fn plain() -> String {
    format!("sluice {VERSION}\n{}\nLicense: {LICENSE}\n", env!("CARGO_PKG_DESCRIPTION"))
}

/// The highest version of the protocol that this program speaks (`crate::wire::VERSIONS`).
const PROTOCOL: &str = "1";

#[derive(Serialize)]
struct Version {
    program: &'static str,
    version: &'static str,
    protocol: Option<&'static str>,
    capabilities: Capabilities,
    optimizations: Optimizations,
    checksum_list: [&'static str; 1],
    compress_list: [&'static str; 2],
    daemon_auth_list: [&'static str; 0],
    license: &'static str,
}

/// What this build can do. The names up to `crtimes` are rsync's.
#[derive(Serialize)]
#[allow(non_snake_case, clippy::struct_excessive_bools)] // rsync's names; scripts look for them
struct Capabilities {
    file_bits: u8,
    inum_bits: u8,
    timestamp_bits: u8,
    long_int_bits: u8,
    socketpairs: bool,
    symlinks: bool,
    symtimes: bool,
    hardlinks: bool,
    hardlink_specials: bool,
    hardlink_symlinks: bool,
    IPv6: bool,
    atimes: bool,
    batchfiles: bool,
    inplace: bool,
    append: bool,
    ACLs: bool,
    xattrs: bool,
    secluded_args: bool,
    iconv: bool,
    prealloc: bool,
    stop_at: bool,
    crtimes: bool,
    remote: bool,
    reflink: bool,
    verify: bool,
    json: bool,
}

/// The kernel's ways of moving bytes that the ladder knows, best first.
#[derive(Serialize)]
struct Optimizations {
    reflink: bool,
    copy_file_range: bool,
    sendfile: bool,
    splice: bool,
}

/// `sluice -VV`: one JSON object.
///
/// # Errors
///
/// None that can happen: every field has a fixed type.
pub fn json() -> serde_json::Result<String> {
    let version = Version {
        program: "sluice",
        version: VERSION,
        protocol: Some(PROTOCOL),
        capabilities: Capabilities {
            file_bits: 64,
            inum_bits: 64,
            timestamp_bits: 64,
            long_int_bits: 64,
            socketpairs: false,
            symlinks: true,
            symtimes: true,
            hardlinks: true,
            hardlink_specials: true,
            hardlink_symlinks: true,
            IPv6: true,
            atimes: true,
            batchfiles: true,
            inplace: true,
            append: true,
            ACLs: true,
            xattrs: true,
            secluded_args: true,
            iconv: false,
            prealloc: true,
            stop_at: true,
            crtimes: false,
            remote: true,
            reflink: true,
            verify: true,
            json: true,
        },
        optimizations: Optimizations { reflink: true, copy_file_range: true, sendfile: true, splice: true },
        checksum_list: ["blake3"],
        compress_list: super::compress::CHOICES,
        daemon_auth_list: [],
        license: LICENSE,
    };
    serde_json::to_string_pretty(&version).map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_no_to_what_is_not_there() {
        let value: serde_json::Value = serde_json::from_str(&json().unwrap()).unwrap();
        assert_eq!(value["program"], "sluice");
        assert_eq!(value["capabilities"]["iconv"], false);
        assert_eq!(value["capabilities"]["file_bits"], 64);
    }
}
