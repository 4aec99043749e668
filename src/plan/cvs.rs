//! What `-C` leaves out: the names that cvs(1) ignores.

/// The names of rsync(1), `--cvs-exclude`, delimited by white space.
pub const DEFAULT: &[u8] = b"RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo \
    *~ #* .#* ,* _$* *$ *.old *.bak *.BAK *.orig *.rej .del-* *.a *.olb *.o *.obj *.so *.exe *.Z *.elc \
    *.ln core .svn/ .git/ .hg/ .bzr/";

/// The file of such names in each directory.
pub const FILE: &[u8] = b".cvsignore";
