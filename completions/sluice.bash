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
    --files-from= | --files-from | --exclude-from= | --exclude-from | --include-from= | --include-from | --password-file= | --password-file | --log-file= | --log-file | --config= | --config)
        : # bash does
        ;;
    --link-dest= | --link-dest | --copy-dest= | --copy-dest | --compare-dest= | --compare-dest | --confine-root= | --confine-root | --backup-dir= | --backup-dir | --temp-dir= | --temp-dir | -T)
        compopt +o default -o dirnames 2>/dev/null
        ;;
    --copy-as= | --copy-as | --max-size= | --max-size | --min-size= | --min-size | --usermap= | --usermap | --groupmap= | --groupmap | --chown= | --chown | --chmod= | --chmod | --checksum-choice= | --checksum-choice | --modify-window= | --modify-window | -@ | --exclude= | --exclude | --include= | --include | --delete-limit= | --delete-limit | --max-delete= | --max-delete | --suffix= | --suffix | --jobs= | --jobs | --bwlimit= | --bwlimit | --stop-at= | --stop-at | --stop-after= | --stop-after | --rsh= | --rsh | -e | --rsync-path= | --rsync-path | --remote-option= | --remote-option | -M | --compress-level= | --compress-level | --compress-threads= | --compress-threads | --skip-compress= | --skip-compress | --timeout= | --timeout | --contimeout= | --contimeout | --sockopts= | --sockopts | --out-format= | --out-format | --log-file-format= | --log-file-format | --module= | --module | --address= | --address | --port= | --port | --protocol= | --protocol | --checksum-seed= | --checksum-seed | --block-size= | --block-size | -B | --max-alloc= | --max-alloc)
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
    --info= | --info)
        _sluice_list "$value" "backup copy del flist misc mount name nonreg progress remove skip stats symsafe progress2 stats2 name2 all none help"
        ;;
    --debug= | --debug)
        _sluice_list "$value" "acl backup bind chdir cmd connect del deltasum dup exit filter flist fuzzy genr hash hlink iconv io nstr own proto recv send time all none help"
        ;;
    --stderr= | --stderr)
        mapfile -t COMPREPLY < <(compgen -W "errors all client" -- "$value")
        ;;
    --generate= | --generate)
        mapfile -t COMPREPLY < <(compgen -W "man man-conf complete-bash complete-zsh complete-fish" -- "$value")
        ;;
    --outbuf= | --outbuf)
        mapfile -t COMPREPLY < <(compgen -W "none line block" -- "$value")
        ;;
    *)
        if [[ $cur == --no-* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--no-recursive --no-dirs --no-relative --no-implied-dirs --no-from0 --no-one-file-system --no-links --no-munge-links --no-insecure-links --no-prune-empty-dirs --no-update --no-hard-links --no-perms --no-owner --no-group --no-numeric-ids --no-D --no-write-devices --no-drop-D --no-devices --no-specials --no-times --no-omit-dir-times --no-omit-link-times --no-atimes --no-open-noatime --no-checksum --no-force --no-ignore-errors --no-mount-check --no-backup --no-inplace --no-partial --no-delay-updates --no-mkpath --no-verify --no-sparse --no-bwlimit --no-compress --no-timeout --no-contimeout --no-motd --no-verbose --no-itemize-changes --no-human-readable --no-progress --no-inc-recursive --no-msgs2stderr --no-8-bit-output --no-detach --no-whole-file --no-fuzzy --no-secluded-args --no-old-args --no-blocking-io" -- "$cur")
        elif [[ $cur == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--archive --recursive --dirs --old-dirs --relative --files-from= --from0 --delete-missing-args --ignore-missing-args --one-file-system --links --copy-links --copy-unsafe-links --safe-links --copy-dirlinks --keep-dirlinks --link-dest= --copy-dest= --compare-dest= --munge-links --copy-as= --insecure-links --confine-root= --prune-empty-dirs --max-size= --min-size= --existing --ignore-existing --update --list-only --hard-links --perms --executability --owner --group --numeric-ids --usermap= --groupmap= --chown= --chmod= -D --copy-devices --write-devices --drop-D --devices --specials --times --omit-dir-times --omit-link-times --atimes --open-noatime --checksum --checksum-choice= --ignore-times --size-only --modify-window= --exclude= --include= --exclude-from= --include-from= --filter= -F --cvs-exclude --delete --delete-before --delete-during --delete-delay --delete-after --delete-excluded --delete-limit= --max-delete= --force --ignore-errors --remove-source-files --backup --backup-dir= --suffix= --inplace --partial --delay-updates --temp-dir= --mkpath --preallocate --fsync --verify --verify= --reflink= --zero-copy= --jobs= --sparse --bwlimit= --stop-at= --stop-after= --rsh= --rsync-path= --remote-option= --freeze= --compress --compress-choice= --compress-level= --compress-threads= --skip-compress= --timeout= --contimeout= --sockopts= --password-file= --ipv4 --ipv6 --verbose --quiet --dry-run --itemize-changes --out-format= --human-readable --stats --progress -P --inc-recursive --info= --debug= --json --stderr= --msgs2stderr --log-file= --log-file-format= --8-bit-output --daemon --config= --module= --address= --port= --help --version --generate= --whole-file --fuzzy --secluded-args --old-args --blocking-io --trust-sender --protocol= --outbuf= --checksum-seed= --block-size= --max-alloc=" -- "$cur")
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
        fi
        return
        ;;
    esac
    # Where bash does not cut at =, the option is a part of the word.
    [[ $cur == --*=* && $breaks != *=* ]] && COMPREPLY=("${COMPREPLY[@]/#/$option}")
}

# Words with commas between them: those typed stay, the last one is completed.
_sluice_list() {
    local done=
    [[ $1 == *,* ]] && done=${1%,*},
    mapfile -t COMPREPLY < <(compgen -P "$done" -W "$2" -- "${1##*,}")
    compopt -o nospace 2>/dev/null
}

complete -o default -F _sluice sluice
