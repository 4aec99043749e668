# Completion of sluice's options, files and hosts. Made by: sluice --generate complete-bash

_sluice_hosts() {
    {
        sed -n 's/^[[:space:]]*[Hh][Oo][Ss][Tt][[:space:]=]\{1,\}//p' ~/.ssh/config /etc/ssh/ssh_config |
            tr -s '[:space:]' '\n'
        sed -n 's/^\([^@|#[:space:]][^[:space:]]*\).*/\1/p' ~/.ssh/known_hosts | tr , '\n' |
            sed 's/^\[\(.*\)\]:.*/\1/'
    } 2>/dev/null | grep -v '[][*?!"]' | sort -u
}

_sluice() {
    # Bash cuts words at these characters; what belongs together is put together again.
    local cur=${COMP_WORDS[COMP_CWORD]} at=$COMP_CWORD breaks=${COMP_WORDBREAKS//[^=:@]/}
    while ((at > 1)) && [[ ${COMP_WORDS[at]} == [=:@]* || ${COMP_WORDS[at - 1]} == [=:@]* ]]; do
        ((at -= 1))
        cur=${COMP_WORDS[at]}$cur
    done
    local option=${COMP_WORDS[at - 1]} value=$cur user='' hosts
    case $cur in
    --*=*) option=${cur%%=*}= value=${cur#*=} ;;
    esac
    # The last letter of -avT decides about the next word.
    [[ $option == -[!-]* ]] && option=-${option: -1}
    COMPREPLY=()

    case $option in
    --files-from= | --files-from | --newer-than= | --newer-than | --exclude-from= | --exclude-from | --include-from= | --include-from | --password-file= | --password-file | --write-batch= | --write-batch | --only-write-batch= | --only-write-batch | --read-batch= | --read-batch | --log-file= | --log-file | --config= | --config)
        : # bash does
        ;;
    --link-dest= | --link-dest | --copy-dest= | --copy-dest | --compare-dest= | --compare-dest | --confine-root= | --confine-root | --backup-dir= | --backup-dir | --partial-dir= | --partial-dir | --temp-dir= | --temp-dir | -T)
        compopt +o default -o dirnames 2>/dev/null
        ;;
    --copy-as= | --copy-as | --max-size= | --max-size | --min-size= | --min-size | --max-age= | --max-age | --min-age= | --min-age | --usermap= | --usermap | --groupmap= | --groupmap | --chown= | --chown | --chmod= | --chmod | --checksum-choice= | --checksum-choice | --modify-window= | --modify-window | -@ | --exclude= | --exclude | --include= | --include | --delete-limit= | --delete-limit | --max-delete= | --max-delete | --suffix= | --suffix | --jobs= | --jobs | --bwlimit= | --bwlimit | --stop-at= | --stop-at | --stop-after= | --stop-after | --rsh= | --rsh | -e | --rsync-path= | --rsync-path | --remote-option= | --remote-option | -M | --compress-level= | --compress-level | --compress-threads= | --compress-threads | --skip-compress= | --skip-compress | --timeout= | --timeout | --contimeout= | --contimeout | --sockopts= | --sockopts | --retry= | --retry | --profile= | --profile | --out-format= | --out-format | --log-file-format= | --log-file-format | --dparam= | --dparam | --module= | --module | --address= | --address | --port= | --port | --protocol= | --protocol | --block-size= | --block-size | -B | --max-alloc= | --max-alloc | --checksum-seed= | --checksum-seed)
        compopt +o default 2>/dev/null
        ;;
    --filter= | --filter | -f)
        mapfile -t COMPREPLY < <(compgen -W "exclude_ include_ hide_ show_ protect_ risk_ merge_ dir-merge_" -- "$value")
        compopt +o default -o nospace 2>/dev/null
        ;;
    --verify= | --reflink= | --reflink | --zero-copy= | --zero-copy)
        mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$value")
        ;;
    --freeze= | --freeze)
        mapfile -t COMPREPLY < <(compgen -W "auto never" -- "$value")
        ;;
    --compress-choice= | --compress-choice)
        mapfile -t COMPREPLY < <(compgen -W "zstd none auto" -- "$value")
        ;;
    --exit-codes= | --exit-codes)
        mapfile -t COMPREPLY < <(compgen -W "rsync extended" -- "$value")
        ;;
    --lock=)
        mapfile -t COMPREPLY < <(compgen -W "fail wait" -- "$value")
        ;;
    --info= | --info)
        _sluice_list "$value" "backup copy del flist misc mount name nonreg progress remove skip stats symsafe progress2 stats2 name2 all none help"
        ;;
    --debug= | --debug)
        _sluice_list "$value" "acl backup bind chdir cmd connect del deltasum dup exit filter flist fuzzy genr hash hlink iconv io nstr own proto recv send time all none help"
        ;;
    --stderr= | --stderr)
        mapfile -t COMPREPLY < <(compgen -W "errors all client" -- "$value")
        ;;
    --outbuf= | --outbuf)
        mapfile -t COMPREPLY < <(compgen -W "none line block" -- "$value")
        ;;
    --generate= | --generate)
        mapfile -t COMPREPLY < <(compgen -W "man man-conf complete-bash complete-zsh complete-fish" -- "$value")
        ;;
    *)
        if [[ $cur == --no-* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--no-recursive --no-dirs --no-relative --no-implied-dirs --no-from0 --no-one-file-system --no-links --no-munge-links --no-insecure-links --no-prune-empty-dirs --no-update --no-hard-links --no-perms --no-acls --no-xattrs --no-fileflags --no-owner --no-group --no-super --no-numeric-ids --no-D --no-write-devices --no-drop-D --no-devices --no-specials --no-times --no-omit-dir-times --no-omit-link-times --no-atimes --no-open-noatime --no-checksum --no-force --no-ignore-errors --no-mount-check --no-backup --no-inplace --no-append --no-partial --no-delay-updates --no-mkpath --no-verify --no-sparse --no-bwlimit --no-compress --no-timeout --no-contimeout --no-motd --no-lock --no-retry --no-config --no-verbose --no-itemize-changes --no-human-readable --no-progress --no-inc-recursive --no-msgs2stderr --no-8-bit-output --no-detach --no-whole-file --no-fuzzy --no-secluded-args --no-old-args --no-blocking-io" -- "$cur")
        elif [[ $cur == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--archive --recursive --dirs --old-dirs --relative --files-from= --from0 --delete-missing-args --ignore-missing-args --one-file-system --links --copy-links --copy-unsafe-links --safe-links --copy-dirlinks --keep-dirlinks --link-dest= --copy-dest= --compare-dest= --munge-links --copy-as= --insecure-links --confine-root= --prune-empty-dirs --max-size= --min-size= --max-age= --min-age= --newer-than= --existing --ignore-existing --update --list-only --hard-links --perms --executability --acls --xattrs --fileflags --owner --group --super --fake-super --numeric-ids --usermap= --groupmap= --chown= --chmod= -D --copy-devices --write-devices --drop-D --devices --specials --times --omit-dir-times --omit-link-times --atimes --open-noatime --checksum --checksum-choice= --ignore-times --size-only --modify-window= --exclude= --include= --exclude-from= --include-from= --filter= -F --gitignore --cvs-exclude --delete --delete-before --delete-during --delete-delay --delete-after --delete-excluded --delete-limit= --max-delete= --force --ignore-errors --remove-source-files --backup --backup-dir= --suffix= --inplace --append --append-verify --partial --partial-dir= --delay-updates --temp-dir= --mkpath --preallocate --fsync --verify --verify= --reflink= --zero-copy= --jobs= --sparse --bwlimit= --stop-at= --stop-after= --rsh= --rsync-path= --remote-option= --freeze= --compress --compress-choice= --compress-level= --compress-threads= --skip-compress= --timeout= --contimeout= --sockopts= --password-file= --ipv4 --ipv6 --write-batch= --only-write-batch= --read-batch= --exit-codes= --lock --lock= --retry= --profile= --verbose --quiet --dry-run --itemize-changes --out-format= --human-readable --stats --progress -P --inc-recursive --info= --debug= --json --stderr= --msgs2stderr --log-file= --log-file-format= --outbuf= --8-bit-output --daemon --server --config= --dparam= --module= --address= --port= --help --version --generate= --whole-file --fuzzy --secluded-args --old-args --blocking-io --trust-sender --qsort --protocol= --block-size= --max-alloc= --checksum-seed=" -- "$cur")
            [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
        elif [[ $cur != */* && $cur != *:* ]]; then
            # An operand. Where no host fits, bash completes files by itself.
            [[ $cur == *@* && $breaks != *@* ]] && user=${cur%%@*}@
            # Where bash cuts there, it leaves the @ with the word that it replaces.
            [[ $2 == @* ]] && user=@
            mapfile -t hosts < <(compgen -P "$user" -W "$(_sluice_hosts)" -S : -- "${cur#*@}")
            if ((${#hosts[@]})); then
                [[ $cur == *@* ]] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                # Readline would quote the colon of a host for the sake of files: only if there are any.
                ((${#COMPREPLY[@]})) && compopt -o filenames 2>/dev/null
                COMPREPLY+=("${hosts[@]}")
                compopt -o nospace 2>/dev/null
            fi
        elif [[ $cur == *:* && ${cur%%:*} != */* ]]; then
            _sluice_remote "$1"
        fi
        return
        ;;
    esac
    # Where bash does not cut at =, the option is a part of the word.
    [[ $cur == --*=* && $breaks != *=* ]] && COMPREPLY=("${COMPREPLY[@]/#/$option}")
}

# An operand on another machine: sluice asks there, for a moment and nobody here.
_sluice_remote() {
    local -a words=()
    local word glue=
    for word in "${COMP_WORDS[@]:1:at-1}"; do
        if [[ -n $glue || ($word == [=:@]* && ${#words[@]} -gt 0) ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        glue=
        [[ $word == [=:@] || $word == :: ]] && glue=1
    done
    mapfile -t COMPREPLY < <("$1" --complete "${words[@]}" "${cur//\\/}" 2>/dev/null)
    for at in "${!COMPREPLY[@]}"; do
        printf -v 'COMPREPLY[at]' %q "${COMPREPLY[at]}"
    done
    # Where bash cuts at colons, what stands before the last one stays.
    [[ $breaks == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
    compopt +o default 2>/dev/null
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
}

# Words with commas between them: those typed stay, the last one is completed.
_sluice_list() {
    local done=
    [[ $1 == *,* ]] && done=${1%,*},
    mapfile -t COMPREPLY < <(compgen -P "$done" -W "$2" -- "${1##*,}")
    compopt -o nospace 2>/dev/null
}

complete -o default -F _sluice sluice
